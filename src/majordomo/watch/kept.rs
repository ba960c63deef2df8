//! What is kept in memory of the last good build of a watched project: enough to know that another one has nothing to do.
//!
//! It stands for the stamp record on disk, at a cost that does not grow with the project: that no source has changed is known from
//! what the watcher told; what the build used of the machine is looked at each time. It goes with the process, or
//! is written as a stamp record when there is time.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::Digest;

use super::watched::{Change, Lost, Watched};
use crate::majordomo::snapshot::{NoRecord, Snapshot, StampRecord};
use crate::majordomo::workspace::{Manifest, Moment, Workspace};

/// So many folders of the machine are watched; what is in others is looked at when somebody asks.
pub const MAX_UPSTREAM: usize = 2048;

/// The last good build.
#[derive(Debug)]
pub struct Kept {
    /// Of the project, when the outputs had been handed over.
    version: u64,
    /// What had been handed over.
    manifest: Option<Digest>,
    /// The stamps of what it used of the machine, and the caller's blob.
    record: StampRecord,
}

impl Kept {
    /// What the build has to know.
    pub fn blob(&self) -> &[u8] {
        self.record.blob()
    }
}

impl Watched {
    /// Keeps a build that has been handed over; `record` has the machine's part. `since` is the version that it was of.
    ///
    /// # Errors
    /// The project is not what was built any more.
    pub fn keep(&self, since: u64, manifest: &Manifest, record: StampRecord) -> Result<(), NoRecord> {
        let (snapshot, version) = self.look(manifest, Moment::now()).map_err(|_| NoRecord::Unwatched)?;
        if let Some(path) = self.changed(&snapshot, since).into_iter().find_map(Change::into_path) {
            return Err(NoRecord::Changed(path));
        }
        let folders = upstream(&record);
        *self.kept.lock() = Some(Arc::new(Kept { version, manifest: manifest.identity(), record }));
        if let Err(error) = self.watch_upstream(&folders) {
            tracing::warn!(%error, "tools are not watched");
        }
        Ok(())
    }

    /// What is kept.
    pub fn kept(&self) -> Option<Arc<Kept>> {
        self.kept.lock().clone()
    }

    /// Keeps nothing any more.
    pub fn forget(&self) {
        self.kept.lock().take();
    }

    /// Whether everything is as it was when this was kept.
    ///
    /// # Errors
    /// The project cannot be watched any more.
    pub fn still_holds(&self, kept: &Kept) -> Result<bool, Lost> {
        let manifest = self.manifest()?;
        if manifest.identity().is_none() || manifest.identity() != kept.manifest {
            return Ok(false);
        }
        let (snapshot, _) = self.look(&manifest, Moment::now())?;
        let is_same = self.changed(&snapshot, kept.version).iter().all(|change| *change == Change::Machine);
        Ok(is_same && kept.record.still_holds(self.project()))
    }

    /// The first thing of the machine that is not as the last good build used it.
    pub fn changed_upstream(&self) -> Option<PathBuf> {
        self.kept()?.record.first_changed(self.project())
    }

    /// Writes what is kept for builds of other processes, if it still holds.
    ///
    /// # Errors
    /// It cannot be written, or does not hold.
    pub fn write(&self, workspace: &Workspace) -> Result<(), String> {
        let Some(kept) = self.kept() else { return Ok(()) };
        if !self.still_holds(&kept).map_err(|lost| lost.to_string())? {
            return Err("the project has changed since".to_owned());
        }
        let manifest = self.manifest().map_err(|lost| lost.to_string())?;
        let (snapshot, _) = self.look(&manifest, Moment::now()).map_err(|lost| lost.to_string())?;
        let record =
            StampRecord::of_project(&snapshot, &manifest, &kept.record).map_err(|why| why.to_string())?;
        record.save(workspace).map_err(|error| error.to_string())
    }

    /// What counts of the changes after a version: sources, and outputs that are still gone or still edited.
    pub fn changed(&self, now: &Snapshot, since: u64) -> Vec<Change> {
        let report = now.report();
        let counts = |change: &Change| match change {
            Change::Missing(path) => report.missing.binary_search(path).is_ok(),
            Change::Edited(path) => report.edited.binary_search(path).is_ok(),
            _ => true,
        };
        self.since(since).into_iter().filter(counts).collect()
    }
}

/// The folders in which something shows when what a build used of the machine changes; where one is not there, the nearest above.
fn upstream(record: &StampRecord) -> Vec<PathBuf> {
    let mut folders = BTreeSet::new();
    for folder in record.upstream() {
        let folder = Path::new(std::ffi::OsStr::from_bytes(&folder));
        let there = folder.ancestors().find_map(|above| std::fs::canonicalize(above).ok());
        folders.extend(there.filter(|there| there.is_dir()));
    }
    if folders.len() > MAX_UPSTREAM {
        tracing::warn!(folders = folders.len(), "not all folders of tools are watched");
    }
    folders.into_iter().take(MAX_UPSTREAM).collect()
}
