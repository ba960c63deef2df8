//! Digests of host files, remembered by stat stamp.

use std::fs::File;
use std::io::{self, Read};

use protocol::{Digest, Stamp};

/// How much is read at once; BLAKE3 is at full speed from 16 KiB.
const CHUNK: usize = 128 * 1024;

/// Where digests of host files are remembered between builds, by stamp. A memo that forgets costs time only.
pub trait DigestMemo: Send + Sync + 'static {
    /// The digest of the file that has this stamp, if it is remembered.
    fn known(&self, stamp: &Stamp) -> Option<Digest>;
    /// Remembers it. Never called for a stamp under which the file may still change.
    fn remember(&self, stamp: &Stamp, digest: &Digest);
}

/// Remembers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMemo;

impl DigestMemo for NoMemo {
    fn known(&self, _stamp: &Stamp) -> Option<Digest> {
        None
    }

    fn remember(&self, _stamp: &Stamp, _digest: &Digest) {}
}

/// The digest of all bytes from where the file stands.
///
/// # Errors
/// It cannot be read.
pub fn digest_of(mut file: &File) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error),
        }
    }
}
