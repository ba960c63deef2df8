//! Why a workspace cannot be used, and what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::VERSION;

/// Why a workspace cannot be opened, locked, read or written.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// There is no such folder.
    #[error("there is no project folder `{}`", .0.display())]
    NoProject(PathBuf),
    /// Something else stands where `.majordomo` belongs.
    #[error("`{}` is no folder", .0.display())]
    NotAFolder(PathBuf),
    /// `.majordomo` belongs to somebody else.
    #[error("`{}` belongs to user {owner}, and this is user {me}", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Our number.
        me: u32,
    },
    /// A later program made it.
    #[error("`{}` has version {found}, and this program knows versions up to {VERSION}", path.display())]
    Newer {
        /// The folder or file.
        path: PathBuf,
        /// The version found.
        found: u64,
    },
    /// The project cannot be written to.
    #[error("the project cannot be written to: `{}`", .0.display())]
    ReadOnly(PathBuf),
    /// The disk is full, or the quota is used up.
    #[error("the disk is full: `{}` could not be written", .0.display())]
    Full(PathBuf),
    /// The version file holds no number.
    #[error("`{}` holds no version number", .0.display())]
    BadVersion(PathBuf),
    /// A file of the workspace does not say what it should.
    #[error("`{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The operating system refused something else.
    #[error("`{}` cannot be {what}", path.display())]
    Io {
        /// What was tried: `read`, `written`, `locked` …
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl WorkspaceError {
    /// Sorts an error of the operating system into the kinds that a person can act on.
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(path),
            io::ErrorKind::PermissionDenied if what == "written" => Self::ReadOnly(path),
            _ => Self::Io { what, path, source },
        }
    }

    /// What a person can do about it, in a sentence.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NoProject(_) => "name the folder that holds `majordomo.toml`".to_owned(),
            Self::NotAFolder(path) => format!("move `{}` away; it is created again", path.display()),
            Self::Foreign { path, .. } => format!(
                "build as the user who owns the project, or give the folder back: `chown -R $(id -u) '{}'`",
                path.display()
            ),
            Self::Newer { .. } => "install the newer majordomo that made it".to_owned(),
            Self::ReadOnly(_) => "copy the project to a place that you can write to, and build it there".to_owned(),
            Self::Full(_) => "make room and build again; nothing was lost".to_owned(),
            Self::BadVersion(path) => {
                format!("if no newer majordomo wrote it, remove `{}`: it is written again", path.display())
            }
            Self::Damaged { .. } => {
                "outputs of earlier builds are recognised by their contents where those are known; the damaged file \
                 is kept beside with `.damaged` at its end"
                    .to_owned()
            }
            Self::Io { .. } => return None,
        })
    }
}
