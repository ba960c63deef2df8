//! The manifest: what was handed over to the user, path by path.
//!
//! It is what tells outputs from sources: a path in it whose bytes still agree is no source. Nothing but a hand-over
//! adds to it, so a file that the user put where a step declares an output stays the user's.
//! Damage: [`Manifest::load`] says so and changes nothing; [`Manifest::recover`] starts again from what the caller
//! knows the steps to have made, and takes as outputs only files that agree with that byte by byte. All else is then
//! the user's, so nothing can be lost by it; at worst the user has to remove an output by hand.

use std::os::fd::AsFd;
use std::path::PathBuf;

use protocol::{Digest, RelPath, StepId, TreeEntry};

use super::form::{self, MANIFEST};
use super::intents;
use super::standing::{Standing, stands};
use super::{Stamp, Workspace, WorkspaceError};

/// What stands at a path of a project because we put it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// A file.
    File {
        /// BLAKE3 of its bytes.
        digest: Digest,
        /// Length in bytes.
        size: u64,
        /// Whether it may be executed.
        exec: bool,
    },
    /// A symbolic link, with its target as `readlink` gives it.
    Link(Box<[u8]>),
    /// A folder: an output that is empty, or one that was missing above an output.
    Folder,
}

impl Made {
    /// What a tree's entry comes to in a project; `None` for a deletion.
    pub fn from_entry(entry: &TreeEntry) -> Option<Self> {
        Some(match entry {
            TreeEntry::File { digest, size, exec } => {
                Made::File { digest: *digest, size: *size, exec: *exec }
            }
            TreeEntry::Link { target } => Made::Link(target.as_slice().into()),
            TreeEntry::EmptyDir => Made::Folder,
            TreeEntry::Deleted => return None,
        })
    }
}

/// One line of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What was put there.
    pub made: Made,
    /// The stamp of what was put there; `None` where it cannot be believed, so that only bytes can tell.
    pub stamp: Option<Stamp>,
    /// The step that made it.
    pub step: StepId,
}

/// What was handed over, sorted by path.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    entries: Vec<(RelPath, Output)>,
    /// The digest of the file that this was read from or written to; [`Digest::of`] nothing if there was none.
    base: Option<Digest>,
    /// Whether it knows more than its file.
    pub(super) unsaved: bool,
}

/// A manifest that was made up again.
#[derive(Debug)]
pub struct Recovered {
    /// Those of the known outputs that stand in the project, byte by byte.
    pub manifest: Manifest,
    /// Known outputs where something else stands: it is the user's from now on.
    pub differing: Vec<RelPath>,
    /// Where the damaged files were moved.
    pub aside: Vec<PathBuf>,
}

impl Manifest {
    /// Reads a workspace's manifest, and settles what an interrupted hand-over left open by looking at the files. Writes
    /// nothing. No manifest is an empty one.
    pub fn load(workspace: &Workspace) -> Result<Self, WorkspaceError> {
        let path = workspace.manifest_path();
        let mut manifest = match MANIFEST.read(&path)? {
            None => Self::default(),
            Some(sealed) => {
                let entries = form::decode(sealed.body())
                    .map_err(|bad| WorkspaceError::Damaged { path, why: bad.to_string() })?;
                Self { entries, base: Some(sealed.digest()), unsaved: false }
            }
        };
        intents::settle(workspace, &mut manifest)?;
        Ok(manifest)
    }

    /// Starts again where [`load`](Self::load) found damage. The damaged files are kept beside, with `.damaged` at their
    /// ends.
    pub fn recover(
        workspace: &Workspace,
        known: impl IntoIterator<Item = (RelPath, Made, StepId)>,
    ) -> Result<Recovered, WorkspaceError> {
        let mut aside = Vec::new();
        for path in [workspace.manifest_path(), workspace.intents_path()] {
            let kept = path.with_extension("damaged");
            match std::fs::rename(&path, &kept) {
                Ok(()) => aside.push(kept),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(WorkspaceError::io("written", &path, error)),
            }
        }
        let (mut manifest, differing) = Self::recognise(workspace, known)?;
        manifest.save(workspace)?;
        Ok(Recovered { manifest, differing, aside })
    }

    /// What [`recover`](Self::recover) would start again with, and the known outputs where something else stands. Writes nothing.
    pub fn recognise(
        workspace: &Workspace,
        known: impl IntoIterator<Item = (RelPath, Made, StepId)>,
    ) -> Result<(Self, Vec<RelPath>), WorkspaceError> {
        let (mut found, mut differing) = (Vec::new(), Vec::new());
        for (path, made, step) in known {
            let mut output = Output { made, stamp: None, step };
            match stands(workspace.root.as_fd(), &path, Some(&output)) {
                Ok(Standing::Agrees { stamp, believed, .. }) => {
                    output.stamp = believed.then_some(stamp);
                    found.push((path, Some(output)));
                }
                Ok(Standing::Absent) => {}
                Ok(_) => differing.push(path),
                Err(error) => return Err(WorkspaceError::io("read", &path.under(&workspace.project), error)),
            }
        }
        let mut manifest = Self::default();
        manifest.apply(found);
        Ok((manifest, differing))
    }

    /// What was handed over, sorted by path.
    pub fn entries(&self) -> &[(RelPath, Output)] {
        &self.entries
    }

    /// What was put at a path.
    pub fn get(&self, path: &RelPath) -> Option<&Output> {
        self.entries.binary_search_by(|entry| entry.0.cmp(path)).ok().map(|at| &self.entries[at].1)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever handed over.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it knows more than its file: an interrupted hand-over was settled, or stamps are new. The next hand-over
    /// writes it.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// What tells it from others of the workspace; `None`: it knows more than its file, and may be any.
    pub fn identity(&self) -> Option<Digest> {
        (!self.unsaved).then(|| self.base())
    }

    /// Notes new stamps of files whose bytes were compared.
    pub fn restamp(&mut self, stamps: impl IntoIterator<Item = (RelPath, Stamp)>) {
        for (path, stamp) in stamps {
            if let Ok(at) = self.entries.binary_search_by(|entry| entry.0.cmp(&path)) {
                self.entries[at].1.stamp = Some(stamp);
                self.unsaved = true;
            }
        }
    }

    /// Sets (`Some`) and removes (`None`) entries. Of several changes of one path the last counts.
    pub(in crate::majordomo) fn apply(&mut self, mut changes: Vec<(RelPath, Option<Output>)>) {
        changes.sort_by(|a, b| a.0.cmp(&b.0));
        let mut merged = Vec::with_capacity(self.entries.len() + changes.len());
        let mut old = std::mem::take(&mut self.entries).into_iter().peekable();
        let mut changes = changes.into_iter().peekable();
        while let Some((path, change)) = changes.next() {
            if changes.peek().is_some_and(|next| next.0 == path) {
                continue;
            }
            while let Some(entry) = old.next_if(|entry| entry.0 < path) {
                merged.push(entry);
            }
            old.next_if(|entry| entry.0 == path);
            merged.extend(change.map(|output| (path, output)));
        }
        merged.extend(old);
        self.entries = merged;
    }

    /// Writes it, and ends the hand-over that was under way.
    pub fn save(&mut self, workspace: &Workspace) -> Result<(), WorkspaceError> {
        let body = form::encode(&self.entries);
        self.base = Some(MANIFEST.write(&workspace.manifest_path(), &workspace.tmp(), &body)?);
        self.unsaved = false;
        intents::clear(workspace)
    }

    /// What intents refer to: the file that they change.
    pub(super) fn base(&self) -> Digest {
        self.base.unwrap_or_else(|| Digest::of(b""))
    }
}
