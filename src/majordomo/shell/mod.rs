//! `majordomo shell`: somebody looks into the root of a step.
//!
//! Actors. The client has a terminal, or pipes, of which it keeps one side; when it is told that the root is ready, it hands the other
//! side over at a [`Door`] ([`streams`]). The build makes what the step needs, and in the step's turn runs what was asked for
//! ([`Visitor`]) on these streams. What is printed goes through nobody else's hands.
//!
//! Errors: what cannot be made for the step is a build that fails; how the visit ended is [`ShellNews::Ended`]. Whoever goes first,
//! client or pod, ends the visit. A crash loses it, and what the failed step had left.

pub mod streams;

use std::path::PathBuf;
use std::sync::Arc;

use node::Pod;
use protocol::event::Outcome;
use protocol::{RelPath, StepId};
use serde::{Deserialize, Serialize};

use super::border;
use super::build::{self, Visitor};
use super::door::Door;
use super::request::{BuildOptions, Failure};
use super::sink::{Cancel, Sink};

/// What is looked into, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellRequest {
    /// The project's folder, absolute.
    pub project: PathBuf,
    /// A step's id, a rule that has one step, or a path that a step promises.
    pub step: String,
    /// What is run; empty: a shell.
    pub command: Vec<String>,
    /// How what it needs is made, and in what all of it runs.
    pub options: BuildOptions,
    /// As the step finds it before it runs, though it has failed.
    pub is_fresh: bool,
    /// The kind of the client's terminal.
    pub term: Option<String>,
    /// The caller's environment, as of a build.
    pub environment: Vec<(String, String)>,
}

/// What happens while somebody looks into a step's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shell", rename_all = "kebab-case")]
pub enum ShellNews {
    /// The root is there.
    Ready {
        /// Where the client has to hand its streams over, once.
        socket: PathBuf,
        /// Whose root it is.
        step: StepId,
        /// What the step runs, as a shell would take it.
        commands: Vec<String>,
        /// The step has failed, and what it had written then is there.
        is_failed: bool,
    },
    /// What was run has ended.
    Ended {
        /// Its exit code, or what a shell would say of its end.
        code: i32,
        /// Why it was ended, or could not begin.
        why: Option<String>,
        /// Something that had changed since the root was made, and so could not be read.
        changed: Option<RelPath>,
    },
}

/// Makes what a step needs, and lets the client into its root.
pub async fn shell(
    pod: &Pod,
    asked: ShellRequest,
    sink: &Sink,
    cancel: &Cancel,
) -> Result<Outcome, Box<Failure>> {
    let door = Door::open(pod.home().path()).map_err(|error| {
        let mut failure = border::machine("no socket can be made for the shell");
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    let building = build::Asked {
        project: asked.project.clone(),
        targets: Vec::new(),
        options: asked.options.clone(),
        environment: asked.environment.clone(),
    };
    let visitor = Arc::new(Visitor::new(asked, door));
    let leaving = visitor.leaving().clone();
    let visit = build::visit(pod, building, visitor, sink);
    tokio::pin!(visit);
    tokio::select! {
        ended = &mut visit => return ended,
        () = cancel.wait() => leaving.set(),
    }
    visit.await
}
