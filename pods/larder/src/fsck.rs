//! Checking everything, and making the index anew from the objects, while the larder is open.
//!
//! Two passes: from the objects to the index (each is hashed; what is damaged goes to the quarantine, what the index
//! does not know is added), then from the index to the objects (a row that leads nowhere is dropped). Memory is
//! bounded; what is put meanwhile is left in peace. If the index itself is damaged it is replaced by an empty
//! one before the first pass. The same is done, without hashing blobs, when a damaged index shows itself in use.

use std::os::unix::fs::FileExt;

use parking_lot::MutexGuard;
use protocol::Digest;
use rusqlite::{Connection, OptionalExtension, params};

use crate::blobs::{hash_file, mark_of};
use crate::index::{Change, digest_of, place_of};
use crate::packs::{Spot, list_packs};
use crate::places::Place;
use crate::record::{HEADER, Header, Row};
use crate::scan::{Found, Source, scan};
use crate::{Larder, LarderError, ObjectKind, Repair};

/// How far a check has come, in bytes read of those that there were at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsckProgress {
    /// Bytes checked.
    pub done: u64,
    /// Bytes there are.
    pub total: u64,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Objects that are what their digest says.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong. All of it is mended: what is damaged is absent now.
    pub wrong: Vec<Repair>,
    /// Objects and traces that were there, and that the index did not know.
    pub restored: u64,
    /// Bytes in packs that belong to no object: what was damaged earlier, or put twice at the same time.
    pub dead: u64,
}

impl FsckReport {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// Rows of the index that are looked at together.
const PAGE: usize = 1024;

impl Larder {
    /// Checks every hash, quarantines what is damaged, and makes index and objects agree. The larder stays usable.
    ///
    /// # Errors
    /// Of the disk or the index; damage is in the report.
    pub fn fsck(&self, progress: &mut dyn FnMut(FsckProgress)) -> Result<FsckReport, LarderError> {
        let checking = self.inner.checking.lock();
        let mut check = Check { larder: self, report: FsckReport::default(), progress, done: 0, total: 0 };
        let sound = self.index_is_sound(&checking);
        if !sound {
            self.inner.writer.reset()?;
            check.report.wrong.push(Repair::IndexRebuilt);
        }
        self.flush()?;
        check.measure()?;
        check.packs(!sound)?;
        check.blobs()?;
        self.flush()?;
        check.objects()?;
        check.traces()?;
        self.flush()?;
        for repair in &check.report.wrong {
            self.report(repair.clone());
        }
        Ok(check.report)
    }

    fn index_is_sound(&self, _checking: &MutexGuard<'_, ()>) -> bool {
        let answer = self.shared().index.read(|connection| {
            connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
        });
        matches!(answer.as_deref(), Ok("ok")) && self.shared().index.read(every_row).is_ok()
    }

    /// Asks the index; if that shows that it is damaged, it is made anew, and asked again.
    pub(crate) fn ask<T>(&self, ask: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, LarderError> {
        let before = self.shared().index.generation();
        match self.shared().index.read(&ask) {
            Err(error) if error.is_damaged_index() => {
                self.heal(before, error)?;
                self.shared().index.read(&ask)
            }
            answer => answer,
        }
    }

    /// Whether puts can be taken; a damaged index is made anew first.
    pub(crate) fn ready(&self) -> Result<(), LarderError> {
        match self.shared().healthy() {
            Err(error) if error.is_damaged_index() => self.heal(self.shared().index.generation(), error),
            // There may be room again by now, and whoever comes next must not hear of what was: it is tried at once.
            Err(_) => self.flush(),
            Ok(()) => Ok(()),
        }
    }

    /// Replaces the index of that generation. If somebody else is at it, the damage is their business.
    fn heal(&self, generation: u64, damage: LarderError) -> Result<(), LarderError> {
        let Some(_checking) = self.inner.checking.try_lock() else { return Err(damage) };
        if self.shared().index.generation() != generation {
            return Ok(());
        }
        self.inner.writer.reset()?;
        self.report(Repair::IndexRebuilt);
        let mut check =
            Check { larder: self, report: FsckReport::default(), progress: &mut |_| (), done: 0, total: 0 };
        check.packs(true)?;
        self.inner.blobs.list(&mut |digest, _| {
            if self.shared().places.get(&digest).is_none()
                && let Some((_, mark)) = self.inner.blobs.open(&digest)?
            {
                self.change(Change::Blob { digest, size: mark.size, mark: None })?;
            }
            Ok(())
        })?;
        self.flush()
    }
}

/// Reads every value, so that one of a wrong type shows.
fn every_row(connection: &Connection) -> rusqlite::Result<()> {
    for (query, digests) in [
        ("SELECT digest, kind, length, pack, offset, ino, mtime, ctime FROM objects", &[0usize][..]),
        ("SELECT strong, trace, weak, path_set FROM traces", &[0, 1, 2, 3]),
        ("SELECT weak, path_set FROM candidates", &[0, 1]),
        ("SELECT trace FROM revoked", &[0]),
        ("SELECT digest FROM stamps", &[0]),
    ] {
        let mut query_rows = connection.prepare(query)?;
        let mut rows = query_rows.query([])?;
        while let Some(row) = rows.next()? {
            for column in digests {
                digest_of(row, *column)?;
            }
            if query.contains("objects") {
                place_of(row, 1)?;
            }
        }
    }
    Ok(())
}

struct Check<'a> {
    larder: &'a Larder,
    report: FsckReport,
    progress: &'a mut dyn FnMut(FsckProgress),
    done: u64,
    total: u64,
}

impl Check<'_> {
    fn measure(&mut self) -> Result<(), LarderError> {
        self.total = list_packs(&self.larder.inner.folders.packs)?.iter().map(|(_, length)| length).sum();
        let blobs = &self.larder.inner.blobs;
        blobs.list(&mut |digest, _| {
            self.total += std::fs::metadata(blobs.path(&digest)).map_or(0, |meta| meta.len());
            Ok(())
        })
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        self.total = self.total.max(self.done);
        (self.progress)(FsckProgress { done: self.done, total: self.total });
    }

