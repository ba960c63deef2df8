//! Following the log, and telling a new one what it has to know before anybody may claim.
//!
//! A new log is empty. Each pod appends again what it has said itself, and of what matters to claims (members, keys, owners) also the words of those
//! who are not there; then it says that it has *told* all. A claim waits until each pod that is heard has told all, or [`SETTLING`] is over: a pod
//! that is silent for so long is superseded anyway.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use protocol::mesh::subject;
use serde_json::json;

use super::change::ChangeError;
use super::entry::Entry;
use super::store::StoreError;
use super::{Ledger, Status};
use crate::beats::LOST_AFTER;
use crate::bus::{BusError, Expect, Followed, Incarnation, Position};

/// How long claims wait for pods that have not told what they know: a pod that is silent for so long is superseded anyway.
pub const SETTLING: Duration = LOST_AFTER;
/// How soon it is tried again to tell the log.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// How many records are committed at once.
const BATCH: usize = 256;
/// What is told for those who are absent.
const FOR_OTHERS: [&str; 6] = [
    subject::MEMBERS,
    subject::KEYS,
    subject::GENERATION,
    subject::INVITATIONS,
    subject::OWNERS,
    subject::PROJECTS,
];

impl Ledger {
    /// Follows the log until the future is dropped, or the database fails; then it may be called again, and goes on after what was committed.
    ///
    /// # Errors
    /// The database cannot be read or written; what the log or the server do is waited out.
    pub async fn follow(self: Arc<Self>) -> Result<(), StoreError> {
        let cursor = self.state.lock().store.cursor()?;
        let mut follow = self.bus.follow(cursor).ready_chunks(BATCH);
        let mut untold = false;
        loop {
            let batch = if untold {
                // The log may stay silent, and must be told all the same.
                tokio::time::timeout(TELL_AGAIN, follow.next()).await.unwrap_or(Some(Vec::new()))
            } else {
                follow.next().await
            };
            let Some(batch) = batch else { return Ok(()) };
            let status = self.status.borrow().clone();
            let ledger = Arc::clone(&self);
            // The database may take its time, and nobody else waits for that. Once begun a batch is taken whole.
            let taking = tokio::task::spawn_blocking(move || {
                let mut status = status;
                ledger.take_batch(batch, &mut status)?;
                ledger.retry()?;
                Ok::<_, StoreError>(status)
            });
            let status = match taking.await {
                Ok(taken) => taken?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is going.
                Err(_) => return Ok(()),
            };
            untold = status.caught_up && !status.told;
            self.status.send_if_modified(|old| std::mem::replace(old, status.clone()) != status);
            if let (true, Some(incarnation)) = (untold, status.incarnation) {
                match self.tell(incarnation).await {
                    Ok(()) => self
                        .status
                        .send_modify(|status| status.told = status.incarnation == Some(incarnation)),
                    // The log is away or another one by now: whichever comes next is told.
                    Err(error) => tracing::debug!(%error, "the log was not told all"),
                }
            }
        }
    }

    fn take_batch(&self, batch: Vec<Followed>, status: &mut Status) -> Result<(), StoreError> {
        self.batch(|taking| {
            let mut cursor = None;
            for followed in batch {
                match followed {
                    Followed::Incarnation(incarnation) => {
                        if status.incarnation != Some(incarnation) {
                            *status = Status { incarnation: Some(incarnation), ..Status::default() };
                            *self.began.lock() = Some(Instant::now());
                            let kept =
                                taking.state.generation.filter(|(since, _)| since.incarnation == incarnation);
                            taking.state.generation = kept;
                        }
                    }
                    Followed::Record(record) => {
                        taking.take_sealed(&record.subject, &record.payload, Some(record.position))?;
                        cursor = Some(record.position);
                    }
                    Followed::CaughtUp(position) => {
                        status.caught_up = true;
                        cursor = Some(position);
                    }
                    Followed::Interrupted(why) => {
                        tracing::info!(why, "the log is not followed for now");
                        status.caught_up = false;
                    }
                }
            }
            cursor.map_or(Ok(()), |cursor| taking.state.store.set_cursor(cursor))
        })
    }

    /// Appends what this log has to know and has not.
    async fn tell(&self, incarnation: Incarnation) -> Result<(), ChangeError> {
        let alive = self.policy.read().as_ref().map(|policy| policy.alive()).unwrap_or_default();
        let us = self.identity.pod();
        let mut missing = Vec::new();
        self.state.lock().store.each_unseen(&incarnation.to_string(), |name, signed| {
            if let Ok(entry) = Entry::trusted(name, signed)
                && !name.starts_with(subject::SETTLED)
                && (entry.from == us
                    || (!alive.contains(&entry.from)
                        && FOR_OTHERS.iter().any(|prefix| name.starts_with(prefix))))
            {
                missing.push(entry);
            }
        })?;
        for entry in missing {
            self.tell_one(entry, incarnation).await?;
        }
        self.say(&subject::settled(&us), json!({ "incarnation": incarnation })).await?;
        Ok(())
    }

    async fn tell_one(&self, entry: Entry, incarnation: Incarnation) -> Result<(), ChangeError> {
        let mut expect = Expect::Nothing(incarnation);
        for _ in 0..super::MAX_RIVALS {
            match self.append(&entry, expect).await {
                Ok(position) => {
                    self.state.lock().store.saw(&entry.subject, position)?;
                    return Ok(());
                }
                Err(ChangeError::Bus(BusError::Conflict(_) | BusError::Unknown { .. })) => {}
                Err(error) => return Err(error),
            }
            // Somebody has said something: it is as good, or better, or is replaced.
            let Some(record) = self.bus.last(&entry.subject).await? else { continue };
            self.batch(|batch| batch.take_sealed(&record.subject, &record.payload, Some(record.position)))?;
            if self.get(&entry.subject)?.is_none_or(|known| known.signed != entry.signed) {
                return Ok(());
            }
            let there = Entry::open(&self.federation, &self.ring.read(), &record.subject, &record.payload);
            if there.is_ok_and(|(_, there)| there.signed == entry.signed) {
                return Ok(());
            }
            expect = Expect::At(record.position);
        }
        Ok(())
    }

    /// Whether claims may be made: this log has been told all that those who are heard know.
    ///
    /// # Errors
    /// Of the database.
    pub fn settled(&self) -> Result<bool, StoreError> {
        let status = self.status.borrow().clone();
        let Some(incarnation) = status.incarnation.filter(|_| status.caught_up && status.told) else {
            return Ok(false);
        };
        if self.began.lock().is_some_and(|began| began.elapsed() >= SETTLING) {
            return Ok(true);
        }
        let alive = self.policy.read().as_ref().map(|policy| policy.alive()).unwrap_or_default();
        for pod in alive {
            let told = self.get(&subject::settled(&pod))?;
            let told = told.and_then(|entry| entry.body["incarnation"].as_str()?.parse::<Incarnation>().ok());
            if told != Some(incarnation) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How far the log was followed, as kept.
    ///
    /// # Errors
    /// Of the database.
    pub fn cursor(&self) -> Result<Option<Position>, StoreError> {
        self.state.lock().store.cursor()
    }
}
