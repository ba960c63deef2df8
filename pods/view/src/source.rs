//! The contract of a source: where a part of a step's root comes from.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use protocol::{Digest, FileKind, RelPath};

use crate::SourceError;

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Whether it may be executed: all that is shown of its mode.
        exec: bool,
        /// Length in bytes.
        size: u64,
        /// Files with the same number have the same bytes and exec bit for ever; in a [`crate::Flavour::Tools`] mount
        /// they are one inode over all roots, so that they share the kernel's page cache. `None`: an inode of its own.
        shared: Option<u64>,
        /// Seconds that its modification time is after [`protocol::step::INPUT_MTIME`].
        mtime_offset: u8,
    },
    /// A symbolic link.
    Link {
        /// The target's bytes, unresolved.
        target: Bytes,
    },
}

impl Node {
    /// The kind alone.
    pub fn kind(&self) -> FileKind {
        match self {
            Node::Dir => FileKind::Dir,
            Node::File { .. } => FileKind::File,
            Node::Link { .. } => FileKind::Link,
        }
    }
}

/// A file's bytes.
#[derive(Debug, Clone)]
pub enum Body {
    /// A whole real file from offset 0, opened for reading and never changed again; the kernel may read it directly.
    File(Arc<File>),
    /// Bytes in memory.
    Bytes(Bytes),
}

/// Names and kinds in a folder, each once, in any order, without `.` and `..`.
pub type Listing = Vec<(Box<[u8]>, FileKind)>;

/// Where a part of a step's root comes from; paths are relative to the source's own root, which is always a folder.
///
/// Paths are *physical*: a source never follows a symbolic link; below a link or a file there is nothing. `Ok(None)`
/// means that nothing stands there, or nothing of the kind that was asked for. Within the life of one root a
/// source gives the same answer to the same question, or [`SourceError::Changed`].
///
/// Answers may come late (a held look-up): then the kernel request waits, and nothing else does. An answer that is
/// there at once is given in the session's own thread, so `lookup` should not do more than a `stat`. A dropped future
/// is a question that is no longer asked.
pub trait Source: Send + Sync + 'static {
    /// What stands at a path.
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>>;

    /// The names in a folder; `None` if no folder stands there.
    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Listing>, SourceError>>;

    /// A link's target; `None` if no link stands there.
    fn readlink<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        Box::pin(async move {
            Ok(match self.lookup(path).await? {
                Some(Node::Link { target }) => Some(target),
                _ => None,
            })
        })
    }

    /// A file's bytes; `None` if no file stands there.
    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>>;

    /// The digest of a file's bytes; `None` if no file stands there. It may have to read the file.
    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>>;
}
