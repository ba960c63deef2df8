//! The stamp record: by what a build with nothing to do is recognised, with `lstat` alone.
//!
//! It holds the stamps of all files and folders of a project, of its outputs, and of files of the host (tools) or their
//! absence, with a blob of the caller's. If every stamp still is what it was, nothing has changed: a file's change changes
//! its stamp, a name that comes or goes changes its folder's. Sound because only stamps that can be believed are
//! recorded; where one cannot, there is no record ([`NoRecord`]), and the next build looks closer.
//!
//! It is a cache: a record that is damaged, or of another version, is none.
//! Form: format; the caller's blob; groups of (path of a folder, its stamp or nothing, names with stamps or nothing).
//! Paths of the project are relative; paths of the host start with `/`. Nothing instead of a stamp: it is absent.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::RelPath;
use protocol::codec::{BadObject, Reader, Writer};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::{Snapshot, take};
use crate::majordomo::watch::projects;
use crate::majordomo::workspace::crew::in_parallel;
use crate::majordomo::workspace::form::{read_stamp, stamp_bytes};
use crate::majordomo::workspace::{Manifest, Seal, Stamp, Workspace, WorkspaceError, beneath, stamp_of};

const FORMAT: u8 = 1;
const SEAL: Seal = Seal { magic: *b"CPST", context: "computepods stamps v1", format: FORMAT };

/// Files for which a second thread is worth its start.
pub const FILES_PER_THREAD: usize = 512;

/// Names in a folder, with their stamps.
pub(super) type Names = Vec<(Box<[u8]>, Option<Stamp>)>;

/// A folder, and names in it, with their stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// Below the project; from `/` on for the host's.
    pub folder: Box<[u8]>,
    /// `None`: only the names in it count.
    pub stamp: Option<Stamp>,
    pub names: Names,
}

/// A file of the host, by its absolute path, and its stamp when it was used; `None`: it was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFile {
    /// From `/` on. The last part is not followed if it is a link.
    pub path: Box<[u8]>,
    /// What `lstat` said.
    pub stamp: Option<Stamp>,
}

/// Why there can be no record this time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRecord {
    /// Its stamp is too young, or of a clock too coarse, to be believed.
    #[error("`{0}` was changed too recently")]
    Unsettled(RelPath),
    /// The project is not what it was at the scan, with what was handed over.
    #[error("`{0}` was changed during the build")]
    Changed(RelPath),
    /// It cannot be looked at.
    #[error("`{0}` cannot be read")]
    Unreadable(RelPath),
    /// The project was watched, and is not any more.
    #[error("the project is not watched any more")]
    Unwatched,
}

/// The stamps of all that a build depended on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampRecord {
    pub(super) groups: Vec<Group>,
    pub(super) blob: Vec<u8>,
    /// It is kept in memory, by the watched project that it is of.
    is_kept: bool,
}

impl StampRecord {
    /// Records a finished build: the snapshot that it was of, what was handed over since, and the host's files that it
    /// used. May wait for the end of a tick (a few milliseconds). `blob` is the caller's: what the next build has to know.
    /// Where the project is watched the record is kept in memory, at a cost that does not grow with the project.
    pub fn take(
        snapshot: &Snapshot,
        manifest: &Manifest,
        host: &[HostFile],
        blob: Vec<u8>,
    ) -> Result<Self, NoRecord> {
        let mut record = Self { groups: take::host(host), blob, is_kept: false };
        if let Some((watched, version)) = snapshot.origin() {
            watched.keep(version, manifest, record.clone())?;
            record.is_kept = true;
            return Ok(record);
        }
        Self::of_project(snapshot, manifest, &record)
    }

    /// The record with the project's part beside the host's.
    pub fn of_project(snapshot: &Snapshot, manifest: &Manifest, host: &Self) -> Result<Self, NoRecord> {
        let mut groups = take::project(snapshot, manifest)?;
        groups.extend(host.groups.iter().cloned());
        Ok(Self { groups, blob: host.blob.clone(), is_kept: false })
    }

    /// The folders of the host in which something shows when one of its files changes.
    pub fn upstream(&self) -> BTreeSet<Vec<u8>> {
        let host = self.groups.iter().filter(|group| group.folder.starts_with(b"/"));
        let mut folders = BTreeSet::new();
        for group in host {
            folders.insert(group.folder.to_vec());
            for (name, stamp) in &group.names {
                let path = [&*group.folder, name].concat();
                // What is in a folder that was listed shows in that folder.
                if stamp.is_some()
                    && fs::symlink_metadata(OsStr::from_bytes(&path)).is_ok_and(|meta| meta.is_dir())
                {
                    folders.insert(path);
                }
            }
        }
        folders
    }

    /// The first of the host's files that is not what it was.
    pub fn first_changed(&self, project: &Path) -> Option<PathBuf> {
        let root = beneath::root(project).ok()?;
        let host = self.groups.iter().filter(|group| group.folder.starts_with(b"/"));
        for group in host.filter(|group| !holds(root.as_fd(), group, &mut Vec::new())) {
            for (name, stamp) in &group.names {
                let path = [&*group.folder, name].concat();
                if look(root.as_fd(), &path) != Ok(*stamp) {
                    return Some(PathBuf::from(OsStr::from_bytes(&path)));
                }
            }
        }
        None
    }

