//! One connection to the server in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::{mpsc, watch};

use super::{Link, Log, Shared, State};
use crate::bus::{
    Answers, Bus, BusError, Connection, Expect, Follow, Followed, Incarnation, Message, Position, Record,
    ReplyTo, SUBSCRIPTION_CAPACITY, Subscription, subject,
};

/// A bus on a server in memory.
pub struct MemoryBus {
    shared: Arc<Shared>,
    link: Arc<Link>,
    /// The highest incarnation number that it has met.
    seen: Arc<AtomicU64>,
}

impl MemoryBus {
    pub(super) fn new(shared: Arc<Shared>, link: Arc<Link>) -> Self {
        Self { shared, link, seen: Arc::default() }
    }

    /// Cuts this bus off; the others stay.
    pub fn disconnect(&self) {
        self.link.cut.store(true, Ordering::SeqCst);
        self.shared.tell(&self.shared.state.lock());
    }

    /// Undoes [`disconnect`](Self::disconnect).
    pub fn reconnect(&self) {
        self.link.cut.store(false, Ordering::SeqCst);
        self.shared.tell(&self.shared.state.lock());
    }

    fn online(&self) -> Result<(), BusError> {
        match &*self.link.state.borrow() {
            Connection::Up => Ok(()),
            Connection::Down(why) => Err(BusError::Offline(why.clone())),
        }
    }
}

/// The log as it is now; a new one if there is none, or an older one than was seen.
fn present<'a>(state: &'a mut State, seen: &AtomicU64) -> &'a mut Log {
    let floor = seen.load(Ordering::SeqCst);
    let stale = state.log.as_ref().is_some_and(|log| log.incarnation.number < floor);
    if stale {
        state.log = None;
    }
    let log = state.log.get_or_insert_with(|| Log::new(Incarnation::after(floor)));
    seen.fetch_max(log.incarnation.number, Ordering::SeqCst);
    log
}

impl Bus for MemoryBus {
    fn publish<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let mut state = self.shared.state.lock();
            state.send(Message { subject: subject.to_owned(), payload, reply: None });
            Ok(())
        }
        .boxed()
    }

    fn respond<'a>(&'a self, to: &'a ReplyTo, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            subject::check_message("reply", payload.len())?;
            self.online()?;
            let mut state = self.shared.state.lock();
            state.counts.published += 1;
            let size = payload.len() as u64;
            // Whoever asked may have stopped waiting.
            if state.asked.get(&to.0).is_some_and(|asker| asker.try_send(payload).is_ok()) {
                state.counts.delivered += 1;
                state.counts.delivered_bytes += size;
            }
            Ok(())
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Subscription, BusError>> {
        async move {
            if !subject::is_pattern(pattern) {
                return Err(BusError::BadSubject(pattern.to_owned()));
            }
            self.online()?;
            let receiver = self.shared.state.lock().subscribe(self.link.clone(), pattern);
            Ok(stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|m| (m, receiver))
            })
            .boxed())
        }
        .boxed()
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let Some(mut answers) = self.shared.state.lock().ask(subject, payload) else {
                return Err(BusError::Nobody(subject.to_owned()));
            };
            match tokio::time::timeout(deadline, answers.recv()).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(BusError::Offline("the server in memory went away".to_owned())),
                Err(_) => Err(BusError::Late { subject: subject.to_owned(), deadline }),
            }
        }
        .boxed()
    }

    fn ask_all<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Answers, BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let asked = self.shared.state.lock().ask(subject, payload);
            let answers = asked.map(|receiver| {
                stream::unfold(receiver, |mut receiver| async {
                    receiver.recv().await.map(|answer| (answer, receiver))
                })
            });
            Ok(stream::iter(answers).flatten().boxed())
        }
        .boxed()
    }

    fn log(&self) -> BoxFuture<'_, Result<Incarnation, BusError>> {
        async move {
            self.online()?;
            Ok(present(&mut self.shared.state.lock(), &self.seen).incarnation)
        }
        .boxed()
    }

    fn append<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Position, BusError>> {
        async move {
            subject::check_record(subject, payload.len())?;
            self.online()?;
            let mut state = self.shared.state.lock();
            let position = present(&mut state, &self.seen).append(subject, payload, expect)?;
            state.counts.appended += 1;
            let lost = state.lost_acks > 0;
            state.lost_acks = state.lost_acks.saturating_sub(1);
            drop(state);
            self.shared.changed();
            if lost {
                let cause = "the answer was lost".to_owned();
                return Err(BusError::Unknown { subject: subject.to_owned(), cause });
            }
            Ok(position)
        }
        .boxed()
    }

    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<Record>, BusError>> {
        async move {
            subject::check_record(subject, 0)?;
            self.online()?;
            Ok(present(&mut self.shared.state.lock(), &self.seen).last(subject))
        }
        .boxed()
    }

    fn follow(&self, after: Option<Position>) -> Follow {
        if let Some(position) = after {
            self.seen.fetch_max(position.incarnation.number, Ordering::SeqCst);
        }
        let follower = Follower {
            shared: self.shared.clone(),
            link: self.link.clone(),
            seen: self.seen.clone(),
            changes: self.shared.changes.subscribe(),
            cursor: after,
            begun: false,
            interrupted: false,
            caught_up: false,
            ready: VecDeque::new(),
        };
        stream::unfold(follower, |mut follower| async { Some((follower.next().await, follower)) }).boxed()
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.link.state.subscribe()
    }
}

