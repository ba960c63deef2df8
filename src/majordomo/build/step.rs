//! One pass of a step: looked up, else run, judged, and put into the larder.
//!
//! Actors: the conductor starts [`look`] and [`run`] as tasks of their own and takes what comes of them; nothing here
//! knows the order of steps. Each pass is an ordinary cached run, whoever it is for. Errors of the machine and changes
//! of what the build started from travel as [`Stop`]; a step that fails is a [`Ran`]. A crash loses the run that is
//! under way: a trace is there once its outputs are.

use std::sync::Arc;

use kitchen::{Clock, HowEnded};
use larder::{Added, ObjectKind};
use node::{
    NodeError, Outputs, Printed, PrintedLine, Project, PromisedAt, StepEnd, StepOrder, StepRun, Verdict,
};
use protocol::event::Event;
use protocol::{Digest, Keep, Look, PathSet, RelPath, Seen, StepId, Trace, Tree, TreeEntry};
use view::SourceError;

use super::context::{Changed, Context, Stop};
use super::demand::StepView;
use super::words::{chain, failure_words, link_out, shown_command, strictly};
use super::{keep, reason, verify};
use crate::majordomo::facets::Facets;
use crate::majordomo::prepare::in_project;
use crate::majordomo::records;
use crate::majordomo::sink::Cancel;

/// What a pass starts from.
pub(super) struct Start {
    /// What it sees of promises.
    pub view: Arc<StepView>,
    /// Steps whose outputs it sees though they have not promised them.
    pub producers: Vec<usize>,
    /// What it left when it ran before, if it sees its own outputs.
    pub state: Option<keep::State>,
    /// Which pass of this build it is, from 1.
    pub pass: usize,
    /// Why it is looked at once more, if it was before.
    pub again: Option<String>,
    /// Whether others may be made to run just to find out whether a trace holds.
    pub may_demand: bool,
}

/// A trace that answers for a step, and what it made.
#[derive(Clone)]
pub(super) struct Hit {
    /// The trace's digest.
    pub digest: Digest,
    /// The trace.
    pub trace: Arc<Trace>,
    /// Its questions.
    pub path_set: Arc<PathSet>,
    /// What it made; of a step that sees its own outputs, all that is there after it.
    pub tree: Arc<Tree>,
}

/// A pass that has to run.
pub(super) struct Pass {
    /// What it sees at `/project`.
    pub project: Arc<Project>,
    /// What it sees of promises.
    pub view: Arc<StepView>,
    /// What it left before.
    pub state: Option<keep::State>,
    /// What it sees over the sources besides promises.
    pub outputs: Outputs,
    /// Why it runs.
    pub reason: String,
    /// What traces looked at that are known, and might still come to hold when others have run: paths in the project.
    pub known: Vec<(RelPath, Look)>,
}

/// What a look-up came to.
pub(super) enum Looked {
    /// A trace answers, or the step sees what it left.
    Answered(Box<Hit>),
    /// It has to run.
    Missed(Box<Pass>),
    /// These steps have to come to their ends first.
    Unmade(Vec<usize>),
}

/// What a run came to.
pub(super) enum Ran {
    /// Well: what it made is in the larder.
    Made(Box<Hit>),
    /// It failed.
    Failed(Box<Failed>),
    /// It was ended.
    Cancelled,
}

/// How a run failed.
pub(super) struct Failed {
    /// Exit code of the command that ended it.
    pub exit: Option<i32>,
    /// Why.
    pub failure: String,
    /// The command that ended it.
    pub command: Option<String>,
    /// What it had seen of the project until then: paths in it.
    pub seen: Vec<(RelPath, Look, Seen)>,
}

/// Looks a step up.
pub(super) async fn look(context: &Context, index: usize, start: Start) -> Result<Looked, Stop> {
    match looked(context, index, start).await {
        Err(Stop::NotYet(path)) => match context.made.promises().at(index, &path) {
            Some(PromisedAt::By(by)) => Ok(Looked::Unmade(vec![by])),
            _ => Err(Stop::NotYet(path)),
        },
        other => other,
    }
}

