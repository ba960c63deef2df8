//! Opening a larder: what the last process left is made whole.
//!
//! In order: the folder is locked; `tmp/` is emptied; the index is opened, or an empty one begun; packs that are
//! longer than the index says are read from there on, and a torn record at their end is cut off; packs that
//! are shorter lose the rows beyond. A fresh index takes in all packs and the names of all blobs. After a power cut (a
//! new boot id) blobs that had not been forced onto the disk have to be hashed before they are believed.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use protocol::Digest;
use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;

use crate::blobs::Blobs;
use crate::fault::{Effect, Faults};
use crate::host_digests::HostDigests;
use crate::index::{self, Batch, Change, Index};
use crate::larder::{Folders, Inner};
use crate::packs::{PackOptions, Packs, Spot, list_packs, pack_path};
use crate::places::Places;
use crate::quarantine::Quarantine;
use crate::record::{PACK_HEADER, Row, Salt};
use crate::scan::{Found, Source, scan};
use crate::syncer::{self, Nudge};
use crate::traces::TraceBook;
use crate::writer::{Health, Shared, Writer};
use crate::{Larder, LarderError, Options};

/// Something that was wrong, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// The index could not be used; it is in the quarantine, and a new one was made from packs and blobs.
    IndexRebuilt,
    /// The end of a pack that was being written when the process ended was cut off.
    TailCut {
        /// The pack.
        pack: u32,
        /// How much was cut off.
        bytes: u64,
    },
    /// A pack is shorter than it was; what was beyond its end is gone.
    PackShrunk {
        /// The pack.
        pack: u32,
    },
    /// An object was not what its digest says; it is in the quarantine, and absent.
    DamagedObject {
        /// Its digest.
        digest: Digest,
    },
    /// The index knew an object that is not there.
    MissingObject {
        /// Its digest.
        digest: Digest,
    },
    /// Bytes of a pack belong to no record.
    DamagedPack {
        /// The pack.
        pack: u32,
        /// Where.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IndexRebuilt => {
                f.write_str("the larder's index was damaged; it was made anew from the objects")
            }
            Self::TailCut { pack, bytes } => {
                write!(f, "{bytes} bytes of a torn record were cut off pack {pack}")
            }
            Self::PackShrunk { pack } => write!(f, "pack {pack} has lost its end"),
            Self::DamagedObject { digest } => write!(f, "object {digest} is damaged and was set aside"),
            Self::MissingObject { digest } => write!(f, "object {digest} is gone"),
            Self::DamagedPack { pack, offset, bytes } => {
                write!(f, "{bytes} bytes at {offset} of pack {pack} are damaged")
            }
        }
    }
}

impl Larder {
    /// Opens the larder in this folder, which is made if it is not there, and mends what a crash left.
    ///
    /// A damaged index is no error (see [`Larder::repairs`]); one of a newer version is
    /// ([`LarderError::Newer`]), and so is a larder that another process has open ([`LarderError::InUse`]).
    ///
    /// # Errors
    /// The folder cannot be used, or the index is of a newer program.
    pub fn open(dir: &Path, options: Options) -> Result<Larder, LarderError> {
        Self::open_with(dir, options, Faults::default())
    }

