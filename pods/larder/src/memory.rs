//! The twin in memory: the same laws, no disk. For tests of what uses a larder.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::{Digest, PathSet, Trace, WorkspaceId};

use crate::options::{CANDIDATES_PER_WEAK_KEY, CANDIDATES_PER_WORKSPACE};
use crate::{Added, Content, LarderError, ObjectKind};

/// A store in memory. Clones are handles of the same one.
#[derive(Clone, Default)]
pub struct MemoryLarder {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: HashMap<Digest, (ObjectKind, Bytes)>,
    traces: HashMap<Digest, Digest>,
    /// Strong keys, as their traces came.
    order: Vec<Digest>,
    revoked: HashSet<Digest>,
    /// For each weak key, who used which path set; the last hit at the end.
    candidates: HashMap<Digest, Vec<(WorkspaceId, Digest)>>,
}

impl State {
    fn put(&mut self, kind: ObjectKind, bytes: &[u8]) -> Digest {
        let digest = kind.digest(bytes);
        self.objects.entry(digest).or_insert_with(|| (kind, Bytes::copy_from_slice(bytes)));
        digest
    }

    fn get(&mut self, kind: ObjectKind, digest: &Digest) -> Option<Bytes> {
        let (found, bytes) = self.objects.get(digest)?;
        if kind.digest(bytes) == *digest {
            return Some(bytes.clone());
        }
        if *found == kind {
            self.objects.remove(digest);
        }
        None
    }

    fn trace(&mut self, strong: &Digest) -> Option<(Digest, Arc<Trace>)> {
        let digest = *self.traces.get(strong)?;
        let bytes = self.get(ObjectKind::Trace, &digest)?;
        Some((digest, Arc::new(Trace::decode(&bytes).ok()?)))
    }

    fn hit(&mut self, trace: &Trace, workspace: WorkspaceId) {
        let used = self.candidates.entry(trace.weak).or_default();
        used.retain(|known| *known != (workspace, trace.path_set));
        used.push((workspace, trace.path_set));
        let ours = used.iter().filter(|(by, _)| *by == workspace).count();
        if ours > CANDIDATES_PER_WORKSPACE
            && let Some(oldest) = used.iter().position(|(by, _)| *by == workspace)
        {
            used.remove(oldest);
        }
        if used.len() > CANDIDATES_PER_WEAK_KEY {
            used.remove(0);
        }
    }
}

impl MemoryLarder {
    /// See [`crate::Store::put`].
    pub fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, LarderError> {
        Ok(self.state.lock().put(kind, bytes))
    }

    /// See [`crate::Store::put_file`].
    pub fn put_file(&self, file: &File) -> Result<(Digest, u64), LarderError> {
        let read = || {
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            loop {
                match file.read_at(&mut part, bytes.len() as u64)? {
                    0 => return Ok(bytes),
                    count => bytes.extend_from_slice(&part[..count]),
                }
            }
        };
        let bytes = read().map_err(|error| LarderError::io("read", "a file".as_ref(), error))?;
        Ok((self.put(ObjectKind::Blob, &bytes)?, bytes.len() as u64))
    }

    /// See [`crate::Store::get`].
    pub fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError> {
        Ok(self.state.lock().get(kind, digest))
    }

    /// See [`crate::Store::open_blob`].
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<Content>, LarderError> {
        Ok(self.get(ObjectKind::Blob, digest)?.map(Content::Bytes))
    }

    /// See [`crate::Store::size_of`].
    pub fn size_of(&self, digest: &Digest) -> Result<Option<u64>, LarderError> {
        Ok(self.state.lock().objects.get(digest).map(|(_, bytes)| bytes.len() as u64))
    }

    /// See [`crate::Store::contains`].
    pub fn contains(&self, digest: &Digest) -> Result<bool, LarderError> {
        Ok(self.state.lock().objects.contains_key(digest))
    }

