//! Traces that other pods announce, by weak key: a view over the federation's log, in memory.

use std::collections::hash_map::Entry as Slot;

use backplane::ledger::{Entry, View};
use parking_lot::Mutex;
use protocol::mesh::{TraceNews, subject};
use protocol::{Digest, PodId};
use rustc_hash::FxHashMap;

/// Announcements that are kept of one weak key: the newest.
pub const MAX_NEWS: usize = 256;
/// Weak keys of which some are kept; of further ones nothing is known here.
pub const MAX_KEYS: usize = 1 << 20;

/// What others have announced.
pub struct News {
    me: PodId,
    by_weak: Mutex<FxHashMap<Digest, Vec<(TraceNews, PodId)>>>,
}

impl News {
    /// Of all but `me`.
    pub fn new(me: PodId) -> Self {
        Self { me, by_weak: Mutex::default() }
    }

    /// The announcements for a weak key by pods that are believed, the newest first.
    pub fn of(&self, weak: &Digest, is_believed: impl Fn(&PodId) -> bool) -> Vec<TraceNews> {
        let by_weak = self.by_weak.lock();
        let news = by_weak.get(weak).into_iter().flatten().rev();
        news.filter(|(_, by)| is_believed(by)).map(|(news, _)| news.clone()).collect()
    }
}

impl View for News {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::TRACES)
    }

    fn apply(&self, entry: &Entry) {
        if entry.from == self.me {
            return;
        }
        let Ok(news) = serde_json::from_value::<TraceNews>(entry.body.clone()) else { return };
        let mut by_weak = self.by_weak.lock();
        let is_full = by_weak.len() >= MAX_KEYS;
        let known = match by_weak.entry(news.weak) {
            Slot::Vacant(_) if is_full => return,
            slot => slot.or_default(),
        };
        known.retain(|(other, by)| (other.trace, *by) != (news.trace, entry.from));
        if known.len() >= MAX_NEWS {
            known.remove(0);
        }
        known.push((news, entry.from));
    }
}
