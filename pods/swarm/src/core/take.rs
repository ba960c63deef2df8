//! Putting together what comes, and making the first plan for an object that somebody has.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::ObjectId;
use protocol::swarm::{ChunkList, Frame, Lane};

use super::Core;
use super::disk::ToStore;
use super::job::{Holder, Part, Progress, State};
use crate::is_chunked;
use crate::link::LinkError;
use crate::net::Conn;

/// The longest chunk list that is taken: that of an object of 58 GB.
const MAX_LIST: u64 = 16 << 20;

/// A DATA frame.
pub(super) struct Came {
    pub(super) lane: Lane,
    pub(super) request: u32,
    pub(super) index: u32,
    pub(super) offset: u64,
    pub(super) total: u64,
    pub(super) bytes: Bytes,
}

impl Core {
    /// Somebody has it: it begins to come.
    pub(super) fn begin(&mut self, id: &ObjectId, holder: Holder) {
        let kept =
            self.partial.iter().position(|(of, chunked)| of == id && chunked.list.size() == holder.size);
        let kept = kept.and_then(|place| self.partial.remove(place));
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.state = match kept {
            Some((_, mut chunked)) => {
                chunked.reopen_all();
                State::Chunks(chunked)
            }
            None if !is_chunked(holder.size) => State::Whole(Progress::Open),
            None if ChunkList::longest(holder.size) > MAX_LIST => {
                tracing::warn!(%id, size = holder.size, pod = %holder.pod, "an object is too large to be fetched");
                self.lose_holder(id, &holder.pod, false);
                return;
            }
            None => State::List(Progress::Open),
        };
        self.offer_all(id);
    }

    /// Bytes came. An error is a fault of the pod.
    pub(super) fn data(&mut self, conn: Conn, came: Came) -> Result<(), LinkError> {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let cost = came.bytes.len() as u32;
        if came.request >= peer.next_request {
            return Err(LinkError::Unexpected("DATA that nobody wanted"));
        }
        if let Some(pod) = self.pods.get_mut(&peer.pod) {
            pod.received += u64::from(cost);
        }
        let flight = peer.requests.get_mut(&came.request).and_then(|request| {
            let lane = request.lane;
            Some((lane, request.items.get_mut(came.index as usize)?.as_mut()?))
        });
        let Some((lane, flight)) = flight else {
            // It was cancelled while it was on its way.
            peer.owed[came.lane.index()] += cost;
            return Ok(());
        };
        let longest = flight.length.map_or(MAX_LIST, u64::from);
        let fits =
            flight.length.is_none_or(|length| u64::from(length) == came.total) && came.total <= longest;
        if lane != came.lane || !fits || came.offset != flight.came.len() as u64 {
            return Err(LinkError::Unexpected("DATA that does not fit what was wanted"));
        }
        let is_list = flight.length.is_none();
        peer.pace.bytes += u64::from(cost);
        if is_list {
            // A list may be longer than the credit: its bytes are bounded by their number.
            peer.owed[lane.index()] += cost;
        }
        let whole = came.offset == 0 && u64::from(cost) == came.total;
        if !whole {
            if flight.came.is_empty() {
                flight.came.reserve(came.total as usize);
            }
            flight.came.extend_from_slice(&came.bytes);
            if (flight.came.len() as u64) < came.total {
                return Ok(());
            }
        }
        let Some(mut flight) = peer.land(came.request, came.index) else { return Ok(()) };
        let after = now - flight.since;
        peer.came(if is_list { 0 } else { came.total }, after, now);
        let pod = peer.pod;
        let bytes =
            if whole { came.bytes } else { std::mem::replace(&mut flight.came, BytesMut::new()).freeze() };
        let progress = self.jobs.get_mut(&flight.unit.0).and_then(|job| job.progress(flight.unit.1));
        let credit = if is_list { 0 } else { came.total as u32 };
        match progress {
            Some(progress @ Progress::Asked(_)) => {
                let twice = *progress != Progress::Asked(1);
                *progress = Progress::Writing;
                if twice {
                    self.cancel_others(flight.unit);
                }
                let unit = flight.unit;
                if unit.1 == Part::List {
                    self.list_came(&unit.0, pod, &bytes);
                } else {
                    let place = self.place(&unit);
                    self.to_store_bytes += bytes.len();
                    self.to_store.push(ToStore { unit, conn, pod, lane, bytes, credit, place });
                }
            }
            // Another was faster.
            _ => self.owe(conn, lane, credit),
        }
        Ok(())
    }

