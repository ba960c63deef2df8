//! Exit codes: what a script can rely on.

use std::process::ExitCode;

use crate::interrupt::Signal;
use crate::majordomo::request::FailureKind;

/// How a process of ours ends. The numbers are a promise: `docs/reference/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done,
    /// A step failed.
    StepFailed,
    /// The user's mistake: arguments, project file, an output edited by hand.
    Mistake,
    /// The machine failed: disk, memory, missing kernel features, a damaged larder.
    Machine,
    /// A signal ended it.
    Interrupted(Signal),
    /// What a command that was run for the caller ended with.
    Passed(u8),
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::StepFailed => 1,
            Exit::Mistake => 2,
            Exit::Machine => 3,
            Exit::Interrupted(signal) => signal.exit_code(),
            Exit::Passed(code) => code,
        }
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Step => Exit::StepFailed,
            FailureKind::User => Exit::Mistake,
            FailureKind::Machine => Exit::Machine,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_code() {
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reference/exit-codes.md"))
                .expect("the page is there");
        let signals = [Signal::Hangup, Signal::Interrupt, Signal::Terminate].map(Exit::Interrupted);
        for exit in [Exit::Done, Exit::StepFailed, Exit::Mistake, Exit::Machine].into_iter().chain(signals) {
            let row = format!("| {} |", exit.code());
            assert!(page.contains(&row), "no row `{row}` in exit-codes.md");
        }
    }
}