    pub(crate) fn open_with(dir: &Path, options: Options, faults: Faults) -> Result<Larder, LarderError> {
        let folders = Folders::of(dir);
        for folder in [&folders.packs, &folders.blobs, &folders.tmp, &folders.quarantine] {
            std::fs::create_dir_all(folder).map_err(|error| LarderError::io("create", folder, error))?;
        }
        let lock = lock(dir)?;
        let salt = read_format(&folders)?;
        empty(&folders.tmp)?;
        let quarantine = Quarantine::new(folders.quarantine.clone(), faults.clone());
        let blobs = Blobs::new(folders.blobs.clone(), folders.tmp.clone(), faults.clone());
        let recover = || {
            let opened = index::open(dir, &folders.index, &quarantine)?;
            let mut recovery = Recovery {
                connection: opened.connection,
                index: folders.index.clone(),
                folders: &folders,
                salt,
                quarantine: &quarantine,
                faults: faults.clone(),
                batch: Batch::default(),
                repairs: Vec::new(),
            };
            if opened.replaced || (opened.fresh && !list_packs(&folders.packs)?.is_empty()) {
                recovery.repairs.push(Repair::IndexRebuilt);
            }
            let packs = recovery.packs()?;
            if opened.fresh {
                recovery.blobs(&blobs)?;
            }
            recovery.commit()?;
            recovery.boot()?;
            let next_answer = recovery.next_answer()?;
            let Recovery { connection, repairs, .. } = recovery;
            Ok((connection, repairs, packs, next_answer))
        };
        let (connection, repairs, packs, next_answer) = match recover() {
            // The damage is deeper than what is looked at when it is opened.
            Err(error) if LarderError::is_damaged_index(&error) => {
                quarantine.take_index(&folders.index)?;
                recover()?
            }
            recovered => recovered?,
        };
        for repair in &repairs {
            tracing::warn!("{repair}");
        }

        let next_pack = packs.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
        let partial = packs
            .into_iter()
            .rev()
            .filter(|(_, length)| (PACK_HEADER..options.pack_target_size / 4 * 3).contains(length));
        let partial: Vec<_> = partial
            .filter(|(id, _)| has_header(&pack_path(&folders.packs, *id), salt))
            .take(options.lanes)
            .collect();
        let memory = &options.memory;
        let pack_options = PackOptions {
            lanes: options.lanes,
            target: options.pack_target_size,
            buffer: memory.lane_buffer,
            open_limit: memory.open_packs,
        };
        let (nudge, nudged) = Nudge::pair();
        let shared = Arc::new(Shared {
            packs: Packs::new(
                folders.packs.clone(),
                salt,
                faults.clone(),
                pack_options,
                next_pack,
                &partial,
            )?,
            places: Places::new(memory.places),
            index: Index::new(folders.index.clone(), memory.readers),
            book: TraceBook::new(next_answer, memory.looks),
            quarantine,
            nudge,
            pending_notes: Mutex::default(),
            health: Health::default(),
        });
        let writer = Writer::start(connection, shared.clone(), &options.commit, faults, dir.to_owned())?;
        let (alive, stop) = crossbeam_channel::bounded(0);
        let larder = Larder {
            inner: Arc::new(Inner {
                _alive: alive,
                writer,
                shared,
                blobs,
                host_digests: HostDigests::new(memory.stamps),
                naming: (0..16).map(|_| Mutex::default()).collect(),
                repairs: Mutex::new(repairs),
                checking: Mutex::default(),
                syncing: Mutex::default(),
                unsynced: Mutex::default(),
                salt,
                folders,
                _lock: lock,
            }),
        };
        if let Some(after) = options.commit.sync_after {
            syncer::start(Arc::downgrade(&larder.inner), nudged, stop, after)
                .map_err(|error| LarderError::io("start the syncer of", dir, error))?;
        }
        Ok(larder)
    }
}

fn lock(dir: &Path) -> Result<File, LarderError> {
    let failed = |error| LarderError::io("lock", dir, error);
    let file = File::open(dir).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LarderError::InUse { dir: dir.to_owned() }),
        Err(error) => Err(failed(error.into())),
    }
}

fn empty(folder: &Path) -> Result<(), LarderError> {
    let failed = |error| LarderError::io("empty", folder, error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let gone = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        gone.map_err(|error| LarderError::io("remove", &path, error))?;
    }
    Ok(())
}

