//! Reading a source as it was at the scan.
//!
//! Open, copy while hashing, then [`Pinned::check`]: if the file's stamp is still the scan's, what was read is what the
//! snapshot has. A file that changes meanwhile belongs to the next build.

use std::fs::File;
use std::os::fd::AsFd;

use protocol::{FileKind, RelPath};
use rustix::fs::fstat;
use rustix::io::Errno;

use super::nodes::SETTLED;
use super::{Snapshot, SourceError};
use crate::majordomo::workspace::{Stamp, beneath, stamp_of};

/// A source that is open for reading, and the stamp that it has to keep.
#[derive(Debug)]
pub struct Pinned {
    /// Opened for reading, at its start.
    pub file: File,
    path: RelPath,
    stamp: Stamp,
    settled: bool,
}

impl Snapshot {
    /// Opens a source. An error if it is not what it was at the scan.
    pub fn open(&self, path: &RelPath) -> Result<Pinned, SourceError> {
        let nodes = &self.0.nodes;
        let Some(index) = self.find(path).filter(|index| nodes.kind(*index) == FileKind::File) else {
            return Err(SourceError::NoFile(path.clone()));
        };
        let file = beneath::open_file(self.0.root.as_fd(), path).map_err(|source| {
            if beneath::is_absent(&source) || Errno::from_io_error(&source) == Some(Errno::NXIO) {
                SourceError::Changed(path.clone())
            } else {
                SourceError::Unreadable { path: path.clone(), source }
            }
        })?;
        let pinned = Pinned {
            file,
            path: path.clone(),
            stamp: nodes.stamp(index),
            settled: nodes.has(index, SETTLED),
        };
        pinned.check()?;
        Ok(pinned)
    }
}

impl Pinned {
    /// Whether what was read until now is what the snapshot has: to be called after the last read.
    pub fn check(&self) -> Result<(), SourceError> {
        let stat = fstat(&self.file)
            .map_err(|errno| SourceError::Unreadable { path: self.path.clone(), source: errno.into() })?;
        if stamp_of(&stat) == self.stamp { Ok(()) } else { Err(SourceError::Changed(self.path.clone())) }
    }

    /// The stamp under which the digest may be remembered; `None` if it cannot be believed.
    pub fn memorable(&self) -> Option<Stamp> {
        self.settled.then_some(self.stamp)
    }

    /// Its stamp at the scan.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }
}
