//! Which traces there are in the federation: small entries, by the pod that ran them. The traces themselves are objects, which the swarm carries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use protocol::mesh::{TraceNews, subject};
use protocol::{Digest, PodId};

use crate::federation::Members;
use crate::ledger::{ChangeError, Entry, Ledger, StoreError, View};

/// The most announcements that are kept in memory for one weak key: the same bound as for candidates of a look-up. The newest stay.
pub const MAX_PER_WEAK_KEY: usize = 256;
/// Weak keys of which announcements are kept in memory; of further ones nothing is known here.
pub const MAX_WEAK_KEYS: usize = 1 << 20;

/// Announcements by weak key.
pub struct Traces {
    ledger: Arc<Ledger>,
    members: Arc<Members>,
    index: Arc<Index>,
}

#[derive(Default)]
struct Index(RwLock<Maps>);

#[derive(Default)]
struct Maps {
    by_weak: HashMap<Digest, Vec<Announced>>,
    /// So that a revocation, which has no body, finds what it revokes.
    weak_of: HashMap<String, Digest>,
}

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// What it says.
    pub news: TraceNews,
    /// Who ran it.
    pub by: PodId,
}

impl Traces {
    /// Reads all that is known. Call it once for a ledger.
    pub fn open(ledger: Arc<Ledger>, members: Arc<Members>) -> Result<Self, StoreError> {
        let index = Arc::new(Index::default());
        ledger.add_view(index.clone())?;
        Ok(Self { ledger, members, index })
    }

    /// Announces a trace of our own, as soon as that can be said: waits while the log is away. Dropping the future leaves it open whether it is announced.
    ///
    /// # Errors
    /// It can never be said, since this pod is no full member.
    pub async fn announce(&self, us: &PodId, news: &TraceNews) -> Result<(), ChangeError> {
        let body = serde_json::to_value(news).map_err(crate::keys::OpenError::from)?;
        self.ledger.insist(&subject::trace(us, &news.trace), body).await.map(|_| ())
    }

    /// Takes an announcement of our own back: the trace is not to be adopted again. Dropping the future leaves it open whether it is.
    ///
    /// # Errors
    /// As of [`Ledger::say`].
    pub async fn revoke(&self, us: &PodId, trace: &Digest) -> Result<(), ChangeError> {
        self.ledger.say(&subject::trace(us, trace), serde_json::Value::Null).await.map(|_| ())
    }

    /// What is announced for a weak key, the newest first, by pods whose traces are believed: full members, none that was banned.
    pub fn of(&self, weak: &Digest) -> Vec<Announced> {
        let maps = self.index.0.read();
        let announced = maps.by_weak.get(weak).into_iter().flatten().rev();
        announced.filter(|announced| self.members.is_believed(&announced.by)).cloned().collect()
    }
}

impl View for Index {
    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::TRACES)
    }

    fn apply(&self, entry: &Entry) {
        let mut maps = self.0.write();
        let Maps { by_weak, weak_of } = &mut *maps;
        // What the subject's trace said before, if anything, is not its last word any more.
        if let Some(weak) = weak_of.remove(&entry.subject)
            && let Some(list) = by_weak.get_mut(&weak)
        {
            list.retain(|old| subject::trace(&old.by, &old.news.trace) != entry.subject);
            if list.is_empty() {
                by_weak.remove(&weak);
            }
        }
        let Ok(news) = serde_json::from_value::<TraceNews>(entry.body.clone()) else { return };
        if subject::trace(&entry.from, &news.trace) != entry.subject {
            return;
        }
        if by_weak.len() >= MAX_WEAK_KEYS && !by_weak.contains_key(&news.weak) {
            return;
        }
        weak_of.insert(entry.subject.clone(), news.weak);
        let list = by_weak.entry(news.weak).or_default();
        list.push(Announced { news, by: entry.from });
        if list.len() > MAX_PER_WEAK_KEY {
            let oldest = list.remove(0);
            weak_of.remove(&subject::trace(&oldest.by, &oldest.news.trace));
        }
    }
}
