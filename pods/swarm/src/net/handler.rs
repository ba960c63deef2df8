//! One connection: who dialled opens the three streams, the other side takes each once. No more streams, ever.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, SubstreamProtocol};
use tokio::time::Sleep;

use super::Streams;

const PROTOCOLS: [StreamProtocol; 3] = [
    StreamProtocol::new("/computepods/1/control"),
    StreamProtocol::new("/computepods/1/urgent"),
    StreamProtocol::new("/computepods/1/bulk"),
];
/// Within this time a connection has its streams, or it is closed.
const OPENING: Duration = Duration::from_secs(10);

/// Takes a stream as it is.
pub(crate) struct AsIs(Vec<StreamProtocol>);

impl UpgradeInfo for AsIs {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for AsIs {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for AsIs {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// What a connection tells the behaviour, once.
#[derive(Debug)]
pub(crate) enum Opened {
    /// It has its streams.
    Streams(Streams),
    /// It will not have them.
    Failed(&'static str),
}

pub(crate) struct Handler {
    to_open: VecDeque<StreamProtocol>,
    streams: [Option<Stream>; 3],
    failure: Option<&'static str>,
    told: bool,
    opening: Pin<Box<Sleep>>,
}

impl Handler {
    pub(crate) fn new(dialled: bool) -> Self {
        Self {
            to_open: if dialled { PROTOCOLS.into() } else { VecDeque::new() },
            streams: [None, None, None],
            failure: None,
            told: false,
            opening: Box::pin(tokio::time::sleep(OPENING)),
        }
    }

    fn take(&mut self, stream: Stream, protocol: &StreamProtocol) {
        let place = PROTOCOLS.iter().position(|known| known == protocol);
        match place.map(|place| &mut self.streams[place]) {
            Some(free @ None) if !self.told => *free = Some(stream),
            _ => self.failure = Some("a stream was opened twice"),
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Opened;
    type InboundProtocol = AsIs;
    type OutboundProtocol = AsIs;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<AsIs> {
        // A stream that is there is not taken again.
        let open = |place: &usize| self.streams[*place].is_none() && !self.told;
        let wanted = (0..3).filter(open).map(|place| PROTOCOLS[place].clone()).collect();
        SubstreamProtocol::new(AsIs(wanted), ()).with_timeout(OPENING)
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AsIs, (), Opened>> {
        if self.told {
            return Poll::Pending;
        }
        if let Some(protocol) = self.to_open.pop_front() {
            let protocol = SubstreamProtocol::new(AsIs(vec![protocol]), ()).with_timeout(OPENING);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if self.failure.is_none() && self.opening.as_mut().poll(cx).is_ready() {
            self.failure = Some("its streams were not opened in time");
        }
        if let Some(why) = self.failure {
            self.told = true;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Opened::Failed(why)));
        }
        match std::mem::take(&mut self.streams) {
            [Some(control), Some(urgent), Some(bulk)] => {
                self.told = true;
                let streams = Streams([Box::pin(control), Box::pin(urgent), Box::pin(bulk)]);
                Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Opened::Streams(streams)))
            }
            some => {
                self.streams = some;
                Poll::Pending
            }
        }
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, AsIs, AsIs>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.take(protocol.0, &protocol.1);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.take(protocol.0, &protocol.1);
            }
            ConnectionEvent::DialUpgradeError(_) => self.failure = Some("it does not speak our protocol"),
            _ => {}
        }
    }
}
