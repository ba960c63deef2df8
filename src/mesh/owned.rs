//! What this pod owns: claimed after builds, handed over, and pulled with its bytes.
//!
//! Actors. An [`Estate`] is a pod's part in the ownership of artefacts. Three tasks go on by themselves: *claim* claims what builds have left, one
//! workspace after the other; *go on* sees hand-overs through that a death broke off; *cover* reads the trees of records, so that paths are known. A
//! claim that cannot be made now – the server is away, the log was made anew – is made later; one that another pod owns is left with it. Nothing here
//! decides about a build.
//!
//! What this pod has made for others' builds it claims, too, once no step of others has run here for [`AFTER_RUNS`] and nobody else has: most of it
//! goes home, and is claimed there. When such a step is made anew at home, its pod asks for the hand-over of what was made here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backplane::Mesh;
use backplane::ledger::{Epoch, StoreError};
use backplane::owners::{Claim, ClaimError, GiveError, OwnerKey, Owners, Puller, ownership};
use futures::StreamExt;
use futures::future::BoxFuture;
use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::mesh::{ArtefactScope, Ownership};
use protocol::{Digest, ObjectId, ObjectKind, PodId, Tree, TreeEntry, WorkspaceId};
use rustc_hash::FxHashMap;
use swarm::{FetchOrder, Swarm, Wanted};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::claims::{claims, held};
use super::steps;

/// The pause after a claim that could not be made, and between looks for hand-overs that broke off.
const AGAIN: Duration = Duration::from_secs(5);
/// How long whoever asks for an artefact waits for what has just been built to be claimed.
const CLAIMED_WITHIN: Duration = Duration::from_secs(10);
/// Records whose trees are read at once.
const COVERED_AT_ONCE: usize = 256;
/// Records whose trees nobody gave; they are not asked for again until this many are.
const MAX_UNKNOWN: usize = 65_536;

/// For how long no step of others may have run before what they made is claimed.
const AFTER_RUNS: Duration = Duration::from_secs(5);
/// Outputs of others' steps that wait to be claimed; of further ones nobody hears.
const MAX_RUNS: usize = 65_536;
/// Records that are handed over at once when this pod leaves.
const GIVEN_AT_ONCE: usize = 8;
/// So many records in a row a pod may not have taken before it is asked for no more.
const MAX_REFUSALS: usize = 2 * GIVEN_AT_ONCE;
/// The matter of the question to hand over what was made for the pod that asks: a record's subject.
const HAND_BACK: &str = "hand-back";
/// How long an answer to it may take.
const HANDED_BACK_WITHIN: Duration = Duration::from_secs(20);

/// For whom a step has run here.
pub(super) struct MadeFor {
    /// Whose workspace.
    pub workspace: WorkspaceId,
    /// The pod that builds it.
    pub pod: PodId,
    /// What people call the step.
    pub label: String,
}

/// The tree of what a step has made here, and for whom.
type MadeHere = (MadeFor, Digest);

/// A pod's part in the ownership of artefacts. Clones are one.
#[derive(Clone)]
pub(super) struct Estate {
    pub mesh: Arc<Mesh>,
    pub owners: Arc<Owners>,
    bytes: Arc<Bytes>,
    built: Arc<Built>,
    made: mpsc::Sender<MadeHere>,
    /// Taken by the task that claims.
    to_claim: Arc<Mutex<Option<mpsc::Receiver<MadeHere>>>>,
    /// Whether it owns anything: a guest gives nothing.
    keeps: bool,
}

/// Workspaces that were built since their last claims: id and label.
#[derive(Default)]
struct Built {
    workspaces: Mutex<BTreeMap<WorkspaceId, String>>,
    /// Those that were claimed in this life.
    claimed: Mutex<BTreeSet<WorkspaceId>>,
    more: Notify,
    /// How many are not claimed yet, the one among them that is being claimed.
    unclaimed: watch::Sender<usize>,
}

/// Brings trees with all that is in them.
struct Bytes {
    larder: Larder,
    swarm: Swarm,
}

