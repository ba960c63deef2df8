//! Sending what the other side wants: jobs in order, filled into runs by threads that may block, written lane by lane.
//!
//! An urgent job goes before all bulk jobs of this link. A run is at most [`RUN`] bytes and never more than the credit
//! of its lane; small objects share one. One run is filled while the one before is written.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::AsyncWriteExt as _;
use futures::io::WriteHalf;
use parking_lot::Mutex;
use protocol::ObjectId;
use protocol::swarm::{ChunkList, Data, Frame, Item, Lane, MAX_DATA, MAX_ITEMS, data_header};
use tokio::sync::{Notify, mpsc};

use super::{Control, LEASE, LinkError};
use crate::net::BoxedStream;
use crate::store::{Content, Store, StoreError};
use crate::{chunk_list, is_chunked};

/// Bytes of content in one run.
const RUN: usize = 512 << 10;
/// Objects in one run.
const RUN_JOBS: usize = 256;
/// A part of an item that is not its last is at least so long.
const LEAST_PART: u64 = 64 << 10;
/// Items that wait on one link; beyond that the pod is told that we are busy.
const MAX_JOBS: usize = 4 * MAX_ITEMS;
/// Credit is never more than this, whatever we are given.
const MAX_CREDIT: u64 = 64 << 20;
/// After what time a pod that was told that we are busy may ask again.
const RETRY: Duration = Duration::from_millis(200);
/// Objects whose chunk lists are to be made ahead, on one link.
const LISTS_AHEAD: usize = 64;

pub(crate) struct Serving {
    store: Arc<dyn Store>,
    lanes: Mutex<[LaneJobs; 2]>,
    wake: [Notify; 2],
    offered: Mutex<VecDeque<ObjectId>>,
    offer: Notify,
}

#[derive(Default)]
struct LaneJobs {
    queue: VecDeque<Job>,
    credit: u64,
}

struct Job {
    request: u32,
    index: u32,
    item: Item,
    /// What was sent of it.
    sent: u64,
}

impl Serving {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            lanes: Mutex::default(),
            wake: [Notify::new(), Notify::new()],
            offered: Mutex::default(),
            offer: Notify::new(),
        }
    }

    /// Which of these are there; chunk lists of what is offered are made ahead.
    pub(crate) async fn answer(self: &Arc<Self>, request: u32, ids: Vec<ObjectId>) -> Frame<'static> {
        let store = self.store.clone();
        let answer = tokio::task::spawn_blocking(move || (store.sizes(&ids, LEASE), ids)).await;
        match answer {
            Ok((Ok(sizes), ids)) => {
                let big = ids.iter().zip(&sizes).filter(|(_, size)| size.is_some_and(is_chunked));
                let mut offered = self.offered.lock();
                big.for_each(|(id, _)| {
                    if offered.len() < LISTS_AHEAD {
                        offered.push_back(*id);
                    }
                });
                self.offer.notify_one();
                Frame::Have { request, sizes, lease: LEASE.as_secs() as u32 }
            }
            Ok((Err(error), _)) => {
                tracing::warn!(%error, "a question could not be answered");
                busy(request)
            }
            Err(_) => busy(request),
        }
    }

    /// Takes an order for bytes, or says why not.
    pub(crate) fn want(&self, request: u32, lane: Lane, items: Vec<Item>) -> Result<(), Frame<'static>> {
        let mut lanes = self.lanes.lock();
        if lanes.iter().map(|lane| lane.queue.len()).sum::<usize>() + items.len() > MAX_JOBS {
            return Err(busy(request));
        }
        let jobs = (0..).zip(items).map(|(index, item)| Job { request, index, item, sent: 0 });
        lanes[lane.index()].queue.extend(jobs);
        drop(lanes);
        self.wake[lane.index()].notify_one();
        Ok(())
    }

    pub(crate) fn cancel(&self, request: u32, items: &[u32]) {
        let stays = |job: &Job| job.request != request || !(items.is_empty() || items.contains(&job.index));
        self.lanes.lock().iter_mut().for_each(|lane| lane.queue.retain(stays));
        self.wake[Lane::Bulk.index()].notify_one();
    }

    pub(crate) fn add_credit(&self, lane: Lane, bytes: u32) {
        let mut lanes = self.lanes.lock();
        let credit = &mut lanes[lane.index()].credit;
        *credit = credit.saturating_add(bytes.into()).min(MAX_CREDIT);
        drop(lanes);
        self.wake[lane.index()].notify_one();
    }

    /// Jobs to fill a run with, and how many bytes it may have. The urgent lane goes first.
    fn take(&self, lane: Lane) -> Option<(VecDeque<Job>, u64)> {
        let mut lanes = self.lanes.lock();
        if lane == Lane::Bulk && !lanes[Lane::Urgent.index()].queue.is_empty() {
            return None;
        }
        let jobs = &mut lanes[lane.index()];
        if jobs.queue.is_empty() || jobs.credit == 0 {
            return None;
        }
        let count = jobs.queue.len().min(RUN_JOBS);
        Some((jobs.queue.drain(..count).collect(), jobs.credit.min(RUN as u64)))
    }

    /// Gives back what did not fit, in its order.
    fn give_back(&self, lane: Lane, rest: VecDeque<Job>, used: u64) -> bool {
        let mut lanes = self.lanes.lock();
        let jobs = &mut lanes[lane.index()];
        jobs.credit = jobs.credit.saturating_sub(used);
        rest.into_iter().rev().for_each(|job| jobs.queue.push_front(job));
        lane == Lane::Urgent && jobs.queue.is_empty()
    }
}

