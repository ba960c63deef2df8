//! Which pod owns which artefact, and which pods have most of some bytes: answered from memory.
//!
//! A [`Map`] follows *records*. A record covers a [`Part`] of a workspace – its sources, or what one step made – and not one file: the paths are
//! those of its tree. The record with the greatest epoch stands, whichever came first, so that pods which were told in another order have
//! the same map. One writer at a time; readers share it behind whatever lock its owner has.
//!
//! Ownership is exact as of the last record; who *has* bytes is a hint: a pod that owned a file once is believed to have it until it is
//! forgotten. No build decides by either (DESIGN §5).
//!
//! Bounds: [`MAX_HOLDERS`] pods a digest, [`holders::MAX_SETS`] combinations of them, [`holders::MAX_PODS`] pods; beyond that hints are dropped. Memory is
//! about 130 bytes an artefact; `benches/map.rs` measures it. Nothing here outlives the process: the records do, in the log and in each
//! pod's copy of it.

mod holders;
mod packed;
#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};

use protocol::{Digest, PodId, RelPath, StepId, Tree, TreeEntry, WorkspaceId};
use rustc_hash::{FxHashMap, FxHasher};

use holders::Holders;
pub use holders::{MAX_HOLDERS, MAX_PODS, MAX_SETS};
use packed::Packed;

/// What of a workspace a record covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Its sources.
    Sources,
    /// What a step made.
    Step(StepId),
}

/// Who owns a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership<E> {
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// Which part of it.
    pub part: Part,
    /// The one pod that has to keep the bytes.
    pub owner: PodId,
    /// Since when: of two records of one part the one with the greater epoch stands.
    pub epoch: E,
}

/// A file that somebody owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact<'a, E> {
    /// Who, and as a part of what.
    pub ownership: &'a Ownership<E>,
    /// Its official digest.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub exec: bool,
}

struct Record<E> {
    ownership: Ownership<E>,
    files: Packed,
}

/// The map of a federation.
pub struct Map<E> {
    records: Vec<Option<Record<E>>>,
    free: Vec<u32>,
    by_part: FxHashMap<(WorkspaceId, Part), u32>,
    /// Records by a hash of workspace and path: the first, the rest in `more`.
    by_path: FxHashMap<u64, u32>,
    more: FxHashMap<u64, Vec<u32>>,
    holders: Holders,
    artefacts: usize,
}

impl<E> Default for Map<E> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            free: Vec::new(),
            by_part: FxHashMap::default(),
            by_path: FxHashMap::default(),
            more: FxHashMap::default(),
            holders: Holders::default(),
            artefacts: 0,
        }
    }
}

fn place(workspace: WorkspaceId, path: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    workspace.hash(&mut hasher);
    path.hash(&mut hasher);
    hasher.finish()
}

