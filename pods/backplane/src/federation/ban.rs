//! Going: by oneself, or sent away. A ban is followed by a new generation of the group key, sealed to each pod that stays.
//!
//! Whoever bans may die in between; then any full member goes on where it stopped ([`Federation::mend`]).

use std::time::Duration;

use protocol::mesh::{GenerationEntry, KeyEntry, Member, Role, Standing, subject};
use protocol::{Digest, PodId};
use serde_json::Value;

use super::{ActError, Federation, KnownMember};
use crate::beats::LOST_AFTER;
use crate::keys::{GroupKey, commitment, random};
use crate::ledger::{ChangeError, Entry, Stop};

/// A key that nobody has after this time will not come any more: its maker is lost.
pub const MEND_AFTER: Duration = LOST_AFTER;

/// The member's next word: of another standing, and with the proof that it was let in.
fn gone(
    known: Option<&Entry>,
    standing: Standing,
    knew: Option<u32>,
    upheld: Vec<Digest>,
) -> Result<Value, Stop> {
    let entry = known.ok_or_else(|| Stop("it is no member".to_owned()))?;
    let mut member: Member =
        serde_json::from_value(entry.body.clone()).map_err(|error| Stop(error.to_string()))?;
    if member.standing == standing {
        return Err(Stop(String::new()));
    }
    if member.standing == Standing::Member && entry.from != member.pod {
        member.admission = Some(entry.signed.clone());
    }
    member.standing = standing;
    (member.knew_generation, member.upheld) = (knew, upheld);
    serde_json::to_value(member).map_err(|error| Stop(error.to_string()))
}

