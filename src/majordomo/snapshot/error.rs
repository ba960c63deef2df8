//! Why a project cannot be looked at, or a source not be read.

use std::io;

use protocol::RelPath;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A folder may not be read, so nobody knows what is in it.
    #[error("the folder `{path}` cannot be read")]
    UnreadableFolder {
        /// Which one.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// Folders came and went faster than they could be read.
    #[error("the folder `{0}` changes all the time")]
    Restless(RelPath),
    /// An output of an earlier build cannot be compared.
    #[error("the output `{path}` cannot be read")]
    UnreadableOutput {
        /// Which one.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// It does not fit into what a snapshot can hold: 4 G names or bytes of names, 256 file systems.
    #[error("the project has more than {0} than a snapshot can hold")]
    TooLarge(&'static str),
}

/// Why a source could not be read as it was at the scan.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not what it was at the scan: the build starts again on a new snapshot.
    #[error("the source `{0}` was changed during the build")]
    Changed(RelPath),
    /// It may not be read.
    #[error("the source `{path}` cannot be read")]
    Unreadable {
        /// Which one.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// The snapshot has no file at this path.
    #[error("`{0}` is no file of the project")]
    NoFile(RelPath),
}
