//! A step's upper folder: what it wrote to the project, until nobody needs it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use crate::remove::remove_tree;

/// Folders that may wait for their removal; beyond that whoever drops one removes it himself.
const WAITING: usize = 1024;

/// The upper folder of a step that has ended. Dropped, it is removed, on a thread of its own.
///
/// What is in it is in overlayfs's form: whiteouts are character devices 0/0 (as an ordinary user: files
/// with the attribute `user.overlay.whiteout`), opaque folders have the attribute `trusted.overlay.opaque` (`user.overlay.opaque`).
#[derive(Debug)]
#[must_use = "the folder is removed when this is dropped"]
pub struct UpperDir {
    /// The step's folder in scratch.
    step: PathBuf,
    upper: PathBuf,
    sweeper: Sweeper,
}

impl UpperDir {
    pub(crate) fn new(step: PathBuf, sweeper: Sweeper) -> Self {
        Self { upper: step.join("upper"), step, sweeper }
    }

    /// The folder that stands for the project's root.
    pub fn path(&self) -> &Path {
        &self.upper
    }
}

impl Drop for UpperDir {
    fn drop(&mut self) {
        self.sweeper.remove(std::mem::take(&mut self.step));
    }
}

/// Removes folders one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper(SyncSender<PathBuf>);

impl Sweeper {
    /// Starts the thread; it ends with the last clone.
    pub(crate) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel::<PathBuf>(WAITING);
        std::thread::Builder::new().name("kitchen-sweeper".to_owned()).spawn(move || {
            for path in receiver {
                remove(&path);
            }
        })?;
        Ok(Self(sender))
    }

    fn remove(&self, path: PathBuf) {
        if let Err(TrySendError::Full(path) | TrySendError::Disconnected(path)) = self.0.try_send(path) {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = remove_tree(path) {
        tracing::warn!(path = %path.display(), %error, "what a step wrote cannot be removed");
    }
}
