//! Where files come from.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Gives the bytes of files. A path is what the ninja file says: absolute, or relative to the folder in which the build
/// would run (not to the including file).
///
/// A closure `FnMut(&[u8]) -> io::Result<Vec<u8>>` is one, for files that are in memory anyway.
pub trait Files {
    /// The whole file. One that has more than `at_most` bytes may be cut anywhere behind them: the caller sees that it is
    /// too big, and refuses it.
    fn read(&mut self, path: &[u8], at_most: usize) -> io::Result<Vec<u8>>;
}

impl<F: FnMut(&[u8]) -> io::Result<Vec<u8>>> Files for F {
    fn read(&mut self, path: &[u8], _at_most: usize) -> io::Result<Vec<u8>> {
        self(path)
    }
}

/// The files of the machine, seen from a folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder in which the build would run.
    pub fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }
}

impl Files for Folder {
    fn read(&mut self, path: &[u8], at_most: usize) -> io::Result<Vec<u8>> {
        let path = self.0.join(OsStr::from_bytes(path));
        // Opening a FIFO would wait for its writer.
        if !std::fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        let mut bytes = Vec::new();
        File::open(&path)?.take(at_most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
