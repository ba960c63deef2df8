//! Taking a stamp record of a project after a build.
//!
//! Sources keep the stamps of the scan: the build used what those pin, and if one has changed since, the record will not
//! hold, as it must not. Outputs have the stamps of the manifest. Folders were changed by the hand-over, so they are looked
//! at again: their stamps first, then their names, which have to be those of the scan and of the hand-over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use protocol::{FileKind, RelPath};
use rustix::fs::{AtFlags, OFlags, fstat, statat};
use rustix::io::Errno;

use super::folder::{Scratch, names};
use super::nodes::{OUTPUT, SETTLED};
use super::record::{Group, HostFile, Names, NoRecord};
use super::settle::wait_beyond;
use super::{ScanReport, Snapshot};
use crate::majordomo::workspace::{Made, Manifest, Stamp, beneath, stamp_of};

/// What has to be in a folder.
#[derive(Default)]
struct Wanted {
    /// The folder's stamp at the scan, if that could be believed.
    before: Option<Stamp>,
    /// Sources and outputs.
    names: Names,
    /// Folders and things that are left out: looked for by name only.
    others: BTreeSet<Box<[u8]>>,
}

/// The project's groups, a folder before what is in it.
pub fn project(snapshot: &Snapshot, manifest: &Manifest) -> Result<Vec<Group>, NoRecord> {
    let root = snapshot.0.root.as_fd();
    let mut folders = BTreeMap::new();
    sources(snapshot, &mut folders)?;
    outputs(snapshot, manifest, &mut folders)?;
    left_out(snapshot.report(), &mut folders);
    // A name that comes in the tick of the hand-over would not show: what changed is listed when that tick is over.
    let mut newest = 0;
    let mut changed = BTreeSet::new();
    for (path, wanted) in &folders {
        let stamp = stamp_now(root, path)?;
        if wanted.before != Some(stamp) {
            newest = newest.max(stamp.ctime_ns).max(stamp.mtime_ns);
            changed.insert(path.clone());
        }
    }
    let later = wait_beyond(newest);
    let mut scratch = Scratch::default();
    let mut groups = Vec::with_capacity(folders.len());
    for (path, wanted) in folders {
        let stamp = match wanted.before {
            Some(before) if !changed.contains(&path) => before,
            _ => list_again(root, &path, &wanted, &mut scratch)?,
        };
        if changed.contains(&path) && !later.settles(&stamp) {
            return Err(NoRecord::Unsettled(path));
        }
        groups.push(Group { folder: path.as_bytes().into(), stamp: Some(stamp), names: wanted.names });
    }
    Ok(groups)
}

fn sources(snapshot: &Snapshot, folders: &mut BTreeMap<RelPath, Wanted>) -> Result<(), NoRecord> {
    let nodes = &snapshot.0.nodes;
    let mut stack = vec![(0, RelPath::root())];
    while let Some((index, path)) = stack.pop() {
        let before = nodes.has(index, SETTLED).then(|| nodes.stamp(index));
        let mut wanted = Wanted { before, ..Wanted::default() };
        for child in nodes.children(index) {
            let name = nodes.name(child);
            // The kernel's names are names.
            let Some(path) = path.child(name) else { continue };
            match nodes.kind(child) {
                // The manifest knows better: it may have been replaced or removed since.
                _ if nodes.has(child, OUTPUT) => {}
                FileKind::Dir => {
                    wanted.others.insert(name.into());
                    stack.push((child, path));
                }
                _ if !nodes.has(child, SETTLED) => return Err(NoRecord::Unsettled(path)),
                _ => wanted.names.push((name.into(), Some(nodes.stamp(child)))),
            }
        }
        folders.insert(path, wanted);
    }
    Ok(())
}

/// Adds what was handed over. Outputs that are not there now are not wanted: their folders' stamps say so.
fn outputs(
    snapshot: &Snapshot,
    manifest: &Manifest,
    folders: &mut BTreeMap<RelPath, Wanted>,
) -> Result<(), NoRecord> {
    let (root, nodes) = (snapshot.0.root.as_fd(), &snapshot.0.nodes);
    for (path, output) in manifest.entries() {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { continue };
        let stat = match statat(root, path.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(_) => return Err(NoRecord::Unreadable(path.clone())),
        };
        if output.made == Made::Folder {
            folders.entry(parent).or_default().others.insert(name.into());
            let before = nodes.find(path).filter(|index| nodes.has(*index, SETTLED));
            let before = before.map(|index| nodes.stamp(index));
            folders.entry(path.clone()).or_insert(Wanted { before, ..Wanted::default() });
            continue;
        }
        match output.stamp {
            None => return Err(NoRecord::Unsettled(path.clone())),
            Some(stamp) if stamp == stamp_of(&stat) => {
                folders.entry(parent).or_default().names.push((name.into(), Some(stamp)));
            }
            Some(_) => return Err(NoRecord::Changed(path.clone())),
        }
    }
    Ok(())
}

fn left_out(report: &ScanReport, folders: &mut BTreeMap<RelPath, Wanted>) {
    for path in &report.special {
        if let (Some(parent), Some(name)) = (path.parent(), path.name()) {
            folders.entry(parent).or_default().others.insert(name.into());
        }
    }
}

fn cannot(path: &RelPath, error: &io::Error) -> NoRecord {
    if beneath::is_absent(error) {
        NoRecord::Changed(path.clone())
    } else {
        NoRecord::Unreadable(path.clone())
    }
}

fn stamp_now(root: BorrowedFd<'_>, path: &RelPath) -> Result<Stamp, NoRecord> {
    let name = if path.is_root() { b"." } else { path.as_bytes() };
    let stat = statat(root, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| cannot(path, &errno.into()))?;
    Ok(stamp_of(&stat))
}

/// A folder's stamp, from before it was listed, if it holds what it should.
fn list_again(
    root: BorrowedFd<'_>,
    path: &RelPath,
    wanted: &Wanted,
    scratch: &mut Scratch,
) -> Result<Stamp, NoRecord> {
    let fd = beneath::open(root, path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(|e| cannot(path, &e))?;
    let stamp = stamp_of(&fstat(&fd).map_err(|errno| cannot(path, &errno.into()))?);
    let mut bytes = Vec::new();
    let found = names(fd.as_fd(), &mut bytes, scratch).map_err(|e| cannot(path, &e))?;
    let mut found = found.iter().map(|piece| &bytes[piece.at as usize..][..piece.len as usize]);
    let names = wanted.names.iter().map(|(name, _)| &**name);
    let expected: BTreeSet<&[u8]> = names.chain(wanted.others.iter().map(|name| &**name)).collect();
    if found.len() == expected.len() && found.all(|name| expected.contains(name)) {
        Ok(stamp)
    } else {
        Err(NoRecord::Changed(path.clone()))
    }
}

/// The host's files, by folder.
pub fn host(files: &[HostFile]) -> Vec<Group> {
    let mut folders: BTreeMap<&[u8], Names> = BTreeMap::new();
    for file in files {
        let at = file.path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (folder, name) = file.path.split_at(at);
        // `/` itself is a name in itself.
        let name = if name.is_empty() { b".".as_slice() } else { name };
        folders.entry(folder).or_default().push((name.into(), file.stamp));
    }
    folders.into_iter().map(|(folder, names)| Group { folder: folder.into(), stamp: None, names }).collect()
}
