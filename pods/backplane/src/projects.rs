//! Registered projects: name → workspace and the pod that has it.
//!
//! Names are taken, given up and looked up here; the log decides who was first. A name stays with its workspace until somebody gives it up, also while its
//! owner is away; only of a pod that is no member any more it may be taken over. **Who may build** what a name means is not known here.

use protocol::WorkspaceId;
use protocol::mesh::{ProjectEntry, ProjectName, subject};

use crate::ledger::{ChangeError, Entry, Stop, StoreError};
use crate::mesh::Mesh;

/// Why a name is not taken or given up.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A new log has not been told all yet.
    #[error(
        "the federation's log was made anew a moment ago, and not all pods have told it which projects they have: try again in some seconds"
    )]
    NotSettled,
    /// Another workspace has the name.
    #[error("the name `{}` is taken by the workspace {}", .0.name, .0.workspace)]
    Taken(Box<ProjectEntry>),
    /// Nobody has it.
    #[error("no project of the federation is called `{0}`")]
    Unknown(ProjectName),
    /// The log.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for ProjectError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// The project in an entry that has one; none if nobody has its name any more.
fn registered(entry: &Entry) -> Option<ProjectEntry> {
    let project: ProjectEntry = serde_json::from_value(entry.body.clone()).ok()?;
    (project.owner.is_some() && subject::project(&project.name) == entry.subject).then_some(project)
}

fn said(project: &ProjectEntry) -> Result<serde_json::Value, Stop> {
    serde_json::to_value(project).map_err(|error| Stop(error.to_string()))
}

/// All projects, by name.
///
/// # Errors
/// The ledger cannot be read.
pub fn all(mesh: &Mesh) -> Result<Vec<ProjectEntry>, StoreError> {
    let entries = mesh.ledger().all(subject::PROJECTS)?;
    let mut projects: Vec<ProjectEntry> = entries.iter().filter_map(registered).collect();
    projects.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(projects)
}

/// The project of a name.
///
/// # Errors
/// The ledger cannot be read.
pub fn get(mesh: &Mesh, name: &ProjectName) -> Result<Option<ProjectEntry>, StoreError> {
    Ok(mesh.ledger().get(&subject::project(name))?.as_ref().and_then(registered))
}

/// The project of a name, if it is this pod's own, and this pod itself has said so: what another one says of our folders counts nothing.
///
/// # Errors
/// The ledger cannot be read.
pub fn own(mesh: &Mesh, name: &ProjectName) -> Result<Option<ProjectEntry>, StoreError> {
    let us = mesh.pod();
    let entry = mesh.ledger().get(&subject::project(name))?.filter(|entry| entry.from == us);
    Ok(entry.as_ref().and_then(registered).filter(|project| project.owner == Some(us)))
}

/// Takes a name for a workspace of this pod; said again, it may have another folder. Dropping the future leaves it open whether it is taken.
///
/// # Errors
/// Another workspace has it, a new log has not been told all yet, or the log.
pub async fn register(
    mesh: &Mesh,
    name: &ProjectName,
    workspace: WorkspaceId,
    folder: &str,
) -> Result<ProjectEntry, ProjectError> {
    if !mesh.ledger().settled()? {
        return Err(ProjectError::NotSettled);
    }
    let us = mesh.pod();
    let project = ProjectEntry { name: name.clone(), workspace, owner: Some(us), folder: folder.to_owned() };
    let mut taken = None;
    let subject = subject::project(name);
    let changed = mesh.ledger().change(&subject, |known| {
        taken = known.and_then(registered).filter(|known| {
            let is_ours = known.owner == Some(us) && known.workspace == workspace;
            !is_ours && known.owner.is_some_and(|owner| mesh.members().is_member(&owner))
        });
        if taken.is_some() { Err(Stop("it is taken".to_owned())) } else { said(&project) }
    });
    let outcome = changed.await;
    match (outcome, taken) {
        (Ok(_), _) => Ok(project),
        (Err(ChangeError::Stopped(_)), Some(taken)) => Err(ProjectError::Taken(Box::new(taken))),
        (Err(error), _) => Err(error.into()),
    }
}

/// Gives a name up, whoever's it is; what it meant.
///
/// # Errors
/// Nobody has it, or the log.
pub async fn remove(mesh: &Mesh, name: &ProjectName) -> Result<ProjectEntry, ProjectError> {
    let mut before = None;
    let subject = subject::project(name);
    let changed = mesh.ledger().change(&subject, |known| {
        before = known.and_then(registered);
        let known = before.clone().ok_or_else(|| Stop("nobody has it".to_owned()))?;
        said(&ProjectEntry { owner: None, ..known })
    });
    let outcome = changed.await;
    match (outcome, before) {
        (Ok(_), Some(before)) => Ok(before),
        (Ok(_), None) | (Err(ChangeError::Stopped(_)), None) => Err(ProjectError::Unknown(name.clone())),
        (Err(error), _) => Err(error.into()),
    }
}
