//! What is known of each pod, and of the connection with it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use libp2p::Multiaddr;
use protocol::mesh::MAX_ADDRESSES;
use protocol::swarm::Lane;
use protocol::{ObjectId, PodId};

use super::job::Unit;
use crate::link::Link;
use crate::net::Conn;

/// The first wait before a pod is dialled again; it doubles with each failure.
const FIRST_BACK_OFF: Duration = Duration::from_millis(250);
/// The longest.
const LAST_BACK_OFF: Duration = Duration::from_secs(30);
/// How long a pod that sent wrong bytes is avoided the first time; it doubles with each time.
const FIRST_PENALTY: Duration = Duration::from_secs(60);
const LAST_PENALTY: Duration = Duration::from_secs(3600);

/// Bytes that may be outstanding at one pod: at first, at least, at most.
const FIRST_WINDOW: u64 = 2 << 20;
const LEAST_WINDOW: u64 = 512 << 10;
const MOST_WINDOW: u64 = 8 << 20;
/// A window grows by at most this for each unit that came soon.
const STEP: u64 = 256 << 10;
/// A unit that came within this time came soon.
const SOON: Duration = Duration::from_millis(300);
/// One that took longer than this waited in a queue that we made too long.
const LATE: Duration = Duration::from_millis(1500);
/// Bytes a second that a pod has to send of what is wanted of it: who sends less is as good as silent.
const LEAST_RATE: u64 = 16 << 10;
/// One that is too busy so many times in a row, and sends nothing, is so, too.
const MANY_REFUSALS: u32 = 3;

#[derive(Default)]
pub(super) struct Pod {
    pub(super) addresses: Vec<Multiaddr>,
    /// Connections are kept up, not only made when something is wanted.
    pub(super) kept: bool,
    pub(super) conn: Option<Conn>,
    pub(super) dialling: bool,
    failures: u32,
    pub(super) next_dial: Option<Instant>,
    /// Objects to ask for as soon as there is a connection.
    pub(super) waiting: Vec<ObjectId>,
    pub(super) waiting_since: Option<Instant>,
    pub(super) trouble: Option<String>,
    faults: u32,
    avoided_until: Option<Instant>,
    pub(super) received: u64,
}

impl Pod {
    pub(super) fn learn(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        for address in addresses {
            if !self.addresses.contains(&address) {
                self.addresses.insert(0, address);
            }
        }
        self.addresses.truncate(MAX_ADDRESSES);
    }

    pub(super) fn connected(&mut self, conn: Conn) {
        self.conn = Some(conn);
        self.dialling = false;
        self.next_dial = None;
    }

    /// A connection that has lasted is gone: the next dial need not wait for what was long ago.
    pub(super) fn lasted(&mut self) {
        self.failures = 0;
    }

    /// A dial failed or a connection went: the next dial waits longer, and not all wait equally long.
    pub(super) fn failed(&mut self, why: String, now: Instant, spread: u8) {
        self.dialling = false;
        self.trouble = Some(why);
        let wait = FIRST_BACK_OFF.saturating_mul(1 << self.failures.min(10)).min(LAST_BACK_OFF);
        self.next_dial = Some(now + wait.mul_f32(1.0 - f32::from(spread) / 1024.0));
        self.failures += 1;
    }

    /// It sent what is not what it is called, or broke the protocol.
    pub(super) fn punish(&mut self, why: String, now: Instant) {
        let time = FIRST_PENALTY.saturating_mul(1 << self.faults.min(10)).min(LAST_PENALTY);
        self.faults += 1;
        self.avoided_until = Some(now + time);
        self.trouble = Some(why);
    }

    pub(super) fn is_avoided(&self, now: Instant) -> bool {
        self.avoided_until.is_some_and(|until| until > now)
    }

    pub(super) fn faults(&self) -> u32 {
        self.faults
    }
}

/// An item that was asked for and has not come.
pub(super) struct Flight {
    pub(super) unit: Unit,
    /// None for a list, whose length only its sender knows.
    pub(super) length: Option<u32>,
    pub(super) since: Instant,
    pub(super) came: BytesMut,
}

/// A WANT.
pub(super) struct Request {
    pub(super) lane: Lane,
    pub(super) items: Vec<Option<Flight>>,
}

/// A HAVE? or a FETCH.
pub(super) struct Question {
    pub(super) ids: Vec<ObjectId>,
    pub(super) until: Instant,
    pub(super) relay: bool,
}

