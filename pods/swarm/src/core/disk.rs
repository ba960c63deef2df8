//! Checking and writing, by threads that may block: a batch at a time, a few batches at once.

use std::sync::Arc;

use bytes::Bytes;
use protocol::swarm::{ChunkList, Lane};
use protocol::{Digest, ObjectId, PodId};

use super::job::{Chunked, Part, Progress, State, Unit};
use super::{Core, OrderId};
use crate::net::Conn;
use crate::store::{Incoming, Store, StoreError};

/// Batches that are being written; what comes meanwhile waits, bounded by the credit that we gave.
const MAX_DISK_JOBS: usize = 3;
/// A batch of this size is begun even while others are under way.
const BATCH: usize = 1 << 20;

/// A unit that came and is to be checked.
pub(super) struct ToStore {
    pub(super) unit: Unit,
    pub(super) conn: Conn,
    pub(super) pod: PodId,
    pub(super) lane: Lane,
    pub(super) bytes: Bytes,
    pub(super) credit: u32,
    /// For a chunk: as it was when it came.
    pub(super) place: Option<Place>,
}

/// What a chunk must be, and where it goes.
pub(super) type Place = (Digest, u64, Arc<dyn Incoming>);

/// What a thread has done.
pub(super) enum Done {
    Checked { order: OrderId, sizes: Result<Vec<Option<u64>>, StoreError> },
    Stored(Vec<(ToStore, Result<bool, StoreError>)>),
    Prepared { id: ObjectId, origin: PodId, ready: Result<(Chunked, u64), StoreError> },
    Finished { id: ObjectId, origin: PodId, list: Arc<ChunkList>, right: Result<bool, StoreError> },
    Relayed { conn: Conn, request: u32, sizes: Result<Vec<Option<u64>>, StoreError> },
}

impl Core {
    /// Runs work that may block; what it finds out comes back as an event.
    pub(super) fn on_disk(&self, work: impl FnOnce(&dyn Store) -> Done + Send + 'static) {
        let (store, done) = (self.store.clone(), self.done.clone());
        // A thread that outlives the core has nobody to tell.
        drop(tokio::task::spawn_blocking(move || done.send(work(&*store)).unwrap_or_default()));
    }

    /// Begins to write what came.
    pub(super) fn store_now(&mut self) {
        while !self.to_store.is_empty() && self.disk_jobs < MAX_DISK_JOBS {
            if self.disk_jobs > 0 && self.to_store_bytes < BATCH {
                return;
            }
            let mut bytes = 0;
            let count = self.to_store.iter().take_while(|item| {
                bytes += item.bytes.len();
                bytes - item.bytes.len() < BATCH
            });
            let count = count.count();
            let batch: Vec<ToStore> = self.to_store.drain(..count).collect();
            self.to_store_bytes = self.to_store.iter().map(|item| item.bytes.len()).sum();
            self.disk_jobs += 1;
            self.on_disk(move |store| {
                let stored = batch.into_iter().map(|item| {
                    let right = match (&item.unit, &item.place) {
                        ((id, Part::Whole), _) => store.put(id, &item.bytes),
                        (_, Some((digest, offset, incoming))) => {
                            if Digest::of(&item.bytes) == *digest {
                                incoming.write(*offset, &item.bytes).map(|()| true)
                            } else {
                                Ok(false)
                            }
                        }
                        // Its order has ended.
                        (_, None) => Ok(true),
                    };
                    (item, right)
                });
                Done::Stored(stored.collect())
            });
        }
    }

    /// What a chunk must be, and where it goes.
    pub(super) fn place(&self, unit: &Unit) -> Option<Place> {
        let (State::Chunks(chunked), Part::Chunk(number)) = (&self.jobs.get(&unit.0)?.state, unit.1) else {
            return None;
        };
        let chunk = chunked.list.chunks().get(number as usize)?;
        Some((chunk.digest, *chunked.offsets.get(number as usize)?, chunked.incoming.clone()))
    }

    /// Makes room for an object that comes in chunks, and copies the chunks that are here.
    pub(super) fn prepare(&self, id: ObjectId, list: Arc<ChunkList>, origin: PodId) {
        self.on_disk(move |store| Done::Prepared { id, origin, ready: prepare(store, id, list, origin) });
    }

    pub(super) fn finished(&mut self, done: Done) {
        match done {
            Done::Checked { order, sizes } => self.checked(order, sizes),
            Done::Stored(stored) => {
                self.disk_jobs -= 1;
                for (item, right) in stored {
                    self.owe(item.conn, item.lane, item.credit);
                    self.stored(&item, right);
                }
            }
            Done::Prepared { id, origin, ready } => self.prepared(&id, &origin, ready),
            Done::Finished { id, origin, list, right } => self.whole_checked(&id, origin, list, right),
            Done::Relayed { conn, request, sizes } => self.relayed(conn, request, sizes),
        }
    }