fn busy(request: u32) -> Frame<'static> {
    Frame::Busy { request, retry: RETRY.as_millis() as u32 }
}

/// What a thread made of some jobs.
struct Run {
    bytes: Vec<u8>,
    /// Of content.
    used: u64,
    misses: Vec<(u32, u32)>,
    rest: VecDeque<Job>,
    open: Option<Opened>,
}

/// The content that was read last: parts of one object follow each other.
struct Opened {
    item: Item,
    content: Content,
}

/// Fills runs of a lane, as long as the link lasts.
pub(super) async fn fill(
    lane: Lane,
    serving: Arc<Serving>,
    control: Control,
    runs: mpsc::Sender<Vec<u8>>,
) -> Result<(), LinkError> {
    let mut open = None;
    loop {
        let Some((jobs, budget)) = serving.take(lane) else {
            serving.wake[lane.index()].notified().await;
            continue;
        };
        let (store, last) = (serving.store.clone(), open.take());
        let run = tokio::task::spawn_blocking(move || fill_run(&*store, jobs, budget, last));
        let run = run.await.map_err(std::io::Error::other)?;
        open = run.open;
        let drained = serving.give_back(lane, run.rest, run.used);
        let mut misses = run.misses;
        while let Some(&(request, _)) = misses.first() {
            let items = misses.iter().filter(|miss| miss.0 == request).map(|miss| miss.1).collect();
            misses.retain(|miss| miss.0 != request);
            control.answer(&Frame::Miss { request, items }).await?;
        }
        if run.bytes.is_empty() {
            if run.used == 0 && serving.lanes.lock()[lane.index()].credit < LEAST_PART {
                serving.wake[lane.index()].notified().await;
            }
        } else if runs.send(run.bytes).await.is_err() {
            return Ok(());
        }
        if drained {
            serving.wake[Lane::Bulk.index()].notify_one();
        }
    }
}

/// Writes the runs of a lane.
pub(super) async fn write(
    mut runs: mpsc::Receiver<Vec<u8>>,
    mut stream: WriteHalf<BoxedStream>,
) -> Result<(), LinkError> {
    while let Some(run) = runs.recv().await {
        stream.write_all(&run).await?;
        if runs.is_empty() {
            stream.flush().await?;
        }
    }
    Ok(())
}

