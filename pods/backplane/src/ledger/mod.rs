//! What this pod knows of the federation's log: the last word on each subject, kept in a SQLite file of its own.
//!
//! Actors: the [`Ledger`] verifies entries, keeps them, and hands them to *views* (members, owners, …), which live in memory; the
//! [`follow`] task brings what the log says; [`sync`] compares with other pods. An entry is signed by its author
//! and can be passed on by anybody; which of two entries of a subject is the later is decided by their [`Epoch`]s alone, so that pods
//! that have heard the same things in another order agree.
//!
//! **Order of writing**: log, then database, then views and digests (a batch is one transaction, or nothing). **A crash** loses what was followed and not committed; the cursor is committed with
//! the entries, so that it comes again. The database is an index of what the log and other pods have: when it is
//! damaged it is made anew.
//!
//! **Bounds**: [`MAX_PARKED`] entries of [`MAX_PARKED_BYTES`] wait for an author or key that is not known yet; what is beyond them comes by anti-entropy.

mod batch;
mod change;
mod digests;
mod entry;
mod follow;
mod outcasts;
mod parked;
mod store;
pub mod sync;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use protocol::PodId;
use protocol::mesh::FederationId;
use tokio::sync::watch;

pub use change::{ChangeError, LAST_PAUSE, MAX_RIVALS, Stop};
pub use digests::{Digests, LEAVES};
pub use entry::{Entry, Epoch, MAX_LEAP};
pub use follow::SETTLING;
pub use parked::{MAX_PARKED, MAX_PARKED_BYTES};
pub use store::StoreError;

use crate::bus::{Bus, Incarnation, Position};
use crate::clock::Clock;
use crate::keys::{Highest, Identity, SharedRing};
use parked::Parked;
use store::Store;

/// What stands in memory over the entries of some subjects. Called in the order in which entries are taken, with the ledger locked: it must not call back.
pub trait View: Send + Sync + 'static {
    /// Whether entries of this subject are its business.
    fn wants(&self, subject: &str) -> bool;
    /// The last word on a subject is now this.
    fn apply(&self, entry: &Entry);
    /// This word, which was the last on its subject, counts no more, and there is no other.
    fn forget(&self, entry: &Entry);
}

/// Who may say what. Called with the ledger locked: it must not call back.
pub trait Policy: Send + Sync + 'static {
    /// Whether an entry, whose signature holds, is taken.
    fn judge(&self, entry: &Entry) -> Judgement;
    /// Pods that are heard at present, for which a new log waits.
    fn alive(&self) -> Vec<PodId>;
    /// Pods whose words count no more, whenever they were said, but for those on members, invitations and generations.
    fn outcasts(&self) -> Vec<PodId>;
}

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is taken.
    Take,
    /// Its author is not known yet: it waits.
    Wait,
    /// It waits, but others that wait may be judged anew by what it proves.
    Learn,
    /// Its author may not say that.
    Refuse,
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the last word now.
    New,
    /// It was known.
    Known,
    /// A later one is known.
    Older,
    /// It waits for its author.
    Waits,
    /// It was refused.
    Refused,
}

/// How this pod stands with the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The log that is followed.
    pub incarnation: Option<Incarnation>,
    /// All that it says is known here.
    pub caught_up: bool,
    /// This pod has told it all that it knows, since it was made.
    pub told: bool,
}

/// The last words.
pub struct Ledger {
    federation: FederationId,
    identity: Arc<Identity>,
    ring: SharedRing,
    clock: Clock,
    bus: Arc<dyn Bus>,
    state: Mutex<State>,
    status: watch::Sender<Status>,
    changes: watch::Sender<u64>,
    views: RwLock<Vec<Arc<dyn View>>>,
    policy: RwLock<Option<Arc<dyn Policy>>>,
    began: Mutex<Option<Instant>>,
}

struct State {
    store: Store,
    digests: Digests,
    /// Entries whose author is not known.
    parked: Parked,
    /// Records that no key of ours opens.
    closed: Parked,
    /// A member or a key has come since those were looked at.
    ripe: bool,
    /// Where the present generation was appended, and which it is.
    generation: Option<(Position, u32)>,
    /// Key rings of which the log has something else than the last word.
    overwritten: BTreeSet<String>,
    /// Pods whose words have been dropped.
    outcasts: BTreeSet<PodId>,
}

/// What a ledger needs.
pub struct LedgerParts {
    /// Which federation.
    pub federation: FederationId,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// The group's keys.
    pub ring: SharedRing,
    /// The time.
    pub clock: Clock,
    /// The back-plane.
    pub bus: Arc<dyn Bus>,
}

