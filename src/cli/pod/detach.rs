//! `--detach`: a pod that stays when whoever started it has gone.
//!
//! The first process starts a second one with the same words and waits until that stands, or has ended with its own error. The second talks over
//! the first one's stderr until then; its stdout is how it says that it stands.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::process::{Command, Stdio};

use crate::cli::border;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, FailureKind};

/// What the second process is started with.
pub(super) const DETACHED: &str = "--detached";
/// What belongs to the first one alone.
const OURS: [&str; 2] = ["--detach", "--json"];

/// Starts the second process; how it ended, if it does not stand.
pub(super) fn detach() -> Result<Option<Exit>, Failure> {
    let failed = |error: io::Error| {
        border::because(FailureKind::Machine, "could not start a pod in the background", &error)
    };
    let words = std::env::args_os().skip(1).filter(|word| OURS.iter().all(|ours| word != ours));
    let words: Vec<OsString> = words.chain([DETACHED.into()]).collect();
    let program = std::env::current_exe().map_err(failed)?;
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut said = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_end(&mut said).map_err(failed)?;
    }
    if !said.is_empty() {
        return Ok(None);
    }
    let ended = child.wait().map_err(failed)?;
    Ok(Some(match ended.code() {
        Some(0) => Exit::Done,
        Some(2) => Exit::Mistake,
        _ => Exit::Machine,
    }))
}

/// The second process.
pub(super) struct Detached(());

impl Detached {
    /// This process is it: the terminal's signals are for others.
    pub fn begin() -> Self {
        // It fails where nobody else shares the session already.
        rustix::process::setsid().ok();
        Self(())
    }

    /// Tells the first one, and lets its streams go.
    pub fn stands(self) {
        let let_go = || -> io::Result<()> {
            let nowhere = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            instead_of(libc::STDERR_FILENO, &nowhere)?;
            io::stdout().write_all(b"stands\n")?;
            io::stdout().flush()?;
            instead_of(libc::STDOUT_FILENO, &nowhere)
        };
        if let Err(error) = let_go() {
            tracing::warn!(%error, "whoever started this pod waits for it in vain");
        }
    }
}

/// Puts another file where one of the standard streams was.
fn instead_of(stream: RawFd, file: &File) -> io::Result<()> {
    // SAFETY: both are open descriptors; what was at `stream` is closed, and nobody owns a standard stream.
    match unsafe { libc::dup2(file.as_raw_fd(), stream) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
