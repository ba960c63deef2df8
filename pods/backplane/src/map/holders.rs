//! Which pods are believed to have which bytes. Nearly all files have one of a few combinations of holders, so each combination is kept
//! once, and a file has its number.

use protocol::{Digest, PodId};
use rustc_hash::FxHashMap;

/// Holders that are noted of one digest.
pub const MAX_HOLDERS: usize = 16;
/// Pods that may be holders.
pub const MAX_PODS: usize = 4096;
/// Combinations of holders that are kept apart.
pub const MAX_SETS: usize = 65_536;

/// A pod's number here.
pub(super) type Pod = Option<u16>;

/// What is known of a digest.
#[derive(Clone, Copy)]
struct Known {
    set: u32,
    /// How many files in records have it.
    files: u32,
}

#[derive(Default)]
pub(super) struct Holders {
    pods: Vec<PodId>,
    numbers: FxHashMap<PodId, u16>,
    /// Sorted numbers of pods.
    sets: Vec<Box<[u16]>>,
    set_numbers: FxHashMap<Box<[u16]>, u32>,
    /// By the first eight bytes of a digest: two that share them are taken for one, and a hint is wrong.
    known: FxHashMap<u64, Known>,
}

fn key(digest: &Digest) -> u64 {
    let bytes = digest.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

impl Holders {
    /// A pod's number; none if there are too many.
    pub fn pod(&mut self, pod: PodId) -> Pod {
        if let Some(&number) = self.numbers.get(&pod) {
            return Some(number);
        }
        if self.pods.len() >= MAX_PODS {
            return None;
        }
        let number = self.pods.len() as u16;
        self.pods.push(pod);
        self.numbers.insert(pod, number);
        Some(number)
    }

    fn set(&mut self, pods: Box<[u16]>) -> Option<u32> {
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
        let Some(pod) = pod else { return set };
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
    pub fn forget(&mut self, pod: &PodId) {
        let Some(&number) = self.numbers.get(pod) else { return };
        let mut without = Vec::with_capacity(self.sets.len());
        for set in 0..self.sets.len() {
            let pods = &self.sets[set];
            let Ok(at) = pods.binary_search(&number) else {
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
    pub fn of(&self, digest: &Digest) -> Vec<PodId> {
        let Some(known) = self.known.get(&key(digest)) else { return Vec::new() };
        self.sets[known.set as usize].iter().map(|pod| self.pods[usize::from(*pod)]).collect()
    }

    /// Bytes by pod, the most first.
    pub fn most_of<'a>(&self, inputs: impl IntoIterator<Item = (&'a Digest, u64)>) -> Vec<(PodId, u64)> {
        // Bytes by combination first: there are few.
        let mut by_set: FxHashMap<u32, u64> = FxHashMap::default();
        for (digest, size) in inputs {
            if let Some(known) = self.known.get(&key(digest)) {
                let sum = by_set.entry(known.set).or_default();
                *sum = sum.saturating_add(size);
            }
        }
        let mut by_pod: FxHashMap<u16, u64> = FxHashMap::default();
        for (set, size) in by_set {
            for pod in &self.sets[set as usize] {
                let sum = by_pod.entry(*pod).or_default();
                *sum = sum.saturating_add(size);
            }
        }
        let mut most: Vec<(PodId, u64)> =
            by_pod.into_iter().map(|(pod, size)| (self.pods[usize::from(pod)], size)).collect();
        most.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        most
    }
}
