//! Files of the workspace that are believed whole or not at all.
//!
//! Form: four bytes of magic, the canonical body (its first byte is the format), then 32 bytes: BLAKE3 of all before,
//! in a context of the file's own. Written beside and renamed over, so that a crash leaves the old one or the new
//! one. Not synced: after a power cut the last seconds may be gone.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::Digest;

use super::WorkspaceError;

/// A kind of sealed file.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    /// Its first four bytes.
    pub magic: [u8; 4],
    /// The context in which it is hashed.
    pub context: &'static str,
    /// The format that this program writes, and the newest that it reads.
    pub format: u8,
}

/// Bytes whose seal was checked.
pub struct Sealed {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Sealed {
    /// The body, from the format number on.
    pub fn body(&self) -> &[u8] {
        &self.bytes[4..self.bytes.len() - Digest::LEN]
    }

    /// The digest under which it is sealed.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

impl Seal {
    /// Reads a file; `None` if there is none.
    pub fn read(&self, path: &Path) -> Result<Option<Sealed>, WorkspaceError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(WorkspaceError::io("read", path, error)),
        };
        let damaged = |why: &str| WorkspaceError::Damaged { path: path.to_owned(), why: why.to_owned() };
        if bytes.len() < 4 + 1 + Digest::LEN || bytes[..4] != self.magic {
            return Err(damaged("it is cut off, or something else"));
        }
        // The format comes before the seal: a later one may be sealed otherwise.
        if bytes[4] > self.format {
            return Err(WorkspaceError::Newer { path: path.to_owned(), found: bytes[4].into() });
        }
        let (text, seal) = bytes.split_at(bytes.len() - Digest::LEN);
        let digest = Digest::in_context(self.context, text);
        if digest.as_bytes() != seal {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(Some(Sealed { bytes, digest }))
    }

    /// Seals `body` (from the format number on) and writes it to `path` by way of `tmp`. The digest is the seal's.
    pub fn write(&self, path: &Path, tmp: &Path, body: &[u8]) -> Result<Digest, WorkspaceError> {
        let mut bytes = Vec::with_capacity(4 + body.len() + Digest::LEN);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(body);
        let digest = Digest::in_context(self.context, &bytes);
        bytes.extend_from_slice(digest.as_bytes());
        replace(path, tmp, &bytes)?;
        Ok(digest)
    }
}

/// Writes a file beside (in `tmp`) and renames it to `path`.
pub fn replace(path: &Path, tmp: &Path, bytes: &[u8]) -> Result<(), WorkspaceError> {
    let name = path.file_name().unwrap_or_default();
    let beside: PathBuf = tmp.join(name);
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        // The sweep takes it if this does not.
        if let Err(error) = fs::remove_file(&beside) {
            tracing::debug!(%error, "a file in tmp stays until the next sweep");
        }
        WorkspaceError::io("written", path, error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEAL: Seal = Seal { magic: *b"TEST", context: "computepods test v1", format: 1 };

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        assert!(SEAL.read(&path).unwrap().is_none());
        let digest = SEAL.write(&path, dir.path(), b"\x01body").unwrap();
        let sealed = SEAL.read(&path).unwrap().unwrap();
        assert_eq!((sealed.body(), sealed.digest()), (&b"\x01body"[..], digest));
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(matches!(SEAL.read(&path), Err(WorkspaceError::Damaged { .. })), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert!(matches!(SEAL.read(&path), Err(WorkspaceError::Damaged { .. })), "cut at {at}");
        }
        SEAL.write(&path, dir.path(), b"\x02body").unwrap();
        assert!(matches!(SEAL.read(&path), Err(WorkspaceError::Newer { found: 2, .. })));
    }
}
