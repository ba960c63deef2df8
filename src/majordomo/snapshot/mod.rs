//! A snapshot: the sources of a project at one moment, as far as `stat` tells.
//!
//! A scan reads names and stamps, never contents. Digests are *late*: a file is hashed when it is first opened, and its
//! stamp at the scan is what pins it ([`Pinned`]). Sources are everything but `.git` and `.majordomo` (of this
//! project or of one inside it) and our own handed-over outputs whose bytes still agree, with the folders that only hold
//! such. A file of the user's that stands where a step declares an output is a source, unless the manifest has it.
//!
//! | file | what |
//! |---|---|
//! | `folder`, `walk` | reading folders, several at a time |
//! | `nodes` | the compact tree |
//! | `outputs` | which nodes are outputs, which of those were edited |
//! | `settle` | waiting for stamps that cannot be believed yet |
//! | `pinned` | reading a source as it was at the scan |
//! | `links` | where a link leads |
//! | `refresh` | looking again where something may have changed |
//! | `record`, `take` | by what a build with nothing to do is recognised |

mod error;
mod folder;
mod links;
mod nodes;
mod outputs;
mod pinned;
pub mod record;
pub mod refresh;
mod settle;
mod take;
mod walk;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use protocol::{FileKind, RelPath};

pub use error::{SnapshotError, SourceError};
pub use links::escapes;
pub use pinned::Pinned;
pub use record::{HostFile, NoRecord, StampRecord};

use crate::majordomo::watch::projects;
use crate::majordomo::watch::watched::Watched;
use crate::majordomo::workspace::{Manifest, Moment, Stamp, Workspace};
use nodes::{Index, Nodes, OUTPUT, SETTLED};

/// The sources of a project at one moment. Clones share it.
#[derive(Debug, Clone)]
pub struct Snapshot(Arc<Inner>, Option<Origin>);

/// The watched project that a snapshot was taken of in memory.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Which one.
    pub watched: Weak<Watched>,
    /// Its version then.
    pub version: u64,
}

#[derive(Debug)]
struct Inner {
    root: OwnedFd,
    nodes: Nodes,
    report: ScanReport,
}

/// What a scan found out besides the sources.
#[derive(Debug, Clone, Default)]
pub struct ScanReport {
    /// Handed-over outputs whose bytes are others now, sorted: the user edited them. They are listed as sources, too.
    pub edited: Vec<RelPath>,
    /// Handed-over outputs that are gone or cut short, sorted.
    pub missing: Vec<RelPath>,
    /// Outputs that were recognised by their bytes: what [`Manifest::restamp`] takes, so that it is not done again.
    pub restamped: Vec<(RelPath, Stamp)>,
    /// Sockets, FIFOs and devices, sorted: they are left out.
    pub special: Vec<RelPath>,
    /// Folders that may not be looked into, in no order: nothing is known of what is in them.
    pub closed: Vec<RelPath>,
}

/// What stands at a path of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// Whether anybody may execute it.
        exec: bool,
        /// What pins its contents.
        stamp: Stamp,
    },
    /// A symbolic link.
    Link {
        /// As `readlink` gives it.
        target: &'a [u8],
    },
}

impl Entry<'_> {
    /// Its kind.
    pub fn kind(&self) -> FileKind {
        match self {
            Entry::Dir => FileKind::Dir,
            Entry::File { .. } => FileKind::File,
            Entry::Link { .. } => FileKind::Link,
        }
    }
}

impl Snapshot {
    /// Looks at a whole project. `moment` is from before the scan: [`Lock::moment`](crate::majordomo::workspace::Lock::moment)
    /// or [`Moment::now`].
    pub fn scan(workspace: &Workspace, manifest: &Manifest, moment: Moment) -> Result<Self, SnapshotError> {
        if let Some(watched) = projects::find(workspace.project()) {
            match watched.look(manifest, moment) {
                Ok((snapshot, _)) => return Ok(snapshot),
                Err(lost) => tracing::debug!(%lost, "the project is scanned although it is watched"),
            }
        }
        let root = workspace.root().try_clone_to_owned();
        let root =
            root.map_err(|source| SnapshotError::UnreadableFolder { path: RelPath::root(), source })?;
        let (mut nodes, special) = settle::scan(root.as_fd(), moment)?;
        let mut report = outputs::mark(root.as_fd(), &mut nodes, manifest)?;
        report.special = special;
        report.closed = settle::closed(&nodes);
        Ok(Self(Arc::new(Inner { root, nodes, report }), None))
    }

