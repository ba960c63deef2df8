//! The machine's own tools as a source: what of the host's `/` a step sees, and how it is known to be unchanged.
//!
//! One [`HostTools`] is one generation: what it has found at a path it keeps saying, so that all steps of a build see
//! one state, and [`HostTools::verify`] tells after a step whether the host still agrees. Files are known by stat
//! stamp; their digests are remembered between builds by a [`DigestMemo`], under git's racily-clean rule.
//! Nothing that is not readable for all is ever shown, listed, digested or opened.

mod digest;
mod known;
mod policy;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use protocol::{Digest, FileKind, Look, RelPath, Stamp};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

pub use self::digest::{DigestMemo, NoMemo, digest_of};

use self::known::{Known, KnownPaths, What};
pub use self::policy::is_common_tool;
use self::policy::{Fixed, Place, Policy};
use crate::source::Listing;
use crate::stamp::{now_ns, stamp_of};
use crate::{Body, Node, Source, SourceError};

/// Files of at least this size are hashed on a thread for blocking work, so that nothing else waits for it.
const HASH_ELSEWHERE: u64 = 256 * 1024;

/// Which part of the host is seen.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// What is taken for the host's `/`.
    pub base: PathBuf,
    /// Tool roots beside the built-in ones, relative to `base`; real paths, through no link. Folders above them that
    /// are in no tool root list only what leads to one.
    pub extra_roots: Vec<RelPath>,
    /// Never shown, though it is in a tool root: the pod's own home, for one.
    pub hidden: Vec<RelPath>,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { base: PathBuf::from("/"), extra_roots: Vec::new(), hidden: Vec::new() }
    }
}

/// One generation of the host's tools.
pub struct HostTools {
    base: OwnedFd,
    policy: Policy,
    known: KnownPaths,
    memo: Arc<dyn DigestMemo>,
}

/// What the host says of a path after a step.
enum Now {
    /// It is not the host's, so it never changes.
    Never,
    /// It is a folder above tool roots, of which only its names can change.
    Leads,
    /// It was never asked about, or cannot be now.
    Unknown,
    /// What was known, and what stands there if its stamp is another one.
    Examined(Arc<Known>, Option<(What, Option<Stamp>)>),
}

