//! One step of a build: looked up, else run, judged and published.

use std::sync::Arc;
use std::time::Instant;

use kitchen::HowEnded;
use larder::{Added, ObjectKind};
use node::{Printed, PrintedLine, Project, StepEnd, StepOrder, StepRun, Verdict};
use protocol::event::{Event, How};
use protocol::{Digest, Look, PathSet, RelPath, StepId, Trace, Tree, TreeEntry};

use super::context::{Context, Stop};
use super::reason;
use crate::majordomo::plan::PlannedStep;
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
}

/// Brings one step to its end. All steps that it is `after` must have succeeded.
pub async fn step(context: Arc<Context>, index: usize) -> Result<StepResult, Stop> {
    let planned = &context.plan.steps[index];
    let project = Arc::new(context.project_for(index));
    let begun = Instant::now();
    if !context.options.cold
        && !planned.volatile
        && let Verdict::Hit { digest, trace, path_set } =
            context.evaluator.look_up(&context.specs[index], &project, context.workspace).await?
        && let Some(tree) = outputs_of(&context, &trace)?
    {
        if let Some(path) = changed_source(&context, &tree) {
            return Ok(refuse(&context, planned, &format!("it changes the source `{path}`"), begun));
        }
        return adopt(&context, index, Hit { digest, trace, path_set, tree }, begun);
    }
    let reason = why(&context, index, &project).await?;
    let Ok(_slot) = context.slots.acquire().await else { return Ok(StepResult::Cancelled) };
    if context.cancel.is_set() {
        return Ok(StepResult::Cancelled);
    }
    let begun = Instant::now();
    context.sink.event(Event::StepStarted {
        step: planned.id.clone(),
        pod: "local".to_owned(),
        reason: reason.clone(),
    });
    let order = StepOrder {
        spec: Arc::clone(&context.specs[index]),
        project,
        tools: Arc::clone(&context.tools),
        timeout: planned.timeout,
    };
    let (sink, id) = (context.sink.clone(), planned.id.clone());
    let on_line = move |line: &PrintedLine| print(&sink, &id, line);
    let run = context.pod.run(order, &on_line, context.cancel.wait()).await?;
    ended(&context, index, run, &reason, begun)
}

struct Hit {
    digest: Digest,
    trace: Arc<Trace>,
    path_set: Arc<PathSet>,
    tree: Tree,
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

fn adopt(context: &Context, index: usize, hit: Hit, begun: Instant) -> Result<StepResult, Stop> {
    let planned = &context.plan.steps[index];
    let larder = context.pod.larder();
    if let Some(printed) = &hit.trace.printed
        && let Some(bytes) = larder.get(ObjectKind::Blob, printed)?
        && let Ok(printed) = Printed::decode(&bytes)
    {
        for line in printed.lines() {
            print(&context.sink, &planned.id, line);
        }
    }
    context.note_host_paths(&hit.path_set);
    larder.hit(&hit.trace, context.workspace)?;
    let last = context.last.get(&planned.id);
    if last.is_none_or(|last| last.trace != hit.digest) {
        let reason = last.map_or("it was made elsewhere", |last| &last.reason).to_owned();
        records::write(larder, context.workspace, &planned.id, &Record { trace: hit.digest, reason })?;
    }
    if let Err(clash) = context.made.add(index, Arc::new(hit.tree)) {
        return Ok(refuse(context, planned, &clash.to_string(), begun));
    }
    let explained = context.options.explain.then(|| {
        let looks = hit.path_set.looks().len();
        format!("all {looks} observations of {} hold", hit.digest.short())
    });
    finish(context, planned, How::Reused, Ending { failure: explained, ..Ending::default() }, begun);
    Ok(StepResult::Reused)
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
        Some(record) => records::trace(context.pod.larder(), &record.trace)?,
        None => None,
    };
    let last = last.as_ref().map(|(trace, set)| (trace, &**set));
    let weak = context.specs[index].weak_key();
    Ok(reason::of_last(&context.evaluator, project, &weak, last).await?)
}

