//! The requests that ask and do not build: `status`, `why`, `trace`, `graph`; and `forget` and `clean`.
//!
//! All but the last two change nothing: no workspace is made, no lock taken, no trace adopted. They look at the project as
//! it is at that moment, and evaluate what the last traces saw.

mod forget;
mod graph;
mod status;
mod trace;
mod why;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use node::{Outputs, Pod, Project};
use protocol::Tree;

use super::build::MadeSoFar;
use super::prepare::Prepared;
use super::request::Failure;
use super::sink::Sink;
use super::workspace::{Moment, Workspace};
use super::{border, build};

pub use forget::{clean, forget};
pub use graph::graph;
pub use status::{status, status_of};
pub use trace::trace;
pub use why::why;

type Fallible<T> = Result<T, Box<Failure>>;

fn larder_failed(error: larder::LarderError) -> Box<Failure> {
    Box::new(border::node(&error.into()))
}

fn node_failed(error: node::NodeError) -> Box<Failure> {
    Box::new(border::node(&error))
}

/// The workspace of a project that was built before.
fn built(project: &Path) -> Fallible<Workspace> {
    let workspace = Workspace::open(project).map_err(|e| Box::new(border::workspace(&e)))?;
    workspace.ok_or_else(|| {
        let failure = border::mistake(format!("`{}` was never built", project.display()));
        Box::new(failure.hint("`majordomo build` makes everything that has to be made"))
    })
}

/// Looks at a project that was built before, with the environment of the pod for variables that steps pass on.
async fn prepared(pod: &Pod, project: &Path, sink: &Sink) -> Fallible<Prepared> {
    let (pod, project, sink) = (pod.clone(), project.to_owned(), sink.clone());
    let preparing = tokio::task::spawn_blocking(move || {
        let workspace = built(&project)?;
        let manifest = build::manifest(&pod, &workspace, &sink)?;
        // Values that are not UTF-8 are not passed on to steps either.
        let environment: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Prepared::new(&pod, workspace, manifest, Moment::now(), &environment)
    });
    preparing.await.map_err(|_| Box::new(border::machine("looking at the project ended in the middle")))?
}

/// What a step would see, given what the steps before it made.
fn project_for(prepared: &Prepared, made: &MadeSoFar, step: usize) -> Project {
    let outputs: Outputs = made.outputs_for(step);
    Project::new(Arc::clone(&prepared.sources), Arc::clone(&prepared.files), outputs)
        .seen_by(&prepared.specs[step])
}

/// A tree of the larder.
fn tree(pod: &Pod, digest: &protocol::Digest) -> Fallible<Option<Tree>> {
    let bytes = pod.larder().get(larder::ObjectKind::Tree, digest).map_err(larder_failed)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()))
}
