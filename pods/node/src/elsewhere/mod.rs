//! What other pods have made and hold: the seam between a pod and its federation.
//!
//! Actors. [`Elsewhere`] is whatever knows other pods (back-plane and swarm, put together by the program); it is given to a pod
//! with [`Supply::join`] and may come and go while the pod runs. [`Supply`] is the larder with it behind: whoever needs bytes asks the
//! supply, which asks the larder first. What elsewhere says is a hint: it costs time when it is wrong, never truth, for each object is
//! verified before it is in the larder, and a trace answers only where all that it observed holds here.
//!
//! Errors: that nobody could give an object is no error but an answer; errors are those of the larder. Nothing here outlives a crash
//! but what is in the larder.

mod authors;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use larder::{Added, CANDIDATES_PER_WORKSPACE, Larder, LarderError};
use parking_lot::RwLock;
use protocol::mesh::TraceNews;
use protocol::{Digest, ObjectId, ObjectKind, PathSet, PodId, Trace, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};
use swarm::{Urgency, Wanted};

use authors::Authors;

/// How many bytes an object has at most that is read as a whole: whoever names a larger one names nothing.
pub const MAX_READ: u64 = 64 << 20;
/// Traces of one weak key that are learned from others at once, the newest first.
pub const MAX_LEARNED: usize = 64;

/// The workspace under which a pod's traces are kept: nobody's, so that those of a project's own come first, and one for each
/// pod, so that none takes another's place.
fn workspace_of(pod: &PodId) -> WorkspaceId {
    let mut bits = [0; 16];
    bits.copy_from_slice(&pod.as_bytes()[..16]);
    WorkspaceId::from_random(u128::from_be_bytes(bits))
}

/// An object that will be read as a whole: whoever says that it is larger than [`MAX_READ`] is not asked for it.
pub fn to_read(id: ObjectId) -> Wanted {
    Wanted { at_most: Some(MAX_READ), ..id.into() }
}

/// Other pods, as far as they can be reached.
pub trait Elsewhere: Send + Sync + 'static {
    /// The traces that others announce for a weak key, and who, the newest first; those that could be had as far as is known. Their
    /// number is bounded. Answers from what is known here.
    fn announced(&self, weak: &Digest) -> Vec<(PodId, TraceNews)>;

    /// Which of these objects nobody says that they have. Bounded in time: whoever does not answer has nothing.
    fn lacking<'a>(&'a self, objects: &'a [Digest]) -> BoxFuture<'a, Vec<Digest>>;

    /// Brings objects into the larder, verified. What nobody gave is not there afterwards, and no error, nor is what is larger than
    /// it may be. Dropping the future ends the transfer; what has arrived stays.
    fn bring<'a>(&'a self, objects: &'a [Wanted], urgency: Urgency) -> BoxFuture<'a, ()>;

    /// Tells others of a trace that this pod made, and whose objects are in the larder; or that it was revoked. What they have been
    /// told already is not said again. Returns at once.
    fn announce(&self, trace: TraceNews);

    /// A build of a workspace has come to a good end here; `project` is what people call it. Returns at once.
    fn built(&self, workspace: WorkspaceId, project: &str);
}

/// A larder, and behind it other pods.
#[derive(Clone)]
pub struct Supply {
    larder: Larder,
    authors: Authors,
    elsewhere: Arc<RwLock<Option<Arc<dyn Elsewhere>>>>,
}