impl Bytes {
    /// Brings objects, from those pods first; what nobody gave.
    async fn fetch(&self, objects: Vec<Wanted>, from: &[PodId]) -> Result<Vec<ObjectId>, String> {
        let fetched = self.swarm.fetch(FetchOrder::new(objects, from)).await;
        fetched.map(|fetched| fetched.missing).map_err(|error| error.to_string())
    }

    fn tree(&self, digest: &Digest) -> Result<Option<Tree>, LarderError> {
        let bytes = self.larder.get(ObjectKind::Tree, digest)?;
        Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()))
    }

    async fn tree_alone(&self, from: &[PodId], digest: Digest) -> Result<Tree, String> {
        self.fetch(vec![ObjectId { kind: ObjectKind::Tree, digest }.into()], from).await?;
        let tree = self.tree(&digest).map_err(|error| error.to_string())?;
        tree.ok_or_else(|| "the pods that are connected do not have its tree".to_owned())
    }

    /// A tree with all that is in it, and no more bytes of each file than the tree says: room is made for those alone.
    async fn tree_and_all(&self, from: &[PodId], digest: Digest) -> Result<Tree, String> {
        let tree = self.tree_alone(from, digest).await?;
        let files = tree.entries().iter().filter_map(|(_, entry)| match entry {
            TreeEntry::File { digest, size, .. } => {
                Some(Wanted { at_most: Some(*size), ..ObjectId::blob(*digest).into() })
            }
            _ => None,
        });
        let missing = self.fetch(files.collect(), from).await?;
        match missing.len() {
            0 => Ok(tree),
            count => Err(format!(
                "{count} of its files did not come: the pods that are connected do not have them"
            )),
        }
    }
}

impl Puller for Bytes {
    fn pull(&self, from: PodId, digest: Digest) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.tree_and_all(&[from], digest).await.map(drop) })
    }
}

impl Estate {
    pub fn open(mesh: &Arc<Mesh>, larder: Larder, swarm: Swarm, keeps: bool) -> Result<Self, StoreError> {
        let bytes = Arc::new(Bytes { larder, swarm });
        let owners = Owners::open(mesh.clone(), bytes.clone())?;
        let (made, to_claim) = mpsc::channel(MAX_RUNS);
        let to_claim = Arc::new(Mutex::new(Some(to_claim)));
        Ok(Self { mesh: mesh.clone(), owners, bytes, built: Arc::default(), made, to_claim, keeps })
    }

    /// What goes on by itself, until it is aborted.
    pub fn start(&self) -> Vec<JoinHandle<()>> {
        let (claim, go_on, cover, made) = (self.clone(), self.clone(), self.clone(), self.clone());
        let weak = Arc::downgrade(&self.owners);
        steps::serve(&self.mesh, HAND_BACK, move |from, subject: String| {
            let owners = weak.upgrade();
            async move {
                let owners = owners.ok_or_else(|| "this pod is going".to_owned())?;
                let key = OwnerKey::of_subject(&subject).ok_or_else(|| "that is no record".to_owned())?;
                let found = owners.record(key).map_err(|error| error.to_string())?;
                match found.filter(|(_, record)| record.made_for == Some(from)) {
                    Some(_) => owners.give(key, from).await.map(drop).map_err(|error| error.to_string()),
                    None => Err("it was not made for the pod that asks".to_owned()),
                }
            }
        });
        vec![
            tokio::spawn(async move { made.claim_what_is_made().await }),
            tokio::spawn(async move { claim.claim_what_is_built().await }),
            tokio::spawn(async move { go_on.go_on().await }),
            tokio::spawn(async move { cover.cover_all().await }),
            tokio::spawn(self.clone().forget_holders()),
        ]
    }

    /// A workspace was built: what it has now is claimed soon.
    pub fn built(&self, workspace: WorkspaceId, project: &str) {
        if self.keeps {
            if self.built.workspaces.lock().insert(workspace, project.to_owned()).is_none() {
                self.built.unclaimed.send_modify(|count| *count += 1);
            }
            self.built.more.notify_one();
        }
    }