impl State {
    /// Asks whoever listens; none if nobody does.
    fn ask(&mut self, subject: &str, payload: Bytes) -> Option<mpsc::Receiver<Bytes>> {
        if !self.has_listener(subject) {
            return None;
        }
        let (asker, answers) = mpsc::channel(SUBSCRIPTION_CAPACITY);
        self.next_reply += 1;
        let reply = format!("reply.{}", self.next_reply);
        self.asked.retain(|_, asker| !asker.is_closed());
        self.asked.insert(reply.clone(), asker);
        self.send(Message { subject: subject.to_owned(), payload, reply: Some(ReplyTo(reply)) });
        Some(answers)
    }

    fn send(&mut self, message: Message) {
        self.counts.published += 1;
        match &mut self.held {
            Some(held) => held.push_back(message),
            None => {
                self.deliver(&message);
            }
        }
    }
}

struct Follower {
    shared: Arc<Shared>,
    link: Arc<Link>,
    seen: Arc<AtomicU64>,
    changes: watch::Receiver<u64>,
    cursor: Option<Position>,
    begun: bool,
    interrupted: bool,
    caught_up: bool,
    ready: VecDeque<Followed>,
}

impl Follower {
    async fn next(&mut self) -> Followed {
        loop {
            if let Some(followed) = self.ready.pop_front() {
                return followed;
            }
            self.changes.borrow_and_update();
            self.look();
            if self.ready.is_empty() && self.changes.changed().await.is_err() {
                futures::future::pending::<()>().await;
            }
        }
    }

    fn look(&mut self) {
        if !self.link.is_up() {
            if !self.interrupted {
                self.interrupted = true;
                self.ready
                    .push_back(Followed::Interrupted("the server in memory is not reachable".to_owned()));
            }
            return;
        }
        let mut state = self.shared.state.lock();
        if state.held.is_some() {
            return;
        }
        self.caught_up &= !std::mem::take(&mut self.interrupted);
        if let (Some(log), Some(cursor)) = (&state.log, self.cursor)
            && log.incarnation == cursor.incarnation
            && log.last_sequence < cursor.sequence
        {
            // It has forgotten what it has told: its sequences would repeat.
            state.log = None;
            self.seen.fetch_max(cursor.incarnation.number, Ordering::SeqCst);
        }
        let log = present(&mut state, &self.seen);
        let same = self.cursor.is_some_and(|cursor| cursor.incarnation == log.incarnation);
        if !same || !self.begun {
            self.ready.push_back(Followed::Incarnation(log.incarnation));
            self.begun = true;
            self.caught_up = false;
        }
        let mut at = if same { self.cursor.map_or(0, |cursor| cursor.sequence) } else { 0 };
        if let Some(record) = log.next_after(at) {
            at = record.position.sequence;
            self.ready.push_back(Followed::Record(record));
        } else if !self.caught_up {
            at = log.last_sequence;
            self.caught_up = true;
            self.ready.push_back(Followed::CaughtUp(log.end()));
        }
        self.cursor = Some(Position { incarnation: log.incarnation, sequence: at });
        if matches!(self.ready.back(), Some(Followed::Record(_))) {
            state.counts.followed += 1;
        }
    }
}
