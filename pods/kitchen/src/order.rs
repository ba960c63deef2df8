//! What is asked of a kitchen, and what it answers.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::RelPath;
use protocol::event::Stream;

use crate::clock::Clock;
use crate::limits::{Limit, Limits};
use crate::secret::Secret;
use crate::upper::UpperDir;

/// One step to be run.
#[derive(Debug, Clone)]
pub struct Order {
    /// The name of the step's root in both mounts.
    pub root: u64,
    /// The commands in the order in which they run; the first that fails ends the step. Each is an argv of at least one
    /// word without NUL bytes, looked up in the `PATH` of `env` inside the root.
    pub commands: Vec<Vec<Vec<u8>>>,
    /// Where they start, relative to the project. It must be there or be among `make_dirs`.
    pub cwd: RelPath,
    /// The complete environment; nothing is added.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the host's network is there. Without it there is a loopback interface and nothing else.
    pub network: bool,
    /// When the step is ended, as measured on `clock`.
    pub timeout: Option<Duration>,
    /// The clock of the time-out; keep a clone to stop it while the step is held.
    pub clock: Clock,
    /// What it may use; [`Limits::time`] is not looked at, `timeout` is. Where something is missing, [`Limits::bounds`] holds.
    pub limits: Limits,
    /// Files in [`SECRETS`](crate::SECRETS), whose folder the view must then have.
    pub secrets: Vec<Secret>,
    /// Folders of the project that exist before the first command, with all above them.
    pub make_dirs: Vec<RelPath>,
    /// Somebody's streams instead of lines that are handed on.
    pub streams: Option<Streams>,
    /// What another step wrote ([`UpperDir::keep`]): it is seen over the project, and stays as it is. It stands in the scratch folder as
    /// long as this runs.
    pub beneath: Option<PathBuf>,
}

/// The standard streams of somebody who talks with a step. Clones are the same descriptors.
#[derive(Debug, Clone)]
pub struct Streams {
    /// Standard input, output and error.
    pub fds: Arc<[OwnedFd; 3]>,
    /// They are a terminal, which the step may control.
    pub is_terminal: bool,
}

impl Order {
    /// An order without environment, network, time-out and folders, that starts in the project's root.
    pub fn new(root: u64, commands: Vec<Vec<Vec<u8>>>) -> Self {
        Self {
            root,
            commands,
            cwd: RelPath::root(),
            env: Vec::new(),
            network: false,
            timeout: None,
            clock: Clock::default(),
            limits: Limits::default(),
            secrets: Vec::new(),
            make_dirs: Vec::new(),
            streams: None,
            beneath: None,
        }
    }

    /// Whether the root of a step of which nothing was known is the root that it would get, with these limits.
    pub(crate) fn is_plain(&self, limits: &Limits) -> bool {
        let bounds = Limits::bounds();
        !self.network
            && self.streams.is_none()
            && self.secrets.is_empty()
            && self.make_dirs.is_empty()
            && self.beneath.is_none()
            && (limits.memory, limits.disk) == (bounds.memory, bounds.disk)
    }
}

/// A line that a step wrote, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it was written.
    pub stream: Stream,
    /// The bytes with the newline that ends them. No newline: the part of a line longer than [`Line::LONGEST`], or the last
    /// line of a stream that does not end with one. All lines of a stream, one after the other, are what was written.
    pub bytes: Vec<u8>,
}

impl Line {
    /// Bytes of the longest line that is handed on whole; what is longer comes in parts.
    pub const LONGEST: usize = 16 << 10;

    /// The bytes without the newline.
    pub fn text(&self) -> &[u8] {
        self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes)
    }
}

/// How a step came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HowEnded {
    /// A command ended with this code: the last one, or the first whose code was not 0.
    Exit(i32),
    /// A signal ended a command.
    Signal(i32),
    /// Its time was up; everything in it was killed.
    TimedOut,
    /// The caller wanted it ended; everything in it was killed.
    Cancelled,
    /// It has reached a limit; if it went on after that, what it made is not to be taken.
    OverLimit(Limit),
    /// Something outside killed the whole step, as the kernel does when memory runs out.
    Killed,
    /// There is no such program.
    NotFound {
        /// The command's first word.
        command: Vec<u8>,
    },
    /// There is such a program, and it cannot be executed.
    CannotExecute {
        /// The command's first word.
        command: Vec<u8>,
        /// The error's number (`EACCES`: not executable; `ENOENT`: its interpreter is missing).
        errno: i32,
    },
    /// The folder to start in cannot be entered.
    BadCwd {
        /// The error's number.
        errno: i32,
    },
}

/// What a step used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in user mode of all processes.
    pub user: Duration,
    /// CPU time in the kernel of all processes.
    pub system: Duration,
    /// Bytes of memory of the largest process.
    pub max_rss: u64,
    /// Time from the order to the end, held or not.
    pub wall: Duration,
    /// Bytes that its processes wrote, to whatever, a write being a block on average at least; 0 where nobody had to know.
    pub written: u64,
}

/// A step that has ended, however it did.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub how: HowEnded,
    /// The place in [`Order::commands`] of the command that ran last; 0 if the step was killed, for then nobody can say.
    pub command: usize,
    /// What it wrote to the project. Nobody writes to it any more.
    pub upper: UpperDir,
    /// What it used.
    pub usage: Usage,
}
