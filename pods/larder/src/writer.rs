//! The one thread that writes to the index.
//!
//! It is woken, gathers for a moment, takes the rows of the lanes (whose bytes are written to the packs first: data,
//! then database), commits, and tells those who wait. Its queue is bounded; who puts faster than it commits waits.
//! If a commit fails – a full disk – the batch is kept and tried again, puts are refused meanwhile, and reading
//! goes on. A crash of the process loses nothing that matters: the next open finds it in the packs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use rusqlite::Connection;

use crate::LarderError;
use crate::fault::{Effect, Faults};
use crate::index::{self, Batch, Change, Index};
use crate::options::CommitOptions;
use crate::packs::{Packs, Spot};
use crate::places::{Place, Places};
use crate::quarantine::Quarantine;
use crate::record::Row;
use crate::syncer::Nudge;
use crate::traces::TraceBook;

/// What waits for the writer at most, beside the rows in the lanes.
const QUEUE: usize = 8192;
/// How often a commit that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

pub(crate) enum Order {
    /// There are rows in the lanes.
    Wake,
    /// There are so many that they should be committed now.
    Hurry,
    Change(Change),
    /// Commit all that was ordered before, and say so.
    Flush(Sender<Result<(), LarderError>>),
    /// Replace the damaged database by an empty one.
    Reset(Sender<Result<(), LarderError>>),
    Stop,
}

/// What the writer shares with those who put and get.
pub(crate) struct Shared {
    pub(crate) packs: Packs,
    pub(crate) places: Places,
    pub(crate) index: Index,
    pub(crate) book: TraceBook,
    pub(crate) quarantine: Quarantine,
    /// Notes that were ordered and are not in the index yet.
    pub(crate) pending_notes: Mutex<usize>,
    pub(crate) nudge: Nudge,
    pub(crate) health: Health,
}

/// Whether the last commit succeeded.
#[derive(Default)]
pub(crate) struct Health {
    stuck: AtomicBool,
    failure: Mutex<Option<LarderError>>,
}

impl Shared {
    /// The error of the last commit, as long as it was not repeated with success.
    pub(crate) fn healthy(&self) -> Result<(), LarderError> {
        if !self.health.stuck.load(Ordering::Acquire) {
            return Ok(());
        }
        self.health.failure.lock().clone().map_or(Ok(()), Err)
    }

    fn set_failure(&self, failure: Option<LarderError>) {
        self.health.stuck.store(failure.is_some(), Ordering::Release);
        *self.health.failure.lock() = failure;
    }
}

/// The handle of the thread.
pub(crate) struct Writer {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
    max_rows: usize,
}

