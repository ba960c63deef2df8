//! The requests that ask and do not build: `status`, `why`, `trace`, `graph`; and `forget` and `clean`.
//!
//! All but the last two change nothing on disk: no workspace is made, no lock taken, no trace adopted, no digest remembered. They
//! look at the project as it is at that moment, and evaluate what the last traces saw. Where there is no home, none is
//! made: nothing is known then, and the plan alone answers ([`without_a_home`]).

mod forget;
mod graph;
mod status;
mod trace;
mod why;

use std::path::Path;
use std::sync::Arc;

use node::{Access, Outputs, Pod, Project};
use protocol::{RelPath, StepId, Tree};

use super::border;
use super::build::{MadeSoFar, StepView};
use super::prepare::{self, Planned, Prepared};
use super::records;
use super::request::{Failure, Report, Request};
use super::workspace::{Made, Manifest, Moment, Workspace, WorkspaceError};

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

/// The caller's environment.
type Variables = [(String, String)];

/// Looks at a project and plans, with what is `known` to have been made should the manifest be damaged.
fn planned(
    project: &Path,
    environment: &Variables,
    known: impl FnOnce(&Workspace) -> Fallible<Vec<(RelPath, Made, StepId)>>,
) -> Fallible<Planned> {
    let failed = |error: WorkspaceError| Box::new(border::workspace(&error));
    let workspace = Workspace::open_or_imagine(project).map_err(failed)?;
    let manifest = match Manifest::load(&workspace) {
        Err(WorkspaceError::Damaged { .. }) => {
            Manifest::recognise(&workspace, known(&workspace)?).map_err(failed)?.0
        }
        other => other.map_err(failed)?,
    };
    Planned::new(workspace, manifest, Moment::now(), &prepare::environment(environment))
}

/// Looks at a project, which may never have been built.
async fn prepared(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<Prepared> {
    let (pod, project, environment) = (pod.clone(), project.to_owned(), environment.to_vec());
    let preparing = tokio::task::spawn_blocking(move || {
        let known =
            |workspace: &Workspace| records::outputs(pod.larder(), workspace.id()).map_err(larder_failed);
        Prepared::of(planned(&project, &environment, known)?, &pod, Access::OnlyLook)
    });
    preparing.await.map_err(|_| Box::new(border::machine("looking at the project ended in the middle")))?
}

/// The answer to a request of the user who has no home yet, if it is one for which none has to be made.
pub fn without_a_home(request: &Request) -> Option<Result<Report, Failure>> {
    let answer = |project: &Path, environment: &Variables, report: fn(&Planned) -> Report| {
        planned(project, environment, |_| Ok(Vec::new())).map(|planned| report(&planned)).map_err(|e| *e)
    };
    Some(match request {
        Request::Status { project, environment } => {
            answer(project, environment, |planned| Report::Status(status::of_unknown(planned)))
        }
        Request::Graph { project, environment } => {
            answer(project, environment, |planned| Report::Graph(graph::of_unknown(planned)))
        }
        _ => return None,
    })
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
