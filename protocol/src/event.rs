//! Events: one JSON object a line, for programs that follow a build. `docs/reference/events.md` describes them.
//!
//! Readers ignore events and fields that they do not know; [`EVENT_SCHEMA`] rises when a known one changes its meaning.

use serde::{Deserialize, Serialize};

use crate::chef::Reason;
use crate::{BuildId, RelPath, StepId};

/// The version that `build-started` carries.
pub const EVENT_SCHEMA: u32 = 2;

/// What the pod that builds is called in its events.
pub const HERE: &str = "here";

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Seconds since the build started, to the microsecond.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Which of a step's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a step came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its commands ran and succeeded.
    Ran,
    /// A trace answered for it; nothing ran.
    Reused,
    /// Its commands ran and failed, or what they did was refused.
    Failed,
    /// It was stopped before its end.
    Cancelled,
    /// A step that it needs did not succeed.
    Skipped,
}

/// A limit that a step was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// Of its memory.
    Memory,
    /// Of its processes and threads.
    Processes,
    /// Of what it writes.
    Disk,
}

/// How a build ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything that was wanted is there.
    Success,
    /// Something failed.
    Failure,
    /// Somebody stopped it.
    Cancelled,
}

/// What happens in a build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Always first.
    BuildStarted {
        /// [`EVENT_SCHEMA`].
        schema: u32,
        /// The build's id.
        build: BuildId,
    },
    /// The plan is known (again): how many steps the wanted targets need.
    Planned {
        /// Number of steps.
        steps: u64,
    },
    /// A step's commands start.
    StepStarted {
        /// Which step.
        step: StepId,
        /// The pod that runs it.
        pod: String,
        /// Why it runs, one line for people.
        reason: String,
    },
    /// A line that a step printed.
    StepOutput {
        /// Which step.
        step: StepId,
        /// Which stream.
        stream: Stream,
        /// The line without its end, UTF-8 (lossy).
        text: String,
    },
    /// A step waits in a look-up.
    StepHeld {
        /// Which step.
        step: StepId,
        /// The path that is being made for it.
        on: RelPath,
    },
    /// A held step goes on.
    StepResumed {
        /// Which step.
        step: StepId,
    },
    /// A step starts again.
    StepRestarted {
        /// Which step.
        step: StepId,
        /// Why, one line for people.
        why: String,
    },
    /// The commands of a step have ended, and have used so much.
    StepUsed {
        /// Which step.
        step: StepId,
        /// Seconds of processor time of all its processes in user mode.
        user: f64,
        /// The same in the kernel.
        system: f64,
        /// Bytes of memory of the largest process.
        memory: u64,
    },
    /// A step came to its end.
    StepFinished {
        /// Which step.
        step: StepId,
        /// How.
        how: How,
        /// Exit code of the command that ended it, where one ran to its end.
        exit: Option<i32>,
        /// Why it failed, was cancelled or skipped; `None` of a step that came to a good end.
        failure: Option<String>,
        /// Why its commands ran, or why they did not have to, one line for people; `None` where that was not asked for.
        #[serde(default)]
        reason: Option<String>,
        /// Which limit it was over, where that ended it; left out elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limited>,
        /// The command that ended a step that failed, as a shell would take it; left out elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// Wall seconds.
        seconds: f64,
    },
    /// Why a step that failed has failed, as far as a chef can tell.
    StepExplained {
        /// Which step.
        step: StepId,
        /// Reasons, the likeliest first.
        reasons: Vec<Reason>,
    },
    /// Words to the user that belong to no step.
    Note {
        /// `true`: something that should be looked into.
        warning: bool,
        /// The words.
        text: String,
    },
    /// Always last.
    BuildFinished {
        /// How it ended.
        outcome: Outcome,
        /// Steps that the wanted targets need.
        steps: u64,
        /// Of them, those that ran.
        ran: u64,
        /// Those that a trace answered.
        reused: u64,
        /// Those that failed.
        failed: u64,
        /// Outputs that were written into the project or removed from it.
        #[serde(default)]
        written: u64,
        /// Wall seconds of the build.
        seconds: f64,
    },
}

impl Event {
    /// The end of a step of which nothing else is to be said, and which took no time.
    pub fn step_finished(step: StepId, how: How) -> Self {
        Event::StepFinished {
            step,
            how,
            exit: None,
            failure: None,
            reason: None,
            limit: None,
            command: None,
            seconds: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_form_is_fixed() {
        let lines: Vec<String> = [
            Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(7) },
            Event::StepOutput { step: StepId::new("a"), stream: Stream::Stderr, text: "hi".into() },
            Event::StepFinished {
                step: StepId::new("a"),
                how: How::Failed,
                exit: Some(1),
                failure: Some("exit code 1".into()),
                reason: Some("a.c changed".into()),
                limit: None,
                command: Some("cc -c a.c".into()),
                seconds: 0.25,
            },
        ]
        .into_iter()
        .map(|event| serde_json::to_string(&Stamped { at: 0.5, event }).unwrap())
        .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"at":0.5,"event":"build-started","schema":2,"build":"00000000000000000000000000000007"}
        {"at":0.5,"event":"step-output","step":"a","stream":"stderr","text":"hi"}
        {"at":0.5,"event":"step-finished","step":"a","how":"failed","exit":1,"failure":"exit code 1","reason":"a.c changed","command":"cc -c a.c","seconds":0.25}
        "#);
    }
}
