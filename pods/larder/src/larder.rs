//! The larder on disk: putting, getting, and who owns what.
//!
//! Actors: callers of any thread, who hash outside all locks and append to packs under a lane's lock; the writer thread
//! ([`crate::writer`]), which alone writes to the index; the syncer ([`crate::syncer`]). A put is visible when
//! it returns. What a crash of the process may lose is what no trace names yet (see [`Larder::add_trace`]) and
//! was not [flushed](Larder::flush); what a power cut may lose is what was not [synced](Larder::sync). Neither makes
//! anything wrong: every object is checked against its digest when it is read.
//!
//! Not its business: the network, what a digest means to a build, when something may be deleted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::Sender;
use parking_lot::Mutex;
use protocol::{Digest, Stamp};

use crate::blobs::{Blobs, TempFile, hash_file, mark_of, with_buffer};
use crate::host_digests::HostDigests;
use crate::index::{self, Change, meta};
use crate::options::{MAX_STRUCTURED_SIZE, PLACES_AHEAD, UNSYNCED_BLOBS, WHOLE_BLOB_SIZE};
use crate::packs::{Spot, list_packs};
use crate::places::Place;
use crate::record::{HEADER, Header, RecordKind, Salt};
use crate::recover::Repair;
use crate::writer::{Shared, Writer};
use crate::{Content, LarderError, ObjectKind, Stats};

/// A content-addressed store in a folder. Clones are handles of the same one; the last that is dropped commits and
/// closes it. All calls are synchronous and may come from any thread.
#[derive(Clone)]
pub struct Larder {
    pub(crate) inner: Arc<Inner>,
}

/// Fields are dropped in this order: the writer ends first, the lock goes last.
pub(crate) struct Inner {
    /// The syncer ends when this goes.
    pub(crate) _alive: Sender<()>,
    pub(crate) writer: Writer,
    pub(crate) shared: Arc<Shared>,
    pub(crate) blobs: Blobs,
    pub(crate) host_digests: HostDigests,
    /// Held per digest while a blob's file gets its name, so that the name and its mark agree.
    pub(crate) naming: Vec<Mutex<()>>,
    pub(crate) repairs: Mutex<Vec<Repair>>,
    /// One at a time checks or rebuilds everything.
    pub(crate) checking: Mutex<()>,
    pub(crate) syncing: Mutex<()>,
    /// Blobs that were named and not forced onto the disk.
    pub(crate) unsynced: Mutex<Vec<Digest>>,
    pub(crate) salt: Salt,
    pub(crate) folders: Folders,
    pub(crate) _lock: File,
}

/// Where things are in a larder's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) packs: PathBuf,
    pub(crate) blobs: PathBuf,
    pub(crate) tmp: PathBuf,
    pub(crate) quarantine: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) format: PathBuf,
}

impl Folders {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            packs: dir.join("packs"),
            blobs: dir.join("blobs"),
            tmp: dir.join("tmp"),
            quarantine: dir.join("quarantine"),
            index: dir.join("index.sqlite"),
            format: dir.join("format"),
        }
    }
}

impl Larder {
    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn change(&self, change: Change) -> Result<(), LarderError> {
        self.inner.writer.change(change)
    }

    /// Stores an object. It can be got when this returns.
    ///
    /// # Errors
    /// Of the disk, or it is full.
    pub fn put(&self, kind: ObjectKind, bytes: &[u8]) -> Result<Digest, LarderError> {
        let digest = kind.digest(bytes);
        self.put_as(kind, &digest, bytes)?;
        Ok(digest)
    }

