//! What can go wrong in a larder, as one clonable error: the writer thread hands the same failure to all that wait.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the larder itself. Damaged or missing objects are no failure: they are absent (`None`).
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LarderError {
    /// The disk or the quota is full. Nothing was damaged; what was put before is still there.
    #[error("no space left at `{}`", path.display())]
    NoSpace {
        /// What was being written.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried: `read`, `write`, `rename` …
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<io::Error>,
    },
    /// SQLite refused.
    #[error("the larder's index failed")]
    Index {
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The larder was last used by a newer version of this program, which may have written what we cannot read.
    #[error("the larder at `{}` has index version {found}; this program knows versions up to {known}", dir.display())]
    Newer {
        /// The larder.
        dir: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process holds this larder.
    #[error("the larder at `{}` is in use by another process", dir.display())]
    InUse {
        /// The larder.
        dir: PathBuf,
    },
    /// The value is larger than the format allows.
    #[error("{what} of {size} bytes is larger than {limit}")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// A file was written to while it was taken in.
    #[error("`{}` changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What was to be taken in is no regular file.
    #[error("`{}` is no regular file", path.display())]
    NoFile {
        /// What it is called.
        path: PathBuf,
    },
    /// A trace and a path set do not belong together.
    #[error("the path set is not that of the trace")]
    WrongPathSet,
    /// The writer thread has ended (it panicked, or the larder is being dropped).
    #[error("the larder's writer has ended")]
    Closed,
}

impl LarderError {
    /// Names the deed and the file for an I/O error, and tells a full disk from the rest.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let full =
            [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT].map(|errno| Some(errno.raw_os_error()));
        if full.contains(&source.raw_os_error()) {
            return Self::NoSpace { path: path.to_owned() };
        }
        Self::Io { what, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Tells a full disk from the rest for an error of the index.
    pub(crate) fn index(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::NoSpace { path: path.to_owned() },
            _ => Self::Index { source: Arc::new(source) },
        }
    }

    /// Whether the index itself is damaged, so that it has to be built again.
    pub(crate) fn is_damaged_index(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Index { source } = self else { return false };
        match &**source {
            // A value is not of the kind that was written there.
            FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..) => true,
            other => matches!(other.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
        }
    }
}
