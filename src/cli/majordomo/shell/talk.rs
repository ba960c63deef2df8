//! The client's side of a visit: what is typed goes in, what is printed comes out.
//!
//! Where stdin and stdout are terminals, the visitor gets one of its own, of which this side has the other end: ours goes into raw mode, so
//! that each key is the shell's to understand, and its size is passed on as it changes. Else there are three pipes. One thread copies each direction; the
//! one that reads stdin never ends by itself, and goes with the process.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

use crate::interrupt::Interrupt;
use crate::majordomo::client::by_short_path;
use crate::majordomo::shell::streams;

/// Bytes that are copied at a time.
const BUFFER: usize = 64 << 10;

/// A visit that is under way.
pub(super) struct Talk {
    outputs: Vec<JoinHandle<()>>,
    raw: Option<Arc<Raw>>,
}

impl Talk {
    /// Hands the visitor's side over at a socket.
    pub(super) fn begin(socket: &Path) -> io::Result<Self> {
        let door = by_short_path(socket, |path| UnixStream::connect(path))?;
        match io::stdin().is_terminal() && io::stdout().is_terminal() {
            true => Self::terminal(&door),
            false => Self::pipes(&door),
        }
    }

    fn terminal(door: &UnixStream) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = ioctl_tiocgptpeer(&ours, flags)?;
        let keys = tcgetattr(io::stdin())?;
        // It begins as the user has set his.
        tcsetattr(&theirs, OptionalActions::Now, &keys)?;
        tcsetwinsize(&theirs, tcgetwinsize(io::stdout())?)?;
        streams::send(door, [theirs.as_fd(), theirs.as_fd(), theirs.as_fd()], true)?;
        drop(theirs);
        let sized = ours.try_clone()?;
        let mut sizes = Signals::new([SIGWINCH])?;
        Builder::new().name("window".to_owned()).spawn(move || {
            for _ in sizes.forever() {
                // A terminal that has gone has no size.
                tcgetwinsize(io::stdout()).and_then(|size| tcsetwinsize(&sized, size)).ok();
            }
        })?;
        let raw = Arc::new(Raw::enter(keys)?);
        input(ours.try_clone()?)?;
        Ok(Self { outputs: vec![output(ours, io::stdout())?], raw: Some(raw) })
    }

    fn pipes(door: &UnixStream) -> io::Result<Self> {
        let (stdin, written) = io::pipe()?;
        let ((out, stdout), (err, stderr)) = (io::pipe()?, io::pipe()?);
        streams::send(door, [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()], false)?;
        drop((stdin, stdout, stderr));
        input(written.into())?;
        Ok(Self {
            outputs: vec![output(out.into(), io::stdout())?, output(err.into(), io::stderr())?],
            raw: None,
        })
    }

    /// The terminal is as it was before anything ends this process.
    pub(super) fn restores_with(&self, interrupt: &Interrupt) {
        if let Some(raw) = self.raw.clone() {
            interrupt.on_set(move || raw.leave()).for_good();
        }
    }

    /// Waits until all that was printed is shown, if the visitor has gone in good order, and gives the terminal back.
    pub(super) fn end(self, in_order: bool) {
        if in_order {
            for output in self.outputs {
                output.join().ok();
            }
        }
        if let Some(raw) = &self.raw {
            raw.leave();
        }
    }
}

/// Copies stdin, until it ends or nobody reads it any more.
fn input(to: OwnedFd) -> io::Result<()> {
    Builder::new().name("shell-in".to_owned()).spawn(move || copy(io::stdin(), File::from(to))).map(drop)
}

fn output(from: OwnedFd, to: impl Write + Send + 'static) -> io::Result<JoinHandle<()>> {
    Builder::new().name("shell-out".to_owned()).spawn(move || copy(File::from(from), to))
}

/// Each part as soon as it is there. A terminal whose other side was closed says so by an error, which is an end like any other.
fn copy(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
        }
    }
}

/// Our terminal in raw mode.
struct Raw(Termios);

impl Raw {
    fn enter(before: Termios) -> io::Result<Self> {
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }

    fn leave(&self) {
        // If it has gone there is nothing to restore.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