impl HostTools {
    /// Starts a generation: nothing is known yet.
    ///
    /// # Errors
    /// The folder that its options name for a root cannot be opened.
    pub fn new(options: HostOptions, memo: Arc<dyn DigestMemo>) -> Result<Self, SourceError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let base = rustix::fs::open(&options.base, flags, Mode::empty())
            .map_err(|errno| SourceError::io(&RelPath::root(), errno.into()))?;
        let policy = Policy::new(&options.extra_roots, &options.hidden);
        Ok(Self { base, policy, known: KnownPaths::default(), memo })
    }

    /// Whether steps see what the host has at a path, whether or not anything stands there: in a tool root, or of `/etc`.
    pub fn is_shown(&self, path: &RelPath) -> bool {
        matches!(self.policy.place(path), Place::Host)
    }

    /// How many paths it remembers.
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    /// Which of these observations the host would answer otherwise now, sorted, each once: one `stat` for each path that is
    /// unchanged, if the looks at one path follow each other. To be asked after a step, with what it observed: what
    /// changed while it ran it may have seen in either state. Racy files are read again. An error while asking counts as a change.
    pub fn verify<'a>(&self, observed: impl IntoIterator<Item = (&'a RelPath, Look)>) -> Vec<RelPath> {
        let mut changed = Vec::new();
        let mut last: Option<(&RelPath, Now)> = None;
        for (path, look) in observed {
            let now = match last.take() {
                Some((same, now)) if same == path => now,
                _ => self.now(path),
            };
            if !self.holds(path, look, &now) {
                changed.push(path.clone());
            }
            last = Some((path, now));
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn now(&self, path: &RelPath) -> Now {
        match self.policy.place(path) {
            Place::Fixed(_) | Place::Hidden => Now::Never,
            Place::Leads => Now::Leads,
            Place::Host => {
                let known = self.known.get(path);
                match known.map(|known| (self.examine(path, known.stamp.as_ref()), known)) {
                    Some((Ok(examined), known)) => Now::Examined(known, examined),
                    Some((Err(_), _)) | None => Now::Unknown,
                }
            }
        }
    }

    fn holds(&self, path: &RelPath, look: Look, now: &Now) -> bool {
        let (known, now) = match now {
            Now::Never => return true,
            Now::Unknown => return false,
            Now::Leads if look != Look::Listing => return true,
            Now::Leads => return self.known.get(path).is_some_and(|known| self.same_listing(path, &known)),
            Now::Examined(known, now) => (known, now),
        };
        let Some((what, stamp)) = now else { return !known.racy || self.holds_racy(path, look, known) };
        match look {
            Look::Kind => what.kind() == known.what.kind(),
            Look::Probe | Look::Link => *what == known.what,
            Look::Listing => *what == known.what && (*what != What::Dir || self.same_listing(path, known)),
            Look::Content => match what {
                What::File { .. } => *stamp == known.stamp,
                _ => *what == known.what,
            },
        }
    }

    /// Whether something with an unchanged but racy stamp is really unchanged.
    fn holds_racy(&self, path: &RelPath, look: Look, known: &Known) -> bool {
        match (look, known.digest.get()) {
            (Look::Listing, _) => self.same_listing(path, known),
            (Look::Content, Some(digest)) => self
                .open_known(path, known)
                .and_then(|file| self.hash(path, &file))
                .is_ok_and(|now| now == *digest),
            _ => true,
        }
    }

    fn same_listing(&self, path: &RelPath, known: &Known) -> bool {
        match known.listing.get() {
            Some(listing) => self.names(path).is_ok_and(|now| now == **listing),
            None => true,
        }
    }

    /// What stands at a path of a tool root now; `None` if its stamp is still this one.
    fn examine(
        &self,
        path: &RelPath,
        before: Option<&Stamp>,
    ) -> Result<Option<(What, Option<Stamp>)>, SourceError> {
        let stat = match rustix::fs::statat(&self.base, path.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(errno) if is_absence(errno) => {
                return Ok(if before.is_none() { None } else { Some((What::Absent, None)) });
            }
            Err(errno) => return Err(SourceError::io(path, errno.into())),
        };
        let stamp = stamp_of(&stat);
        if before == Some(&stamp) {
            return Ok(None);
        }
        Ok(Some((self.shown(path, &stat)?, Some(stamp))))
    }

    /// What steps see of something.
    fn shown(&self, path: &RelPath, stat: &Stat) -> Result<What, SourceError> {
        Ok(match shown_kind(stat) {
            None => What::Absent,
            Some(FileKind::Dir) => What::Dir,
            Some(FileKind::File) => {
                What::File { exec: stat.st_mode & 0o111 != 0, size: stat.st_size.unsigned_abs() }
            }
            Some(FileKind::Link) => {
                match rustix::fs::readlinkat(&self.base, path.as_bytes(), Vec::with_capacity(128)) {
                    Ok(target) => What::Link(Bytes::from(target.into_bytes())),
                    Err(errno) if is_absence(errno) => What::Absent,
                    Err(errno) => return Err(SourceError::io(path, errno.into())),
                }
            }
        })
    }

    /// What this generation says of a path, asking the host if nobody asked before.
    fn know(&self, path: &RelPath) -> Result<Arc<Known>, SourceError> {
        if let Some(known) = self.known.get(path) {
            return Ok(known);
        }
        let (what, stamp) = match self.policy.place(path) {
            Place::Hidden => (What::Absent, None),
            Place::Leads | Place::Fixed(Fixed::Dir) => (What::Dir, None),
            Place::Fixed(Fixed::File(bytes)) => (What::File { exec: false, size: bytes.len() as u64 }, None),
            Place::Fixed(Fixed::Link(target)) => (What::Link(target.clone()), None),
            Place::Host if !self.is_reachable(path)? => (What::Absent, None),
            Place::Host => self.examine(path, None)?.unwrap_or((What::Absent, None)),
        };
        let racy = stamp.as_ref().is_some_and(|stamp| !stamp.is_settled_by_wall_clock(now_ns()));
        Ok(self.known.put(path, Known::new(what, stamp, racy)))
    }

    /// Whether all folders above are folders that may be shown, so that no link is followed.
    fn is_reachable(&self, path: &RelPath) -> Result<bool, SourceError> {
        match path.parent() {
            Some(parent) => Ok(self.know(&parent)?.what == What::Dir),
            None => Ok(true),
        }
    }

    /// The names in a folder that is known to be one, sorted.
    fn names(&self, path: &RelPath) -> Result<Listing, SourceError> {
        let mut names = Listing::new();
        for name in self.policy.known_names(path) {
            if let Some(child) = path.child(name)
                && let Some(kind) = self.know(&child)?.what.kind()
            {
                names.push((name.into(), kind));
            }
        }
        let place = self.policy.place(path);
        if matches!(place, Place::Host) || matches!(place, Place::Leads) && Policy::has_patterns(path) {
            self.host_names(path, &mut names)?;
        }
        names.sort_unstable();
        names.dedup_by(|a, b| a.0 == b.0);
        Ok(names)
    }

    fn host_names(&self, path: &RelPath, names: &mut Listing) -> Result<(), SourceError> {
        let fail = |errno: Errno| SourceError::io(path, errno.into());
        let at = if path.is_root() { &b"."[..] } else { path.as_bytes() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match rustix::fs::openat(&self.base, at, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(errno) if is_absence(errno) => return Ok(()),
            Err(errno) => return Err(fail(errno)),
        };
        let entries = Dir::read_from(&folder).map_err(fail)?;
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            let Some(child) = path.child(name) else { continue };
            if !matches!(self.policy.place(&child), Place::Host) {
                continue;
            }
            match rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => names.extend(shown_kind(&stat).map(|kind| (name.into(), kind))),
                Err(errno) if is_absence(errno) => (),
                Err(errno) => return Err(fail(errno)),
            }
        }
        Ok(())
    }

    /// Opens a file that is still the one that is known.
    fn open_known(&self, path: &RelPath, known: &Known) -> Result<File, SourceError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.base, path.as_bytes(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(errno) if is_absence(errno) => return Err(SourceError::Changed { path: path.clone() }),
            Err(errno) => return Err(SourceError::io(path, errno.into())),
        };
        self.check(path, &file, known.stamp)?;
        Ok(file)
    }

    fn check(&self, path: &RelPath, file: &File, stamp: Option<Stamp>) -> Result<(), SourceError> {
        let now = file.metadata().map_err(|error| SourceError::io(path, error))?;
        if stamp == Some(Stamp::from(&now)) {
            Ok(())
        } else {
            Err(SourceError::Changed { path: path.clone() })
        }
    }

    fn hash(&self, path: &RelPath, file: &File) -> Result<Digest, SourceError> {
        digest_of(file).map_err(|error| SourceError::io(path, error))
    }

    async fn digest_file(&self, path: &RelPath, known: &Known, size: u64) -> Result<Digest, SourceError> {
        if let Some(digest) = known.digest.get() {
            return Ok(*digest);
        }
        let remembered = known.stamp.as_ref().and_then(|stamp| self.memo.known(stamp));
        let digest = match remembered {
            Some(digest) => digest,
            None => {
                let began = now_ns();
                let file = self.open_known(path, known)?;
                let digest = match tokio::runtime::Handle::try_current() {
                    Ok(runtime) if size >= HASH_ELSEWHERE => {
                        let opened = file.try_clone().map_err(|error| SourceError::io(path, error))?;
                        let hashing = runtime.spawn_blocking(move || digest_of(&opened)).await;
                        hashing
                            .map_err(|_| SourceError::Cancelled)?
                            .map_err(|error| SourceError::io(path, error))?
                    }
                    _ => self.hash(path, &file)?,
                };
                self.check(path, &file, known.stamp)?;
                if let Some(stamp) =
                    known.stamp.as_ref().filter(|stamp| stamp.is_settled_by_wall_clock(began))
                {
                    self.memo.remember(stamp, &digest);
                }
                digest
            }
        };
        Ok(*known.digest.get_or_init(|| digest))
    }
}

