//! The index: one SQLite database that can always be built again from packs and blobs.
//!
//! Actors: the writer thread owns the one connection that writes ([`mod@write`]); readers borrow connections from a
//! pool ([`Index::read`]). In WAL mode neither waits for the other. `synchronous = NORMAL`: a killed process loses no
//! commit; a power cut may take the last ones back, and the tails of the packs are then scanned again.
//!
//! Notes, digests of host files and what was hit last are only here: losing them costs time.

mod schema;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::Digest;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::blobs::Mark;
use crate::packs::Spot;
use crate::places::Place;
use crate::{LarderError, ObjectKind};

pub(crate) use schema::open;
pub(crate) use write::{Batch, Change, apply};

/// The read side.
pub(crate) struct Index {
    path: PathBuf,
    idle: Mutex<Vec<(u64, Connection)>>,
    limit: usize,
    /// How often the file was replaced; connections to an earlier one are dropped.
    generation: AtomicU64,
}

impl Index {
    pub(crate) fn new(path: PathBuf, limit: usize) -> Self {
        Self { path, idle: Mutex::default(), limit, generation: AtomicU64::new(0) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs queries on a connection of the pool.
    pub(crate) fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LarderError> {
        let failed = |error| LarderError::index(&self.path, error);
        let generation = self.generation();
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some((of, connection)) if of == generation => connection,
            _ => connect(&self.path).map_err(failed)?,
        };
        let answer = ask(&connection).map_err(failed)?;
        let mut idle = self.idle.lock();
        if idle.len() < self.limit && generation == self.generation() {
            idle.push((generation, connection));
        }
        Ok(answer)
    }

    /// Forgets idle connections: the file was replaced.
    pub(crate) fn reconnect(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.idle.lock().clear();
    }

    /// How often the file was replaced.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Where an object is.
    pub(crate) fn place(&self, digest: &Digest) -> Result<Option<Place>, LarderError> {
        self.read(|connection| place(connection, digest))
    }
}

/// Where an object is.
pub(crate) fn place(connection: &Connection, digest: &Digest) -> rusqlite::Result<Option<Place>> {
    let place = connection
        .prepare_cached(
            "SELECT kind, length, pack, offset, ino, mtime, ctime FROM objects WHERE digest = ?1",
        )?
        .query_row([digest.as_bytes()], |row| place_of(row, 0))
        .optional()?;
    Ok(place.flatten())
}

/// Where objects are, all seen at one moment: one transaction, which costs more than a look-up in it.
pub(crate) fn places(connection: &Connection, digests: &[Digest]) -> rusqlite::Result<Vec<(Digest, Place)>> {
    let moment = connection.unchecked_transaction()?;
    let mut found = Vec::with_capacity(digests.len());
    for digest in digests {
        found.extend(place(&moment, digest)?.map(|place| (*digest, place)));
    }
    moment.finish()?;
    Ok(found)
}

/// A place from seven columns; `None` if they make no sense.
pub(crate) fn place_of(row: &Row<'_>, from: usize) -> rusqlite::Result<Option<Place>> {
    let (kind, length): (u8, u64) = (row.get(from)?, row.get::<_, i64>(from + 1)? as u64);
    let Some(kind) = ObjectKind::from_byte(kind) else { return Ok(None) };
    let pack: Option<u32> = row.get(from + 2)?;
    Ok(Some(match pack {
        Some(pack) => {
            let Ok(length) = u32::try_from(length) else { return Ok(None) };
            Place::Packed { kind, spot: Spot { pack, offset: row.get(from + 3)?, length } }
        }
        None => {
            let ino: Option<i64> = row.get(from + 4)?;
            let mark = match ino {
                None => None,
                Some(ino) => Some(Mark {
                    ino: ino as u64,
                    size: length,
                    mtime_ns: row.get(from + 5)?,
                    ctime_ns: row.get(from + 6)?,
                }),
            };
            Place::Whole { size: length, mark }
        }
    }))
}

/// A digest from a column; an index that holds something else there is damaged.
pub(crate) fn digest_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from_bytes)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(32);
    keep_plans(&connection)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

/// Lets a prepared statement keep its plan. With its statistics of columns SQLite else throws a plan away as soon as another value
/// is bound, and prepares the statement anew for each execution; here all are look-ups by key.
pub(crate) fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Reads a number of `meta`; 0 if it is not there.
pub(crate) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<i64> {
    let value = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row(params![key], |row| row.get(0))
        .optional()?;
    Ok(value.unwrap_or(0))
}
