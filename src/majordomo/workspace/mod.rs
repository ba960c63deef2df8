//! A workspace: what the majordomo keeps of one checkout, in `<project>/.majordomo/`.
//!
//! | name | what |
//! |---|---|
//! | `version` | the number of this layout; written last, so a folder without it is an unfinished one |
//! | `id` | 128 random bits: the workspace's name in the federation; and the folder that it is of, so that a copy of it is told apart |
//! | `lock` | one build at a time ([`Lock`]) |
//! | `manifest` | what was handed over ([`Manifest`]) |
//! | `intents` | what is being handed over; there only during a hand-over or after a crash in one |
//! | `stamps` | the record by which a build with nothing to do is recognised |
//! | `uses.json` | what was put into `.uses` |
//! | `watch-*` | touched by who watches the project, to know what has been told until then |
//! | `tmp/` | files that will be renamed into the project; swept when the lock is taken |
//!
//! Crash: every file is written beside and renamed; `tmp/` and `intents` say what was under way. Without the
//! folder nothing of the user is lost: all files in the project are then sources. Non-goals: what steps did and made
//! is the larder's, and is kept by workspace id.

pub mod beneath;
pub mod crew;
mod error;
pub mod form;
pub mod intents;
mod lock;
mod manifest;
mod moment;
mod seal;
pub mod standing;
mod sweep;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use protocol::Stamp;
use protocol::WorkspaceId;
use rustix::fs::{AtFlags, CWD, RenameFlags, StatxFlags, renameat_with, statx};

pub use error::WorkspaceError;
pub use lock::{Holder, LOCK_POLL, Lock};
pub use manifest::{Made, Manifest, Output, Recovered};
pub use moment::Moment;
pub use seal::{Seal, Sealed};
pub use view::stamp_of;

/// The version of `.majordomo` that this program writes.
pub const VERSION: u64 = 1;

/// The folder's name; anything of this name, at any depth of a project, is no source.
pub const FOLDER: &str = ".majordomo";

/// One checkout of a project. Clones share it.
#[derive(Debug, Clone)]
pub struct Workspace {
    project: PathBuf,
    root: Arc<OwnedFd>,
    folder: PathBuf,
    id: WorkspaceId,
}

impl Workspace {
    /// Opens the workspace of a project without changing anything; `None` if it was never built.
    pub fn open(project: &Path) -> Result<Option<Self>, WorkspaceError> {
        let (project, root) = open_project(project)?;
        let folder = project.join(FOLDER);
        if !check_folder(&folder)? || read_version(&folder)?.is_none() {
            return Ok(None);
        }
        let id = match read_id(&folder)? {
            Named::Here(id) => id,
            // The next build gives it a name; until then nothing is known of it.
            Named::Elsewhere => new_id(&folder)?,
        };
        Ok(Some(Self { project, root: Arc::new(root), folder, id }))
    }

    /// The workspace of a project for somebody who only looks: where it was never built, one that is nowhere written down, and
    /// of which nothing is known by its id.
    pub fn open_or_imagine(project: &Path) -> Result<Self, WorkspaceError> {
        if let Some(workspace) = Self::open(project)? {
            return Ok(workspace);
        }
        let id = new_id(&project.join(FOLDER))?;
        Self::imagine(project, id)
    }

    /// The workspace that a folder would have, under this id.
    pub fn imagine(project: &Path, id: WorkspaceId) -> Result<Self, WorkspaceError> {
        let (project, root) = open_project(project)?;
        let folder = project.join(FOLDER);
        Ok(Self { project, root: Arc::new(root), folder, id })
    }

