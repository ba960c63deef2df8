//! What one step sees at `/project`: the sources of a snapshot, and over them the outputs of the steps before it.
//!
//! A [`Project`] is immutable; a step's view never changes under it. Source bytes go into the larder when they are first
//! opened or asked for, and a file whose stamp is no longer that of the snapshot is [`SourceError::Changed`]: the build
//! then starts again on a new snapshot. All projects of a build share one [`SourceFiles`], so a source is read once.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use larder::{Content, Larder, LarderError, Stamp};
use parking_lot::Mutex;
use protocol::{Digest, FileKind, RelPath, StepSpec, Tree, TreeEntry};
use rustc_hash::{FxHashMap, FxHashSet};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use tokio::runtime::Handle;
use view::{Body, Node, Source, SourceError};

use crate::Lenses;

/// Sources of at least this size are read on a thread for blocking work, so that no other look-up waits for it.
const READ_ELSEWHERE: u64 = 256 * 1024;

/// What stands at a path of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Dir,
    /// A source file: its bytes are those that the file with this stamp has.
    Source {
        /// Whether it may be executed.
        exec: bool,
        /// Its stamp at the snapshot; its size is the file's.
        stamp: Stamp,
    },
    /// An output: its bytes are in the larder.
    Output {
        /// Whether it may be executed.
        exec: bool,
        /// Length in bytes.
        size: u64,
        /// Digest of the bytes.
        digest: Digest,
    },
    /// A symbolic link.
    Link {
        /// The target's bytes.
        target: Arc<[u8]>,
    },
}

impl Entry {
    fn kind(&self) -> FileKind {
        match self {
            Entry::Dir => FileKind::Dir,
            Entry::Source { .. } | Entry::Output { .. } => FileKind::File,
            Entry::Link { .. } => FileKind::Link,
        }
    }
}

/// Names and kinds in a folder.
pub type Names = Vec<(Box<[u8]>, FileKind)>;

/// The sources of a snapshot, as the majordomo has them. Answers come from memory.
pub trait Sources: Send + Sync + 'static {
    /// What stands at a path; never [`Entry::Output`]. The root is a folder.
    fn get(&self, path: &RelPath) -> Option<Entry>;
    /// The names in a folder; `None` if no folder stands there.
    fn list(&self, path: &RelPath) -> Option<Names>;
}

/// The source files of one build: where they are, and the digests of those that were read.
pub struct SourceFiles {
    project: OwnedFd,
    larder: Larder,
    runtime: Handle,
    read: Mutex<FxHashMap<RelPath, Digest>>,
    memo: lens::Memo,
}

impl SourceFiles {
    /// For the project in a folder.
    pub fn new(project: &Path, larder: Larder, runtime: Handle) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let project = rustix::fs::open(project, flags, Mode::empty())?;
        Ok(Self { project, larder, runtime, read: Mutex::default(), memo: lens::Memo::default() })
    }

    /// The digest of a source; its bytes are in the larder then.
    fn take_in(&self, path: &RelPath, stamp: &Stamp) -> Result<Digest, SourceError> {
        if let Some(digest) = self.read.lock().get(path) {
            return Ok(*digest);
        }
        let digest = match self.larder.known_digest(stamp).map_err(|e| failed(path, e))? {
            Some(digest) if self.larder.contains(&digest).map_err(|e| failed(path, e))? => digest,
            _ => self.read_in(path, stamp)?,
        };
        self.read.lock().insert(path.clone(), digest);
        Ok(digest)
    }

    fn read_in(&self, path: &RelPath, stamp: &Stamp) -> Result<Digest, SourceError> {
        let changed = || SourceError::Changed { path: path.clone() };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = rustix::fs::openat2(&self.project, path.as_path(), flags, Mode::empty(), resolve);
        let file = match opened {
            Ok(fd) => File::from(fd),
            // Whatever stood there at the snapshot does no more.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                return Err(changed());
            }
            Err(errno) => return Err(SourceError::io(path, errno.into())),
        };
        let begun = now_ns();
        let agrees = || -> Result<bool, SourceError> {
            let meta = file.metadata().map_err(|e| SourceError::io(path, e))?;
            Ok(Stamp::from(&meta) == *stamp)
        };
        if !agrees()? {
            return Err(changed());
        }
        let (digest, _) = self.larder.put_file(&file).map_err(|e| failed(path, e))?;
        if !agrees()? {
            return Err(changed());
        }
        if stamp.is_settled(begun) {
            self.larder.remember_digest(stamp, &digest).map_err(|e| failed(path, e))?;
        }
        Ok(digest)
    }
}

fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i64)
}

fn failed(path: &RelPath, error: LarderError) -> SourceError {
    match error {
        LarderError::Changed { .. } | LarderError::NoFile { .. } => {
            SourceError::Changed { path: path.clone() }
        }
        // Whoever is asked why a step failed has to know that it is the machine's turn.
        error @ LarderError::NoSpace { .. } => {
            SourceError::io(path, io::Error::new(io::ErrorKind::StorageFull, error))
        }
        error => SourceError::io(path, io::Error::other(error)),
    }
}

