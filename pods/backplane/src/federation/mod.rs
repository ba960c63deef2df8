//! Who belongs to the federation: founding, inviting, joining, leaving, banning, and the keys that go with it.
//!
//! Trust begins with the federation's id, which is a hash of the founder's key: whoever has the id knows the founder, and each other member by the chain of
//! signed admissions from there. An admission stays provable after its pod or its author has left or was banned (`Member::admission`).
//!
//! [`Members`] is the view over the log that says who belongs to it now; it is also the ledger's policy. The rest are acts of one pod, each a few
//! compare-and-sets that can be begun again from any point where they broke off.

mod ban;
mod home;
mod invite;
mod join;
mod members;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

pub use ban::MEND_AFTER;
pub use home::{FILE, Kept, KeptError, is_member};
pub use invite::InviteOptions;
pub use join::{Answerer, JoinError, JoinOptions, Welcome, join};
pub use members::{KnownMember, MemberList, Members};
pub use words::{MAX_NAME, MAX_REASON, is_name, readable};

use protocol::PodId;
use protocol::mesh::{FederationId, Member, Role, Standing, subject};
use serde_json::Value;

use crate::clock::Clock;
use crate::keys::{GroupKey, Identity, NoRandomness, SharedRing, random, seal_to};
use crate::ledger::{ChangeError, Ledger};

/// What a pod needs to act in a federation.
#[derive(Clone)]
pub struct Federation {
    /// Which.
    pub id: FederationId,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// The group's keys.
    pub ring: SharedRing,
    /// The time.
    pub clock: Clock,
    /// What is known.
    pub ledger: Arc<Ledger>,
    /// Who belongs to it.
    pub members: Arc<Members>,
}

/// Why an act failed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The log.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// No key can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Only full members may.
    #[error("this pod is no full member, and cannot {0}: ask one that is (`pod pods` lists the roles)")]
    NotFull(&'static str),
    /// There is no such member.
    #[error("{0} is no member")]
    NoMember(PodId),
    /// Something has no JSON form.
    #[error("cannot be written: {0}")]
    Form(#[from] serde_json::Error),
}

impl Federation {
    fn pod(&self) -> PodId {
        self.identity.pod()
    }

    fn must_be_full(&self, act: &'static str) -> Result<(), ActError> {
        match self.members.list().get(&self.pod()) {
            Some(us) if us.is_member() && us.role == Role::Full => Ok(()),
            _ => Err(ActError::NotFull(act)),
        }
    }

    /// Says that this pod has founded the federation. Again with the same salt it changes nothing.
    /// Dropping the future leaves it open whether it is said.
    ///
    /// # Errors
    /// No random bytes, or of the log.
    pub async fn found(&self, name: &str, salt: [u8; 16]) -> Result<(), ActError> {
        let key: GroupKey = random()?.into();
        let commitment = crate::keys::commitment(&key);
        {
            let mut ring = self.ring.write();
            if ring.newest() == 0 {
                ring.add(1, key);
            }
        }
        let member = Member {
            pod: self.pod(),
            name: name.to_owned(),
            role: Role::Full,
            standing: Standing::Member,
            seal_key: self.identity.seal_key(),
            founding_salt: Some(salt),
            knew_generation: None,
            admission: None,
            upheld: Vec::new(),
        };
        let commitment = self.ring.read().commitment(1).unwrap_or(commitment);
        self.set_once(&subject::member(&self.pod()), serde_json::to_value(member)?).await?;
        let generation = protocol::mesh::GenerationEntry { generation: 1, commitment };
        self.set_once(subject::GENERATION, serde_json::to_value(generation)?).await?;
        self.seal_ring_to(&self.pod(), &self.identity.seal_key()).await
    }

    /// Sets what has no word yet.
    async fn set_once(&self, subject: &str, body: Value) -> Result<(), ChangeError> {
        let set = self.ledger.change(subject, |known| match known {
            None => Ok(body.clone()),
            Some(_) => Err(crate::ledger::Stop(String::new())),
        });
        match set.await {
            Ok(_) | Err(ChangeError::Stopped(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives a pod all group keys that we have, if it was not given them.
    async fn seal_ring_to(&self, pod: &PodId, key: &[u8; 32]) -> Result<(), ActError> {
        self.seal_ring_unless(pod, key, |newest, ours| newest >= ours).await
    }

    /// Gives a pod all group keys that we have, unless what it was given last will do.
    async fn seal_ring_unless(
        &self,
        pod: &PodId,
        key: &[u8; 32],
        will_do: impl Fn(u64, u64) -> bool + Send + Sync,
    ) -> Result<(), ActError> {
        let (generation, json) = {
            let ring = self.ring.read();
            (ring.newest(), serde_json::to_vec(&ring.to_json()).map(zeroize::Zeroizing::new)?)
        };
        // A key that nothing can be sealed to is its pod's own fault: it stays outside.
        let Some(sealed) = seal_to(key, &json) else { return Ok(()) };
        let body = serde_json::to_value(protocol::mesh::KeyEntry { generation, sealed })?;
        // What claims to be later than anything agreed upon is no reason to give nothing.
        let agreed = self.members.generation().map(|agreed| u64::from(agreed.generation.max(generation)));
        let name = subject::key(pod);
        let given = self.ledger.change(&name, |known| {
            let newest = known.and_then(|entry| entry.body["generation"].as_u64()).unwrap_or_default();
            if will_do(newest, u64::from(generation)) && agreed.is_none_or(|agreed| newest <= agreed) {
                return Err(crate::ledger::Stop(String::new()));
            }
            Ok(body.clone())
        });
        match given.await {
            Ok(_) | Err(ChangeError::Stopped(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