/// A connection as the core sees it.
pub(super) struct Peer {
    pub(super) pod: PodId,
    pub(super) link: Link,
    pub(super) dialled: bool,
    pub(super) since: Instant,
    pub(super) greeted: bool,
    pub(super) next_request: u32,
    pub(super) requests: HashMap<u32, Request>,
    pub(super) questions: HashMap<u32, Question>,
    pub(super) to_ask: Vec<ObjectId>,
    /// Objects to get from others, and from whom.
    pub(super) to_relay: Vec<(ObjectId, Vec<PodId>)>,
    /// Lists that were asked for and have not come.
    pub(super) lists: usize,
    /// Units that it could be asked for, of each lane; some were given to others meanwhile.
    pub(super) queues: [VecDeque<Unit>; 2],
    /// Bytes that were asked for and have not come, of each lane: what is urgent waits for no bulk.
    pub(super) outstanding: [u64; 2],
    window: u64,
    narrowed: Option<Instant>,
    heard: u64,
    heard_at: Instant,
    pub(super) pace: Pace,
    pub(super) busy_until: Option<Instant>,
    pub(super) stalls: u32,
    pub(super) owed: [u32; 2],
    pub(super) relaying: usize,
}

impl Peer {
    pub(super) fn new(pod: PodId, link: Link, dialled: bool, now: Instant) -> Self {
        Self {
            pod,
            link,
            dialled,
            since: now,
            greeted: false,
            next_request: 1,
            requests: HashMap::new(),
            questions: HashMap::new(),
            to_ask: Vec::new(),
            to_relay: Vec::new(),
            lists: 0,
            queues: Default::default(),
            outstanding: [0; 2],
            window: FIRST_WINDOW,
            narrowed: None,
            heard: 0,
            heard_at: now,
            pace: Pace::since(now),
            busy_until: None,
            stalls: 0,
            owed: [0; 2],
            relaying: 0,
        }
    }

    pub(super) fn number(&mut self) -> u32 {
        self.next_request += 1;
        self.next_request - 1
    }

    /// Bytes that may be asked for now on a lane.
    pub(super) fn room(&self, lane: Lane, now: Instant) -> u64 {
        if !self.greeted || self.busy_until.is_some_and(|until| until > now) {
            return 0;
        }
        self.window.saturating_sub(self.outstanding[lane.index()])
    }

    /// A unit came after so long: additive increase, multiplicative decrease.
    pub(super) fn came(&mut self, length: u64, after: Duration, now: Instant) {
        self.stalls = 0;
        if after < SOON {
            self.window = (self.window + length.min(STEP)).min(MOST_WINDOW);
        } else if after > LATE && self.narrowed.is_none_or(|last| now - last > LATE) {
            self.narrow(now);
        }
    }

    pub(super) fn narrow(&mut self, now: Instant) {
        self.narrowed = Some(now);
        self.window = (self.window / 4 * 3).max(LEAST_WINDOW);
    }

    /// How long nothing was heard of it while something was due.
    pub(super) fn silence(&mut self, now: Instant) -> Duration {
        let heard = self.link.heard();
        // What is fetched for us by another takes its time.
        let nothing_due = self.requests.is_empty() && self.questions.values().all(|question| question.relay);
        if heard != self.heard || nothing_due {
            (self.heard, self.heard_at) = (heard, now);
        }
        now - self.heard_at
    }
}

impl Peer {
    /// Starts the count of its silence anew.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// Whether it keeps us waiting, though it is not silent: for so long neither what it was asked for has come, nor bytes at
    /// [`LEAST_RATE`]; or it was too busy each time. Looked at from time to time.
    pub(super) fn dawdles(&mut self, window: Duration, now: Instant) -> bool {
        let &Pace { since, bytes, refusals } = &self.pace;
        if self.requests.is_empty() && refusals == 0 {
            self.pace = Pace::since(now);
            return false;
        }
        if now - since < window {
            return false;
        }
        self.pace = Pace::since(now);
        let mut flights = self.requests.values().flat_map(|request| request.items.iter().flatten());
        let is_owing = flights.any(|flight| flight.since <= since);
        let least = LEAST_RATE * window.as_millis() as u64 / 1000;
        (is_owing && bytes < least) || (refusals >= MANY_REFUSALS && bytes == 0)
    }
}

/// What came of a pod, of what was wanted.
pub(super) struct Pace {
    since: Instant,
    pub(super) bytes: u64,
    /// How often it was too busy.
    pub(super) refusals: u32,
}

impl Pace {
    /// Counted from now on.
    pub(super) fn since(now: Instant) -> Self {
        Self { since: now, bytes: 0, refusals: 0 }
    }
}