    /// Stores an object whose bytes were just hashed.
    pub(crate) fn put_as(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<(), LarderError> {
        let size = bytes.len() as u64;
        if kind != ObjectKind::Blob || size < WHOLE_BLOB_SIZE {
            return self.put_packed(kind, digest, bytes);
        }
        self.ready()?;
        if self.locate(digest, size)?.is_none() {
            let temp = self.inner.blobs.temp()?;
            self.inner.blobs.write(&temp, bytes)?;
            self.name_blob(temp, digest, size)?;
        }
        Ok(())
    }

    fn put_packed(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<(), LarderError> {
        let shared = self.shared();
        self.ready()?;
        let size = bytes.len() as u64;
        if size > MAX_STRUCTURED_SIZE {
            return Err(LarderError::TooLarge { what: kind.word(), size, limit: MAX_STRUCTURED_SIZE });
        }
        if self.locate(digest, size)?.is_some() {
            return Ok(());
        }
        let rows = shared.packs.append(RecordKind::Object(kind), *digest, bytes, |spot| {
            shared.places.add_pending(*digest, Place::Packed { kind, spot });
        })?;
        self.inner.writer.wake(rows)
    }

    /// Writes an entry of the log, after which a killed process does not lose it.
    pub(crate) fn log(
        &self,
        kind: RecordKind,
        body: &[u8],
        placed: impl FnOnce(),
    ) -> Result<(), LarderError> {
        let shared = self.shared();
        self.ready()?;
        let rows = shared.packs.append(kind, kind.digest(body), body, |_| placed())?;
        shared.packs.write_out()?;
        self.inner.writer.wake(rows)
    }

    /// Stores an open file's bytes from its start to its end, hashing what it copies; returns digest and size. The
    /// file's offset is neither used nor moved. May be called from several threads at a time.
    ///
    /// # Errors
    /// The file cannot be read, or of the disk.
    pub fn put_file(&self, file: &File) -> Result<(Digest, u64), LarderError> {
        let failed = |error| LarderError::io("read", &name_of(file), error);
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(LarderError::NoFile { path: name_of(file) });
        }
        self.ready()?;
        if meta.len() < WHOLE_BLOB_SIZE {
            let stored = with_buffer(meta.len() as usize + 1, |buffer| -> Result<_, LarderError> {
                let length = read_to_end(file, buffer).map_err(failed)?;
                // A full buffer: the file has grown, so take it as one of unknown length.
                if length == buffer.len() {
                    return Ok(None);
                }
                let digest = Digest::of(&buffer[..length]);
                self.put_packed(ObjectKind::Blob, &digest, &buffer[..length])?;
                Ok(Some((digest, length as u64)))
            })?;
            if let Some(stored) = stored {
                return Ok(stored);
            }
        }
        let temp = self.inner.blobs.temp()?;
        let (digest, size) = self.inner.blobs.copy(file, &temp)?;
        if size >= WHOLE_BLOB_SIZE {
            if self.locate(&digest, size)?.is_none() {
                self.name_blob(temp, &digest, size)?;
            }
        } else {
            let bytes = Content::File { file: Arc::new(temp.file.try_clone().map_err(failed)?), size };
            self.put_packed(ObjectKind::Blob, &digest, &bytes.read().map_err(failed)?)?;
        }
        Ok((digest, size))
    }

    /// Takes a finished file in and removes its name; returns digest and size. Nobody may write to it any more.
    ///
    /// A big file on the same file system is renamed, and made read-only; others are copied.
    pub fn adopt(&self, path: &Path) -> Result<(Digest, u64), LarderError> {
        let failed = |error| LarderError::io("take in", path, error);
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags | rustix::fs::OFlags::NONBLOCK, rustix::fs::Mode::empty());
        let file = match file {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::LOOP) => return Err(LarderError::NoFile { path: path.to_owned() }),
            Err(error) => return Err(failed(error.into())),
        };
        let before = file.metadata().map_err(failed)?;
        if !before.is_file() {
            return Err(LarderError::NoFile { path: path.to_owned() });
        }
        let remove = || std::fs::remove_file(path).map_err(failed);
        if before.len() < WHOLE_BLOB_SIZE {
            let stored = self.put_file(&file)?;
            remove()?;
            return Ok(stored);
        }
        self.ready()?;
        let (digest, size) = hash_file(&file).map_err(failed)?;
        if self.locate(&digest, size)?.is_some() {
            remove()?;
            return Ok((digest, size));
        }
        let unchanged = Stamp::from(&file.metadata().map_err(failed)?) == Stamp::from(&before);
        if !unchanged {
            return Err(LarderError::Changed { path: path.to_owned() });
        }
        let naming = self.naming(&digest).lock();
        match self.inner.blobs.take(path, &file, &digest)? {
            Some(mark) => {
                self.add_blob(&digest, Place::Whole { size, mark: Some(mark) })?;
                Ok((digest, size))
            }
            None => {
                drop(naming);
                let stored = self.put_file(&file)?;
                remove()?;
                Ok(stored)
            }
        }
    }

    /// An object's bytes, checked; `None` if it is not there (or was damaged, see [`Larder::repairs`]).
    ///
    /// A blob of any size is read into memory; for big ones see [`Larder::open_blob`].
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn get(&self, kind: ObjectKind, digest: &Digest) -> Result<Option<Bytes>, LarderError> {
        match self.locate(digest, if kind == ObjectKind::Blob { u64::MAX } else { 0 })? {
            Some(Place::Packed { kind: found, spot }) if found == kind => self.get_packed(kind, digest, spot),
            Some(Place::Whole { .. }) if kind == ObjectKind::Blob => match self.open_blob(digest)? {
                Some(content) => {
                    let path = self.inner.blobs.path(digest);
                    content.read().map(Some).map_err(|error| LarderError::io("read", &path, error))
                }
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn get_packed(
        &self,
        kind: ObjectKind,
        digest: &Digest,
        spot: Spot,
    ) -> Result<Option<Bytes>, LarderError> {
        if let Some(record) = self.shared().packs.read(spot)?
            && Header::names(&record, kind, digest, spot.length)
            && kind.digest(&record[HEADER..]) == *digest
        {
            return Ok(Some(Bytes::from(record).slice(HEADER..)));
        }
        self.condemn_record(digest, spot)?;
        Ok(None)
    }

    /// A blob in the form in which it is there: a big one as a whole read-only file, a small one as bytes.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<Content>, LarderError> {
        match self.locate(digest, u64::MAX)? {
            None => Ok(None),
            Some(Place::Packed { kind: ObjectKind::Blob, spot }) => {
                Ok(self.get_packed(ObjectKind::Blob, digest, spot)?.map(Content::Bytes))
            }
            Some(Place::Packed { .. }) => Ok(None),
            Some(Place::Whole { mark, .. }) => match self.inner.blobs.open(digest)? {
                Some((file, now)) if Some(now) == mark => {
                    Ok(Some(Content::File { file: Arc::new(file), size: now.size }))
                }
                _ => Ok(self
                    .check_blob(digest)?
                    .map(|(file, size)| Content::File { file: Arc::new(file), size })),
            },
        }
    }

    /// Whether the object is there.
    ///
    /// # Errors
    /// Of the index.
    pub fn contains(&self, digest: &Digest) -> Result<bool, LarderError> {
        Ok(self.locate(digest, u64::MAX)?.is_some())
    }

    /// The object's size in bytes, if it is there.
    ///
    /// # Errors
    /// Of the index.
    pub fn size_of(&self, digest: &Digest) -> Result<Option<u64>, LarderError> {
        Ok(self.locate(digest, u64::MAX)?.map(|place| place.size()))
    }

    /// Looks up where these objects are, as many as [`PLACES_AHEAD`], because they will be asked for. Only speed depends on it.
    ///
    /// # Errors
    /// Of the index.
    pub fn expect(&self, digests: &[Digest]) -> Result<(), LarderError> {
        let shared = self.shared();
        let unknown = digests.iter().take(PLACES_AHEAD).filter(|digest| shared.places.get(digest).is_none());
        let unknown: Vec<Digest> = unknown.copied().collect();
        for (digest, place) in self.ask(|connection| index::places(connection, &unknown))? {
            if !matches!(place, Place::Whole { mark: None, .. }) {
                shared.places.add_known(digest, place);
            }
        }
        Ok(())
    }

    /// Where an object is. A blob that may be so big is looked for by its name too: a process that was killed may
    /// have left it without a row. A whole blob in the answer was hashed once.
    pub(crate) fn locate(&self, digest: &Digest, largest: u64) -> Result<Option<Place>, LarderError> {
        let shared = self.shared();
        let mut place = shared.places.get(digest);
        if place.is_none() {
            place = self.ask(|connection| index::place(connection, digest))?;
            match place {
                Some(Place::Whole { mark: None, .. }) | None => {}
                Some(place) => shared.places.add_known(*digest, place),
            }
        }
        let unsure = match place {
            Some(Place::Whole { mark, .. }) => mark.is_none(),
            Some(Place::Packed { .. }) => false,
            None => largest >= WHOLE_BLOB_SIZE && self.inner.blobs.is_named(digest),
        };
        if unsure {
            self.check_blob(digest)?;
            return Ok(shared.places.get(digest));
        }
        Ok(place)
    }

    /// Hashes a blob's file again, and notes its mark if it is what it is called; else moves it away.
    pub(crate) fn check_blob(&self, digest: &Digest) -> Result<Option<(File, u64)>, LarderError> {
        let _naming = self.naming(digest).lock();
        let path = self.inner.blobs.path(digest);
        let Some((file, _)) = self.inner.blobs.open(digest)? else {
            tracing::warn!(%digest, "a blob's file is gone");
            self.forget_blob(digest)?;
            return Ok(None);
        };
        let failed = |error| LarderError::io("read", &path, error);
        let (found, size) = hash_file(&file).map_err(failed)?;
        if found == *digest {
            let mark = mark_of(&file).map_err(failed)?;
            let place = Place::Whole { size, mark: Some(mark) };
            self.add_blob(digest, place)?;
            return Ok(Some((file, size)));
        }
        self.shared().quarantine.take_blob(&path, digest)?;
        self.forget_blob(digest)?;
        self.report(Repair::DamagedObject { digest: *digest });
        Ok(None)
    }

    pub(crate) fn forget_blob(&self, digest: &Digest) -> Result<(), LarderError> {
        self.flush()?;
        self.shared().places.forget(digest);
        self.change(Change::DropWhole { digest: *digest })?;
        self.flush()
    }

    /// A record is not what the index says: it is absent from now on, for everybody.
    pub(crate) fn condemn_record(&self, digest: &Digest, spot: Spot) -> Result<(), LarderError> {
        self.set_record_aside(digest, spot)?;
        self.report(Repair::DamagedObject { digest: *digest });
        Ok(())
    }

    /// Keeps a damaged record's bytes for a person to look at, and forgets it.
    pub(crate) fn set_record_aside(&self, digest: &Digest, spot: Spot) -> Result<(), LarderError> {
        if let Some(file) = self.shared().packs.file(spot.pack)? {
            self.shared().quarantine.take_record(&file, spot, digest)?;
        }
        self.drop_record(digest, spot)
    }

    /// Forgets a record. Its row may still be on the way, so it is waited for first.
    pub(crate) fn drop_record(&self, digest: &Digest, spot: Spot) -> Result<(), LarderError> {
        self.flush()?;
        self.shared().places.forget(digest);
        self.change(Change::DropPacked { digest: *digest, spot })?;
        self.flush()
    }

    fn naming(&self, digest: &Digest) -> &Mutex<()> {
        &self.inner.naming[usize::from(digest.as_bytes()[1]) % self.inner.naming.len()]
    }

    pub(crate) fn name_blob(&self, temp: TempFile, digest: &Digest, size: u64) -> Result<(), LarderError> {
        let _naming = self.naming(digest).lock();
        if self.shared().places.get(digest).is_some() {
            return Ok(());
        }
        let mark = self.inner.blobs.name(temp, digest)?;
        self.add_blob(digest, Place::Whole { size, mark: Some(mark) })
    }

    pub(crate) fn add_blob(&self, digest: &Digest, place: Place) -> Result<(), LarderError> {
        let Place::Whole { size, mark } = place else { return Ok(()) };
        let mut unsynced = self.inner.unsynced.lock();
        if unsynced.len() < UNSYNCED_BLOBS {
            unsynced.push(*digest);
        }
        drop(unsynced);
        self.shared().places.renew(*digest, place);
        self.change(Change::Blob { digest: *digest, size, mark })
    }

    /// Waits until everything that was put so far is in packs and index: a killed process loses none of it.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn flush(&self) -> Result<(), LarderError> {
        self.inner.writer.flush()
    }

    /// How much is in the larder.
    ///
    /// # Errors
    /// Of the index.
    pub fn stats(&self) -> Result<Stats, LarderError> {
        self.flush()?;
        let packs = list_packs(&self.inner.folders.packs)?.len() as u64;
        self.ask(|connection| {
            let total = |key| meta(connection, key).map(|value| value as u64);
            Ok(Stats { objects: total("objects")?, bytes: total("bytes")?, packs, blobs: total("blobs")? })
        })
    }

    /// What was wrong and was mended since the larder was opened, the opening included.
    pub fn repairs(&self) -> Vec<Repair> {
        self.inner.repairs.lock().clone()
    }

    pub(crate) fn report(&self, repair: Repair) {
        tracing::warn!("{repair}");
        let mut repairs = self.inner.repairs.lock();
        if repairs.len() < crate::options::REPAIRS_KEPT {
            repairs.push(repair);
        }
    }
}

/// Fills the buffer from a file's start; returns how much there was.
fn read_to_end(file: &File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read_at(&mut buffer[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// What an open file was called when it was opened, for errors.
fn name_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .unwrap_or_else(|_| PathBuf::from("(a file)"))
}
