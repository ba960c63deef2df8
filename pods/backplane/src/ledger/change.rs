//! Saying a word: by compare-and-set where others may speak too, plainly where nobody else does.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::entry::{Entry, Epoch};
use super::store::StoreError;
use super::{Judgement, Ledger, Taken};
use crate::bus::{BusError, Expect, Incarnation, Position};
use crate::keys::{OpenError, SealError};

/// How often somebody else may be faster, before it is an error.
pub const MAX_RIVALS: usize = 32;

/// The pause after a word that could not be said; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest of these pauses.
pub const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Why a word was not said.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The caller does not want it any more, seeing what is there.
    #[error("{0}")]
    Stopped(String),
    /// Others were faster, each time.
    #[error("`{0}` is changed by others all the time")]
    Rivals(String),
    /// The policy of this pod itself refuses it.
    #[error("this pod may not say that on `{0}`")]
    Forbidden(String),
    /// This pod does not know yet that it belongs to the federation.
    #[error(
        "this pod does not know yet whether it may say that on `{0}`: it has not heard who belongs to the federation"
    )]
    NotYet(String),
    /// There is no greater number.
    #[error("`{0}` has had as many words as can be counted")]
    Worn(String),
    /// The back-plane.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The entry cannot be made.
    #[error(transparent)]
    Entry(#[from] OpenError),
    /// The entry cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl ChangeError {
    /// Whether the same word may be said later, with nothing done about it: the server, the disk or the members are not as they should be *now*.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Rivals(_) | Self::NotYet(_) | Self::Store(_) | Self::Seal(SealError::NoKey) => true,
            Self::Bus(error) => error.may_pass(),
            Self::Stopped(_) | Self::Forbidden(_) | Self::Worn(_) | Self::Entry(_) | Self::Seal(_) => false,
        }
    }
}

/// The caller's reason not to change what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop(pub String);

