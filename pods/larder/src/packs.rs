//! Packs: append-only files of records, several of which (*lanes*) are open for appending at a time.
//!
//! Who owns what: a lane owns its open pack, the bytes that are not yet written to it, and the index rows of
//! its records that the writer has not yet taken. A record's bytes and its row are handed over together, in the order
//! of the pack, so that "indexed up to here" is always a prefix of the pack. A crash loses the unwritten bytes of
//! a lane (see [`Packs::write_out`]) and may leave a torn record at a pack's end, which the next open cuts off.
//! A failed write leaves the bytes in memory, where they can still be read, and is tried again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use protocol::Digest;
use rustc_hash::FxHashMap;

use crate::LarderError;
use crate::fault::{Effect, Faults};
use crate::options::UNSYNCED_PACKS;
use crate::record::{HEADER, Header, RecordKind, Row, Salt};

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) pack: u32,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

pub(crate) struct Packs {
    folder: PathBuf,
    salt: Salt,
    faults: Faults,
    target: u64,
    buffer: usize,
    lanes: Vec<Mutex<Lane>>,
    next_lane: AtomicUsize,
    next_pack: AtomicU32,
    open: RwLock<FxHashMap<u32, Arc<File>>>,
    open_limit: usize,
}

#[derive(Default)]
struct Lane {
    pack: Option<Tail>,
    rows: Vec<Row>,
    /// Packs that this lane filled, and their length, since the writer last came.
    filled: Vec<(u32, u64)>,
    /// Packs with bytes that were not forced onto the disk.
    unsynced: Vec<Arc<File>>,
}

/// The end of a pack that is being appended to.
struct Tail {
    id: u32,
    file: Arc<File>,
    written: u64,
    /// Up to where the writer was told of it.
    told: u64,
    unwritten: Vec<u8>,
}

impl Tail {
    fn end(&self) -> u64 {
        self.written + self.unwritten.len() as u64
    }
}

/// What the writer takes from the lanes: rows, and up to where each pack is described by them.
#[derive(Default)]
pub(crate) struct Harvest {
    pub(crate) rows: Vec<Row>,
    pub(crate) indexed: FxHashMap<u32, u64>,
}

/// How packs are to be kept.
pub(crate) struct PackOptions {
    pub(crate) lanes: usize,
    pub(crate) target: u64,
    pub(crate) buffer: usize,
    pub(crate) open_limit: usize,
}

impl Packs {
    /// `partial` are packs that may be appended to: id and length.
    pub(crate) fn new(
        folder: PathBuf,
        salt: Salt,
        faults: Faults,
        options: PackOptions,
        next_pack: u32,
        partial: &[(u32, u64)],
    ) -> Result<Self, LarderError> {
        let packs = Self {
            folder,
            salt,
            faults,
            target: options.target,
            buffer: options.buffer,
            lanes: (0..options.lanes.max(1)).map(|_| Mutex::default()).collect(),
            next_lane: AtomicUsize::new(0),
            next_pack: AtomicU32::new(next_pack),
            open: RwLock::default(),
            open_limit: options.open_limit.max(1),
        };
        for (lane, &(id, written)) in packs.lanes.iter().zip(partial) {
            let path = packs.path(id);
            let file = OpenOptions::new().read(true).write(true).open(&path);
            let file = Arc::new(file.map_err(|error| LarderError::io("open", &path, error))?);
            lane.lock().pack = Some(Tail { id, file, written, told: written, unwritten: Vec::new() });
        }
        Ok(packs)
    }

    pub(crate) fn path(&self, pack: u32) -> PathBuf {
        pack_path(&self.folder, pack)
    }

