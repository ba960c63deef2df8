//! The program of a launch: a Python process on the caller's side, with the streams of the caller and one end of a socket.
//!
//! A thread waits for its end and shuts the socket down, so that the talk ends even if the program left the socket to others. It stays in
//! the process group of the caller, so that it may read the terminal; if this process is killed the kernel ends it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, set_parent_process_death_signal,
};

use crate::cli::border;
use crate::interrupt::{self, Cause, Interrupt};
use crate::majordomo::client::by_short_path;
use crate::majordomo::request::{Failure, FailureKind};

/// How long it may take to end after it was interrupted; then it is ended.
const GRACE: Duration = Duration::from_millis(400);

/// Our package goes first on its search path, and the current folder is not on it.
const BOOT: &str = "import sys;sys.path[:]=[sys.argv.pop(1)]+[p for p in sys.path if p];\
                    from computepods._launch import main;main()";

/// Where nothing is said, sets have one order in all launches, or equal ones would be other arguments each time.
const HASH_SEED: &str = "PYTHONHASHSEED";

/// What is started.
pub(super) struct Start<'a> {
    /// The interpreter.
    pub python: &'a Path,
    /// The folder of our package.
    pub package: &'a Path,
    /// The program's file, links resolved.
    pub path: &'a Path,
    /// The same as it was written.
    pub file: &'a str,
    /// Which of its entry points.
    pub name: Option<&'a str>,
    /// What that is called with.
    pub arguments: &'a [String],
}

/// A program at work.
pub(super) struct Program {
    process: Arc<OwnedFd>,
    waiter: JoinHandle<io::Result<ExitStatus>>,
}

impl Start<'_> {
    /// Starts it, and connects it to the majordomo.
    pub(super) fn program(&self, socket: &Path) -> Result<Program, Failure> {
        let connected = by_short_path(socket, |path| UnixStream::connect(path)).map_err(|error| {
            border::because(FailureKind::Machine, "the program cannot be connected to the pod", &error)
        })?;
        let fd = connected.as_raw_fd();
        let mut command = Command::new(self.python);
        command.args(["-c", BOOT]).arg(self.package).arg(fd.to_string()).arg(self.path);
        command.args([self.file, self.name.unwrap_or_default()]).args(self.arguments);
        if std::env::var_os(HASH_SEED).is_none() {
            command.env(HASH_SEED, "0");
        }
        // SAFETY: the closure makes two system calls, and allocates nothing; `connected` is open until the child is there.
        unsafe {
            command.pre_exec(move || {
                fcntl_setfd(std::os::fd::BorrowedFd::borrow_raw(fd), FdFlags::empty())?;
                Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
            });
        }
        let unstartable = |error: &io::Error| {
            let python = self.python.display();
            border::because(FailureKind::User, format!("cannot start the interpreter `{python}`"), error)
                .hint("install Python (Debian: `python3`), or name one: `--python PROGRAM`")
        };
        let mut child = command.spawn().map_err(|error| unstartable(&error))?;
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map(Arc::new);
        let waiter = std::thread::Builder::new().name("program".to_owned()).spawn(move || {
            let status = child.wait();
            connected.shutdown(std::net::Shutdown::Both).ok();
            status
        });
        match (process, waiter) {
            (Ok(process), Ok(waiter)) => Ok(Program { process, waiter }),
            (Err(errno), _) => Err(unstartable(&errno.into())),
            (_, Err(error)) => Err(unstartable(&error)),
        }
    }
}

impl Program {
    /// Passes on whatever ends the request. A program that has been told by the terminal already heeds the first of both.
    pub(super) fn ends_with(&self, interrupt: &Interrupt) {
        let (process, asked) = (Arc::clone(&self.process), interrupt.clone());
        interrupt
            .on_set(move || {
                let signal = match asked.cause() {
                    Some(Cause::Signal(interrupt::Signal::Interrupt)) => Signal::INT,
                    _ => Signal::TERM,
                };
                // Who has ended hears nothing.
                pidfd_send_signal(process.as_fd(), signal).ok();
            })
            .for_good();
    }

    /// Waits for its end; ends it if it takes long and nobody is left for it.
    pub(super) fn end(self, at_once: bool) -> io::Result<ExitStatus> {
        if at_once {
            pidfd_send_signal(self.process.as_fd(), Signal::TERM).ok();
            let limit = Timespec { tv_sec: 0, tv_nsec: GRACE.subsec_nanos().into() };
            let ended = poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&limit));
            if !matches!(ended, Ok(1)) {
                pidfd_send_signal(self.process.as_fd(), Signal::KILL).ok();
            }
        }
        self.waiter.join().unwrap_or_else(|_| Err(io::Error::other("the waiting thread ended")))
    }
}