    /// Waits, not for long, until what was built is claimed: a build ends before others are told what it has made.
    pub async fn claims_are_made(&self) {
        let mut unclaimed = self.built.unclaimed.subscribe();
        let made = unclaimed.wait_for(|count| *count == 0);
        drop(tokio::time::timeout(CLAIMED_WITHIN, made).await);
    }

    /// A step of another pod's build has run here, and made this tree.
    pub fn ran(&self, made_for: MadeFor, outputs: Digest) {
        if self.keeps && self.made.try_send((made_for, outputs)).is_err() {
            tracing::debug!("too many steps at once: what one made is not claimed");
        }
    }

    async fn claim_what_is_made(&self) {
        let Some(mut made) = self.to_claim.lock().take() else { return };
        let mut waiting = Vec::new();
        while let Some(first) = made.recv().await {
            waiting.push(first);
            while let Ok(Some(next)) = tokio::time::timeout(AFTER_RUNS, made.recv()).await {
                if waiting.len() < MAX_RUNS {
                    waiting.push(next);
                }
            }
            for (made_for, tree) in waiting.drain(..) {
                if let Err(why) = self.claim_made(made_for, tree).await {
                    tracing::debug!(why, "what a step of another pod's build made is not claimed");
                }
            }
        }
    }

    /// Claims what a step of another pod's build has made here, unless somebody else has.
    async fn claim_made(&self, made_for: MadeFor, digest: Digest) -> Result<(), String> {
        let Some(tree) = self.bytes.tree(&digest).map_err(|error| error.to_string())? else { return Ok(()) };
        let held = held(&self.bytes.larder, &tree).map_err(|error| error.to_string())?;
        let Some((path, size)) = held else { return Ok(()) };
        let MadeFor { workspace, pod, label } = made_for;
        let known = self.record(OwnerKey::new(workspace, &path)).map_err(|error| error.to_string())?;
        if known.is_some_and(|(known, _)| known.owner.is_some_and(|owner| owner != self.mesh.pod())) {
            return Ok(());
        }
        let scope = ArtefactScope::Outputs;
        let claim = Claim { workspace, path, scope, digest, size, label };
        self.owners.claim_made_for(&claim, pod).await.map(drop).map_err(|error| error.to_string())
    }

    /// Claims what this workspace's builds have made; what another pod has made for them is handed over first.
    async fn claim_one(&self, claim: &Claim) -> Result<(), ClaimError> {
        let Err(error) = self.owners.claim(claim).await else { return Ok(()) };
        let ClaimError::Owned { owner, .. } = &error else { return Err(error) };
        let (subject, us) = (claim.subject(), self.mesh.pod());
        let known = self.record(OwnerKey::new(claim.workspace, &claim.path))?;
        if known.is_none_or(|(known, _)| known.made_for != Some(us)) {
            return Err(error);
        }
        if let Err(why) = self.mesh.ask::<_, ()>(owner, HAND_BACK, &subject, HANDED_BACK_WITHIN).await {
            tracing::debug!(%owner, %why, "what was made for us is not handed over");
            return Err(error);
        }
        self.owners.claim(claim).await.map(drop)
    }

    /// Whether what a workspace had was claimed in this life.
    pub fn has_claimed(&self, workspace: WorkspaceId) -> bool {
        self.built.claimed.lock().contains(&workspace)
    }

