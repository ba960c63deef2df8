//! Who owns what and which pods have most of some bytes: answered from memory.
//!
//! The map is a view of the log. Of each *record* – a source root, or what one step made – it has the owner and the size, in 45 bytes. When the
//! record's tree is known as well ([`OwnerMap::cover`]) it has its files, in about 130 bytes each: paths are those of the tree, and no record is
//! about one file. `benches/map.rs` measures it. Everything else is in the ledger; nothing here outlives the process.
//!
//! Ownership is exact as of the last record that this pod knows; who *has* bytes is a hint: a pod that owned a file once is believed to have it until
//! it is forgotten. No build decides by either.
//!
//! Bounds: [`MAX_HOLDERS`] pods a digest, [`MAX_SETS`] combinations of them; beyond that hints are dropped.

mod changes;
mod holders;
mod packed;
mod paths;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parking_lot::RwLock;
use protocol::mesh::{ArtefactScope, Ownership, subject};
use protocol::{Digest, PodId, RelPath, Tree, TreeEntry, WorkspaceId};
use rustc_hash::FxHashMap;
use serde::Deserialize;

use super::ownership;
use crate::ledger::{Entry, Epoch, View};
use changes::Told;
pub use changes::{Changes, MAX_CHANGES};
use holders::Holders;
pub use holders::{MAX_HOLDERS, MAX_SETS};
use packed::Packed;
use paths::{Covered, Paths};

/// Names a record: the hash in its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnerKey(u128);

impl OwnerKey {
    /// Of a path.
    pub fn new(workspace: WorkspaceId, path: &RelPath) -> Self {
        Self::of_subject(&subject::owner(workspace, path)).unwrap_or(Self(0))
    }

    /// Of a record's subject; none if it is none.
    pub fn of_subject(name: &str) -> Option<Self> {
        let hex = name.strip_prefix(subject::OWNERS).filter(|hex| hex.len() == 32)?;
        u128::from_str_radix(hex, 16).ok().map(Self)
    }

    /// The record's subject.
    pub fn subject(self) -> String {
        format!("{}{:032x}", subject::OWNERS, self.0)
    }
}

/// What the map knows of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Who must keep the bytes.
    pub pod: PodId,
    /// How many there are.
    pub size: u64,
}

/// A file that somebody owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Artefact {
    /// As a part of which record.
    pub record: OwnerKey,
    /// By whom.
    pub owner: PodId,
    /// Its official digest.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
    /// Whether it may be executed.
    pub exec: bool,
}

/// Keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        // Half of a good hash is one.
        self.0 = key as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A pod's number here.
type Pod = u32;

#[derive(Default)]
struct Pods {
    list: Vec<PodId>,
    numbers: FxHashMap<PodId, Pod>,
}

impl Pods {
    fn number(&mut self, pod: PodId) -> Pod {
        let list = &mut self.list;
        *self.numbers.entry(pod).or_insert_with(|| {
            list.push(pod);
            // There are not so many pods.
            Pod::try_from(list.len() - 1).unwrap_or(Pod::MAX)
        })
    }

    fn id(&self, number: Pod) -> PodId {
        self.list[number as usize]
    }
}

#[derive(Default)]
struct Maps {
    pods: Pods,
    slots: HashMap<u128, Slot, BuildHasherDefault<AsIs>>,
    /// Promises that concern anybody, by record: few, and looked at often.
    promises: HashMap<u128, (PodId, PodId)>,
    paths: Paths,
    holders: Holders,
}

#[derive(Clone, Copy)]
struct Slot {
    size: u64,
    /// The first bytes of the official digest: tells whether a tree is of this record.
    mark: [u8; 8],
    pod: Pod,
}

fn mark(digest: &Digest) -> [u8; 8] {
    let bytes = digest.as_bytes();
    std::array::from_fn(|at| bytes[at])
}

/// Owners by record, and by path.
#[derive(Default)]
pub struct OwnerMap {
    maps: RwLock<Maps>,
    told: Told,
}

/// What the map needs of a record.
#[derive(Deserialize)]
struct Brief {
    owner: Option<PodId>,
    digest: Digest,
    size: u64,
    #[serde(default)]
    promised_to: Option<PodId>,
}

#[derive(Deserialize)]
struct Signed {
    epoch: Epoch,
    body: Brief,
}

impl OwnerMap {
    /// Which workspaces have other outputs, as they get them.
    pub fn changes(&self) -> Changes {
        self.told.listen()
    }

    /// The owner of a record.
    pub fn get(&self, key: OwnerKey) -> Option<Owner> {
        let maps = self.maps.read();
        let slot = maps.slots.get(&key.0)?;
        Some(Owner { pod: maps.pods.id(slot.pod), size: slot.size })
    }

    /// Who owns the file at a path, as far as trees are known. Where several records have one, that with the greatest epoch.
    pub fn artefact(&self, workspace: WorkspaceId, path: &RelPath) -> Option<Artefact> {
        let maps = self.maps.read();
        let (covered, file) = maps.paths.find(workspace, path)?;
        let slot = maps.slots.get(&covered.record)?;
        Some(Artefact {
            record: OwnerKey(covered.record),
            owner: maps.pods.id(slot.pod),
            digest: file.digest,
            size: file.size,
            exec: file.exec,
        })
    }

