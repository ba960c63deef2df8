//! Why a request failed, as people and programs are told.

use serde::{Deserialize, Serialize};

/// Whose fault a failure is; picks the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A step failed: exit code 1.
    Step,
    /// The user's mistake: exit code 2.
    User,
    /// The machine failed: exit code 3.
    Machine,
}

/// An error at the border: what happened, to what, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub kind: FailureKind,
    /// What happened, to what: one sentence fragment in lower case.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// From a typed error: its message and its source chain.
    pub fn new(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |e| e.source()).map(ToString::to_string).collect();
        Self { kind, message: error.to_string(), causes, hints: Vec::new() }
    }

    /// With one more thing to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