/// The file `format` says what this folder is, in the form of a pack's header. If it is lost, any pack has it too.
fn read_format(folders: &Folders) -> Result<Salt, LarderError> {
    let path = &folders.format;
    let failed = |error| LarderError::io("read", path, error);
    match std::fs::read(path) {
        Ok(bytes) => {
            if let Some(salt) = Salt::of_pack(&bytes) {
                return Ok(salt);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let packs = list_packs(&folders.packs)?;
    let salt = match packs.iter().find_map(|(id, _)| read_header(&pack_path(&folders.packs, *id))) {
        Some(salt) => salt,
        None => {
            let mut random = [0; 16];
            File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).map_err(failed)?;
            Salt(random)
        }
    };
    let temp = folders.tmp.join("format");
    let write = || -> io::Result<()> {
        let mut file = File::create(&temp)?;
        file.write_all(&salt.pack_header())?;
        file.sync_all()?;
        std::fs::rename(&temp, path)
    };
    write().map_err(|error| LarderError::io("write", path, error))?;
    Ok(salt)
}

fn read_header(pack: &Path) -> Option<Salt> {
    let mut header = [0; PACK_HEADER as usize];
    File::open(pack).ok()?.read_exact_at(&mut header, 0).ok()?;
    Salt::of_pack(&header)
}

fn has_header(pack: &Path, salt: Salt) -> bool {
    read_header(pack) == Some(salt)
}

/// Rows that are gathered before they are committed.
const ROWS: usize = 8192;

struct Recovery<'a> {
    connection: Connection,
    index: PathBuf,
    folders: &'a Folders,
    salt: Salt,
    quarantine: &'a Quarantine,
    faults: Faults,
    batch: Batch,
    repairs: Vec<Repair>,
}

impl Recovery<'_> {
    fn failed(&self, error: rusqlite::Error) -> LarderError {
        LarderError::index(&self.index, error)
    }

    /// Brings the index up to the packs; returns their ids and lengths.
    fn packs(&mut self) -> Result<Vec<(u32, u64)>, LarderError> {
        let mut indexed = self.indexed().map_err(|error| self.failed(error))?;
        let mut packs = Vec::new();
        for (pack, length) in list_packs(&self.folders.packs)? {
            let from = indexed.remove(&pack).unwrap_or(0);
            let length = match length {
                _ if length == from => length,
                _ if length < PACK_HEADER && from == 0 => {
                    self.drop_stub(pack)?;
                    continue;
                }
                _ => self.read_pack(pack, from, length)?,
            };
            packs.push((pack, length));
        }
        for (pack, end) in indexed {
            if end > 0 {
                self.repairs.push(Repair::PackShrunk { pack });
                self.batch.changes.push(Change::PackEnds { pack, end: 0 });
                self.batch.harvest.indexed.insert(pack, 0);
            }
            // Its number is not used again.
            packs.push((pack, 0));
        }
        Ok(packs)
    }

    fn indexed(&self) -> rusqlite::Result<FxHashMap<u32, u64>> {
        self.connection
            .prepare("SELECT pack, indexed FROM packs")?
            .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?
            .collect()
    }

    /// A pack whose very header is torn holds nothing.
    fn drop_stub(&mut self, pack: u32) -> Result<(), LarderError> {
        let path = pack_path(&self.folders.packs, pack);
        std::fs::remove_file(&path).map_err(|error| LarderError::io("remove", &path, error))
    }

    /// Reads what the index does not know of a pack, and cuts a torn end off. Returns its length.
    fn read_pack(&mut self, pack: u32, from: u64, length: u64) -> Result<u64, LarderError> {
        let path = pack_path(&self.folders.packs, pack);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| LarderError::io("open", &path, error))?;
        let mut from = from;
        if length < from {
            self.repairs.push(Repair::PackShrunk { pack });
            from = 0;
        }
        let mut damaged = Vec::new();
        let end = scan(Source { file: &file, path: &path, salt: self.salt }, from, length, &mut |found| {
            match found {
                Found::Good { offset, header, body } => {
                    self.batch.harvest.rows.extend(Row::of(&header, body, pack, offset as u32));
                    if self.batch.harvest.rows.len() >= ROWS {
                        self.commit()?;
                    }
                }
                Found::Damaged { offset, header } => {
                    let spot = Spot { pack, offset: offset as u32, length: header.length };
                    self.quarantine.take_record(&file, spot, &header.digest)?;
                    damaged.push(Repair::DamagedObject { digest: header.digest });
                }
                Found::Garbage { offset, length } => {
                    damaged.push(Repair::DamagedPack { pack, offset, bytes: length });
                }
            }
            Ok(())
        })?;
        self.repairs.append(&mut damaged);
        if end < length {
            self.faults
                .before(Effect::CutPack)
                .and_then(|()| file.set_len(end))
                .map_err(|error| LarderError::io("cut", &path, error))?;
            self.repairs.push(Repair::TailCut { pack, bytes: length - end });
        }
        if from == 0 {
            self.batch.changes.push(Change::PackEnds { pack, end });
        }
        self.batch.harvest.indexed.insert(pack, end);
        Ok(end)
    }

    /// Takes in the names of all blobs. They are hashed when they are first opened.
    fn blobs(&mut self, blobs: &Blobs) -> Result<(), LarderError> {
        blobs.list(&mut |digest, _| {
            let path = blobs.path(&digest);
            let size = std::fs::metadata(&path).map_err(|error| LarderError::io("stat", &path, error))?.len();
            self.batch.changes.push(Change::Blob { digest, size, mark: None });
            if self.batch.changes.len() >= ROWS {
                self.commit()?;
            }
            Ok(())
        })
    }

    fn commit(&mut self) -> Result<(), LarderError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let failed = |error| LarderError::io("write", &self.index, error);
        self.faults.before(Effect::Commit).map_err(failed)?;
        let applied = index::apply(&mut self.connection, &mut self.batch);
        applied.map_err(|error| self.failed(error))?;
        self.batch = Batch::default();
        Ok(())
    }

    /// After a new boot, what was not forced onto the disk before is to be hashed again.
    fn boot(&mut self) -> Result<(), LarderError> {
        let now = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let update = |connection: &Connection| -> rusqlite::Result<()> {
            let same = connection
                .prepare("SELECT 1 FROM meta WHERE key = 'boot' AND value = ?1")?
                .exists([now.as_str()])?;
            if !same {
                connection.execute("UPDATE objects SET ino = NULL WHERE synced = 0", [])?;
                connection
                    .execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('boot', ?1)", params![now])?;
            }
            Ok(())
        };
        update(&self.connection).map_err(|error| self.failed(error))
    }

    fn next_answer(&self) -> Result<u64, LarderError> {
        self.connection
            .query_row("SELECT coalesce(max(place) + 1, 0) FROM traces", [], |row| row.get::<_, i64>(0))
            .map(|next| next as u64)
            .map_err(|error| self.failed(error))
    }
}