    /// What the caller put into it.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Reads a workspace's record; `None` if there is none, or none that can be used.
    pub fn load(workspace: &Workspace) -> Option<Self> {
        let read = SEAL.read(&workspace.stamps_path()).map_err(|error| error.to_string());
        match read.and_then(|sealed| {
            sealed.map(|sealed| Self::decode(sealed.body()).map_err(|bad| bad.to_string())).transpose()
        }) {
            Ok(record) => record,
            Err(why) => {
                tracing::debug!(why, "the stamp record is not used");
                None
            }
        }
    }

    /// Writes it as the workspace's record.
    pub fn save(&self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        if self.is_kept {
            return Ok(());
        }
        SEAL.write(&workspace.stamps_path(), &workspace.tmp(), &self.encode()).map(|_| ())
    }

    /// Takes the workspace's record away: what it says may no longer hold.
    pub fn forget(workspace: &Workspace) -> Result<(), WorkspaceError> {
        if let Some(watched) = projects::find(workspace.project()) {
            watched.forget();
        }
        let path = workspace.stamps_path();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(WorkspaceError::io("written", &path, error))
            }
            _ => Ok(()),
        }
    }

    /// Whether every stamp still is what it was. What cannot be looked at counts as changed.
    pub fn still_holds(&self, project: &Path) -> bool {
        let Ok(root) = beneath::root(project) else { return false };
        let files: usize = self.groups.iter().map(|group| group.names.len() + 1).sum();
        let threads = match files / FILES_PER_THREAD {
            // Asking for the cores reads files of its own.
            0 | 1 => 1,
            many => std::thread::available_parallelism().map_or(1, |n| n.get()).min(8).min(many),
        };
        let check = |path: &mut Vec<u8>, group: &Group| {
            if holds(root.as_fd(), group, path) { Ok(()) } else { Err(()) }
        };
        in_parallel(&self.groups, threads, |_| Vec::new(), check).1.is_none()
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        writer.bytes(&self.blob).number(self.groups.len() as u64);
        let write_stamp = |writer: &mut Writer, stamp: &Option<Stamp>| {
            match stamp {
                Some(stamp) => writer.bytes(&stamp_bytes(stamp)),
                None => writer.bytes(b""),
            };
        };
        for group in &self.groups {
            writer.bytes(&group.folder);
            write_stamp(&mut writer, &group.stamp);
            writer.number(group.names.len() as u64);
            for (name, stamp) in &group.names {
                writer.bytes(name);
                write_stamp(&mut writer, stamp);
            }
        }
        writer.finish()
    }

    fn decode(body: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(body, FORMAT)?;
        let blob = reader.bytes()?.to_vec();
        let stamp = |reader: &mut Reader<'_>| match reader.bytes()? {
            [] => Ok(None),
            bytes => read_stamp(bytes).map(Some).ok_or(BadObject::Field("a stamp")),
        };
        let mut groups = Vec::new();
        for _ in 0..reader.count()? {
            let folder = reader.bytes()?.into();
            let own = stamp(&mut reader)?;
            let count = reader.count()?;
            let mut names = Vec::with_capacity(count);
            for _ in 0..count {
                let name = reader.bytes()?.into();
                names.push((name, stamp(&mut reader)?));
            }
            groups.push(Group { folder, stamp: own, names });
        }
        reader.finish()?;
        Ok(Self { groups, blob, is_kept: false })
    }
}

/// Folders with more names than this are opened, so that the names are short paths for the kernel.
const OPEN_FROM: usize = 4;

/// Whether a folder and the names in it are as recorded.
fn holds(root: BorrowedFd<'_>, group: &Group, path: &mut Vec<u8>) -> bool {
    let is_host = group.folder.starts_with(b"/");
    let folder: &[u8] = if group.folder.is_empty() { b"." } else { &group.folder };
    if group.stamp.is_some() && look(root, folder) != Ok(group.stamp) {
        return false;
    }
    if group.names.len() >= OPEN_FROM {
        // The project's folders were compared from the top: no link stands for one of them. The host's may be links.
        let nofollow = if is_host { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | nofollow;
        return match openat(root, folder, flags, Mode::empty()) {
            Ok(fd) => group.names.iter().all(|(name, stamp)| look(fd.as_fd(), name) == Ok(*stamp)),
            Err(Errno::NOENT | Errno::NOTDIR) => group.names.iter().all(|(_, stamp)| stamp.is_none()),
            Err(_) => false,
        };
    }
    path.clear();
    path.extend_from_slice(folder);
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    let len = path.len();
    group.names.iter().all(|(name, stamp)| {
        path.truncate(len);
        path.extend_from_slice(name);
        look(root, path) == Ok(*stamp)
    })
}

fn look(at: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stamp>, Errno> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stamp_of(&stat))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: -4, ctime_ns: 5 };
        let names = vec![(b"a".as_slice().into(), Some(stamp)), (b"b".as_slice().into(), None)];
        let group = Group { folder: b"x/y".as_slice().into(), stamp: Some(stamp), names };
        let record = StampRecord { groups: vec![group], blob: b"blob".to_vec(), is_kept: false };
        let body = record.encode();
        assert_eq!(StampRecord::decode(&body).unwrap(), record);
        for cut in 0..body.len() {
            assert!(StampRecord::decode(&body[..cut]).is_err());
        }
    }
}
