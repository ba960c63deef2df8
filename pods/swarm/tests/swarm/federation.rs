//! A few pods that know each other, over the twin or over TCP on loopback.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::{ObjectId, ObjectKind, PodId};
use swarm::testing::noise;
use swarm::{Admit, Keypair, Limits, MemoryNet, MemoryStore, Options, Store, Swarm, pod_of};

/// Who is a member; the same list for all.
#[derive(Clone, Default)]
pub struct Members(Arc<Mutex<HashSet<PodId>>>);

impl Members {
    pub fn add(&self, pod: PodId) {
        self.0.lock().insert(pod);
    }

    pub fn ban(&self, pod: &PodId) {
        self.0.lock().remove(pod);
    }
}

impl Admit for Members {
    fn admits(&self, pod: &PodId) -> bool {
        self.0.lock().contains(pod)
    }
}

pub struct Pod {
    pub swarm: Swarm,
    pub store: MemoryStore,
}

impl Pod {
    pub fn id(&self) -> PodId {
        self.swarm.pod()
    }

    /// Blobs of these sizes that nobody else has.
    pub fn blobs(&self, seed: u64, sizes: &[usize]) -> Vec<ObjectId> {
        let blob = |(number, size): (usize, &usize)| {
            self.store.add(ObjectKind::Blob, noise(seed * 1000 + number as u64, *size))
        };
        sizes.iter().enumerate().map(blob).collect()
    }

    pub fn has(&self, ids: &[ObjectId]) -> bool {
        ids.iter().all(|id| self.store.get(id).is_some_and(|bytes| id.kind.digest(&bytes) == id.digest))
    }

    /// Waits until there is a connection with a pod, or none.
    pub async fn until_connected(&self, pod: PodId, connected: bool) {
        let is = async || {
            let pods = self.swarm.pods().await.unwrap();
            pods.iter().any(|known| known.pod == pod && known.connected)
        };
        tokio::time::timeout(Duration::from_secs(30), async {
            while is().await != connected {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the connection should have changed");
    }
}

pub fn limits() -> Limits {
    Limits { stall: Duration::from_millis(700), answer: Duration::from_secs(2), ..Limits::default() }
}

pub fn key() -> (Keypair, PodId) {
    let key = Keypair::generate_ed25519();
    let id = pod_of(&key.public().to_peer_id()).unwrap();
    (key, id)
}

/// What laws run on.
pub trait Federation {
    fn new() -> Self;
    fn members(&self) -> &Members;
    /// A pod over this store that is a member and knows nobody.
    async fn pod_over(&self, store: MemoryStore, own: Arc<dyn Store>, limits: Limits) -> Pod;

    async fn pod(&self) -> Pod {
        let store = MemoryStore::default();
        self.pod_over(store.clone(), Arc::new(store), limits()).await
    }

    /// Connects two pods.
    async fn join(&self, a: &Pod, b: &Pod) {
        a.swarm.learn(b.id(), b.swarm.addresses().await.unwrap()).await.unwrap();
        a.until_connected(b.id(), true).await;
        b.until_connected(a.id(), true).await;
    }
}

pub struct Twin {
    pub net: MemoryNet,
    members: Members,
}

impl Federation for Twin {
    fn new() -> Self {
        Self { net: MemoryNet::default(), members: Members::default() }
    }

    fn members(&self) -> &Members {
        &self.members
    }

    async fn pod_over(&self, store: MemoryStore, own: Arc<dyn Store>, limits: Limits) -> Pod {
        let (_, id) = key();
        self.members.add(id);
        let swarm = Swarm::in_memory(id, &self.net, limits, own, Arc::new(self.members.clone()));
        Pod { swarm, store }
    }
}

pub struct Tcp {
    members: Members,
}

impl Federation for Tcp {
    fn new() -> Self {
        Self { members: Members::default() }
    }

    fn members(&self) -> &Members {
        &self.members
    }

    async fn pod_over(&self, store: MemoryStore, own: Arc<dyn Store>, limits: Limits) -> Pod {
        let (key, id) = key();
        self.members.add(id);
        let options = Options { limits, ..Options::default() };
        let swarm = Swarm::start(key, options, own, Arc::new(self.members.clone())).unwrap();
        Pod { swarm, store }
    }
}
