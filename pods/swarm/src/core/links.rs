//! Connections: one for each pod, made when it is wanted, kept where asked for, closed when the pod is out.

use std::sync::Arc;
use std::time::Duration;

use libp2p::Multiaddr;
use protocol::PodId;

use super::Core;
use super::pods::{Pace, Peer};
use crate::link::{Link, LinkError};
use crate::net::{Conn, NetOrder, Streams};
use crate::store::{MemoryStore, Store};
use crate::swarm::PodStatus;

/// Two connections of a pair that come so close together were dialled at the same time from both sides.
const CROSSING: Duration = Duration::from_secs(5);
/// How often the member list is asked again about those who are connected.
const ADMISSION: Duration = Duration::from_millis(500);
/// A connection that was there for so long was no accident.
const STEADY: Duration = Duration::from_secs(5);
/// Stalls after which a connection is given up.
const MAX_STALLS: u32 = 2;
/// A pod that sends, but next to nothing, is borne with for so many stalls.
const STALLS_OF_DAWDLING: u32 = 4;

impl Core {
    pub(super) fn learn(&mut self, pod: PodId, addresses: Vec<Multiaddr>) {
        if pod == self.me {
            return;
        }
        let known = self.pods.entry(pod).or_default();
        known.learn(addresses);
        known.kept = true;
        known.next_dial = None;
        self.dial(&pod);
    }

    pub(super) fn forget(&mut self, pod: &PodId) {
        if let Some(known) = self.pods.get_mut(pod) {
            known.kept = false;
            known.addresses.clear();
            if let Some(conn) = known.conn {
                self.close(conn, "it was forgotten".to_owned());
            }
        }
    }

    /// Dials a pod, if that makes sense; false if there is no way to.
    pub(super) fn dial(&mut self, pod: &PodId) -> bool {
        let admitted = self.admit.admits(pod);
        let Some(known) = self.pods.get_mut(pod) else { return false };
        if known.conn.is_some() || known.dialling {
            return true;
        }
        if known.addresses.is_empty() || !admitted || known.next_dial.is_some_and(|at| at > self.now) {
            return false;
        }
        let order = NetOrder::Dial { pod: *pod, addresses: known.addresses.clone() };
        known.dialling = self.net.try_send(order).is_ok();
        known.dialling
    }

    /// Dials those who are kept or waited for, and whose time has come.
    pub(super) fn redial(&mut self) {
        let due = self.pods.iter().filter(|(_, pod)| {
            let wanted = pod.kept && !pod.is_avoided(self.now) || !pod.waiting.is_empty();
            wanted && pod.conn.is_none() && !pod.dialling && pod.next_dial.is_none_or(|at| at <= self.now)
        });
        let due: Vec<PodId> = due.map(|(id, _)| *id).collect();
        due.iter().for_each(|pod| {
            self.dial(pod);
        });
    }

    pub(super) fn up(&mut self, pod: PodId, conn: Conn, dialled: bool, address: Multiaddr, streams: Streams) {
        let old = self.pods.get(&pod).and_then(|known| known.conn);
        if let Some((old, peer)) = old.and_then(|old| Some((old, self.peers.get(&old)?))) {
            // The one that the smaller id dialled stays, on both sides; one that is old is a ghost.
            let by_smaller = |dialled: bool| dialled == (self.me < pod);
            let crossing = self.now - peer.since < CROSSING && peer.dialled != dialled;
            if crossing && by_smaller(peer.dialled) {
                self.order(NetOrder::Close { conn });
                return;
            }
            self.close(old, "a new connection took its place".to_owned());
        }
        // Who serves nothing has nothing, as far as others can see.
        let offered: Arc<dyn Store> =
            if self.limits.serves { self.store.clone() } else { Arc::new(MemoryStore::default()) };
        let link = Link::start(conn, streams, offered, self.to_core.clone(), self.limits.answer);
        self.peers.insert(conn, Peer::new(pod, link, dialled, self.now));
        let known = self.pods.entry(pod).or_default();
        known.connected(conn);
        if dialled {
            known.learn([address]);
        }
        tracing::info!(%pod, dialled, "connected");
    }

    pub(super) fn greeted(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.greeted = true;
        let pod = peer.pod;
        if let Some(known) = self.pods.get_mut(&pod) {
            peer.to_ask.append(&mut known.waiting);
            known.waiting_since = None;
            if !known.is_avoided(self.now) {
                known.trouble = None;
            }
        }
    }

    pub(super) fn down(&mut self, pod: &PodId, conn: Conn, why: String) {
        if self.peers.contains_key(&conn) {
            tracing::info!(%pod, %why, "disconnected");
            self.let_go(conn, why);
        }
    }

    pub(super) fn unreachable(&mut self, pod: &PodId, why: String) {
        let spread = self.spread();
        let Some(known) = self.pods.get_mut(pod) else { return };
        known.dialling = false;
        if known.conn.is_some() {
            return;
        }
        tracing::debug!(%pod, %why, "cannot be reached");
        known.failed(why, self.now, spread);
        known.waiting_since = None;
        for id in std::mem::take(&mut known.waiting) {
            self.not_answered(&id, pod, true);
        }
    }

