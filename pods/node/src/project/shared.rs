//! The sources of a project as pods give them to each other: one tree, made where they are, and seen elsewhere through its digests.

use protocol::{RelPath, Tree, TreeEntry};
use view::SourceError;

use super::sources::{Entry, Names, SourceFiles, Sources};
use super::{Outputs, OutputsBuilder};

/// The most sources of a project whose steps run elsewhere: each of them is read once for it.
pub const MAX_SHARED: usize = 1 << 20;
/// The most bytes of them.
pub const MAX_SHARED_BYTES: u64 = 8 << 30;

/// Sources that are on another pod, of which the tree is here. Their bytes come when they are opened.
pub struct SharedSources(Outputs);

impl From<&Tree> for SharedSources {
    fn from(tree: &Tree) -> Self {
        let mut builder = OutputsBuilder::default();
        builder.apply(tree);
        Self(builder.finish())
    }
}

impl Sources for SharedSources {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        if path.is_root() { Some(Entry::Dir) } else { self.0.get(path) }
    }

    fn list(&self, path: &RelPath) -> Option<Names> {
        let names = self.0.folders.get(path);
        let names = names.map(|names| names.iter().map(|(name, kind)| (name.clone(), *kind)).collect());
        names.or_else(|| path.is_root().then(Names::new))
    }
}

impl SourceFiles {
    /// The tree of all sources, whose bytes are in the larder then; `None` if there are more than [`MAX_SHARED`] or [`MAX_SHARED_BYTES`]. Blocks while those
    /// are read that nobody has read before.
    ///
    /// # Errors
    /// A source cannot be read, or has changed since the snapshot.
    pub fn tree(&self, sources: &dyn Sources) -> Result<Option<Tree>, SourceError> {
        let (mut entries, mut folders, mut bytes) = (Vec::new(), vec![RelPath::root()], 0u64);
        while let Some(folder) = folders.pop() {
            if sources.is_closed(&folder) {
                return Err(SourceError::Denied { path: folder });
            }
            let names = sources.list(&folder).unwrap_or_default();
            if names.is_empty() && !folder.is_root() {
                entries.push((folder, TreeEntry::EmptyDir));
                continue;
            }
            for path in names.iter().filter_map(|(name, _)| folder.child(name)) {
                match sources.get(&path) {
                    Some(Entry::Dir) => folders.push(path),
                    Some(Entry::Source { exec, stamp }) => {
                        bytes = bytes.saturating_add(stamp.size);
                        if bytes > MAX_SHARED_BYTES {
                            return Ok(None);
                        }
                        let digest = self.take_in(&path, &stamp)?;
                        entries.push((path, TreeEntry::File { digest, size: stamp.size, exec }));
                    }
                    Some(Entry::Output { exec, size, digest }) => {
                        entries.push((path, TreeEntry::File { digest, size, exec }));
                    }
                    Some(Entry::Link { target }) => {
                        entries.push((path, TreeEntry::Link { target: target.to_vec() }));
                    }
                    None => {}
                }
            }
            if entries.len() > MAX_SHARED {
                return Ok(None);
            }
        }
        Ok(Tree::new(entries).ok())
    }
}