    /// Opens the workspace of a project, and makes it one first if need be.
    pub fn open_or_create(project: &Path) -> Result<Self, WorkspaceError> {
        let (project, root) = open_project(project)?;
        let folder = project.join(FOLDER);
        if !check_folder(&folder)? {
            match fs::create_dir(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(WorkspaceError::io("written", &folder, error));
                }
                _ => check_folder(&folder)?,
            };
        }
        if read_version(&folder)?.is_none() {
            create(&folder)?;
        }
        let id = match read_id(&folder) {
            Err(WorkspaceError::Damaged { path, why }) => {
                // A power cut may leave it empty. Only what the last builds came to was known by it, and the manifest is not.
                tracing::warn!(path = %path.display(), why, "the workspace gets a new id");
                named_anew(&folder)?
            }
            // As `cp -r` of a project makes it, or an image of a disk: two folders of one name would be one for the federation.
            Ok(Named::Elsewhere) => {
                tracing::info!(path = %folder.display(), "a copy of a workspace gets an id of its own");
                named_anew(&folder)?
            }
            Ok(Named::Here(id)) => id,
            Err(error) => return Err(error),
        };
        Ok(Self { project, root: Arc::new(root), folder, id })
    }

    /// The workspace's name in the federation.
    pub fn id(&self) -> WorkspaceId {
        self.id
    }

    /// What people call the project: its folder's name.
    pub fn name(&self) -> String {
        self.project.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The project's folder, absolute.
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// The project's folder as a base for `*at` calls; opened with `O_PATH`.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// `.majordomo`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the stamp record belongs.
    pub fn stamps_path(&self) -> PathBuf {
        self.folder.join("stamps")
    }

    /// Files that will be renamed into place; on the project's file system.
    pub fn tmp(&self) -> PathBuf {
        self.folder.join("tmp")
    }

    /// Writes a file of `.majordomo` beside, and renames it to its place.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8], _lock: &Lock) -> Result<(), WorkspaceError> {
        seal::replace(&self.folder.join(name), &self.tmp(), bytes)
    }

    /// The files of which [`Manifest::load`] makes the manifest: what was handed over, and what is being.
    pub fn manifest_files(&self) -> [PathBuf; 2] {
        [self.manifest_path(), self.intents_path()]
    }

    pub(super) fn manifest_path(&self) -> PathBuf {
        self.folder.join("manifest")
    }

    pub(super) fn intents_path(&self) -> PathBuf {
        self.folder.join("intents")
    }
}

fn open_project(project: &Path) -> Result<(PathBuf, OwnedFd), WorkspaceError> {
    let missing = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            WorkspaceError::NoProject(project.to_owned())
        }
        _ => WorkspaceError::io("opened", project, error),
    };
    let absolute = fs::canonicalize(project).map_err(missing)?;
    let root = beneath::root(&absolute).map_err(missing)?;
    Ok((absolute, root))
}

/// Whether the folder is there; an error if it may not be used.
fn check_folder(folder: &Path) -> Result<bool, WorkspaceError> {
    let meta = match fs::symlink_metadata(folder) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(WorkspaceError::io("read", folder, error)),
    };
    if !meta.is_dir() {
        return Err(WorkspaceError::NotAFolder(folder.to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        return Err(WorkspaceError::Foreign { path: folder.to_owned(), owner: meta.uid(), me });
    }
    Ok(true)
}

fn new_id(folder: &Path) -> Result<WorkspaceId, WorkspaceError> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|e| WorkspaceError::io("written", folder, io::Error::other(e.to_string())))?;
    Ok(WorkspaceId::from_random(u128::from_be_bytes(bits)))
}

/// How often another build may sweep what is being written beside, which each does once.
const MAX_SWEPT: usize = 8;

