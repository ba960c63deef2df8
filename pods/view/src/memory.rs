//! A source held in memory: the twin of the real ones, for tests of this crate and of those above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::RwLock;
use protocol::{Digest, FileKind, RelPath};
use tokio::sync::watch;

use crate::source::Listing;
use crate::{Body, Node, Source, SourceError};

#[derive(Debug, Clone)]
struct MemoryFile {
    body: Body,
    digest: Digest,
    node: Node,
}

#[derive(Debug, Clone)]
enum Thing {
    Dir,
    File(MemoryFile),
    Link(Bytes),
    Failing(SourceError),
}

/// Which look-ups are held, and how many are waiting in each.
#[derive(Debug, Default, Clone)]
struct Held {
    paths: BTreeSet<RelPath>,
    waiting: BTreeMap<RelPath, usize>,
}

/// A tree in memory whose look-ups can be held until they are released. Parent folders come by themselves.
#[derive(Debug)]
pub struct MemorySource {
    things: RwLock<BTreeMap<RelPath, Thing>>,
    held: watch::Sender<Held>,
}

impl Default for MemorySource {
    fn default() -> Self {
        Self::new()
    }
}

impl MemorySource {
    /// An empty root folder.
    pub fn new() -> Self {
        Self {
            things: RwLock::new(BTreeMap::from([(RelPath::root(), Thing::Dir)])),
            held: watch::Sender::default(),
        }
    }

    fn put(&self, path: &RelPath, thing: Thing) {
        let mut things = self.things.write();
        for folder in path.ancestors() {
            things.insert(folder, Thing::Dir);
        }
        things.insert(path.clone(), thing);
    }

    /// Puts a folder.
    pub fn dir(&self, path: &RelPath) {
        self.put(path, Thing::Dir);
    }

    /// Puts a plain file.
    pub fn file(&self, path: &RelPath, bytes: impl Into<Bytes>) {
        self.any_file(path, bytes.into(), false, None);
    }

    /// Puts an executable file.
    pub fn program(&self, path: &RelPath, bytes: impl Into<Bytes>) {
        self.any_file(path, bytes.into(), true, None);
    }

    /// Puts a file that shares its inode with all files of this number in the mount.
    pub fn shared_file(&self, path: &RelPath, bytes: impl Into<Bytes>, shared: u64) {
        self.any_file(path, bytes.into(), false, Some(shared));
    }

    /// Puts an executable file that shares its inode with all files of this number in the mount.
    pub fn shared_program(&self, path: &RelPath, bytes: impl Into<Bytes>, shared: u64) {
        self.any_file(path, bytes.into(), true, Some(shared));
    }

    fn any_file(&self, path: &RelPath, bytes: Bytes, exec: bool, shared: Option<u64>) {
        let node = Node::File { exec, size: bytes.len() as u64, shared, mtime_offset: 0 };
        let digest = Digest::of(&bytes);
        self.put(path, Thing::File(MemoryFile { body: Body::Bytes(bytes), digest, node }));
    }

    /// Puts a plain file whose bytes are a real file's, of which the caller says the digest and the size.
    pub fn real_file(&self, path: &RelPath, file: Arc<File>, size: u64, digest: Digest) {
        self.any_real_file(path, file, size, digest, false);
    }

    /// Puts an executable file whose bytes are a real file's.
    pub fn real_program(&self, path: &RelPath, file: Arc<File>, size: u64, digest: Digest) {
        self.any_real_file(path, file, size, digest, true);
    }

    fn any_real_file(&self, path: &RelPath, file: Arc<File>, size: u64, digest: Digest, exec: bool) {
        let node = Node::File { exec, size, shared: None, mtime_offset: 0 };
        self.put(path, Thing::File(MemoryFile { body: Body::File(file), digest, node }));
    }

    /// Puts a symbolic link.
    pub fn link(&self, path: &RelPath, target: impl Into<Bytes>) {
        self.put(path, Thing::Link(target.into()));
    }

