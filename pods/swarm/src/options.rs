//! How a swarm is to be run.

use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// How a swarm is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen: on loopback, at a free port, unless told otherwise.
    pub listen: Vec<Multiaddr>,
    /// Whether to look for pods on the local network, and be seen there.
    pub mdns: bool,
    /// Time-outs and services.
    pub limits: Limits,
}

/// Time-outs and services.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A pod of which nothing is heard for so long while something is due is asked for nothing more.
    pub stall: Duration,
    /// Questions are answered within this time.
    pub answer: Duration,
    /// Whether objects are fetched for pods that cannot reach who has them.
    pub relays: bool,
    /// Whether other pods are given anything.
    pub serves: bool,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = Multiaddr::empty().with(Protocol::Ip4([127, 0, 0, 1].into())).with(Protocol::Tcp(0));
        Self { listen: vec![loopback], mdns: false, limits: Limits::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { stall: Duration::from_secs(5), answer: Duration::from_secs(5), relays: true, serves: true }
    }
}
