//! The real thing: TCP, Noise, yamux. No pre-shared-key layer, which would halve the rate.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, connection_limits, mdns, noise, ping, tcp, yamux};
use protocol::PodId;
use tokio::sync::mpsc;

use super::behaviour::{Behaviour, Ready};
use super::handler::Opened;
use super::{Admit, Conn, Net, NetEvent, NetOrder, QUEUE};
use crate::task::{Task, spawn};
use crate::{peer_of, pod_of};

/// Streams of a connection: three are ours, and one for each direction's pings.
const MAX_STREAMS: usize = 8;
/// Streams of a connection that are being negotiated.
const MAX_NEGOTIATING: usize = 4;

/// Connections whose handshake is not finished: strangers can make these.
const MAX_SHAKING: u32 = 64;
/// Connections with one pod: one too many for a moment when both dial.
const MAX_PER_POD: u32 = 3;
/// Connections altogether.
const MAX_CONNECTIONS: u32 = 1024;

/// How long a connection may be silent before it is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long the sign may take. TCP alone would wait for ever for a host whose cable was pulled while nothing was under way.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(NetworkBehaviour)]
struct All {
    limits: connection_limits::Behaviour,
    pods: Behaviour,
    mdns: Toggle<mdns::tokio::Behaviour>,
    ping: ping::Behaviour,
}

/// Where and how to listen.
pub(crate) struct TcpOptions {
    pub(crate) key: Keypair,
    pub(crate) listen: Vec<Multiaddr>,
    pub(crate) mdns: bool,
    pub(crate) admit: Arc<dyn Admit>,
}

/// Listens; connections come and go as events from then on, until the task is dropped.
pub(crate) fn start(options: TcpOptions) -> io::Result<(Net, Task)> {
    let TcpOptions { key, listen, mdns, admit } = options;
    let nearby = if mdns {
        Some(mdns::tokio::Behaviour::new(mdns::Config::default(), key.public().to_peer_id())?)
    } else {
        None
    };
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_SHAKING))
        .with_max_established_per_peer(Some(MAX_PER_POD))
        .with_max_established(Some(MAX_CONNECTIONS));
    let limits = connection_limits::Behaviour::new(limits);
    let ping = ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT);
    let ping = ping::Behaviour::new(ping);
    let all = All { limits, pods: Behaviour::new(admit), mdns: nearby.into(), ping };
    let muxer = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(MAX_STREAMS);
        config
    };
    let swarm = libp2p::SwarmBuilder::with_existing_identity(key)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, muxer)
        .map_err(io::Error::other)?
        .with_behaviour(|_| all)
        .map_err(io::Error::other)?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(Duration::from_secs(30))
                .with_max_negotiating_inbound_streams(MAX_NEGOTIATING)
        })
        .build();
    let (orders, inbox) = mpsc::channel(QUEUE);
    let (outbox, events) = mpsc::channel(QUEUE);
    let mut node =
        Node { swarm, inbox, outbox, next: 0, numbers: HashMap::new(), connections: HashMap::new() };
    for address in listen {
        node.swarm.listen_on(address).map_err(io::Error::other)?;
    }
    Ok((Net { orders, events }, spawn("swarm-net", node.run())))
}

struct Connection {
    id: ConnectionId,
    pod: PodId,
    dialled: bool,
    address: Multiaddr,
    up: bool,
    why: Option<&'static str>,
}

struct Node {
    swarm: libp2p::Swarm<All>,
    inbox: mpsc::Receiver<NetOrder>,
    outbox: mpsc::Sender<NetEvent>,
    next: Conn,
    numbers: HashMap<ConnectionId, Conn>,
    connections: HashMap<Conn, Connection>,
}

impl Node {
    async fn run(mut self) {
        loop {
            let event = tokio::select! {
                order = self.inbox.recv() => match order {
                    Some(order) => self.order(order),
                    None => return,
                },
                event = self.swarm.select_next_some() => self.event(event),
            };
            for event in event {
                if self.outbox.send(event).await.is_err() {
                    return;
                }
            }
        }
    }

