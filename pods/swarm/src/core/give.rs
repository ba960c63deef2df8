//! Handing out units: each to one pod, as many bytes at a time as it answers soon, the urgent first.

use std::time::Duration;

use bytes::BytesMut;
use protocol::swarm::{Frame, Item, Lane};
use protocol::{ObjectId, PodId};

use super::Core;
use super::job::{Part, Progress, Unit};
use super::pods::{Flight, Peer, Request};
use crate::net::Conn;

/// Bytes of one WANT, so that pods that hold the same take turns.
const SLICE: u64 = 1 << 20;
/// Items of one WANT.
const SLICE_ITEMS: usize = 512;
/// Lists that one pod is asked for at the same time: their length is only known when they come.
const MAX_LISTS: usize = 4;
/// A unit that was asked for so long ago may be asked from a second pod when nothing else is left to ask for.
const OVERDUE: Duration = Duration::from_millis(250);
/// So many of them.
const MAX_DOUBLED: usize = 8;

impl Core {
    /// Makes a unit known to those who could be asked for it.
    fn offer(&mut self, unit: Unit, first: bool) {
        let Some(job) = self.jobs.get(&unit.0) else { return };
        for holder in &job.holders {
            if job.only.is_some_and(|only| only != holder.pod) {
                continue;
            }
            let conn = self.pods.get(&holder.pod).and_then(|pod| pod.conn);
            if let Some(peer) = conn.and_then(|conn| self.peers.get_mut(&conn)) {
                let queue = &mut peer.queues[job.lane.index()];
                if first { queue.push_front(unit) } else { queue.push_back(unit) }
            }
        }
    }

    /// Offers all that is open of an object.
    pub(super) fn offer_all(&mut self, id: &ObjectId) {
        let units = self.jobs.get(id).map(|job| job.open(*id)).unwrap_or_default();
        units.into_iter().for_each(|unit| self.offer(unit, false));
    }

    /// Offers all that is open of an object to a pod that has it too.
    pub(super) fn offer_open(&mut self, id: &ObjectId, pod: &PodId) {
        let Some(job) = self.jobs.get(id) else { return };
        let conn = self.pods.get(pod).and_then(|pod| pod.conn);
        if let Some(peer) = conn.and_then(|conn| self.peers.get_mut(&conn)) {
            peer.queues[job.lane.index()].extend(job.open(*id));
        }
    }

    /// A unit that was asked for will not come from there.
    pub(super) fn reopen(&mut self, unit: Unit) {
        let Some(progress) = self.jobs.get_mut(&unit.0).and_then(|job| job.progress(unit.1)) else { return };
        match *progress {
            Progress::Asked(1) => {
                *progress = Progress::Open;
                self.offer(unit, true);
            }
            Progress::Asked(many) => *progress = Progress::Asked(many - 1),
            Progress::Open | Progress::Writing | Progress::Done => {}
        }
    }