    /// From the packs to the index. If that is empty, it is also told up to where each pack is in it.
    fn packs(&mut self, empty_index: bool) -> Result<(), LarderError> {
        let packs = &self.larder.shared().packs;
        // The ends that are settled now: what is appended later goes its own way into the index.
        packs.write_out()?;
        let tails = packs.tails();
        for (pack, length) in list_packs(&self.larder.inner.folders.packs)? {
            let to = tails.iter().find(|(id, _)| *id == pack).map_or(length, |(_, written)| *written);
            let is_tail = tails.iter().any(|(id, _)| *id == pack);
            let path = packs.path(pack);
            let Some(file) = packs.file(pack)? else { continue };
            let source = Source { file: &file, path: &path, salt: self.larder.inner.salt };
            let mut at = 0;
            scan(source, 0, to, &mut |found| {
                let here = match found {
                    Found::Good { offset, header, body } => {
                        self.good(pack, offset, &header, body)?;
                        offset + header.total()
                    }
                    Found::Damaged { offset, header } => {
                        self.damaged(pack, offset, &header, empty_index)?;
                        offset + header.total()
                    }
                    Found::Garbage { offset, length } => {
                        self.report.dead += length;
                        offset + length
                    }
                };
                self.advance(here.saturating_sub(at));
                at = here;
                Ok(())
            })?;
            if empty_index && !is_tail {
                self.larder.change(Change::PackIndexed { pack, end: to })?;
            }
        }
        Ok(())
    }

    fn good(&mut self, pack: u32, offset: u64, header: &Header, body: &[u8]) -> Result<(), LarderError> {
        let Some(row) = Row::of(header, body, pack, offset as u32) else { return Ok(()) };
        let index = &self.larder.shared().index;
        let missing = match &row {
            Row::Object { digest, length, .. } => {
                self.report.objects += 1;
                self.report.bytes += u64::from(*length);
                // What was put a moment ago is on its way into the index.
                match index.place(digest)?.or_else(|| self.larder.shared().places.get(digest)) {
                    None => true,
                    Some(Place::Packed { spot, .. })
                        if (spot.pack, u64::from(spot.offset)) == (pack, offset) =>
                    {
                        false
                    }
                    Some(_) => {
                        self.report.objects -= 1;
                        self.report.bytes -= u64::from(*length);
                        self.report.dead += header.total();
                        false
                    }
                }
            }
            Row::Trace(entry) => {
                let answered = index.read(|connection| {
                    connection
                        .prepare_cached(
                            "SELECT 1 FROM traces WHERE strong = ?1 AND place <= ?2
                             UNION ALL SELECT 1 FROM revoked WHERE trace = ?3",
                        )?
                        .exists(params![entry.strong.as_bytes(), entry.order as i64, entry.trace.as_bytes()])
                })?;
                !answered
            }
            Row::Revoked(trace) => !self.larder.is_revoked(trace)?,
            // A later mark may have taken its place.
            Row::Mark(mark) => !self.larder.is_marked(mark.kind, &mark.on)?,
        };
        if missing {
            self.report.restored += 1;
            self.larder.change(Change::Row(row))?;
        }
        Ok(())
    }

