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
mod targets;
mod trace;
mod why;

use std::path::Path;

use node::{Access, Pod};
use protocol::Tree;

use super::prepare::{self, Planned, Prepared, Scanned};
use super::records;
use super::request::{Failure, Report, Request};
use super::workspace::{Manifest, Moment, Workspace, WorkspaceError};
use super::{border, chefs};

pub use forget::{clean, forget};
pub use graph::graph;
pub use status::{status, status_of};
pub use target::{declared, nobody};
pub use targets::{handed_over, targets};
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
///
/// # Errors
/// It never was, or its workspace cannot be used.
pub fn built(project: &Path) -> Fallible<Workspace> {
    let workspace = Workspace::open(project).map_err(|e| Box::new(border::workspace(&e)))?;
    workspace.ok_or_else(|| {
        let failure = border::mistake(format!("`{}` was never built", project.display()));
        Box::new(failure.hint("`majordomo build` makes everything that has to be made"))
    })
}

/// The caller's environment.
type Variables = [(String, String)];

/// Looks at a project and plans, with what the user's pod knows: what was made, should the manifest be damaged, and what chefs planned.
fn planned(project: &Path, environment: &Variables, pod: Option<&Pod>) -> Fallible<Planned> {
    let larder = pod.map(Pod::larder);
    let failed = |error: WorkspaceError| Box::new(border::workspace(&error));
    let workspace = Workspace::open_or_imagine(project).map_err(failed)?;
    let manifest = match Manifest::load(&workspace) {
        Err(WorkspaceError::Damaged { .. }) => {
            let known = larder.map_or(Ok(Vec::new()), |larder| records::outputs(larder, workspace.id()));
            Manifest::recognise(&workspace, known.map_err(larder_failed)?).map_err(failed)?.0
        }
        other => other.map_err(failed)?,
    };
    let (mut file, said) = chefs::last_file(larder, &workspace)?;
    let environment = prepare::environment(environment);
    let lenses = match pod {
        Some(pod) => chefs::lenses::find(pod, workspace.project(), &mut file, &said, &environment)?,
        None => Default::default(),
    };
    let scanned = Scanned::new(workspace, manifest, Moment::now())?;
    Planned::new((&file, lenses), scanned, &environment)
}

/// Looks at a project, which may never have been built.
async fn prepared(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<Prepared> {
    let (pod, project, environment) = (pod.clone(), project.to_owned(), environment.to_vec());
    let preparing = tokio::task::spawn_blocking(move || {
        Prepared::of(planned(&project, &environment, Some(&pod))?, &pod, Access::OnlyLook)
    });
    preparing.await.map_err(|_| Box::new(border::machine("looking at the project ended in the middle")))?
}

/// The answer to a request of the user who has no home yet, if it is one for which none has to be made.
pub fn without_a_home(request: &Request) -> Option<Result<Report, Failure>> {
    match request {
        Request::Chef(asked) => {
            return Some(chefs::without_a_home(asked)?.map(Report::Chefs).map_err(|failure| *failure));
        }
        // That it was never built says more.
        Request::Trace { project, .. }
        | Request::Forget { project, .. }
        | Request::Monitor { project, .. } => {
            return built(project).err().map(|failure| Err(*failure));
        }
        _ => {}
    }
    let (Request::Status { project, environment }
    | Request::Graph { project, environment }
    | Request::Why { project, environment, .. }) = request
    else {
        return None;
    };
    let answer = || -> Fallible<Report> {
        let planned = planned(project, environment, None)?;
        Ok(match request {
            Request::Graph { .. } => Report::Graph(graph::of_unknown(&planned)),
            Request::Why { target, .. } => Report::Why(Box::new(why::of_unknown(&planned, target)?)),
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
