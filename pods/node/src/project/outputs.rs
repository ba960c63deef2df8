//! Outputs of steps laid over each other, the later over the earlier, over the sources that they hide.

use protocol::{FileKind, RelPath, Tree, TreeEntry};
use rustc_hash::{FxHashMap, FxHashSet};

use super::sources::Entry;

/// Outputs of steps, the later over the earlier.
#[derive(Debug, Default, Clone)]
pub struct Outputs {
    pub(super) entries: FxHashMap<RelPath, Entry>,
    /// Folders that hold an entry, or stand for themselves, with the names in them.
    pub(super) folders: FxHashMap<RelPath, FxHashMap<Box<[u8]>, FileKind>>,
    /// Paths at and below which the sources are hidden.
    pub(super) masked: FxHashSet<RelPath>,
}

/// Lays trees over each other.
#[derive(Debug, Default)]
pub struct OutputsBuilder(Outputs);

impl OutputsBuilder {
    /// Goes on from what is there.
    pub fn over(outputs: Outputs) -> Self {
        Self(outputs)
    }

    /// A folder stands here, whatever is in it: the parent of something that is promised.
    pub fn folder(&mut self, path: &RelPath) {
        self.0.link_up(path, FileKind::Dir);
        self.0.folders.entry(path.clone()).or_default();
    }

    /// What a step made, over what is there.
    pub fn apply(&mut self, tree: &Tree) {
        for (path, entry) in tree.entries() {
            match entry {
                TreeEntry::File { digest, size, exec } => {
                    self.put(path, Entry::Output { exec: *exec, size: *size, digest: *digest });
                }
                TreeEntry::Link { target } => {
                    self.put(path, Entry::Link { target: target.as_slice().into() })
                }
                TreeEntry::EmptyDir => self.folder(path),
                TreeEntry::Deleted => {
                    self.0.remove(path);
                    self.0.masked.insert(path.clone());
                }
            }
        }
    }

    fn put(&mut self, path: &RelPath, entry: Entry) {
        if self.0.folders.contains_key(path) {
            self.0.remove(path);
        }
        self.0.link_up(path, entry.kind());
        self.0.entries.insert(path.clone(), entry);
    }

    /// The outputs.
    pub fn finish(self) -> Outputs {
        self.0
    }
}

impl Outputs {
    /// Enters a path into its parent's names, and the parent into its own, as far as they are not there.
    fn link_up(&mut self, path: &RelPath, kind: FileKind) {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return };
        if self.entries.remove(&parent).is_some() {
            // A file gave way to a folder.
            self.masked.insert(parent.clone());
        }
        let known = self.folders.contains_key(&parent);
        self.folders.entry(parent.clone()).or_default().insert(name.into(), kind);
        if !known {
            self.link_up(&parent, FileKind::Dir);
        }
    }

    fn remove(&mut self, path: &RelPath) {
        self.entries.retain(|entry, _| !entry.is_within(path));
        self.folders.retain(|folder, _| !folder.is_within(path));
        if let (Some(parent), Some(name)) = (path.parent(), path.name())
            && let Some(names) = self.folders.get_mut(&parent)
        {
            names.remove(name);
        }
    }

    pub(super) fn get(&self, path: &RelPath) -> Option<Entry> {
        if self.folders.contains_key(path) {
            return Some(Entry::Dir);
        }
        self.entries.get(path).cloned()
    }

    /// Whether what the sources have at this path is hidden.
    pub(super) fn hides(&self, path: &RelPath) -> bool {
        if self.masked.is_empty() && self.entries.is_empty() {
            return false;
        }
        self.masked.contains(path)
            || path.ancestors().any(|above| self.masked.contains(&above) || self.entries.contains_key(&above))
    }

    /// All paths that stand here, folders left out.
    pub fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.entries.keys()
    }
}
