//! The program of `--run`: a process group of its own, which ends as a whole, even if this process is killed.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::cli::guard::GUARD;

/// A program at work, behind its guard. Dropped, it ends.
pub(super) struct Program {
    guard: Child,
}

impl Program {
    /// Starts it by way of `sh`.
    pub(super) fn start(command: &str, folder: &Path) -> io::Result<Self> {
        let mut guard = Command::new("/proc/self/exe");
        guard.args([GUARD, command]).current_dir(folder).stdin(Stdio::piped()).process_group(0);
        Ok(Self { guard: guard.spawn()? })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The end of its standard input.
        drop(self.guard.stdin.take());
        match self.guard.wait() {
            Ok(status) if status.success() => {}
            ended => tracing::warn!(?ended, "the program may not have ended"),
        }
    }
}