fn unless_done(outcome: Result<Entry, ChangeError>) -> Result<(), ActError> {
    match outcome {
        Ok(_) => Ok(()),
        Err(ChangeError::Stopped(why)) if why.is_empty() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Federation {
    /// Leaves. What this pod owns has to be handed over first. Those who stay make a key that it does not know.
    /// Dropping the future leaves it open whether it is said; it can be said again.
    ///
    /// # Errors
    /// Of the log, or the last key cannot be made.
    pub async fn leave(&self) -> Result<(), ActError> {
        let ours = subject::member(&self.pod());
        let knew = self.present_generation();
        let left = self.ledger.change(&ours, |known| gone(known, Standing::Left, Some(knew), Vec::new()));
        unless_done(left.await)
    }

    /// Sends a pod away for good, and changes the group key. Whom it has let in stays, as far as this pod has heard of it by now.
    ///
    /// Dropping the future may leave the ban without a new key: another full member makes it then ([`mend`](Self::mend)), or this one when it bans again.
    ///
    /// # Errors
    /// This pod is no full member, the other was none, no key can be made, or the log. After [`BusError::Unknown`](crate::BusError) the pod may be
    /// banned or not.
    pub async fn ban(&self, pod: &PodId) -> Result<(), ActError> {
        self.must_be_full("ban")?;
        if !self.members.list().contains_key(pod) {
            return Err(ActError::NoMember(*pod));
        }
        let knew = self.present_generation();
        let theirs = subject::member(pod);
        // Whom it has let in, and whom it has banned itself, stays so for all: also for newcomers, who hear of this ban first.
        let banned = self
            .ledger
            .change(&theirs, |known| gone(known, Standing::Banned, Some(knew), self.members.words_of(pod)));
        unless_done(banned.await)?;
        self.renew_after(knew).await
    }

    fn present_generation(&self) -> u32 {
        let agreed = self.members.generation().map_or(0, |entry| entry.generation);
        agreed.max(self.ring.read().newest())
    }

    /// Makes the generation after `knew`, if nobody has yet, and gives out what we have.
    async fn renew_after(&self, knew: u32) -> Result<(), ActError> {
        let generation =
            knew.checked_add(1).ok_or_else(|| ChangeError::Worn(subject::GENERATION.to_owned()))?;
        let key: GroupKey = random()?.into();
        let body = serde_json::to_value(GenerationEntry { generation, commitment: commitment(&key) })?;
        let renewed = self.ledger.change(subject::GENERATION, |known| {
            let present = known.and_then(|entry| entry.body["generation"].as_u64()).unwrap_or_default();
            if present > u64::from(knew) { Err(Stop(String::new())) } else { Ok(body.clone()) }
        });
        match renewed.await {
            Ok(_) => self.ring.write().add(generation, key),
            // Whoever was faster gives it out.
            Err(ChangeError::Stopped(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        self.give_out().await
    }

    /// Seals the ring to each member that has not got its newest key.
    async fn give_out(&self) -> Result<(), ActError> {
        for member in self.members.list().values().filter(|member| member.is_member()) {
            self.seal_ring_to(&member.pod, &member.seal_key).await?;
        }
        Ok(())
    }

    /// Whether the federation has agreed on a key that this pod has not been given.
    pub fn lacks_present_key(&self) -> bool {
        self.members.generation().is_some_and(|agreed| self.ring.read().newest() < agreed.generation)
    }

    /// Goes on where a ban stopped. For full members, from time to time; `waited` is how long the present generation has been without a key here.
    /// Safe to cancel: the next call goes on.
    ///
    /// # Errors
    /// Of the log; the next call goes on.
    pub async fn mend(&self, waited: Duration) -> Result<(), ActError> {
        if self.must_be_full("mend").is_err() {
            return Ok(());
        }
        let Some(agreed) = self.members.generation() else { return Ok(()) };
        let given = |pod: &PodId| -> Result<Option<KeyEntry>, ActError> {
            let entry = self.ledger.get(&subject::key(pod)).map_err(ChangeError::from)?;
            Ok(entry.and_then(|entry| serde_json::from_value(entry.body).ok()))
        };
        // Whoever made the present key may not have heard of a ban yet that was said meanwhile.
        let was_given = |pod: &PodId| match given(pod) {
            Ok(given) => given.is_some_and(|given| given.generation == agreed.generation),
            Err(_) => false,
        };
        let unanswered = |member: &KnownMember| match member.standing {
            Standing::Banned => {
                member.knew_generation.is_some_and(|knew| knew >= agreed.generation) || was_given(&member.pod)
            }
            // It says so itself, and is not believed to know a key that is still to come.
            Standing::Left => member.knew_generation == Some(agreed.generation),
            Standing::Member => false,
        };
        let members = self.members.list();
        if members.values().any(unanswered) {
            return self.renew_after(agreed.generation).await;
        }
        if self.ring.read().newest() < agreed.generation {
            // Its maker died before it gave it out to us: then to nobody who could tell us.
            return if waited >= MEND_AFTER { self.renew_after(agreed.generation).await } else { Ok(()) };
        }
        // One of those who are there gives it to a pod: the first by id, but for that pod itself, which may lack it.
        let there = members.values().filter(|member| member.is_member() && member.role == Role::Full);
        let there: Vec<PodId> = there
            .map(|member| member.pod)
            .filter(|pod| *pod == self.pod() || self.members.silent_for(pod).is_some_and(|s| s < MEND_AFTER))
            .collect();
        let is_ours =
            |member: &&KnownMember| there.iter().filter(|pod| **pod != member.pod).min() == Some(&self.pod());
        let overwritten = self.ledger.overwritten();
        for member in members.values().filter(|member| member.is_member()).filter(is_ours) {
            let name = subject::key(&member.pod);
            // A later one than is agreed upon is no key, whatever that entry says.
            if given(&member.pod)?.is_none_or(|given| given.generation != agreed.generation) {
                self.seal_ring_to(&member.pod, &member.seal_key).await?;
            } else if overwritten.contains(&name) {
                self.seal_ring_unless(&member.pod, &member.seal_key, |_, _| false).await?;
            }
        }
        Ok(())
    }
}
