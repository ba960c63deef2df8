//! One step of a build: looked up, else run, judged and published.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use kitchen::HowEnded;
use larder::{Added, ObjectKind};
use node::{Printed, PrintedLine, Project, StepEnd, StepOrder, StepRun, Verdict};
use protocol::event::{Event, How};
use protocol::{Digest, Keep, Look, PathSet, RelPath, StepId, Trace, Tree, TreeEntry};

use super::context::{Changed, Context, Done, Stop};
use super::{keep, reason};
use crate::majordomo::plan::PlannedStep;
use crate::majordomo::prepare::in_project;
use crate::majordomo::records::{self, Record};

/// How a step came to its end, for the order of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// Its commands ran, and what they made is there.
    Ran,
    /// A trace answered for it.
    Reused,
    /// It failed.
    Failed,
    /// The build was cancelled while it ran.
    Cancelled,
    /// It would have had to run, and another one had failed before.
    NotStarted,
}

/// One run of a step, or the trace that answers for it: what it starts from.
pub(super) struct Pass {
    /// What it sees at `/project`.
    pub project: Arc<Project>,
    /// The trace of the run whose outputs it sees as its own.
    pub previous: Option<Digest>,
    /// Why it runs, if it has to.
    pub reason: String,
    /// Whether the step ran before in this build.
    pub is_again: bool,
}

/// What a pass came to.
pub(super) enum Passed {
    /// A trace answered, or the commands ran and succeeded.
    Well(Box<Hit>),
    /// It came to its end otherwise, and that has been said.
    Otherwise(StepResult),
}

/// Brings a step to its end by the recall of the last build, if it saw then what it would see now. Runs nothing, and
/// asks the larder only for what was printed.
pub async fn recalled(context: &Context, index: usize) -> Result<Option<StepResult>, Stop> {
    let planned = &context.plan.steps[index];
    let is_plain = context.specs[index].keep == Keep::Nothing && !planned.volatile && !planned.strict;
    if context.options.cold || !is_plain {
        return Ok(None);
    }
    let begun = Instant::now();
    let is_first = planned.after.is_empty();
    let weak = &context.weak_keys[index];
    let found = match is_first {
        true => {
            context.recall.find(&planned.id, weak, &context.evaluator, &context.sources_alone, true).await?
        }
        false => {
            let project = context.project_for(index);
            context.recall.find(&planned.id, weak, &context.evaluator, &project, false).await?
        }
    };
    let Some(found) = found else { return Ok(None) };
    if changed_source(context, &found.tree).is_some() {
        return Ok(None);
    }
    show_again(context, index, found.printed.as_ref())?;
    if let Err(clash) = context.made.add(index, Arc::clone(&found.tree)) {
        return Ok(Some(refuse(context, planned, &clash.to_string(), begun)));
    }
    context.recalled_looks.lock().extend(context.recall.host_looks(found));
    context.done.lock().push((index, Done::AsRecalled));
    let looks = context.recall.count(found);
    let explained =
        context.options.explain.then(|| format!("all {looks} observations of {} hold", found.trace.short()));
    finish(context, planned, How::Reused, Ending { failure: explained, ..Ending::default() }, begun);
    Ok(Some(StepResult::Reused))
}

/// What a step that does not run had printed.
fn show_again(context: &Context, index: usize, printed: Option<&Digest>) -> Result<(), Stop> {
    let Some(digest) = printed else { return Ok(()) };
    let bytes = context.pod.larder().get(ObjectKind::Blob, digest)?;
    for line in bytes.and_then(|bytes| Printed::decode(&bytes).ok()).unwrap_or_default().lines() {
        print(&context.sink, &context.plan.steps[index].id, line);
    }
    context.note_printed(index, Some(*digest));
    Ok(())
}

