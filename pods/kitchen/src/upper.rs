//! A step's upper folder: what it wrote to the project, until nobody needs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::scratch::Folder;

/// The upper folder of a step that has ended. Dropped, it is removed, on a thread of its own.
///
/// What is in it is in overlayfs's form: whiteouts are character devices 0/0, opaque folders have the attribute
/// `trusted.overlay.opaque` (as an ordinary user `user.overlay.opaque`) with the value `y`. Owners are not those of the pod,
/// and modes are whatever the step gave.
#[derive(Debug)]
#[must_use = "the folder is removed when this is dropped"]
pub struct UpperDir {
    path: PathBuf,
    /// The kitchen has it too until the step's mounts are gone.
    _folder: Arc<Folder>,
}

impl UpperDir {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self { path: folder.upper(), _folder: folder }
    }

    /// The folder that stands for the project's root. It is not there if the step's root could not be made.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
