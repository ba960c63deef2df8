//! The hand-over: lock, transfer, unlock.
//!
//! | the record says | the owner | the receiver |
//! |---|---|---|
//! | owner A | A *promises*: compare-and-set to "owner A, promised to B" (lock) | – |
//! | owner A, promised to B | asks B to take it, until the record changes; or *takes back*: to "owner A" | pulls all bytes (transfer), then *accepts*: to "owner B" (unlock) |
//! | owner B | may drop its bytes | is the owner |
//!
//! Accepting and taking back start from the same record, so one of them succeeds and no more. Whoever dies finds the record when it comes back,
//! and goes on from there ([`Owners::go_on`]); if A does not come back B may still accept, having all bytes, or claim; if B does not, A takes back. The
//! messages between them only save time.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use protocol::PodId;
use protocol::mesh::{Exchange, ExchangeAnswer, Ownership};
use tokio::time::Instant;

use super::{OwnerKey, Owners, next, ownership};
use crate::bus::BusError;
use crate::ledger::{ChangeError, Entry, Epoch, Stop, StoreError};
use crate::mesh::AskError;

/// The matter of these questions.
pub const TAKE: &str = "take";
/// How long a receiver may take until the owner takes its promise back.
pub const GIVE_DEADLINE: Duration = Duration::from_secs(600);
/// How long one question waits: the receiver pulls meanwhile.
const ASK_DEADLINE: Duration = Duration::from_secs(5);
/// The pause after a question that brought nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// Why something was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum GiveError {
    /// This pod does not own it.
    #[error("this pod does not own it: it belongs to {0:?}")]
    NotOurs(Option<PodId>),
    /// It is promised to another already.
    #[error("it is promised to {0} already")]
    Promised(PodId),
    /// The receiver cannot be reached, will not, or took too long; this pod still owns it.
    #[error("it was not taken, and stays here: {0}")]
    NotTaken(String),
    /// The log.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for GiveError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// A record that is being taken, until this is dropped.
struct Taking<'a> {
    owners: &'a Owners,
    key: OwnerKey,
}

impl<'a> Taking<'a> {
    /// `None`: it is being taken already.
    fn begin(owners: &'a Owners, key: OwnerKey) -> Option<Self> {
        let is_first = owners.taking.lock().insert(key);
        is_first.then(|| Self { owners, key })
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.owners.taking.lock().remove(&self.key);
    }
}