/// Brings one step to its end. All steps that it is `after` must have succeeded.
pub async fn step(context: Arc<Context>, index: usize) -> Result<StepResult, Stop> {
    let begun = Instant::now();
    let last = match context.specs[index].keep {
        Keep::Nothing => once(&context, index).await?,
        _ => keep::settle(&context, index).await?,
    };
    match last {
        Passed::Well(hit) => accept(&context, index, *hit, begun),
        Passed::Otherwise(result) => Ok(result),
    }
}

async fn once(context: &Context, index: usize) -> Result<Passed, Stop> {
    let project = Arc::new(context.project_for(index));
    if let Some(hit) = look_up(context, index, &project, None).await? {
        return Ok(Passed::Well(Box::new(hit)));
    }
    let reason = why(context, index, &project).await?;
    run(context, index, Pass { project, previous: None, reason, is_again: false }).await
}

/// The trace that answers for a pass, with what it made.
pub(super) async fn look_up(
    context: &Context,
    index: usize,
    project: &Project,
    previous: Option<&Digest>,
) -> Result<Option<Hit>, Stop> {
    if context.options.cold || context.plan.steps[index].volatile {
        return Ok(None);
    }
    let weak = context.specs[index].weak_key_after(previous);
    let verdict = context.evaluator.look_up(&weak, project, context.workspace).await?;
    let Verdict::Hit { digest, trace, path_set } = verdict else { return Ok(None) };
    Ok(outputs_of(context, &trace)?.map(|tree| Hit { digest, trace, path_set, tree, ran: None }))
}

/// Runs a pass in the next free slot.
pub(super) async fn run(context: &Context, index: usize, pass: Pass) -> Result<Passed, Stop> {
    let planned = &context.plan.steps[index];
    let Ok(_slot) = context.slots.acquire().await else {
        return Ok(Passed::Otherwise(StepResult::Cancelled));
    };
    if context.cancel.is_set() {
        return Ok(Passed::Otherwise(StepResult::Cancelled));
    }
    if context.stopping.load(Ordering::Relaxed) {
        return Ok(Passed::Otherwise(StepResult::NotStarted));
    }
    let begun = Instant::now();
    let (step, reason) = (planned.id.clone(), pass.reason.clone());
    context.sink.event(match pass.is_again {
        true => Event::StepRestarted { step, why: reason },
        false => Event::StepStarted { step, pod: "local".to_owned(), reason },
    });
    let order = StepOrder {
        spec: Arc::clone(&context.specs[index]),
        project: pass.project,
        tools: Arc::clone(&context.tools),
        timeout: planned.timeout,
        previous: pass.previous,
    };
    let (sink, id) = (context.sink.clone(), planned.id.clone());
    let on_line = move |line: &PrintedLine| print(&sink, &id, line);
    let run = context.pod.run(order, &on_line, context.cancel.wait()).await?;
    ended(context, index, run, pass.reason, begun)
}

/// A trace, and what it made.
pub(super) struct Hit {
    /// The trace's digest.
    pub digest: Digest,
    /// The trace.
    pub trace: Arc<Trace>,
    /// Its questions.
    pub path_set: Arc<PathSet>,
    /// What it made.
    pub tree: Tree,
    /// Why its commands ran; `None`: they did not.
    pub ran: Option<String>,
}

fn print(sink: &crate::majordomo::sink::Sink, step: &StepId, line: &PrintedLine) {
    let text = String::from_utf8_lossy(&line.bytes).into_owned();
    sink.event(Event::StepOutput { step: step.clone(), stream: line.stream, text });
}

/// The tree of a trace, if it and all its files are in the larder.
fn outputs_of(context: &Context, trace: &Trace) -> Result<Option<Tree>, Stop> {
    let larder = context.pod.larder();
    let Some(bytes) = larder.get(ObjectKind::Tree, &trace.outputs)? else { return Ok(None) };
    let Ok(tree) = Tree::decode(&bytes) else { return Ok(None) };
    for (_, entry) in tree.entries() {
        if let TreeEntry::File { digest, .. } = entry
            && !larder.contains(digest)?
        {
            return Ok(None);
        }
    }
    Ok(Some(tree))
}

