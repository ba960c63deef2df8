//! Why outputs could not be handed over.

use std::fmt;
use std::io;

use protocol::{Digest, RelPath};
use rustix::io::Errno;

use crate::majordomo::workspace::WorkspaceError;

/// Something of the user's stands where an output belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Where.
    pub path: RelPath,
    /// What.
    pub what: InTheWay,
}

/// What of the user's stands where an output belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InTheWay {
    /// An output of an earlier build that was edited since.
    Edited,
    /// A file or link that no build made.
    Own,
    /// A folder that is not empty, or that no build made.
    Folder,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            InTheWay::Edited => write!(f, "`{}` was edited", self.path),
            InTheWay::Own => write!(f, "`{}` is your own", self.path),
            InTheWay::Folder => write!(f, "`{}` is a folder", self.path),
        }
    }
}

/// Why outputs could not be handed over. What was handed over until then is in the manifest.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// Things of the user's would be overwritten; nothing was. Sorted by path.
    #[error("the outputs would overwrite what is yours: {}", list(.0))]
    Conflicts(Vec<Conflict>),
    /// No step may write this: the trace that says so is another pod's, or of another time.
    #[error("`{path}` is not written: no step may write `{part}`")]
    Reserved {
        /// The output.
        path: RelPath,
        /// What of it: see [`RelPath::reserved`].
        part: &'static str,
    },
    /// A part above an output is no folder: writing might leave the project.
    #[error("`{path}` cannot be written: `{part}` is a link or a file, not a folder")]
    NoFolder {
        /// The output.
        path: RelPath,
        /// The part of its path.
        part: RelPath,
    },
    /// The bytes of an output are nowhere: its producer has to be built again.
    #[error("the bytes of `{path}` ({}) are gone", digest.short())]
    Gone {
        /// The output.
        path: RelPath,
        /// Its digest.
        digest: Digest,
    },
    /// The bytes of an output could not be read.
    #[error("the bytes of `{path}` cannot be read")]
    Bytes {
        /// The output.
        path: RelPath,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk is full, or the quota is used up.
    #[error("the disk is full: `{0}` could not be written")]
    Full(RelPath),
    /// Its folder may not be written to.
    #[error("`{0}` cannot be written: its folder is read-only")]
    ReadOnly(RelPath),
    /// Its folder is on another file system than `.majordomo`, so nothing can be renamed into it.
    #[error("`{0}` cannot be written: its folder is on another file system than the project")]
    OtherFileSystem(RelPath),
    /// The operating system refused something else.
    #[error("`{path}` cannot be {what}")]
    Io {
        /// What was tried: `written`, `removed` …
        what: &'static str,
        /// The output.
        path: RelPath,
        /// Why not.
        source: io::Error,
    },
    /// The manifest or the intents could not be read or written.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A test asked for a crash here.
    #[cfg(test)]
    #[error("crashed")]
    Crashed,
}

impl HandOverError {
    pub(super) fn io(what: &'static str, path: &RelPath, source: impl Into<io::Error>) -> Self {
        let (path, source) = (path.clone(), source.into());
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full(path),
            Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Self::ReadOnly(path),
            Some(Errno::XDEV) => Self::OtherFileSystem(path),
            _ => Self::Io { what, path, source },
        }
    }

    pub(super) fn conflict(path: &RelPath, what: InTheWay) -> Self {
        Self::Conflicts(vec![Conflict { path: path.clone(), what }])
    }

    /// What a person can do about it, in a sentence.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Conflicts(_) => {
                "`--take-back` moves them aside (`NAME.mine`) and hands over; or move them yourself"
                    .to_owned()
            }
            Self::Reserved { .. } => "`majordomo forget` the step that made it, and build again".to_owned(),
            Self::NoFolder { part, .. } => format!("make `{part}` a folder again, or remove it"),
            Self::Full(_) => "make room and build again; nothing was lost".to_owned(),
            Self::ReadOnly(_) => "make the folder writable, or build a copy of the project".to_owned(),
            Self::OtherFileSystem(_) => {
                "unmount what is mounted inside of the project, or let the step write elsewhere".to_owned()
            }
            Self::Workspace(error) => return error.advice(),
            _ => return None,
        })
    }
}

/// How many conflicts a message names.
const NAMED: usize = 10;

fn list(conflicts: &[Conflict]) -> String {
    let mut text: Vec<String> = conflicts.iter().take(NAMED).map(ToString::to_string).collect();
    if conflicts.len() > NAMED {
        text.push(format!("and {} more", conflicts.len() - NAMED));
    }
    text.join(", ")
}
