//! The watcher for file systems without events (of another machine, for the most part), and for whoever wants none: says
//! from time to time that it is time to look at everything. A scan costs some 2 ms for each thousand files.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::watcher::{Handler, News, WatchError, Watcher, Why};

/// Says [`News::Lost`] at intervals, whatever is watched.
pub struct ByPolling {
    /// Dropped, it ends the thread.
    _stop: Sender<()>,
    interval: Duration,
}

impl ByPolling {
    /// Begins at once.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn new(interval: Duration, handler: Handler) -> Result<Self, WatchError> {
        let (stop, stopped) = channel();
        std::thread::Builder::new()
            .name("poll".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    handler(News::Lost(Why::Interval));
                }
            })
            .map_err(|error: io::Error| WatchError::Unavailable(error))?;
        Ok(Self { _stop: stop, interval })
    }
}

impl Watcher for ByPolling {
    fn watch(&mut self, _folders: &[PathBuf]) -> Result<(), WatchError> {
        Ok(())
    }

    fn unwatch(&mut self, _folders: &[PathBuf]) -> Result<(), WatchError> {
        Ok(())
    }

    fn interval(&self) -> Option<Duration> {
        Some(self.interval)
    }
}
