//! What can go wrong in a source and in a mount.

use std::io;
use std::sync::Arc;

use protocol::RelPath;

/// Why a source has no answer. The step is answered `EIO`, but for what is denied; absence is an answer and no error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The disk, or whatever stands behind the source, failed.
    #[error("cannot read `{path}`")]
    Io {
        /// Path in the source.
        path: RelPath,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The file is another one than when it was first looked at.
    #[error("`{path}` changed meanwhile")]
    Changed {
        /// Path in the source.
        path: RelPath,
    },
    /// What stands behind the source is there no more: its producer or holder is lost.
    #[error("the source is gone")]
    Gone,
    /// It has to be made first, and whoever asks does not wait for it. A step is never answered so.
    #[error("`{path}` is not made yet")]
    NotYet {
        /// Path in the source.
        path: RelPath,
    },
    /// The user may not look into this folder, and so cannot the step: it is answered `EACCES`, and may go on as it would do
    /// outside of a kitchen. What it saw there is a folder with nothing in it.
    #[error("`{path}` may not be looked into")]
    Denied {
        /// Path in the source.
        path: RelPath,
    },
    /// The question was cancelled before it was answered: the root was closed, or the build ended.
    #[error("cancelled")]
    Cancelled,
}

impl SourceError {
    /// An error of the operating system at a path.
    pub fn io(path: &RelPath, error: io::Error) -> Self {
        SourceError::Io { path: path.clone(), source: Arc::new(error) }
    }
}

/// A question of a step that was answered `EIO`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{path}`: {error}")]
pub struct SourceFailure {
    /// Path in the root that the step asked about.
    pub path: RelPath,
    /// What the source said.
    #[source]
    pub error: SourceError,
}

/// Why a mount cannot be served, or a root cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The kernel did not agree to serve the file system through the given descriptor.
    #[error("cannot start the FUSE session")]
    Session(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start the thread `{name}`")]
    Thread {
        /// Which one.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A root of this name is there already, or was until a moment ago and still lingers in the kernel.
    #[error("a root named {0} is there already")]
    NameTaken(u64),
}
