//! What other steps promise to make, as one step sees it: the names at once, what stands there once it is made.

use std::sync::Arc;

use futures::future::BoxFuture;
use protocol::{FileKind, RelPath, Tree, TreeEntry};
use view::SourceError;

use super::sources::{Entry, Names};

/// How a path stands to the promises of other steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromisedAt {
    /// A folder that leads to something promised.
    Folder,
    /// What stands here is for a step to make: a promised file, a promised tree, or something in one.
    By(usize),
}

/// The promises of other steps, as one step sees them. The majordomo answers.
///
/// What is made does not change for the step that sees it: [`super::Project`] remembers the first answer.
pub trait Promised: Send + Sync + 'static {
    /// How a path stands; `None`: nothing is promised here.
    fn at(&self, path: &RelPath) -> Option<PromisedAt>;

    /// The promised names in a folder, and those that lead to something promised; what is in a promised tree is not among them.
    fn names(&self, folder: &RelPath) -> Names;

    /// What a step made, if it is there: `Some(None)`, if its absence is what has to be seen. Never waits.
    fn made(&self, by: usize) -> Option<Option<Arc<Tree>>>;

    /// Waits until a step has made what it promises: a *held look-up*. [`SourceError::NotYet`] if nobody may wait for it,
    /// [`SourceError::Cancelled`] if it will not be made. Dropping the future gives the question up.
    fn make<'a>(
        &'a self,
        by: usize,
        path: &'a RelPath,
    ) -> BoxFuture<'a, Result<Option<Arc<Tree>>, SourceError>>;
}

/// The entries of a tree below a folder.
fn below<'a>(tree: &'a Tree, folder: &RelPath) -> &'a [(RelPath, TreeEntry)] {
    let mut prefix = folder.as_bytes().to_vec();
    prefix.push(b'/');
    let entries = tree.entries();
    let start = entries.partition_point(|(path, _)| path.as_bytes() < prefix.as_slice());
    let len = entries[start..].partition_point(|(path, _)| path.as_bytes().starts_with(&prefix));
    &entries[start..start + len]
}

/// What a tree has at a path.
pub(super) fn entry_in(tree: &Tree, path: &RelPath) -> Option<Entry> {
    match tree.get(path) {
        Some(TreeEntry::File { digest, size, exec }) => {
            Some(Entry::Output { exec: *exec, size: *size, digest: *digest })
        }
        Some(TreeEntry::Link { target }) => Some(Entry::Link { target: target.as_slice().into() }),
        Some(TreeEntry::EmptyDir) => Some(Entry::Dir),
        Some(TreeEntry::Deleted) => None,
        None => below(tree, path).iter().any(|(_, entry)| *entry != TreeEntry::Deleted).then_some(Entry::Dir),
    }
}

/// The names that a tree has in a folder.
pub(super) fn names_in(tree: &Tree, folder: &RelPath) -> Names {
    let skip = folder.as_bytes().len() + 1;
    let mut names: Names = Vec::new();
    for (path, entry) in below(tree, folder) {
        let rest = &path.as_bytes()[skip..];
        let (name, kind) = match rest.iter().position(|byte| *byte == b'/') {
            Some(end) if *entry != TreeEntry::Deleted => (&rest[..end], FileKind::Dir),
            Some(_) => continue,
            None => match entry {
                TreeEntry::File { .. } => (rest, FileKind::File),
                TreeEntry::Link { .. } => (rest, FileKind::Link),
                TreeEntry::EmptyDir => (rest, FileKind::Dir),
                TreeEntry::Deleted => continue,
            },
        };
        // Paths of one folder may stand apart (`a/x`, `a-b`, `a/y`).
        if !names.iter().any(|(known, _)| **known == *name) {
            names.push((name.into(), kind));
        }
    }
    names
}