impl Owners {
    /// A record as it stands, with its entry.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn record(&self, key: OwnerKey) -> Result<Option<(Entry, Ownership)>, StoreError> {
        let entry = self.mesh.ledger().get(&key.subject())?;
        Ok(entry.and_then(|entry| ownership(&entry).map(|ownership| (entry, ownership))))
    }

    /// Hands a record of ours over. When it fails, this pod owns it still – but for an error of the log, after which only the record can tell.
    ///
    /// Dropping the future may leave a promise that nobody goes on with: [`go_on`](Self::go_on) does, or takes it back.
    ///
    /// # Errors
    /// It is not ours, is promised to another, was not taken within [`GIVE_DEADLINE`], or the log.
    pub async fn give(&self, key: OwnerKey, to: PodId) -> Result<Epoch, GiveError> {
        let us = self.mesh.pod();
        let mut refused = None;
        let name = key.subject();
        let promised = self.mesh.ledger().change(&name, |known| {
            let known = known.and_then(ownership);
            let owner = known.as_ref().and_then(|known| known.owner);
            let Some(mut ownership) = known.filter(|known| known.owner == Some(us)) else {
                refused = Some(GiveError::NotOurs(owner));
                return Err(Stop("not ours".to_owned()));
            };
            if let Some(other) = ownership.promised_to.filter(|other| *other != to) {
                refused = Some(GiveError::Promised(other));
                return Err(Stop("promised".to_owned()));
            }
            ownership.promised_to = Some(to);
            next(&ownership)
        });
        let outcome = promised.await;
        match (outcome, refused) {
            (Ok(entry), _) => self.see_through(key, to, entry.epoch).await,
            (Err(ChangeError::Stopped(_)), Some(refused)) => Err(refused),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// From the promise on: asks until it is taken, or takes it back.
    async fn see_through(&self, key: OwnerKey, to: PodId, promise: Epoch) -> Result<Epoch, GiveError> {
        let deadline = Instant::now() + GIVE_DEADLINE;
        let mut changes = self.mesh.ledger().changes();
        loop {
            changes.borrow_and_update();
            if let Some((entry, ownership)) = self.record(key)?
                && entry.epoch > promise
            {
                return match ownership.owner {
                    Some(owner) if owner == to => Ok(entry.epoch),
                    // Somebody else of this pod saw it through, such as [`Owners::go_on`].
                    Some(owner) if owner == self.mesh.pod() => {
                        Err(GiveError::NotTaken("it was taken back".to_owned()))
                    }
                    other => Err(GiveError::NotOurs(other)),
                };
            }
            let question = Exchange::Take { subject: key.subject(), revision: promise.revision };
            let why = match self.mesh.ask(&to, TAKE, &question, ASK_DEADLINE).await {
                Ok(ExchangeAnswer::Pulling | ExchangeAnswer::Holding) => None,
                Ok(ExchangeAnswer::Refused { why }) => Some(why),
                Err(AskError::Refused(why)) => Some(why),
                Err(AskError::Bus(BusError::Nobody(_) | BusError::Late { .. })) => {
                    self.is_gone(&to).then(|| "the other pod is not there".to_owned())
                }
                Err(error) => self.is_gone(&to).then(|| error.to_string()),
            };
            let why = why.or_else(|| (Instant::now() >= deadline).then(|| "it takes too long".to_owned()));
            if let Some(why) = why {
                return self.take_back(key, to, promise, why).await;
            }
            // Its accepting may be on its way here.
            drop(tokio::time::timeout(PAUSE, changes.changed()).await);
        }
    }

    /// Ends a promise, if it was not accepted in this moment.
    async fn take_back(
        &self,
        key: OwnerKey,
        to: PodId,
        promise: Epoch,
        why: String,
    ) -> Result<Epoch, GiveError> {
        let mut taken = None;
        let name = key.subject();
        let back = self.mesh.ledger().change(&name, |known| {
            let entry = known.ok_or_else(|| Stop("it is gone".to_owned()))?;
            let mut ownership = ownership(entry).ok_or_else(|| Stop("it is gone".to_owned()))?;
            if entry.epoch != promise {
                taken = Some((entry.epoch, ownership.owner));
                return Err(Stop("it has changed".to_owned()));
            }
            ownership.promised_to = None;
            next(&ownership)
        });
        let outcome = back.await;
        match (outcome, taken) {
            (Ok(_), _) => Err(GiveError::NotTaken(why)),
            (Err(ChangeError::Stopped(_)), Some((epoch, owner))) if owner == Some(to) => Ok(epoch),
            // Somebody else of this pod has taken it back.
            (Err(ChangeError::Stopped(_)), Some((_, owner))) if owner == Some(self.mesh.pod()) => {
                Err(GiveError::NotTaken(why))
            }
            (Err(ChangeError::Stopped(_)), Some((_, owner))) => Err(GiveError::NotOurs(owner)),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// As the receiver: pulls what is promised to us, and accepts it.
    /// Safe to cancel: a later call pulls what is missing.
    ///
    /// # Errors
    /// Of the log; that it could not be pulled is an answer.
    pub async fn take(&self, key: OwnerKey) -> Result<ExchangeAnswer, ChangeError> {
        let us = self.mesh.pod();
        let Some((entry, promise)) = self.record(key)? else { return Ok(ExchangeAnswer::Pulling) };
        if promise.owner == Some(us) {
            return Ok(ExchangeAnswer::Holding);
        }
        let (Some(owner), true) = (promise.owner, promise.promised_to == Some(us)) else {
            // The promise may not have come here yet.
            return Ok(ExchangeAnswer::Pulling);
        };
        let Some(_taking) = Taking::begin(self, key) else { return Ok(ExchangeAnswer::Pulling) };
        if let Err(why) = self.puller.pull(owner, promise.digest).await {
            return Ok(ExchangeAnswer::Refused { why });
        }
        let name = key.subject();
        let accepted = self.mesh.ledger().change(&name, |known| {
            let Some(known) = known.filter(|known| known.epoch == entry.epoch) else {
                return Err(Stop("the promise was taken back".to_owned()));
            };
            let mut ownership = ownership(known).ok_or_else(|| Stop("it is gone".to_owned()))?;
            ownership.owner = Some(us);
            ownership.made_for = None;
            ownership.promised_to = None;
            next(&ownership)
        });
        match accepted.await {
            Ok(_) => Ok(ExchangeAnswer::Holding),
            Err(ChangeError::Stopped(why)) => Ok(ExchangeAnswer::Refused { why }),
            Err(error) => Err(error),
        }
    }

    /// Goes on with all promises of and to this pod: after a start, and from time to time.
    /// Safe to cancel.
    ///
    /// # Errors
    /// Of the log or the database; the promises after it wait for the next call.
    pub async fn go_on(&self) -> Result<(), GiveError> {
        let us = self.mesh.pod();
        for (key, from, to) in self.map.promises() {
            if to == us {
                self.take(key).await?;
            } else if from == us
                && let Some((entry, _)) = self.record(key)?.filter(|(_, now)| now.promised_to == Some(to))
            {
                match self.see_through(key, to, entry.epoch).await {
                    // Either way it is settled.
                    Ok(_) | Err(GiveError::NotTaken(_) | GiveError::NotOurs(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Answers owners that ask us to take.
    pub(super) fn serve(self: Arc<Self>) {
        let weak = Arc::downgrade(&self);
        self.mesh.serve(
            TAKE,
            Arc::new(move |from, question| {
                let owners = weak.upgrade();
                async move {
                    let owners = owners.ok_or_else(|| "this pod is going".to_owned())?;
                    let Exchange::Take { subject, revision } =
                        serde_json::from_value(question).map_err(|error| error.to_string())?;
                    let key = OwnerKey::of_subject(&subject).ok_or_else(|| "that is no record".to_owned())?;
                    let record = owners.record(key).map_err(|error| error.to_string())?;
                    let current = record.is_some_and(|(entry, now)| {
                        entry.epoch.revision >= revision
                            && (now.owner == Some(from) || entry.epoch.revision > revision)
                    });
                    // Until the promise has come by the log there is nothing to be said about it.
                    let answer = if current {
                        // A long pull goes on when nobody waits for this answer any more.
                        let taking = tokio::spawn(async move { owners.take(key).await });
                        let taken = taking.await.map_err(|error| error.to_string())?;
                        taken.map_err(|error| error.to_string())?
                    } else {
                        ExchangeAnswer::Pulling
                    };
                    serde_json::to_value(answer).map_err(|error| error.to_string())
                }
                .boxed()
            }),
        );
    }
}