    /// Takes in which files a record covers. False if its tree is known already, or it is not the tree of the record as it stands now.
    pub fn cover(&self, ownership: &Ownership, epoch: Epoch, tree: &Tree) -> bool {
        let key = OwnerKey::new(ownership.workspace, &ownership.path);
        let files = tree.entries().iter().filter_map(|(path, entry)| match entry {
            TreeEntry::File { digest, size, exec } => Some((path, digest, *size, *exec)),
            _ => None,
        });
        let maps = &mut *self.maps.write();
        let Some(slot) = maps.slots.get(&key.0).filter(|slot| slot.mark == mark(&ownership.digest)) else {
            return false;
        };
        if maps.paths.has(key.0) {
            return false;
        }
        let files = Packed::new(files);
        files.iter().for_each(|file| maps.holders.add(&file.digest, slot.pod));
        maps.paths.add(Covered { record: key.0, workspace: ownership.workspace, epoch, files });
        true
    }

    /// Records whose files are not known: at most so many.
    pub fn uncovered(&self, at_most: usize) -> Vec<OwnerKey> {
        let maps = self.maps.read();
        let keys = maps.slots.keys().filter(|key| !maps.paths.has(**key));
        keys.take(at_most).map(|key| OwnerKey(*key)).collect()
    }

    /// A pod was seen to have a file that some record covers.
    pub fn note_holder(&self, pod: PodId, digest: &Digest) {
        let maps = &mut *self.maps.write();
        let pod = maps.pods.number(pod);
        maps.holders.note(digest, pod);
    }

    /// A pod has nothing any more, as far as anybody knows: it left, or was lost. What it owns stays its own until somebody claims it.
    pub fn forget_holder(&self, pod: &PodId) {
        let maps = &mut *self.maps.write();
        if let Some(number) = maps.pods.numbers.get(pod) {
            maps.holders.forget(*number);
        }
    }

    /// The pods that are believed to have a file.
    pub fn holders(&self, digest: &Digest) -> Vec<PodId> {
        let maps = self.maps.read();
        maps.holders.of(digest).iter().map(|pod| maps.pods.id(*pod)).collect()
    }

    /// How many of these bytes each pod is believed to have, the most first; pods that have none are left out. Of those that have the
    /// same, the one with the lesser id comes first, so that all pods agree.
    pub fn most_of<'a>(&self, inputs: impl IntoIterator<Item = (&'a Digest, u64)>) -> Vec<(PodId, u64)> {
        let maps = self.maps.read();
        let bytes = maps.holders.bytes_of(inputs);
        let mut most: Vec<(PodId, u64)> =
            bytes.into_iter().map(|(pod, size)| (maps.pods.id(pod), size)).collect();
        most.sort_unstable_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
        most
    }

    /// All records that a pod owns.
    pub fn owned_by(&self, pod: &PodId) -> Vec<OwnerKey> {
        let maps = self.maps.read();
        let Some(number) = maps.pods.numbers.get(pod) else { return Vec::new() };
        maps.slots.iter().filter(|(_, slot)| slot.pod == *number).map(|(key, _)| OwnerKey(*key)).collect()
    }

    /// All promises: which record, by whom, to whom.
    pub fn promises(&self) -> Vec<(OwnerKey, PodId, PodId)> {
        self.maps.read().promises.iter().map(|(key, (from, to))| (OwnerKey(*key), *from, *to)).collect()
    }

    /// How many records somebody owns.
    pub fn len(&self) -> usize {
        self.maps.read().slots.len()
    }

    /// How many files they cover, as far as trees are known.
    pub fn files(&self) -> usize {
        self.maps.read().paths.len()
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes signed bytes of our own ledger, without making an entry of them: there may be a million.
    pub fn load(&self, name: &str, signed: &[u8]) {
        let json = signed.get(64..).unwrap_or_default();
        if let (Some(key), Ok(Signed { epoch, body })) =
            (OwnerKey::of_subject(name), serde_json::from_slice(json))
        {
            self.maps.write().put(key, epoch, body);
        }
    }
}

impl Maps {
    /// Whether its official digest is another one now.
    fn put(&mut self, key: OwnerKey, epoch: Epoch, brief: Brief) -> bool {
        let Brief { owner, digest, size, promised_to } = brief;
        match (owner, promised_to) {
            (Some(owner), Some(to)) => {
                self.promises.insert(key.0, (owner, to));
            }
            _ => {
                self.promises.remove(&key.0);
            }
        }
        let mark = mark(&digest);
        let before = match owner {
            Some(owner) => {
                let pod = self.pods.number(owner);
                self.slots.insert(key.0, Slot { size, mark, pod })
            }
            None => self.slots.remove(&key.0),
        };
        let Some(before) = before else { return owner.is_some() };
        if owner.is_none() || before.mark != mark {
            if let Some(covered) = self.paths.remove(key.0) {
                covered.files.iter().for_each(|file| self.holders.release(&file.digest));
            }
        } else if let (Some(covered), Some(slot)) = (self.paths.get_mut(key.0), self.slots.get(&key.0)) {
            covered.epoch = epoch;
            covered.files.iter().for_each(|file| self.holders.note(&file.digest, slot.pod));
        }
        owner.is_none() || before.mark != mark
    }
}

impl View for OwnerMap {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::OWNERS)
    }

    fn forget(&self, entry: &Entry) {
        self.take(entry, Brief::deserialize(&entry.body).map(|brief| Brief { owner: None, ..brief }).ok());
    }

    fn apply(&self, entry: &Entry) {
        self.take(entry, Brief::deserialize(&entry.body).ok());
    }
}

impl OwnerMap {
    fn take(&self, entry: &Entry, brief: Option<Brief>) {
        if let (Some(key), Some(brief)) = (OwnerKey::of_subject(&entry.subject), brief) {
            let is_other = self.maps.write().put(key, entry.epoch, brief);
            if is_other
                && let Some(known) = ownership(entry).filter(|known| known.scope == ArtefactScope::Outputs)
            {
                self.told.tell(known.workspace);
            }
        }
    }
}
