//! The files of records whose trees are known: which record has the file at a path.

use std::collections::hash_map::Entry as Slot;
use std::hash::{Hash, Hasher};

use protocol::{RelPath, WorkspaceId};
use rustc_hash::{FxHashMap, FxHasher};

use super::packed::{File, Packed};
use crate::ledger::Epoch;

/// A record and its files.
pub(super) struct Covered {
    pub record: u128,
    pub workspace: WorkspaceId,
    pub epoch: Epoch,
    pub files: Packed,
}

/// Records by the paths of their files.
#[derive(Default)]
pub(super) struct Paths {
    covered: Vec<Option<Covered>>,
    free: Vec<u32>,
    by_record: FxHashMap<u128, u32>,
    /// By a hash of workspace and path: the first, the rest in `more`.
    by_path: FxHashMap<u64, u32>,
    more: FxHashMap<u64, Vec<u32>>,
    files: usize,
}

fn place(workspace: WorkspaceId, path: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    workspace.hash(&mut hasher);
    path.hash(&mut hasher);
    hasher.finish()
}

impl Paths {
    /// Takes a record in that is not there.
    pub fn add(&mut self, covered: Covered) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.covered.push(None);
            self.covered.len() as u32 - 1
        });
        for file in covered.files.iter() {
            let place = place(covered.workspace, file.path);
            match self.by_path.entry(place) {
                Slot::Vacant(slot) => drop(slot.insert(index)),
                Slot::Occupied(_) => self.more.entry(place).or_default().push(index),
            }
            self.files += 1;
        }
        self.by_record.insert(covered.record, index);
        self.covered[index as usize] = Some(covered);
    }

    /// Forgets a record; gives what was known.
    pub fn remove(&mut self, record: u128) -> Option<Covered> {
        let index = self.by_record.remove(&record)?;
        let covered = self.covered[index as usize].take()?;
        for file in covered.files.iter() {
            self.forget(place(covered.workspace, file.path), index);
            self.files -= 1;
        }
        self.free.push(index);
        Some(covered)
    }

    fn forget(&mut self, place: u64, index: u32) {
        let Some(more) = self.more.get_mut(&place) else {
            self.by_path.remove(&place);
            return;
        };
        match more.iter().position(|other| *other == index) {
            Some(at) => drop(more.swap_remove(at)),
            None => {
                if let Some(next) = more.pop() {
                    self.by_path.insert(place, next);
                }
            }
        }
        if more.is_empty() {
            self.more.remove(&place);
        }
    }

    /// What is known of a record.
    pub fn get_mut(&mut self, record: u128) -> Option<&mut Covered> {
        let index = self.by_record.get(&record)?;
        self.covered.get_mut(*index as usize)?.as_mut()
    }

    /// The file at a path. Where several records have one, that with the greatest epoch.
    pub fn find(&self, workspace: WorkspaceId, path: &RelPath) -> Option<(&Covered, File<'_>)> {
        let place = place(workspace, path.as_bytes());
        let first = self.by_path.get(&place)?;
        let candidates = std::iter::once(first).chain(self.more.get(&place).into_iter().flatten());
        let found = candidates.filter_map(|&index| {
            let covered = self.covered.get(index as usize)?.as_ref()?;
            let file = covered.files.get(path.as_bytes()).filter(|_| covered.workspace == workspace)?;
            Some((covered, file))
        });
        found.max_by_key(|(covered, _)| covered.epoch)
    }

    /// Whether the files of a record are known.
    pub fn has(&self, record: u128) -> bool {
        self.by_record.contains_key(&record)
    }

    /// Files of all records.
    pub fn len(&self) -> usize {
        self.files
    }
}