    /// The same, of a watched project.
    pub fn with_origin(self, origin: Origin) -> Self {
        Self(self.0, Some(origin))
    }

    /// The watched project that it was taken of, and its version then.
    pub fn origin(&self) -> Option<(Arc<Watched>, u64)> {
        let origin = self.1.as_ref()?;
        Some((origin.watched.upgrade()?, origin.version))
    }

    /// What a scan found out besides the sources.
    pub fn report(&self) -> &ScanReport {
        &self.0.report
    }

    /// What stands at a path; `None` if no source does.
    pub fn get(&self, path: &RelPath) -> Option<Entry<'_>> {
        self.find(path).map(|index| self.entry(index))
    }

    /// Whether a path is that of a folder that may not be looked into, or below one.
    pub fn is_closed(&self, path: &RelPath) -> bool {
        self.0.report.closed.iter().any(|closed| path.is_within(closed))
    }

    /// The names and kinds in a folder, sorted by name; `None` if it is none.
    pub fn list<'a>(
        &'a self,
        folder: &RelPath,
    ) -> Option<impl Iterator<Item = (&'a [u8], FileKind)> + use<'a>> {
        let index = self.find(folder).filter(|index| self.0.nodes.kind(*index) == FileKind::Dir)?;
        Some(self.children(index).map(|child| (self.0.nodes.name(child), self.0.nodes.kind(child))))
    }

    /// Calls `each` with the path and entry of everything below a folder: a folder before what is in it, names in
    /// order. (That is not the order of whole paths: `a/b` comes before `a-b`.)
    pub fn walk(&self, folder: &RelPath, mut each: impl FnMut(&[u8], Entry<'_>)) {
        let Some(top) = self.find(folder) else { return };
        let mut path = folder.as_bytes().to_vec();
        // Each level: its node's unvisited children, and how long the path was above them.
        let mut levels = vec![(self.0.nodes.children(top), path.len())];
        while let Some((rest, len)) = levels.last_mut() {
            let len = *len;
            path.truncate(len);
            let Some(child) = rest.next() else {
                levels.pop();
                continue;
            };
            if self.0.nodes.has(child, OUTPUT) {
                continue;
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(self.0.nodes.name(child));
            each(&path, self.entry(child));
            levels.push((self.0.nodes.children(child), path.len()));
        }
    }

    /// The paths of all files and links, sorted: what globs are matched against.
    pub fn files(&self) -> Vec<RelPath> {
        let mut files = Vec::new();
        self.walk(&RelPath::root(), |path, entry| {
            if entry.kind() != FileKind::Dir {
                // The parts are names of the kernel's.
                files.extend(RelPath::new(path));
            }
        });
        files.sort_unstable();
        files
    }

    /// Whether a file's stamp can be believed: only then may its digest be remembered by it.
    pub fn is_settled(&self, path: &RelPath) -> bool {
        self.find(path).is_some_and(|index| self.0.nodes.has(index, SETTLED))
    }

    /// The number of nodes, outputs included.
    pub fn len(&self) -> usize {
        self.0.nodes.len()
    }

    /// Whether there is nothing but the project's folder.
    pub fn is_empty(&self) -> bool {
        self.0.nodes.len() <= 1
    }

    fn find(&self, path: &RelPath) -> Option<Index> {
        self.0.nodes.find(path).filter(|index| !self.0.nodes.has(*index, OUTPUT))
    }

    fn children(&self, index: Index) -> impl Iterator<Item = Index> {
        self.0.nodes.children(index).filter(|child| !self.0.nodes.has(*child, OUTPUT))
    }

    fn entry(&self, index: Index) -> Entry<'_> {
        let nodes = &self.0.nodes;
        match nodes.kind(index) {
            FileKind::Dir => Entry::Dir,
            FileKind::File => {
                let stamp = nodes.stamp(index);
                Entry::File { size: stamp.size, exec: nodes.exec(index), stamp }
            }
            FileKind::Link => Entry::Link { target: nodes.target(index) },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
