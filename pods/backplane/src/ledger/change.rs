//! Saying a word: by compare-and-set where others may speak too, plainly where nobody else does.

use bytes::Bytes;
use serde_json::Value;

use super::entry::{Entry, Epoch};
use super::store::StoreError;
use super::{Ledger, Taken};
use crate::bus::{BusError, Expect, Incarnation, Position};
use crate::keys::{OpenError, SealError};

/// How often somebody else may be faster, before it is an error.
pub const MAX_RIVALS: usize = 32;

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

/// The caller's reason not to change what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop(pub String);

impl Ledger {
    /// Changes a subject by compare-and-set. `decide` sees the last word, and gives the next, as often as somebody else is faster.
    ///
    /// Of rivals that decide on the same last word exactly one succeeds. When the server's answer is lost the log is asked what became of it.
    /// Dropping the future leaves it open whether the word is said.
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
                self.take_sealed(&mut self.state.lock(), subject, &record.payload, Some(record.position))?;
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
                Ok(position) => return self.said(entry, position),
                Err(ChangeError::Bus(
                    BusError::Conflict(_) | BusError::OtherIncarnation { .. } | BusError::Unknown { .. },
                )) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ChangeError::Rivals(subject.to_owned()))
    }

    /// Says a word on a subject that is this pod's alone: one round trip.
    pub async fn say(&self, subject: &str, body: Value) -> Result<Entry, ChangeError> {
        let known = self.status.borrow().incarnation;
        let incarnation = match known {
            Some(incarnation) => incarnation,
            None => self.bus.log().await?,
        };
        let entry = self.next(subject, self.get(subject)?.as_ref(), incarnation, body)?;
        let position = self.append(&entry, Expect::Anything).await?;
        self.said(entry, position)
    }

    fn next(
        &self,
        subject: &str,
        known: Option<&Entry>,
        incarnation: Incarnation,
        body: Value,
    ) -> Result<Entry, ChangeError> {
        let revision = known.map_or(0, |known| known.epoch.revision) + 1;
        // What is known may be from a log of which the server has never heard.
        let incarnation = known.map_or(incarnation, |known| known.epoch.incarnation.max(incarnation));
        let epoch = Epoch { incarnation, revision };
        Ok(Entry::new(&self.identity, &self.federation, subject, epoch, (self.clock.now(), body))?)
    }

    pub(super) async fn append(&self, entry: &Entry, expect: Expect) -> Result<Position, ChangeError> {
        let sealed = entry.sealed(&self.federation, &self.ring.read())?;
        Ok(self.bus.append(&entry.subject, Bytes::from(sealed), expect).await?)
    }

    fn said(&self, entry: Entry, position: Position) -> Result<Entry, ChangeError> {
        let taken = {
            let mut state = self.state.lock();
            state.overwritten.remove(&entry.subject);
            self.take(&mut state, entry.clone(), Some(position))?
        };
        if taken == Taken::Refused {
            return Err(ChangeError::Forbidden(entry.subject));
        }
        self.retry()?;
        Ok(entry)
    }
}
