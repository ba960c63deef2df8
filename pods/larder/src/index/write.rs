//! Taking a batch into the index, in one transaction.

use protocol::{Digest, Stamp, WorkspaceId};
use rusqlite::{Connection, Transaction, params};

use crate::blobs::Mark;
use crate::index::meta;
use crate::marks::{self, nobody};
use crate::options::{CANDIDATES_PER_WEAK_KEY, CANDIDATES_PER_WORKSPACE};
use crate::packs::{Harvest, Spot};
use crate::record::{Row, TraceEntry};
use crate::stamp_check::check;

/// A change of the index that is not a record of a pack.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A blob's file is there; without a mark it was not hashed yet.
    Blob { digest: Digest, size: u64, mark: Option<Mark> },
    /// A record is not where the index says, or is damaged.
    DropPacked { digest: Digest, spot: Spot },
    /// A blob's file is not there, or is damaged.
    DropWhole { digest: Digest },
    /// A trace cannot be read any more.
    DropTrace { strong: Digest, trace: Digest },
    /// A pack ends before what the index says of it.
    PackEnds { pack: u32, end: u64 },
    /// All records of a pack up to here were given to the index.
    PackIndexed { pack: u32, end: u64 },
    /// A record that was found by a scan.
    Row(Row),
    /// A host file's digest.
    Stamp { stamp: Stamp, digest: Digest },
    /// A path set answered, or may answer.
    Hit { weak: Digest, workspace: [u8; 16], path_set: Digest },
    /// A note's new value; `None` removes it.
    Note { workspace: WorkspaceId, key: String, value: Option<Vec<u8>> },
    /// These blobs' bytes were forced onto the disk.
    Synced(Vec<Digest>),
}

/// All that one transaction takes in.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) changes: Vec<Change>,
    pub(crate) harvest: Harvest,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.harvest.rows.is_empty() && self.harvest.indexed.is_empty()
    }
}

/// What the tables hold, kept up with each transaction.
struct Totals {
    objects: i64,
    bytes: i64,
    blobs: i64,
    hits: i64,
}

/// Takes the batch in. On an error nothing is taken in.
pub(crate) fn apply(connection: &mut Connection, batch: &mut Batch) -> rusqlite::Result<()> {
    // Neighbours in the tables are neighbours in the batch: each page is touched once.
    batch.harvest.rows.sort_by_key(|row| match row {
        Row::Object { digest, .. } => (0, 0, Some(*digest)),
        Row::Trace(entry) => (1, entry.order, None),
        Row::Revoked(_) => (2, 0, None),
        Row::Mark(_) => (3, 0, None),
    });
    batch.changes.sort_by_key(|change| match change {
        Change::Stamp { stamp, .. } => (1, stamp.dev, stamp.ino),
        _ => (0, 0, 0),
    });
    let transaction = connection.transaction()?;
    let mut totals = Totals {
        objects: meta(&transaction, "objects")?,
        bytes: meta(&transaction, "bytes")?,
        blobs: meta(&transaction, "blobs")?,
        hits: meta(&transaction, "hits")?,
    };
    for change in &batch.changes {
        change.apply(&transaction, &mut totals)?;
    }
    for row in &batch.harvest.rows {
        apply_row(row, &transaction, &mut totals)?;
    }
    for (pack, end) in &batch.harvest.indexed {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO packs (pack, indexed) VALUES (?1, ?2)")?
            .execute(params![pack, *end as i64])?;
    }
    for (key, value) in
        [("objects", totals.objects), ("bytes", totals.bytes), ("blobs", totals.blobs), ("hits", totals.hits)]
    {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute(params![key, value])?;
    }
    transaction.commit()
}