    /// Only what the index believed in is news; the rest was found before, and stays in its pack as dead bytes.
    fn damaged(&mut self, pack: u32, offset: u64, header: &Header, news: bool) -> Result<(), LarderError> {
        self.report.dead += header.total();
        let spot = Spot { pack, offset: offset as u32, length: header.length };
        let here = matches!(
            self.larder.shared().index.place(&header.digest)?,
            Some(Place::Packed { spot: known, .. }) if (known.pack, known.offset) == (spot.pack, spot.offset)
        );
        if here || news {
            self.larder.set_record_aside(&header.digest, spot)?;
            self.report.wrong.push(Repair::DamagedObject { digest: header.digest });
        }
        Ok(())
    }

    /// From the whole files to the index.
    fn blobs(&mut self) -> Result<(), LarderError> {
        let larder = self.larder;
        larder.inner.blobs.list(&mut |digest, _| {
            let path = larder.inner.blobs.path(&digest);
            let Some((file, before)) = larder.inner.blobs.open(&digest)? else { return Ok(()) };
            let failed = |error| LarderError::io("read", &path, error);
            let (found, size) = hash_file(&file).map_err(failed)?;
            if found == digest {
                let mark = mark_of(&file).map_err(failed)?;
                let place = Place::Whole { size, mark: Some(mark) };
                match larder.shared().index.place(&digest)? {
                    Some(known) if known == place => {}
                    known => {
                        self.report.restored += u64::from(known.is_none());
                        larder.add_blob(&digest, place)?;
                    }
                }
                self.report.objects += 1;
                self.report.bytes += size;
            } else if larder.check_blob(&digest)?.is_none() {
                self.report.wrong.push(Repair::DamagedObject { digest });
            }
            self.advance(before.size);
            Ok(())
        })
    }

    /// From the index to the objects.
    fn objects(&mut self) -> Result<(), LarderError> {
        let larder = self.larder;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let page: Vec<(Digest, Option<Place>)> = larder.shared().index.read(|connection| {
                connection
                    .prepare_cached(
                        "SELECT digest, kind, length, pack, offset, ino, mtime, ctime FROM objects
                         WHERE digest > ?1 ORDER BY digest LIMIT ?2",
                    )?
                    .query_map(params![after, PAGE as i64], |row| {
                        Ok((digest_of(row, 0)?, place_of(row, 1)?))
                    })?
                    .collect()
            })?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = last.as_bytes().to_vec();
            for (digest, place) in page {
                match place {
                    Some(Place::Packed { kind, spot }) if !self.is_record(kind, &digest, spot)? => {
                        larder.drop_record(&digest, spot)?;
                        self.report.wrong.push(Repair::MissingObject { digest });
                    }
                    Some(Place::Whole { .. }) if !larder.inner.blobs.is_named(&digest) => {
                        larder.forget_blob(&digest)?;
                        self.report.wrong.push(Repair::MissingObject { digest });
                    }
                    _ => {}
                }
            }
        }
    }

    fn is_record(&self, kind: ObjectKind, digest: &Digest, spot: Spot) -> Result<bool, LarderError> {
        let packs = &self.larder.shared().packs;
        let Some(file) = packs.file(spot.pack)? else { return Ok(false) };
        let mut header = [0; HEADER];
        Ok(file.read_exact_at(&mut header, u64::from(spot.offset)).is_ok()
            && Header::names(&header, kind, digest, spot.length))
    }

    /// Answers whose trace is not there any more.
    fn traces(&mut self) -> Result<(), LarderError> {
        let larder = self.larder;
        let mut after: Vec<u8> = Vec::new();
        loop {
            let next: Option<(Digest, Digest)> = larder.shared().index.read(|connection| {
                connection
                    .prepare_cached(
                        "SELECT strong, trace FROM traces WHERE strong > ?1 ORDER BY strong LIMIT 1",
                    )?
                    .query_row([&after], |row| Ok((digest_of(row, 0)?, digest_of(row, 1)?)))
                    .optional()
            })?;
            let Some((strong, trace)) = next else { return Ok(()) };
            after = strong.as_bytes().to_vec();
            if larder.locate(&trace, 0)?.is_none() {
                larder.change(Change::DropTrace { strong, trace })?;
            }
        }
    }
}
