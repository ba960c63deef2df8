//! What other pods have made and hold: the seam between a pod and its federation.
//!
//! Actors. [`Elsewhere`] is whatever knows other pods (back-plane and swarm, put together by the program); it is given to a pod
//! with [`Supply::join`] and may come and go while the pod runs. [`Supply`] is the larder with it behind: whoever needs bytes asks the
//! supply, which asks the larder first. What elsewhere says is a hint: it costs time when it is wrong, never truth, for each object is
//! verified before it is in the larder, and a trace answers only where all that it observed holds here.
//!
//! Errors: that nobody could give an object is no error but an answer; errors are those of the larder. Nothing here outlives a crash
//! but what is in the larder.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use larder::{Larder, LarderError};
use parking_lot::RwLock;
use protocol::mesh::TraceNews;
use protocol::{Digest, ObjectId, ObjectKind, PathSet, Trace, WorkspaceId};
use swarm::Urgency;

/// Traces of one weak key that are learned from others at once, the newest first.
pub const MAX_LEARNED: usize = 64;

/// The workspace under which traces of other pods are kept: nobody's, so that those of a project's own come first.
fn foreign() -> WorkspaceId {
    WorkspaceId::from_random(0)
}

/// Other pods, as far as they can be reached.
pub trait Elsewhere: Send + Sync + 'static {
    /// The traces that others announce for a weak key, the newest first, at most `at_most`. Answers from what is known here.
    fn announced(&self, weak: &Digest, at_most: usize) -> Vec<TraceNews>;

    /// Which of these objects nobody says that they have. Bounded in time: whoever does not answer has nothing.
    fn lacking<'a>(&'a self, objects: &'a [Digest]) -> BoxFuture<'a, Vec<Digest>>;

    /// Brings objects into the larder, verified. What nobody gave is not there afterwards, and no error. Dropping the future ends the
    /// transfer; what has arrived stays.
    fn bring<'a>(&'a self, objects: &'a [ObjectId], urgency: Urgency) -> BoxFuture<'a, ()>;

    /// Tells others of a trace that this pod made; its objects are in the larder. Returns at once.
    fn announce(&self, trace: TraceNews);

    /// A build of a workspace has come to a good end here; `project` is what people call it. Returns at once.
    fn built(&self, workspace: WorkspaceId, project: &str);
}

/// A larder, and behind it other pods.
#[derive(Clone)]
pub struct Supply {
    larder: Larder,
    elsewhere: Arc<RwLock<Option<Arc<dyn Elsewhere>>>>,
}

impl From<Larder> for Supply {
    fn from(larder: Larder) -> Self {
        Self { larder, elsewhere: Arc::default() }
    }
}

impl Supply {
    /// The larder.
    pub fn larder(&self) -> &Larder {
        &self.larder
    }

    /// From now on there are other pods.
    pub fn join(&self, elsewhere: Arc<dyn Elsewhere>) {
        *self.elsewhere.write() = Some(elsewhere);
    }

    /// From now on there are none.
    pub fn part(&self) {
        *self.elsewhere.write() = None;
    }

    fn elsewhere(&self) -> Option<Arc<dyn Elsewhere>> {
        self.elsewhere.read().clone()
    }

    /// Takes in what others announce for a weak key and is not known here. Whether there was any.
    pub async fn learn(&self, weak: &Digest) -> Result<bool, LarderError> {
        let Some(elsewhere) = self.elsewhere() else { return Ok(false) };
        let mut wanted = Vec::new();
        for announced in elsewhere.announced(weak, MAX_LEARNED) {
            let is_for_us = announced.weak == *weak && !self.larder.is_revoked(&announced.trace)?;
            if is_for_us && self.larder.trace(&announced.strong)?.is_none() {
                wanted.push(announced);
            }
        }
        let mut objects = Vec::with_capacity(2 * wanted.len());
        for announced in &wanted {
            objects.push(ObjectId { kind: ObjectKind::Trace, digest: announced.trace });
            let set = ObjectId { kind: ObjectKind::PathSet, digest: announced.path_set };
            if !objects.contains(&set) {
                objects.push(set);
            }
        }
        self.bring(objects, Urgency::Urgent).await?;
        let mut is_any = false;
        // The oldest first: of those that are equal in all but their outputs it is the one that stays.
        for announced in wanted.iter().rev() {
            is_any |= self.take_in(announced)?;
        }
        Ok(is_any)
    }

    /// Makes a trace that was brought one that can answer here, if it is what was announced.
    fn take_in(&self, announced: &TraceNews) -> Result<bool, LarderError> {
        let Some(bytes) = self.larder.get(ObjectKind::Trace, &announced.trace)? else { return Ok(false) };
        let Some(set) = self.larder.get(ObjectKind::PathSet, &announced.path_set)? else { return Ok(false) };
        let (Ok(trace), Ok(set)) = (Trace::decode(&bytes), PathSet::decode(&set)) else { return Ok(false) };
        let is_it = trace.weak == announced.weak
            && trace.path_set == announced.path_set
            && trace.seen.len() == set.looks().len()
            && trace.strong() == announced.strong;
        if !is_it {
            tracing::warn!(trace = %announced.trace, "a trace is not what it was announced as");
            return Ok(false);
        }
        Ok(self.larder.add_trace(&trace, &set, foreign())?.trace().is_some())
    }

    /// Brings those of these objects that are not in the larder, as far as others have them.
    pub async fn bring(&self, mut objects: Vec<ObjectId>, urgency: Urgency) -> Result<(), LarderError> {
        let Some(elsewhere) = self.elsewhere() else { return Ok(()) };
        let mut is_there = Ok(());
        objects.retain(|object| match self.larder.contains(&object.digest) {
            Ok(found) => !found,
            Err(error) => {
                is_there = Err(error);
                false
            }
        });
        is_there?;
        if !objects.is_empty() {
            elsewhere.bring(&objects, urgency).await;
        }
        Ok(())
    }

    /// An object's bytes, from here or elsewhere.
    pub async fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError> {
        if let Some(bytes) = self.larder.get(kind, digest)? {
            return Ok(Some(bytes));
        }
        self.bring(vec![ObjectId { kind, digest: *digest }], Urgency::Urgent).await?;
        self.larder.get(kind, digest)
    }

    /// Whether all of these blobs are here, or somebody says that they have them.
    pub async fn has_all(&self, blobs: impl IntoIterator<Item = &Digest>) -> Result<bool, LarderError> {
        let mut missing = Vec::new();
        for digest in blobs {
            if !self.larder.contains(digest)? {
                missing.push(*digest);
            }
        }
        if missing.is_empty() {
            return Ok(true);
        }
        match self.elsewhere() {
            None => Ok(false),
            Some(elsewhere) => Ok(elsewhere.lacking(&missing).await.is_empty()),
        }
    }

    /// A build of a workspace has come to a good end.
    pub fn built(&self, workspace: WorkspaceId, project: &str) {
        if let Some(elsewhere) = self.elsewhere() {
            elsewhere.built(workspace, project);
        }
    }

    /// Tells others of a trace of this pod.
    pub fn announce(&self, trace: &Trace, digest: Digest) {
        if let Some(elsewhere) = self.elsewhere() {
            let Trace { weak, path_set, .. } = *trace;
            elsewhere.announce(TraceNews { weak, path_set, strong: trace.strong(), trace: digest });
        }
    }
}
