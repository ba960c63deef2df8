//! The map in memory: for each record its owner and size, in 40 bytes; everything else is in the ledger.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use parking_lot::RwLock;
use protocol::PodId;
use protocol::mesh::subject;
use protocol::{RelPath, WorkspaceId};
use serde::Deserialize;

use crate::ledger::{Entry, View};

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

#[derive(Default)]
struct Maps {
    slots: HashMap<u128, Slot, BuildHasherDefault<AsIs>>,
    pods: Vec<PodId>,
    numbers: HashMap<PodId, u32>,
    /// Promises that concern anybody, by record: few, and looked at often.
    promises: HashMap<u128, (PodId, PodId)>,
}

#[derive(Clone, Copy)]
struct Slot {
    size: u64,
    pod: u32,
}

/// Owners by record.
#[derive(Default)]
pub struct OwnerMap {
    maps: RwLock<Maps>,
}

/// What the map needs of a record.
#[derive(Deserialize)]
struct Brief {
    owner: Option<PodId>,
    size: u64,
    #[serde(default)]
    promised_to: Option<PodId>,
}

#[derive(Deserialize)]
struct Signed {
    body: Brief,
}

impl OwnerMap {
    /// The owner of a record.
    pub fn get(&self, key: OwnerKey) -> Option<Owner> {
        let maps = self.maps.read();
        let slot = maps.slots.get(&key.0)?;
        Some(Owner { pod: maps.pods[slot.pod as usize], size: slot.size })
    }

    /// The pods that own of these records, the one with most bytes first; of equals the one with the lesser id.
    pub fn most(&self, keys: &[OwnerKey]) -> Vec<(PodId, u64)> {
        let maps = self.maps.read();
        let mut sums: Vec<(u32, u64)> = Vec::new();
        for key in keys {
            let Some(slot) = maps.slots.get(&key.0) else { continue };
            match sums.iter_mut().find(|(pod, _)| *pod == slot.pod) {
                Some((_, sum)) => *sum += slot.size,
                None => sums.push((slot.pod, slot.size)),
            }
        }
        let mut sums: Vec<(PodId, u64)> =
            sums.into_iter().map(|(pod, sum)| (maps.pods[pod as usize], sum)).collect();
        sums.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));
        sums
    }

    /// All records that a pod owns.
    pub fn owned_by(&self, pod: &PodId) -> Vec<OwnerKey> {
        let maps = self.maps.read();
        let Some(number) = maps.numbers.get(pod) else { return Vec::new() };
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

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes signed bytes of our own ledger, without making an entry of them: there may be a million.
    pub(super) fn load(&self, name: &str, signed: &[u8]) {
        let json = signed.get(64..).unwrap_or_default();
        if let (Some(key), Ok(Signed { body })) = (OwnerKey::of_subject(name), serde_json::from_slice(json)) {
            self.maps.write().put(key, body);
        }
    }
}

impl Maps {
    fn put(&mut self, key: OwnerKey, Brief { owner, size, promised_to }: Brief) {
        match (owner, promised_to) {
            (Some(owner), Some(to)) => {
                self.promises.insert(key.0, (owner, to));
            }
            _ => {
                self.promises.remove(&key.0);
            }
        }
        let Some(owner) = owner else {
            self.slots.remove(&key.0);
            return;
        };
        let pods = &mut self.pods;
        let number = *self.numbers.entry(owner).or_insert_with(|| {
            pods.push(owner);
            // There are not so many pods.
            u32::try_from(pods.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots.insert(key.0, Slot { size, pod: number });
    }
}

impl View for OwnerMap {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::OWNERS)
    }

    fn apply(&self, entry: &Entry) {
        let brief = Brief::deserialize(&entry.body);
        if let (Some(key), Ok(brief)) = (OwnerKey::of_subject(&entry.subject), brief) {
            self.maps.write().put(key, brief);
        }
    }
}
