//! The twin: many pods in one process, whose connections are pipes, and which can be kept apart.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use libp2p::Multiaddr;
use parking_lot::Mutex;
use protocol::PodId;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio_util::compat::TokioAsyncReadCompatExt as _;

use super::{Admit, BoxedStream, Conn, Net, NetEvent, NetOrder, QUEUE, Streams};
use crate::task::{Task, spawn};

/// Bytes that wait in a pipe.
const PIPE: usize = 256 << 10;

/// A network in memory. Clones are handles of the same one.
#[derive(Clone, Default)]
pub struct MemoryNet {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pods: HashMap<PodId, Station>,
    /// Pairs that cannot reach each other, the smaller id first.
    apart: HashSet<(PodId, PodId)>,
    next: Conn,
    open: HashMap<Conn, [PodId; 2]>,
}

struct Station {
    events: mpsc::UnboundedSender<NetEvent>,
    admit: Arc<dyn Admit>,
}

fn pair(a: PodId, b: PodId) -> (PodId, PodId) {
    (a.min(b), a.max(b))
}

impl MemoryNet {
    /// The address at which a pod is reached: its id says it all.
    pub fn address(_: &PodId) -> Multiaddr {
        Multiaddr::empty().with(libp2p::multiaddr::Protocol::Memory(1))
    }

    /// Cuts two pods' connections and lets them have no new one.
    pub fn part(&self, a: PodId, b: PodId) {
        let mut state = self.state.lock();
        state.apart.insert(pair(a, b));
        let between = |pods: &[PodId; 2]| pods.contains(&a) && pods.contains(&b);
        let cut: Vec<_> =
            state.open.iter().filter(|(_, pods)| between(pods)).map(|(conn, _)| *conn).collect();
        cut.into_iter().for_each(|conn| state.close(conn, "the link was cut"));
    }

    /// Lets them reach each other again.
    pub fn heal(&self, a: PodId, b: PodId) {
        self.state.lock().apart.remove(&pair(a, b));
    }

    pub(crate) fn join(&self, pod: PodId, admit: Arc<dyn Admit>) -> (Net, Task) {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let (outbox, events) = mpsc::channel(QUEUE);
        // Few and small: those who report an event hold the state's lock and cannot wait.
        let (told, mut tell) = mpsc::unbounded_channel();
        self.state.lock().pods.insert(pod, Station { events: told, admit });
        let (net, leave) = (self.clone(), Leave { net: self.clone(), pod });
        let task = async move {
            let mut inbox: mpsc::Receiver<NetOrder> = inbox;
            let _leave = leave;
            if outbox.send(NetEvent::Listening(Self::address(&pod))).await.is_err() {
                return;
            }
            loop {
                tokio::select! {
                    order = inbox.recv() => match order {
                        Some(NetOrder::Dial { pod: to, .. }) => net.dial(pod, to),
                        Some(NetOrder::Close { conn }) => net.state.lock().close(conn, "it was closed"),
                        None => return,
                    },
                    event = tell.recv() => {
                        let Some(event) = event else { return };
                        if outbox.send(event).await.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        (Net { orders, events }, spawn("swarm-net", task))
    }

    fn dial(&self, from: PodId, to: PodId) {
        let mut state = self.state.lock();
        if state.open.values().any(|pods| pair(pods[0], pods[1]) == pair(from, to)) {
            return;
        }
        let admits =
            |by: &PodId, whom: &PodId| state.pods.get(by).is_some_and(|station| station.admit.admits(whom));
        let why = if state.apart.contains(&pair(from, to)) || !state.pods.contains_key(&to) {
            Some("nobody answers there")
        } else if !admits(&from, &to) || !admits(&to, &from) {
            Some("it is no member of this federation")
        } else {
            None
        };
        if let Some(why) = why {
            state.tell(&from, NetEvent::Unreachable { pod: to, why: why.to_owned() });
            return;
        }
        state.next += 1;
        let conn = state.next;
        state.open.insert(conn, [from, to]);
        let (ours, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| tokio::io::duplex(PIPE)).unzip();
        for (at, other, ends, dialled) in [(from, to, ours, true), (to, from, theirs, false)] {
            let mut ends =
                ends.into_iter().map(|end: DuplexStream| -> BoxedStream { Box::pin(end.compat()) });
            let (Some(control), Some(urgent), Some(bulk)) = (ends.next(), ends.next(), ends.next()) else {
                return;
            };
            let (streams, address) = (Streams([control, urgent, bulk]), Self::address(&other));
            state.tell(&at, NetEvent::Up { pod: other, conn, dialled, address, streams });
        }
    }
}

impl State {
    fn tell(&self, pod: &PodId, event: NetEvent) {
        if let Some(station) = self.pods.get(pod) {
            // Who has left does not listen.
            station.events.send(event).unwrap_or_default();
        }
    }

    fn close(&mut self, conn: Conn, why: &str) {
        let Some([a, b]) = self.open.remove(&conn) else { return };
        for (at, pod) in [(a, b), (b, a)] {
            self.tell(&at, NetEvent::Down { pod, conn, why: why.to_owned() });
        }
    }
}

/// Takes a pod from the network.
struct Leave {
    net: MemoryNet,
    pod: PodId,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut state = self.net.state.lock();
        state.pods.remove(&self.pod);
        let mine: Vec<_> =
            state.open.iter().filter(|(_, pods)| pods.contains(&self.pod)).map(|(conn, _)| *conn).collect();
        mine.into_iter().for_each(|conn| state.close(conn, "the pod has left"));
    }
}
