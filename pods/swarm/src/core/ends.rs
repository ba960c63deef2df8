//! Orders: how they begin, and how their objects end.

use protocol::swarm::Frame;
use protocol::{ObjectId, PodId};
use rustc_hash::FxHashSet;

use super::disk::Done;
use super::job::{Job, State};
use super::{Core, MAX_PARTIAL, Order, OrderId, Reply};
use crate::link::LEASE;
use crate::net::Conn;
use crate::order::{FetchOrder, Fetched};
use crate::store::StoreError;

impl Core {
    pub(super) fn new_order(&mut self, order: FetchOrder, reply: Reply) {
        self.next_order += 1;
        let number = self.next_order;
        let ids: Vec<ObjectId> = order.objects.iter().map(|wanted| wanted.id).collect();
        self.orders.insert(number, Order { reply, left: 0, fetched: Fetched::default() });
        self.waiting_orders.insert(number, order);
        self.on_disk(move |store| Done::Checked { order: number, sizes: store.sizes(&ids, LEASE) });
    }

    /// It is known what of an order is here.
    pub(super) fn checked(&mut self, number: OrderId, sizes: Result<Vec<Option<u64>>, StoreError>) {
        let Some(order) = self.waiting_orders.remove(&number) else { return };
        let sizes = match sizes {
            Ok(sizes) => sizes,
            Err(error) => return self.reply(number, Err(error)),
        };
        let mut seen = FxHashSet::default();
        let mut new = Vec::new();
        for (wanted, size) in order.objects.iter().zip(sizes) {
            let Some(known) = self.orders.get_mut(&number) else { return };
            if !seen.insert(wanted.id) {
                continue;
            }
            if size.is_some() {
                known.fetched.here += 1;
                continue;
            }
            known.left += 1;
            if self.join_job(number, &order, wanted) {
                new.push(wanted.id);
            }
        }
        new.iter().for_each(|id| self.seek(id));
        if self.orders.get(&number).is_some_and(|order| order.left == 0) {
            let fetched = self.orders.get(&number).map(|order| order.fetched.clone()).unwrap_or_default();
            self.reply(number, Ok(fetched));
        }
    }

    /// Adds an object to what is being fetched; true if it is new there.
    fn join_job(&mut self, number: OrderId, order: &FetchOrder, wanted: &crate::Wanted) -> bool {
        let mut hints: Vec<PodId> = Vec::new();
        for pod in wanted.from.iter().chain(&order.from) {
            if *pod != self.me && !hints.contains(pod) {
                hints.push(*pod);
            }
        }
        if wanted.from.is_empty() && order.from.is_empty() {
            hints = self.peers.values().map(|peer| peer.pod).collect();
        }
        // Those who sent wrong bytes are the last to be asked.
        let now = self.now;
        hints.sort_by_key(|pod| self.pods.get(pod).is_some_and(|known| known.is_avoided(now)));
        let lane = order.urgency.lane();
        if let Some(job) = self.jobs.get_mut(&wanted.id) {
            job.orders.push(number);
            job.patience = job.patience.max(order.patience);
            job.may_relay |= order.relays;
            job.at_most = job.at_most.zip(wanted.at_most).map(|(one, other)| one.max(other));
            for pod in hints {
                if !job.hints.contains(&pod) {
                    job.hints.push(pod);
                    job.candidates.push_back(pod);
                }
            }
            if lane < job.lane {
                job.lane = lane;
                self.offer_all(&wanted.id);
            }
            return false;
        }
        let job = Job {
            lane,
            orders: vec![number],
            state: State::Seeking,
            candidates: hints.iter().copied().collect(),
            hints,
            asking: 0,
            holders: Vec::new(),
            unreachable: Vec::new(),
            relays: Vec::new(),
            missed: Vec::new(),
            may_relay: order.relays,
            at_most: wanted.at_most,
            unsure: false,
            next_round: None,
            deadline: None,
            patience: order.patience,
            only: None,
            doubted: None,
            bytes: 0,
            reused: 0,
        };
        self.jobs.insert(wanted.id, job);
        true
    }

    /// An object is in the store.
    pub(super) fn end_job(&mut self, id: &ObjectId) {
        let Some(job) = self.jobs.remove(id) else { return };
        for number in &job.orders {
            if let Some(order) = self.orders.get_mut(number) {
                order.fetched.came += 1;
                order.fetched.bytes += job.bytes;
                order.fetched.reused += job.reused;
            }
            self.one_less(*number);
        }
    }

    /// Nobody has it.
    pub(super) fn fail_job(&mut self, id: &ObjectId) {
        let Some(job) = self.remove_job(id) else { return };
        for number in &job.orders {
            if let Some(order) = self.orders.get_mut(number) {
                order.fetched.missing.push(*id);
            }
            self.one_less(*number);
        }
    }

