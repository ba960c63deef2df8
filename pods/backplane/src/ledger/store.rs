//! The SQLite file: one row for each subject. An index of what log and other pods have: damaged, it is made anew.

use std::path::{Path, PathBuf};

use protocol::PodId;
use protocol::mesh::FederationId;
use rusqlite::{Connection, OptionalExtension, params};

use super::digests::{hash_of, leaf_of};
use super::entry::Entry;
use crate::bus::Position;
use crate::keys::Highest;

const APPLICATION_ID: i64 = 0x6370_6c67;
const VERSION: i64 = 1;

/// The database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says so.
    #[error("cannot use the ledger `{path}`: {cause}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: rusqlite::Error,
    },
    /// A newer program has written it.
    #[error(
        "the ledger `{path}` has format {found}, this program knows {VERSION}: use the newer program again"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// A damaged one cannot be moved away.
    #[error("the damaged ledger `{path}` cannot be moved away: {cause}")]
    Move {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

pub(super) struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    pub(super) fn open(path: Option<&Path>, federation: &FederationId) -> Result<Self, StoreError> {
        let shown = path.unwrap_or(Path::new(":memory:"));
        match Self::try_open(path, federation) {
            Ok(Some(store)) => return Ok(store),
            Err(StoreError::Sqlite { cause, .. }) if !is_damaged(&cause) => {
                return Err(StoreError::Sqlite { path: shown.to_owned(), cause });
            }
            Err(error @ StoreError::Newer { .. }) => return Err(error),
            Ok(None) | Err(_) => {}
        }
        tracing::warn!(path = %shown.display(), "the ledger is damaged or of another federation: it is made anew");
        for suffix in ["", "-wal", "-shm"] {
            let file = PathBuf::from(format!("{}{suffix}", shown.display()));
            match std::fs::rename(&file, format!("{}.damaged{suffix}", shown.display())) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::Move { path: file, cause });
                }
                _ => {}
            }
        }
        Self::try_open(path, federation)?.ok_or_else(|| StoreError::Sqlite {
            path: shown.to_owned(),
            cause: rusqlite::Error::InvalidQuery,
        })
    }

    /// None if it is of no use.
    fn try_open(path: Option<&Path>, federation: &FederationId) -> Result<Option<Self>, StoreError> {
        let shown = path.unwrap_or(Path::new(":memory:")).to_owned();
        let failed = |cause| StoreError::Sqlite { path: shown.clone(), cause };
        let connection = match path {
            Some(path) => Connection::open(path),
            None => Connection::open_in_memory(),
        }
        .map_err(failed)?;
        let pragma =
            |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let (application, version) =
            (pragma("application_id").map_err(failed)?, pragma("user_version").map_err(failed)?);
        if application == APPLICATION_ID && version > VERSION {
            return Err(StoreError::Newer { path: shown, found: version });
        }
        if (application, version) == (0, 0) {
            connection
                .execute_batch(&format!(
                    "PRAGMA journal_mode = WAL;
                     BEGIN;
                     CREATE TABLE entries (
                         subject TEXT PRIMARY KEY, signed BLOB NOT NULL, leaf INTEGER NOT NULL,
                         hash BLOB NOT NULL, seen TEXT NOT NULL
                     ) WITHOUT ROWID;
                     CREATE INDEX entries_by_leaf ON entries (leaf, hash);
                     CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
                     INSERT INTO notes VALUES ('federation', '{federation}');
                     PRAGMA application_id = {APPLICATION_ID};
                     PRAGMA user_version = {VERSION};
                     COMMIT;"
                ))
                .map_err(failed)?;
        } else if (application, version) != (APPLICATION_ID, VERSION) {
            return Ok(None);
        }
        connection
            .execute_batch("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;")
            .map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(32);
        let store = Self { connection, path: shown };
        Ok((store.note("federation")?.as_deref() == Some(&federation.to_string())).then_some(store))
    }

    fn failed(&self, cause: rusqlite::Error) -> StoreError {
        StoreError::Sqlite { path: self.path.clone(), cause }
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        statement.execute(values).map_err(|error| self.failed(error))
    }

    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("BEGIN").map_err(|error| self.failed(error))
    }

    /// Ends a transaction that was not committed, if there is one.
    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(path = %self.path.display(), %error, "a broken transaction of the ledger cannot be ended");
        }
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.connection.execute_batch("COMMIT").map_err(|error| self.failed(error))
    }

    pub(super) fn get(&self, subject: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT signed FROM entries WHERE subject = ?1";
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.failed(error))?;
        statement.query_row([subject], |row| row.get(0)).optional().map_err(|error| self.failed(error))
    }

    pub(super) fn put(&self, entry: &Entry, position: Option<Position>) -> Result<(), StoreError> {
        let seen = position.map(|position| position.incarnation.to_string()).unwrap_or_default();
        let leaf = i64::try_from(leaf_of(&entry.subject)).unwrap_or_default();
        let hash = hash_of(&entry.subject, &entry.signed).to_le_bytes();
        let sql =
            "INSERT OR REPLACE INTO entries (subject, signed, leaf, hash, seen) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.run(sql, params![entry.subject, entry.signed, leaf, hash, seen]).map(|_| ())
    }

    pub(super) fn remove(&self, subject: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM entries WHERE subject = ?1", [subject]).map(|_| ())
    }

    /// The log of this incarnation has the entry.
    pub(super) fn saw(&self, subject: &str, position: Position) -> Result<(), StoreError> {
        let sql = "UPDATE entries SET seen = ?2 WHERE subject = ?1 AND seen <> ?2";
        self.run(sql, params![subject, position.incarnation.to_string()]).map(|_| ())
    }

    pub(super) fn cursor(&self) -> Result<Option<Position>, StoreError> {
        Ok(self.note("cursor")?.and_then(|text| text.parse().ok()))
    }

    pub(super) fn set_cursor(&self, cursor: Position) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO notes VALUES ('cursor', ?1)", [cursor.to_string()]).map(|_| ())
    }

    fn note(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT value FROM notes WHERE name = ?1";
        self.connection
            .query_row(sql, [name], |row| row.get(0))
            .optional()
            .map_err(|error| self.failed(error))
    }

    pub(super) fn len(&self) -> Result<u64, StoreError> {
        let count = self.connection.query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0));
        count.map(|count| u64::try_from(count).unwrap_or_default()).map_err(|error| self.failed(error))
    }

    /// Leaf and hash of all entries: read from the index, without their bytes.
    pub(super) fn each_hash(&self, mut each: impl FnMut(usize, u128)) -> Result<(), StoreError> {
        let mut statement =
            self.connection.prepare("SELECT leaf, hash FROM entries").map_err(|error| self.failed(error))?;
        let mut rows = statement.query([]).map_err(|error| self.failed(error))?;
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            let read = || -> rusqlite::Result<(i64, [u8; 16])> { Ok((row.get(0)?, row.get(1)?)) };
            let (leaf, hash) = read().map_err(|error| self.failed(error))?;
            each(usize::try_from(leaf).unwrap_or_default(), u128::from_le_bytes(hash));
        }
        Ok(())
    }

    /// Where the present generation of the group key was appended, and which it is.
    pub(super) fn generation(&self) -> Result<Option<(Position, u32)>, StoreError> {
        let note = self.note("generation")?;
        Ok(note.and_then(|note| {
            let (position, generation) = note.split_once(' ')?;
            Some((position.parse().ok()?, generation.parse().ok()?))
        }))
    }

    pub(super) fn set_generation(&self, position: Position, generation: u32) -> Result<(), StoreError> {
        let note = format!("{position} {generation}");
        self.run("INSERT OR REPLACE INTO notes VALUES ('generation', ?1)", [note]).map(|_| ())
    }

    /// The last message of each pod whose questions were let in.
    pub(super) fn heard(&self) -> Result<Vec<(PodId, Highest)>, StoreError> {
        let mut heard = Vec::new();
        let sql = "SELECT substr(name, 7), CAST(value AS BLOB) FROM notes WHERE name > 'heard/' AND name < 'heard0'";
        self.select(sql, [], |pod, value| {
            let count = std::str::from_utf8(value).ok().and_then(|value| value.split_once(' '));
            let highest = count.and_then(|(life, count)| {
                Some(Highest { life: life.parse().ok()?, count: count.parse().ok()? })
            });
            heard.extend(pod.parse().ok().zip(highest));
        })?;
        Ok(heard)
    }

    pub(super) fn set_heard(&self, pod: &PodId, highest: Highest) -> Result<(), StoreError> {
        let Highest { life, count } = highest;
        // Of one width, so that the later one is the greater text: questions are served side by side, and may come here in any order.
        let (name, value) = (format!("heard/{pod}"), format!("{life:020} {count:020}"));
        let sql = "INSERT INTO notes VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value
                   WHERE excluded.value > value";
        self.run(sql, [name, value]).map(|_| ())
    }

    /// All entries.
    pub(super) fn each(&self, each: impl FnMut(&str, &[u8])) -> Result<(), StoreError> {
        self.select("SELECT subject, signed FROM entries", [], each)
    }

    /// Those with a prefix.
    pub(super) fn each_below(&self, prefix: &str, each: impl FnMut(&str, &[u8])) -> Result<(), StoreError> {
        // No subject has a character beyond `z`.
        let end = format!("{prefix}~");
        self.select(
            "SELECT subject, signed FROM entries WHERE subject >= ?1 AND subject < ?2",
            [prefix, &end],
            each,
        )
    }

    /// Those of a leaf of the digests.
    pub(super) fn each_of_leaf(&self, leaf: usize, each: impl FnMut(&str, &[u8])) -> Result<(), StoreError> {
        let leaf = i64::try_from(leaf).unwrap_or(-1);
        self.select("SELECT subject, signed FROM entries WHERE leaf = ?1", [leaf], each)
    }

    /// Those that the log of an incarnation has not.
    pub(super) fn each_unseen(
        &self,
        incarnation: &str,
        each: impl FnMut(&str, &[u8]),
    ) -> Result<(), StoreError> {
        self.select("SELECT subject, signed FROM entries WHERE seen <> ?1", [incarnation], each)
    }

    fn select(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
        mut each: impl FnMut(&str, &[u8]),
    ) -> Result<(), StoreError> {
        let select = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(values)?;
            while let Some(row) = rows.next()? {
                each(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
            }
            Ok(())
        };
        select().map_err(|error| self.failed(error))
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}
