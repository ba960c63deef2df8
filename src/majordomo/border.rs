//! Turns typed errors into [`Failure`]s: whose fault, what happened, why, and what to do next.

use std::path::Path;

use node::{HomeError, NodeError};

use super::handover::HandOverError;
use super::plan::{PlanError, TargetError};
use super::project_file::ProjectFileError;
use super::request::{Failure, FailureKind};
use super::snapshot::SnapshotError;
use super::watch::watched::Lost;
use super::workspace::WorkspaceError;

fn with_hints(failure: Failure, hints: impl IntoIterator<Item = String>) -> Failure {
    hints.into_iter().fold(failure, Failure::hint)
}

/// A question about a home that is not there.
pub fn no_home(home: &Path) -> Failure {
    mistake(format!("there is no home at `{}`", home.display()))
        .hint("name another one: `--home DIR`; the first build or `pod join` makes it")
}

/// A failure of the pod.
pub fn node(error: &NodeError) -> Failure {
    if let NodeError::Home(home) = error {
        return self::home(home);
    }
    let mut failure = Failure::new(FailureKind::Machine, error);
    // `#[error(transparent)]` variants say the same twice.
    failure.causes.retain(|cause| *cause != failure.message);
    with_hints(failure, error.hints())
}

/// A home that cannot be used.
pub fn home(error: &HomeError) -> Failure {
    let kind = match error {
        HomeError::Io { .. } => FailureKind::Machine,
        _ => FailureKind::User,
    };
    with_hints(Failure::new(kind, error), error.hint())
}

/// There is no federation that could be asked about.
pub fn no_federation() -> Failure {
    mistake("this pod is in no federation")
        .hint("`pod join nats://HOST:4222` founds one, or comes into one by an invitation")
}

/// A workspace that cannot be used.
pub fn workspace(error: &WorkspaceError) -> Failure {
    let kind = match error {
        WorkspaceError::Full(_) | WorkspaceError::Io { .. } | WorkspaceError::Damaged { .. } => {
            FailureKind::Machine
        }
        _ => FailureKind::User,
    };
    with_hints(Failure::new(kind, error), error.advice())
}

/// A project that cannot be looked at.
pub fn snapshot(error: &SnapshotError) -> Failure {
    let kind = match error {
        SnapshotError::Restless(_) | SnapshotError::TooLarge(_) => FailureKind::Machine,
        _ => FailureKind::User,
    };
    Failure::new(kind, error)
}

/// A project that cannot be watched any more.
pub fn lost(lost: &Lost) -> Failure {
    match lost {
        Lost::Watch(error) => with_hints(Failure::new(FailureKind::Machine, error), error.advice()),
        Lost::Snapshot(error) => snapshot(error),
        Lost::Workspace(error) => workspace(error),
        Lost::Gone(_) => Failure::new(FailureKind::User, lost),
        Lost::Removed(_) => {
            Failure::new(FailureKind::User, lost).hint("if it is not, watch it anew: `majordomo watch`")
        }
    }
}

/// A project file that cannot be read as one.
pub fn project_file(error: &ProjectFileError) -> Failure {
    with_hints(Failure::new(FailureKind::User, error), error.hints())
}

/// A project file that cannot be planned.
pub fn plan(error: &PlanError) -> Failure {
    with_hints(Failure::new(FailureKind::User, error), error.hints())
}

/// A target that means nothing.
pub fn target(error: &TargetError) -> Failure {
    with_hints(Failure::new(FailureKind::User, error), error.hints())
}

/// The user's mistake, in a sentence.
pub fn mistake(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::User, message: message.into(), causes: Vec::new(), hints: Vec::new() }
}

/// The machine's failure, in a sentence.
pub fn machine(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Machine, message: message.into(), causes: Vec::new(), hints: Vec::new() }
}

/// A hand-over that could not be made.
pub fn handover(error: &HandOverError) -> Failure {
    let kind = match error {
        HandOverError::Conflicts(_) | HandOverError::NoFolder { .. } | HandOverError::ReadOnly(_) => {
            FailureKind::User
        }
        HandOverError::Workspace(inner) => return workspace(inner),
        _ => FailureKind::Machine,
    };
    with_hints(Failure::new(kind, error), error.advice())
}