async fn looked(context: &Context, index: usize, start: Start) -> Result<Looked, Stop> {
    let Start { view, producers, state, pass, again, may_demand } = start;
    let project = Arc::new(keep::project(context, index, &view, &producers, state.as_ref()).await?);
    if let Some(hit) = keep::settled(context, index, state.as_ref(), &project).await? {
        return Ok(Looked::Answered(Box::new(hit)));
    }
    if pass == 1
        && let Some(hit) = keep::settled_earlier(context, index, &view, &producers).await?
    {
        return Ok(Looked::Answered(Box::new(hit)));
    }
    let previous = state.as_ref().and_then(|state| state.left_by.as_ref()).map(|hit| hit.digest);
    let planned = &context.plan.steps[index];
    let mut known_looks = Vec::new();
    if !context.options.cold && !planned.volatile {
        let weak = context.specs[index].weak_key_after(previous.as_ref());
        match context.evaluator.look_up(&weak, &project, context.workspace).await? {
            Verdict::Hit { digest, trace, path_set } => {
                if let Some(tree) = outputs_of(context, &trace)? {
                    let hit = Hit { digest, trace, path_set, tree: Arc::new(tree) };
                    return Ok(Looked::Answered(Box::new(keep::carry(state.as_ref(), hit))));
                }
            }
            Verdict::Miss { unmade: Some(set), .. } if may_demand => {
                return Ok(Looked::Unmade(unmade(&project, &set)));
            }
            Verdict::Miss { known, .. } if !context.last.contains_key(&planned.id) => {
                known_looks = inside(&known);
            }
            Verdict::Miss { .. } => {}
        }
    }
    let why = match again {
        Some(why) => why,
        None => why(context, index, &project, state.as_ref()).await?,
    };
    // Only who verifies asks once more over the same outputs.
    let outputs = match context.verification.is_some() {
        true => context.made.outputs_for(index, &producers),
        false => Outputs::default(),
    };
    let reason = if pass > 1 { format!("pass {pass}: {why}") } else { why };
    Ok(Looked::Missed(Box::new(Pass { project, view, state, outputs, reason, known: known_looks })))
}

/// What path sets look at in the project.
fn inside(sets: &[Arc<PathSet>]) -> Vec<(RelPath, Look)> {
    let looks = sets.iter().flat_map(|set| set.looks());
    looks.filter_map(|(path, look)| Some((in_project(path)?, *look))).collect()
}