impl Ledger {
    /// Opens the database at `path`; in memory if there is none.
    ///
    /// # Errors
    /// The database cannot be opened, or is of a newer program.
    pub fn open(parts: LedgerParts, path: Option<&Path>) -> Result<Arc<Self>, StoreError> {
        let store = Store::open(path, &parts.federation)?;
        let mut digests = Digests::default();
        store.each_hash(|leaf, hash| digests.add(leaf, hash))?;
        let generation = store.generation()?;
        let LedgerParts { federation, identity, ring, clock, bus } = parts;
        Ok(Arc::new(Self {
            federation,
            identity,
            ring,
            clock,
            bus,
            state: Mutex::new(State {
                store,
                digests,
                parked: Parked::default(),
                closed: Parked::default(),
                ripe: false,
                generation,
                overwritten: BTreeSet::new(),
                outcasts: BTreeSet::new(),
            }),
            status: watch::Sender::new(Status::default()),
            changes: watch::Sender::new(0),
            views: RwLock::default(),
            policy: RwLock::default(),
            began: Mutex::default(),
        }))
    }

    /// The last message of each pod whose questions were let in, as [`Ledger::set_heard`] has kept it.
    ///
    /// # Errors
    /// Of the database.
    pub fn heard(&self) -> Result<Vec<(PodId, Highest)>, StoreError> {
        self.state.lock().store.heard()
    }

    /// Keeps what the last message of a pod was, unless a later one is kept. A killed process does not lose it.
    ///
    /// # Errors
    /// Of the database.
    pub fn set_heard(&self, pod: &PodId, highest: Highest) -> Result<(), StoreError> {
        self.state.lock().store.set_heard(pod, highest)
    }

    /// Sets who may say what. Without one everybody with the group key may say everything.
    pub fn set_policy(&self, policy: Arc<dyn Policy>) {
        *self.policy.write() = Some(policy);
    }

    /// Adds a view, and tells it all that is known.
    ///
    /// # Errors
    /// Of the database.
    pub fn add_view(&self, view: Arc<dyn View>) -> Result<(), StoreError> {
        let state = self.state.lock();
        state.store.each(|subject, signed| {
            if view.wants(subject)
                && let Ok(entry) = Entry::trusted(subject, signed)
            {
                view.apply(&entry);
            }
        })?;
        self.views.write().push(view);
        Ok(())
    }

    /// Adds a view of one prefix, which reads what is known by a way of its own: subject, and signature with JSON.
    ///
    /// # Errors
    /// Of the database.
    pub fn add_view_with(
        &self,
        view: Arc<dyn View>,
        prefix: &str,
        load: impl FnMut(&str, &[u8]),
    ) -> Result<(), StoreError> {
        let state = self.state.lock();
        state.store.each_below(prefix, load)?;
        self.views.write().push(view);
        Ok(())
    }

    /// The last word on a subject.
    ///
    /// # Errors
    /// Of the database.
    pub fn get(&self, subject: &str) -> Result<Option<Entry>, StoreError> {
        let signed = self.state.lock().store.get(subject)?;
        Ok(signed.and_then(|signed| Entry::trusted(subject, &signed).ok()))
    }

    /// The last words on all subjects with a prefix.
    ///
    /// # Errors
    /// Of the database.
    pub fn all(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.state.lock().store.each_below(prefix, |subject, signed| {
            entries.extend(Entry::trusted(subject, signed));
        })?;
        Ok(entries)
    }

    /// How this pod stands with the log, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Counts each new last word.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A hash of all that is known: two pods with the same one know the same.
    pub fn digest(&self) -> u128 {
        self.state.lock().digests.root()
    }

    /// How many subjects there is a word on.
    ///
    /// # Errors
    /// Of the database.
    pub fn len(&self) -> Result<u64, StoreError> {
        self.state.lock().store.len()
    }

    /// Whether nothing is known.
    ///
    /// # Errors
    /// Of the database.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Takes a signed entry from anybody: the signature, the policy and the epoch decide.
    ///
    /// # Errors
    /// Of the database; an entry that is not taken is none.
    pub fn offer(&self, subject: &str, signed: &[u8]) -> Result<Taken, StoreError> {
        let taken = self.batch(|batch| batch.take_signed(subject, signed))?;
        self.retry()?;
        Ok(taken)
    }

    /// Takes many signed entries from anybody, in one transaction; how many of them are news. When it fails none of those since the last that says who
    /// belongs to the federation is taken.
    ///
    /// # Errors
    /// Of the database.
    pub fn offer_many(&self, entries: &[(String, Vec<u8>)]) -> Result<usize, StoreError> {
        let new = self.batch(|batch| {
            let mut new = 0;
            for (subject, signed) in entries {
                new += usize::from(batch.take_signed(subject, signed)? == Taken::New);
            }
            Ok(new)
        })?;
        self.retry()?;
        Ok(new)
    }

    /// Subjects of key rings that the log has lost: whoever reaches the server can put anything there, and their pods learn from nothing else.
    pub fn overwritten(&self) -> Vec<String> {
        self.state.lock().overwritten.iter().cloned().collect()
    }

    fn judge(&self, entry: &Entry) -> Judgement {
        self.policy.read().as_ref().map_or(Judgement::Take, |policy| policy.judge(entry))
    }
}