/// Whether an error means that there is nothing to see.
fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::ACCESS)
}

/// The kind of something that all may read; `None` for what is never shown.
fn shown_kind(stat: &Stat) -> Option<FileKind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory if stat.st_mode & 0o005 == 0o005 => Some(FileKind::Dir),
        FileType::RegularFile if stat.st_mode & 0o004 != 0 => Some(FileKind::File),
        FileType::Symlink => Some(FileKind::Link),
        _ => None,
    }
}

impl Source for HostTools {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        Box::pin(async move { Ok(self.know(path)?.node()) })
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Listing>, SourceError>> {
        Box::pin(async move {
            let known = self.know(path)?;
            if known.what != What::Dir {
                return Ok(None);
            }
            let listing = match known.listing.get() {
                Some(listing) => Arc::clone(listing),
                None => {
                    let names = Arc::new(self.names(path)?);
                    Arc::clone(known.listing.get_or_init(|| names))
                }
            };
            Ok(Some(listing.to_vec()))
        })
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        Box::pin(async move {
            let known = self.know(path)?;
            Ok(match (&known.what, self.policy.place(path)) {
                (What::File { .. }, Place::Fixed(Fixed::File(bytes))) => Some(Body::Bytes(bytes.clone())),
                (What::File { .. }, _) => Some(Body::File(Arc::new(self.open_known(path, &known)?))),
                _ => None,
            })
        })
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        Box::pin(async move {
            let known = self.know(path)?;
            Ok(match (&known.what, self.policy.place(path)) {
                (What::File { .. }, Place::Fixed(Fixed::File(bytes))) => Some(Digest::of(bytes)),
                (What::File { size, .. }, _) => Some(self.digest_file(path, &known, *size).await?),
                _ => None,
            })
        })
    }
}

impl std::fmt::Debug for HostTools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostTools").field("remembered", &self.remembered()).finish()
    }
}
