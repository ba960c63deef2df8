//! What a pod sees of the others: their announcements, and their bytes.
//!
//! That somebody has an object is believed while any pod is connected, and found out when it is fetched: what nobody gave is
//! [lacking](Elsewhere::lacking) for a while, so that its step runs again instead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::traces::Traces;
use futures::future::BoxFuture;
use node::Elsewhere;
use parking_lot::Mutex;
use protocol::mesh::TraceNews;
use protocol::{Digest, ObjectId, PodId, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};
use swarm::{FetchOrder, Swarm, Urgency, Wanted};

use super::owned::Estate;
use super::telling::Telling;

/// How long an object that nobody gave is not asked for again.
const LACKING_FOR: Duration = Duration::from_secs(30);
/// How many such objects are remembered.
const MAX_LACKING: usize = 65_536;
/// How long a pod that cannot be reached is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The other pods of a federation.
pub(super) struct Others {
    pub me: PodId,
    pub traces: Arc<Traces>,
    pub swarm: Swarm,
    pub telling: Telling,
    pub estate: Estate,
    pub lacking: Mutex<FxHashMap<Digest, Instant>>,
}

impl Others {
    fn lacks(&self, digest: &Digest) -> bool {
        self.lacking.lock().get(digest).is_some_and(|since| since.elapsed() < LACKING_FOR)
    }

    fn note_lacking(&self, objects: Vec<ObjectId>) {
        let mut lacking = self.lacking.lock();
        if lacking.len() + objects.len() > MAX_LACKING {
            lacking.clear();
        }
        lacking.extend(objects.into_iter().map(|object| (object.digest, Instant::now())));
    }

    /// Fetches objects; those that nobody gave.
    async fn fetch(&self, objects: Vec<Wanted>, from: &[PodId], urgency: Urgency) -> Vec<ObjectId> {
        let order = FetchOrder { patience: PATIENCE, urgency, ..FetchOrder::new(objects, from) };
        match self.swarm.fetch(order).await {
            Ok(fetched) => fetched.missing,
            Err(error) => {
                tracing::warn!(%error, "nothing could be fetched from other pods");
                Vec::new()
            }
        }
    }

    /// The pods that we know, and have no connection with.
    async fn out_of_reach(&self) -> Vec<PodId> {
        let pods = self.swarm.pods().await.unwrap_or_default();
        pods.into_iter().filter(|known| !known.connected).map(|known| known.pod).collect()
    }

    async fn is_alone(&self) -> bool {
        !self.swarm.pods().await.is_ok_and(|pods| pods.iter().any(|pod| pod.connected))
    }
}

impl Elsewhere for Others {
    fn announced(&self, weak: &Digest) -> Vec<(PodId, TraceNews)> {
        let announced = self.traces.of(weak).into_iter().map(|announced| (announced.by, announced.news));
        announced.filter(|(by, news)| *by != self.me && !self.lacks(&news.trace)).collect()
    }

    fn lacking<'a>(&'a self, objects: &'a [Digest]) -> BoxFuture<'a, Vec<Digest>> {
        Box::pin(async move {
            match self.is_alone().await {
                true => objects.to_vec(),
                false => objects.iter().filter(|digest| self.lacks(digest)).copied().collect(),
            }
        })
    }

    fn bring<'a>(&'a self, objects: &'a [Wanted], urgency: Urgency) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut wanted: Vec<Wanted> = objects.to_vec();
            wanted.retain(|wanted| !self.lacks(&wanted.id.digest));
            if wanted.is_empty() || self.is_alone().await {
                return;
            }
            let missing = self.fetch(wanted.clone(), &[], urgency).await;
            // What nobody has that we reach somebody may have that others reach.
            let far = if missing.is_empty() { Vec::new() } else { self.out_of_reach().await };
            let missing = match far.is_empty() {
                true => missing,
                false => {
                    let missing: FxHashSet<Digest> = missing.into_iter().map(|id| id.digest).collect();
                    wanted.retain(|wanted| missing.contains(&wanted.id.digest));
                    self.fetch(wanted, &far, urgency).await
                }
            };
            self.note_lacking(missing);
        })
    }

    fn built(&self, workspace: WorkspaceId, project: &str) {
        self.estate.built(workspace, project);
    }

    fn announce(&self, trace: TraceNews) {
        self.telling.offer(trace);
    }
}
