//! The beginning of an attempt: the project is scanned, and planned by its file or by chefs.

use std::ops::ControlFlow;
use std::sync::Arc;

use node::{Access, NodeError, Pod};

use super::attempt::Done;
use super::context::{Changed, Stop};
use super::{Asked, Fallible, finish, manifest};
use crate::majordomo::chefs::{self, Recipe};
use crate::majordomo::prepare::{self, Planned, Prepared, Scanned};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::workspace::{Lock, Moment, Workspace};

/// On a thread that nobody waits for: scanning and planning may take a while for big projects.
///
/// # Errors
/// What the deed says; or it ended in the middle.
pub async fn aside<T: Send + 'static>(act: impl FnOnce() -> Fallible<T> + Send + 'static) -> Result<T, Stop> {
    let running = tokio::task::spawn_blocking(act);
    running.await.map_err(|_| Stop::from(NodeError::Task("prepare")))?.map_err(Stop::Fatal)
}

/// The project as it is now, ready to be built; `moment` is from before. Break: the build is over before it has a plan.
pub(super) async fn prepared(
    pod: &Pod,
    workspace: &Workspace,
    (lock, moment): (&Arc<Lock>, Moment),
    asked: &Asked,
    (sink, cancel): (&Sink, &Cancel),
) -> Result<ControlFlow<Done, Prepared>, Stop> {
    let (theirs, workspace_, sink_) = (pod.clone(), workspace.clone(), sink.clone());
    let (recipe, scanned) = aside(move || {
        prepare::outside(theirs.home().path(), workspace_.project())?;
        let manifest = manifest(&theirs, &workspace_, &sink_)?;
        let recipe = chefs::recipe(workspace_.project())?;
        Ok((recipe, Scanned::new(workspace_, manifest, moment)?))
    })
    .await?;
    let (mut file, by_chefs, said) = match recipe {
        Recipe::Steps(file) => (*file, None, Vec::new()),
        Recipe::Chefs(file) => {
            let said = chefs::said(file.as_deref());
            match chefs::ask(pod, &scanned, file.as_deref(), asked, (sink, cancel)).await? {
                ControlFlow::Continue((file, by_chefs)) => (file, Some(Arc::new(by_chefs)), said),
                ControlFlow::Break((outcome, steps)) => {
                    return Ok(ControlFlow::Break(Done { outcome, steps, written: 0 }));
                }
            }
        }
    };
    let environment = prepare::environment(&asked.environment);
    let is_to_move = asked.options.take_back && !asked.options.dry_run;
    let (theirs, lock, sink) = (pod.clone(), Arc::clone(lock), sink.clone());
    let (prepared, is_moved) = aside(move || {
        let project = scanned.workspace.project();
        let lenses = chefs::lenses::find(&theirs, project, &mut file, &said, &environment)?;
        let of = |scanned| {
            let planned = Planned::new((&file, Arc::clone(&lenses)), scanned, &environment)?;
            Prepared::of(planned, &theirs, Access::Remember)
        };
        let mut prepared = of(scanned)?;
        if let Some(by_chefs) = by_chefs {
            prepared.made_by_now = Arc::new(by_chefs.made.clone());
            prepared.by_chefs = Some(by_chefs);
        }
        let is_moved = finish::edited(&mut prepared, is_to_move, &lock, &sink)?;
        if is_moved && prepared.by_chefs.is_none() {
            let Prepared { workspace, manifest, .. } = prepared;
            return Ok((of(Scanned::new(workspace, manifest, moment)?)?, false));
        }
        Ok((prepared, is_moved))
    })
    .await?;
    if is_moved {
        // What was moved aside is a source now, which chefs may look at.
        let why = "what was edited by hand was moved aside".to_owned();
        return Err(Stop::Restart { why, changed: Changed::Source });
    }
    Ok(ControlFlow::Continue(prepared))
}
