//! Who owns what: (workspace, path) → owner, digest, epoch.
//!
//! Actors: the [`OwnerMap`] is a view of the log in memory, for questions that must cost nothing; [`Owners`] claims and hands over by compare-and-set; a
//! [`Puller`] – the swarm – brings the bytes. The log decides: a record names one owner, and of rivals one succeeds, so that two never own at once.
//!
//! **Claims wait** until a new log has been told all ([`crate::ledger::Ledger::settled`]). What somebody owns who is there can only be handed over;
//! what a pod owns that is lost, gone or banned can be claimed.
//!
//! **A crash** at any point leaves either the old owner with its bytes, or the new one with its own; a promise that nobody goes on with is taken back by its
//! owner, or claimed when that is lost. **Not here**: who is entitled to a workspace is the majordomo's matter.

mod handover;
mod map;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use protocol::PodId;
use protocol::mesh::{ArtefactScope, Ownership, subject};
use protocol::{Digest, RelPath, WorkspaceId};
use serde_json::Value;

pub use handover::{GIVE_DEADLINE, GiveError, TAKE};
pub use map::{Artefact, Changes, MAX_CHANGES, MAX_HOLDERS, MAX_SETS, Owner, OwnerKey, OwnerMap};

use crate::beats::Liveness;
use crate::federation::{MAX_REASON, readable};
use crate::ledger::{ChangeError, Entry, Epoch, Stop, StoreError};
use crate::mesh::Mesh;

/// Brings all bytes of an official digest to this pod, verified, and keeps them.
pub trait Puller: Send + Sync + 'static {
    /// Ends when they are here. Called again after a crash: what is here is not fetched twice.
    fn pull(&self, from: PodId, digest: Digest) -> BoxFuture<'_, Result<(), String>>;
}

/// What is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose workspace.
    pub workspace: WorkspaceId,
    /// Where in it.
    pub path: RelPath,
    /// What it covers.
    pub scope: ArtefactScope,
    /// The official digest from now on.
    pub digest: Digest,
    /// How many bytes there are below it.
    pub size: u64,
    /// What people call it.
    pub label: String,
}

impl Claim {
    /// The subject of its record.
    pub fn subject(&self) -> String {
        subject::owner(self.workspace, &self.path)
    }
}

/// Why a claim fails.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// A new log has not been told all yet.
    #[error(
        "the federation's log was made anew a moment ago, and not all pods have told it what they own: try again in some seconds"
    )]
    NotSettled,
    /// Somebody else owns it.
    #[error("{path} belongs to {owner}, which is there: it has to hand it over (`pod give`)")]
    Owned {
        /// What.
        path: RelPath,
        /// By whom.
        owner: PodId,
    },
    /// It is being handed over.
    #[error("{path} is being handed over to {to}")]
    Promised {
        /// What.
        path: RelPath,
        /// To whom.
        to: PodId,
    },
    /// The log.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// Claims, hand-overs, look-ups.
pub struct Owners {
    mesh: Arc<Mesh>,
    map: Arc<OwnerMap>,
    puller: Arc<dyn Puller>,
    /// What is being taken now: however often an owner asks, one pull goes on.
    taking: Mutex<BTreeSet<OwnerKey>>,
}

/// The ownership in an entry; none if it has another form.
pub fn ownership(entry: &Entry) -> Option<Ownership> {
    let mut read: Ownership = serde_json::from_value(entry.body.clone()).ok()?;
    // Whoever signed it may have written anything.
    read.label = readable(&read.label, MAX_REASON);
    Some(read)
}

fn next(ownership: &Ownership) -> Result<Value, Stop> {
    serde_json::to_value(ownership).map_err(|error| Stop(error.to_string()))
}

impl Owners {
    /// Reads all that is known. Call it once for a mesh.
    ///
    /// # Errors
    /// Of the database.
    pub fn open(mesh: Arc<Mesh>, puller: Arc<dyn Puller>) -> Result<Arc<Self>, StoreError> {
        let map = Arc::new(OwnerMap::default());
        mesh.ledger().add_view_with(map.clone(), subject::OWNERS, |name, signed| map.load(name, signed))?;
        let owners = Arc::new(Self { mesh, map, puller, taking: Mutex::default() });
        owners.clone().serve();
        Ok(owners)
    }