fn apply_row(row: &Row, on: &Transaction<'_>, totals: &mut Totals) -> rusqlite::Result<()> {
    match row {
        Row::Object { digest, kind, pack, offset, length } => {
            let new = on
                .prepare_cached(
                    "INSERT OR IGNORE INTO objects (digest, kind, length, pack, offset) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![digest.as_bytes(), *kind as u8, length, pack, offset])?;
            totals.objects += new as i64;
            totals.bytes += new as i64 * i64::from(*length);
        }
        Row::Trace(entry) => apply_trace(entry, on, totals)?,
        Row::Revoked(trace) => {
            on.prepare_cached("INSERT OR IGNORE INTO revoked (trace) VALUES (?1)")?
                .execute([trace.as_bytes()])?;
            on.prepare_cached("DELETE FROM traces WHERE trace = ?1")?.execute([trace.as_bytes()])?;
        }
        Row::Mark(mark) => {
            on.prepare_cached("INSERT OR REPLACE INTO notes (workspace, key, value) VALUES (?1, ?2, ?3)")?
                .execute(params![nobody().to_bytes(), marks::key(mark.kind, &mark.on), mark.value])?;
        }
    }
    Ok(())
}

fn apply_trace(entry: &TraceEntry, on: &Transaction<'_>, totals: &mut Totals) -> rusqlite::Result<()> {
    if on.prepare_cached("SELECT 1 FROM revoked WHERE trace = ?1")?.exists([entry.trace.as_bytes()])? {
        return Ok(());
    }
    // Packs are scanned one after the other, not in the order of the answers: the first answer wins all the same.
    on.prepare_cached(
        "INSERT INTO traces (strong, trace, weak, path_set, place) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (strong) DO UPDATE SET trace = excluded.trace, weak = excluded.weak,
             path_set = excluded.path_set, place = excluded.place WHERE excluded.place < place",
    )?
    .execute(params![
        entry.strong.as_bytes(),
        entry.trace.as_bytes(),
        entry.weak.as_bytes(),
        entry.path_set.as_bytes(),
        entry.order as i64
    ])?;
    hit(&entry.weak, &entry.workspace, &entry.path_set, on, totals)
}

fn hit(
    weak: &Digest,
    workspace: &[u8; 16],
    path_set: &Digest,
    on: &Transaction<'_>,
    totals: &mut Totals,
) -> rusqlite::Result<()> {
    totals.hits += 1;
    on.prepare_cached(
        "INSERT INTO candidates (weak, workspace, path_set, hit) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (weak, workspace, path_set) DO UPDATE SET hit = excluded.hit",
    )?
    .execute(params![weak.as_bytes(), workspace, path_set.as_bytes(), totals.hits])?;
    // What is beyond the bounds is never answered; a trace behind it stays reachable by its strong key.
    on.prepare_cached(
        "DELETE FROM candidates WHERE weak = ?1 AND workspace = ?2 AND hit <= (
             SELECT hit FROM candidates WHERE weak = ?1 AND workspace = ?2 ORDER BY hit DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute(params![weak.as_bytes(), workspace, CANDIDATES_PER_WORKSPACE as i64])?;
    on.prepare_cached(
        "DELETE FROM candidates WHERE weak = ?1 AND hit <= (
             SELECT hit FROM candidates WHERE weak = ?1 ORDER BY hit DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute(params![weak.as_bytes(), CANDIDATES_PER_WEAK_KEY as i64])?;
    Ok(())
}

impl Change {
    fn apply(&self, on: &Transaction<'_>, totals: &mut Totals) -> rusqlite::Result<()> {
        match self {
            Change::Blob { digest, size, mark } => {
                forget_object("", params![digest.as_bytes()], on, totals)?;
                on.prepare_cached(
                    "INSERT INTO objects (digest, kind, length, ino, mtime, ctime, synced)
                     VALUES (?1, 1, ?2, ?3, ?4, ?5, 0)",
                )?
                .execute(params![
                    digest.as_bytes(),
                    *size as i64,
                    mark.map(|mark| mark.ino as i64),
                    mark.map(|mark| mark.mtime_ns),
                    mark.map(|mark| mark.ctime_ns),
                ])?;
                totals.objects += 1;
                totals.blobs += 1;
                totals.bytes += *size as i64;
            }
            Change::DropPacked { digest, spot } => {
                let here = params![digest.as_bytes(), spot.pack, spot.offset];
                forget_object("AND pack = ?2 AND offset = ?3", here, on, totals)?;
            }
            Change::DropWhole { digest } => {
                forget_object("AND pack IS NULL", params![digest.as_bytes()], on, totals)?;
            }
            Change::DropTrace { strong, trace } => {
                on.prepare_cached("DELETE FROM traces WHERE strong = ?1 AND trace = ?2")?
                    .execute([strong.as_bytes(), trace.as_bytes()])?;
            }
            Change::PackEnds { pack, end } => {
                let gone = "pack = ?1 AND offset + 56 + length > ?2";
                let (objects, bytes): (i64, i64) = on.query_row(
                    &format!("SELECT count(*), coalesce(sum(length), 0) FROM objects WHERE {gone}"),
                    params![pack, *end as i64],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                on.execute(&format!("DELETE FROM objects WHERE {gone}"), params![pack, *end as i64])?;
                totals.objects -= objects;
                totals.bytes -= bytes;
            }
            Change::PackIndexed { pack, end } => {
                on.execute(
                    "INSERT OR REPLACE INTO packs (pack, indexed) VALUES (?1, ?2)",
                    params![pack, *end as i64],
                )?;
            }
            Change::Row(row) => apply_row(row, on, totals)?,
            Change::Stamp { stamp, digest } => {
                on.prepare_cached(
                    "INSERT OR REPLACE INTO stamps (dev, ino, size, mtime, ctime, digest, sum)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    stamp.dev as i64,
                    stamp.ino as i64,
                    stamp.size as i64,
                    stamp.mtime_ns,
                    stamp.ctime_ns,
                    digest.as_bytes(),
                    check(stamp, digest),
                ])?;
            }
            Change::Hit { weak, workspace, path_set } => hit(weak, workspace, path_set, on, totals)?,
            Change::Note { workspace, key, value: Some(value) } => {
                on.prepare_cached(
                    "INSERT OR REPLACE INTO notes (workspace, key, value) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![workspace.to_bytes(), key, value])?;
            }
            Change::Note { workspace, key, value: None } => {
                on.prepare_cached("DELETE FROM notes WHERE workspace = ?1 AND key = ?2")?
                    .execute(params![workspace.to_bytes(), key])?;
            }
            Change::Synced(digests) => {
                for digest in digests {
                    on.prepare_cached("UPDATE objects SET synced = 1 WHERE digest = ?1 AND synced = 0")?
                        .execute([digest.as_bytes()])?;
                }
            }
        }
        Ok(())
    }
}

fn forget_object(
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
    on: &Transaction<'_>,
    totals: &mut Totals,
) -> rusqlite::Result<()> {
    let mut delete = on.prepare_cached(&format!(
        "DELETE FROM objects WHERE digest = ?1 {condition} RETURNING length, pack IS NULL"
    ))?;
    let mut rows = delete.query(values)?;
    while let Some(row) = rows.next()? {
        totals.objects -= 1;
        totals.bytes -= row.get::<_, i64>(0)?;
        totals.blobs -= row.get::<_, i64>(1)?;
    }
    Ok(())
}