    /// Puts a record at the end of some pack, and returns how many rows wait in that lane for the writer. `placed` is
    /// told where, before the writer can see the row; it must not come back here.
    pub(crate) fn append(
        &self,
        kind: RecordKind,
        digest: Digest,
        body: &[u8],
        placed: impl FnOnce(Spot),
    ) -> Result<usize, LarderError> {
        let mut lane = self.any_lane();
        let length = body.len() as u32;
        let total = HEADER as u64 + u64::from(length);
        if lane.pack.as_ref().is_some_and(|tail| tail.end() + total > self.target) {
            self.write_lane(&mut lane)?;
            if let Some(tail) = lane.pack.take() {
                lane.filled.push((tail.id, tail.written));
            }
        }
        if lane.pack.is_none() {
            lane.pack = Some(self.begin_pack()?);
        }
        let Some(tail) = lane.pack.as_mut() else { return Err(LarderError::Closed) };
        let (before, offset) = (tail.unwritten.len(), tail.end() as u32);
        let header = Header::new(kind, digest, length);
        tail.unwritten.extend_from_slice(&header.encode(self.salt));
        tail.unwritten.extend_from_slice(body);
        let (id, full) = (tail.id, tail.unwritten.len() >= self.buffer);
        if full && let Err(error) = self.write_lane(&mut lane) {
            if let Some(tail) = lane.pack.as_mut() {
                tail.unwritten.truncate(before);
            }
            return Err(error);
        }
        lane.rows.extend(Row::of(&header, body, id, offset));
        placed(Spot { pack: id, offset, length });
        Ok(lane.rows.len())
    }

