//! The contract of a watcher: who tells us that something in a folder is no longer as it was.
//!
//! Actors: whoever owns a [`Watcher`] says which folders; the watcher calls its [`Handler`] on a thread of its own, in the
//! order in which things happened. News are hints: a name that is said to be touched may be as it was, and what a file
//! is now is found out by looking. What must not happen is that something changes and nothing is said; where a watcher cannot
//! promise that for once, it says [`News::Lost`]. Non-goals: what is below a folder, what was done to a file, who did it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a watcher has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A name in a watched folder, or a watched folder itself, came, went, or changed its bytes or attributes. Absolute, as the
    /// folder was named.
    Touched(PathBuf),
    /// Anything may have changed: events were lost, or there are none and it is time to look.
    Lost(Why),
}

/// Why nobody knows what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// More happened than the kernel keeps.
    Overflow,
    /// The watcher failed in the middle.
    Broken,
    /// There are no events here: it is looked at from time to time.
    Interval,
}

/// Called for each piece of news, on the watcher's thread. Must be quick, and must not call the watcher.
pub type Handler = Box<dyn Fn(News) + Send>;

/// Watches folders, each for itself and not for what is below it.
///
/// Dropped, it ends: its handler is called no more, soon after.
pub trait Watcher: Send {
    /// Begins to watch folders. When it returns, every change from then on is told. Those that are not there (any more)
    /// are passed over: whoever is told of their going or coming asks again. A folder that is watched already is watched
    /// anew, since another one may have taken its name. A link is no folder.
    ///
    /// # Errors
    /// Some may be watched, some not; the watcher is of no more use.
    fn watch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError>;

    /// Ends to watch folders; those that are not watched are passed over.
    ///
    /// # Errors
    /// The watcher is of no more use.
    fn unwatch(&mut self, folders: &[PathBuf]) -> Result<(), WatchError>;

    /// How often everything has to be looked at; `None`: it tells of changes when they happen, and in order, so that a
    /// change that one makes oneself tells that all before it has been told.
    fn interval(&self) -> Option<Duration>;
}

/// Where there are no events: how often everything is looked at.
pub const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Why something cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The user watches more folders than the kernel lets them.
    #[error("{folders} folders are to be watched, more than the kernel lets one user watch")]
    TooMany {
        /// How many were asked for at once.
        folders: usize,
        /// `fs.inotify.max_user_watches`, where it can be read.
        limit: Option<u64>,
    },
    /// The user has more watchers than the kernel lets them.
    #[error("too many programs of this user watch files")]
    TooManyWatchers {
        /// `fs.inotify.max_user_instances`, where it can be read.
        limit: Option<u64>,
    },
    /// A folder cannot be watched.
    #[error("the folder `{}` cannot be watched", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel gives no events, or the watcher's thread is gone.
    #[error("changes cannot be watched")]
    Unavailable(#[source] io::Error),
}

/// A number in `/proc/sys/fs/inotify`.
pub fn limit(name: &str) -> Option<u64> {
    std::fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).ok()?.trim().parse().ok()
}

impl WatchError {
    /// What a person can do about it.
    pub fn advice(&self) -> Option<String> {
        let raise = |name: &str, limit: Option<u64>, least: u64| {
            let wanted = limit.unwrap_or(least).max(least).saturating_mul(2).next_power_of_two();
            let now = limit.map_or_else(String::new, |limit| format!(" (it is {limit})"));
            format!("raise it{now}: `sudo sysctl fs.inotify.{name}={wanted}`")
        };
        match self {
            WatchError::TooMany { folders, limit } => Some(
                raise("max_user_watches", *limit, *folders as u64) + ", or watch without events: `--poll`",
            ),
            WatchError::TooManyWatchers { limit } => {
                Some(raise("max_user_instances", *limit, 128) + ", or watch without events: `--poll`")
            }
            WatchError::Folder { .. } | WatchError::Unavailable(_) => {
                Some("watch without events: `--poll`".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_names_sysctl_and_value() {
        let error = WatchError::TooMany { folders: 9000, limit: Some(8192) };
        assert_eq!(
            error.advice().unwrap(),
            "raise it (it is 8192): `sudo sysctl fs.inotify.max_user_watches=32768`, or watch without events: `--poll`"
        );
        let error = WatchError::TooManyWatchers { limit: Some(128) };
        assert!(error.advice().unwrap().contains("fs.inotify.max_user_instances=256`"), "{error:?}");
        assert!(limit("max_user_watches").is_some());
    }
}
