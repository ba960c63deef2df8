//! Asks who may connect, and gives each connection a [`Handler`].
//!
//! Ours and not `libp2p-stream`'s, which opens streams on demand by name, may lose a dial or an inbound stream, and
//! knows nobody who could be refused.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, ToSwarm};
use libp2p::{Multiaddr, PeerId};
use protocol::PodId;

use super::Admit;
use super::handler::{Handler, Opened};
use crate::pod_of;

/// Why a connection was closed at the end of its handshake.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no member of this federation")]
pub(crate) struct NoMember(PeerId);

/// A connection has its streams, or failed to.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) pod: PodId,
    pub(crate) connection: ConnectionId,
    pub(crate) opened: Opened,
}

pub(crate) struct Behaviour {
    admit: Arc<dyn Admit>,
    ready: VecDeque<Ready>,
}

impl Behaviour {
    pub(crate) fn new(admit: Arc<dyn Admit>) -> Self {
        Self { admit, ready: VecDeque::new() }
    }

    fn handler(&self, peer: PeerId, dialled: bool) -> Result<Handler, ConnectionDenied> {
        match pod_of(&peer) {
            Some(pod) if self.admit.admits(&pod) => Ok(Handler::new(dialled)),
            _ => Err(ConnectionDenied::new(NoMember(peer))),
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Ready;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer, false)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(peer, true)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, opened: Opened) {
        if let Some(pod) = pod_of(&peer) {
            self.ready.push_back(Ready { pod, connection, opened });
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Ready, Infallible>> {
        // Each connection is told of once, from the call above, after which the swarm polls again.
        self.ready.pop_front().map_or(Poll::Pending, |ready| Poll::Ready(ToSwarm::GenerateEvent(ready)))
    }
}
