//! Words for how steps fail, as people read them.

use std::time::Duration;

use kitchen::{HowEnded, Limit};
use node::Entry;
use protocol::event::Limited;
use protocol::{Look, PathSet, RelPath, Tree};

use super::context::Context;
use crate::majordomo::plan::PlannedStep;

/// How a step ended that did not end well: its exit code, and words; `timeout`: its own.
pub fn failure_words(how: &HowEnded, timeout: Option<Duration>) -> (Option<i32>, String) {
    let name = |command: &[u8]| protocol::path::escape(command);
    match how {
        HowEnded::Exit(code) => (Some(*code), format!("exit code {code}")),
        HowEnded::Signal(signal) => (None, format!("a signal ended it: {}", signal_name(*signal))),
        HowEnded::TimedOut => {
            // One that it does not have itself is the pod's.
            let text = match timeout {
                Some(timeout) => format!("it was ended after {} s, its `timeout`", timeout.as_secs_f64()),
                None => "it was ended after the `time` that the pod's `pod.toml` gives to a step".to_owned(),
            };
            (None, text)
        }
        HowEnded::Cancelled => (None, "it was cancelled".to_owned()),
        HowEnded::OverLimit(limit) => (None, format!("killed: over {limit}")),
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

/// Why a step is begun once more whose kitchen somebody ended.
pub fn restarted_words(error: &node::NodeError) -> String {
    format!("what it ran in was ended from outside ({error})")
}

/// Which limit a run was over, if that ended it.
pub fn limit_of(how: &HowEnded) -> Option<Limited> {
    match how {
        HowEnded::OverLimit(limit) => Some(match limit {
            Limit::Memory(_) => Limited::Memory,
            Limit::Processes(_) => Limited::Processes,
            Limit::Disk(_) => Limited::Disk,
        }),
        _ => None,
    }
}

/// What a signal is called.
pub fn signal_name(signal: i32) -> String {
    let known = signal_hook::low_level::signal_name(signal);
    known.map_or_else(|| format!("signal {signal}"), str::to_owned)
}

/// A command as a shell would take it; the `sh -eu -c` that the plan put in front is left out.
pub fn shown_command(argv: &[Vec<u8>]) -> String {
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

/// An error and its causes in one line, none of them twice.
pub fn chain(error: &dyn std::error::Error) -> String {
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

/// A link of the sources that leads where no step can follow, if the step looked at one: the likely cause of its failure.
pub(super) fn link_out(context: &Context, looked_at: &[(RelPath, Look)]) -> Option<String> {
    let mut links = looked_at.iter().filter(|(_, look)| *look == Look::Link).map(|(path, _)| path);
    links.find_map(|path| match context.sources.get(path) {
        Some(Entry::Link { target }) if crate::majordomo::snapshot::escapes(path, &target) => {
            let target = protocol::path::escape(&target);
            Some(format!(
                "; `{path}` is a link out of the project, to `{target}`, which steps see only in tool roots"
            ))
        }
        _ => None,
    })
}

/// What a strict step did beyond what it declares.
pub(super) fn strictly(
    context: &Context,
    planned: &PlannedStep,
    set: &PathSet,
    outputs: &Tree,
) -> Option<String> {
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