    async fn claim_what_is_built(&self) {
        loop {
            let next = self.built.workspaces.lock().pop_first();
            let Some((workspace, project)) = next else {
                self.built.more.notified().await;
                continue;
            };
            let Err(why) = self.claim(workspace, &project).await else {
                self.built.unclaimed.send_modify(|count| *count -= 1);
                continue;
            };
            tracing::debug!(%workspace, why, "not claimed yet");
            // Built again meanwhile, it counts once.
            if let Entry::Vacant(place) = self.built.workspaces.lock().entry(workspace) {
                place.insert(project);
            } else {
                self.built.unclaimed.send_modify(|count| *count -= 1);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Claims what a workspace has, and gives up what it has no more.
    async fn claim(&self, workspace: WorkspaceId, project: &str) -> Result<(), String> {
        let (larder, project) = (self.bytes.larder.clone(), project.to_owned());
        let reading = tokio::task::spawn_blocking(move || claims(&larder, workspace, &project));
        let claims = reading.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let us = self.mesh.pod();
        let mut kept = BTreeSet::new();
        for claim in &claims {
            let key = OwnerKey::new(workspace, &claim.path);
            kept.insert(key);
            let known = self.record(key).map_err(|error| error.to_string())?;
            if known.is_some_and(|(known, _)| known.digest == claim.digest && known.owner.is_some()) {
                continue;
            }
            match self.claim_one(claim).await {
                Ok(()) => {}
                Err(error @ (ClaimError::Owned { .. } | ClaimError::Promised { .. })) => {
                    tracing::info!(%workspace, path = %claim.path, %error, "it stays with its owner");
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        for key in self.owners.map().owned_by(&us) {
            let is_gone =
                |(known, _): &(Ownership, Epoch)| known.workspace == workspace && !kept.contains(&key);
            if self.record(key).map_err(|error| error.to_string())?.as_ref().is_some_and(is_gone) {
                self.owners.release(&key.subject()).await.map_err(|error| error.to_string())?;
            }
        }
        self.built.claimed.lock().insert(workspace);
        Ok(())
    }

    async fn go_on(&self) {
        loop {
            if let Err(error) = self.owners.go_on().await {
                tracing::debug!(%error, "a hand-over cannot be seen through yet");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Reads the trees of records that have none yet, as the log changes.
    async fn cover_all(&self) {
        let mut changes = self.mesh.ledger().changes();
        let mut unknown = BTreeSet::new();
        loop {
            changes.borrow_and_update();
            let mut keys = self.owners.map().uncovered(COVERED_AT_ONCE + unknown.len());
            keys.retain(|key| !unknown.contains(key));
            keys.truncate(COVERED_AT_ONCE);
            if keys.is_empty() {
                match tokio::time::timeout(AGAIN * 12, changes.changed()).await {
                    Ok(Err(_)) => return,
                    Ok(Ok(())) => {}
                    // Who has them may be back.
                    Err(_) => unknown.clear(),
                }
                continue;
            }
            if unknown.len() > MAX_UNKNOWN {
                unknown.clear();
            }
            match self.cover(&keys).await {
                Ok(without) => unknown.extend(without),
                Err(error) => {
                    tracing::warn!(%error, "trees of artefacts cannot be read");
                    unknown.extend(keys);
                }
            }
        }
    }

    /// Reads the trees of records, from other pods if need be; those that could not be had.
    async fn cover(
        &self,
        keys: &[OwnerKey],
    ) -> Result<Vec<OwnerKey>, Box<dyn std::error::Error + Send + Sync>> {
        let mut records = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some((ownership, epoch)) = self.record(*key)? {
                records.push((*key, ownership, epoch));
            }
        }
        let trees = records.iter().map(|(_, ownership, _)| (ObjectKind::Tree, ownership));
        let wanted = trees.map(|(kind, ownership)| Wanted {
            id: ObjectId { kind, digest: ownership.digest },
            from: ownership.owner.into_iter().collect(),
            at_most: None,
        });
        let order = FetchOrder { patience: Duration::ZERO, ..FetchOrder::new(wanted, &[]) };
        self.bytes.swarm.fetch(order).await?;
        let mut without = Vec::new();
        for (key, ownership, epoch) in records {
            match self.bytes.tree(&ownership.digest)? {
                Some(tree) => drop(self.owners.map().cover(&ownership, epoch, &tree)),
                None => without.push(key),
            }
        }
        Ok(without)
    }

    /// What a record says.
    pub fn record(&self, key: OwnerKey) -> Result<Option<(Ownership, Epoch)>, StoreError> {
        let entry = self.mesh.ledger().get(&key.subject())?;
        Ok(entry.and_then(|entry| Some((ownership(&entry)?, entry.epoch))))
    }

    /// The larder that all of it is in.
    pub fn larder(&self) -> &Larder {
        &self.bytes.larder
    }

    /// Brings a tree alone.
    pub async fn bring_tree(&self, from: PodId, tree: Digest) -> Result<Tree, String> {
        self.bytes.tree_alone(&[from], tree).await
    }

    /// Brings a tree with all that is in it.
    pub async fn bring(&self, from: PodId, tree: Digest) -> Result<(), String> {
        self.bytes.tree_and_all(&[from], tree).await.map(drop)
    }

    /// Brings a tree with all that is in it, if that is no more than so many files and bytes.
    pub async fn bring_within(
        &self,
        from: PodId,
        tree: Digest,
        (files, bytes): (usize, u64),
    ) -> Result<(), String> {
        let listed = self.bytes.tree_alone(&[from], tree).await?;
        let size = listed.entries().iter().map(|(_, entry)| match entry {
            TreeEntry::File { size, .. } => *size,
            _ => 0,
        });
        if listed.entries().len() > files || size.fold(0, u64::saturating_add) > bytes {
            return Err(format!("it has more than {files} files, or more than {} MiB", bytes >> 20));
        }
        self.bring(from, tree).await
    }

    /// Brings what a record covers. From then on this pod is among those that are believed to have it.
    pub async fn bring_record(&self, ownership: &Ownership) -> Result<Tree, String> {
        let from: Vec<PodId> = ownership.owner.into_iter().collect();
        let tree = self.bytes.tree_and_all(&from, ownership.digest).await?;
        for (_, entry) in tree.entries() {
            if let TreeEntry::File { digest, .. } = entry {
                self.owners.map().note_holder(self.mesh.pod(), digest);
            }
        }
        Ok(tree)
    }

    /// Forgets what those have who are no members any more.
    async fn forget_holders(self) {
        let mut members = self.mesh.members().watch();
        let mut before = BTreeSet::new();
        loop {
            let list = members.borrow_and_update().clone();
            let now: BTreeSet<PodId> =
                list.values().filter(|member| member.is_member()).map(|member| member.pod).collect();
            before.difference(&now).for_each(|pod| self.owners.map().forget_holder(pod));
            before = now;
            if members.changed().await.is_err() {
                return;
            }
        }
    }

    /// Hands all that this pod owns over to whoever takes it, [`GIVEN_AT_ONCE`] records at a time; what nobody took, and why. A pod that has not taken
    /// [`MAX_REFUSALS`] of them in a row is asked for no more. Dropping the future leaves what was given given.
    pub async fn give_all(
        &self,
        to: &[PodId],
        on_progress: &(dyn Fn(u64, u64) + Sync),
    ) -> (usize, Vec<(OwnerKey, String)>) {
        let keys = self.owners.map().owned_by(&self.mesh.pod());
        let all = keys.len() as u64;
        let refusals = Mutex::default();
        let giving = futures::stream::iter(keys).map(|key| self.give_one(key, to, &refusals));
        let mut giving = std::pin::pin!(giving.buffer_unordered(GIVEN_AT_ONCE));
        let (mut given, mut kept) = (0, Vec::new());
        while let Some((key, outcome)) = giving.next().await {
            match outcome {
                Ok(()) => given += 1,
                Err(why) => kept.push((key, why)),
            }
            on_progress((given + kept.len()) as u64, all);
        }
        (given, kept)
    }

    /// Hands one record over to the first pod that takes it; `refusals`: how many records in a row each has not taken.
    async fn give_one(
        &self,
        key: OwnerKey,
        to: &[PodId],
        refusals: &Mutex<FxHashMap<PodId, usize>>,
    ) -> (OwnerKey, Result<(), String>) {
        let mut why = "no other pod is there that takes anything".to_owned();
        for pod in to {
            if refusals.lock().get(pod).is_some_and(|count| *count >= MAX_REFUSALS) {
                continue;
            }
            match self.owners.give(key, *pod).await {
                Ok(_) => {
                    refusals.lock().remove(pod);
                    return (key, Ok(()));
                }
                Err(GiveError::NotOurs(_)) => return (key, Ok(())),
                Err(error) => {
                    why = error.to_string();
                    *refusals.lock().entry(*pod).or_default() += 1;
                }
            }
        }
        (key, Err(why))
    }
}
