//! Who has it? Few are asked at a time, many objects in one question; a pod that cannot be reached is waited for, then
//! asked for by way of a third.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::swarm::{Frame, MAX_HINTS, MAX_ITEMS};
use protocol::{ObjectId, ObjectKind, PodId};

use super::job::{Holder, State};
use super::pods::Question;
use super::{Core, Reply};
use crate::net::Conn;
use crate::order::FetchOrder;

/// Pods that are asked for one object at the same time.
const ASK_AT_ONCE: usize = 4;
/// How long the other side may look for objects that it gets for us.
const RELAY_PATIENCE: Duration = Duration::from_secs(120);
/// The largest tree, trace or path set that is fetched: such an object is read as a whole. A tree of so many bytes has half a million files.
const MAX_PARSED: u64 = 64 << 20;
/// How long until those who did not answer are asked again.
const ROUND: Duration = Duration::from_millis(500);
/// Orders that one pod may have us carry out at the same time.
const MAX_RELAYING: usize = 4;
/// Questions to one pod that are not answered yet.
const MAX_QUESTIONS: usize = 8;

impl Core {
    /// Goes on with an object that nobody is known to have.
    pub(super) fn seek(&mut self, id: &ObjectId) {
        loop {
            let Some(job) = self.jobs.get_mut(id) else { return };
            if !job.holders.is_empty() || job.next_round.is_some() || job.asking >= ASK_AT_ONCE {
                return;
            }
            let Some(pod) = job.candidates.pop_front() else {
                if job.asking == 0 {
                    self.seek_elsewhere(id);
                }
                return;
            };
            let avoided = self.pods.get(&pod).is_some_and(|known| known.is_avoided(self.now));
            if avoided && job.asking > 0 {
                // Only if nobody else has it: candidates who are avoided come last.
                job.candidates.push_front(pod);
                return;
            }
            job.asking += 1;
            self.ask(&pod, *id);
        }
    }

    fn ask(&mut self, pod: &PodId, id: ObjectId) {
        if let Some(peer) =
            self.pods.get(pod).and_then(|known| known.conn).and_then(|c| self.peers.get_mut(&c))
        {
            peer.to_ask.push(id);
            return;
        }
        let now = self.now;
        if self.dial(pod)
            && let Some(known) = self.pods.get_mut(pod)
        {
            known.waiting.push(id);
            known.waiting_since.get_or_insert(now);
        } else {
            self.not_answered(&id, pod, true);
        }
    }

    /// All candidates are through.
    fn seek_elsewhere(&mut self, id: &ObjectId) {
        let Some(job) = self.jobs.get(id) else { return };
        if job.may_relay && !job.unreachable.is_empty() {
            let fit = |(_, peer): &(&Conn, &super::pods::Peer)| {
                peer.greeted && !job.relays.contains(&peer.pod) && !job.unreachable.contains(&peer.pod)
            };
            let relay = self.peers.iter().find(fit).map(|(conn, peer)| (*conn, peer.pod));
            if let Some((conn, pod)) = relay {
                self.ask_relay(conn, pod, id);
                return;
            }
        }
        let now = self.now;
        let Some(job) = self.jobs.get_mut(id) else { return };
        if job.unsure && *job.deadline.get_or_insert(now + job.patience) > now {
            job.next_round = Some(now + ROUND);
        } else {
            self.fail_job(id);
        }
    }