impl<E: Ord + Copy> Map<E> {
    /// Takes in a record with its tree. False if one of the same part that stands is as new or newer.
    pub fn apply(&mut self, ownership: Ownership<E>, tree: &Tree) -> bool {
        let key = (ownership.workspace, ownership.part.clone());
        if let Some(&known) = self.by_part.get(&key) {
            if self.record(known).is_some_and(|record| record.ownership.epoch >= ownership.epoch) {
                return false;
            }
            self.drop_record(known);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.records.push(None);
            self.records.len() as u32 - 1
        });
        let files = tree.entries().iter().filter_map(|(path, entry)| match entry {
            TreeEntry::File { digest, size, exec } => Some((path, digest, *size, *exec)),
            _ => None,
        });
        let files = Packed::new(files);
        let owner = self.holders.pod(ownership.owner);
        for file in files.iter() {
            let place = place(ownership.workspace, file.path);
            match self.by_path.entry(place) {
                std::collections::hash_map::Entry::Vacant(slot) => drop(slot.insert(index)),
                std::collections::hash_map::Entry::Occupied(_) => {
                    self.more.entry(place).or_default().push(index);
                }
            }
            self.holders.add(&file.digest, owner);
            self.artefacts += 1;
        }
        self.by_part.insert(key, index);
        self.records[index as usize] = Some(Record { ownership, files });
        true
    }

    /// Nobody owns a part any more, as of this epoch. False if a newer record stands.
    pub fn remove(&mut self, workspace: WorkspaceId, part: &Part, epoch: E) -> bool {
        let Some(&index) = self.by_part.get(&(workspace, part.clone())) else { return true };
        if self.record(index).is_some_and(|record| record.ownership.epoch > epoch) {
            return false;
        }
        self.drop_record(index);
        true
    }

    fn record(&self, index: u32) -> Option<&Record<E>> {
        self.records.get(index as usize)?.as_ref()
    }

    fn drop_record(&mut self, index: u32) {
        let Some(record) = self.records[index as usize].take() else { return };
        self.by_part.remove(&(record.ownership.workspace, record.ownership.part));
        for file in record.files.iter() {
            let place = place(record.ownership.workspace, file.path);
            let next = match self.more.get_mut(&place) {
                None => None,
                Some(more) => match more.iter().position(|other| *other == index) {
                    Some(at) => {
                        more.swap_remove(at);
                        if more.is_empty() {
                            self.more.remove(&place);
                        }
                        self.holders.release(&file.digest);
                        self.artefacts -= 1;
                        continue;
                    }
                    None => more.pop(),
                },
            };
            if self.more.get(&place).is_some_and(Vec::is_empty) {
                self.more.remove(&place);
            }
            match next {
                Some(next) => drop(self.by_path.insert(place, next)),
                None => drop(self.by_path.remove(&place)),
            }
            self.holders.release(&file.digest);
            self.artefacts -= 1;
        }
        self.free.push(index);
    }

    /// Who owns the file at a path. Where several parts have one, that with the greatest epoch.
    pub fn artefact(&self, workspace: WorkspaceId, path: &RelPath) -> Option<Artefact<'_, E>> {
        let place = place(workspace, path.as_bytes());
        let first = self.by_path.get(&place)?;
        let candidates = std::iter::once(first).chain(self.more.get(&place).into_iter().flatten());
        let found = candidates.filter_map(|&index| {
            let Record { ownership, files } = self.record(index)?;
            let file = files.get(path.as_bytes()).filter(|_| ownership.workspace == workspace)?;
            Some(Artefact { ownership, digest: file.digest, size: file.size, exec: file.exec })
        });
        found.max_by_key(|artefact| artefact.ownership.epoch)
    }

    /// The record of a part.
    pub fn ownership(&self, workspace: WorkspaceId, part: &Part) -> Option<&Ownership<E>> {
        let index = self.by_part.get(&(workspace, part.clone()))?;
        self.record(*index).map(|record| &record.ownership)
    }

    /// All records, in no order.
    pub fn ownerships(&self) -> impl Iterator<Item = &Ownership<E>> {
        self.records.iter().flatten().map(|record| &record.ownership)
    }

    /// A pod was seen to have a file that some record names.
    pub fn note_holder(&mut self, pod: PodId, digest: &Digest) {
        let pod = self.holders.pod(pod);
        self.holders.note(digest, pod);
    }

    /// A pod has nothing any more, as far as anybody knows: it left, or was lost. What it owns stays its own until somebody claims it.
    pub fn forget_holder(&mut self, pod: &PodId) {
        self.holders.forget(pod);
    }

    /// The pods that are believed to have a file.
    pub fn holders(&self, digest: &Digest) -> Vec<PodId> {
        self.holders.of(digest)
    }

    /// How many of these bytes each pod is believed to have, the most first; pods that have none are left out. Of those that have the
    /// same, the one with the lower id comes first, so that all pods agree.
    pub fn most_of<'a>(&self, inputs: impl IntoIterator<Item = (&'a Digest, u64)>) -> Vec<(PodId, u64)> {
        self.holders.most_of(inputs)
    }

    /// Files in all records.
    pub fn len(&self) -> usize {
        self.artefacts
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.artefacts == 0
    }
}
