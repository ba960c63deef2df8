//! Takes out what a home remembers of workspaces that nobody has built for long.
//!
//! Beside the larder that is a folder each (`workspaces/<id>/`): the recall, which saves time, and the journal of the last build. Losing them costs these,
//! never truth, so nothing is asked of builds that begin meanwhile; one that runs has written there a moment ago. Where a workspace lies, and whether it is
//! still there, no home knows: how long nobody has built it decides.
//!
//! A folder gets a name first that is no workspace's, and goes then: what kill -9 leaves of it the next call takes. Errors are of the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use node::Home;
use protocol::WorkspaceId;

use super::request::{CollectReport, Collected};

/// What a folder is called that goes.
const GONE: &str = "gone";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a folder takes, and when something was last written there.
struct Taken {
    bytes: u64,
    written: SystemTime,
}

fn taken(folder: &Path) -> io::Result<Taken> {
    let mut taken = Taken { bytes: 0, written: fs::symlink_metadata(folder)?.modified()? };
    let mut newest = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if meta.is_dir() {
                folders.push(path);
            } else {
                taken.bytes += meta.len();
                newest = newest.max(Some(meta.modified()?));
            }
        }
    }
    // That something was removed is no use.
    taken.written = newest.unwrap_or(taken.written);
    Ok(taken)
}

/// Takes out what was not written for so many days; with `dry_run` it only says what that is.
///
/// # Errors
/// The home's disk. What was taken out until then is gone.
pub fn collect(home: &Path, days: u32, dry_run: bool) -> io::Result<CollectReport> {
    let mut report = CollectReport { dry_run, ..CollectReport::default() };
    let now = SystemTime::now();
    for workspace in Home::workspaces(home) {
        let folder = Home::workspace(home, workspace);
        let taken = match taken(&folder) {
            // A build renames what it has written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            taken => taken?,
        };
        let unused = now.duration_since(taken.written).unwrap_or_default().as_secs() / DAY.as_secs();
        if unused < u64::from(days) {
            report.kept += 1;
            continue;
        }
        if !dry_run {
            fs::rename(&folder, gone(&folder))?;
        }
        report.workspaces.push(Collected { workspace, days: unused, bytes: taken.bytes });
    }
    report.workspaces.sort_by_key(|collected| collected.workspace);
    if !dry_run {
        remove_gone(home)?;
    }
    Ok(report)
}

fn gone(folder: &Path) -> PathBuf {
    folder.with_extension(GONE)
}

fn remove_gone(home: &Path) -> io::Result<()> {
    // Any workspace's: all of them lie together.
    let one = Home::workspace(home, WorkspaceId::from_random(0));
    let Some(all) = one.parent() else { return Ok(()) };
    for entry in fs::read_dir(all)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == GONE) {
            fs::remove_dir_all(path)?;
        }
    }
    Ok(())
}
