//! What is wanted, of whom, and what came: the one task that decides.
//!
//! It owns all state and never waits for a disk or a pod: orders, connections' answers, finished disk work and a tick
//! come in, and after each of them everything that can be done is done. An object goes through *seeking* (HAVE? to a
//! few pods at a time), *whole* or *list → chunks*, each unit asked from exactly one pod, and *writing*. A unit
//! whose pod fails, stalls or lies is open again, for the others first. Nothing becomes visible that was not
//! hashed. What a crash loses is what was not finished; nothing else depends on it.
//!
//! Parts: [`ask`] finds holders, [`give`] hands units out, [`take`] puts together what comes, [`disk`] checks and
//! writes, [`links`] keeps connections, [`ends`] closes orders.

mod ask;
mod disk;
mod ends;
mod give;
mod job;
mod links;
mod pods;
mod take;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use protocol::{ObjectId, PodId};
use tokio::sync::{mpsc, oneshot, watch};

use crate::link::{Said, ToCore};
use crate::net::{Admit, Conn, Net, NetEvent, NetOrder};
use crate::options::Limits;
use crate::order::{FetchOrder, Fetched};
use crate::store::{Store, StoreError};
use crate::swarm::PodStatus;
use disk::{Done, ToStore};
use job::{Chunked, Job};
use pods::{Peer, Pod};

pub(crate) type OrderId = u64;

/// How often time-outs are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Events that are taken in before anything is done about them.
const BURST: usize = 64;
/// Objects that came in part and whose order ended; the oldest goes first.
const MAX_PARTIAL: usize = 16;
/// Events that wait for the core.
pub(crate) const INBOX: usize = 256;

/// What the handle asks for.
pub(crate) enum Call {
    Fetch { order: FetchOrder, reply: oneshot::Sender<Result<Fetched, StoreError>> },
    Learn { pod: PodId, addresses: Vec<Multiaddr> },
    Forget { pod: PodId },
    Status { reply: oneshot::Sender<Vec<PodStatus>> },
}

enum Reply {
    Caller(oneshot::Sender<Result<Fetched, StoreError>>),
    Relay { conn: Conn, request: u32, ids: Vec<ObjectId> },
}

struct Order {
    reply: Reply,
    left: usize,
    fetched: Fetched,
}

pub(crate) struct Core {
    me: PodId,
    store: Arc<dyn Store>,
    admit: Arc<dyn Admit>,
    limits: Limits,
    listening: watch::Sender<Vec<Multiaddr>>,
    net: mpsc::Sender<NetOrder>,
    to_core: ToCore,
    done: mpsc::UnboundedSender<Done>,
    pods: BTreeMap<PodId, Pod>,
    peers: BTreeMap<Conn, Peer>,
    jobs: HashMap<ObjectId, Job>,
    orders: HashMap<OrderId, Order>,
    waiting_orders: HashMap<OrderId, FetchOrder>,
    next_order: OrderId,
    partial: VecDeque<(ObjectId, Chunked)>,
    to_store: Vec<ToStore>,
    to_store_bytes: usize,
    disk_jobs: usize,
    /// When the event came that is being dealt with.
    now: Instant,
    admitted_at: Instant,
    turn: Conn,
}

pub(crate) struct CoreOptions {
    pub(crate) me: PodId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) admit: Arc<dyn Admit>,
    pub(crate) limits: Limits,
    pub(crate) listening: watch::Sender<Vec<Multiaddr>>,
}

/// Runs until the last handle is gone.
pub(crate) async fn run(options: CoreOptions, net: Net, mut calls: mpsc::Receiver<Call>) {
    let (to_core, mut said) = mpsc::channel::<(Conn, Said)>(INBOX);
    let (done, mut finished) = mpsc::unbounded_channel();
    let Net { orders, mut events } = net;
    let CoreOptions { me, store, admit, limits, listening } = options;
    let now = Instant::now();
    let mut core = Core {
        me,
        store,
        admit,
        limits,
        listening,
        net: orders,
        to_core,
        done,
        pods: BTreeMap::new(),
        peers: BTreeMap::new(),
        jobs: HashMap::new(),
        orders: HashMap::new(),
        waiting_orders: HashMap::new(),
        next_order: 0,
        partial: VecDeque::new(),
        to_store: Vec::new(),
        to_store_bytes: 0,
        disk_jobs: 0,
        now,
        admitted_at: now,
        turn: 0,
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) => { core.now = Instant::now(); core.call(call) }
                None => return,
            },
            event = events.recv() => match event {
                Some(event) => { core.now = Instant::now(); core.net_event(event) }
                None => return,
            },
            Some((conn, what)) = said.recv() => {
                core.now = Instant::now();
                core.said(conn, what);
                for _ in 0..BURST {
                    let Ok((conn, what)) = said.try_recv() else { break };
                    core.said(conn, what);
                }
            }
            Some(what) = finished.recv() => { core.now = Instant::now(); core.finished(what) }
            _ = tick.tick() => { core.now = Instant::now(); core.tick() }
        }
        core.act();
    }
}

impl Core {
    fn call(&mut self, call: Call) {
        match call {
            Call::Fetch { order, reply } => self.new_order(order, Reply::Caller(reply)),
            Call::Learn { pod, addresses } => self.learn(pod, addresses),
            Call::Forget { pod } => self.forget(&pod),
            // Who asked and has gone need not be told.
            Call::Status { reply } => reply.send(self.status()).unwrap_or_default(),
        }
    }

    fn net_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Listening(address) => self.listening.send_modify(|all| all.push(address)),
            NetEvent::NotListening(address) => {
                self.listening.send_modify(|all| all.retain(|known| *known != address));
            }
            NetEvent::Up { pod, conn, dialled, address, streams } => {
                self.up(pod, conn, dialled, address, streams);
            }
            NetEvent::Down { pod, conn, why } => self.down(&pod, conn, why),
            NetEvent::Unreachable { pod, why } => self.unreachable(&pod, why),
            NetEvent::Seen { pod, address } => {
                if pod != self.me && self.admit.admits(&pod) {
                    self.learn(pod, vec![address]);
                }
            }
        }
    }

    fn said(&mut self, conn: Conn, what: Said) {
        // A link that was let go may have had more to say.
        if !self.peers.contains_key(&conn) {
            return;
        }
        match what {
            Said::Hello => self.greeted(conn),
            Said::Have { request, sizes, lease } => self.have(conn, request, &sizes, lease),
            Said::Miss { request, items } => self.miss(conn, request, &items),
            Said::Busy { request, retry } => self.busy(conn, request, retry),
            Said::Fetch { request, from, ids, _place } => self.relay(conn, request, from, ids),
            Said::Data { lane, request, index, offset, total, bytes } => {
                let data = take::Came { lane, request, index, offset, total, bytes };
                if let Err(error) = self.data(conn, data) {
                    self.broken(conn, error);
                }
            }
            Said::Broken(error) => self.broken(conn, error),
        }
    }

    fn tick(&mut self) {
        self.check_admission();
        self.check_silence();
        self.check_pace();
        self.check_questions();
        self.check_stuck();
        self.check_orders();
        self.redial();
    }

    /// All that can be done now.
    fn act(&mut self) {
        self.ask_now();
        self.give_all();
        self.store_now();
        self.pay_credit();
    }
}
