//! A program on a terminal: what it shows as it shows it, keys, and the window's size.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, ioctl_tiocsctty, kill_process, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::running::LIMIT;

/// A program and the other side of its terminal. Dropped before its end, it is killed.
pub struct Terminal {
    child: Child,
    ours: File,
    shown: Receiver<Vec<u8>>,
    /// What was shown after what was waited for last.
    rest: Vec<u8>,
}

impl Terminal {
    /// Starts a program as the leader of a session on a terminal of this size: lines, columns.
    pub fn start(mut command: Command, size: (u16, u16)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let theirs: OwnedFd = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let stream = || Stdio::from(theirs.try_clone().unwrap());
        command.stdin(stream()).stdout(stream()).stderr(stream());
        // SAFETY: two system calls, which allocate nothing.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                Ok(ioctl_tiocsctty(rustix::stdio::stdin())?)
            });
        }
        let child = command.spawn().unwrap();
        // The command holds clones of their side.
        drop((command, theirs));
        let (sender, shown) = channel();
        let mut reading = File::from(ours.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = reading.read(&mut part) {
                if sender.send(part[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let terminal = Self { child, ours: ours.into(), shown, rest: Vec::new() };
        terminal.resize(size);
        terminal
    }

    /// Makes the window larger or smaller.
    pub fn resize(&self, (lines, columns): (u16, u16)) {
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.ours, size).unwrap();
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether keys are shown and lines put together by the terminal, as before any program changes that.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.ours).unwrap().local_modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// What the kernel tells its session's leader when a terminal goes away.
    pub fn hangs_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Waits until this is shown; what was shown until then. What comes after it is for the next call.
    #[track_caller]
    pub fn shows(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.rest.windows(text.len()).position(|part| part == text.as_bytes());
            if let Some(at) = found {
                let rest = self.rest.split_off(at + text.len());
                let shown = std::mem::replace(&mut self.rest, rest);
                return String::from_utf8_lossy(&shown).into_owned();
            }
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(more) => self.rest.extend(more),
                Err(error) => {
                    panic!("{error} without `{text}`, after {}", String::from_utf8_lossy(&self.rest))
                }
            }
        }
    }

    /// Waits until it shows no more, as it does when it has ended; gives its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + LIMIT;
        while self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
        assert!(Instant::now() < deadline, "it does not end");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
