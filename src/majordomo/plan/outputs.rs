//! The declared outputs of all steps, sorted by path.

use protocol::step::Promise;
use protocol::{Glob, RelPath, glob::Reach};

/// One declared output of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// What is promised.
    pub promise: Promise,
    /// Index of the step that promises it.
    pub step: usize,
    /// Which entry of the rule's `out` it came from.
    pub(super) entry: usize,
}

impl Output {
    /// Its path.
    pub fn path(&self) -> &RelPath {
        self.promise.path()
    }

    /// Whether it is a whole tree.
    pub fn is_tree(&self) -> bool {
        matches!(self.promise, Promise::Tree(_))
    }
}

/// All of them, by path, then by step.
#[derive(Debug, Clone, Default)]
pub(super) struct Outputs {
    all: Vec<Output>,
    trees: bool,
}

impl Outputs {
    pub fn new(mut all: Vec<Output>) -> Self {
        all.sort_by(|a, b| (a.path(), a.step, a.entry).cmp(&(b.path(), b.step, b.entry)));
        let trees = all.iter().any(Output::is_tree);
        Self { all, trees }
    }

    pub fn all(&self) -> &[Output] {
        &self.all
    }

    /// Those at just this path.
    pub fn at(&self, path: &[u8]) -> &[Output] {
        let start = self.all.partition_point(|output| output.path().as_bytes() < path);
        let len = self.all[start..].partition_point(|output| output.path().as_bytes() == path);
        &self.all[start..start + len]
    }

    /// Whole trees that the path is in.
    pub fn trees_above<'a>(&'a self, path: &RelPath) -> impl Iterator<Item = &'a Output> + use<'a> {
        let ancestors = self.trees.then(|| path.ancestors()).into_iter().flatten();
        ancestors.flat_map(|folder| self.at(folder.as_bytes())).filter(|output| output.is_tree())
    }

    /// Those below a folder's path.
    pub fn below(&self, folder: &RelPath) -> &[Output] {
        let mut prefix = folder.as_bytes().to_vec();
        if !folder.is_root() {
            prefix.push(b'/');
        }
        self.with_prefix(&prefix)
    }

    fn with_prefix(&self, prefix: &[u8]) -> &[Output] {
        let start = self.all.partition_point(|output| output.path().as_bytes() < prefix);
        let len = self.all[start..].partition_point(|output| output.path().as_bytes().starts_with(prefix));
        &self.all[start..start + len]
    }

    /// Those whose own path a pattern matches, sorted.
    pub fn matching<'a>(&'a self, glob: &'a Glob) -> impl Iterator<Item = &'a Output> {
        glob.patterns().iter().flat_map(|pattern| {
            self.with_prefix(pattern.prefix())
                .iter()
                .filter(|output| pattern.matches(output.path().as_bytes()))
        })
    }

    /// Whole trees that a pattern reaches into, and how far.
    pub fn reached<'a>(&'a self, glob: &'a Glob) -> impl Iterator<Item = (&'a Output, Reach)> {
        let all = if self.trees { self.all.as_slice() } else { &[] };
        let trees = all.iter().filter(|output| output.is_tree());
        trees.filter_map(|tree| glob.reach(tree.path()).map(|reach| (tree, reach)))
    }
}