    /// Objects that were found nowhere: all are asked again, until the patience of whoever wants them ends.
    pub(super) fn check_stuck(&mut self) {
        let now = self.now;
        let due = self.jobs.iter().filter(|(_, job)| job.next_round.is_some_and(|at| at <= now));
        let due: Vec<ObjectId> = due.map(|(id, _)| *id).collect();
        for id in due {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.next_round = None;
                job.unsure = false;
                job.unreachable.clear();
                job.relays.clear();
                job.candidates = job.hints.iter().copied().collect();
            }
            self.seek(&id);
        }
    }

    fn ask_relay(&mut self, conn: Conn, pod: PodId, id: &ObjectId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.relays.push(pod);
        job.asking += 1;
        let from = job.unreachable.iter().take(MAX_HINTS).copied().collect();
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.to_relay.push((*id, from));
        }
    }

    /// Sends the questions that have gathered.
    pub(super) fn ask_now(&mut self) {
        let until = self.now + self.limits.answer;
        let mut deaf = Vec::new();
        for (&conn, peer) in &mut self.peers {
            while peer.greeted && !peer.to_ask.is_empty() && peer.questions.len() < MAX_QUESTIONS {
                let count = peer.to_ask.len().min(MAX_ITEMS);
                let ids: Vec<ObjectId> = peer.to_ask.drain(..count).collect();
                let request = peer.number();
                if let Err(error) = peer.link.say(&Frame::Ask { request, ids: ids.clone() }) {
                    deaf.push((conn, error));
                }
                peer.questions.insert(request, Question { ids, until, relay: false });
            }
            let mut groups: HashMap<Vec<PodId>, Vec<ObjectId>> = HashMap::new();
            for (id, from) in peer.to_relay.drain(..) {
                groups.entry(from).or_default().push(id);
            }
            for (from, all) in groups {
                for ids in all.chunks(MAX_ITEMS) {
                    let (request, ids) = (peer.number(), ids.to_vec());
                    let fetch = Frame::Fetch { request, from: from.clone(), ids: ids.clone() };
                    if let Err(error) = peer.link.say(&fetch) {
                        deaf.push((conn, error));
                    }
                    let until = self.now + RELAY_PATIENCE;
                    peer.questions.insert(request, Question { ids, until, relay: true });
                }
            }
        }
        deaf.into_iter().for_each(|(conn, error)| self.broken(conn, error));
    }

    pub(super) fn have(&mut self, conn: Conn, request: u32, sizes: &[Option<u64>], lease: Duration) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        let pod = peer.pod;
        let Some(question) = peer.questions.remove(&request) else { return };
        let until = self.now + lease;
        for (place, id) in question.ids.iter().enumerate() {
            match sizes.get(place).copied().flatten() {
                Some(size) if id.kind != ObjectKind::Blob && size > MAX_PARSED => {
                    tracing::warn!(%id, size, %pod, "an object that is no file is too large to be fetched");
                    self.not_answered(id, &pod, false);
                }
                Some(size) => self.holds(id, Holder { pod, size, until }),
                None => self.not_answered(id, &pod, false),
            }
        }
    }

    /// A pod says that it has an object.
    fn holds(&mut self, id: &ObjectId, holder: Holder) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        // It has said so before, and did not give it: else it would hold the order up by saying so again.
        if job.missed.contains(&holder.pod) {
            return self.not_answered(id, &holder.pod, false);
        }
        if job.at_most.is_some_and(|most| holder.size > most) {
            tracing::warn!(%id, size = holder.size, pod = %holder.pod, "an object is larger than it was said to be: it is not fetched");
            return self.not_answered(id, &holder.pod, false);
        }
        job.asking = job.asking.saturating_sub(1);
        job.holders.retain(|known| known.pod != holder.pod);
        job.holders.push(holder);
        (job.deadline, job.next_round) = (None, None);
        if matches!(job.state, State::Seeking) {
            self.begin(id, holder);
        } else {
            self.offer_open(id, &holder.pod);
        }
    }

    /// A pod has not got it, or did not say (`perhaps`).
    pub(super) fn not_answered(&mut self, id: &ObjectId, pod: &PodId, perhaps: bool) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.asking = job.asking.saturating_sub(1);
        if perhaps {
            job.unsure = true;
            if !job.unreachable.contains(pod) {
                job.unreachable.push(*pod);
            }
        }
        self.seek(id);
    }

    /// A pod that had it is gone, lied, or its lease ran out: others go on.
    pub(super) fn lose_holder(&mut self, id: &ObjectId, pod: &PodId, perhaps: bool) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        job.holders.retain(|holder| holder.pod != *pod);
        if perhaps {
            job.unsure = true;
            if !job.unreachable.contains(pod) {
                job.unreachable.push(*pod);
            }
        }
        if job.only == Some(*pod) {
            // What only this one was to be asked for is for all again.
            job.only = None;
            self.offer_all(id);
        }
        let Some(job) = self.jobs.get(id) else { return };
        // What is being written needs nobody.
        if !matches!(job.state, State::Preparing | State::Finishing) {
            self.seek(id);
        }
    }

    pub(super) fn check_questions(&mut self) {
        let now = self.now;
        let mut lapsed = Vec::new();
        for (&conn, peer) in &mut self.peers {
            let late = peer.questions.iter().filter(|(_, question)| question.until <= now);
            let late: Vec<u32> = late.map(|(request, _)| *request).collect();
            for request in late {
                let question = peer.questions.remove(&request);
                lapsed.extend(question.map(|question| (conn, peer.pod, question)));
            }
        }
        for (_, pod, question) in lapsed {
            for id in question.ids {
                if question.relay
                    && let Some(job) = self.jobs.get_mut(&id)
                {
                    // One that takes so long is enough.
                    job.may_relay = false;
                }
                self.not_answered(&id, &pod, !question.relay);
            }
        }
        let waiting = |since: Option<Instant>| since.is_some_and(|since| now - since > self.limits.answer);
        let tired: Vec<PodId> =
            self.pods.iter().filter(|(_, pod)| waiting(pod.waiting_since)).map(|(id, _)| *id).collect();
        for pod in tired {
            let Some(known) = self.pods.get_mut(&pod) else { continue };
            known.waiting_since = None;
            for id in std::mem::take(&mut known.waiting) {
                self.not_answered(&id, &pod, true);
            }
        }
    }

    /// A pod asks us to get objects from pods that it cannot reach. We fetch them as our own, so that each hop is
    /// verified and the next who asks finds them here; and only from those to whom we are connected, so
    /// that no request goes in circles.
    pub(super) fn relay(&mut self, conn: Conn, request: u32, from: Vec<PodId>, ids: Vec<ObjectId>) {
        let from: Vec<PodId> = from
            .into_iter()
            .filter(|pod| {
                self.pods.get(pod).is_some_and(|known| known.conn.is_some_and(|other| other != conn))
            })
            .collect();
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        // Who serves nothing would fetch what it then does not give.
        let passes_on = self.limits.relays && self.limits.serves;
        if !passes_on || peer.relaying >= MAX_RELAYING {
            let busy = Frame::Busy { request, retry: 1000 };
            if let Err(error) = peer.link.say(&busy) {
                self.broken(conn, error);
            }
            return;
        }
        peer.relaying += 1;
        let objects = if from.is_empty() { vec![] } else { ids.clone() };
        let order = FetchOrder { patience: Duration::ZERO, relays: false, ..FetchOrder::new(objects, &from) };
        self.new_order(order, Reply::Relay { conn, request, ids });
    }
}
