//! Which traces there are in the federation: small entries, by the pod that ran them. The traces themselves are objects, which the swarm carries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use protocol::mesh::{TraceNews, subject};
use protocol::{Digest, PodId};
use tokio::sync::watch;

use crate::federation::Members;
use crate::ledger::{ChangeError, Entry, Ledger, StoreError, View};

/// The most announcements that are kept in memory for one weak key: the same bound as for candidates of a look-up. The newest stay.
pub const MAX_PER_WEAK_KEY: usize = 256;
/// Weak keys of which announcements are kept in memory, and revocations; of further ones nothing is known here.
pub const MAX_WEAK_KEYS: usize = 1 << 20;

/// Announcements by weak key.
pub struct Traces {
    ledger: Arc<Ledger>,
    members: Arc<Members>,
    index: Arc<Index>,
}

struct Index {
    maps: RwLock<Maps>,
    revocations: watch::Sender<()>,
}

#[derive(Default)]
struct Maps {
    by_weak: HashMap<Digest, Vec<Announced>>,
    /// So that what a subject said before is found.
    weak_of: HashMap<String, Digest>,
    revoked: HashMap<Digest, PodId>,
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
    ///
    /// # Errors
    /// Of the database.
    pub fn open(ledger: Arc<Ledger>, members: Arc<Members>) -> Result<Self, StoreError> {
        let index = Arc::new(Index { maps: RwLock::default(), revocations: watch::Sender::new(()) });
        ledger.add_view(index.clone())?;
        Ok(Self { ledger, members, index })
    }

    /// Announces a trace of our own, or that it is revoked, as soon as that can be said: waits while the log is away. Nothing is said twice; what was
    /// revoked stays so, and what was never announced need not be. Dropping the future leaves it open whether it is announced.
    ///
    /// # Errors
    /// It can never be said, since this pod is no full member.
    pub async fn announce(&self, us: &PodId, news: &TraceNews) -> Result<(), ChangeError> {
        let subject = subject::trace(us, &news.trace);
        let known = self.ledger.get(&subject)?;
        let known = known.and_then(|entry| serde_json::from_value::<TraceNews>(entry.body).ok());
        if known.map_or(news.revoked, |known| known.revoked || known == *news) {
            return Ok(());
        }
        let body = serde_json::to_value(news).map_err(crate::keys::OpenError::from)?;
        self.ledger.insist(&subject, body).await.map(|_| ())
    }

    /// Whether any pod that is believed has announced this very trace.
    pub fn has(&self, news: &TraceNews) -> bool {
        // Asked at every look-up that finds something: nothing is copied, and few pods are asked about.
        let maps = self.index.maps.read();
        let mut announced = maps.by_weak.get(&news.weak).into_iter().flatten();
        announced.any(|other| other.news.trace == news.trace && self.members.is_believed(&other.by))
    }

    /// Who has announced something else for the same observations, and what: by what the announcements say of their outputs.
    pub fn rival(&self, news: &TraceNews) -> Option<(PodId, Digest)> {
        let outputs = news.outputs.filter(|_| !news.revoked)?;
        let maps = self.index.maps.read();
        let mut announced = maps.by_weak.get(&news.weak).into_iter().flatten();
        let rival = announced.find(|other| {
            other.news.strong == news.strong
                && other.news.outputs.is_some_and(|theirs| theirs != outputs)
                && self.members.is_believed(&other.by)
        });
        rival.map(|other| (other.by, other.news.trace))
    }

    /// Which traces their pods have revoked.
    pub fn revoked(&self) -> Vec<(PodId, Digest)> {
        self.index.maps.read().revoked.iter().map(|(trace, by)| (*by, *trace)).collect()
    }

    /// Says when there are more of them.
    pub fn watch_revoked(&self) -> watch::Receiver<()> {
        self.index.revocations.subscribe()
    }

    /// What is announced for a weak key, the newest first, by pods whose traces are believed: full members, none that was banned.
    pub fn of(&self, weak: &Digest) -> Vec<Announced> {
        let maps = self.index.maps.read();
        let announced = maps.by_weak.get(weak).into_iter().flatten().rev();
        announced.filter(|announced| self.members.is_believed(&announced.by)).cloned().collect()
    }
}

impl Maps {
    fn forget(&mut self, name: &str) {
        if let Some(weak) = self.weak_of.remove(name)
            && let Some(list) = self.by_weak.get_mut(&weak)
        {
            list.retain(|old| subject::trace(&old.by, &old.news.trace) != name);
            if list.is_empty() {
                self.by_weak.remove(&weak);
            }
        }
    }
}

impl View for Index {
    fn forget(&self, entry: &Entry) {
        // What it has revoked stays so.
        self.maps.write().forget(&entry.subject);
    }

    fn wants(&self, name: &str) -> bool {
        name.starts_with(subject::TRACES)
    }

    fn apply(&self, entry: &Entry) {
        let mut maps = self.maps.write();
        // What the subject's trace said before, if anything, is not its last word any more.
        maps.forget(&entry.subject);
        let Maps { by_weak, weak_of, revoked } = &mut *maps;
        let Ok(news) = serde_json::from_value::<TraceNews>(entry.body.clone()) else { return };
        if subject::trace(&entry.from, &news.trace) != entry.subject {
            return;
        }
        if news.revoked {
            if revoked.len() < MAX_WEAK_KEYS {
                revoked.insert(news.trace, entry.from);
                self.revocations.send_replace(());
            }
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
