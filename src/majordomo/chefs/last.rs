//! What the last build was planned by, for whoever looks at a project and runs nothing.

use larder::{Larder, LarderError, ObjectKind};
use protocol::chef::{Answer, Detected, Planned, Say};
use protocol::{Digest, WorkspaceId};

use super::{Fallible, Recipe, recipe, said, written};
use crate::majordomo::border;
use crate::majordomo::project_file::ProjectFile;
use crate::majordomo::workspace::Workspace;

const NOTE: &str = "chef/plan";

/// Notes whose answer the plan was.
pub(super) fn remember(
    larder: &Larder,
    workspace: WorkspaceId,
    chef: &str,
    answer: &Digest,
) -> Result<(), LarderError> {
    larder.note(workspace, NOTE, &[answer.as_bytes().as_slice(), chef.as_bytes()].concat())
}

/// The project file, or, where chefs plan, the plan of the last build and whom the project's own file leaves it to; `larder` is that of the user's
/// pod, if there is one.
///
/// # Errors
/// No chef was asked yet; or what is there cannot be read.
pub fn file(larder: Option<&Larder>, workspace: &Workspace) -> Fallible<(ProjectFile, Vec<String>)> {
    let project = workspace.project();
    let own = match recipe(project)? {
        Recipe::Steps(file) => return Ok((*file, Vec::new())),
        Recipe::Chefs(own) => own,
    };
    let known = larder.map_or(Ok(None), |larder| last(larder, workspace.id()));
    match known.map_err(|error| Box::new(border::node(&error.into())))? {
        Some((chef, plan)) => {
            let file = written::file(&chef, &plan, &written::label(project), own.as_deref())?;
            Ok((file, said(own.as_deref())))
        }
        None => {
            let message = format!("no chef was asked yet how `{}` is built", project.display());
            let failure =
                border::mistake(message).hint("`majordomo build` asks them, and builds what they plan");
            Err(Box::new(failure.hint("or write a `majordomo.toml`, which says the steps")))
        }
    }
}

/// The chef that the last build was planned by, and its plan; `None`: nothing is known of one.
fn last(larder: &Larder, workspace: WorkspaceId) -> Result<Option<(String, Planned)>, LarderError> {
    let notes = larder.notes(workspace, NOTE)?;
    let Some((_, note)) = notes.into_iter().find(|(key, _)| key == NOTE) else { return Ok(None) };
    let Some((digest, chef)) = note.split_at_checked(Digest::LEN) else { return Ok(None) };
    let Ok(digest) = Digest::try_from(digest) else { return Ok(None) };
    let Some(bytes) = larder.get(ObjectKind::Blob, &digest)? else { return Ok(None) };
    let plan = match Answer::read(&bytes).map(|answer| answer.say) {
        Ok(Say::Detect(Detected { plan: Some(plan), .. }) | Say::Plan(plan)) => plan,
        _ => return Ok(None),
    };
    Ok(Some((String::from_utf8_lossy(chef).into_owned(), plan)))
}