    fn order(&mut self, order: NetOrder) -> Vec<NetEvent> {
        match order {
            NetOrder::Dial { pod, addresses } => {
                let unreachable = |why: String| vec![NetEvent::Unreachable { pod, why }];
                let Some(peer) = peer_of(&pod) else {
                    return unreachable("nobody can hold such a key".to_owned());
                };
                let dial = DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .build();
                match self.swarm.dial(dial) {
                    Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => vec![],
                    Err(error) => unreachable(reason(&error)),
                }
            }
            NetOrder::Close { conn } => {
                if let Some(connection) = self.connections.get(&conn) {
                    self.swarm.close_connection(connection.id);
                }
                vec![]
            }
        }
    }

    fn event(&mut self, event: SwarmEvent<AllEvent>) -> Vec<NetEvent> {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => vec![NetEvent::Listening(address)],
            SwarmEvent::ExpiredListenAddr { address, .. } => vec![NetEvent::NotListening(address)],
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                if let Some(pod) = pod_of(&peer_id) {
                    let (dialled, address) = match endpoint {
                        ConnectedPoint::Dialer { address, .. } => (true, address),
                        ConnectedPoint::Listener { send_back_addr, .. } => (false, send_back_addr),
                    };
                    self.next += 1;
                    self.numbers.insert(connection_id, self.next);
                    let connection =
                        Connection { id: connection_id, pod, dialled, address, up: false, why: None };
                    self.connections.insert(self.next, connection);
                }
                vec![]
            }
            SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                let conn = self.numbers.remove(&connection_id);
                let Some((conn, connection)) =
                    conn.and_then(|conn| Some((conn, self.connections.remove(&conn)?)))
                else {
                    return vec![];
                };
                let ours = connection.why.map(str::to_owned);
                let why = ours.or_else(|| cause.map(|cause| cause.to_string()));
                let why = why.unwrap_or_else(|| "it was closed".to_owned());
                let pod = connection.pod;
                if connection.up {
                    vec![NetEvent::Down { pod, conn, why }]
                } else {
                    vec![NetEvent::Unreachable { pod, why }]
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id, error, .. } => {
                match peer_id.as_ref().map(pod_of) {
                    Some(Some(pod)) => vec![NetEvent::Unreachable { pod, why: reason(&error) }],
                    _ => vec![],
                }
            }
            SwarmEvent::IncomingConnectionError { peer_id, send_back_addr, error, .. } => {
                tracing::info!(?peer_id, address = %send_back_addr, %error, "a connection was refused");
                vec![]
            }
            SwarmEvent::Behaviour(AllEvent::Pods(Ready { pod, connection, opened })) => {
                let Some(&conn) = self.numbers.get(&connection) else { return vec![] };
                let Some(known) = self.connections.get_mut(&conn) else { return vec![] };
                match opened {
                    Opened::Streams(streams) => {
                        known.up = true;
                        let (dialled, address) = (known.dialled, known.address.clone());
                        vec![NetEvent::Up { pod, conn, dialled, address, streams }]
                    }
                    Opened::Failed(why) => {
                        known.why = Some(why);
                        self.swarm.close_connection(connection);
                        vec![]
                    }
                }
            }
            SwarmEvent::Behaviour(AllEvent::Ping(ping::Event {
                connection,
                result: Err(ping::Failure::Timeout | ping::Failure::Other { .. }),
                ..
            })) => {
                let known = self.numbers.get(&connection).and_then(|conn| self.connections.get_mut(conn));
                if let Some(known) = known {
                    known.why = Some("it no longer answers");
                }
                self.swarm.close_connection(connection);
                vec![]
            }
            SwarmEvent::Behaviour(AllEvent::Mdns(mdns::Event::Discovered(seen))) => {
                let seen = seen.into_iter().filter_map(|(peer, address)| Some((pod_of(&peer)?, address)));
                seen.map(|(pod, address)| NetEvent::Seen { pod, address }).collect()
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed");
                vec![]
            }
            _ => vec![],
        }
    }
}

/// Why nobody was reached, address by address: of each chain of causes the last one, which the others only repeat.
fn reason(error: &DialError) -> String {
    let DialError::Transport(tried) = error else { return error.to_string() };
    let causes = tried.iter().map(|(address, error)| {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let address = address.iter().filter(|part| !matches!(part, Protocol::P2p(_)));
        format!("{}: {cause}", address.collect::<Multiaddr>())
    });
    causes.collect::<Vec<_>>().join("; ")
}