impl Writer {
    pub(crate) fn start(
        connection: Connection,
        shared: Arc<Shared>,
        options: &CommitOptions,
        faults: Faults,
        dir: PathBuf,
    ) -> Result<Self, LarderError> {
        let (orders, inbox) = bounded(QUEUE);
        let work = Work {
            connection,
            shared,
            inbox,
            gather: options.gather,
            max_rows: options.max_rows,
            faults,
            dir: dir.clone(),
            batch: Batch::default(),
            waiting: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("larder-writer".into())
            .spawn(move || work.run())
            .map_err(|error| LarderError::io("start the writer of", &dir, error))?;
        Ok(Self { orders, thread: Some(thread), max_rows: options.max_rows })
    }

    /// Rows wait in a lane, this many.
    pub(crate) fn wake(&self, rows: usize) -> Result<(), LarderError> {
        if rows >= 2 * self.max_rows {
            // The writer is behind: this is where those who put wait for it.
            self.flush()
        } else if rows == self.max_rows {
            self.send(Order::Hurry)
        } else if rows == 1 {
            self.send(Order::Wake)
        } else {
            Ok(())
        }
    }

    pub(crate) fn change(&self, change: Change) -> Result<(), LarderError> {
        self.send(Order::Change(change))
    }

    /// Waits until all that was put and ordered before is committed.
    pub(crate) fn flush(&self) -> Result<(), LarderError> {
        self.ask(Order::Flush)
    }

    /// Replaces the database by an empty one.
    pub(crate) fn reset(&self) -> Result<(), LarderError> {
        self.ask(Order::Reset)
    }

    fn ask(&self, order: impl FnOnce(Sender<Result<(), LarderError>>) -> Order) -> Result<(), LarderError> {
        let (answer, wait) = bounded(1);
        self.send(order(answer))?;
        wait.recv().map_err(|_| LarderError::Closed)?
    }

    fn send(&self, order: Order) -> Result<(), LarderError> {
        self.orders.send(order).map_err(|_| LarderError::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let stopped = self.send(Order::Stop).is_ok();
        if let Some(thread) = self.thread.take()
            && (thread.join().is_err() || !stopped)
        {
            tracing::error!("the larder's writer had ended before its time");
        }
    }
}

struct Work {
    connection: Connection,
    shared: Arc<Shared>,
    inbox: Receiver<Order>,
    gather: Duration,
    max_rows: usize,
    faults: Faults,
    dir: PathBuf,
    batch: Batch,
    waiting: Vec<Sender<Result<(), LarderError>>>,
}

impl Work {
    fn run(mut self) {
        let mut running = true;
        while running {
            let stuck = self.shared.healthy().is_err();
            let first = if stuck {
                self.inbox.recv_timeout(RETRY)
            } else {
                self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let deadline = Instant::now() + self.gather;
            let mut urgent = stuck;
            match first {
                Ok(order) => urgent |= self.take(order, &mut running),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => running = false,
            }
            while running && !urgent && self.batch.changes.len() < self.max_rows {
                match self.inbox.recv_deadline(deadline) {
                    Ok(order) => urgent |= self.take(order, &mut running),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => running = false,
                }
            }
            let result = self.commit();
            for waiting in self.waiting.drain(..) {
                // Who does not wait any more need not be told.
                waiting.send(result.clone()).unwrap_or_default();
            }
        }
    }

    /// Takes an order; true if there is to be a commit now.
    fn take(&mut self, order: Order, running: &mut bool) -> bool {
        match order {
            Order::Wake => return false,
            Order::Change(change) => {
                self.batch.changes.push(change);
                return false;
            }
            Order::Hurry => {}
            Order::Flush(waiting) => self.waiting.push(waiting),
            Order::Reset(waiting) => {
                let result = self.reset();
                waiting.send(result).unwrap_or_default();
            }
            Order::Stop => *running = false,
        }
        true
    }

    fn commit(&mut self) -> Result<(), LarderError> {
        let result = self.try_commit();
        match &result {
            Ok(()) => {
                if self.shared.healthy().is_err() {
                    tracing::info!("the larder can be written again");
                    self.shared.set_failure(None);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "what was put is not in the larder's index yet; it is tried again");
                self.shared.set_failure(Some(error.clone()));
            }
        }
        result
    }

    fn try_commit(&mut self) -> Result<(), LarderError> {
        self.shared.packs.harvest(&mut self.batch.harvest)?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let path = self.shared.index.path().to_owned();
        self.faults.before(Effect::Commit).map_err(|error| LarderError::io("write", &path, error))?;
        index::apply(&mut self.connection, &mut self.batch)
            .map_err(|error| LarderError::index(&path, error))?;
        let batch = std::mem::take(&mut self.batch);
        let bytes = !batch.harvest.rows.is_empty()
            || batch.changes.iter().any(|change| matches!(change, Change::Blob { .. }));
        self.settle(batch);
        if bytes {
            self.shared.nudge.nudge();
        }
        Ok(())
    }

    fn settle(&self, batch: Batch) {
        let packed = batch.harvest.rows.iter().filter_map(|row| match *row {
            Row::Object { digest, kind, pack, offset, length } => {
                Some((digest, Place::Packed { kind, spot: Spot { pack, offset, length } }))
            }
            _ => None,
        });
        self.shared.places.settle(packed);
        let mut notes = 0;
        let whole = batch.changes.iter().filter_map(|change| match *change {
            Change::Blob { digest, size, mark } => Some((digest, Place::Whole { size, mark })),
            Change::Note { .. } => {
                notes += 1;
                None
            }
            Change::Hit { weak, .. } => {
                self.shared.book.settle_weak(&weak);
                None
            }
            _ => None,
        });
        self.shared.places.settle(whole);
        *self.shared.pending_notes.lock() -= notes;
        for row in &batch.harvest.rows {
            if let Row::Trace(entry) = row {
                self.shared.book.settle(entry);
            }
        }
    }

    fn reset(&mut self) -> Result<(), LarderError> {
        let path = self.shared.index.path().to_owned();
        // The packs of today may not be called indexed until they were read again.
        self.shared.packs.end_tails(&mut self.batch.harvest)?;
        self.batch.harvest.indexed.clear();
        let memory = Connection::open_in_memory().map_err(|error| LarderError::index(&path, error))?;
        drop(std::mem::replace(&mut self.connection, memory));
        self.shared.quarantine.take_index(&path)?;
        self.shared.index.reconnect();
        self.connection = index::open(&self.dir, &path, &self.shared.quarantine)?.connection;
        self.shared.places.clear_known();
        Ok(())
    }
}
