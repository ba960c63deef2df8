//! The names of the source files, and where in them a pattern looks.

use protocol::{Glob, RelPath};

/// The source files and links of a project by name: sorted bytewise, each once, no folders.
///
/// A trait, so that a snapshot of many files need not be copied into a list.
pub trait Sources {
    /// How many there are.
    fn count(&self) -> usize;
    /// The name at a place below [`Sources::count`].
    fn name(&self, index: usize) -> &RelPath;
}

impl Sources for Vec<RelPath> {
    fn count(&self) -> usize {
        self.len()
    }

    fn name(&self, index: usize) -> &RelPath {
        &self[index]
    }
}

impl Sources for &[RelPath] {
    fn count(&self) -> usize {
        self.len()
    }

    fn name(&self, index: usize) -> &RelPath {
        &self[index]
    }
}

/// The first name that is not smaller than these bytes.
pub(super) fn lower_bound(sources: &dyn Sources, bytes: &[u8]) -> usize {
    let (mut low, mut high) = (0, sources.count());
    while low < high {
        let middle = low + (high - low) / 2;
        if sources.name(middle).as_bytes() < bytes { low = middle + 1 } else { high = middle }
    }
    low
}

/// All names from `prefix` on that start with it.
pub(super) fn with_prefix<'a>(
    sources: &'a dyn Sources,
    prefix: &'a [u8],
) -> impl Iterator<Item = &'a RelPath> {
    (lower_bound(sources, prefix)..sources.count())
        .map(|index| sources.name(index))
        .take_while(move |name| name.as_bytes().starts_with(prefix))
}

/// Whether this very name is there.
pub(super) fn contains(sources: &dyn Sources, path: &[u8]) -> bool {
    let index = lower_bound(sources, path);
    index < sources.count() && sources.name(index).as_bytes() == path
}

/// The first source at or below a folder's path, as if it were one.
pub(super) fn first_below<'a>(sources: &'a dyn Sources, folder: &RelPath) -> Option<&'a RelPath> {
    let mut prefix = folder.as_bytes().to_vec();
    if !folder.is_root() {
        prefix.push(b'/');
    }
    let index = lower_bound(sources, &prefix);
    (index < sources.count()).then(|| sources.name(index)).filter(|name| name.as_bytes().starts_with(&prefix))
}

/// The names that a pattern matches, sorted, each once. Looks only at names with a prefix of the pattern.
pub(super) fn matching(sources: &dyn Sources, glob: &Glob) -> Vec<RelPath> {
    let mut names = Vec::new();
    for pattern in glob.patterns() {
        let prefix = pattern.prefix();
        if pattern.is_literal() {
            let index = lower_bound(sources, prefix);
            names.extend(
                (index < sources.count())
                    .then(|| sources.name(index))
                    .filter(|n| n.as_bytes() == prefix)
                    .cloned(),
            );
        } else {
            names.extend(
                with_prefix(sources, prefix).filter(|name| pattern.matches(name.as_bytes())).cloned(),
            );
        }
    }
    if glob.patterns().len() > 1 {
        names.sort_unstable();
        names.dedup();
    }
    names
}