/// Makes the folder a workspace. Two builds may get here at once, and the quicker one sweeps `tmp` when it begins.
fn create(folder: &Path) -> Result<(), WorkspaceError> {
    for _ in 1..MAX_SWEPT {
        match create_once(folder) {
            Err(WorkspaceError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            outcome => return outcome,
        }
    }
    create_once(folder)
}

fn create_once(folder: &Path) -> Result<(), WorkspaceError> {
    let tmp = folder.join("tmp");
    fs::create_dir_all(&tmp).map_err(|e| WorkspaceError::io("written", &tmp, e))?;
    let id = new_id(folder)?;
    // The first id stays.
    let beside = tmp.join(format!("id-{id}"));
    let path = folder.join("id");
    let text = format!("{id}\n{}\n", mark(folder)?);
    fs::write(&beside, text).map_err(|e| WorkspaceError::io("written", &path, e))?;
    match renameat_with(CWD, &beside, CWD, &path, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(WorkspaceError::io("written", &path, error));
        }
        _ => {}
    }
    seal::replace(&folder.join(".gitignore"), &tmp, b"*\n")?;
    seal::replace(&folder.join("version"), &tmp, format!("{VERSION}\n").as_bytes())
}

/// Sets the file with the id aside, and makes another one.
fn named_anew(folder: &Path) -> Result<WorkspaceId, WorkspaceError> {
    let path = folder.join("id");
    match fs::rename(&path, path.with_extension("old")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(WorkspaceError::io("written", &path, error));
        }
        _ => create(folder)?,
    }
    match read_id(folder)? {
        Named::Here(id) => Ok(id),
        Named::Elsewhere => Err(WorkspaceError::Damaged { path, why: "it is of another folder".to_owned() }),
    }
}

/// What tells a folder from its copies, on this disk and on others: its inode, and when that was made (statx(2); 0 where the file system does not
/// know). A folder that is moved keeps both, unless it goes to another disk.
fn mark(folder: &Path) -> Result<String, WorkspaceError> {
    let wanted = StatxFlags::INO | StatxFlags::BTIME;
    let stat = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, wanted)
        .map_err(|error| WorkspaceError::io("read", folder, error.into()))?;
    let born = if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME) {
        i128::from(stat.stx_btime.tv_sec) * 1_000_000_000 + i128::from(stat.stx_btime.tv_nsec)
    } else {
        0
    };
    Ok(format!("{} {born}", stat.stx_ino))
}

fn read_text(path: &Path) -> Result<Option<String>, WorkspaceError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WorkspaceError::io("read", path, error)),
    }
}

fn read_version(folder: &Path) -> Result<Option<u64>, WorkspaceError> {
    let path = folder.join("version");
    // Empty, as after a power cut, it was never written.
    let Some(text) = read_text(&path)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(found) if found > VERSION => Err(WorkspaceError::Newer { path: folder.to_owned(), found }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(WorkspaceError::BadVersion(path)),
    }
}

/// Whose name the file `id` has.
enum Named {
    Here(WorkspaceId),
    /// That of the folder from which this one was copied.
    Elsewhere,
}

