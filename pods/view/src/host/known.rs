//! What a generation of host tools has found out, remembered by path.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::RwLock;
use protocol::{Digest, FileKind, RelPath, Stamp};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

use crate::Node;
use crate::source::Listing;

/// The most paths that one generation remembers; what is beyond is asked of the disk each time, and counts as
/// changed in [`super::HostTools::verify`].
pub const MAX_KNOWN: usize = 400_000;

const SHARDS: usize = 16;

/// What stands at a path of the host, as steps see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Nothing that may be shown.
    Absent,
    /// A folder that all may list.
    Dir,
    /// A file that all may read.
    File {
        /// Whether anybody may execute it.
        exec: bool,
        /// Length in bytes.
        size: u64,
    },
    /// A link.
    Link(Bytes),
}

impl What {
    /// The kind, if something stands there.
    pub fn kind(&self) -> Option<FileKind> {
        match self {
            What::Absent => None,
            What::Dir => Some(FileKind::Dir),
            What::File { .. } => Some(FileKind::File),
            What::Link(_) => Some(FileKind::Link),
        }
    }
}

/// One remembered path.
#[derive(Debug)]
pub struct Known {
    /// What was found first.
    pub what: What,
    /// Its stamp then; `None` if nothing was there.
    pub stamp: Option<Stamp>,
    /// Whether it may have changed since without its stamp changing.
    pub racy: bool,
    /// The digest of the file's bytes, if anybody asked.
    pub digest: OnceLock<Digest>,
    /// The names in the folder, sorted, if anybody asked.
    pub listing: OnceLock<Arc<Listing>>,
    /// The number that the file has in all roots.
    shared: OnceLock<u64>,
}

impl Known {
    /// What was found just now.
    pub fn new(what: What, stamp: Option<Stamp>, racy: bool) -> Self {
        Self { what, stamp, racy, digest: OnceLock::new(), listing: OnceLock::new(), shared: OnceLock::new() }
    }

    /// What the view is told. Files that may change under the same stamp share their inode with nobody.
    pub fn node(&self) -> Option<Node> {
        Some(match &self.what {
            What::Absent => return None,
            What::Dir => Node::Dir,
            What::Link(target) => Node::Link { target: target.clone() },
            What::File { exec, size } => {
                let number = |stamp| *self.shared.get_or_init(|| shared_number(stamp, *exec));
                let shared = self.stamp.as_ref().filter(|_| !self.racy).map(number);
                Node::File { exec: *exec, size: *size, shared, mtime_offset: 0 }
            }
        })
    }
}

/// A number that follows from identity and version alone, so that generations agree on it while nothing changed.
/// 64 bits of a cryptographic hash: among a million files two agree by chance once in 10^7 machines.
fn shared_number(stamp: &Stamp, exec: bool) -> u64 {
    let mut bytes = [0; 41];
    let fields = [stamp.dev, stamp.ino, stamp.size, stamp.mtime_ns as u64, stamp.ctime_ns as u64];
    for (at, field) in fields.into_iter().enumerate() {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&field.to_le_bytes());
    }
    bytes[40] = exec.into();
    let hash = blake3::hash(&bytes);
    hash.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The remembered paths of a generation.
#[derive(Debug, Default)]
pub struct KnownPaths {
    shards: [RwLock<FxHashMap<RelPath, Arc<Known>>>; SHARDS],
}

impl KnownPaths {
    fn shard(&self, path: &RelPath) -> &RwLock<FxHashMap<RelPath, Arc<Known>>> {
        &self.shards[FxBuildHasher.hash_one(path.as_bytes()) as usize % SHARDS]
    }

    /// What is remembered of a path.
    pub fn get(&self, path: &RelPath) -> Option<Arc<Known>> {
        self.shard(path).read().get(path).cloned()
    }

    /// Remembers a path; what was remembered first stays, and is given back.
    pub fn put(&self, path: &RelPath, known: Known) -> Arc<Known> {
        let mut shard = self.shard(path).write();
        if let Some(first) = shard.get(path) {
            return Arc::clone(first);
        }
        let known = Arc::new(known);
        if shard.len() < MAX_KNOWN / SHARDS {
            shard.insert(path.clone(), Arc::clone(&known));
        }
        known
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }
}