    /// A link failed, or its pod broke the protocol.
    pub(super) fn broken(&mut self, conn: Conn, error: LinkError) {
        let Some(peer) = self.peers.get(&conn) else { return };
        let (pod, fault, why) = (peer.pod, error.is_fault(), error.to_string());
        if fault {
            tracing::warn!(%pod, %why, "broke the swarm's protocol; it is avoided for a while");
            if let Some(known) = self.pods.get_mut(&pod) {
                known.punish(why.clone(), self.now);
            }
        }
        self.close(conn, why);
    }

    pub(super) fn close(&mut self, conn: Conn, why: String) {
        self.let_go(conn, why);
        self.order(NetOrder::Close { conn });
    }

    /// Orders to the net are few; one that finds no room is made up for by the time-outs.
    fn order(&mut self, order: NetOrder) {
        if self.net.try_send(order).is_err() {
            tracing::warn!("the net is behind with its orders");
        }
    }

    /// Forgets a link: what it was asked for is open again.
    fn let_go(&mut self, conn: Conn, why: String) {
        let Some(peer) = self.peers.remove(&conn) else { return };
        let spread = self.spread();
        if let Some(known) = self.pods.get_mut(&peer.pod)
            && known.conn == Some(conn)
        {
            known.conn = None;
            if self.now - peer.since > STEADY {
                known.lasted();
            }
            known.failed(why, self.now, spread);
        }
        let pod = peer.pod;
        for (_, request) in peer.requests {
            for flight in request.items.into_iter().flatten() {
                self.reopen(flight.unit);
            }
        }
        let questions = peer.questions.into_values().flat_map(|question| question.ids);
        for id in questions.chain(peer.to_ask) {
            self.not_answered(&id, &pod, true);
        }
        let held: Vec<_> =
            self.jobs.iter().filter(|(_, job)| job.holds(&pod).is_some()).map(|(id, _)| *id).collect();
        for id in held {
            self.lose_holder(&id, &pod, true);
        }
    }

    /// Those who are no members any more are let go.
    pub(super) fn check_admission(&mut self) {
        if self.now - self.admitted_at < ADMISSION {
            return;
        }
        self.admitted_at = self.now;
        let out = self.peers.iter().filter(|(_, peer)| !self.admit.admits(&peer.pod));
        let out: Vec<Conn> = out.map(|(conn, _)| *conn).collect();
        for conn in out {
            self.close(conn, "it is no member of this federation any more".to_owned());
        }
    }

    /// Who says nothing while something is due is asked for nothing for a while, and in the end let go.
    pub(super) fn check_silence(&mut self) {
        let now = self.now;
        let stall = self.limits.stall;
        let silent = self.peers.iter_mut().map(|(conn, peer)| (*conn, peer.silence(now)));
        let silent: Vec<Conn> =
            silent.filter(|(_, silence)| *silence > stall).map(|(conn, _)| conn).collect();
        for conn in silent {
            let Some(peer) = self.peers.get_mut(&conn) else { continue };
            peer.stalls += 1;
            if peer.stalls >= MAX_STALLS || peer.requests.is_empty() {
                self.close(conn, "it does not answer".to_owned());
                continue;
            }
            peer.narrow(now);
            peer.forgive(now);
            self.take_back(conn);
        }
    }

    /// Who sends too little of what is wanted of it is avoided, and others are asked: else the only one who has something could hold
    /// up for ever whoever waits for it.
    pub(super) fn check_pace(&mut self) {
        let now = self.now;
        if !self.to_store.is_empty() {
            // It may be us who are behind: nobody sends without credit.
            self.peers.values_mut().for_each(|peer| peer.pace = Pace::since(now));
            return;
        }
        let window = self.limits.stall * STALLS_OF_DAWDLING;
        let dawdlers =
            self.peers.values_mut().filter_map(|peer| peer.dawdles(window, now).then_some(peer.pod));
        let dawdlers: Vec<PodId> = dawdlers.collect();
        for pod in dawdlers {
            let why = "it sends next to nothing of what is wanted of it".to_owned();
            tracing::warn!(%pod, %why, "it is avoided for a while");
            if let Some(known) = self.pods.get_mut(&pod) {
                known.punish(why, now);
            }
            self.drop_holder(&pod);
        }
    }

    fn spread(&self) -> u8 {
        // Pods that lose the same one do not dial it in step.
        self.me.as_bytes()[7]
    }

    pub(super) fn status(&self) -> Vec<PodStatus> {
        let status = |(id, pod): (&PodId, &super::pods::Pod)| PodStatus {
            pod: *id,
            connected: pod.conn.is_some(),
            addresses: pod.addresses.clone(),
            trouble: pod.trouble.clone(),
            avoided: pod.is_avoided(self.now),
            faults: pod.faults(),
            received: pod.received,
        };
        self.pods.iter().map(status).collect()
    }
}
