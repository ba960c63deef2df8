//! The twin: a server in memory, to which any number of buses connect, and which breaks as it is told.
//!
//! Faults: [`MemoryServer::stop`] and [`start`](MemoryServer::start) (the server dies and comes back with its log),
//! [`lose_log`](MemoryServer::lose_log), [`roll_back`](MemoryServer::roll_back) (it comes back with an older log),
//! [`trim`](MemoryServer::trim) (old records are dropped), [`hold`](MemoryServer::hold) and
//! [`release`](MemoryServer::release) (delay: nothing is delivered meanwhile), [`lose_acks`](MemoryServer::lose_acks),
//! and for one bus [`MemoryBus::disconnect`] and [`reconnect`](MemoryBus::reconnect). No clock is read but for deadlines.

mod bus;
mod log;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

pub use bus::MemoryBus;

use super::{Connection, Message, SUBSCRIPTION_CAPACITY, subject};
use log::Log;

/// A server in memory. Clones are the same server.
#[derive(Clone)]
pub struct MemoryServer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts whatever a follower may have to look at.
    changes: watch::Sender<u64>,
}

struct State {
    up: bool,
    held: Option<VecDeque<Message>>,
    log: Option<Log>,
    lost_acks: usize,
    buses: Vec<Arc<Link>>,
    subscribers: Vec<Subscriber>,
    asked: HashMap<String, mpsc::Sender<bytes::Bytes>>,
    counts: Counts,
    next_reply: u64,
}

/// One bus's end of the line.
struct Link {
    state: watch::Sender<Connection>,
    cut: std::sync::atomic::AtomicBool,
}

struct Subscriber {
    link: Arc<Link>,
    pattern: String,
    sender: mpsc::Sender<Message>,
}

/// What the server has carried so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages sent, answers included.
    pub published: u64,
    /// Messages that arrived somewhere.
    pub delivered: u64,
    /// Bytes of them.
    pub delivered_bytes: u64,
    /// Records appended.
    pub appended: u64,
    /// Records told to followers.
    pub followed: u64,
}

impl Default for MemoryServer {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryServer {
    /// A server that is up and has no log.
    pub fn new() -> Self {
        let state = State {
            up: true,
            held: None,
            log: None,
            lost_acks: 0,
            buses: Vec::new(),
            subscribers: Vec::new(),
            asked: HashMap::new(),
            counts: Counts::default(),
            next_reply: 0,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::new(0) }) }
    }

    /// A new connection. One server serves one root.
    pub fn connect(&self) -> MemoryBus {
        let mut state = self.shared.state.lock();
        let link = Arc::new(Link {
            state: watch::Sender::new(if state.up { Connection::Up } else { down() }),
            cut: std::sync::atomic::AtomicBool::new(false),
        });
        state.buses.push(link.clone());
        drop(state);
        MemoryBus::new(self.shared.clone(), link)
    }

    /// The server dies: everybody is disconnected, and what was asked stays unanswered.
    pub fn stop(&self) {
        let mut state = self.shared.state.lock();
        state.up = false;
        state.asked.clear();
        self.shared.tell(&state);
    }

    /// The server comes back with the log that it had.
    pub fn start(&self) {
        let mut state = self.shared.state.lock();
        state.up = true;
        self.shared.tell(&state);
    }

    /// The log is gone with all its records.
    pub fn lose_log(&self) {
        self.shared.state.lock().log = None;
        self.shared.changed();
    }

    /// The log comes back as it was `records` appends ago, as from a backup.
    pub fn roll_back(&self, records: u64) {
        if let Some(log) = &mut self.shared.state.lock().log {
            log.roll_back(records);
        }
        self.shared.changed();
    }

    /// Drops the oldest records, but for the last `keep`.
    pub fn trim(&self, keep: usize) {
        if let Some(log) = &mut self.shared.state.lock().log {
            log.trim(keep);
        }
    }

    /// From now on nothing is delivered: neither messages nor records to followers.
    pub fn hold(&self) {
        self.shared.state.lock().held.get_or_insert_default();
    }

    /// Delivers what was held, in its order.
    pub fn release(&self) {
        let mut state = self.shared.state.lock();
        for message in state.held.take().unwrap_or_default() {
            state.deliver(&message);
        }
        drop(state);
        self.shared.changed();
    }

    /// The next `appends` are made, and then told as unknown.
    pub fn lose_acks(&self, appends: usize) {
        self.shared.state.lock().lost_acks = appends;
    }

    /// What it has carried.
    pub fn counts(&self) -> Counts {
        self.shared.state.lock().counts
    }

    /// How many records the log has now.
    pub fn log_len(&self) -> usize {
        self.shared.state.lock().log.as_ref().map_or(0, Log::len)
    }
}

impl Shared {
    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells each bus whether it is connected.
    fn tell(&self, state: &State) {
        for link in &state.buses {
            let up = state.up && !link.cut.load(std::sync::atomic::Ordering::SeqCst);
            let connection = if up { Connection::Up } else { down() };
            link.state.send_if_modified(|old| std::mem::replace(old, connection.clone()) != connection);
        }
        self.changed();
    }
}

impl State {
    /// To all who listen and are connected; how many those are.
    fn deliver(&mut self, message: &Message) -> usize {
        self.subscribers.retain(|subscriber| !subscriber.sender.is_closed());
        let mut heard = 0;
        for subscriber in &self.subscribers {
            if subscriber.link.is_up() && subject::matches(&subscriber.pattern, &message.subject) {
                heard += 1;
                if subscriber.sender.try_send(message.clone()).is_ok() {
                    self.counts.delivered += 1;
                    self.counts.delivered_bytes += message.payload.len() as u64;
                }
            }
        }
        heard
    }

    fn subscribe(&mut self, link: Arc<Link>, pattern: &str) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(SUBSCRIPTION_CAPACITY);
        self.subscribers.push(Subscriber { link, pattern: pattern.to_owned(), sender });
        receiver
    }

    fn has_listener(&self, subject: &str) -> bool {
        self.subscribers
            .iter()
            .any(|s| s.link.is_up() && !s.sender.is_closed() && subject::matches(&s.pattern, subject))
    }
}

impl Link {
    fn is_up(&self) -> bool {
        *self.state.borrow() == Connection::Up
    }
}

fn down() -> Connection {
    Connection::Down("the server in memory is not reachable".to_owned())
}
