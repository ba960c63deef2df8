//! A pod's home: one folder, one holder.
//!
//! Layout: `version` (a number), `lock` (flock; its holder is the pod), `pod.sock`, `larder/`, `scratch/` (upper folders of
//! running steps; swept when the lock is taken), `workspaces/<id>/` (what the majordomo remembers of each). The
//! folder is the user's alone (0700), and must belong to the user who runs the pod.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use protocol::WorkspaceId;
use rustix::fs::{FlockOperation, flock};

/// The version of the home's layout that this program writes.
pub const HOME_VERSION: u32 = 1;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The folder belongs to somebody else.
    #[error("the home `{}` belongs to user {owner}, and this is user {me}", path.display())]
    Foreign {
        /// The home.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// Our number.
        me: u32,
    },
    /// A later program made it.
    #[error("the home `{}` has version {found}, and this program knows versions up to {HOME_VERSION}", path.display())]
    Newer {
        /// The home.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// Its version file is no number.
    #[error("`{}` holds no version number", path.display())]
    BadVersion {
        /// The version file.
        path: PathBuf,
    },
    /// The disk or the operating system said no.
    #[error("cannot use `{}`", path.display())]
    Io {
        /// What was used.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl HomeError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            HomeError::Foreign { .. } => {
                Some("use a home of your own: set `COMPUTEPODS_HOME` or give `--home DIR`".into())
            }
            HomeError::Newer { .. } => Some("use the newer program, or another home: `--home DIR`".into()),
            HomeError::BadVersion { path } => Some(format!(
                "if the folder is no home of a pod, give another one; else write `{HOME_VERSION}` into `{}`",
                path.display()
            )),
            HomeError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("give a folder that you may write: set `COMPUTEPODS_HOME` or give `--home DIR`".into())
            }
            HomeError::Io { .. } => None,
        }
    }
}

/// A home whose lock this process holds.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Takes the home, making it where it is missing; `None` if another process holds it.
    pub fn take(path: &Path) -> Result<Option<Self>, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let me = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(path).map_err(io(path))?.uid();
        if owner != me {
            return Err(HomeError::Foreign { path: path.to_owned(), owner, me });
        }
        let lock_path = path.join("lock");
        let lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(io(&lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(io(&lock_path)(errno.into())),
        }
        let version_path = path.join("version");
        match fs::read_to_string(&version_path) {
            Ok(text) => match text.trim().parse::<u32>() {
                Ok(found) if found > HOME_VERSION => {
                    return Err(HomeError::Newer { path: path.to_owned(), found });
                }
                Ok(_) => {}
                Err(_) if text.trim().is_empty() => {
                    write_version(&version_path).map_err(io(&version_path))?
                }
                Err(_) => return Err(HomeError::BadVersion { path: version_path }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                write_version(&version_path).map_err(io(&version_path))?;
            }
            Err(e) => return Err(io(&version_path)(e)),
        }
        Ok(Some(Self { path: path.to_owned(), _lock: lock }))
    }

    /// Whether a home is there. Changes nothing.
    pub fn is_there(path: &Path) -> bool {
        path.join("version").exists()
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the larder is.
    pub fn larder(&self) -> PathBuf {
        self.path.join("larder")
    }

    /// Where upper folders are while steps run.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// Where the pod listens.
    pub fn socket(path: &Path) -> PathBuf {
        path.join("pod.sock")
    }

    /// What is remembered of a workspace.
    pub fn workspace(path: &Path, workspace: WorkspaceId) -> PathBuf {
        path.join("workspaces").join(workspace.to_string())
    }
}

fn write_version(path: &Path) -> io::Result<()> {
    // Written beside and renamed, so that a crash leaves no half number.
    let beside = path.with_extension("new");
    fs::write(&beside, format!("{HOME_VERSION}\n"))?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/home");
        let first = Home::take(&path).unwrap().expect("nobody holds it");
        assert!(Home::take(&path).unwrap().is_none());
        drop(first);
        assert!(Home::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_newer_home_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("version"), "2\n").unwrap();
        assert!(matches!(Home::take(dir.path()), Err(HomeError::Newer { found: 2, .. })));
        assert_eq!(fs::read_to_string(dir.path().join("version")).unwrap(), "2\n");
        fs::write(dir.path().join("version"), "my diary").unwrap();
        assert!(matches!(Home::take(dir.path()), Err(HomeError::BadVersion { .. })));
    }
}
