//! Blobs that are whole files: `blobs/aa/<hex>`, read-only, never changed, named by their digest.
//!
//! A file is written under `tmp/` and renamed when it is whole, so that a name in `blobs/` is a promise of its bytes; a
//! power cut may break it, which the [`Mark`] shows. `tmp/` is emptied when the larder is opened.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{Digest, Stamp};

use crate::LarderError;
use crate::fault::{Effect, Faults};

/// By what a blob's file is known to be the one that was hashed. The device is left out: it may change its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
}

impl From<Stamp> for Mark {
    fn from(stamp: Stamp) -> Self {
        Self { ino: stamp.ino, size: stamp.size, mtime_ns: stamp.mtime_ns, ctime_ns: stamp.ctime_ns }
    }
}

/// Bytes that are read at a time: enough for BLAKE3 to use all its lanes, small enough to stay in the cache.
const CHUNK: usize = 256 << 10;

pub(crate) struct Blobs {
    folder: PathBuf,
    tmp: PathBuf,
    faults: Faults,
    next: AtomicU64,
}

/// A file under `tmp/`; removed when dropped, unless it got its name.
pub(crate) struct TempFile {
    path: PathBuf,
    pub(crate) file: File,
    named: bool,
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.named
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "a temporary file stays until the next start");
        }
    }
}

impl Blobs {
    pub(crate) fn new(folder: PathBuf, tmp: PathBuf, faults: Faults) -> Self {
        Self { folder, tmp, faults, next: AtomicU64::new(0) }
    }

    /// Where the blob with this digest is.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.folder.join(&hex[..2]).join(hex)
    }

    /// Where a test may strike.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A new file that can be written through this descriptor only.
    pub(crate) fn temp(&self) -> Result<TempFile, LarderError> {
        let path = self.tmp.join(format!("{}", self.next.fetch_add(1, Ordering::Relaxed)));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o444).open(&path);
        let file = file.map_err(|error| LarderError::io("create", &path, error))?;
        Ok(TempFile { path, file, named: false })
    }

    /// Writes bytes that are in memory.
    pub(crate) fn write(&self, temp: &TempFile, bytes: &[u8]) -> Result<(), LarderError> {
        self.faults
            .write_at(Effect::WriteBlob, &temp.file, bytes, 0)
            .map_err(|error| LarderError::io("write", &temp.path, error))
    }

    /// Copies a file from its start, hashing what is copied. Where the file system can share the bytes, it shares
    /// them, and the copy is what is hashed.
    pub(crate) fn copy(&self, from: &File, temp: &TempFile) -> Result<(Digest, u64), LarderError> {
        let failed = |error| LarderError::io("copy to", &temp.path, error);
        if rustix::fs::ioctl_ficlone(&temp.file, from).is_ok() {
            return hash_file(&temp.file).map_err(failed);
        }
        read_all(from, &mut |bytes, at| self.faults.write_at(Effect::WriteBlob, &temp.file, bytes, at))
            .map_err(failed)
    }

    /// Gives a finished file its name. It replaces what may stand there.
    pub(crate) fn name(&self, mut temp: TempFile, digest: &Digest) -> Result<Mark, LarderError> {
        self.rename(&temp.path, digest)?;
        temp.named = true;
        mark_of(&temp.file).map_err(|error| LarderError::io("stat", &self.path(digest), error))
    }

    /// Makes a file from outside a blob; false if it has to be copied instead: it is on another file system, has
    /// other names, or is not ours.
    pub(crate) fn take(
        &self,
        path: &Path,
        file: &File,
        digest: &Digest,
    ) -> Result<Option<Mark>, LarderError> {
        let failed = |error| LarderError::io("take in", path, error);
        let before = file.metadata().map_err(failed)?;
        if before.nlink() != 1 || file.set_permissions(std::fs::Permissions::from_mode(0o444)).is_err() {
            return Ok(None);
        }
        match self.rename(path, digest) {
            Ok(()) => {}
            Err(LarderError::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let mark = mark_of(file).map_err(failed)?;
        if (mark.size, mark.mtime_ns) != (before.size(), Mark::from(Stamp::from(&before)).mtime_ns) {
            self.remove(digest)?;
            return Err(LarderError::Changed { path: path.to_owned() });
        }
        Ok(Some(mark))
    }

    fn rename(&self, from: &Path, digest: &Digest) -> Result<(), LarderError> {
        let to = self.path(digest);
        let failed = |error| LarderError::io("rename to", &to, error);
        self.faults.before(Effect::NameBlob).map_err(failed)?;
        match std::fs::rename(from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = to.parent() {
                    std::fs::create_dir_all(folder).map_err(failed)?;
                }
                std::fs::rename(from, &to).map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    fn remove(&self, digest: &Digest) -> Result<(), LarderError> {
        let path = self.path(digest);
        std::fs::remove_file(&path).map_err(|error| LarderError::io("remove", &path, error))
    }

    /// The file, if one has this name, and its mark.
    pub(crate) fn open(&self, digest: &Digest) -> Result<Option<(File, Mark)>, LarderError> {
        let path = self.path(digest);
        let open = || -> io::Result<_> {
            let file = File::open(&path)?;
            let mark = mark_of(&file)?;
            Ok((file, mark))
        };
        match open() {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LarderError::io("open", &path, error)),
        }
    }

    /// Whether a file has this name.
    pub(crate) fn is_named(&self, digest: &Digest) -> bool {
        rustix::fs::access(self.path(digest), rustix::fs::Access::EXISTS).is_ok()
    }

    /// Calls `each` with the digest of every name, in no order, and the number of folders done, of 256.
    pub(crate) fn list(
        &self,
        each: &mut dyn FnMut(Digest, usize) -> Result<(), LarderError>,
    ) -> Result<(), LarderError> {
        let failed = |error| LarderError::io("list", &self.folder, error);
        for (done, folder) in std::fs::read_dir(&self.folder).map_err(failed)?.enumerate() {
            let folder = folder.map_err(failed)?.path();
            if !folder.is_dir() {
                continue;
            }
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let name = entry.map_err(failed)?.file_name();
                let digest = name.to_str().and_then(|hex| format!("b3:{hex}").parse().ok());
                if let Some(digest) = digest {
                    each(digest, done)?;
                }
            }
        }
        Ok(())
    }
}

/// The mark of an open file.
pub(crate) fn mark_of(file: &File) -> io::Result<Mark> {
    Ok(Mark::from(Stamp::from(&file.metadata()?)))
}

/// The digest and length of a file from its start.
pub(crate) fn hash_file(file: &File) -> io::Result<(Digest, u64)> {
    read_all(file, &mut |_, _| Ok(()))
}

/// Reads a file from its start to its end, hands on each part with its offset, and hashes it.
fn read_all(file: &File, each: &mut dyn FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<(Digest, u64)> {
    with_buffer(CHUNK, |buffer| {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        loop {
            match file.read_at(buffer, at) {
                Ok(0) => return Ok((hasher.finalize().into(), at)),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    each(&buffer[..count], at)?;
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    })
}

/// Lends this thread's read buffer, which is at least so long.
pub(crate) fn with_buffer<T>(length: usize, then: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.len() < length {
                buffer.resize(length, 0);
            }
            then(&mut buffer[..length])
        }
        Err(_) => then(&mut vec![0; length]),
    })
}
