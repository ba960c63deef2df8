//! Connections: who may have one, and the three streams of each.
//!
//! A [`Net`] is two channels: orders in, events out. [`tcp`] makes one of libp2p (TCP, Noise, yamux), [`memory`] is the
//! twin, where whole federations fit into one process and links are cut at will. A connection is told of when its
//! pod was admitted and its streams are open; of one that was refused nobody hears but the log.

mod behaviour;
mod handler;
pub(crate) mod memory;
pub(crate) mod tcp;

use std::fmt;
use std::pin::Pin;

use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;
use protocol::PodId;
use tokio::sync::mpsc;

pub use memory::MemoryNet;

/// Who may connect. Asked at the end of the handshake, when the other side's key is proven and no stream is open yet.
pub trait Admit: Send + Sync + 'static {
    /// Whether this pod is a member now.
    fn admits(&self, pod: &PodId) -> bool;
}

impl<F: Fn(&PodId) -> bool + Send + Sync + 'static> Admit for F {
    fn admits(&self, pod: &PodId) -> bool {
        self(pod)
    }
}

/// A stream of bytes in both directions.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}
pub(crate) type BoxedStream = Pin<Box<dyn Duplex>>;

/// The streams of a connection: control, urgent, bulk.
pub(crate) struct Streams(pub(crate) [BoxedStream; 3]);

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

/// Names a connection of this process.
pub(crate) type Conn = u64;

#[derive(Debug)]
pub(crate) enum NetOrder {
    /// Connect, unless there is or will be a connection.
    Dial { pod: PodId, addresses: Vec<Multiaddr> },
    /// Close this one.
    Close { conn: Conn },
}

#[derive(Debug)]
pub(crate) enum NetEvent {
    /// This address leads here.
    Listening(Multiaddr),
    /// It no longer does.
    NotListening(Multiaddr),
    /// A connection has its streams.
    Up { pod: PodId, conn: Conn, dialled: bool, address: Multiaddr, streams: Streams },
    /// A connection is gone.
    Down { pod: PodId, conn: Conn, why: String },
    /// A dial failed.
    Unreachable { pod: PodId, why: String },
    /// Somebody near says that he is a pod, and where.
    Seen { pod: PodId, address: Multiaddr },
}

/// The two channels.
pub(crate) struct Net {
    pub(crate) orders: mpsc::Sender<NetOrder>,
    pub(crate) events: mpsc::Receiver<NetEvent>,
}

/// Orders and events that wait at most; beyond that the one side waits for the other.
pub(crate) const QUEUE: usize = 256;