impl From<Larder> for Supply {
    fn from(larder: Larder) -> Self {
        Self { authors: Authors::new(larder.clone()), larder, elsewhere: Arc::default() }
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
    /// Safe to cancel: what came by then stays.
    ///
    /// # Errors
    /// Of the larder; that nobody gives it is no error.
    pub async fn learn(&self, weak: &Digest) -> Result<bool, LarderError> {
        let Some(elsewhere) = self.elsewhere() else { return Ok(false) };
        let wanted = self.unknown(weak, elsewhere.announced(weak))?;
        if wanted.is_empty() || self.authors.is_full()? {
            return Ok(false);
        }
        let mut objects = Vec::with_capacity(2 * wanted.len());
        for (_, announced) in &wanted {
            objects.push(ObjectId { kind: ObjectKind::Trace, digest: announced.trace });
            let set = ObjectId { kind: ObjectKind::PathSet, digest: announced.path_set };
            if !objects.contains(&set) {
                objects.push(set);
            }
        }
        self.bring(objects.into_iter().map(to_read), Urgency::Urgent).await?;
        let mut came = Vec::with_capacity(wanted.len());
        for (pod, announced) in wanted {
            if let Some((trace, set)) = self.brought(&announced)? {
                came.push((pod, announced.trace, trace, set));
            }
        }
        self.authors.learned(came.iter().map(|(pod, digest, ..)| (*digest, *pod)))?;
        let mut is_any = false;
        // The first stays. Of those that are equal in all but their outputs it is the one with the lowest, wherever that is decided; of equal ones the oldest.
        came.reverse();
        came.sort_by_key(|(.., trace, _)| trace.outputs);
        for (pod, digest, trace, set) in &came {
            let added = self.larder.add_trace(trace, set, workspace_of(pod))?;
            if let Added::Differs { first, .. } = added {
                tracing::warn!(by = %pod, trace = %digest, taken = %first, "a step is not deterministic: other pods have made different things of the same");
            }
            is_any |= added.trace().is_some();
        }
        Ok(is_any)
    }

    /// Those that could answer here and are not known: of each pod only as many path sets as are kept of it.
    fn unknown(
        &self,
        weak: &Digest,
        announced: Vec<(PodId, TraceNews)>,
    ) -> Result<Vec<(PodId, TraceNews)>, LarderError> {
        let mut wanted = Vec::new();
        let mut sets: FxHashMap<PodId, FxHashSet<Digest>> = FxHashMap::default();
        for (pod, news) in announced {
            let of_pod = sets.entry(pod).or_default();
            if of_pod.len() >= CANDIDATES_PER_WORKSPACE && !of_pod.contains(&news.path_set) {
                continue;
            }
            of_pod.insert(news.path_set);
            let is_wanted = news.weak == *weak
                && !self.authors.is_forgotten(&news.strong)?
                && !self.larder.is_revoked(&news.trace)?
                && self.larder.trace(&news.strong)?.is_none();
            if is_wanted && wanted.len() < MAX_LEARNED {
                wanted.push((pod, news));
            }
        }
        Ok(wanted)
    }

    /// A trace that was brought, with its path set, if it is what was announced.
    fn brought(&self, announced: &TraceNews) -> Result<Option<(Trace, PathSet)>, LarderError> {
        let Some(bytes) = self.larder.get(ObjectKind::Trace, &announced.trace)? else { return Ok(None) };
        let Some(set) = self.larder.get(ObjectKind::PathSet, &announced.path_set)? else { return Ok(None) };
        let (Ok(trace), Ok(set)) = (Trace::decode(&bytes), PathSet::decode(&set)) else { return Ok(None) };
        let is_it = trace.weak == announced.weak
            && trace.path_set == announced.path_set
            && trace.seen.len() == set.looks().len()
            && trace.strong() == announced.strong
            && announced.outputs.is_none_or(|outputs| outputs == trace.outputs);
        if !is_it {
            tracing::warn!(trace = %announced.trace, "a trace is not what it was announced as");
            return Ok(None);
        }
        Ok(Some((trace, set)))
    }

    /// A trace that is about to be added was made by another pod.
    ///
    /// # Errors
    /// Of the larder.
    pub fn made_by(&self, trace: &Digest, pod: &PodId) -> Result<(), LarderError> {
        self.authors.learned([(*trace, *pod)])
    }

    /// The pod that has made a trace; none: this one, as far as is known.
    ///
    /// # Errors
    /// Of the larder.
    pub fn maker(&self, trace: &Digest) -> Result<Option<PodId>, LarderError> {
        self.authors.of(trace)
    }

    /// Revokes all that came from a pod, which is not believed any more. How many traces that were.
    ///
    /// # Errors
    /// Of the larder; what was revoked by then stays so.
    pub fn disown(&self, pod: &PodId) -> Result<usize, LarderError> {
        let mut revoked = 0;
        for trace in self.authors.traces_of(pod)? {
            revoked += usize::from(self.take_back(&trace)?);
        }
        Ok(revoked)
    }

    /// Revokes a trace that came from a pod, which has revoked it. Whether there was one.
    ///
    /// # Errors
    /// Of the larder.
    pub fn disown_trace(&self, pod: &PodId, trace: &Digest) -> Result<bool, LarderError> {
        Ok(self.authors.of(trace)? == Some(*pod) && self.take_back(trace)?)
    }

    fn take_back(&self, trace: &Digest) -> Result<bool, LarderError> {
        if self.larder.is_revoked(trace)? {
            return Ok(false);
        }
        self.larder.revoke(trace)?;
        Ok(true)
    }

    /// Revokes a trace: no other pod's equal one is taken for it, and if it is our own others are told.
    ///
    /// # Errors
    /// Of the larder.
    pub fn revoke(&self, digest: &Digest) -> Result<(), LarderError> {
        let bytes = self.larder.get(ObjectKind::Trace, digest)?;
        if let Some(trace) = bytes.and_then(|bytes| Trace::decode(&bytes).ok()) {
            self.authors.forget(&trace.strong())?;
            self.tell(&trace, *digest, true)?;
        }
        self.larder.revoke(digest)
    }

    /// Brings those of these objects that are not in the larder, as far as others have them. Dropping the future ends the transfer; what came by then
    /// stays.
    ///
    /// # Errors
    /// Of the larder; what nobody gives is just not there.
    pub async fn bring(
        &self,
        objects: impl IntoIterator<Item = impl Into<Wanted>>,
        urgency: Urgency,
    ) -> Result<(), LarderError> {
        let Some(elsewhere) = self.elsewhere() else { return Ok(()) };
        let mut objects: Vec<Wanted> = objects.into_iter().map(Into::into).collect();
        let mut is_there = Ok(());
        objects.retain(|wanted| match self.larder.contains(&wanted.id.digest) {
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

    /// An object's bytes, from here or elsewhere, if it has at most [`MAX_READ`] of them. Safe to cancel.
    ///
    /// # Errors
    /// Of the larder; `None`: nobody gives it, or it has more.
    pub async fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError> {
        self.bring([to_read(ObjectId { kind, digest: *digest })], Urgency::Urgent).await?;
        match self.larder.size_of(digest)? {
            Some(size) if size <= MAX_READ => self.larder.get(kind, digest),
            _ => Ok(None),
        }
    }

    /// Whether all of these blobs are here, or somebody says that they have them.
    /// Safe to cancel.
    ///
    /// # Errors
    /// Of the larder.
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

    /// Keeps a trace to this pod: whatever asks, nobody is told of it. To be called before the trace is stored.
    ///
    /// # Errors
    /// The larder fails.
    pub fn keep(&self, trace: &Digest) -> Result<(), LarderError> {
        self.authors.keep(trace)
    }

    /// Tells others of a trace that answered here, if it is this pod's and they have not been told.
    pub fn announce(&self, trace: &Trace, digest: Digest) {
        if let Err(error) = self.tell(trace, digest, false) {
            tracing::warn!(trace = %digest, %error, "whose trace it is cannot be read: it is not announced");
        }
    }

    /// What others may be told of a trace; none: another pod made it, or it is kept to this one.
    ///
    /// # Errors
    /// The larder fails.
    pub fn news_of(&self, trace: &Trace, digest: Digest) -> Result<Option<TraceNews>, LarderError> {
        if self.authors.of(&digest)?.is_some() || self.authors.is_kept(&digest)? {
            return Ok(None);
        }
        let Trace { weak, path_set, .. } = *trace;
        Ok(Some(TraceNews {
            weak,
            path_set,
            strong: trace.strong(),
            trace: digest,
            outputs: Some(trace.outputs),
            revoked: false,
        }))
    }

    fn tell(&self, trace: &Trace, digest: Digest, revoked: bool) -> Result<(), LarderError> {
        let Some(elsewhere) = self.elsewhere() else { return Ok(()) };
        if let Some(news) = self.news_of(trace, digest)? {
            elsewhere.announce(TraceNews { revoked, ..news });
        }
        Ok(())
    }
}