    /// See [`crate::Store::add_trace`].
    pub fn add_trace(
        &self,
        trace: &Trace,
        set: &PathSet,
        workspace: WorkspaceId,
    ) -> Result<Added, LarderError> {
        if set.digest() != trace.path_set {
            return Err(LarderError::WrongPathSet);
        }
        let now = trace.digest();
        let strong = trace.strong();
        let mut state = self.state.lock();
        if state.revoked.contains(&now) {
            return Ok(Added::Revoked(now));
        }
        if let Some((first, known)) = state.trace(&strong) {
            state.hit(&known, workspace);
            let same = known.outputs == trace.outputs;
            return Ok(if same { Added::Known(first) } else { Added::Differs { first, now } });
        }
        state.put(ObjectKind::PathSet, &set.encode());
        state.put(ObjectKind::Trace, &trace.encode());
        state.traces.insert(strong, now);
        state.order.retain(|known| *known != strong);
        state.order.push(strong);
        state.hit(trace, workspace);
        Ok(Added::New(now))
    }

    /// See [`crate::Store::path_sets`].
    pub fn path_sets(
        &self,
        weak: &Digest,
        workspace: WorkspaceId,
    ) -> Result<Vec<(Digest, Arc<PathSet>)>, LarderError> {
        let mut state = self.state.lock();
        let used = state.candidates.get(weak).cloned().unwrap_or_default();
        let (ours, others): (Vec<_>, Vec<_>) = used.into_iter().rev().partition(|(by, _)| *by == workspace);
        let mut sets: Vec<(Digest, Arc<PathSet>)> = Vec::new();
        for (_, digest) in ours.into_iter().chain(others) {
            if sets.iter().any(|(known, _)| *known == digest) {
                continue;
            }
            let set = state.get(ObjectKind::PathSet, &digest).and_then(|bytes| PathSet::decode(&bytes).ok());
            sets.extend(set.map(|set| (digest, Arc::new(set))));
        }
        Ok(sets)
    }

    /// See [`crate::Store::trace`].
    pub fn trace(&self, strong: &Digest) -> Result<Option<(Digest, Arc<Trace>)>, LarderError> {
        Ok(self.state.lock().trace(strong))
    }

    /// See [`crate::Store::traces_with`].
    pub fn traces_with(
        &self,
        weak: &Digest,
        path_set: &Digest,
        at_most: usize,
    ) -> Result<Vec<(Digest, Arc<Trace>)>, LarderError> {
        let mut state = self.state.lock();
        let newest_first: Vec<Digest> = state.order.iter().rev().copied().collect();
        let found = newest_first.iter().filter_map(|strong| state.trace(strong));
        let of_pair = found.filter(|(_, trace)| trace.weak == *weak && trace.path_set == *path_set);
        Ok(of_pair.take(at_most).collect())
    }

    /// See [`crate::Store::hit`].
    pub fn hit(&self, trace: &Trace, workspace: WorkspaceId) -> Result<(), LarderError> {
        self.state.lock().hit(trace, workspace);
        Ok(())
    }

    /// See [`crate::Store::revoke`].
    pub fn revoke(&self, trace: &Digest) -> Result<(), LarderError> {
        let mut state = self.state.lock();
        state.revoked.insert(*trace);
        state.traces.retain(|_, known| known != trace);
        Ok(())
    }

    /// See [`crate::Store::flush`].
    pub fn flush(&self) -> Result<(), LarderError> {
        Ok(())
    }

    /// Damages an object behind the store's back.
    #[cfg(test)]
    pub(crate) fn damage(&self, digest: &Digest) {
        let mut state = self.state.lock();
        if let Some((_, bytes)) = state.objects.get_mut(digest) {
            let mut other = bytes.to_vec();
            match other.last_mut() {
                Some(last) => *last ^= 1,
                None => other.push(0),
            }
            *bytes = other.into();
        }
    }
}