    fn stored(&mut self, item: &ToStore, right: Result<bool, StoreError>) {
        let (id, part) = item.unit;
        let place = item.place.as_ref();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        // The object may have begun anew meanwhile, with another list.
        let current = match (&job.state, part, place) {
            (State::Whole(Progress::Writing), Part::Whole, _) => true,
            (State::Chunks(chunked), Part::Chunk(_), Some((_, _, incoming))) => {
                Arc::ptr_eq(incoming, &chunked.incoming)
            }
            _ => false,
        };
        if !current {
            return;
        }
        match right {
            Ok(true) => {
                let Some(progress @ Progress::Writing) = job.progress(part) else { return };
                *progress = Progress::Done;
                job.bytes += item.bytes.len() as u64;
                match &mut job.state {
                    State::Chunks(chunked) => {
                        chunked.left -= 1;
                        if chunked.left == 0 {
                            self.check_whole(&id);
                        }
                    }
                    _ => self.end_job(&id),
                }
            }
            Ok(false) => self.wrong(&id, part, item.pod),
            Err(error) => self.store_failed(&id, &error),
        }
    }

    /// A unit is not what it should be: its sender lies, or who sent the list does.
    fn wrong(&mut self, id: &ObjectId, part: Part, pod: PodId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if let State::Chunks(chunked) = &job.state
            && chunked.origin != pod
        {
            // Which of the two, shows a list of this pod's own, with its own chunks. Nothing of the old one may come.
            let (origin, list) = (chunked.origin, chunked.list.clone());
            self.withdraw(id);
            let Some(job) = self.jobs.get_mut(id) else { return };
            job.doubted = Some((origin, list));
            job.only = Some(pod);
            job.state = State::List(Progress::Open);
            self.offer_all(id);
            return;
        }
        if let Some(progress) = job.progress(part) {
            *progress = Progress::Asked(1);
        }
        self.suspect(&pod, &[*id], format!("sent bytes of {id} that are not what they are called"));
        self.reopen((*id, part));
    }

    fn prepared(&mut self, id: &ObjectId, origin: &PodId, ready: Result<(Chunked, u64), StoreError>) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        if !matches!(job.state, State::Preparing) {
            return;
        }
        match ready {
            Ok((chunked, reused)) => {
                let left = chunked.left;
                job.reused = reused;
                job.state = State::Chunks(chunked);
                if left == 0 {
                    self.check_whole(id);
                } else {
                    self.offer_all(id);
                    if self.jobs.get(id).is_some_and(|job| job.holders.is_empty()) {
                        self.seek(id);
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%id, %origin, "no room");
                self.store_failed(id, &error);
            }
        }
    }

    /// All chunks are there: is the whole what it is called?
    fn check_whole(&mut self, id: &ObjectId) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        let State::Chunks(chunked) = std::mem::replace(&mut job.state, State::Finishing) else { return };
        let (id, Chunked { incoming, list, origin, .. }) = (*id, chunked);
        self.on_disk(move |store| {
            let right = incoming.finish().and_then(|right| {
                if right {
                    store.keep_chunk_list(list.clone())?;
                }
                Ok(right)
            });
            Done::Finished { id, origin, list, right }
        });
    }

    fn whole_checked(
        &mut self,
        id: &ObjectId,
        origin: PodId,
        list: Arc<ChunkList>,
        right: Result<bool, StoreError>,
    ) {
        let Some(job) = self.jobs.get_mut(id) else { return };
        match right {
            Ok(true) => {
                if let Some((pod, doubted)) = job.doubted.take()
                    && *doubted != *list
                {
                    self.suspect(&pod, &[*id], format!("sent a chunk list of {id} that is not its own"));
                }
                self.end_job(id);
            }
            Ok(false) => {
                job.state = State::Seeking;
                job.bytes = 0;
                self.withdraw(id);
                self.suspect(&origin, &[*id], format!("sent a chunk list of {id} that is not its own"));
                let next = self.jobs.get(id).and_then(|job| job.holders.first().copied());
                match next {
                    Some(holder) => self.begin(id, holder),
                    None => self.seek(id),
                }
            }
            Err(error) => self.store_failed(id, &error),
        }
    }
}

fn prepare(
    store: &dyn Store,
    id: ObjectId,
    list: Arc<ChunkList>,
    origin: PodId,
) -> Result<(Chunked, u64), StoreError> {
    let incoming: Arc<dyn Incoming> = store.begin(&id, list.size())?.into();
    let mut progress = Vec::with_capacity(list.chunks().len());
    let (mut reused, mut buffer) = (0, Vec::new());
    for (offset, chunk) in list.placed() {
        let mut here = false;
        if let Some((other, at)) = store.find_chunk(&chunk.digest)?
            && let Some(content) = store.open(&other)?
            && content.read_at(at, chunk.length as usize, &mut buffer).is_ok()
            && Digest::of(&buffer) == chunk.digest
        {
            incoming.write(offset, &buffer)?;
            reused += u64::from(chunk.length);
            here = true;
        }
        progress.push(if here { Progress::Done } else { Progress::Open });
    }
    let left = progress.iter().filter(|progress| **progress == Progress::Open).count();
    let offsets = list.placed().map(|(offset, _)| offset).collect();
    Ok((Chunked { list, offsets, origin, incoming, progress, left }, reused))
}