/// An undeclared output that stands where the user has a source by now.
fn changed_source<'a>(context: &Context, tree: &'a Tree) -> Option<&'a RelPath> {
    let is_source = |path: &RelPath| {
        matches!(context.sources.get(path), Some(node::Entry::Source { .. } | node::Entry::Link { .. }))
    };
    tree.entries().iter().map(|(path, _)| path).find(|path| is_source(path))
}

/// Takes in what the last pass made, and says how the step came to its end.
fn accept(context: &Context, index: usize, hit: Hit, begun: Instant) -> Result<StepResult, Stop> {
    let planned = &context.plan.steps[index];
    let larder = context.pod.larder();
    let reused = hit.ran.is_none();
    if let Some(path) = changed_source(context, &hit.tree) {
        return Ok(refuse(context, planned, &format!("it changes the source `{path}`"), begun));
    }
    let reused_strictly = planned.strict && reused;
    if reused_strictly && let Some(broken) = strictly(context, planned, &hit.path_set, &hit.tree) {
        return Ok(refuse(context, planned, &broken, begun));
    }
    if let Some(unordered) = unordered(context, index, &hit.path_set) {
        return Ok(refuse(context, planned, &unordered, begun));
    }
    if reused {
        show_again(context, index, hit.trace.printed.as_ref())?;
    } else {
        context.note_printed(index, hit.trace.printed);
    }
    context.note_host_looks(&hit.path_set);
    if context.specs[index].keep == Keep::Nothing {
        let done = Done::By {
            digest: hit.digest,
            trace: Arc::clone(&hit.trace),
            path_set: Arc::clone(&hit.path_set),
        };
        context.done.lock().push((index, done));
    }
    if let Err(clash) = context.made.add(index, Arc::new(hit.tree)) {
        return Ok(refuse(context, planned, &clash.to_string(), begun));
    }
    if !planned.volatile {
        if reused {
            larder.hit(&hit.trace, context.workspace)?;
        }
        let last = context.last.get(&planned.id);
        if !reused || last.is_none_or(|last| last.trace != hit.digest) {
            let made_elsewhere = || last.map_or("it was made elsewhere", |last| &last.reason).to_owned();
            let reason = hit.ran.clone().unwrap_or_else(made_elsewhere);
            records::write(larder, context.workspace, &planned.id, &Record { trace: hit.digest, reason })?;
        }
    }
    let explained = || {
        let looks = hit.path_set.looks().len();
        format!("all {looks} observations of {} hold", hit.digest.short())
    };
    let (how, exit, failure) = match hit.ran {
        Some(reason) => (How::Ran, Some(0), Some(reason)),
        None => (How::Reused, None, context.options.explain.then(explained)),
    };
    finish(context, planned, how, Ending { exit, failure, command: None }, begun);
    Ok(if reused { StepResult::Reused } else { StepResult::Ran })
}

async fn why(context: &Context, index: usize, project: &Project) -> Result<String, Stop> {
    let planned = &context.plan.steps[index];
    if context.options.cold {
        return Ok("a cold build was asked for".to_owned());
    }
    if planned.volatile {
        return Ok("it is volatile".to_owned());
    }
    let last = match context.last.get(&planned.id) {
        Some(record) if context.pod.larder().is_revoked(&record.trace)? => {
            return Ok("its traces were revoked".to_owned());
        }
        Some(record) => records::trace(context.pod.larder(), &record.trace)?,
        None => None,
    };
    let last = last.as_ref().map(|(trace, set)| (trace, &**set));
    let weak = context.specs[index].weak_key();
    Ok(reason::of_last(&context.evaluator, project, &weak, last).await?)
}

