//! One FUSE session for the pod's life, and the roots that stand in it.

mod answer;
mod bodies;
mod linger;
mod numbers;
mod readers;
mod root;
mod server;
mod shared;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use fuser::{Config, Session, SessionACL};
use parking_lot::RwLock;
use protocol::step::STEP_UID;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub use self::root::Root;

use self::bodies::OpenBodies;
use self::linger::{Linger, PROJECT_LINGER_ROOTS, TOOLS_LINGER_ROOTS};
use self::root::RootState;
use self::server::Server;
use self::shared::SharedNodes;
use crate::{Source, ViewError};

/// Session threads of a mount: the second keeps answers coming while the first reads from a slow disk.
pub const SESSION_THREADS: usize = 2;

/// Files shorter than this are read through the session even where the kernel could read them itself: one message
/// more, but two ioctls less for each open.
pub const PASSTHROUGH_MIN_SIZE: u64 = 128 * 1024;

/// What a mount is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Read-only tool trees. The kernel opens files without asking; those with the same `shared` number are one inode
    /// over all roots, so that they share their page cache; links with the same path and target are one inode too. A
    /// successful look-up of a file counts as content, that of a link also as reading it: neither is asked for later.
    Tools,
    /// A project's files: every file has an inode of its own in each root, and the first read counts as content. Large
    /// real files are read by the kernel itself where that is allowed (FUSE passthrough: root, Linux 6.9); since those reads
    /// are not seen, their open counts.
    Project,
}

/// Which files the kernel may read by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passthrough {
    /// None.
    Never,
    /// Real files of at least this many bytes, where kernel and rights allow it.
    FromSize(u64),
}

/// How a mount is served.
#[derive(Debug, Clone)]
pub struct Options {
    /// The user that everything belongs to, as the pod sees it.
    pub uid: u32,
    /// The group that everything belongs to, as the pod sees it.
    pub gid: u32,
    /// Session threads, at least one.
    pub threads: usize,
    /// How many removed roots stay in the kernel's caches; `None`: what suits the flavour.
    pub linger_roots: Option<usize>,
    /// Which files of a [`Flavour::Project`] mount the kernel reads by itself.
    pub passthrough: Passthrough,
    /// `/proc` with the process numbers that requests name, those of where it was mounted; without it nobody can tell who reads.
    pub processes: Option<Arc<OwnedFd>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            uid: STEP_UID,
            gid: STEP_UID,
            threads: SESSION_THREADS,
            linger_roots: None,
            passthrough: Passthrough::FromSize(PASSTHROUGH_MIN_SIZE),
            processes: None,
        }
    }
}

/// The roots that stand, by serial and by name.
#[derive(Default)]
struct Roots {
    by_serial: FxHashMap<u64, Arc<RootState>>,
    serials: FxHashMap<u64, u64>,
}

/// What the session threads, the handles of roots and the mount share.
struct Core {
    flavour: Flavour,
    options: Options,
    runtime: Handle,
    roots: RwLock<Roots>,
    next_serial: AtomicU64,
    shared: SharedNodes,
    bodies: OpenBodies,
    passthrough: AtomicBool,
    linger: Linger,
    /// For questions that belong to no root.
    never_closed: watch::Sender<bool>,
}

impl Core {
    fn root(&self, serial: u64) -> Option<Arc<RootState>> {
        self.roots.read().by_serial.get(&serial).cloned()
    }

    fn root_named(&self, name: u64) -> Option<Arc<RootState>> {
        let roots = self.roots.read();
        roots.serials.get(&name).and_then(|serial| roots.by_serial.get(serial)).cloned()
    }

    fn remove(&self, state: &RootState) {
        let mut roots = self.roots.write();
        roots.by_serial.remove(&state.serial);
        roots.serials.remove(&state.name);
        drop(roots);
        self.bodies.retain(
            |ino| !matches!(numbers::Number::of(fuser::INodeNo(ino)), numbers::Number::Path { serial, .. } if serial == state.serial),
        );
        self.linger.push(state.name, state.len());
    }
}

/// A served mount. Dropping it removes nothing from the disk: the mount itself ends with its mount namespace, or when it
/// is unmounted, and the session threads with it.
pub struct Mount {
    core: Arc<Core>,
    session: JoinHandle<()>,
}

