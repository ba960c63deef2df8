//! A step's upper folder: what it wrote to the project, until nobody needs it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::disk;
use crate::remove::remove_tree;
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

    /// Moves it to a place of the same file system that nothing is at, for an [`Order::beneath`](crate::Order::beneath); not if there are
    /// more than `most` bytes in it. Whether it has.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn keep(self, place: &Path, most: u64) -> io::Result<bool> {
        if disk::used(&self.path, most) > most {
            return Ok(false);
        }
        fs::rename(&self.path, place).map(|()| true)
    }
}

/// A kept upper folder in a step's folder, put back when this is dropped.
#[derive(Debug)]
pub(crate) struct Beneath {
    kept: PathBuf,
    folder: Arc<Folder>,
}

impl Beneath {
    pub(crate) fn lend(kept: PathBuf, folder: Arc<Folder>) -> io::Result<Self> {
        fs::rename(&kept, folder.lower())?;
        Ok(Self { kept, folder })
    }
}

impl Drop for Beneath {
    fn drop(&mut self) {
        if let Err(error) = fs::rename(self.folder.lower(), &self.kept) {
            tracing::warn!(path = %self.kept.display(), %error, "what a step wrote is not put back");
            remove_tree(&self.folder.lower()).ok();
        }
    }
}
