//! Following the stream by an ordered consumer, and looking at the server again after whatever breaks it.
//!
//! The client would mend a consumer by itself after a reconnection; but then a stream that came back with less than it had would not be noticed.
//! So each reconnection begins with a look.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::log::NatsLog;
use super::with_sources;
use crate::bus::{BusError, Connection, Follow, Followed, Incarnation, Position, Record};

/// The pauses after an attempt that failed while the server was there.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(3),
];

pub(super) fn follow(
    log: Arc<NatsLog>,
    connection: watch::Receiver<Connection>,
    after: Option<Position>,
) -> Follow {
    if let Some(position) = after {
        log.saw(position.incarnation);
    }
    let follower = Follower {
        log,
        connection,
        cursor: after,
        told: None,
        interrupted: false,
        failures: 0,
        running: None,
        ready: VecDeque::new(),
    };
    stream::unfold(follower, |mut follower| async { Some((follower.next().await, follower)) }).boxed()
}

/// After so long a silence the server is looked at: a consumer may have got stuck, or the stream been deleted.
const LOOK_AFTER: Duration = Duration::from_secs(10);

struct Follower {
    log: Arc<NatsLog>,
    connection: watch::Receiver<Connection>,
    /// The last record that was told.
    cursor: Option<Position>,
    /// The incarnation that was told last.
    told: Option<Incarnation>,
    interrupted: bool,
    failures: usize,
    running: Option<Running>,
    ready: VecDeque<Followed>,
}

struct Running {
    incarnation: Incarnation,
    messages: Ordered,
    /// Until this sequence the follower is behind; none when it was told that it is not.
    behind: Option<u64>,
}

impl Follower {
    async fn next(&mut self) -> Followed {
        loop {
            if let Some(followed) = self.ready.pop_front() {
                return followed;
            }
            let connection = self.connection.borrow_and_update().clone();
            if let Connection::Down(why) = connection {
                self.interrupt(why);
                if self.ready.is_empty() && self.connection.changed().await.is_err() {
                    futures::future::pending::<()>().await;
                }
                continue;
            }
            let outcome = match &mut self.running {
                None => self.begin().await,
                Some(running) => {
                    tokio::select! {
                        biased;
                        // Whatever it was, it calls for a look.
                        _ = self.connection.changed() => {
                            self.running = None;
                            continue;
                        }
                        message = running.messages.next() => match message {
                            Some(Ok(message)) => self.take(&message),
                            Some(Err(error)) => Err(with_sources(&error)),
                            None => Err("the server ended it".to_owned()),
                        },
                        () = tokio::time::sleep(LOOK_AFTER) => look(self.log.clone(), self.cursor).await,
                    }
                }
            };
            match outcome {
                Ok(()) => {}
                Err(why) => {
                    self.interrupt(why);
                    let pause = PAUSES[self.failures.min(PAUSES.len() - 1)];
                    self.failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn interrupt(&mut self, why: String) {
        self.running = None;
        if !self.interrupted {
            self.interrupted = true;
            self.ready.push_back(Followed::Interrupted(why));
        }
    }

    /// Looks at the server, and begins where we were.
    async fn begin(&mut self) -> Result<(), String> {
        let words = |error: BusError| error.to_string();
        let mut present = self.log.present().await.map_err(words)?;
        if let Some(cursor) = self.cursor
            && cursor.incarnation == present.incarnation
            && present.last_sequence < cursor.sequence
        {
            tracing::warn!(%cursor, "the log on the NATS server has lost its end: it is made anew");
            self.log.drop_log(cursor.incarnation).await.map_err(words)?;
            present = self.log.present().await.map_err(words)?;
        }
        let incarnation = present.incarnation;
        let after = self
            .cursor
            .filter(|cursor| cursor.incarnation == incarnation)
            .map_or(0, |cursor| cursor.sequence);
        let consumer = present
            .stream
            .create_consumer(OrderedConfig {
                deliver_subject: self.log.inbox(),
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
                replay_policy: ReplayPolicy::Instant,
                ..OrderedConfig::default()
            })
            .await
            .map_err(|error| with_sources(&error))?;
        let messages = consumer.messages().await.map_err(|error| with_sources(&error))?;
        if self.told != Some(incarnation) {
            self.told = Some(incarnation);
            self.ready.push_back(Followed::Incarnation(incarnation));
        }
        self.cursor = Some(Position { incarnation, sequence: after });
        self.interrupted = false;
        self.failures = 0;
        // Records up to the end may have been replaced by later ones, so the end itself is always there to be waited for, unless it was trimmed.
        let behind = (present.last_sequence > after).then_some(present.last_sequence);
        if behind.is_none() {
            self.ready.push_back(Followed::CaughtUp(Position { incarnation, sequence: after }));
        }
        self.running = Some(Running { incarnation, messages, behind });
        Ok(())
    }

    fn take(&mut self, message: &async_nats::jetstream::Message) -> Result<(), String> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let info = message.info().map_err(|error| error.to_string())?;
        let position = Position { incarnation: running.incarnation, sequence: info.stream_sequence };
        if self.cursor.is_some_and(|cursor| position <= cursor) {
            return Ok(());
        }
        self.cursor = Some(position);
        if let Some(subject) = self.log.relative(message.subject.as_str()) {
            let payload = message.payload.clone();
            self.ready.push_back(Followed::Record(Record { subject: subject.to_owned(), position, payload }));
        }
        if running.behind.is_some_and(|end| position.sequence >= end || info.pending == 0) {
            running.behind = None;
            self.ready.push_back(Followed::CaughtUp(position));
        }
        Ok(())
    }
}

/// An error if there is more to be told, or another log.
async fn look(log: Arc<NatsLog>, cursor: Option<Position>) -> Result<(), String> {
    let present = log.present().await.map_err(|error| error.to_string())?;
    let there = Position { incarnation: present.incarnation, sequence: present.last_sequence };
    match cursor {
        Some(cursor) if cursor == there => Ok(()),
        _ => Err(format!("there is {there}, and it was not told")),
    }
}
