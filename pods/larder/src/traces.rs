//! Traces: which path sets may answer a weak key, and which trace answers a strong one.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use protocol::{Digest, PathSet, Trace, WorkspaceId};
use rusqlite::{OptionalExtension, params};
use rustc_hash::FxHashMap;

use crate::cache::Cache;
use crate::index::{Change, digest_of};
use crate::options::{CANDIDATES_PER_WEAK_KEY, CANDIDATES_PER_WORKSPACE};
use crate::record::{RecordKind, TraceEntry};
use crate::{Added, Larder, LarderError, ObjectKind};

/// What is known of traces in memory.
pub(crate) struct TraceBook {
    /// Held while a trace is added or revoked: look, then write.
    adding: Mutex<u64>,
    pending: Mutex<Pending>,
    sets: Mutex<Cache<Digest, Arc<PathSet>>>,
    /// The path set that a workspace hit last for a weak key: to hit it again changes nothing.
    last_hit: Mutex<Cache<(Digest, WorkspaceId), Digest>>,
}

/// What the index does not have yet.
#[derive(Default)]
struct Pending {
    strong: FxHashMap<Digest, (Digest, Arc<Trace>)>,
    weak: FxHashMap<Digest, usize>,
}

/// Workspaces and weak keys whose last hit is remembered.
const LAST_HITS: usize = 1 << 14;

impl TraceBook {
    /// `next` is the place in the order of answers that the next trace gets; `looks` bounds the decoded path sets.
    pub(crate) fn new(next: u64, looks: usize) -> Self {
        Self {
            adding: Mutex::new(next),
            pending: Mutex::default(),
            sets: Mutex::new(Cache::new(looks)),
            last_hit: Mutex::new(Cache::new(LAST_HITS)),
        }
    }

    /// The index has this entry now.
    pub(crate) fn settle(&self, entry: &TraceEntry) {
        let mut pending = self.pending.lock();
        if pending.strong.get(&entry.strong).is_some_and(|(trace, _)| *trace == entry.trace) {
            pending.strong.remove(&entry.strong);
        }
        drop(pending);
        self.settle_weak(&entry.weak);
    }

    /// The index has one more of the changes that were pending for this weak key.
    pub(crate) fn settle_weak(&self, weak: &Digest) {
        let mut pending = self.pending.lock();
        if let Some(count) = pending.weak.get_mut(weak) {
            *count -= 1;
            if *count == 0 {
                pending.weak.remove(weak);
            }
        }
    }
}

fn weight(set: &Arc<PathSet>) -> usize {
    set.looks().len() + 1
}

