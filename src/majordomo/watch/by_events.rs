//! The real watcher: inotify, by way of the crate `notify`.
//!
//! Each folder has a watch of its own, none is recursive: a recursive one would take watches for `.git`, follow links out
//! of the project, and keep calling what is in a renamed folder by its old name. What else is known of `notify` 9.0.0-rc.7,
//! and why it is used so:
//! - Watching a path again changes nothing, even if another folder has taken its name, so a path is unwatched first.
//! - It drops the watch of a path when it reads that the path was deleted or renamed, by name alone: a new folder that took
//!   the name meanwhile, and is watched already, loses its watch. That event is told to us as well, after which the folder is
//!   watched again, so nothing is missed for longer than until then.
//! - A path that is gone stops a batch of changes; the rest of the batch comes back with the error.
//! - Overflow is an event with a flag, never an error.
//! - `CLOSE_WRITE` is asked for, too: what a program writes through a mapping of a file gives no other event.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::EventKindMask;
use notify::{Config, ErrorKind, PathOp, RecursiveMode, WatchPathConfig, Watcher as _};

use crate::majordomo::workspace::beneath::is_denied;

use super::watcher::{Handler, News, WatchError, Watcher, Why, limit};

/// Watches by the kernel's events.
pub struct ByEvents {
    inner: notify::RecommendedWatcher,
    /// What we asked for. `notify` may have dropped some of it since.
    asked: HashSet<PathBuf>,
}

impl ByEvents {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The kernel gives no events, or no more watchers to this user.
    pub fn new(handler: Handler) -> Result<Self, WatchError> {
        let mask = EventKindMask::CORE | EventKindMask::ACCESS_CLOSE;
        let config = Config::default().with_follow_symlinks(false).with_event_kinds(mask);
        let hand_on = move |result: notify::Result<notify::Event>| match result {
            Ok(event) if event.need_rescan() => handler(News::Lost(Why::Overflow)),
            Ok(event) => event.paths.into_iter().for_each(|path| handler(News::Touched(path))),
            Err(error) => {
                tracing::warn!(%error, "the watcher failed");
                handler(News::Lost(Why::Broken));
            }
        };
        let inner = notify::RecommendedWatcher::new(hand_on, config).map_err(|error| match error.kind {
            ErrorKind::Io(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                WatchError::TooManyWatchers { limit: limit("max_user_instances") }
            }
            ErrorKind::Io(error) => WatchError::Unavailable(error),
            _ => WatchError::Unavailable(io::Error::other(error)),
        })?;
        Ok(Self { inner, asked: HashSet::new() })
    }

    fn update(&mut self, mut operations: Vec<PathOp>, folders: usize) -> Result<(), WatchError> {
        while let Err(error) = self.inner.update_paths(operations) {
            let path =
                error.origin.as_ref().map(|operation| operation.as_path().to_owned()).unwrap_or_default();
            match error.source.kind {
                ErrorKind::PathNotFound | ErrorKind::WatchNotFound => {}
                ErrorKind::MaxFilesWatch => {
                    return Err(WatchError::TooMany { folders, limit: limit("max_user_watches") });
                }
                // Something else has taken its name, or it may not be looked into: whoever looks at it will see.
                ErrorKind::Io(error) if is_no_folder(&error) || is_denied(&error) => {}
                ErrorKind::Io(source) => return Err(WatchError::Folder { path, source }),
                _ => return Err(WatchError::Unavailable(io::Error::other(error.source))),
            }
            operations = error.remaining;
        }
        Ok(())
    }
}

fn is_no_folder(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP | libc::ENOENT))
}

impl Watcher for ByEvents {
    fn watch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError> {
        let config = || WatchPathConfig::new(RecursiveMode::NonRecursive).with_dereference_symlinks(false);
        let mut operations = Vec::with_capacity(folders.len());
        for folder in folders {
            if !self.asked.insert(folder.clone()) {
                operations.push(PathOp::unwatch(folder));
            }
            operations.push(PathOp::Watch(folder.clone(), config()));
        }
        self.update(operations, folders.len())
    }

    fn unwatch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError> {
        let asked = folders.iter().filter(|folder| self.asked.remove(*folder));
        let operations = asked.map(PathOp::unwatch).collect();
        self.update(operations, folders.len())
    }

    fn interval(&self) -> Option<Duration> {
        None
    }
}
