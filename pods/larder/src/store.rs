//! What a store can do, whatever it is made of: the contract that [`Larder`] and [`MemoryLarder`] share.
//!
//! The laws (tested on both): what was put can be got, under its digest and kind and no other; putting it again changes
//! nothing; what is damaged is absent, never wrong; the first trace of a strong key stays; a revoked
//! trace never comes back; a store that is opened again has all that was flushed and all that a trace was added for.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use protocol::{Digest, PathSet, Trace, WorkspaceId};

use crate::{Added, Content, Larder, LarderError, MemoryLarder, ObjectKind};

/// A content-addressed store with an index of traces. `Ok(None)` always means: not there, for whatever reason; an error
/// means that the store itself failed, and says nothing about the object.
pub trait Store: Send + Sync {
    /// Stores an object; it can be got when this returns. Objects that are there already are left alone.
    fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, LarderError>;
    /// Stores a file's bytes from start to end; returns digest and size.
    fn put_file(&self, file: &File) -> Result<(Digest, u64), LarderError>;
    /// An object's bytes, which are what the digest says.
    fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError>;
    /// A blob, as a file or as bytes.
    fn open_blob(&self, digest: &Digest) -> Result<Option<Content>, LarderError>;
    /// An object's size, if it is there; of any kind.
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>, LarderError>;
    /// Whether an object is there; of any kind.
    fn contains(&self, digest: &Digest) -> Result<bool, LarderError>;
    /// Stores a trace and its path set, and makes it the answer for its strong key if that has none.
    fn add_trace(&self, trace: &Trace, set: &PathSet, workspace: WorkspaceId) -> Result<Added, LarderError>;
    /// The path sets that may answer a weak key: this workspace's first, the last hit at the front.
    fn path_sets(
        &self,
        weak: &Digest,
        workspace: WorkspaceId,
    ) -> Result<Vec<(Digest, Arc<PathSet>)>, LarderError>;
    /// The trace that answers a strong key, and its digest.
    fn trace(&self, strong: &Digest) -> Result<Option<(Digest, Arc<Trace>)>, LarderError>;
    /// The traces of a weak key with this path set, newest first, at most so many.
    fn traces_with(
        &self,
        weak: &Digest,
        path_set: &Digest,
        at_most: usize,
    ) -> Result<Vec<(Digest, Arc<Trace>)>, LarderError>;
    /// Notes that a trace answered a step of this workspace.
    fn hit(&self, trace: &Trace, workspace: WorkspaceId) -> Result<(), LarderError>;
    /// Takes a trace back, for good.
    fn revoke(&self, trace: &Digest) -> Result<(), LarderError>;
    /// Waits until everything that was put so far outlives the process.
    fn flush(&self) -> Result<(), LarderError>;
}

macro_rules! is_a_store {
    ($type:ty) => {
        impl Store for $type {
            fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, LarderError> {
                <$type>::put(self, kind, bytes)
            }

            fn put_file(&self, file: &File) -> Result<(Digest, u64), LarderError> {
                <$type>::put_file(self, file)
            }

            fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError> {
                <$type>::get(self, kind, digest)
            }

            fn open_blob(&self, digest: &Digest) -> Result<Option<Content>, LarderError> {
                <$type>::open_blob(self, digest)
            }

            fn size_of(&self, digest: &Digest) -> Result<Option<u64>, LarderError> {
                <$type>::size_of(self, digest)
            }

            fn contains(&self, digest: &Digest) -> Result<bool, LarderError> {
                <$type>::contains(self, digest)
            }

            fn add_trace(&self, trace: &Trace, set: &PathSet, by: WorkspaceId) -> Result<Added, LarderError> {
                <$type>::add_trace(self, trace, set, by)
            }

            fn path_sets(
                &self,
                weak: &Digest,
                workspace: WorkspaceId,
            ) -> Result<Vec<(Digest, Arc<PathSet>)>, LarderError> {
                <$type>::path_sets(self, weak, workspace)
            }

            fn trace(&self, strong: &Digest) -> Result<Option<(Digest, Arc<Trace>)>, LarderError> {
                <$type>::trace(self, strong)
            }

            fn traces_with(
                &self,
                weak: &Digest,
                path_set: &Digest,
                at_most: usize,
            ) -> Result<Vec<(Digest, Arc<Trace>)>, LarderError> {
                <$type>::traces_with(self, weak, path_set, at_most)
            }

            fn hit(&self, trace: &Trace, workspace: WorkspaceId) -> Result<(), LarderError> {
                <$type>::hit(self, trace, workspace)
            }

            fn revoke(&self, trace: &Digest) -> Result<(), LarderError> {
                <$type>::revoke(self, trace)
            }

            fn flush(&self) -> Result<(), LarderError> {
                <$type>::flush(self)
            }
        }
    };
}

is_a_store!(Larder);
is_a_store!(MemoryLarder);