    /// A lane that nobody uses right now, if there is one.
    fn any_lane(&self) -> MutexGuard<'_, Lane> {
        if let Some(lane) = self.lanes.iter().find_map(|lane| lane.try_lock()) {
            return lane;
        }
        let next = self.next_lane.fetch_add(1, Ordering::Relaxed);
        self.lanes[next % self.lanes.len()].lock()
    }

    fn begin_pack(&self) -> Result<Tail, LarderError> {
        let id = self.next_pack.fetch_add(1, Ordering::Relaxed);
        let path = self.path(id);
        let create = || {
            self.faults.before(Effect::CreatePack)?;
            OpenOptions::new().read(true).write(true).create_new(true).open(&path)
        };
        let file = Arc::new(create().map_err(|error| LarderError::io("create", &path, error))?);
        Ok(Tail { id, file, written: 0, told: 0, unwritten: self.salt.pack_header() })
    }

    fn write_lane(&self, lane: &mut Lane) -> Result<(), LarderError> {
        let Some(tail) = lane.pack.as_mut() else { return Ok(()) };
        if tail.unwritten.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.faults.write_at(Effect::WritePack, &tail.file, &tail.unwritten, tail.written)
        {
            // What was written in part lies beyond the end and will be written over; cutting it off is a courtesy.
            if self.faults.before(Effect::CutPack).is_ok() && tail.file.set_len(tail.written).is_err() {
                tracing::debug!(pack = tail.id, "a torn write could not be cut off");
            }
            return Err(LarderError::io("write", &self.path(tail.id), error));
        }
        tail.written += tail.unwritten.len() as u64;
        tail.unwritten.clear();
        tail.unwritten.shrink_to(2 * self.buffer);
        if !lane.unsynced.iter().any(|file| Arc::ptr_eq(file, &tail.file)) {
            if lane.unsynced.len() >= UNSYNCED_PACKS {
                lane.unsynced.remove(0);
            }
            lane.unsynced.push(tail.file.clone());
        }
        Ok(())
    }

    /// Writes what the lanes hold. After that a killed process loses none of it.
    pub(crate) fn write_out(&self) -> Result<(), LarderError> {
        self.lanes.iter().try_for_each(|lane| self.write_lane(&mut lane.lock()))
    }

    /// Writes what the lanes hold, and takes the rows.
    pub(crate) fn harvest(&self, into: &mut Harvest) -> Result<(), LarderError> {
        for lane in &self.lanes {
            let mut lane = lane.lock();
            self.write_lane(&mut lane)?;
            into.rows.append(&mut lane.rows);
            into.indexed.extend(lane.filled.drain(..));
            // A commit that has nothing to say is none: whoever only reads leaves the index as it is.
            if let Some(tail) = lane.pack.as_mut().filter(|tail| tail.told != tail.written) {
                tail.told = tail.written;
                into.indexed.insert(tail.id, tail.written);
            }
        }
        Ok(())
    }

    /// Takes the rows, and lets the next record begin a new pack.
    pub(crate) fn end_tails(&self, into: &mut Harvest) -> Result<(), LarderError> {
        self.harvest(into)?;
        for lane in &self.lanes {
            let mut lane = lane.lock();
            self.write_lane(&mut lane)?;
            into.rows.append(&mut lane.rows);
            lane.filled.clear();
            lane.pack = None;
        }
        Ok(())
    }

    /// Files with bytes that were written and not forced onto the disk; they are the caller's from now on.
    pub(crate) fn take_unsynced(&self) -> Vec<Arc<File>> {
        self.lanes.iter().flat_map(|lane| std::mem::take(&mut lane.lock().unsynced)).collect()
    }

    /// Gives files back that could not be forced onto the disk.
    pub(crate) fn give_back_unsynced(&self, files: Vec<Arc<File>>) {
        self.lanes[0].lock().unsynced.extend(files);
    }

    /// The packs that are open for appending.
    pub(crate) fn tails(&self) -> Vec<(u32, u64)> {
        self.lanes
            .iter()
            .filter_map(|lane| lane.lock().pack.as_ref().map(|tail| (tail.id, tail.written)))
            .collect()
    }

    /// The whole record at a place, unchecked; `None` if the pack is not there or too short.
    pub(crate) fn read(&self, spot: Spot) -> Result<Option<Vec<u8>>, LarderError> {
        let mut bytes = vec![0; HEADER + spot.length as usize];
        // A record that is in neither was written out between the two looks.
        for _ in 0..2 {
            match self.file(spot.pack)? {
                Some(file)
                    if read_whole(&file, &mut bytes, u64::from(spot.offset), || self.path(spot.pack))? =>
                {
                    return Ok(Some(bytes));
                }
                _ => {}
            }
            if self.copy_unwritten(spot, &mut bytes) {
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    fn copy_unwritten(&self, spot: Spot, bytes: &mut [u8]) -> bool {
        self.lanes.iter().any(|lane| {
            let lane = lane.lock();
            let Some(tail) = lane.pack.as_ref().filter(|tail| tail.id == spot.pack) else { return false };
            let Some(at) = u64::from(spot.offset).checked_sub(tail.written) else { return false };
            let Some(part) = tail.unwritten.get(at as usize..at as usize + bytes.len()) else { return false };
            bytes.copy_from_slice(part);
            true
        })
    }

    /// The pack's file for reading; `None` if it is not there.
    pub(crate) fn file(&self, pack: u32) -> Result<Option<Arc<File>>, LarderError> {
        if let Some(file) = self.open.read().get(&pack) {
            return Ok(Some(file.clone()));
        }
        let path = self.path(pack);
        let file = match File::open(&path) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LarderError::io("open", &path, error)),
        };
        let mut open = self.open.write();
        if open.len() >= self.open_limit {
            open.clear();
        }
        open.insert(pack, file.clone());
        Ok(Some(file))
    }
}

/// The file of a pack.
pub(crate) fn pack_path(folder: &Path, pack: u32) -> PathBuf {
    folder.join(format!("{pack:08}.pack"))
}

/// Ids and lengths of the packs in a folder, in the order of their ids.
pub(crate) fn list_packs(folder: &Path) -> Result<Vec<(u32, u64)>, LarderError> {
    let failed = |error| LarderError::io("list", folder, error);
    let mut packs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".pack")).and_then(|id| id.parse().ok());
        if let Some(id) = id {
            packs.push((id, entry.metadata().map_err(failed)?.len()));
        }
    }
    packs.sort_unstable();
    Ok(packs)
}

/// `pread`, all of it; false if the file ends before.
fn read_whole(
    file: &File,
    bytes: &mut [u8],
    at: u64,
    path: impl FnOnce() -> PathBuf,
) -> Result<bool, LarderError> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(LarderError::io("read", &path(), error)),
    }
}