impl Larder {
    /// Stores a trace and its path set, and makes the trace the answer for its strong key if that has none.
    ///
    /// When this returns, neither a killed process nor an error of the index loses the answer; the objects that
    /// the trace names should have been put before.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn add_trace(
        &self,
        trace: &Trace,
        set: &PathSet,
        workspace: WorkspaceId,
    ) -> Result<Added, LarderError> {
        let (set_bytes, trace_bytes) = (set.encode(), trace.encode());
        if ObjectKind::PathSet.digest(&set_bytes) != trace.path_set {
            return Err(LarderError::WrongPathSet);
        }
        let digest = ObjectKind::Trace.digest(&trace_bytes);
        let strong = trace.strong();
        let book = &self.shared().book;
        let mut next = book.adding.lock();
        if self.is_revoked(&digest)? {
            return Ok(Added::Revoked(digest));
        }
        if let Some((first, known)) = self.trace(&strong)? {
            self.hit(&known, workspace)?;
            if known.outputs == trace.outputs {
                return Ok(Added::Known(first));
            }
            tracing::warn!(strong = %strong.short(), first = %first.short(), now = %digest.short(),
                "one strong key has two results: the step is not deterministic");
            return Ok(Added::Differs { first, now: digest });
        }
        self.put(ObjectKind::PathSet, &set_bytes)?;
        self.put(ObjectKind::Trace, &trace_bytes)?;
        // What the trace names may still be in another lane's memory: it has to be in its pack before the entry is.
        self.shared().packs.write_out()?;
        let entry = TraceEntry::new(*next, digest, strong, trace, workspace);
        *next += 1;
        let trace = Arc::new(trace.clone());
        self.log(RecordKind::TraceEntry, &entry.encode(), || {
            let mut pending = book.pending.lock();
            pending.strong.insert(strong, (digest, trace.clone()));
            *pending.weak.entry(trace.weak).or_default() += 1;
        })?;
        Ok(Added::New(digest))
    }

    /// The path sets with which a step of this weak key may have run: those of this workspace first, the last hit
    /// at the front, then those of others; at most [`CANDIDATES_PER_WORKSPACE`] and [`CANDIDATES_PER_WEAK_KEY`].
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn path_sets(
        &self,
        weak: &Digest,
        workspace: WorkspaceId,
    ) -> Result<Vec<(Digest, Arc<PathSet>)>, LarderError> {
        let book = &self.shared().book;
        if book.pending.lock().weak.contains_key(weak) {
            self.flush()?;
        }
        let found: Vec<(Digest, bool)> = self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT path_set, max(workspace = ?2) AS ours,
                            max(CASE WHEN workspace = ?2 THEN hit ELSE 0 END) AS our_hit, max(hit) AS any_hit
                     FROM candidates WHERE weak = ?1 GROUP BY path_set
                     ORDER BY ours DESC, our_hit DESC, any_hit DESC LIMIT ?3",
                )?
                .query_map(
                    params![weak.as_bytes(), workspace.to_bytes(), CANDIDATES_PER_WEAK_KEY as i64],
                    |row| Ok((digest_of(row, 0)?, row.get(1)?)),
                )?
                .collect()
        })?;
        if let Some((newest, true)) = found.first() {
            book.last_hit.lock().insert((*weak, workspace), *newest, 1);
        }
        let mut sets = Vec::with_capacity(found.len());
        let mut ours = 0;
        for (digest, is_ours) in found {
            ours += usize::from(is_ours);
            if is_ours && ours > CANDIDATES_PER_WORKSPACE {
                continue;
            }
            if let Some(set) = self.path_set(&digest)? {
                sets.push((digest, set));
            }
        }
        Ok(sets)
    }

    /// A path set by its digest, decoded.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn path_set(&self, digest: &Digest) -> Result<Option<Arc<PathSet>>, LarderError> {
        let book = &self.shared().book;
        if let Some(set) = book.sets.lock().get_mut(digest, weight) {
            return Ok(Some(set.clone()));
        }
        let Some(bytes) = self.get(ObjectKind::PathSet, digest)? else { return Ok(None) };
        let set = match PathSet::decode(&bytes) {
            Ok(set) => Arc::new(set),
            Err(error) => {
                tracing::debug!(%digest, %error, "a path set is skipped");
                return Ok(None);
            }
        };
        let weight = weight(&set);
        book.sets.lock().insert(*digest, set.clone(), weight);
        Ok(Some(set))
    }

    /// The trace that answers a strong key.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn trace(&self, strong: &Digest) -> Result<Option<(Digest, Arc<Trace>)>, LarderError> {
        if let Some((digest, trace)) = self.shared().book.pending.lock().strong.get(strong) {
            return Ok(Some((*digest, trace.clone())));
        }
        let found = self.ask(|connection| {
            connection
                .prepare_cached("SELECT trace FROM traces WHERE strong = ?1")?
                .query_row([strong.as_bytes()], |row| digest_of(row, 0))
                .optional()
        })?;
        let Some(digest) = found else { return Ok(None) };
        let trace = self.get(ObjectKind::Trace, &digest)?.and_then(|bytes| Trace::decode(&bytes).ok());
        match trace.filter(|trace| trace.strong() == *strong) {
            Some(trace) => Ok(Some((digest, Arc::new(trace)))),
            None => {
                tracing::warn!(trace = %digest, "a trace cannot be read any more: its step will run again");
                self.change(Change::DropTrace { strong: *strong, trace: digest })?;
                Ok(None)
            }
        }
    }

    /// The traces of a weak key with this path set that answer a strong key, newest first, at most so many.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn traces_with(
        &self,
        weak: &Digest,
        path_set: &Digest,
        at_most: usize,
    ) -> Result<Vec<(Digest, Arc<Trace>)>, LarderError> {
        if self.shared().book.pending.lock().weak.contains_key(weak) {
            self.flush()?;
        }
        let found: Vec<Digest> = self.ask(|connection| {
            connection
                .prepare_cached(
                    "SELECT strong FROM traces WHERE weak = ?1 AND path_set = ?2 ORDER BY place DESC LIMIT ?3",
                )?
                .query_map(params![weak.as_bytes(), path_set.as_bytes(), at_most as i64], |row| digest_of(row, 0))?
                .collect()
        })?;
        let mut traces = Vec::with_capacity(found.len());
        for strong in found {
            traces.extend(self.trace(&strong)?);
        }
        Ok(traces)
    }

    /// All traces of a weak key that answer a strong key.
    ///
    /// # Errors
    /// Of the index.
    pub fn traces_of(&self, weak: &Digest) -> Result<Vec<Digest>, LarderError> {
        self.flush()?;
        self.shared().index.read(|connection| {
            connection
                .prepare_cached("SELECT trace FROM traces WHERE weak = ?1")?
                .query_map([weak.as_bytes()], |row| digest_of(row, 0))?
                .collect()
        })
    }

    /// Notes that a trace answered a step of this workspace: its path set is tried first the next time.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn hit(&self, trace: &Trace, workspace: WorkspaceId) -> Result<(), LarderError> {
        if self.shared().healthy().is_err() {
            // A hint: while the index cannot be written, nothing of the kind is gathered.
            return Ok(());
        }
        {
            let mut last = self.shared().book.last_hit.lock();
            if last.get_mut(&(trace.weak, workspace), |_| 1) == Some(&mut trace.path_set.clone()) {
                return Ok(());
            }
            last.insert((trace.weak, workspace), trace.path_set, 1);
        }
        *self.shared().book.pending.lock().weak.entry(trace.weak).or_default() += 1;
        self.change(Change::Hit {
            weak: trace.weak,
            workspace: workspace.to_bytes(),
            path_set: trace.path_set,
        })
    }

    /// Takes a trace back: it answers nothing any more, and is never adopted again, not even from another pod.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn revoke(&self, trace: &Digest) -> Result<(), LarderError> {
        let _adding: MutexGuard<'_, u64> = self.shared().book.adding.lock();
        self.log(RecordKind::Revocation, trace.as_bytes(), || ())?;
        self.flush()
    }

    /// Whether a trace was revoked.
    ///
    /// # Errors
    /// Of the index.
    pub fn is_revoked(&self, trace: &Digest) -> Result<bool, LarderError> {
        self.ask(|connection| {
            connection.prepare_cached("SELECT 1 FROM revoked WHERE trace = ?1")?.exists([trace.as_bytes()])
        })
    }
}
