//! A peer that is no pod of ours, over real sockets: what it says and leaves unsaid is up to the test.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{PeerId, StreamProtocol, noise, tcp, yamux};
use protocol::PodId;
use protocol::swarm::{Frame, Hello, MAJOR};
use swarm::{peer_of, pod_of};

use crate::federation::{Members, Pod};

/// A peer of its own making: connects by plain libp2p and sends what it likes.
pub struct Raw {
    peer: PeerId,
    pub control: libp2p_stream::Control,
    _task: tokio::task::JoinHandle<()>,
}

pub const PROTOCOLS: [StreamProtocol; 3] = [
    StreamProtocol::new("/computepods/1/control"),
    StreamProtocol::new("/computepods/1/urgent"),
    StreamProtocol::new("/computepods/1/bulk"),
];

impl Raw {
    /// Dials a pod. Whether it is let in shows when a stream is opened.
    pub async fn dial(to: &Pod) -> Self {
        let mut swarm = libp2p::SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let (control, peer) = (swarm.behaviour().new_control(), *swarm.local_peer_id());
        let addresses = to.swarm.addresses().await.unwrap();
        let dial = libp2p::swarm::dial_opts::DialOpts::peer_id(peer_of(&to.id()).unwrap());
        swarm.dial(dial.addresses(addresses).build()).unwrap();
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { peer, control, _task: task }
    }

    pub async fn member(to: &Pod, members: &Members) -> (Self, [libp2p::Stream; 3]) {
        // Its key must be on the list before the handshake ends: so it comes twice.
        let mut raw = Self::dial(to).await;
        members.add(raw.id());
        loop {
            let mut streams = Vec::new();
            for protocol in PROTOCOLS {
                let open = raw.control.open_stream(peer_of(&to.id()).unwrap(), protocol);
                match tokio::time::timeout(Duration::from_secs(5), open).await {
                    Ok(Ok(stream)) => streams.push(stream),
                    _ => break,
                }
            }
            if let Ok(streams) = <[_; 3]>::try_from(streams) {
                return (raw, streams);
            }
            let control = Self::dial(to).await;
            members.add(control.id());
            raw = control;
        }
    }

    /// One that has said HELLO, and is connected.
    pub async fn greeted(to: &Pod, members: &Members) -> (Self, [libp2p::Stream; 3]) {
        let (raw, mut streams) = Self::member(to, members).await;
        streams[0].write_all(&hello()).await.unwrap();
        streams[0].flush().await.unwrap();
        to.until_connected(raw.id(), true).await;
        (raw, streams)
    }

    pub fn id(&self) -> PodId {
        pod_of(&self.peer).unwrap()
    }
}

/// HELLO, with as much credit as others give.
pub fn hello() -> Vec<u8> {
    Frame::Hello(Hello { major: MAJOR, minor: 0, features: 0, credit: [1 << 20; 2] }).encode()
}

/// Reads until the other side closes the stream.
pub async fn until_closed(stream: &mut libp2p::Stream) {
    let mut bytes = Vec::new();
    let reading = stream.read_to_end(&mut bytes);
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("it should be closed")
        .unwrap_or_default();
}

/// What a pod says on the control stream, frame by frame.
pub fn said(mut control: futures::io::ReadHalf<libp2p::Stream>) -> tokio::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, frames) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        loop {
            let mut length = [0; 4];
            control.read_exact(&mut length).await?;
            let mut body = vec![0; u32::from_le_bytes(length) as usize];
            control.read_exact(&mut body).await?;
            if sender.send(body).await.is_err() {
                return std::io::Result::Ok(());
            }
        }
    });
    frames
}
