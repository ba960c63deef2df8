//! Trees: what a step made, or what a folder holds, as one canonical object.
//!
//! A tree is *flat*: every path in it, sorted bytewise, in one object, so that one read (or one round trip) brings
//! all names. Folders that follow from a path below them are not listed; an entry of kind folder is an empty one.

use crate::codec::{BadObject, Reader, Writer};
use crate::digest::context;
use crate::{Digest, RelPath};

/// The format number of tree objects.
pub const TREE_FORMAT: u8 = 1;

/// What stands at one path of a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TreeEntry {
    /// A regular file: the digest of its bytes, their number, and the exec bit, which is all that is kept of its mode.
    File {
        /// BLAKE3 of the bytes.
        digest: Digest,
        /// Length in bytes.
        size: u64,
        /// Whether anybody may execute it.
        exec: bool,
    },
    /// A symbolic link: its target's bytes, unresolved.
    Link {
        /// The target as `readlink` gives it.
        target: Vec<u8>,
    },
    /// A folder with nothing in it.
    EmptyDir,
    /// Only in what a step made: the step removed what stood here for it.
    Deleted,
}

/// A sorted list of paths and what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    entries: Vec<(RelPath, TreeEntry)>,
}

impl Tree {
    /// Sorts and checks: no path twice, none below a file or link, the root never listed.
    pub fn new(mut entries: Vec<(RelPath, TreeEntry)>) -> Result<Self, BadObject> {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let tree = Self { entries };
        tree.check()?;
        Ok(tree)
    }

    fn check(&self) -> Result<(), BadObject> {
        if self.entries.iter().any(|(path, _)| path.is_root()) {
            return Err(BadObject::Field("a tree path"));
        }
        if self.entries.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(BadObject::Field("the order of a tree"));
        }
        // A path may sort between a leaf and what would be below it (`a`, `a-b`, `a/c`), so ancestors are looked up.
        let below_a_leaf = |path: &RelPath| path.ancestors().any(|folder| self.get(&folder).is_some());
        if self.entries.iter().any(|(path, _)| below_a_leaf(path)) {
            return Err(BadObject::Field("a tree path below a leaf"));
        }
        Ok(())
    }

    /// The entries, sorted by path.
    pub fn entries(&self) -> &[(RelPath, TreeEntry)] {
        &self.entries
    }

    /// What is listed at a path (folders that merely hold entries are not).
    pub fn get(&self, path: &RelPath) -> Option<&TreeEntry> {
        self.entries.binary_search_by(|entry| entry.0.cmp(path)).ok().map(|at| &self.entries[at].1)
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(TREE_FORMAT);
        writer.number(self.entries.len() as u64);
        for (path, entry) in &self.entries {
            writer.bytes(path.as_bytes());
            match entry {
                TreeEntry::File { digest, size, exec } => {
                    writer.byte(if *exec { 1 } else { 0 }).number(*size).digest(digest)
                }
                TreeEntry::Link { target } => writer.byte(2).bytes(target),
                TreeEntry::EmptyDir => writer.byte(3),
                TreeEntry::Deleted => writer.byte(4),
            };
        }
        writer.finish()
    }

    /// Reads the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, TREE_FORMAT)?;
        let count = reader.count()?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            let path = reader.path()?;
            let entry = match reader.byte()? {
                kind @ (0 | 1) => {
                    let size = reader.number()?;
                    TreeEntry::File { digest: reader.digest()?, size, exec: kind == 1 }
                }
                2 => TreeEntry::Link { target: reader.bytes()?.to_vec() },
                3 => TreeEntry::EmptyDir,
                4 => TreeEntry::Deleted,
                _ => return Err(BadObject::Field("a tree entry's kind")),
            };
            entries.push((path, entry));
        }
        reader.finish()?;
        let tree = Self { entries };
        tree.check()?;
        Ok(tree)
    }

    /// The digest of the canonical form, in the context of trees.
    pub fn digest(&self) -> Digest {
        Digest::in_context(context::TREE, &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TreeEntry {
        TreeEntry::File { digest: Digest::of(text.as_bytes()), size: text.len() as u64, exec: text == "x" }
    }

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn round_trips_in_one_form() {
        let entries = vec![
            (path("b/c"), file("x")),
            (path("a"), TreeEntry::Link { target: b"b".to_vec() }),
            (path("gone"), TreeEntry::Deleted),
            (path("empty"), TreeEntry::EmptyDir),
        ];
        let tree = Tree::new(entries.clone()).unwrap();
        assert_eq!(Tree::decode(&tree.encode()).unwrap(), tree);
        let other = Tree::new(entries.into_iter().rev().collect()).unwrap();
        assert_eq!(other.digest(), tree.digest());
    }

    #[test]
    fn impossible_trees_are_refused() {
        assert!(Tree::new(vec![(path("a"), file("1")), (path("a"), file("2"))]).is_err());
        assert!(
            Tree::new(vec![(path("a"), file("1")), (path("a-b"), file("2")), (path("a/b"), file("2"))])
                .is_err()
        );
        assert!(Tree::new(vec![(RelPath::root(), file("1"))]).is_err());
    }
}
