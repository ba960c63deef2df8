//! Runs a pass, and publishes what came of it.

use std::sync::Arc;
use std::time::Duration;

use kitchen::{Clock, HowEnded, Secret, UpperDir};
use larder::{Added, ObjectKind};
use node::{NodeError, Printed, PrintedLine, Project, StepEnd, StepNews, StepOrder, StepRun};
use protocol::event::Event;
use protocol::{Digest, Look, PathSet, PodId, RelPath, Seen, StepId, Trace, Tree};
use view::SourceError;

use super::super::context::{Changed, Context, Stop};
use super::super::words::{
    chain, failure_words, limit_of, link_out, restarted_words, shown_command, strictly,
};
use super::super::{differing, keep, verify, visit};
use super::{Failed, Hit, Pass, Ran, outputs_of};
use crate::majordomo::border;
use crate::majordomo::records;
use crate::majordomo::secrets::{self, SecretRule};
use crate::majordomo::sink::{Cancel, Sink};

/// Shows what a step that does not run had printed.
pub(in super::super) async fn show_again(
    context: &Context,
    index: usize,
    printed: Option<&Digest>,
) -> Result<(), Stop> {
    let Some(digest) = printed else { return Ok(()) };
    let bytes = context.pod.supply().get(ObjectKind::Blob, digest).await?;
    for line in bytes.and_then(|bytes| Printed::decode(&bytes).ok()).unwrap_or_default().lines() {
        print(&context.sink, &context.plan.steps[index].id, line);
    }
    Ok(())
}

pub(super) fn print(sink: &Sink, step: &StepId, line: &PrintedLine) {
    let text = String::from_utf8_lossy(&line.bytes).into_owned();
    sink.event(Event::StepOutput { step: step.clone(), stream: line.stream, text });
}

/// Runs a pass to its end; `on_end` is called when its commands have ended well. `cancel` ends it, and so does the build's own. Dropping the
/// future ends it too.
pub(in super::super) async fn run(
    context: &Context,
    index: usize,
    pass: Pass,
    (clock, is_followed): (Clock, bool),
    cancel: Cancel,
    on_end: impl FnOnce() + Send,
) -> Result<Ran, Stop> {
    let planned = &context.plan.steps[index];
    let previous = pass.state.as_ref().and_then(|state| state.left_by.as_ref()).map(|hit| hit.digest);
    let secrets = match resolved(context, &planned.secrets).await? {
        Ok(secrets) => secrets,
        Err(failure) => {
            return Ok(Ran::Failed(Box::new(Failed::of(failure))));
        }
    };
    let order = StepOrder {
        spec: Arc::clone(&context.specs[index]),
        project: Arc::clone(&pass.project),
        tools: context.tools_of(index),
        image: context.images.get(index).map(|image| Arc::clone(&image.root)),
        timeout: planned.timeout,
        limits: planned.limits,
        secrets,
        previous,
        sandbox: context.sandbox(),
        clock,
        is_followed,
    };
    let ended = async {
        tokio::select! {
            () = context.cancel.wait() => {}
            () = cancel.wait() => {}
        }
    };
    if context.is_visited(index) {
        visit::visit(context, index, order, ended).await?;
        pass.view.hang_up();
        return Ok(Ran::Cancelled);
    }
    let id = planned.id.clone();
    let sink = context.sink.clone();
    let (ending, mine) = (context.cancel.clone(), cancel.clone());
    let on_news = move |news: StepNews<'_>| match news {
        // What a step says about its being ended is nobody's news.
        _ if mine.is_set() && !ending.is_set() => {}
        StepNews::Line(line) => print(&sink, &id, line),
        StepNews::Again(error) => {
            sink.event(Event::StepRestarted { step: id.clone(), why: restarted_words(error) });
        }
    };
    let mut run = context.pod.run(order, &on_news, on_end, ended).await?;
    pass.view.hang_up();
    context.used.lock().insert(index, run.usage.max_rss);
    if !cancel.is_set() && !context.cancel.is_set() {
        say_used(&context.sink, &planned.id, (run.usage.user, run.usage.system), run.usage.max_rss);
    }
    let left = run.left.take();
    let ran = self::ended(context, index, run, &pass).await?;
    if let (Ran::Failed(_), Some(left)) = (&ran, left) {
        keep_what_it_left(context, index, left).await?;
    }
    if let (Some(verification), Ran::Made(hit)) = (&context.verification, &ran) {
        verify::with_own(context, index, verification, &pass, hit, &cancel).await?;
    }
    Ok(ran)
}

/// A step's secrets, or why one is not to be had: read on another thread, for a file may be on a slow disk.
async fn resolved(context: &Context, rules: &[SecretRule]) -> Result<Result<Vec<Secret>, String>, NodeError> {
    if rules.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let (rules, caller) = (rules.to_vec(), context.caller.clone());
    let reading = tokio::task::spawn_blocking(move || secrets::resolve(&rules, &caller));
    reading.await.map_err(|_| NodeError::Task("read secrets"))
}

/// Keeps what a step that failed had written, for whoever looks into it; not where it may have written a secret.
async fn keep_what_it_left(context: &Context, index: usize, left: UpperDir) -> Result<(), Stop> {
    let planned = &context.plan.steps[index];
    if !planned.secrets.is_empty() || context.verification.is_some() {
        return Ok(());
    }
    let (pod, workspace, id) = (context.pod.clone(), context.workspace, planned.id.clone());
    let keeping = tokio::task::spawn_blocking(move || pod.failed().keep(workspace, &id, left));
    Ok(keeping.await.map_err(|_| NodeError::Task("keep what a step left"))?)
}

