//! What a larder holds and hands out.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Digest;
pub use protocol::ObjectKind;

/// A blob's bytes, in the form in which the larder has them.
#[derive(Debug, Clone)]
pub enum Content {
    /// A whole file from offset 0, read-only and never changed: fit for FUSE passthrough, for reflinks and `sendfile`.
    File {
        /// Opened for reading. The offset is shared: read with `read_at`.
        file: Arc<File>,
        /// Length in bytes.
        size: u64,
    },
    /// Bytes in memory, already checked.
    Bytes(Bytes),
}

impl Content {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// All of it in memory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File { file, size } => {
                let mut bytes = vec![0; *size as usize];
                file.read_exact_at(&mut bytes, 0)?;
                Ok(bytes.into())
            }
        }
    }
}

/// What became of a trace that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The first result for its strong key: from now on it is the answer.
    New(Digest),
    /// Its strong key has a trace with the same outputs already: this one.
    Known(Digest),
    /// Its strong key has a trace with *other* outputs, which stays: the step is not deterministic.
    Differs {
        /// The trace that stays.
        first: Digest,
        /// The one that was to be added, and was not.
        now: Digest,
    },
    /// This very trace was revoked, and is never adopted again.
    Revoked(Digest),
}

impl Added {
    /// The trace that now answers the strong key, if any does.
    pub fn trace(self) -> Option<Digest> {
        match self {
            Self::New(digest) | Self::Known(digest) | Self::Differs { first: digest, .. } => Some(digest),
            Self::Revoked(_) => None,
        }
    }
}

/// How much a larder holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Objects of all kinds.
    pub objects: u64,
    /// Their bytes, without the larder's own.
    pub bytes: u64,
    /// Packs.
    pub packs: u64,
    /// Blobs that are whole files; counted among the objects too.
    pub blobs: u64,
}
