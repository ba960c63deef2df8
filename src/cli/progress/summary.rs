//! The ends of steps and builds, in words.

use protocol::event::{How, Outcome};

use crate::words::{counted, seconds};

/// How a step ended.
pub(super) struct End {
    pub how: How,
    pub exit: Option<i32>,
    pub text: Option<String>,
    pub command: Option<String>,
    pub seconds: f64,
}

impl End {
    /// Why it failed.
    pub(super) fn why_failed(&self) -> String {
        match (&self.text, self.exit) {
            (Some(text), _) => text.clone(),
            (None, Some(code)) => format!("exit code {code}"),
            (None, None) => "no reason is known".to_owned(),
        }
    }

    /// `: ` and its words, where there are any.
    pub(super) fn because(&self) -> String {
        self.text.as_deref().map(|text| format!(": {text}")).unwrap_or_default()
    }
}

/// What a build did.
pub(super) struct Counts {
    pub steps: u64,
    pub ran: u64,
    pub reused: u64,
    pub failed: u64,
    pub written: u64,
    pub skipped: u64,
}

impl Counts {
    /// The last line of a build.
    pub(super) fn sentence(&self, outcome: Outcome, took: f64) -> String {
        let took = seconds(took);
        let how = match outcome {
            Outcome::Success if self.ran + self.failed + self.written == 0 => {
                return "nothing to do".to_owned();
            }
            Outcome::Success => format!("built in {took}"),
            Outcome::Failure => format!("failed after {took}"),
            Outcome::Cancelled => format!("cancelled after {took}"),
        };
        let mut text =
            format!("{how}: {}, {} ran, {} reused", counted(self.steps, "step"), self.ran, self.reused);
        for (number, what) in [(self.failed, "failed"), (self.skipped, "skipped")] {
            if number > 0 {
                text.push_str(&format!(", {number} {what}"));
            }
        }
        if self.ran == 0 && self.written > 0 {
            text.push_str(&format!(", {} written", counted(self.written, "output")));
        }
        text
    }
}