/// Says what the commands of a step have used: processor time in user mode and in the kernel, and memory.
pub(super) fn say_used(sink: &Sink, step: &StepId, (user, system): (Duration, Duration), memory: u64) {
    let (step, user, system) = (step.clone(), user.as_secs_f64(), system.as_secs_f64());
    sink.event(Event::StepUsed { step, user, system, memory });
}

/// Publishes what a run came to, or says how it failed.
async fn ended(context: &Context, index: usize, run: StepRun, pass: &Pass) -> Result<Ran, Stop> {
    let planned = &context.plan.steps[index];
    let command = context.specs[index].commands.get(run.command).map(|argv| shown_command(argv));
    let (looked_at, output) = (run.looked_at, explainable(&run.printed));
    let fail = async |failed: Failed| -> Result<Ran, Stop> {
        let seen = seen_by(context, &pass.project, looked_at.clone()).await?;
        let (command, output) = (command.clone(), output.clone());
        Ok(Ran::Failed(Box::new(Failed { command, output, seen, ..failed })))
    };
    match run.end {
        StepEnd::Made { path_set, trace, outputs } => {
            if planned.strict
                && let Some(broken) = strictly(context, planned, &path_set, &outputs)
            {
                return fail(Failed::of(broken)).await;
            }
            let mut made = (trace, path_set, outputs);
            if let (Some(carried), Some(state)) = (&pass.carried, &pass.state)
                && let Err(why) = carried.carry_on(context, index, (state, &pass.project), &mut made).await?
            {
                return Ok(Ran::Spoilt(why));
            }
            let hit = match &context.verification {
                Some(verification) => verify::compare(context, index, verification, made).await?,
                None => publish(context, index, made, Maker::Here).await?,
            };
            Ok(Ran::Made(Box::new(keep::carry(context, index, pass.state.as_ref(), hit))))
        }
        StepEnd::Failed(HowEnded::Cancelled) => Ok(Ran::Cancelled),
        StepEnd::Failed(how) => {
            let (exit, mut failure) = failure_words(&how, planned.timeout);
            if let Some(link) = link_out(context, &looked_at) {
                failure.push_str(&link);
            }
            fail(Failed { exit, limit: limit_of(&how), ..Failed::of(failure) }).await
        }
        StepEnd::Refused(refusal) => fail(Failed { exit: Some(0), ..Failed::of(refusal.to_string()) }).await,
        StepEnd::Unreadable(failure) if is_disk_full(&failure) => {
            let mut full =
                border::machine(format!("the disk is full: `{}` could not be stored", failure.path));
            full.causes.push(chain(&failure.error));
            Err(Stop::Fatal(Box::new(full.hint("make room and build again; nothing was lost"))))
        }
        StepEnd::Unreadable(failure) => {
            fail(Failed::of(format!("a file that it needs cannot be read: {}", chain(&failure)))).await
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

/// So much of the beginning and of the end of what a step printed may explain its failure, in bytes each.
const MAX_EXPLAINABLE: usize = 128 << 10;

/// The part of what a step printed that may explain its failure: causes come early, their consequences at the end.
pub(super) fn explainable(printed: &Printed) -> String {
    let lines = printed.lines();
    let fits = |bytes: &mut usize, line: &PrintedLine| {
        *bytes += line.bytes.len() + 1;
        *bytes <= MAX_EXPLAINABLE
    };
    let first = lines.iter().scan(0, |bytes, line| fits(bytes, line).then_some(())).count();
    let last = lines[first..].iter().rev().scan(0, |bytes, line| fits(bytes, line).then_some(())).count();
    let both = lines[..first].iter().chain(&lines[lines.len() - last..]);
    both.map(|line| String::from_utf8_lossy(&line.bytes).into_owned() + "\n").collect()
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

/// Whose run a trace is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// This pod's: it tells the others.
    Here,
    /// Another pod's, which has told.
    Elsewhere(PodId),
}

pub(super) async fn publish(
    context: &Context,
    index: usize,
    (trace, path_set, outputs): (Trace, PathSet, Tree),
    by: Maker,
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
    if let Maker::Elsewhere(pod) = &by {
        context.pod.supply().made_by(&hit.digest, pod)?;
    }
    if !planned.secrets.is_empty() {
        context.pod.supply().keep(&hit.digest)?;
    }
    match larder.add_trace(&hit.trace, &hit.path_set, context.workspace)? {
        Added::New(digest) => {
            hit.digest = digest;
            if by == Maker::Here {
                context.pod.supply().announce(&hit.trace, digest);
            }
        }
        Added::Known(digest) | Added::Revoked(digest) => hit.digest = digest,
        Added::Differs { first, now } => {
            let mut text = format!(
                "`{}` is not deterministic: the same inputs gave other outputs before ({} then, {} now)",
                planned.id,
                first.short(),
                now.short()
            );
            // The first result stays, for us as for everybody else.
            if let Some((trace, path_set)) = records::trace(larder, &first)?
                && let Some(tree) = outputs_of(context, &trace).await?
            {
                if let Some(differs) = differing::first_difference(larder, &tree, &hit.tree) {
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
