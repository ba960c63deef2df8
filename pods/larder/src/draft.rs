//! An object that arrives in parts, from somewhere that is not trusted: hashed as it comes, visible when it is whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use parking_lot::Mutex;
use protocol::Digest;

use crate::blobs::TempFile;
use crate::fault::Effect;
use crate::options::WHOLE_BLOB_SIZE;
use crate::{Larder, LarderError, ObjectKind};

/// Bytes that are read back at a time, where parts came out of order.
const READ_BACK: usize = 256 << 10;

/// Room for one object. Parts may come in any order and from several threads, each byte once. Dropped before it is
/// finished, it leaves nothing behind; a crash leaves a file that the next opening of the larder removes.
pub struct Draft {
    larder: Larder,
    kind: ObjectKind,
    digest: Digest,
    size: u64,
    file: File,
    temp: Mutex<Option<TempFile>>,
    hashing: Mutex<Hashing>,
}

/// What is hashed: all up to an offset, and the parts beyond it that are there.
struct Hashing {
    hasher: blake3::Hasher,
    upto: u64,
    beyond: BTreeMap<u64, u64>,
}

impl Larder {
    /// Stores an object if these are its bytes; false, and nothing is stored, if they are not.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn put_checked(&self, kind: ObjectKind, digest: &Digest, bytes: &[u8]) -> Result<bool, LarderError> {
        let right = kind.digest(bytes) == *digest;
        if right {
            self.put_as(kind, digest, bytes)?;
        }
        Ok(right)
    }

    /// Room for an object of which the digest and the size are said to be these.
    ///
    /// # Errors
    /// Of the disk.
    pub fn draft(&self, kind: ObjectKind, digest: &Digest, size: u64) -> Result<Draft, LarderError> {
        self.ready()?;
        let temp = self.inner.blobs.temp()?;
        let path = self.inner.blobs.path(digest);
        let file = temp.file.try_clone().map_err(|error| LarderError::io("write", &path, error))?;
        let hashing = Hashing { hasher: kind.hasher(), upto: 0, beyond: BTreeMap::new() };
        Ok(Draft {
            larder: self.clone(),
            kind,
            digest: *digest,
            size,
            file,
            temp: Mutex::new(Some(temp)),
            hashing: Mutex::new(hashing),
        })
    }
}

impl Draft {
    /// Takes a part in.
    ///
    /// # Errors
    /// Of the disk, or the part is outside of the object.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), LarderError> {
        let blobs = &self.larder.inner.blobs;
        let path = blobs.path(&self.digest);
        let failed = |error| LarderError::io("write", &path, error);
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.size {
            return Err(LarderError::TooLarge { what: "a part", size: end, limit: self.size });
        }
        blobs.faults().write_at(Effect::WriteBlob, &self.file, bytes, offset).map_err(failed)?;
        let mut hashing = self.hashing.lock();
        if hashing.upto != offset {
            hashing.beyond.insert(offset, end);
            return Ok(());
        }
        hashing.hasher.update(bytes);
        hashing.upto = end;
        // What came before its turn is read back; it is in the page cache still.
        let mut buffer = Vec::new();
        loop {
            let upto = hashing.upto;
            let Some(end) = hashing.beyond.remove(&upto) else { return Ok(()) };
            buffer.resize(READ_BACK, 0);
            while hashing.upto < end {
                let length = (end - hashing.upto).min(READ_BACK as u64) as usize;
                self.file.read_exact_at(&mut buffer[..length], hashing.upto).map_err(failed)?;
                hashing.hasher.update(&buffer[..length]);
                hashing.upto += length as u64;
            }
        }
    }

    /// Makes the object visible, if it is whole and what it is called; false, and nothing is stored, if it is not.
    ///
    /// # Errors
    /// Of the disk or the index.
    pub fn finish(&self) -> Result<bool, LarderError> {
        let hashing = self.hashing.lock();
        let right = hashing.upto == self.size && Digest::from(hashing.hasher.finalize()) == self.digest;
        let Some(temp) = self.temp.lock().take().filter(|_| right) else { return Ok(false) };
        if self.kind == ObjectKind::Blob && self.size >= WHOLE_BLOB_SIZE {
            if self.larder.locate(&self.digest, self.size)?.is_none() {
                self.larder.name_blob(temp, &self.digest, self.size)?;
            }
        } else {
            let path = self.larder.inner.blobs.path(&self.digest);
            let mut bytes = vec![0; self.size as usize];
            let read = self.file.read_exact_at(&mut bytes, 0);
            read.map_err(|error| LarderError::io("read", &path, error))?;
            self.larder.put_as(self.kind, &self.digest, &bytes)?;
        }
        Ok(true)
    }
}
