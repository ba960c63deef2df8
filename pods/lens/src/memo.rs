//! What projections left of which bytes: each runs once for equal bytes, as long as it is remembered.

use std::sync::Arc;

use parking_lot::Mutex;
use protocol::Digest;
use rustc_hash::FxHashMap;

use crate::ld_cache::LdCache;

/// The most answers that are remembered; beyond that all are forgotten, and the memo fills anew.
pub const MAX_ANSWERS: usize = 1 << 14;

/// Remembers by (lens, digest of the bytes).
#[derive(Debug, Default)]
pub struct Memo {
    projected: Mutex<FxHashMap<(Digest, Digest), Digest>>,
    /// A machine has one.
    ld_cache: Mutex<Option<(Digest, Arc<Option<LdCache>>)>>,
}

impl Memo {
    /// What a lens (the digest of its id) left of the bytes with the digest `raw`.
    pub fn projected(&self, lens: &Digest, raw: &Digest) -> Option<Digest> {
        self.projected.lock().get(&(*lens, *raw)).copied()
    }

    /// Remembers it.
    pub fn remember(&self, lens: &Digest, raw: &Digest, left: Digest) {
        let mut projected = self.projected.lock();
        if projected.len() >= MAX_ANSWERS {
            projected.clear();
        }
        projected.insert((*lens, *raw), left);
    }

    /// The cache of the dynamic linker that was last read, if its bytes have this digest; `None` inside: they are none
    /// that is understood.
    pub fn ld_cache(&self, raw: &Digest) -> Option<Arc<Option<LdCache>>> {
        self.ld_cache.lock().as_ref().filter(|(known, _)| known == raw).map(|(_, cache)| Arc::clone(cache))
    }

    /// Remembers it, instead of the one before.
    pub fn remember_ld_cache(&self, raw: Digest, cache: Arc<Option<LdCache>>) {
        *self.ld_cache.lock() = Some((raw, cache));
    }
}
