//! The watcher in memory: a test plays the file system.
//!
//! It keeps no files: a test says what is touched, and it is told if the folder is watched, as the kernel would. Events can be
//! dropped as if the kernel's queue had run over, watches can run out, and folders can be renamed with the watches on them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::watcher::{Handler, News, WatchError, Watcher, Why};

#[derive(Default)]
struct State {
    folders: BTreeSet<PathBuf>,
    watched: BTreeSet<PathBuf>,
    /// Of the watcher with this number, the newest.
    handler: Option<(u64, Handler)>,
    watchers: u64,
    /// Folders that may be watched at a time.
    most: Option<usize>,
    is_deaf: bool,
}

/// The file system that a test plays.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

/// The watcher of a [`World`].
pub struct Twin(World, u64);

impl World {
    /// Its watcher; one that was there before is over.
    pub fn watcher(&self, handler: Handler) -> Twin {
        let mut state = self.0.lock();
        state.watchers += 1;
        let number = state.watchers;
        state.handler = Some((number, handler));
        state.watched.clear();
        Twin(self.clone(), number)
    }

    /// Sets how many folders may be watched.
    pub fn allow(&self, most: usize) {
        self.0.lock().most = Some(most);
    }

    /// Makes a folder.
    pub fn folder(&self, path: &Path) {
        self.0.lock().folders.insert(path.to_owned());
        self.touch(path);
    }

    /// Removes a folder; whatever watched it is over.
    pub fn remove_folder(&self, path: &Path) {
        let mut state = self.0.lock();
        state.folders.retain(|folder| !folder.starts_with(path));
        state.watched.retain(|folder| !folder.starts_with(path));
        drop(state);
        self.touch(path);
    }

    /// Something happens to a path.
    pub fn touch(&self, path: &Path) {
        let state = self.0.lock();
        let is_told = path.parent().is_some_and(|folder| state.watched.contains(folder))
            || state.watched.contains(path);
        if let Some((_, handler)) = state.handler.as_ref().filter(|_| is_told && !state.is_deaf) {
            handler(News::Touched(path.to_owned()));
        }
    }

    /// From now on nothing is told, as if it happened in a full queue.
    pub fn overflow(&self) {
        self.0.lock().is_deaf = true;
    }

    /// The queue is read again: that something was lost is told, and what comes from now on.
    pub fn recover(&self) {
        let mut state = self.0.lock();
        state.is_deaf = false;
        if let Some((_, handler)) = &state.handler {
            handler(News::Lost(Why::Overflow));
        }
    }

    /// The folders that are watched.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.0.lock().watched.iter().cloned().collect()
    }
}

impl Watcher for Twin {
    fn watch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError> {
        let mut state = self.0.0.lock();
        if state.handler.is_none() {
            return Err(WatchError::Unavailable(io::ErrorKind::BrokenPipe.into()));
        }
        let there: Vec<_> =
            folders.iter().filter(|folder| state.folders.contains(*folder)).cloned().collect();
        state.watched.extend(there);
        match state.most {
            Some(most) if state.watched.len() > most => {
                Err(WatchError::TooMany { folders: folders.len(), limit: Some(most as u64) })
            }
            _ => Ok(()),
        }
    }

    fn unwatch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError> {
        let mut state = self.0.0.lock();
        folders.iter().for_each(|folder| {
            state.watched.remove(folder);
        });
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        None
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        if state.watchers == self.1 {
            state.handler = None;
        }
    }
}
