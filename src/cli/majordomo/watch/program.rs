//! The program of `--run`: a process group of its own, which ends as a whole.
//!
//! Its first process is not waited for until the group has been ended, so that the group's number stays its own. What left the
//! group by itself (a daemon) is its own master. If this process is killed the kernel ends the program's first process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, set_parent_process_death_signal,
};

/// How long it may take to end when it is asked to; then it is ended.
const GRACE: Duration = Duration::from_millis(400);

/// A program at work. Dropped, it ends.
pub(super) struct Program {
    child: Child,
}

impl Program {
    /// Starts it by way of `sh`.
    pub(super) fn start(command: &str, folder: &Path) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null()).process_group(0);
        // SAFETY: the closure makes one system call, and allocates nothing.
        unsafe {
            shell.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?));
        }
        Ok(Self { child: shell.spawn()? })
    }

    /// Asks the group to end, and ends what does not.
    fn end(&mut self) -> io::Result<()> {
        let group = Pid::from_child(&self.child);
        kill_process_group(group, Signal::TERM)?;
        let pidfd = pidfd_open(group, PidfdFlags::empty())?;
        let deadline = Instant::now() + GRACE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)) {
                Err(rustix::io::Errno::INTR) => {}
                _ => break,
            }
        }
        kill_process_group(group, Signal::KILL)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the program may not have ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A program whose processes all hold the pipe open: it ends when the last of them has.
    fn held(script: &str) -> (Program, io::PipeReader) {
        let dir = std::env::temp_dir();
        let (reader, writer) = io::pipe().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
        rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
        let program = Program::start(&script.replace("FD", &fd.to_string()), &dir).unwrap();
        drop(writer);
        (program, reader)
    }

    #[test]
    fn the_whole_group_ends() {
        let (program, mut pipe) =
            held("trap '' TERM; (trap '' TERM; sleep 3600) & (sleep 3600 &) ; echo x >&FD; sleep 3600");
        let mut ready = [0];
        pipe.read_exact(&mut ready).unwrap();
        let begun = Instant::now();
        drop(program);
        pipe.read_to_end(&mut Vec::new()).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3600), "the pipe is closed when all have ended");
    }

    #[test]
    fn one_that_has_ended_is_no_trouble() {
        let (program, mut pipe) = held("true");
        pipe.read_to_end(&mut Vec::new()).unwrap();
        drop(program);
    }
}