/// The steps that have to come to their ends before a path set can be evaluated.
fn unmade(project: &Project, set: &PathSet) -> Vec<usize> {
    let inside = set.looks().iter().filter_map(|(path, _)| in_project(path));
    let mut steps: Vec<usize> = inside.filter_map(|path| project.unmade(&path)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The tree of a trace, if it and all its files are in the larder.
pub(super) fn outputs_of(context: &Context, trace: &Trace) -> Result<Option<Tree>, Stop> {
    let Some(bytes) = context.pod.larder().get(ObjectKind::Tree, &trace.outputs)? else { return Ok(None) };
    let Ok(tree) = Tree::decode(&bytes) else { return Ok(None) };
    Ok(if is_there(context, &tree)? { Some(tree) } else { None })
}

/// Whether all files of a tree are in the larder.
pub(super) fn is_there(context: &Context, tree: &Tree) -> Result<bool, Stop> {
    for (_, entry) in tree.entries() {
        if let TreeEntry::File { digest, .. } = entry
            && !context.pod.larder().contains(digest)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn why(
    context: &Context,
    index: usize,
    project: &Project,
    state: Option<&keep::State>,
) -> Result<String, Stop> {
    let planned = &context.plan.steps[index];
    if context.verification.is_some() {
        return Ok("it is verified".to_owned());
    }
    if context.options.cold {
        return Ok("a cold build was asked for".to_owned());
    }
    if planned.volatile {
        return Ok(reason::VOLATILE.to_owned());
    }
    let seer = (&context.evaluator, project);
    let detail = if context.options.explain { reason::Detail::Counted } else { reason::Detail::First };
    if let Some(hit) = state.and_then(|state| state.left_by.as_ref()) {
        let last = Some((&*hit.trace, &*hit.path_set));
        return Ok(reason::of_last(seer, &hit.trace.weak, last, Vec::new, detail).await?);
    }
    let record = context.last.get(&planned.id);
    let last = match record {
        Some(record) if context.pod.larder().is_revoked(&record.trace)? => {
            return Ok(reason::REVOKED.to_owned());
        }
        Some(record) => records::trace(context.pod.larder(), &record.trace)?,
        None => None,
    };
    let last = last.as_ref().map(|(trace, set)| (trace, &**set));
    let spec = &context.specs[index];
    let key = || record.map(|record| Facets::of(spec).changed_since(&record.key)).unwrap_or_default();
    Ok(reason::of_last(seer, &spec.weak_key(), last, key, detail).await?)
}

/// Shows what a step that does not run had printed.
pub(super) fn show_again(context: &Context, index: usize, printed: Option<&Digest>) -> Result<(), Stop> {
    let Some(digest) = printed else { return Ok(()) };
    let bytes = context.pod.larder().get(ObjectKind::Blob, digest)?;
    for line in bytes.and_then(|bytes| Printed::decode(&bytes).ok()).unwrap_or_default().lines() {
        print(&context.sink, &context.plan.steps[index].id, line);
    }
    Ok(())
}

fn print(sink: &crate::majordomo::sink::Sink, step: &StepId, line: &PrintedLine) {
    let text = String::from_utf8_lossy(&line.bytes).into_owned();
    sink.event(Event::StepOutput { step: step.clone(), stream: line.stream, text });
}

/// Runs a pass to its end; `on_end` is called when its commands have ended well. `cancel` ends it, and so does the build's own. Dropping the
/// future ends it too.
pub(super) async fn run(
    context: &Context,
    index: usize,
    pass: Pass,
    clock: Clock,
    cancel: Cancel,
    on_end: impl FnOnce() + Send,
) -> Result<Ran, Stop> {
    let planned = &context.plan.steps[index];
    let previous = pass.state.as_ref().and_then(|state| state.left_by.as_ref()).map(|hit| hit.digest);
    let order = StepOrder {
        spec: Arc::clone(&context.specs[index]),
        project: Arc::clone(&pass.project),
        tools: Arc::clone(&context.tools),
        timeout: planned.timeout,
        previous,
        clock,
    };
    let id = planned.id.clone();
    let sink = context.sink.clone();
    let (ending, mine) = (context.cancel.clone(), cancel.clone());
    let on_line = move |line: &PrintedLine| {
        // What a step says about its being ended is nobody's news.
        if ending.is_set() || !mine.is_set() {
            print(&sink, &id, line);
        }
    };
    let ended = async {
        tokio::select! {
            () = context.cancel.wait() => {}
            () = cancel.wait() => {}
        }
    };
    let run = context.pod.run(order, &on_line, on_end, ended).await?;
    pass.view.hang_up();
    let ran = self::ended(context, index, run, &pass).await?;
    if let (Some(verification), Ran::Made(hit)) = (&context.verification, &ran) {
        verify::with_own(context, index, verification, &pass, hit, &cancel).await?;
    }
    Ok(ran)
}

/// Publishes what a run came to, or says how it failed.
async fn ended(context: &Context, index: usize, run: StepRun, pass: &Pass) -> Result<Ran, Stop> {
    let planned = &context.plan.steps[index];
    let command = context.specs[index].commands.get(run.command).map(|argv| shown_command(argv));
    let looked_at = run.looked_at;
    let fail = async |exit: Option<i32>, failure: String| -> Result<Ran, Stop> {
        let seen = seen_by(context, &pass.project, looked_at.clone()).await?;
        Ok(Ran::Failed(Box::new(Failed { exit, failure, command: command.clone(), seen })))
    };
    match run.end {
        StepEnd::Made { path_set, trace, outputs } => {
            if planned.strict
                && let Some(broken) = strictly(context, planned, &path_set, &outputs)
            {
                return fail(None, broken).await;
            }
            let made = (trace, path_set, outputs);
            let hit = match &context.verification {
                Some(verification) => verify::compare(context, index, verification, made)?,
                None => publish(context, index, made)?,
            };
            Ok(Ran::Made(Box::new(keep::carry(pass.state.as_ref(), hit))))
        }
        StepEnd::Failed(HowEnded::Cancelled) => Ok(Ran::Cancelled),
        StepEnd::Failed(how) => {
            let (exit, mut words) = failure_words(&how, planned);
            if let Some(link) = link_out(context, &looked_at) {
                words.push_str(&link);
            }
            fail(exit, words).await
        }
        StepEnd::Refused(refusal) => fail(Some(0), refusal.to_string()).await,
        StepEnd::Unreadable(failure) if is_disk_full(&failure) => {
            let mut full = crate::majordomo::border::machine(format!(
                "the disk is full: `{}` could not be stored",
                failure.path
            ));
            full.causes.push(chain(&failure.error));
            Err(Stop::Fatal(Box::new(full.hint("make room and build again; nothing was lost"))))
        }
        StepEnd::Unreadable(failure) => {
            fail(None, format!("a file that it needs cannot be read: {}", chain(&failure))).await
        }
        StepEnd::SourceChanged(path) => {
            let why = format!("`{path}` changed while `{}` ran", planned.id);
            Err(Stop::Restart { why, changed: Changed::Source })
        }
        StepEnd::ToolsChanged(paths) => {
            let path = paths.first().map(ToString::to_string).unwrap_or_default();
            let why = format!("`/{path}` changed while `{}` ran", planned.id);
            Err(Stop::Restart { why, changed: Changed::Tool })
        }
        StepEnd::Lost(path) => Err(Stop::Lost(path)),
    }
}

/// What a step saw of the project before it failed.
async fn seen_by(
    context: &Context,
    project: &Project,
    looked_at: Vec<(RelPath, Look)>,
) -> Result<Vec<(RelPath, Look, Seen)>, Stop> {
    let prefix = node::project_prefix();
    let mut all = Vec::with_capacity(looked_at.len());
    for (path, look) in looked_at {
        let look = project.lenses().counted(&path, look);
        match context.evaluator.see(project, &prefix.join(&path), look).await {
            Ok(seen) => all.push((path, look, seen)),
            // It never was answered.
            Err(NodeError::Source(SourceError::NotYet { .. } | SourceError::Cancelled)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

fn is_disk_full(failure: &view::SourceFailure) -> bool {
    match &failure.error {
        SourceError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

fn publish(
    context: &Context,
    index: usize,
    (trace, path_set, outputs): (Trace, PathSet, Tree),
) -> Result<Hit, Stop> {
    let planned = &context.plan.steps[index];
    let mut hit = Hit {
        digest: trace.digest(),
        trace: Arc::new(trace),
        path_set: Arc::new(path_set),
        tree: Arc::new(outputs),
    };
    if planned.volatile {
        return Ok(hit);
    }
    let larder = context.pod.larder();
    match larder.add_trace(&hit.trace, &hit.path_set, context.workspace)? {
        Added::New(digest) | Added::Known(digest) | Added::Revoked(digest) => hit.digest = digest,
        Added::Differs { first, now } => {
            let mut text = format!(
                "`{}` is not deterministic: the same inputs gave other outputs before ({} then, {} now)",
                planned.id,
                first.short(),
                now.short()
            );
            // The first result stays, for us as for everybody else.
            if let Some((trace, path_set)) = records::trace(larder, &first)?
                && let Some(tree) = outputs_of(context, &trace)?
            {
                if let Some(differs) = super::differing::first_difference(larder, &tree, &hit.tree) {
                    text.push_str("; ");
                    text.push_str(&differs);
                }
                hit = Hit { digest: first, trace: Arc::new(trace), path_set, tree: Arc::new(tree) };
                text.push_str("; the first result stays");
            }
            context.sink.note(true, text);
        }
    }
    Ok(hit)
}

/// Whether a step sees what it left before.
pub(super) fn keeps(context: &Context, index: usize) -> bool {
    context.specs[index].keep != Keep::Nothing
}
