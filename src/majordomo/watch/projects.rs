//! The projects that this process watches, so that whoever looks at one finds it in memory.
//!
//! What is watched is a fact about a folder of this machine, and one process holds a home, so there is one list for the process.
//! A project is in it for as long as somebody watches it; two who watch one project share it.

use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use protocol::WorkspaceId;

use super::watched::{Lost, MakeWatcher, Watched};
use crate::majordomo::workspace::Workspace;

static PROJECTS: Mutex<Vec<Weak<Watched>>> = Mutex::new(Vec::new());

/// The project, if it is watched. Its folder is absolute, with links resolved.
pub fn find(project: &Path) -> Option<Arc<Watched>> {
    let projects = PROJECTS.lock();
    projects.iter().filter_map(Weak::upgrade).find(|watched| watched.project() == project)
}

/// The project of a workspace, if it is watched.
pub fn of(workspace: WorkspaceId) -> Option<Arc<Watched>> {
    let projects = PROJECTS.lock();
    projects.iter().filter_map(Weak::upgrade).find(|watched| watched.id() == workspace)
}

/// Watches a project; whoever watches it already shares it.
///
/// # Errors
/// It cannot be watched, or not be looked at.
pub fn join(workspace: Workspace, make: MakeWatcher) -> Result<Arc<Watched>, Lost> {
    if let Some(watched) = find(workspace.project()) {
        return Ok(watched);
    }
    // Not while the list is locked: it may take a while. Of two who come at once, the first that is done is shared.
    let watched = Watched::new(workspace, make)?;
    let mut projects = PROJECTS.lock();
    projects.retain(|project| project.strong_count() > 0);
    let known = projects.iter().filter_map(Weak::upgrade).find(|known| known.project() == watched.project());
    if let Some(known) = known {
        return Ok(known);
    }
    projects.push(Arc::downgrade(&watched));
    Ok(watched)
}
