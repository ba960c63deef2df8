//! The handle.

use std::sync::Arc;

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use protocol::PodId;
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{Call, CoreOptions};
use crate::net::tcp::{self, TcpOptions};
use crate::net::{Admit, MemoryNet, Net};
use crate::options::{Limits, Options};
use crate::order::{FetchOrder, Fetched};
use crate::pod_of;
use crate::store::{Store, StoreError};
use crate::task::{Task, spawn};

/// Calls that wait for the core.
const CALLS: usize = 256;

/// Why the swarm could not do what it was asked for. That nobody has an object is no error: see [`Fetched::missing`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SwarmError {
    /// It cannot listen, or has no network.
    #[error("the swarm cannot start")]
    Start(#[source] std::io::Error),
    /// The key is not ed25519.
    #[error("a pod's key is ed25519, this one is not")]
    Key,
    /// What came cannot be stored.
    #[error("what was fetched cannot be stored")]
    Store(#[source] StoreError),
    /// The swarm has ended.
    #[error("the swarm has ended")]
    Ended,
}

/// A pod as the swarm knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodStatus {
    /// Which one.
    pub pod: PodId,
    /// Whether there is a connection.
    pub connected: bool,
    /// Where it is said to be reached.
    pub addresses: Vec<Multiaddr>,
    /// Why there is none, or what it did wrong.
    pub trouble: Option<String>,
    /// Whether nothing is asked of it for the time being, because it lied or broke the protocol.
    pub avoided: bool,
    /// How often it did.
    pub faults: u32,
    /// Bytes of content that came from it.
    pub received: u64,
}

/// A pod's swarm. Clones are handles of the same one; it ends with the last.
#[derive(Clone)]
pub struct Swarm {
    pod: PodId,
    calls: mpsc::Sender<Call>,
    listening: watch::Receiver<Vec<Multiaddr>>,
    _tasks: Arc<[Task; 2]>,
}

impl Swarm {
    /// Listens, and serves what the store has to those who are admitted. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The key is not ed25519, or it cannot listen.
    pub fn start(
        key: Keypair,
        options: Options,
        store: Arc<dyn Store>,
        admit: Arc<dyn Admit>,
    ) -> Result<Self, SwarmError> {
        let pod = pod_of(&key.public().to_peer_id()).ok_or(SwarmError::Key)?;
        let Options { listen, mdns, limits } = options;
        let tcp = TcpOptions { key, listen, mdns, admit: admit.clone() };
        let (net, task) = tcp::start(tcp).map_err(SwarmError::Start)?;
        Ok(Self::over(pod, net, task, limits, store, admit))
    }

    /// The same on a network in memory.
    pub fn in_memory(
        pod: PodId,
        net: &MemoryNet,
        limits: Limits,
        store: Arc<dyn Store>,
        admit: Arc<dyn Admit>,
    ) -> Self {
        let (net, task) = net.join(pod, admit.clone());
        Self::over(pod, net, task, limits, store, admit)
    }

    fn over(
        pod: PodId,
        net: Net,
        task: Task,
        limits: Limits,
        store: Arc<dyn Store>,
        admit: Arc<dyn Admit>,
    ) -> Self {
        let (calls, inbox) = mpsc::channel(CALLS);
        let (told, listening) = watch::channel(Vec::new());
        let options = CoreOptions { me: pod, store, admit, limits, listening: told };
        let core = spawn("swarm-core", crate::core::run(options, net, inbox));
        Self { pod, calls, listening, _tasks: Arc::new([core, task]) }
    }

    /// This pod.
    pub fn pod(&self) -> PodId {
        self.pod
    }

    /// The addresses that lead here, as soon as there is one.
    /// Safe to cancel. Waits without an end.
    ///
    /// # Errors
    /// The swarm has ended.
    pub async fn addresses(&self) -> Result<Vec<Multiaddr>, SwarmError> {
        let mut listening = self.listening.clone();
        let addresses = listening.wait_for(|all| !all.is_empty()).await.map_err(|_| SwarmError::Ended)?;
        Ok(addresses.clone())
    }

    /// The addresses as they come and go.
    pub fn watch_addresses(&self) -> watch::Receiver<Vec<Multiaddr>> {
        self.listening.clone()
    }

    /// Where a pod is reached; from now on there is a connection with it whenever there can be.
    /// Safe to cancel.
    ///
    /// # Errors
    /// The swarm has ended.
    pub async fn learn(&self, pod: PodId, addresses: Vec<Multiaddr>) -> Result<(), SwarmError> {
        self.call(Call::Learn { pod, addresses }).await
    }

    /// Closes the connection with a pod, and makes no new one.
    /// Returns when that is under way.
    ///
    /// # Errors
    /// The swarm has ended.
    pub async fn forget(&self, pod: PodId) -> Result<(), SwarmError> {
        self.call(Call::Forget { pod }).await
    }

    /// Gets objects into the store. Dropping the future ends the order; what came in part is kept for the next one.
    ///
    /// # Errors
    /// What came cannot be stored, or the swarm has ended. That nobody gives an object is no error.
    pub async fn fetch(&self, order: FetchOrder) -> Result<Fetched, SwarmError> {
        let (reply, answer) = oneshot::channel();
        self.call(Call::Fetch { order, reply }).await?;
        answer.await.map_err(|_| SwarmError::Ended)?.map_err(SwarmError::Store)
    }

    /// The pods that are known, by id.
    /// Safe to cancel.
    ///
    /// # Errors
    /// The swarm has ended.
    pub async fn pods(&self) -> Result<Vec<PodStatus>, SwarmError> {
        let (reply, answer) = oneshot::channel();
        self.call(Call::Status { reply }).await?;
        answer.await.map_err(|_| SwarmError::Ended)
    }

    async fn call(&self, call: Call) -> Result<(), SwarmError> {
        self.calls.send(call).await.map_err(|_| SwarmError::Ended)
    }
}
