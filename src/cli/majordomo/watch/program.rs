//! The program of `--run`: a process group of its own, which ends as a whole, even if this process is killed, or its guard, or both.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use super::left;
use crate::myself::guard::GUARD;

/// A program at work, behind its guard. Dropped, it ends.
pub(super) struct Program {
    /// Its end is the guard's sign.
    stdin: Option<ChildStdin>,
    waiter: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts it by way of `sh`; what others left here that were killed is ended first.
    pub(super) fn start(command: &str, folder: &Path) -> io::Result<Self> {
        left::end_orphans(folder);
        let mark = left::mark(folder)?;
        let mut guard = Command::new("/proc/self/exe");
        guard.args([GUARD, command]).current_dir(folder).stdin(Stdio::piped()).process_group(0);
        guard.env(left::MARK, std::ffi::OsString::from_vec(mark.clone()));
        let mut guard = guard.spawn()?;
        let stdin = guard.stdin.take();
        // Waits for the guard alone, so that what it leaves ends at once.
        let waiter =
            std::thread::Builder::new().name("guard".to_owned()).spawn(move || match guard.wait() {
                Ok(status) if status.success() => {}
                ended => {
                    tracing::warn!(?ended, "the program lost its guard");
                    left::end_marked(&mark);
                }
            })?;
        Ok(Self { stdin, waiter: Some(waiter) })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.stdin.take());
        if self.waiter.take().is_some_and(|waiter| waiter.join().is_err()) {
            tracing::warn!("the program may not have ended");
        }
    }
}