    /// Bytes of a pod are dealt with: it may send so many more.
    pub(super) fn owe(&mut self, conn: Conn, lane: Lane, bytes: u32) {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.owed[lane.index()] += bytes;
        }
    }

    /// Gives back credit that has gathered.
    pub(super) fn pay_credit(&mut self) {
        let mut deaf = Vec::new();
        for (&conn, peer) in &mut self.peers {
            for lane in Lane::ALL {
                let bytes = std::mem::take(&mut peer.owed[lane.index()]);
                if bytes > 0
                    && let Err(error) = peer.link.give_credit(lane, bytes)
                {
                    deaf.push((conn, error));
                }
            }
        }
        deaf.into_iter().for_each(|(conn, error)| self.broken(conn, error));
    }

    /// A unit came that was asked for twice.
    fn cancel_others(&mut self, unit: super::job::Unit) {
        for peer in self.peers.values_mut() {
            let mut found = None;
            for (&request, wanted) in &peer.requests {
                let is_it =
                    |flight: &Option<super::pods::Flight>| flight.as_ref().is_some_and(|f| f.unit == unit);
                if let Some(index) = wanted.items.iter().position(is_it) {
                    found = Some((request, index as u32));
                }
            }
            let Some((request, index)) = found else { continue };
            peer.land(request, index);
            if let Err(error) = peer.link.say(&Frame::Cancel { request, items: vec![index] }) {
                tracing::debug!(%error, "a cancel was not sent");
            }
        }
    }

    fn list_came(&mut self, id: &ObjectId, pod: protocol::PodId, bytes: &[u8]) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let size = job.holds(&pod).map(|holder| holder.size);
        match ChunkList::decode(*id, bytes) {
            Ok(list) if Some(list.size()) == size => {
                job.state = State::Preparing;
                self.prepare(*id, list.into(), pod);
            }
            other => {
                let why = match other {
                    Ok(list) => {
                        format!("said that {id} has {size:?} bytes, and its chunks have {}", list.size())
                    }
                    Err(error) => format!("sent a chunk list of {id} that is none: {error}"),
                };
                job.state = State::List(Progress::Asked(1));
                self.suspect(&pod, &[*id], why);
                self.reopen((*id, Part::List));
            }
        }
    }

    pub(super) fn miss(&mut self, conn: Conn, request: u32, items: &[u32]) {
        for &index in items {
            let Some(peer) = self.peers.get_mut(&conn) else { return };
            let pod = peer.pod;
            let Some(flight) = peer.land(request, index) else { continue };
            if let Some(job) = self.jobs.get_mut(&flight.unit.0)
                && !job.missed.contains(&pod)
            {
                job.missed.push(pod);
            }
            self.lose_holder(&flight.unit.0, &pod, false);
            self.reopen(flight.unit);
        }
    }

    pub(super) fn busy(&mut self, conn: Conn, request: u32, retry: Duration) {
        let until = self.now + retry.min(self.limits.answer);
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let pod = peer.pod;
        if let Some(question) = peer.questions.remove(&request) {
            let perhaps = !question.relay;
            question.ids.iter().for_each(|id| self.not_answered(id, &pod, perhaps));
            return;
        }
        if let Some(wanted) = peer.requests.get(&request) {
            let count = wanted.items.len() as u32;
            peer.busy_until = Some(until);
            peer.pace.refusals += 1;
            let flights: Vec<_> = (0..count).filter_map(|index| peer.land(request, index)).collect();
            flights.into_iter().for_each(|flight| self.reopen(flight.unit));
        }
    }
}
