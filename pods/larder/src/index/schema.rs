//! The tables, their version, and what is done with a database that is damaged, older or newer.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::LarderError;
use crate::quarantine::Quarantine;

/// The version of the tables. Raise it with every change of [`TABLES`]; an older database is built again from the
/// objects unless a migration is written.
pub(crate) const VERSION: i64 = 1;

/// `CPLR`.
const APPLICATION_ID: i64 = 0x4350_4c52;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- Up to where each pack is described by the tables below.
CREATE TABLE packs (pack INTEGER PRIMARY KEY, indexed INTEGER NOT NULL);
-- pack and offset are null for a blob that is a file; ino, mtime, ctime (nanoseconds) are its mark, null if it has to be
-- hashed before it is believed; synced is 0 until its bytes were forced onto the disk.
CREATE TABLE objects (
    digest BLOB PRIMARY KEY, kind INTEGER NOT NULL, length INTEGER NOT NULL,
    pack INTEGER, offset INTEGER, ino INTEGER, mtime INTEGER, ctime INTEGER, synced INTEGER
) WITHOUT ROWID;
CREATE INDEX unsynced ON objects (digest) WHERE synced = 0;
-- The first trace of each strong key.
CREATE TABLE traces (
    strong BLOB PRIMARY KEY, trace BLOB NOT NULL, weak BLOB NOT NULL, path_set BLOB NOT NULL, place INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX traces_by_digest ON traces (trace);
-- Databases of this version may be without it; then it is made when they are opened.
CREATE INDEX traces_by_weak_key ON traces (weak, path_set, place);
-- Which path sets may answer a weak key, for whom, and when one last did.
CREATE TABLE candidates (
    weak BLOB NOT NULL, workspace BLOB NOT NULL, path_set BLOB NOT NULL, hit INTEGER NOT NULL,
    PRIMARY KEY (weak, workspace, path_set)
) WITHOUT ROWID;
CREATE TABLE revoked (trace BLOB PRIMARY KEY) WITHOUT ROWID;
-- Digests of host files; checked by a sum over the row.
CREATE TABLE stamps (
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
    ctime INTEGER NOT NULL, digest BLOB NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (dev, ino)
) WITHOUT ROWID;
CREATE TABLE notes (
    workspace BLOB NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (workspace, key)
) WITHOUT ROWID;
";

/// A query for each table that touches its root page and names all of its columns.
const PROBES: [&str; 8] = [
    "SELECT key, value FROM meta LIMIT 1",
    "SELECT pack, indexed FROM packs LIMIT 1",
    "SELECT digest, kind, length, pack, offset, ino, mtime, ctime, synced FROM objects LIMIT 1",
    "SELECT strong, trace, weak, path_set, place FROM traces LIMIT 1",
    "SELECT weak, workspace, path_set, hit FROM candidates LIMIT 1",
    "SELECT trace FROM revoked LIMIT 1",
    "SELECT dev, ino, size, mtime, ctime, digest, sum FROM stamps LIMIT 1",
    "SELECT workspace, key, value FROM notes LIMIT 1",
];

/// An open database.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// It is empty and has to be filled from the objects.
    pub(crate) fresh: bool,
    /// A database was there, and could not be used.
    pub(crate) replaced: bool,
}

/// Opens the database for writing. A damaged or older one goes to the quarantine, and an empty one takes its place.
pub(crate) fn open(dir: &Path, path: &Path, quarantine: &Quarantine) -> Result<Opened, LarderError> {
    let failed = |error| LarderError::index(path, error);
    match try_open(path) {
        Ok((connection, State::Current)) => return Ok(Opened { connection, fresh: false, replaced: false }),
        Ok((connection, State::Empty)) => {
            create(&connection).map_err(failed)?;
            return Ok(Opened { connection, fresh: true, replaced: false });
        }
        Ok((_, State::Newer(found))) => {
            return Err(LarderError::Newer { dir: dir.to_owned(), found, known: VERSION });
        }
        Ok((connection, State::Unusable)) => drop(connection),
        Err(error) => {
            let error = LarderError::index(path, error);
            if !error.is_damaged_index() {
                return Err(error);
            }
        }
    }
    quarantine.take_index(path)?;
    let (connection, _) = try_open(path).map_err(failed)?;
    create(&connection).map_err(failed)?;
    Ok(Opened { connection, fresh: true, replaced: true })
}

enum State {
    Current,
    Empty,
    Newer(i64),
    Unusable,
}

fn try_open(path: &Path) -> rusqlite::Result<(Connection, State)> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(64);
    super::keep_plans(&connection)?;
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let state = match (application, version) {
        (0, 0) if tables == 0 => State::Empty,
        (APPLICATION_ID, VERSION) => State::Current,
        (APPLICATION_ID, newer) if newer > VERSION => State::Newer(newer),
        _ => State::Unusable,
    };
    if let State::Current | State::Empty = state {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "cache_size", -16384)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        // Whoever opens the database next reads all of the log: with 4000 pages that took 6 ms.
        connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
        // The next one to open reads the log; to fold it in would make every end wait for the disk.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    }
    let state = match state {
        State::Current if !has_our_tables(&connection)? => State::Unusable,
        State::Current => {
            connection.execute_batch(
                "CREATE INDEX IF NOT EXISTS traces_by_weak_key ON traces (weak, path_set, place)",
            )?;
            State::Current
        }
        state => state,
    };
    Ok((connection, state))
}

fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    for probe in PROBES {
        let mut query = match connection.prepare(probe) {
            Ok(query) => query,
            // A table or a column is not there, whatever the version says.
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::Unknown) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        query.query([])?.next()?;
    }
    Ok(true)
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}