    /// Whatever a pod was asked for is asked from others.
    pub(super) fn take_back(&mut self, conn: Conn) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let requests = std::mem::take(&mut peer.requests);
        (peer.outstanding, peer.lists) = ([0; 2], 0);
        let mut units = Vec::new();
        for (request, wanted) in requests {
            if let Err(error) = peer.link.say(&Frame::Cancel { request, items: vec![] }) {
                tracing::debug!(%error, "a cancel was not sent");
            }
            units.extend(wanted.items.into_iter().flatten().map(|flight| flight.unit));
        }
        units.into_iter().for_each(|unit| self.reopen(unit));
    }

    /// Asks for all that may be asked for.
    pub(super) fn give_all(&mut self) {
        loop {
            // Each in turn, and not always the same one first.
            let after = self.peers.range(self.turn + 1..).map(|(conn, _)| *conn);
            let conns: Vec<Conn> =
                after.chain(self.peers.range(..=self.turn).map(|(conn, _)| *conn)).collect();
            let mut given = false;
            for conn in conns {
                if self.give(conn) {
                    self.turn = conn;
                    given = true;
                }
            }
            if !given {
                return;
            }
        }
    }

    /// Asks a pod for its next units; false if there are none or it has enough to do.
    fn give(&mut self, conn: Conn) -> bool {
        let Some(peer) = self.peers.get(&conn) else { return false };
        let rooms = Lane::ALL.map(|lane| (lane, peer.room(lane, self.now).min(SLICE)));
        for (lane, room) in rooms.into_iter().filter(|(_, room)| *room > 0) {
            let mut wanted = self.next_units(conn, lane, room);
            if wanted.is_empty() && lane == Lane::Bulk {
                wanted = self.doubles(conn, lane);
            }
            if !wanted.is_empty() {
                self.want(conn, lane, wanted);
                return true;
            }
        }
        false
    }

    fn next_units(&mut self, conn: Conn, lane: Lane, room: u64) -> Vec<(Item, Option<u32>, Unit)> {
        let mut wanted = Vec::new();
        let Some(peer) = self.peers.get_mut(&conn) else { return wanted };
        let (pod, mut bytes, mut later, mut lapsed) = (peer.pod, 0, Vec::new(), Vec::new());
        while bytes < room && wanted.len() < SLICE_ITEMS {
            let Some(unit) = peer.queues[lane.index()].pop_front() else { break };
            let Some(job) = self.jobs.get_mut(&unit.0) else { continue };
            if job.only.is_some_and(|only| only != pod) || job.lane != lane {
                continue;
            }
            let Some(holder) = job.holds(&pod) else { continue };
            if holder.until <= self.now {
                lapsed.push(unit.0);
                continue;
            }
            let Some((item, length)) = job.item(unit.0, unit.1, &pod) else { continue };
            if unit.1 == Part::List && peer.lists >= MAX_LISTS {
                later.push(unit);
                continue;
            }
            let Some(progress @ Progress::Open) = job.progress(unit.1) else { continue };
            *progress = Progress::Asked(1);
            peer.lists += usize::from(unit.1 == Part::List);
            bytes += u64::from(length.unwrap_or(0));
            wanted.push((item, length, unit));
        }
        later.into_iter().rev().for_each(|unit| peer.queues[lane.index()].push_front(unit));
        for id in lapsed {
            // It is asked once more whether it still has it.
            if let Some(job) = self.jobs.get_mut(&id) {
                job.candidates.push_back(pod);
            }
            self.lose_holder(&id, &pod, false);
        }
        wanted
    }

    /// The last units of all, once more, from a pod that has nothing to do: whoever is first wins.
    fn doubles(&mut self, conn: Conn, lane: Lane) -> Vec<(Item, Option<u32>, Unit)> {
        let Some(idle) = self.peers.get(&conn) else { return vec![] };
        if !idle.requests.is_empty() || self.peers.len() < 2 || self.jobs.len() > MAX_DOUBLED {
            return vec![];
        }
        let pod = idle.pod;
        let mut doubled = Vec::new();
        let others = self.peers.iter().filter(|(other, _)| **other != conn);
        let flights =
            others.flat_map(|(_, peer)| peer.requests.values()).filter(|request| request.lane == lane);
        for flight in flights.flat_map(|request| request.items.iter().flatten()) {
            let Some(job) = self.jobs.get_mut(&flight.unit.0) else { continue };
            let late = self.now - flight.since > OVERDUE && flight.unit.1 != Part::List;
            if !late || job.only.is_some() || doubled.len() >= MAX_DOUBLED {
                continue;
            }
            let Some((item, length)) = job.item(flight.unit.0, flight.unit.1, &pod) else { continue };
            if job.holds(&pod).is_none_or(|holder| holder.until <= self.now) {
                continue;
            }
            if let Some(progress @ Progress::Asked(1)) = job.progress(flight.unit.1) {
                *progress = Progress::Asked(2);
                doubled.push((item, length, flight.unit));
            }
        }
        doubled
    }

    fn want(&mut self, conn: Conn, lane: Lane, wanted: Vec<(Item, Option<u32>, Unit)>) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let request = peer.number();
        let items = wanted.iter().map(|(item, _, _)| *item).collect();
        let said = peer.link.say(&Frame::Want { request, lane, items });
        let flight = |(_, length, unit): &(Item, Option<u32>, Unit)| {
            Some(Flight { unit: *unit, length: *length, since: now, came: BytesMut::new() })
        };
        peer.outstanding[lane.index()] +=
            wanted.iter().map(|(_, length, _)| u64::from(length.unwrap_or(0))).sum::<u64>();
        peer.requests.insert(request, Request { lane, items: wanted.iter().map(flight).collect() });
        if let Err(error) = said {
            self.broken(conn, error);
        }
    }
}

impl Peer {
    /// Forgets one item of a request; its bytes are no longer awaited.
    pub(super) fn land(&mut self, request: u32, index: u32) -> Option<Flight> {
        let wanted = self.requests.get_mut(&request)?;
        let flight = wanted.items.get_mut(index as usize)?.take()?;
        let outstanding = &mut self.outstanding[wanted.lane.index()];
        *outstanding = outstanding.saturating_sub(flight.length.unwrap_or(0).into());
        if wanted.items.iter().all(Option::is_none) {
            self.requests.remove(&request);
        }
        self.lists -= usize::from(flight.unit.1 == Part::List);
        Some(flight)
    }
}
