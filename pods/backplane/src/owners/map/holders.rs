//! Which pods are believed to have which bytes. Nearly all files have one of a few combinations of holders, so each combination is kept
//! once, and a file has its number.

use protocol::Digest;
use rustc_hash::FxHashMap;

use super::Pod;

/// Holders that are noted of one digest.
pub const MAX_HOLDERS: usize = 16;
/// Combinations of holders that are kept apart.
pub const MAX_SETS: usize = 65_536;

/// What is known of a digest.
#[derive(Clone, Copy)]
struct Known {
    set: u32,
    /// How many files in records have it.
    files: u32,
}

#[derive(Default)]
pub(super) struct Holders {
    /// Sorted numbers of pods.
    sets: Vec<Box<[Pod]>>,
    set_numbers: FxHashMap<Box<[Pod]>, u32>,
    /// By the first eight bytes of a digest: two that share them are taken for one, and a hint is wrong.
    known: FxHashMap<u64, Known>,
}

fn key(digest: &Digest) -> u64 {
    let bytes = digest.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

impl Holders {
    fn set(&mut self, pods: Box<[Pod]>) -> Option<u32> {
        if let Some(&set) = self.set_numbers.get(&pods) {
            return Some(set);
        }
        if self.sets.len() >= MAX_SETS {
            return None;
        }
        let set = self.sets.len() as u32;
        self.sets.push(pods.clone());
        self.set_numbers.insert(pods, set);
        Some(set)
    }

    /// The combination with one pod more, if it may be kept.
    fn with(&mut self, set: u32, pod: Pod) -> u32 {
        let pods = &self.sets[set as usize];
        let Err(at) = pods.binary_search(&pod) else { return set };
        if pods.len() >= MAX_HOLDERS {
            return set;
        }
        let mut more = pods.to_vec();
        more.insert(at, pod);
        self.set(more.into_boxed_slice()).unwrap_or(set)
    }

    /// One file more has this digest, and this pod has it.
    pub fn add(&mut self, digest: &Digest, pod: Pod) {
        let key = key(digest);
        let (set, files) = match self.known.get(&key) {
            Some(known) => (known.set, known.files),
            None => match self.set(Box::default()) {
                Some(nobody) => (nobody, 0),
                None => return,
            },
        };
        let set = self.with(set, pod);
        self.known.insert(key, Known { set, files: files + 1 });
    }

    /// One file fewer has this digest.
    pub fn release(&mut self, digest: &Digest) {
        let key = key(digest);
        if let Some(known) = self.known.get_mut(&key) {
            known.files -= 1;
            if known.files == 0 {
                self.known.remove(&key);
            }
        }
    }

    /// A pod was seen to have what some file is.
    pub fn note(&mut self, digest: &Digest, pod: Pod) {
        let key = key(digest);
        if let Some(Known { set, files }) = self.known.get(&key).copied() {
            let set = self.with(set, pod);
            self.known.insert(key, Known { set, files });
        }
    }

    /// A pod has nothing. Its place in all combinations is taken out at once.
    pub fn forget(&mut self, pod: Pod) {
        let mut without = Vec::with_capacity(self.sets.len());
        for set in 0..self.sets.len() {
            let pods = &self.sets[set];
            let Ok(at) = pods.binary_search(&pod) else {
                without.push(set as u32);
                continue;
            };
            let mut fewer = pods.to_vec();
            fewer.remove(at);
            without.push(self.set(fewer.into_boxed_slice()).unwrap_or(set as u32));
        }
        for known in self.known.values_mut() {
            if let Some(&set) = without.get(known.set as usize) {
                known.set = set;
            }
        }
    }

    /// The pods that are believed to have it.
    pub fn of(&self, digest: &Digest) -> &[Pod] {
        self.known.get(&key(digest)).map_or(&[], |known| &self.sets[known.set as usize])
    }

    /// Bytes by pod.
    pub fn bytes_of<'a>(&self, inputs: impl IntoIterator<Item = (&'a Digest, u64)>) -> FxHashMap<Pod, u64> {
        // Bytes by combination first: there are few.
        let mut by_set: FxHashMap<u32, u64> = FxHashMap::default();
        for (digest, size) in inputs {
            if let Some(known) = self.known.get(&key(digest)) {
                let sum = by_set.entry(known.set).or_default();
                *sum = sum.saturating_add(size);
            }
        }
        let mut by_pod: FxHashMap<Pod, u64> = FxHashMap::default();
        for (set, size) in by_set {
            for pod in &self.sets[set as usize] {
                let sum = by_pod.entry(*pod).or_default();
                *sum = sum.saturating_add(size);
            }
        }
        by_pod
    }
}