fn read_id(folder: &Path) -> Result<Named, WorkspaceError> {
    let path = folder.join("id");
    let damaged = |why: String| WorkspaceError::Damaged { path: path.clone(), why };
    let text = read_text(&path)?.ok_or_else(|| damaged("it is missing".to_owned()))?;
    let (id, of) = text.split_once('\n').unwrap_or((&text, ""));
    let id = id.parse().map_err(|bad: protocol::ids::BadId| damaged(bad.to_string()))?;
    // Whoever wrote it before marks were written did not know of copies.
    if of.is_empty() || of == mark(folder)? { Ok(Named::Here(id)) } else { Ok(Named::Elsewhere) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Workspace::open(dir.path()).unwrap().is_none());
        Workspace::open_or_imagine(dir.path()).unwrap();
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
        let first = Workspace::open_or_create(dir.path()).unwrap();
        assert_eq!(Workspace::open_or_imagine(dir.path()).unwrap().id(), first.id());
        let second = Workspace::open_or_create(dir.path()).unwrap();
        assert_eq!(first.id(), second.id());
        assert_eq!(Workspace::open(dir.path()).unwrap().unwrap().id(), first.id());
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Workspace::open_or_create(other.path()).unwrap().id(), first.id());
    }

    #[test]
    fn a_copy_of_a_workspace_is_another_one_and_what_is_moved_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [first, copy, moved] = ["first", "copy", "moved"].map(|name| dir.path().join(name));
        fs::create_dir(&first).unwrap();
        let id = Workspace::open_or_create(&first).unwrap().id();
        fs::create_dir_all(copy.join(FOLDER)).unwrap();
        for name in ["id", "version"] {
            fs::copy(first.join(FOLDER).join(name), copy.join(FOLDER).join(name)).unwrap();
        }
        assert_ne!(Workspace::open(&copy).unwrap().unwrap().id(), id, "for who looks");
        let copied = Workspace::open_or_create(&copy).unwrap().id();
        assert_ne!(copied, id);
        assert_eq!(Workspace::open_or_create(&copy).unwrap().id(), copied, "it stays so");
        assert_eq!(Workspace::open(&copy).unwrap().unwrap().id(), copied);
        fs::rename(&first, &moved).unwrap();
        assert_eq!(Workspace::open_or_create(&moved).unwrap().id(), id);
    }

    #[test]
    fn an_unfinished_one_is_finished() {
        let dir = tempfile::tempdir().unwrap();
        let id = Workspace::open_or_create(dir.path()).unwrap().id();
        fs::remove_file(dir.path().join(".majordomo/version")).unwrap();
        fs::remove_dir_all(dir.path().join(".majordomo/tmp")).unwrap();
        assert!(Workspace::open(dir.path()).unwrap().is_none());
        assert_eq!(Workspace::open_or_create(dir.path()).unwrap().id(), id);
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        assert!(matches!(
            Workspace::open_or_create(&dir.path().join("no")),
            Err(WorkspaceError::NoProject(_))
        ));
        fs::write(&folder, "").unwrap();
        assert!(matches!(Workspace::open_or_create(dir.path()), Err(WorkspaceError::NotAFolder(_))));
        fs::remove_file(&folder).unwrap();
        Workspace::open_or_create(dir.path()).unwrap();
        fs::write(folder.join("version"), "9\n").unwrap();
        let error = Workspace::open_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, WorkspaceError::Newer { found: 9, .. }));
        assert!(error.to_string().contains("has version 9"), "{error}");
        assert!(error.advice().is_some());
        fs::write(folder.join("version"), "\x1b[31mmine\n").unwrap();
        let error = Workspace::open_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, WorkspaceError::BadVersion(_)));
        assert!(!error.to_string().contains('\x1b') && error.advice().unwrap().contains("remove"), "{error}");
    }

    #[test]
    fn a_workspace_whose_id_is_damaged_gets_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        let id = Workspace::open_or_create(dir.path()).unwrap().id();
        // As after a power cut, and as nobody knows how.
        for damage in [Some(&b""[..]), Some(b"\xff\x1b[31m\n"), None] {
            match damage {
                Some(bytes) => fs::write(folder.join("id"), bytes).unwrap(),
                None => fs::remove_file(folder.join("id")).unwrap(),
            }
            assert!(matches!(Workspace::open(dir.path()), Err(WorkspaceError::Damaged { .. })));
            let other = Workspace::open_or_create(dir.path()).unwrap().id();
            assert_ne!(other, id);
            assert_eq!(Workspace::open_or_create(dir.path()).unwrap().id(), other);
        }
        fs::write(folder.join("version"), "").unwrap();
        let other = Workspace::open_or_create(dir.path()).unwrap().id();
        assert_eq!(Workspace::open(dir.path()).unwrap().unwrap().id(), other);
    }

    #[test]
    fn a_workspace_of_another_user_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Workspace::open_or_create(dir.path()).unwrap();
        if !rustix::process::geteuid().is_root() {
            return;
        }
        std::os::unix::fs::chown(dir.path().join(FOLDER), Some(4321), None).unwrap();
        let error = Workspace::open_or_create(dir.path()).unwrap_err();
        assert!(matches!(error, WorkspaceError::Foreign { owner: 4321, .. }), "{error}");
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod laws;
