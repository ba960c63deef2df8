//! The requests that ask and do not build: `status`, `why`, `trace`, `graph`; and `forget` and `clean`.
//!
//! All but the last two change nothing on disk: no workspace is made, no lock taken, no trace adopted, no digest remembered. They
//! look at the project as it is at that moment, and evaluate what the last traces saw. Where there is no home, none is
//! made: nothing is known then, and the plan alone answers ([`without_a_home`]).

mod causes;
mod forget;
mod graph;
mod leads;
mod looked;
mod makers;
mod names;
mod status;
mod target;
mod trace;
mod why;

use std::path::Path;

use node::{Access, Pod};
use protocol::{RelPath, StepId, Tree};

use super::border;
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
    let (Request::Status { project, environment }
    | Request::Graph { project, environment }
    | Request::Why { project, environment, .. }) = request
    else {
        return None;
    };
    let answer = || -> Fallible<Report> {
        let planned = planned(project, environment, |_| Ok(Vec::new()))?;
        Ok(match request {
            Request::Graph { .. } => Report::Graph(graph::of_unknown(&planned)),
            Request::Why { target, .. } => Report::Why(why::of_unknown(&planned, target)?),
            _ => Report::Status(status::of_unknown(&planned)),
        })
    };
    Some(answer().map_err(|failure| *failure))
}

/// A tree of the larder.
fn tree(pod: &Pod, digest: &protocol::Digest) -> Fallible<Option<Tree>> {
    let bytes = pod.larder().get(larder::ObjectKind::Tree, digest).map_err(larder_failed)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()))
}
