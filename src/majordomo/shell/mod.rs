//! `majordomo shell`: somebody looks into the root of a step.
//!
//! Actors. The client has a terminal, or pipes, of which it keeps one side; when it is told that the root is ready, it hands the other
//! side over at a [`Door`] ([`streams`]). The build makes what the step needs, and in the step's turn runs what was asked for
//! ([`Visitor`]) on these streams. What is printed goes through nobody else's hands.
//!
//! Errors: what cannot be made for the step is a build that fails; how the visit ended is [`ShellNews::Ended`](super::request::ShellNews::Ended).
//! Whoever goes first, client or pod, ends the visit. A crash loses it, and what the failed step had left.

pub mod streams;

use std::sync::Arc;

use node::Pod;
use protocol::event::Outcome;

use super::border;
use super::build::{self, Visitor};
use super::door::Door;
use super::request::{Failure, ShellRequest};
use super::sink::{Cancel, Sink};

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