/// Events, records and trace of a step that has run.
fn ended(
    context: &Context,
    index: usize,
    run: StepRun,
    reason: &str,
    begun: Instant,
) -> Result<StepResult, Stop> {
    let planned = &context.plan.steps[index];
    let command = context.specs[index].commands.get(run.command).map(|argv| shown_command(argv));
    let fail = |exit: Option<i32>, failure: String| {
        let ending = Ending { exit, failure: Some(failure), command: command.clone() };
        finish(context, planned, How::Failed, ending, begun);
        Ok(StepResult::Failed)
    };
    match run.end {
        StepEnd::Made { path_set, trace, outputs } => {
            if planned.strict
                && let Some(broken) = strictly(context, planned, &path_set, &outputs)
            {
                return fail(None, broken);
            }
            publish(context, index, trace, path_set, outputs, reason, begun)
        }
        StepEnd::Failed(HowEnded::Cancelled) => {
            finish(context, planned, How::Cancelled, Ending::default(), begun);
            Ok(StepResult::Cancelled)
        }
        StepEnd::Failed(how) => {
            let (exit, words) = failure_words(&how, planned);
            fail(exit, words)
        }
        StepEnd::Refused(refusal) => fail(Some(0), refusal.to_string()),
        StepEnd::Unreadable(failure) => {
            fail(None, format!("a file that it needs cannot be read: {}", chain(&failure)))
        }
        StepEnd::SourceChanged(path) => {
            Err(Stop::Restart(format!("`{path}` changed while `{}` ran", planned.id)))
        }
        StepEnd::ToolsChanged(paths) => {
            let path = paths.first().map(ToString::to_string).unwrap_or_default();
            Err(Stop::Restart(format!("`/{path}` changed while `{}` ran", planned.id)))
        }
        StepEnd::Lost(path) => Err(Stop::Restart(format!("the bytes of `{path}` are gone from the larder"))),
    }
}

fn publish(
    context: &Context,
    index: usize,
    trace: Trace,
    path_set: PathSet,
    outputs: Tree,
    reason: &str,
    begun: Instant,
) -> Result<StepResult, Stop> {
    let planned = &context.plan.steps[index];
    let outputs = Arc::new(outputs);
    if let Err(clash) = context.made.add(index, Arc::clone(&outputs)) {
        return Ok(refuse(context, planned, &clash.to_string(), begun));
    }
    context.note_host_paths(&path_set);
    if !planned.volatile {
        let larder = context.pod.larder();
        let added = larder.add_trace(&trace, &path_set, context.workspace)?;
        if let Added::Differs { first, now } = added {
            let text = format!(
                "`{}` is not deterministic: the same inputs gave other outputs before ({} then, {} now)",
                planned.id,
                first.short(),
                now.short()
            );
            context.sink.note(true, text);
        }
        let record =
            Record { trace: added.trace().unwrap_or_else(|| trace.digest()), reason: reason.to_owned() };
        records::write(larder, context.workspace, &planned.id, &record)?;
    }
    let ending = Ending { exit: Some(0), failure: Some(reason.to_owned()), command: None };
    finish(context, planned, How::Ran, ending, begun);
    Ok(StepResult::Ran)
}

#[derive(Default)]
struct Ending {
    exit: Option<i32>,
    failure: Option<String>,
    command: Option<String>,
}

fn finish(context: &Context, planned: &PlannedStep, how: How, ending: Ending, begun: Instant) {
    context.sink.event(Event::StepFinished {
        step: planned.id.clone(),
        how,
        exit: ending.exit,
        failure: ending.failure,
        command: ending.command,
        seconds: begun.elapsed().as_secs_f64(),
    });
}

fn refuse(context: &Context, planned: &PlannedStep, why: &str, begun: Instant) -> StepResult {
    let ending = Ending { failure: Some(why.to_owned()), ..Ending::default() };
    finish(context, planned, How::Failed, ending, begun);
    StepResult::Failed
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