impl Ledger {
    /// Changes a subject by compare-and-set. `decide` sees the last word, and gives the next, as often as somebody else is faster.
    ///
    /// Of rivals that decide on the same last word exactly one succeeds. When the server's answer is lost the log is asked what became of it.
    /// Nothing is appended that this pod's own policy refuses. Dropping the future leaves it open whether the word is said.
    ///
    /// # Errors
    /// [`ChangeError::Stopped`] with the reason of `decide`; else of the log, the database or the policy. [`BusError::Unknown`] and errors of the
    /// database leave it open whether the word is said.
    pub async fn change(
        &self,
        subject: &str,
        mut decide: impl FnMut(Option<&Entry>) -> Result<Value, Stop> + Send,
    ) -> Result<Entry, ChangeError> {
        let mut said: Vec<Vec<u8>> = Vec::new();
        for _ in 0..MAX_RIVALS {
            let record = self.bus.last(subject).await?;
            let incarnation = match &record {
                Some(record) => record.position.incarnation,
                None => self.bus.log().await?,
            };
            if let Some(record) = &record {
                self.batch(|batch| batch.take_sealed(subject, &record.payload, Some(record.position)))?;
            }
            let known = self.get(subject)?;
            // Whatever the server answered to it: one of ours stands there.
            if let Some(known) = known.as_ref().filter(|known| said.contains(&known.signed)) {
                return Ok(known.clone());
            }
            let body = decide(known.as_ref()).map_err(|Stop(why)| ChangeError::Stopped(why))?;
            let entry = self.next(subject, known.as_ref(), incarnation, body)?;
            said.push(entry.signed.clone());
            match self.append(&entry, Expect::after(record.as_ref(), incarnation)).await {
                Ok(position) => {
                    if self.is_last(&entry, position)? {
                        return Ok(entry);
                    }
                }
                Err(ChangeError::Bus(
                    BusError::Conflict(_) | BusError::OtherIncarnation { .. } | BusError::Unknown { .. },
                )) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ChangeError::Rivals(subject.to_owned()))
    }

    /// Says a word on a subject that is this pod's alone: one round trip.
    ///
    /// Nothing is appended that this pod's own policy refuses. Dropping the future leaves it open whether the word is said.
    ///
    /// # Errors
    /// Of the log, the database or the policy; [`ChangeError::may_pass`] says whether the word is worth another attempt. [`BusError::Unknown`] and errors
    /// of the database leave it open whether it is said.
    pub async fn say(&self, subject: &str, body: Value) -> Result<Entry, ChangeError> {
        for _ in 0..MAX_RIVALS {
            let known = self.status.borrow().incarnation;
            let incarnation = match known {
                Some(incarnation) => incarnation,
                None => self.bus.log().await?,
            };
            let entry = self.next(subject, self.get(subject)?.as_ref(), incarnation, body.clone())?;
            let position = self.append(&entry, Expect::Anything).await?;
            if self.is_last(&entry, position)? {
                return Ok(entry);
            }
        }
        Err(ChangeError::Rivals(subject.to_owned()))
    }

    /// Says a word on a subject that is this pod's alone, as soon as it can be said: waits while the log is away, at last [`LAST_PAUSE`] between two attempts.
    ///
    /// Dropping the future leaves it open whether the word is said.
    ///
    /// # Errors
    /// What does not pass by itself ([`ChangeError::may_pass`]).
    pub async fn insist(&self, subject: &str, body: Value) -> Result<Entry, ChangeError> {
        let mut connection = self.bus.connection();
        let mut pause = FIRST_PAUSE;
        loop {
            connection.borrow_and_update();
            match self.say(subject, body.clone()).await {
                Err(error) if error.may_pass() => tracing::debug!(subject, %error, "not said yet"),
                outcome => return outcome,
            }
            pause = match tokio::time::timeout(pause, connection.changed()).await {
                Ok(Ok(())) => FIRST_PAUSE,
                // Nobody tells of the connection any more.
                Ok(Err(_)) => {
                    tokio::time::sleep(pause).await;
                    LAST_PAUSE
                }
                Err(_) => LAST_PAUSE.min(pause * 2),
            };
        }
    }

    fn next(
        &self,
        subject: &str,
        known: Option<&Entry>,
        incarnation: Incarnation,
        body: Value,
    ) -> Result<Entry, ChangeError> {
        let revision = known.map_or(0, |known| known.epoch.revision).checked_add(1);
        let revision = revision.ok_or_else(|| ChangeError::Worn(subject.to_owned()))?;
        // What is known may be from a log of which the server has never heard.
        let incarnation = known.map_or(incarnation, |known| known.epoch.incarnation.max(incarnation));
        let epoch = Epoch { incarnation, revision };
        let entry = Entry::new(&self.identity, &self.federation, subject, epoch, (self.clock.now(), body))?;
        match self.judge(&entry) {
            Judgement::Take => Ok(entry),
            Judgement::Wait | Judgement::Learn => Err(ChangeError::NotYet(entry.subject)),
            Judgement::Refuse => Err(ChangeError::Forbidden(entry.subject)),
        }
    }

    pub(super) async fn append(&self, entry: &Entry, expect: Expect) -> Result<Position, ChangeError> {
        let sealed = entry.sealed(&self.federation, &self.ring.read())?;
        Ok(self.bus.append(&entry.subject, Bytes::from(sealed), expect).await?)
    }

    /// Takes a word of ours that was appended. False if a later one has come by another way meanwhile.
    fn is_last(&self, entry: &Entry, position: Position) -> Result<bool, ChangeError> {
        let taken = self.batch(|batch| {
            batch.state.overwritten.remove(&entry.subject);
            batch.take(entry.clone(), Some(position))
        })?;
        self.retry()?;
        match taken {
            Taken::New | Taken::Known => Ok(true),
            Taken::Older => Ok(false),
            Taken::Waits => Err(ChangeError::NotYet(entry.subject.clone())),
            Taken::Refused => Err(ChangeError::Forbidden(entry.subject.clone())),
        }
    }
}