/// Figures of a mount, for its keeper and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MountStats {
    /// Roots that stand.
    pub roots: usize,
    /// Removed roots that the kernel still keeps.
    pub lingering: usize,
    /// Shared files that the kernel knows.
    pub shared_files: usize,
}

impl Mount {
    /// Takes over an open `/dev/fuse` that is mounted already, agrees with the kernel on the session, and starts its
    /// threads. Sources that answer late are waited for in `runtime`.
    ///
    /// The mount should be read-only (`MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOATIME`; a writable one makes the kernel ask for
    /// attributes again after each read) with `allow_other`. Blocks until the kernel's first message, which the mount
    /// sends by itself.
    ///
    /// # Errors
    /// The kernel does not agree, or a thread cannot be started.
    pub fn serve(
        fuse_fd: OwnedFd,
        flavour: Flavour,
        options: Options,
        runtime: Handle,
    ) -> Result<Mount, ViewError> {
        let default_linger = match flavour {
            Flavour::Tools => TOOLS_LINGER_ROOTS,
            Flavour::Project => PROJECT_LINGER_ROOTS,
        };
        let threads = options.threads.max(1);
        let core = Arc::new(Core {
            flavour,
            linger: Linger::new(options.linger_roots.unwrap_or(default_linger)),
            options,
            runtime,
            roots: RwLock::default(),
            next_serial: AtomicU64::new(1),
            shared: SharedNodes::default(),
            bodies: OpenBodies::default(),
            passthrough: AtomicBool::new(false),
            never_closed: watch::Sender::new(false),
        });
        let mut config = Config::default();
        config.n_threads = Some(threads);
        config.clone_fd = threads > 1 && can_open_device();
        let session = Session::from_fd(Server::new(Arc::clone(&core)), fuse_fd, SessionACL::All, config)
            .map_err(ViewError::Session)?;
        let notifier = session.notifier();
        let forgetter = Arc::clone(&core);
        spawn("view-forget", move || forgetter.linger.run(&notifier))?;
        let served = Arc::clone(&core);
        let session = spawn("view-session", move || {
            if let Err(error) = session.run() {
                tracing::error!(%error, "a FUSE session ended");
            }
            served.linger.end();
        })?;
        Ok(Mount { core, session })
    }

    /// Adds a step's root; it appears as `<mount>/<name>`. A name may be used again only after the kernel has forgotten
    /// the root that had it, so names should be counted up.
    ///
    /// # Errors
    /// The name is in use, or was until a moment ago.
    pub fn add_root(&self, name: u64, source: Arc<dyn Source>) -> Result<Root, ViewError> {
        if self.core.linger.has(name) {
            return Err(ViewError::NameTaken(name));
        }
        let serial = self.core.next_serial.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(RootState::new(name, serial, source));
        let mut roots = self.core.roots.write();
        if roots.serials.contains_key(&name) {
            return Err(ViewError::NameTaken(name));
        }
        roots.serials.insert(name, serial);
        roots.by_serial.insert(serial, Arc::clone(&state));
        drop(roots);
        Ok(Root { core: Arc::clone(&self.core), state })
    }

    /// What the mount is for.
    pub fn flavour(&self) -> Flavour {
        self.core.flavour
    }

    /// Whether the session has ended: the mount is gone, or the kernel refuses it.
    pub fn has_ended(&self) -> bool {
        self.session.is_finished()
    }

    /// Whether the kernel reads large files of this mount by itself.
    pub fn passes_through(&self) -> bool {
        self.core.passthrough.load(Ordering::Relaxed)
    }

    /// How much there is in it.
    pub fn stats(&self) -> MountStats {
        MountStats {
            roots: self.core.roots.read().by_serial.len(),
            lingering: self.core.linger.len(),
            shared_files: self.core.shared.files(),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.core.linger.end();
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount").field("flavour", &self.core.flavour).field("stats", &self.stats()).finish()
    }
}

/// Whether each session thread can have a descriptor of its own, which spares it the others' locks and wake-ups.
fn can_open_device() -> bool {
    std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse").is_ok()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ViewError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| ViewError::Thread { name: name.to_owned(), source })
}
