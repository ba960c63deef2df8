//! The sources of a project: what the snapshot says of them, and their bytes, read once for all steps of a build.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::{Digest, FileKind, RelPath, Stamp};
use rustc_hash::FxHashMap;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tokio::runtime::Handle;
use view::SourceError;

use crate::{AskedLenses, Supply};

/// What stands at a path of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Dir,
    /// A source file: its bytes are those that the file with this stamp has.
    Source {
        /// Whether it may be executed.
        exec: bool,
        /// Its stamp at the snapshot; its size is the file's.
        stamp: Stamp,
    },
    /// An output: its bytes are in the larder.
    Output {
        /// Whether it may be executed.
        exec: bool,
        /// Length in bytes.
        size: u64,
        /// Digest of the bytes.
        digest: Digest,
    },
    /// A symbolic link.
    Link {
        /// The target's bytes.
        target: Arc<[u8]>,
    },
}

impl Entry {
    pub(super) fn kind(&self) -> FileKind {
        match self {
            Entry::Dir => FileKind::Dir,
            Entry::Source { .. } | Entry::Output { .. } => FileKind::File,
            Entry::Link { .. } => FileKind::Link,
        }
    }
}

/// Names and kinds in a folder.
pub type Names = Vec<(Box<[u8]>, FileKind)>;

/// The sources of a snapshot, as the majordomo has them. Answers come from memory.
pub trait Sources: Send + Sync + 'static {
    /// What stands at a path; [`Entry::Output`] where the sources are on another pod. The root is a folder.
    fn get(&self, path: &RelPath) -> Option<Entry>;
    /// The names in a folder; `None` if no folder stands there.
    fn list(&self, path: &RelPath) -> Option<Names>;
    /// Whether a path is that of a folder that may not be looked into, or below one: it has no names here.
    fn is_closed(&self, _: &RelPath) -> bool {
        false
    }
}

/// No sources at all.
#[derive(Debug, Clone, Copy)]
pub struct NoSources;

impl Sources for NoSources {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        path.is_root().then_some(Entry::Dir)
    }

    fn list(&self, path: &RelPath) -> Option<Names> {
        path.is_root().then(Vec::new)
    }
}

/// The source files of one build: where they are, and the digests of those that were read.
pub struct SourceFiles {
    only_looks: bool,
    project: OwnedFd,
    pub(super) supply: Supply,
    pub(super) runtime: Handle,
    read: Mutex<FxHashMap<RelPath, Digest>>,
    pub(super) memo: lens::Memo,
    pub(super) asked: Option<Arc<dyn AskedLenses>>,
}

impl SourceFiles {
    /// For the project in a folder.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn new(project: &Path, supply: impl Into<Supply>, runtime: Handle) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let project = rustix::fs::open(project, flags, Mode::empty())?;
        let (read, memo) = (Mutex::default(), lens::Memo::default());
        Ok(Self { only_looks: false, project, supply: supply.into(), runtime, read, memo, asked: None })
    }

    /// With somebody who asks lenses that are programs.
    pub fn with_lenses(self, asked: Arc<dyn AskedLenses>) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// The same for somebody who must not change anything: nothing is taken into the larder or remembered there.
    pub fn only_looking(self) -> Self {
        Self { only_looks: true, ..self }
    }

    /// The digest of a source; its bytes are in the larder then, unless nothing may change.
    pub(super) fn take_in(&self, path: &RelPath, stamp: &Stamp) -> Result<Digest, SourceError> {
        if let Some(digest) = self.read.lock().get(path) {
            return Ok(*digest);
        }
        let digest = match self.larder().known_digest(stamp).map_err(|e| failed(path, e))? {
            Some(digest)
                if self.only_looks || self.larder().contains(&digest).map_err(|e| failed(path, e))? =>
            {
                digest
            }
            _ => self.read_in(path, stamp)?,
        };
        self.read.lock().insert(path.clone(), digest);
        Ok(digest)
    }

    /// The bytes of a source that may not be in the larder; `None` if they are to be taken from there.
    pub(super) fn open_in_place(&self, path: &RelPath, stamp: &Stamp) -> Result<Option<File>, SourceError> {
        if !self.only_looks {
            return Ok(None);
        }
        let file = self.opened(path)?;
        self.agrees(&file, path, stamp)?;
        Ok(Some(file))
    }

    /// Whether the digest of a source costs a reading of it.
    pub(super) fn is_unread(&self, path: &RelPath, stamp: &Stamp) -> Result<bool, SourceError> {
        if self.read.lock().contains_key(path) {
            return Ok(false);
        }
        Ok(self.larder().known_digest(stamp).map_err(|e| failed(path, e))?.is_none())
    }

    pub(super) fn larder(&self) -> &Larder {
        self.supply.larder()
    }

    fn opened(&self, path: &RelPath) -> Result<File, SourceError> {
        let changed = || SourceError::Changed { path: path.clone() };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(&self.project, path.as_path(), flags, Mode::empty(), resolve);
        match opened {
            Ok(fd) => Ok(File::from(fd)),
            // Whatever stood there at the snapshot does no more.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                Err(changed())
            }
            Err(errno) => Err(SourceError::io(path, errno.into())),
        }
    }

    fn agrees(&self, file: &File, path: &RelPath, stamp: &Stamp) -> Result<(), SourceError> {
        let meta = file.metadata().map_err(|e| SourceError::io(path, e))?;
        match Stamp::from(&meta) == *stamp {
            true => Ok(()),
            false => Err(SourceError::Changed { path: path.clone() }),
        }
    }

    fn read_in(&self, path: &RelPath, stamp: &Stamp) -> Result<Digest, SourceError> {
        let file = self.opened(path)?;
        let begun = view::now_ns();
        self.agrees(&file, path, stamp)?;
        let digest = match self.only_looks {
            true => view::digest_of(&file).map_err(|e| SourceError::io(path, e))?,
            false => self.larder().put_file(&file).map_err(|e| failed(path, e))?.0,
        };
        self.agrees(&file, path, stamp)?;
        if !self.only_looks && stamp.is_settled_by_wall_clock(begun) {
            self.larder().remember_digest(stamp, &digest).map_err(|e| failed(path, e))?;
        }
        Ok(digest)
    }
}

pub(super) fn failed(path: &RelPath, error: LarderError) -> SourceError {
    match error {
        LarderError::Changed { .. } | LarderError::NoFile { .. } => {
            SourceError::Changed { path: path.clone() }
        }
        // Whoever is asked why a step failed has to know that it is the machine's turn.
        error @ LarderError::NoSpace { .. } => {
            SourceError::io(path, io::Error::new(io::ErrorKind::StorageFull, error))
        }
        error => SourceError::io(path, io::Error::other(error)),
    }
}
