//! Other pods in memory: larders of this process, each of which can be out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use larder::Larder;
use parking_lot::Mutex;
use protocol::mesh::TraceNews;
use protocol::{Digest, ObjectId, PodId, WorkspaceId};
use swarm::{Urgency, Wanted};

use super::Elsewhere;

/// What all pods of one federation in memory have said.
#[derive(Default, Clone)]
pub struct Federation(Arc<Said>);

#[derive(Default)]
struct Said {
    announced: Mutex<Vec<(PodId, TraceNews)>>,
    larders: Mutex<Vec<Larder>>,
    brought: AtomicUsize,
}

impl Federation {
    /// What a pod with this larder sees of the others, and they of it.
    pub fn join(&self, pod: PodId, larder: &Larder) -> Arc<dyn Elsewhere> {
        self.0.larders.lock().push(larder.clone());
        Arc::new(Others { federation: self.clone(), me: pod, mine: larder.clone() })
    }

    /// All pods are out of reach from now on; what they have announced stays known.
    pub fn fall_apart(&self) {
        self.0.larders.lock().clear();
    }

    /// Takes in an announcement that nobody has checked.
    pub fn claim(&self, by: PodId, announced: TraceNews) {
        self.0.announced.lock().push((by, announced));
    }

    /// What was said, in its order.
    pub fn said(&self) -> Vec<(PodId, TraceNews)> {
        self.0.announced.lock().clone()
    }

    /// Objects that went from pod to pod so far.
    pub fn brought(&self) -> usize {
        self.0.brought.load(Ordering::Relaxed)
    }
}

struct Others {
    federation: Federation,
    me: PodId,
    mine: Larder,
}

impl Others {
    fn copy(&self, Wanted { id: ObjectId { kind, digest }, at_most, .. }: &Wanted) {
        for larder in &*self.federation.0.larders.lock() {
            if let Ok(Some(bytes)) = larder.get(*kind, digest)
                && at_most.is_none_or(|most| bytes.len() as u64 <= most)
                && self.mine.put(*kind, &bytes).is_ok()
            {
                self.federation.0.brought.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

impl Elsewhere for Others {
    fn announced(&self, weak: &Digest) -> Vec<(PodId, TraceNews)> {
        let announced = self.federation.0.announced.lock();
        let others = announced.iter().rev().filter(|(by, one)| *by != self.me && one.weak == *weak);
        let is_revoked = |by: &PodId, one: &TraceNews| {
            announced.contains(&(*by, TraceNews { revoked: true, ..one.clone() }))
        };
        others.filter(|(by, one)| !is_revoked(by, one)).cloned().collect()
    }

    fn lacking<'a>(&'a self, objects: &'a [Digest]) -> BoxFuture<'a, Vec<Digest>> {
        let larders = self.federation.0.larders.lock();
        let is_there =
            |digest: &Digest| larders.iter().any(|larder| larder.contains(digest).unwrap_or(false));
        let lacking = objects.iter().filter(|digest| !is_there(digest)).copied().collect();
        drop(larders);
        Box::pin(std::future::ready(lacking))
    }

    fn bring<'a>(&'a self, objects: &'a [Wanted], _: Urgency) -> BoxFuture<'a, ()> {
        objects.iter().for_each(|wanted| self.copy(wanted));
        Box::pin(std::future::ready(()))
    }

    fn built(&self, _: WorkspaceId, _: &str) {}

    fn announce(&self, trace: TraceNews) {
        let said = (self.me, trace);
        let mut announced = self.federation.0.announced.lock();
        if !announced.contains(&said) {
            announced.push(said);
        }
    }
}
