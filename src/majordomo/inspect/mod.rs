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

use super::build::{MadeSoFar, StepView};
use super::prepare::Prepared;
use super::records;
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

/// What a step would see, given what other steps made.
fn project_for(prepared: &Prepared, made: &Arc<MadeSoFar>, step: usize, producers: &[usize]) -> Project {
    let outputs: Outputs = made.outputs_for(step, producers);
    let view = StepView::new(Arc::clone(made), step, Default::default());
    Project::new(Arc::clone(&prepared.sources), Arc::clone(&prepared.files), outputs)
        .seen_by(&prepared.specs[step])
        .with_promises(Arc::new(view))
}

/// What all steps made by their last traces, and for each step those that feed it besides the ones that it is after.
fn made_last(pod: &Pod, prepared: &Prepared) -> Fallible<(Arc<MadeSoFar>, Vec<Vec<usize>>)> {
    let plan = &prepared.plan;
    let made = Arc::new(MadeSoFar::new(Arc::clone(plan)));
    let (larder, workspace) = (pod.larder(), prepared.workspace.id());
    for (id, record) in records::all(larder, workspace).map_err(larder_failed)? {
        let Some(step) = plan.step(&id) else { continue };
        let tree = match records::state(larder, workspace, &id).map_err(larder_failed)? {
            Some(settled) => Some(settled.tree),
            None => match records::trace(larder, &record.trace).map_err(larder_failed)? {
                Some((trace, _)) => tree(pod, &trace.outputs)?,
                None => None,
            },
        };
        // Two that clash were never built together.
        if let Some(tree) = tree {
            made.add(step, Arc::new(tree), true).ok();
        }
    }
    let mut edges = vec![Vec::new(); plan.steps.len()];
    let needed = records::edges(larder, workspace).map_err(larder_failed)?;
    let if_there = records::edges_if_there(larder, workspace).map_err(larder_failed)?;
    for (consumer, producers) in needed.into_iter().chain(if_there) {
        if let Some(consumer) = plan.step(&consumer) {
            edges[consumer].extend(producers.iter().filter_map(|producer| plan.step(producer)));
        }
    }
    Ok((made, edges))
}

/// A tree of the larder.
fn tree(pod: &Pod, digest: &protocol::Digest) -> Fallible<Option<Tree>> {
    let bytes = pod.larder().get(larder::ObjectKind::Tree, digest).map_err(larder_failed)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()))
}