/// Outputs of steps, the later over the earlier.
#[derive(Debug, Default, Clone)]
pub struct Outputs {
    entries: FxHashMap<RelPath, Entry>,
    /// Folders that hold an entry, or stand for themselves, with the names in them.
    folders: FxHashMap<RelPath, FxHashMap<Box<[u8]>, FileKind>>,
    /// Paths at and below which the sources are hidden.
    masked: FxHashSet<RelPath>,
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

    fn get(&self, path: &RelPath) -> Option<Entry> {
        if self.folders.contains_key(path) {
            return Some(Entry::Dir);
        }
        self.entries.get(path).cloned()
    }

    /// Whether what the sources have at this path is hidden.
    fn hides(&self, path: &RelPath) -> bool {
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

/// What one step sees at `/project`.
pub struct Project {
    sources: Arc<dyn Sources>,
    files: Arc<SourceFiles>,
    outputs: Outputs,
    ages: Option<Ages>,
    lenses: Lenses,
}

/// What is how old in the view of a step that sees its own earlier outputs (DESIGN §6): those are a second younger than
/// what their run had seen, and what is new or changed since is a second younger still.
#[derive(Debug, Default)]
pub struct Ages {
    /// The step's own earlier outputs.
    pub own: FxHashSet<RelPath>,
    /// What the run that made them had seen, and is as it was.
    pub seen: FxHashSet<RelPath>,
}

impl Project {
    /// Sources, and outputs over them.
    pub fn new(sources: Arc<dyn Sources>, files: Arc<SourceFiles>, outputs: Outputs) -> Self {
        Self { sources, files, outputs, ages: None, lenses: Lenses::default() }
    }

    /// With ages, for a step that sees its own earlier outputs.
    pub fn with_ages(self, ages: Ages) -> Self {
        Self { ages: Some(ages), ..self }
    }

    /// Seen by a step with this spec: through its projections.
    pub fn seen_by(self, spec: &StepSpec) -> Self {
        Self { lenses: Lenses::of(spec), ..self }
    }

    /// What the step sees through.
    pub fn lenses(&self) -> &Lenses {
        &self.lenses
    }

    /// What projections left, for all projects of a build.
    pub(crate) fn memo(&self) -> &lens::Memo {
        &self.files.memo
    }

    fn mtime_offset(&self, path: &RelPath) -> u8 {
        match &self.ages {
            Some(ages) if ages.own.contains(path) => 1,
            Some(ages) if !ages.seen.contains(path) => 2,
            _ => 0,
        }
    }

    /// The sources alone.
    pub fn sources(&self) -> &dyn Sources {
        &*self.sources
    }

    /// What stands at a path.
    pub fn entry(&self, path: &RelPath) -> Option<Entry> {
        match self.outputs.get(path) {
            Some(entry) => Some(entry),
            None if self.outputs.hides(path) => None,
            None => self.sources.get(path),
        }
    }

    /// The names in a folder; `None` if no folder stands there.
    pub fn names(&self, path: &RelPath) -> Option<Names> {
        let over = self.outputs.folders.get(path);
        let under = if self.outputs.hides(path) || self.outputs.entries.contains_key(path) {
            None
        } else {
            self.sources.list(path)
        };
        match (over, under) {
            (None, None) => None,
            (None, Some(mut names)) => {
                if !self.outputs.masked.is_empty() {
                    names.retain(|(name, _)| !self.masks_child(path, name));
                }
                Some(names)
            }
            (Some(over), under) => {
                let mut names: Names = over.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
                let more = under.unwrap_or_default().into_iter();
                names.extend(
                    more.filter(|(name, _)| !over.contains_key(name) && !self.masks_child(path, name)),
                );
                Some(names)
            }
        }
    }

    fn masks_child(&self, folder: &RelPath, name: &[u8]) -> bool {
        folder.child(name).is_some_and(|path| self.outputs.masked.contains(&path))
    }

    /// The digest of the file at a path; a source is taken into the larder for it. Blocks while it is read.
    pub fn digest_now(&self, path: &RelPath) -> Result<Option<Digest>, SourceError> {
        match self.entry(path) {
            Some(Entry::Output { digest, .. }) => Ok(Some(digest)),
            Some(Entry::Source { stamp, .. }) => self.files.take_in(path, &stamp).map(Some),
            _ => Ok(None),
        }
    }

    async fn digest_of(&self, path: &RelPath) -> Result<Option<Digest>, SourceError> {
        match self.entry(path) {
            Some(Entry::Output { digest, .. }) => Ok(Some(digest)),
            Some(Entry::Source { stamp, .. }) if stamp.size < READ_ELSEWHERE => {
                self.files.take_in(path, &stamp).map(Some)
            }
            Some(Entry::Source { stamp, .. }) => {
                let (files, path) = (Arc::clone(&self.files), path.clone());
                let runtime = files.runtime.clone();
                let read = runtime.spawn_blocking(move || files.take_in(&path, &stamp));
                read.await.map_err(|_| SourceError::Cancelled)?.map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Source for Project {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        let node = self.entry(path).map(|entry| match entry {
            Entry::Dir => Node::Dir,
            Entry::Source { exec, stamp } => {
                Node::File { exec, size: stamp.size, shared: None, mtime_offset: self.mtime_offset(path) }
            }
            Entry::Output { exec, size, .. } => {
                Node::File { exec, size, shared: None, mtime_offset: self.mtime_offset(path) }
            }
            Entry::Link { target } => Node::Link { target: Bytes::copy_from_slice(&target) },
        });
        Box::pin(std::future::ready(Ok(node)))
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Names>, SourceError>> {
        Box::pin(std::future::ready(Ok(self.names(path))))
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        Box::pin(async move {
            let Some(digest) = self.digest_of(path).await? else { return Ok(None) };
            match self.files.larder.open_blob(&digest).map_err(|e| failed(path, e))? {
                Some(Content::File { file, .. }) => Ok(Some(Body::File(file))),
                Some(Content::Bytes(bytes)) => Ok(Some(Body::Bytes(bytes))),
                None => Err(SourceError::Gone),
            }
        })
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        Box::pin(self.digest_of(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    /// Sources `a/x`, `a/y` and `b`.
    struct Three;

    impl Sources for Three {
        fn get(&self, path: &RelPath) -> Option<Entry> {
            let stamp = Stamp { dev: 0, ino: 0, size: 1, mtime_ns: 0, ctime_ns: 0 };
            match path.to_string().as_str() {
                "." | "a" => Some(Entry::Dir),
                "a/x" | "a/y" | "b" => Some(Entry::Source { exec: false, stamp }),
                _ => None,
            }
        }

        fn list(&self, path: &RelPath) -> Option<Names> {
            let names: &[(&[u8], FileKind)] = match path.to_string().as_str() {
                "." => &[(b"a", FileKind::Dir), (b"b", FileKind::File)],
                "a" => &[(b"x", FileKind::File), (b"y", FileKind::File)],
                _ => return None,
            };
            Some(names.iter().map(|(name, kind)| ((*name).into(), *kind)).collect())
        }
    }

    fn project(trees: &[&[(&str, TreeEntry)]]) -> (tempfile::TempDir, Project) {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(&dir.path().join("larder"), larder::Options::default()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let files = SourceFiles::new(dir.path(), larder, runtime.handle().clone()).unwrap();
        let mut builder = OutputsBuilder::default();
        for tree in trees {
            let entries = tree.iter().map(|(text, entry)| (path(text), entry.clone())).collect();
            builder.apply(&Tree::new(entries).unwrap());
        }
        (dir, Project::new(Arc::new(Three), Arc::new(files), builder.finish()))
    }

    fn file() -> TreeEntry {
        TreeEntry::File { digest: Digest::of(b""), size: 0, exec: false }
    }

    fn names(project: &Project, folder: &str) -> Option<String> {
        let mut names: Vec<String> = project
            .names(&path(folder))?
            .iter()
            .map(|(name, kind)| format!("{}:{}", String::from_utf8_lossy(name), kind.word()))
            .collect();
        names.sort();
        Some(names.join(" "))
    }

    #[test]
    fn outputs_lie_over_sources() {
        let (_dir, project) = project(&[&[("a/z", file()), ("o/p/q", file())]]);
        assert_eq!(names(&project, "a").unwrap(), "x:file y:file z:file");
        assert_eq!(names(&project, ".").unwrap(), "a:folder b:file o:folder");
        assert_eq!(names(&project, "o/p").unwrap(), "q:file");
        assert_eq!(names(&project, "b"), None);
        assert_eq!(project.entry(&path("o")), Some(Entry::Dir));
    }

    #[test]
    fn deletions_hide_and_can_be_filled_again() {
        let (_dir, one) = project(&[&[("a", TreeEntry::Deleted)]]);
        assert_eq!((one.entry(&path("a")), one.entry(&path("a/x"))), (None, None));
        assert_eq!(names(&one, ".").unwrap(), "b:file");
        let (_dir, two) = project(&[&[("a", TreeEntry::Deleted)], &[("a/new", file())]]);
        assert_eq!(names(&two, "a").unwrap(), "new:file");
        assert_eq!(two.entry(&path("a/x")), None);
        let (_dir, three) = project(&[&[("o/x", file())], &[("o/x", TreeEntry::Deleted)]]);
        assert_eq!(names(&three, "o").unwrap(), "");
    }

    #[test]
    fn kinds_may_change() {
        let (_dir, project) = project(&[&[("o", file())], &[("o/x", file())], &[("a", file())]]);
        assert_eq!(names(&project, "o").unwrap(), "x:file");
        assert_eq!(names(&project, "a"), None);
        assert_eq!(project.entry(&path("a/x")), None);
    }
}
