//! A pod's home: one folder, one holder.
//!
//! Layout: `version` (a number), `lock` (flock; its holder is the pod), `pod.sock`, `pod.toml` (what its owner wants, written by hand), `larder/`,
//! `scratch/` (upper folders of running steps; swept when the first step runs), `failed/` (upper folders of steps that failed), `workspaces/<id>/`
//! (what the majordomo remembers of each), `container/` (the root folder of podman containers, and what was learned of podman), `python/` (our
//! package), `launch/` (sockets that programs are about to connect to), `chefs.json` (the chefs that it may ask), `identity.json` (who the pod is),
//! `federation.json` and `ledger.sqlite` (its federation, and what it knows of that), `join.json` (how it joins), `chunks/` (chunk lists), `revoked`
//! (how often it has revoked what came from others), `log/`, `nats/` (a server of its own). What a crash leaves beside them ends in `new`. The folder
//! is the user's alone (0700), and must belong to the user who runs the pod: one that others may enter is closed to them, if it holds nothing but a
//! home. Otherwise everybody could read the sources in the larder, and take the lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use protocol::WorkspaceId;
use rustix::fs::{FlockOperation, flock};

/// Bits of a folder's mode that are for others than its owner.
const FOR_OTHERS: u32 = 0o077;
/// What a home holds.
const NAMES: &[&str] = &[
    "version",
    "version.new",
    "lock",
    "pod.sock",
    "pod.toml",
    "larder",
    "scratch",
    "failed",
    "workspaces",
    "container",
    "python",
    "launch",
    "chefs.json",
    "chefs.json.new",
    "identity.json",
    "identity.new",
    "federation.json",
    "federation.new",
    "join.json",
    "join.new",
    "ledger.sqlite",
    "ledger.sqlite-wal",
    "ledger.sqlite-shm",
    "ledger.sqlite.damaged",
    "ledger.sqlite.damaged-wal",
    "ledger.sqlite.damaged-shm",
    "chunks",
    "revoked",
    "revoked.new",
    "log",
    "nats",
    // Of earlier programs.
    "builds",
];
/// What `mkfs` puts into a disk of one's own.
const LOST_FOUND: &str = "lost+found";

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
    /// Others may enter the folder, and it is not ours to close.
    #[error(
        "the folder `{}` is open to other users, and cannot become a home: it holds `{}`, which is no part of one",
        path.display(), holds.display()
    )]
    Open {
        /// The home.
        path: PathBuf,
        /// Something in it that is not a home's.
        holds: PathBuf,
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
            HomeError::Open { .. } => Some("name a folder that is empty, or not there yet".into()),
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
    ///
    /// # Errors
    /// It cannot be used: it is another user's, of a newer program, something else than a home, or cannot be made.
    pub fn take(path: &Path) -> Result<Option<Self>, HomeError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io(path))?;
        let me = rustix::process::geteuid().as_raw();
        let meta = fs::metadata(path).map_err(io(path))?;
        let owner = meta.uid();
        if owner != me {
            return Err(HomeError::Foreign { path: path.to_owned(), owner, me });
        }
        if meta.mode() & FOR_OTHERS != 0 {
            close(path, me)?;
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

    /// Where upper folders of steps that failed are.
    pub fn failed(&self) -> PathBuf {
        self.path.join("failed")
    }

    /// Where the pod listens.
    pub fn socket(path: &Path) -> PathBuf {
        path.join("pod.sock")
    }

    /// The workspaces of which something is remembered; none where that cannot be read.
    pub fn workspaces(path: &Path) -> Vec<WorkspaceId> {
        let folders = fs::read_dir(path.join("workspaces")).into_iter().flatten().flatten();
        folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect()
    }

    /// What is remembered of a workspace.
    pub fn workspace(path: &Path, workspace: WorkspaceId) -> PathBuf {
        path.join("workspaces").join(workspace.to_string())
    }
}

/// Closes a folder to others, if it holds nothing but a home of ours.
fn close(path: &Path, me: u32) -> Result<(), HomeError> {
    let io = |source| HomeError::Io { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        // Others may have put something there that has a home's name.
        let is_ours = || match entry.metadata() {
            Ok(meta) => meta.uid() == me && !meta.is_symlink(),
            // It went meanwhile.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if name != LOST_FOUND && !(NAMES.iter().any(|known| name == *known) && is_ours()) {
            return Err(HomeError::Open { path: path.to_owned(), holds: entry.path() });
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io)
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
    fn a_home_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let home = dir.path().join("home");
        fs::create_dir(&home).unwrap();
        open(&home);
        drop(Home::take(&home).unwrap());
        assert_eq!(mode(&home), 0o700);
        open(&home);
        drop(Home::take(&home).unwrap());
        assert_eq!(mode(&home), 0o700);
        // All that a pod has there, and what a crash leaves.
        for file in [
            "identity.json",
            "identity.new",
            "federation.new",
            "join.json",
            "ledger.sqlite.damaged",
            "revoked",
        ] {
            fs::write(home.join(file), "").unwrap();
        }
        for folder in ["log", "nats", "chunks"] {
            fs::create_dir(home.join(folder)).unwrap();
        }
        open(&home);
        drop(Home::take(&home).unwrap());
        assert_eq!(mode(&home), 0o700);
        // What is not ours alone is left as it is.
        let shared = dir.path().join("shared");
        fs::create_dir_all(shared.join("letters")).unwrap();
        open(&shared);
        let refused = Home::take(&shared).unwrap_err();
        assert!(
            matches!(&refused, HomeError::Open { holds, .. } if *holds == shared.join("letters")),
            "{refused}"
        );
        assert_eq!(mode(&shared), 0o755);
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 1);
        // What has a home's name may lead elsewhere.
        fs::remove_dir(shared.join("letters")).unwrap();
        std::os::unix::fs::symlink(&home, shared.join("larder")).unwrap();
        assert!(matches!(Home::take(&shared), Err(HomeError::Open { .. })));
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
