//! Where objects are, in memory: all that the index does not have yet, and a bounded part of what it has.

use parking_lot::Mutex;
use protocol::Digest;
use rustc_hash::FxHashMap;

use crate::ObjectKind;
use crate::blobs::Mark;
use crate::cache::Cache;
use crate::packs::Spot;

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a pack.
    Packed { kind: ObjectKind, spot: Spot },
    /// A blob that is a file; without a mark it has to be hashed before it is believed.
    Whole { size: u64, mark: Option<Mark> },
}

impl Place {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Place::Packed { spot, .. } => u64::from(spot.length),
            Place::Whole { size, .. } => *size,
        }
    }
}

const SHARDS: usize = 16;

pub(crate) struct Places {
    shards: Vec<Mutex<Shard>>,
}

struct Shard {
    pending: FxHashMap<Digest, Place>,
    known: Cache<Digest, Place>,
}

impl Places {
    /// Remembers about `limit` places beside the pending ones.
    pub(crate) fn new(limit: usize) -> Self {
        let shard = || Shard { pending: FxHashMap::default(), known: Cache::new(limit.div_ceil(SHARDS)) };
        Self { shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect() }
    }

    fn shard(&self, digest: &Digest) -> &Mutex<Shard> {
        &self.shards[usize::from(digest.as_bytes()[0]) % SHARDS]
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Place> {
        let mut shard = self.shard(digest).lock();
        shard.pending.get(digest).copied().or_else(|| shard.known.get_mut(digest, |_| 1).copied())
    }

    /// A place that the index does not have yet. The first one stays.
    pub(crate) fn add_pending(&self, digest: Digest, place: Place) {
        self.shard(&digest).lock().pending.entry(digest).or_insert(place);
    }

    /// A blob's file was hashed or written anew; the index does not have the new mark yet.
    pub(crate) fn renew(&self, digest: Digest, place: Place) {
        let mut shard = self.shard(&digest).lock();
        shard.known.remove(&digest);
        shard.pending.insert(digest, place);
    }

    /// A place that the index has.
    pub(crate) fn add_known(&self, digest: Digest, place: Place) {
        self.shard(&digest).lock().known.insert(digest, place, 1);
    }

    /// The index has them now.
    pub(crate) fn settle(&self, digests: impl IntoIterator<Item = (Digest, Place)>) {
        for (digest, place) in digests {
            let mut shard = self.shard(&digest).lock();
            // A place that was renewed since stays pending: its own row is on the way.
            if shard.pending.get(&digest) == Some(&place) {
                shard.pending.remove(&digest);
                shard.known.insert(digest, place, 1);
            }
        }
    }

    /// The object is not there any more.
    pub(crate) fn forget(&self, digest: &Digest) {
        let mut shard = self.shard(digest).lock();
        shard.pending.remove(digest);
        shard.known.remove(digest);
    }

    /// Drops what is only a copy of the index.
    pub(crate) fn clear_known(&self) {
        for shard in &self.shards {
            shard.lock().known.clear();
        }
    }
}