    /// Ends a job, and keeps what came of it.
    fn remove_job(&mut self, id: &ObjectId) -> Option<Job> {
        let mut job = self.jobs.remove(id)?;
        if let State::Chunks(chunked) = std::mem::replace(&mut job.state, State::Seeking) {
            self.partial.push_back((*id, chunked));
            if self.partial.len() > MAX_PARTIAL {
                self.partial.pop_front();
            }
        }
        Some(job)
    }

    fn one_less(&mut self, number: OrderId) {
        let Some(order) = self.orders.get_mut(&number) else { return };
        order.left -= 1;
        if order.left == 0 {
            let fetched = std::mem::take(&mut order.fetched);
            self.reply(number, Ok(fetched));
        }
    }

    fn reply(&mut self, number: OrderId, result: Result<Fetched, StoreError>) {
        let Some(order) = self.orders.remove(&number) else { return };
        match order.reply {
            // Who does not wait any more need not be told.
            Reply::Caller(caller) => caller.send(result).unwrap_or_default(),
            Reply::Relay { conn, request, ids } => {
                self.on_disk(move |store| Done::Relayed { conn, request, sizes: store.sizes(&ids, LEASE) })
            }
        }
    }

    pub(super) fn relayed(&mut self, conn: Conn, request: u32, sizes: Result<Vec<Option<u64>>, StoreError>) {
        let Some(peer) = self.peers.get_mut(&conn) else { return };
        peer.relaying -= 1;
        let said = match sizes {
            Ok(sizes) => peer.link.say(&Frame::Have { request, sizes, lease: LEASE.as_secs() as u32 }),
            Err(_) => peer.link.say(&Frame::Busy { request, retry: 1000 }),
        };
        if let Err(error) = said {
            self.broken(conn, error);
        }
    }

    /// The store cannot take it in: whoever waits for it is told why.
    pub(super) fn store_failed(&mut self, id: &ObjectId, error: &StoreError) {
        tracing::warn!(%id, %error, "what was fetched cannot be stored");
        let Some(job) = self.jobs.remove(id) else { return };
        for number in job.orders {
            self.reply(number, Err(error.clone()));
        }
    }

    /// A pod sent what is not what it is called: it is named and avoided.
    pub(super) fn suspect(&mut self, pod: &PodId, ids: &[ObjectId], why: String) {
        tracing::warn!(%pod, %why, "a pod lies; it is avoided for a while");
        if let Some(known) = self.pods.get_mut(pod) {
            known.punish(why, self.now);
        }
        for id in ids {
            let Some(job) = self.jobs.get(id) else { continue };
            for number in &job.orders {
                if let Some(order) = self.orders.get_mut(number)
                    && !order.fetched.suspects.contains(pod)
                {
                    order.fetched.suspects.push(*pod);
                }
            }
        }
        self.drop_holder(pod);
    }

    /// Nothing more is taken of a pod, for any object; what it holds alone is asked for elsewhere.
    pub(super) fn drop_holder(&mut self, pod: &PodId) {
        let held = self.jobs.iter().filter(|(_, job)| job.holds(pod).is_some());
        let held: Vec<ObjectId> = held.map(|(id, _)| *id).collect();
        held.iter().for_each(|id| self.lose_holder(id, pod, false));
        if let Some(conn) = self.pods.get(pod).and_then(|known| known.conn) {
            self.take_back(conn);
        }
    }

    /// Orders whose callers have gone.
    pub(super) fn check_orders(&mut self) {
        let gone = self.orders.iter().filter(|(_, order)| match &order.reply {
            Reply::Caller(caller) => caller.is_closed(),
            Reply::Relay { conn, .. } => !self.peers.contains_key(conn),
        });
        let gone: Vec<OrderId> = gone.map(|(number, _)| *number).collect();
        if gone.is_empty() {
            return;
        }
        for number in &gone {
            self.orders.remove(number);
            self.waiting_orders.remove(number);
        }
        let orphan = |job: &mut Job| {
            job.orders.retain(|number| !gone.contains(number));
            job.orders.is_empty()
        };
        let orphans: Vec<ObjectId> =
            self.jobs.iter_mut().filter_map(|(id, job)| orphan(job).then_some(*id)).collect();
        for id in orphans {
            self.withdraw(&id);
            self.remove_job(&id);
        }
    }

    /// What was asked for of an object is not wanted any more: those who were asked are told.
    pub(super) fn withdraw(&mut self, id: &ObjectId) {
        for peer in self.peers.values_mut() {
            let mut cancelled: Vec<(u32, Vec<u32>)> = Vec::new();
            for (&request, wanted) in &peer.requests {
                let of_it = (0u32..).zip(&wanted.items);
                let of_it = of_it.filter(|(_, flight)| flight.as_ref().is_some_and(|f| f.unit.0 == *id));
                let items: Vec<u32> = of_it.map(|(index, _)| index).collect();
                if !items.is_empty() {
                    cancelled.push((request, items));
                }
            }
            for (request, items) in cancelled {
                for &index in &items {
                    peer.land(request, index);
                }
                if let Err(error) = peer.link.say(&Frame::Cancel { request, items }) {
                    tracing::debug!(%error, "a cancel was not sent");
                }
            }
        }
    }
}