    /// Every question about this path fails so.
    pub fn fail(&self, path: &RelPath, error: SourceError) {
        self.put(path, Thing::Failing(error));
    }

    /// Takes a path and all below it away.
    pub fn remove(&self, path: &RelPath) {
        self.things.write().retain(|at, _| !at.is_within(path));
    }

    /// Look-ups of this path wait from now on.
    pub fn hold(&self, path: &RelPath) {
        self.held.send_modify(|held| {
            held.paths.insert(path.clone());
        });
    }

    /// Answers the look-ups that wait for this path, with what stands there now, and holds no more of them.
    pub fn release(&self, path: &RelPath) {
        self.held.send_modify(|held| {
            held.paths.remove(path);
        });
    }

    /// Resolves when at least one look-up of this path waits.
    pub async fn waiting(&self, path: &RelPath) {
        let mut held = self.held.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let found = held.wait_for(|held| held.waiting.contains_key(path)).await;
        debug_assert!(found.is_ok());
    }

    /// How many look-ups of this path wait now.
    pub fn waiting_now(&self, path: &RelPath) -> usize {
        self.held.borrow().waiting.get(path).copied().unwrap_or(0)
    }

    async fn pass(&self, path: &RelPath) {
        if !self.held.borrow().paths.contains(path) {
            return;
        }
        let _waits = Waits::start(self, path);
        let mut held = self.held.subscribe();
        let released = held.wait_for(|held| !held.paths.contains(path)).await;
        debug_assert!(released.is_ok());
    }

    fn get(&self, path: &RelPath) -> Result<Option<Thing>, SourceError> {
        match self.things.read().get(path) {
            Some(Thing::Failing(error)) => Err(error.clone()),
            thing => Ok(thing.cloned()),
        }
    }

    fn get_file(&self, path: &RelPath) -> Result<Option<MemoryFile>, SourceError> {
        Ok(match self.get(path)? {
            Some(Thing::File(file)) => Some(file),
            _ => None,
        })
    }
}

/// Counts one waiting look-up, also when its future is dropped.
struct Waits<'a> {
    source: &'a MemorySource,
    path: &'a RelPath,
}

impl<'a> Waits<'a> {
    fn start(source: &'a MemorySource, path: &'a RelPath) -> Self {
        source.held.send_modify(|held| *held.waiting.entry(path.clone()).or_default() += 1);
        Self { source, path }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.source.held.send_modify(|held| {
            if let Some(count) = held.waiting.get_mut(self.path) {
                *count -= 1;
                if *count == 0 {
                    held.waiting.remove(self.path);
                }
            }
        });
    }
}

impl Source for MemorySource {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        Box::pin(async move {
            self.pass(path).await;
            Ok(self.get(path)?.map(|thing| match thing {
                Thing::File(file) => file.node,
                Thing::Link(target) => Node::Link { target },
                Thing::Dir | Thing::Failing(_) => Node::Dir,
            }))
        })
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Listing>, SourceError>> {
        Box::pin(async move {
            if !matches!(self.get(path)?, Some(Thing::Dir)) {
                return Ok(None);
            }
            let things = self.things.read();
            let below = things.iter().filter(|(at, _)| at.parent().as_ref() == Some(path));
            Ok(Some(
                below
                    .filter_map(|(at, thing)| {
                        let kind = match thing {
                            Thing::Dir => FileKind::Dir,
                            Thing::File(_) | Thing::Failing(_) => FileKind::File,
                            Thing::Link(_) => FileKind::Link,
                        };
                        at.name().map(|name| (name.into(), kind))
                    })
                    .collect(),
            ))
        })
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        Box::pin(async move { Ok(self.get_file(path)?.map(|file| file.body)) })
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        Box::pin(async move { Ok(self.get_file(path)?.map(|file| file.digest)) })
    }
}
