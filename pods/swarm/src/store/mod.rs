//! What the swarm needs of a larder: look, read, and take in what arrives, whole or in parts.
//!
//! The calls are synchronous and come from threads that may block. [`MemoryStore`] is the twin; the laws
//! ([`laws`](crate::laws)) hold for it and for the larder's adapter. Chunk lists are kept beside the objects.

mod memory;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::swarm::ChunkList;
use protocol::{Digest, ObjectId};

pub use memory::MemoryStore;

/// The store itself failed; that says nothing about the object.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct StoreError(Arc<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// Takes any error in.
    pub fn new(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// An object's bytes, whole and checked, to be read in parts.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// A whole file that nobody changes.
    File {
        /// Opened for reading.
        file: Arc<File>,
        /// Length in bytes.
        size: u64,
    },
}

impl Content {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// Makes `buffer` the bytes of a part, which must lie inside.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_at(&self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        self.append(offset, length, buffer)
    }

    /// Appends the bytes of a part, which must lie inside.
    ///
    /// # Errors
    /// It cannot be read; `buffer` is as long as before.
    pub fn append(&self, offset: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let part = usize::try_from(offset)
                    .ok()
                    .and_then(|start| bytes.get(start..start.checked_add(length)?));
                buffer.extend_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            Self::File { file, .. } => {
                let start = buffer.len();
                buffer.resize(start + length, 0);
                file.read_exact_at(&mut buffer[start..], offset)
            }
        }
    }
}

/// A content-addressed store as the swarm sees it.
///
/// `Ok(None)` and `false` always mean: not there, or not what it is called; an error means that the store failed.
pub trait Store: Send + Sync + 'static {
    /// The sizes of those that are there. They will surely stay so long.
    fn sizes(&self, ids: &[ObjectId], lease: Duration) -> Result<Vec<Option<u64>>, StoreError>;
    /// An object's bytes.
    fn open(&self, id: &ObjectId) -> Result<Option<Content>, StoreError>;
    /// Stores an object if these are its bytes; false, and nothing is stored, if they are not.
    fn put(&self, id: &ObjectId, bytes: &[u8]) -> Result<bool, StoreError>;
    /// Room for an object that will arrive in parts. Nothing of it is visible before [`Incoming::finish`].
    fn begin(&self, id: &ObjectId, size: u64) -> Result<Box<dyn Incoming>, StoreError>;
    /// The chunk list that was kept for an object.
    fn chunk_list(&self, id: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError>;
    /// Keeps a chunk list of an object that is there.
    fn keep_chunk_list(&self, list: Arc<ChunkList>) -> Result<(), StoreError>;
    /// An object with a kept list that has this chunk, and where. A hint: the bytes are checked by who reads them.
    fn find_chunk(&self, chunk: &Digest) -> Result<Option<(ObjectId, u64)>, StoreError>;
}

/// An object that is arriving. Dropped without `finish`, it leaves nothing behind.
pub trait Incoming: Send + Sync {
    /// Takes in a part. Parts may come in any order and from several threads, each byte once.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;
    /// Checks the whole and makes it visible; false, and nothing is stored, if it is not what it is called. Called once.
    fn finish(&self) -> Result<bool, StoreError>;
}
