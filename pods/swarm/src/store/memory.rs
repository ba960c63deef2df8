//! The twin in memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::swarm::ChunkList;
use protocol::{Digest, ObjectId, ObjectKind};

use super::{Content, Incoming, Store, StoreError};

/// A store in memory. Clones are handles of the same one.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: HashMap<ObjectId, Bytes>,
    lists: HashMap<ObjectId, Arc<ChunkList>>,
    chunks: HashMap<Digest, (ObjectId, u64)>,
}

impl MemoryStore {
    /// Stores bytes under their name.
    pub fn add(&self, kind: ObjectKind, bytes: impl Into<Bytes>) -> ObjectId {
        let bytes = bytes.into();
        let id = ObjectId::of(kind, &bytes);
        self.state.lock().objects.insert(id, bytes);
        id
    }

    /// Stores bytes under a name that is not theirs: for pods that lie.
    pub fn add_wrong(&self, id: ObjectId, bytes: impl Into<Bytes>) {
        self.state.lock().objects.insert(id, bytes.into());
    }

    /// An object's bytes.
    pub fn get(&self, id: &ObjectId) -> Option<Bytes> {
        self.state.lock().objects.get(id).cloned()
    }

    /// Forgets an object.
    pub fn remove(&self, id: &ObjectId) {
        self.state.lock().objects.remove(id);
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.state.lock().objects.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store for MemoryStore {
    fn sizes(&self, ids: &[ObjectId], _lease: Duration) -> Result<Vec<Option<u64>>, StoreError> {
        let state = self.state.lock();
        Ok(ids.iter().map(|id| state.objects.get(id).map(|bytes| bytes.len() as u64)).collect())
    }

    fn open(&self, id: &ObjectId) -> Result<Option<Content>, StoreError> {
        Ok(self.get(id).map(Content::Bytes))
    }

    fn put(&self, id: &ObjectId, bytes: &[u8]) -> Result<bool, StoreError> {
        let right = id.kind.digest(bytes) == id.digest;
        if right {
            self.state.lock().objects.insert(*id, Bytes::copy_from_slice(bytes));
        }
        Ok(right)
    }

    fn begin(&self, id: &ObjectId, size: u64) -> Result<Box<dyn Incoming>, StoreError> {
        // Grows as parts come: a size that somebody claims allocates nothing.
        Ok(Box::new(Arriving { store: self.clone(), id: *id, size, bytes: Mutex::default() }))
    }

    fn chunk_list(&self, id: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError> {
        Ok(self.state.lock().lists.get(id).cloned())
    }

    fn keep_chunk_list(&self, list: Arc<ChunkList>) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        for (offset, chunk) in list.placed() {
            state.chunks.insert(chunk.digest, (list.object(), offset));
        }
        state.lists.insert(list.object(), list);
        Ok(())
    }

    fn find_chunk(&self, chunk: &Digest) -> Result<Option<(ObjectId, u64)>, StoreError> {
        Ok(self.state.lock().chunks.get(chunk).copied())
    }
}

struct Arriving {
    store: MemoryStore,
    id: ObjectId,
    size: u64,
    bytes: Mutex<Vec<u8>>,
}

impl Incoming for Arriving {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut all = self.bytes.lock();
        let end = offset as usize + bytes.len();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn finish(&self) -> Result<bool, StoreError> {
        let bytes = std::mem::take(&mut *self.bytes.lock());
        Ok(bytes.len() as u64 == self.size && self.store.put(&self.id, &bytes)?)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_twin_keeps_the_laws() {
        crate::laws::check(&super::MemoryStore::default()).unwrap();
    }
}
