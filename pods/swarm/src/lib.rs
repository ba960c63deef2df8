//! Connections between pods that carry chunks, trees and traces, each verified before it is seen.
//!
//! ```text
//!   Swarm (handle) ── orders ──▶ core: one task that decides; owns what is wanted, of whom, and what came
//!                                  ▲ answers, DATA          │ HAVE?, WANT, CREDIT …
//!                                links: the three streams of a connection; serve what others want by themselves
//!                                  ▲ streams                │ dial, close
//!                                net: libp2p over TCP, or the twin in memory
//! ```
//!
//! Objects come from and go into a [`Store`]. [`Admit`] says who may connect, at the end of the handshake; where pods are
//! reached is told by whoever knows ([`Swarm::learn`]). Errors of a pod or a connection never reach a caller: they cost
//! time, and what nobody could be had from is [missing](Fetched::missing). A crash loses what was not whole.
//!
//! Not its business: builds, ownership, who should have what; no bytes go over the back-plane.

mod chunks;
mod core;
#[doc(hidden)]
pub mod laws;
mod link;
mod net;
mod options;
mod order;
mod peer;
mod store;
mod swarm;
mod task;
#[doc(hidden)]
pub mod testing;

pub use chunks::{chunk_list, is_chunked};
pub use libp2p::Multiaddr;
pub use libp2p::identity::Keypair;
pub use libp2p::multiaddr::Protocol;
pub use net::{Admit, MemoryNet};
pub use options::{Limits, Options};
pub use order::{FetchOrder, Fetched, Urgency, Wanted};
pub use peer::{peer_of, pod_of};
pub use store::{Content, Incoming, MemoryStore, Store, StoreError};
pub use swarm::{PodStatus, Swarm, SwarmError};
