//! A snapshot in the forms in which the plan and the pod want it.

use node::{Entry, Names as Listing};
use protocol::RelPath;

use super::plan;
use super::snapshot::{self, Snapshot};

/// The names of all source files and links, sorted.
pub struct Names(Vec<RelPath>);

impl Names {
    /// Of a snapshot. An output that was edited is not planned with: whose it is has yet to be decided.
    pub fn of(snapshot: &Snapshot) -> Self {
        let edited = &snapshot.report().edited;
        let mut names = snapshot.files();
        if !edited.is_empty() {
            names.retain(|name| edited.binary_search(name).is_err());
        }
        Self(names)
    }
}

impl plan::Sources for Names {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> &RelPath {
        &self.0[index]
    }
}

/// The sources of a snapshot as steps see them.
pub struct SnapshotSources(pub Snapshot);

impl node::Sources for SnapshotSources {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        Some(match self.0.get(path)? {
            snapshot::Entry::Dir => Entry::Dir,
            snapshot::Entry::File { exec, stamp, .. } => Entry::Source { exec, stamp },
            snapshot::Entry::Link { target } => Entry::Link { target: target.into() },
        })
    }

    fn list(&self, path: &RelPath) -> Option<Listing> {
        let names = self.0.list(path)?;
        Some(names.map(|(name, kind)| (name.into(), kind)).collect())
    }

    fn is_closed(&self, path: &RelPath) -> bool {
        self.0.is_closed(path)
    }
}