    /// The map in memory.
    pub fn map(&self) -> &OwnerMap {
        &self.map
    }

    /// The record of a path.
    ///
    /// # Errors
    /// Of the database.
    pub fn get(
        &self,
        workspace: WorkspaceId,
        path: &RelPath,
    ) -> Result<Option<(Ownership, Epoch)>, StoreError> {
        let entry = self.mesh.ledger().get(&subject::owner(workspace, path))?;
        Ok(entry.and_then(|entry| Some((ownership(&entry)?, entry.epoch))))
    }

    /// Whether what a pod owns may be claimed by others.
    fn is_gone(&self, pod: &PodId) -> bool {
        !self.mesh.members().is_member(pod)
            || (*pod != self.mesh.pod() && self.mesh.beats().liveness(pod) == Liveness::Lost)
    }

    /// Claims what nobody owns, or what this pod owns already and has changed.
    ///
    /// Dropping the future leaves it open whether it is claimed: the record tells ([`get`](Self::get)).
    ///
    /// # Errors
    /// It is owned by or promised to a pod that is there, a new log has not been told all yet, or the log. After
    /// [`BusError::Unknown`](crate::BusError::Unknown) it may be claimed all the same; after the others it is not.
    pub async fn claim(&self, claim: &Claim) -> Result<Epoch, ClaimError> {
        self.claim_so(claim, None).await
    }

    /// Claims what nobody owns and this pod has made for a build of another one, which may have it handed over.
    ///
    /// # Errors
    /// As [`Owners::claim`].
    pub async fn claim_made_for(&self, claim: &Claim, pod: PodId) -> Result<Epoch, ClaimError> {
        self.claim_so(claim, Some(pod)).await
    }

    async fn claim_so(&self, claim: &Claim, made_for: Option<PodId>) -> Result<Epoch, ClaimError> {
        let ledger = self.mesh.ledger();
        if !ledger.settled()? {
            return Err(ClaimError::NotSettled);
        }
        let us = self.mesh.pod();
        let mut refused = None;
        let name = claim.subject();
        let changed = ledger.change(&name, |known| {
            refused = None;
            if let Some(known) = known.and_then(ownership) {
                let other = known.owner.filter(|owner| *owner != us && !self.is_gone(owner));
                let promised = known.promised_to.filter(|to| *to != us && !self.is_gone(to));
                if let Some(owner) = other {
                    refused = Some(ClaimError::Owned { path: claim.path.clone(), owner });
                } else if let Some(to) = promised {
                    // The receiver may have all bytes and be about to say so.
                    refused = Some(ClaimError::Promised { path: claim.path.clone(), to });
                }
                if refused.is_some() {
                    return Err(Stop("it is owned".to_owned()));
                }
            }
            next(&Ownership {
                workspace: claim.workspace,
                path: claim.path.clone(),
                scope: claim.scope,
                owner: Some(us),
                digest: claim.digest,
                size: claim.size,
                label: claim.label.clone(),
                made_for,
                promised_to: None,
            })
        });
        let outcome = changed.await;
        match (outcome, refused) {
            (Ok(entry), _) => Ok(entry.epoch),
            (Err(ChangeError::Stopped(_)), Some(refused)) => Err(refused),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Gives up what this pod owns: its bytes need not be kept any more.
    ///
    /// # Errors
    /// Of the log; until it succeeds the bytes have to be kept.
    pub async fn release(&self, name: &str) -> Result<(), ChangeError> {
        let us = self.mesh.pod();
        let released = self.mesh.ledger().change(name, |known| {
            let known = known.and_then(ownership);
            let mut ownership = known.filter(|known| known.owner == Some(us)).ok_or(Stop(String::new()))?;
            ownership.owner = None;
            ownership.made_for = None;
            ownership.promised_to = None;
            next(&ownership)
        });
        match released.await {
            Err(ChangeError::Stopped(why)) if !why.is_empty() => Err(ChangeError::Stopped(why)),
            Ok(_) | Err(ChangeError::Stopped(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