fn fill_run(store: &dyn Store, mut jobs: VecDeque<Job>, budget: u64, open: Option<Opened>) -> Run {
    let mut run = Run { bytes: Vec::new(), used: 0, misses: Vec::new(), rest: VecDeque::new(), open };
    while let Some(mut job) = jobs.pop_front() {
        match job.fill(store, budget, &mut run) {
            Ok(Filled::Whole) => {}
            Ok(Filled::Part) => {
                jobs.push_front(job);
                break;
            }
            Ok(Filled::Absent) => run.misses.push((job.request, job.index)),
            Err(error) => {
                tracing::warn!(item = ?job.item, %error, "what a pod wants could not be read");
                run.misses.push((job.request, job.index));
            }
        }
    }
    run.rest = jobs;
    run
}

enum Filled {
    Whole,
    Part,
    Absent,
}

impl Job {
    fn fill(&mut self, store: &dyn Store, budget: u64, run: &mut Run) -> Result<Filled, StoreError> {
        let Some(content) = content(store, &self.item, &mut run.open)? else { return Ok(Filled::Absent) };
        let (start, total) = match self.item {
            Item::Part { offset, length, .. } if offset + u64::from(length) <= content.size() => {
                (offset, length.into())
            }
            Item::Part { .. } => return Ok(Filled::Absent),
            Item::Whole(_) | Item::Chunks(_) => (0, content.size()),
        };
        loop {
            let (left, room) = (total - self.sent, budget - run.used);
            let length = left.min(room).min(MAX_DATA as u64);
            if left > 0 && length < left.min(LEAST_PART) {
                return Ok(Filled::Part);
            }
            let (request, index, offset) = (self.request, self.index, self.sent);
            // The header knows the length of what follows it; the bytes are read to where they are sent from.
            let place = run.bytes.len();
            let header = header(Data { request, index, offset, total, bytes: &[] }, length as usize);
            run.bytes.extend_from_slice(&header);
            if let Err(error) = content.append(start + offset, length as usize, &mut run.bytes) {
                run.bytes.truncate(place);
                return Err(error.into());
            }
            self.sent += length;
            run.used += length;
            if self.sent == total {
                return Ok(Filled::Whole);
            }
        }
    }
}

fn header(data: Data<'_>, length: usize) -> Vec<u8> {
    let mut header = data_header(&data);
    let behind = (header.len() - 4 + length) as u32;
    header[..4].copy_from_slice(&behind.to_le_bytes());
    header
}

fn content(store: &dyn Store, item: &Item, open: &mut Option<Opened>) -> Result<Option<Content>, StoreError> {
    let key = match item {
        Item::Part { id, .. } => Item::Whole(*id),
        other => *other,
    };
    if let Some(opened) = open.as_ref().filter(|opened| opened.item == key) {
        return Ok(Some(opened.content.clone()));
    }
    let found = match &key {
        Item::Chunks(id) => list_of(store, id)?.map(|list| Content::Bytes(list.encode().into())),
        other => store.open(&other.id())?,
    };
    *open = found.clone().map(|content| Opened { item: key, content });
    Ok(found)
}

/// An object's chunk list: the one that was kept, or a new one.
pub(crate) fn list_of(store: &dyn Store, id: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError> {
    /// One list at a time: two who ask for the same one make it once.
    static MAKING: Mutex<()> = Mutex::new(());
    if let Some(list) = store.chunk_list(id)? {
        return Ok(Some(list));
    }
    let _making = MAKING.lock();
    if let Some(list) = store.chunk_list(id)? {
        return Ok(Some(list));
    }
    let Some(content) = store.open(id)? else { return Ok(None) };
    let Some(list) = chunk_list(*id, &content)?.map(Arc::new) else { return Ok(None) };
    store.keep_chunk_list(list.clone())?;
    Ok(Some(list))
}

/// Makes the lists of what was offered before anybody wants them.
pub(super) async fn make_lists(serving: Arc<Serving>) -> Result<(), LinkError> {
    loop {
        let next = serving.offered.lock().pop_front();
        let Some(id) = next else {
            serving.offer.notified().await;
            continue;
        };
        let store = serving.store.clone();
        let made = tokio::task::spawn_blocking(move || list_of(&*store, &id).map(drop)).await;
        if let Ok(Err(error)) = made {
            tracing::warn!(%id, %error, "a chunk list could not be made");
        }
    }
}