/// Publishes what a run came to, or says how it failed.
fn ended(
    context: &Context,
    index: usize,
    run: StepRun,
    reason: String,
    begun: Instant,
) -> Result<Passed, Stop> {
    let planned = &context.plan.steps[index];
    let command = context.specs[index].commands.get(run.command).map(|argv| shown_command(argv));
    let fail = |exit: Option<i32>, failure: String| {
        let ending = Ending { exit, failure: Some(failure), command: command.clone() };
        finish(context, planned, How::Failed, ending, begun);
        Ok(Passed::Otherwise(StepResult::Failed))
    };
    match run.end {
        StepEnd::Made { path_set, trace, outputs } => {
            if planned.strict
                && let Some(broken) = strictly(context, planned, &path_set, &outputs)
            {
                return fail(None, broken);
            }
            publish(context, index, (trace, path_set, outputs), reason)
        }
        StepEnd::Failed(HowEnded::Cancelled) => {
            finish(context, planned, How::Cancelled, Ending::default(), begun);
            Ok(Passed::Otherwise(StepResult::Cancelled))
        }
        StepEnd::Failed(how) => {
            let (exit, mut words) = failure_words(&how, planned);
            if let Some(link) = link_out(context, &run.looked_at) {
                words.push_str(&link);
            }
            fail(exit, words)
        }
        StepEnd::Refused(refusal) => fail(Some(0), refusal.to_string()),
        StepEnd::Unreadable(failure) if is_disk_full(&failure) => {
            let mut full = crate::majordomo::border::machine(format!(
                "the disk is full: `{}` could not be stored",
                failure.path
            ));
            full.causes.push(chain(&failure.error));
            Err(Stop::Fatal(Box::new(full.hint("make room and build again; nothing was lost"))))
        }
        StepEnd::Unreadable(failure) => {
            fail(None, format!("a file that it needs cannot be read: {}", chain(&failure)))
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

fn is_disk_full(failure: &view::SourceFailure) -> bool {
    match &failure.error {
        view::SourceError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

/// A link of the sources that leads where no step can follow, if the step looked at one: the likely cause of its failure.
fn link_out(context: &Context, looked_at: &[(RelPath, Look)]) -> Option<String> {
    let mut links = looked_at.iter().filter(|(_, look)| *look == Look::Link).map(|(path, _)| path);
    links.find_map(|path| match context.sources.get(path) {
        Some(node::Entry::Link { target }) if crate::majordomo::snapshot::escapes(path, &target) => {
            let target = protocol::path::escape(&target);
            Some(format!(
                "; `{path}` is a link out of the project, to `{target}`, which steps see only in tool roots"
            ))
        }
        _ => None,
    })
}

fn publish(
    context: &Context,
    index: usize,
    (trace, path_set, outputs): (Trace, PathSet, Tree),
    reason: String,
) -> Result<Passed, Stop> {
    let planned = &context.plan.steps[index];
    let mut hit = Hit {
        digest: trace.digest(),
        trace: Arc::new(trace),
        path_set: Arc::new(path_set),
        tree: outputs,
        ran: Some(reason),
    };
    if planned.volatile {
        return Ok(Passed::Well(Box::new(hit)));
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
                hit = Hit { digest: first, trace: Arc::new(trace), path_set, tree, ..hit };
                text.push_str("; the first result stays");
            }
            context.sink.note(true, text);
        }
    }
    Ok(Passed::Well(Box::new(hit)))
}

#[derive(Default)]
struct Ending {
    exit: Option<i32>,
    failure: Option<String>,
    command: Option<String>,
}

fn finish(context: &Context, planned: &PlannedStep, how: How, ending: Ending, begun: Instant) {
    if how == How::Failed && !context.options.keep_going {
        context.stopping.store(true, Ordering::Relaxed);
    }
    context.sink.event(Event::StepFinished {
        step: planned.id.clone(),
        how,
        exit: ending.exit,
        failure: ending.failure,
        command: ending.command,
        seconds: begun.elapsed().as_secs_f64(),
    });
}

pub(super) fn refuse(context: &Context, planned: &PlannedStep, why: &str, begun: Instant) -> StepResult {
    let ending = Ending { failure: Some(why.to_owned()), ..Ending::default() };
    finish(context, planned, How::Failed, ending, begun);
    StepResult::Failed
}

/// A look at what another step promises, without being `after` it: the step saw that it is not there, and would never see it.
fn unordered(context: &Context, index: usize, set: &PathSet) -> Option<String> {
    let mut before = None;
    for (path, _) in set.looks() {
        let Some(inside) = in_project(path) else { continue };
        let Some(maker) = context.plan.producer(&inside).filter(|&maker| maker != index) else { continue };
        let before = before.get_or_insert_with(|| context.made.before(index));
        if !before.contains(&maker) {
            let maker = &context.plan.steps[maker].id;
            return Some(format!(
                "it looked for `{inside}`, which `{maker}` makes: add `after = [\"{}\"]`",
                maker.rule()
            ));
        }
    }
    None
}

/// What a strict step did beyond what it declares.
fn strictly(context: &Context, planned: &PlannedStep, set: &PathSet, outputs: &Tree) -> Option<String> {
    for (path, look) in set.looks() {
        let Some(inside) = path.as_bytes().strip_prefix(b"project/") else { continue };
        let Ok(inside) = RelPath::new(inside) else { continue };
        let declared = planned.declared_inputs().any(|input| inside.is_within(input));
        if *look == Look::Content && !declared {
            return Some(format!("it is strict, and read `{inside}`, which `in` does not name"));
        }
    }
    let undeclared = outputs.entries().iter().find(|(path, _)| {
        !context.plan.steps.iter().any(|step| {
            step.id == planned.id && step.spec.out.iter().any(|promise| path.is_within(promise.path()))
        })
    });
    undeclared.map(|(path, _)| format!("it is strict, and made `{path}`, which `out` does not name"))
}

fn failure_words(how: &HowEnded, planned: &PlannedStep) -> (Option<i32>, String) {
    let name = |command: &[u8]| protocol::path::escape(command);
    match how {
        HowEnded::Exit(code) => (Some(*code), format!("exit code {code}")),
        HowEnded::Signal(signal) => (None, format!("a signal ended it: {}", signal_name(*signal))),
        HowEnded::TimedOut => {
            let seconds = planned.timeout.map_or(0.0, |timeout| timeout.as_secs_f64());
            (None, format!("it was ended after {seconds} s, its `timeout`"))
        }
        HowEnded::Cancelled => (None, "it was cancelled".to_owned()),
        HowEnded::Killed => (None, "the system killed it, as it does when memory runs out".to_owned()),
        HowEnded::NotFound { command } => {
            let text = format!(
                "there is no program `{}` in its `PATH`: install it, or name its folder in `[tools] roots`",
                name(command)
            );
            (Some(127), text)
        }
        HowEnded::CannotExecute { command, errno } => {
            let error = std::io::Error::from_raw_os_error(*errno);
            (Some(126), format!("`{}` cannot be executed: {error}", name(command)))
        }
        HowEnded::BadCwd { errno } => {
            let error = std::io::Error::from_raw_os_error(*errno);
            (None, format!("its `cwd` cannot be entered: {error}"))
        }
    }
}

fn signal_name(signal: i32) -> String {
    let known = signal_hook::low_level::signal_name(signal);
    known.map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// A command as a shell would take it; the `sh -eu -c` that the plan put in front is left out.
fn shown_command(argv: &[Vec<u8>]) -> String {
    let words: Vec<String> = argv.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    match words.as_slice() {
        [shell, flags, c, text] if shell == "/bin/sh" && flags == "-eu" && c == "-c" => text.clone(),
        words => {
            let quoted = words.iter().map(|word| {
                shlex::try_quote(word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned())
            });
            quoted.collect::<Vec<_>>().join(" ")
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        let text = next.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        source = next.source();
    }
    words
}
