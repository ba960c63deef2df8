//! Taking outputs away that no step makes any more, or all of them.
//!
//! An output is moved to `.majordomo/tmp` and looked at there before it is removed for good: whatever the user did in the
//! last instant is put back.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use protocol::RelPath;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::check::Checked;
use super::fault::Fault;
use super::folders::Folders;
use super::write::is_same_but_renamed;
use super::{Changes, HandOverError, Report, Site};
use crate::majordomo::workspace::standing::{Standing, stands_in};
use crate::majordomo::workspace::{Lock, Made, Manifest, Output, Stamp, Workspace, stamp_of};

/// What [`clean`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Files and links removed.
    pub removed: usize,
    /// Outputs that stay because they were edited; sorted.
    pub kept: Vec<RelPath>,
}

/// Removes all outputs that were handed over and not edited, and the folders that were made for them.
pub fn clean(workspace: &Workspace, _lock: &Lock) -> Result<Cleaned, HandOverError> {
    let mut manifest = Manifest::load(workspace)?;
    if manifest.is_unsaved() {
        manifest.save(workspace)?;
    }
    let site = Site::new(workspace, Fault::default())?;
    let paths: BTreeSet<RelPath> = manifest.entries().iter().map(|(path, _)| path.clone()).collect();
    let (mut changes, mut cleaned) = (Changes::new(), Cleaned::default());
    let failure = site.remove(&manifest, &paths, &BTreeSet::new(), &mut changes, |path, gone| {
        if gone { cleaned.removed += 1 } else { cleaned.kept.push(path.clone()) }
    });
    // What was edited stays known as ours: else it would be a source that a step overwrites.
    changes.retain(|(path, _)| cleaned.kept.binary_search(path).is_err());
    manifest.apply(changes);
    manifest.save(workspace)?;
    failure.map(|()| cleaned)
}

enum Fate {
    Removed,
    WasGone,
    Edited,
}

impl Site<'_> {
    /// Removes what a delivery says is obsolete.
    pub(super) fn remove_obsolete(
        &self,
        manifest: &Manifest,
        checked: &Checked,
        changes: &mut Changes,
        report: &mut Report,
    ) -> Result<(), HandOverError> {
        self.remove(manifest, &checked.removes, &checked.needed, changes, |path, gone| {
            if gone { report.removed += 1 } else { report.left.push(path.clone()) }
        })
    }

    /// Removes unmodified outputs, then folders of ours that are empty and not needed. Tells of each file or link
    /// whether it is gone. What is not in the manifest any more is in `changes`, also after a failure.
    fn remove(
        &self,
        manifest: &Manifest,
        paths: &BTreeSet<RelPath>,
        needed: &BTreeSet<RelPath>,
        changes: &mut Changes,
        mut tell: impl FnMut(&RelPath, bool),
    ) -> Result<(), HandOverError> {
        let mut folders = self.folders();
        let mut emptied: BTreeSet<RelPath> = BTreeSet::new();
        for path in paths {
            let Some(output) = manifest.get(path) else { continue };
            let above = path.ancestors();
            let ours = |folder: &RelPath| manifest.get(folder).is_some_and(|f| f.made == Made::Folder);
            emptied.extend(above.filter(ours));
            if output.made == Made::Folder {
                emptied.insert(path.clone());
                continue;
            }
            match self.remove_one(&mut folders, path, output)? {
                Fate::Removed => tell(path, true),
                Fate::WasGone => {}
                Fate::Edited => tell(path, false),
            }
            changes.push((path.clone(), None));
            self.fault.point()?;
        }
        // What is in a folder sorts behind it.
        for folder in emptied.iter().rev().filter(|folder| !needed.contains(*folder)) {
            if self.remove_folder(&mut folders, folder)? {
                changes.push((folder.clone(), None));
                self.fault.point()?;
            }
        }
        Ok(())
    }

    fn remove_one(
        &self,
        folders: &mut Folders<'_>,
        path: &RelPath,
        output: &Output,
    ) -> Result<Fate, HandOverError> {
        const TEMP: &str = "removed";
        let failed = |errno: Errno| HandOverError::io("removed", path, errno);
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(Fate::WasGone) };
        let folder = match folders.get(&parent) {
            Ok(Some(folder)) => folder,
            // Nothing of ours can be there.
            Ok(None) | Err(HandOverError::NoFolder { .. }) => return Ok(Fate::WasGone),
            Err(error) => return Err(error),
        };
        let standing = stands_in(folder, name, Some(output));
        let before: Stamp = match standing.map_err(|source| HandOverError::io("read", path, source))? {
            Standing::Absent | Standing::Beyond(_) => return Ok(Fate::WasGone),
            Standing::Agrees { stamp, .. } | Standing::Torn(stamp) => stamp,
            Standing::Differs(..) => return Ok(Fate::Edited),
        };
        let tmp = self.tmp.as_fd();
        match renameat(folder, name, tmp, TEMP) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Fate::WasGone),
            Err(errno) => return Err(failed(errno)),
        }
        self.fault.point()?;
        let now = stamp_of(&statat(tmp, TEMP, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?);
        if !is_same_but_renamed(&now, &before) {
            renameat_with(tmp, TEMP, folder, name, RenameFlags::NOREPLACE).map_err(failed)?;
            return Ok(Fate::Edited);
        }
        unlinkat(tmp, TEMP, AtFlags::empty()).map_err(failed)?;
        Ok(Fate::Removed)
    }

    /// Removes an empty folder; whether it is gone.
    fn remove_folder(&self, folders: &mut Folders<'_>, path: &RelPath) -> Result<bool, HandOverError> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(false) };
        let at = match folders.get(&parent) {
            Ok(Some(at)) => at,
            Ok(None) | Err(HandOverError::NoFolder { .. }) => return Ok(true),
            Err(error) => return Err(error),
        };
        let gone = match unlinkat(at, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => true,
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY) => false,
            Err(errno) => return Err(HandOverError::io("removed", path, errno)),
        };
        folders.clear();
        Ok(gone)
    }
}
