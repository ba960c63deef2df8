//! One step's root: the paths that it was asked about, what stood there, and what was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::{Look, Reader, RelPath};
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::Core;
use super::bodies::Opens;
use super::numbers::MAX_PATHS_PER_ROOT;
use crate::source::Listing;
use crate::{Node, Source, SourceError, SourceFailure};

/// How many failures of one root are kept; the first tell the story.
pub(super) const MAX_FAILURES: usize = 64;

/// What stands at a path of this root.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// A folder.
    Dir,
    /// A file.
    File { exec: bool, size: u64, shared: Option<u64>, mtime_offset: u8 },
    /// A link and its target.
    Link(Bytes),
}

impl From<Option<Node>> for Standing {
    fn from(node: Option<Node>) -> Self {
        match node {
            None => Standing::Absent,
            Some(Node::Dir) => Standing::Dir,
            Some(Node::File { exec, size, shared, mtime_offset }) => {
                Standing::File { exec, size, shared, mtime_offset }
            }
            Some(Node::Link { target }) => Standing::Link(target),
        }
    }
}

/// One path that was asked about. It stays until the root goes, whatever the kernel forgets: it is an observation.
struct Entry {
    path: RelPath,
    standing: Standing,
    /// One bit for each [`Look`].
    looks: u8,
    /// Who opened it and how often, where that is noted.
    readers: Vec<(Reader, u32)>,
}

#[derive(Default)]
struct Paths {
    entries: Vec<Entry>,
    indices: FxHashMap<RelPath, u32>,
    /// Listings that are being read.
    listings: FxHashMap<u32, Arc<Listing>>,
}

/// The state of a root that its handle and the session threads share.
pub struct RootState {
    pub name: u64,
    pub serial: u64,
    pub source: Arc<dyn Source>,
    pub closed: watch::Sender<bool>,
    pub opens: Opens,
    notes_readers: AtomicBool,
    paths: Mutex<Paths>,
    failures: Mutex<Vec<SourceFailure>>,
}

impl RootState {
    pub fn new(name: u64, serial: u64, source: Arc<dyn Source>) -> Self {
        let top = Entry { path: RelPath::root(), standing: Standing::Dir, looks: 0, readers: Vec::new() };
        let paths = Paths { entries: vec![top], ..Paths::default() };
        Self {
            name,
            serial,
            source,
            closed: watch::Sender::new(false),
            opens: Opens::default(),
            notes_readers: AtomicBool::new(false),
            paths: Mutex::new(paths),
            failures: Mutex::default(),
        }
    }

    /// The path at an index.
    pub fn path(&self, index: u32) -> Option<RelPath> {
        self.paths.lock().entries.get(index as usize).map(|entry| entry.path.clone())
    }

    /// What stands at an index.
    pub fn standing(&self, index: u32) -> Option<Standing> {
        self.paths.lock().entries.get(index as usize).map(|entry| entry.standing.clone())
    }

    /// What this path was found to be before.
    pub fn known(&self, path: &RelPath) -> Option<(u32, Standing)> {
        let paths = self.paths.lock();
        let index = *paths.indices.get(path)?;
        Some((index, paths.entries[index as usize].standing.clone()))
    }

    /// Notes what was found at a path, and that it was asked; the first finding stays. `None` if the root is full.
    pub fn found(&self, path: RelPath, standing: Standing, looks: &[Look]) -> Option<(u32, Standing)> {
        let looks = looks.iter().fold(0, |bits, look| bits | bit(*look));
        let mut paths = self.paths.lock();
        if let Some(&index) = paths.indices.get(&path) {
            let entry = &mut paths.entries[index as usize];
            entry.looks |= looks;
            return Some((index, entry.standing.clone()));
        }
        if paths.entries.len() >= MAX_PATHS_PER_ROOT {
            return None;
        }
        let index = paths.entries.len() as u32;
        paths.indices.insert(path.clone(), index);
        paths.entries.push(Entry { path, standing: standing.clone(), looks, readers: Vec::new() });
        Some((index, standing))
    }

    /// Notes one more look at a path that was found before.
    pub fn looked(&self, index: u32, look: Look) {
        if let Some(entry) = self.paths.lock().entries.get_mut(index as usize) {
            entry.looks |= bit(look);
        }
    }

    /// Whether it is noted who reads.
    pub fn notes_readers(&self) -> bool {
        self.notes_readers.load(Ordering::Relaxed)
    }

    /// Notes who opened a file, or listed a folder.
    pub fn read_by(&self, index: u32, reader: Reader) {
        if let Some(entry) = self.paths.lock().entries.get_mut(index as usize) {
            match entry.readers.iter_mut().find(|(known, _)| *known == reader) {
                Some((_, times)) => *times += 1,
                None => entry.readers.push((reader, 1)),
            }
        }
    }

    /// A listing that is being read.
    pub fn listing(&self, index: u32) -> Option<Arc<Listing>> {
        self.paths.lock().listings.get(&index).cloned()
    }

    /// Keeps a listing until it was read to its end, so that all parts of it agree.
    pub fn begin_listing(&self, index: u32, listing: Listing) -> Arc<Listing> {
        let listing = Arc::new(listing);
        self.paths.lock().listings.insert(index, Arc::clone(&listing));
        listing
    }

    /// A listing was read to its end.
    pub fn end_listing(&self, index: u32) {
        self.paths.lock().listings.remove(&index);
    }

    /// Notes that a question was answered `EIO`.
    pub fn failed(&self, path: RelPath, error: SourceError) {
        tracing::debug!(root = self.name, %path, %error, "a source failed");
        let mut failures = self.failures.lock();
        if failures.len() < MAX_FAILURES {
            failures.push(SourceFailure { path, error });
        }
    }

    /// Notes the failure if this root saw the shared file.
    pub fn failed_shared(&self, shared: u64, error: &SourceError) {
        let saw = |entry: &&Entry| matches!(entry.standing, Standing::File { shared: Some(is), .. } if is == shared);
        let path = self.paths.lock().entries.iter().find(saw).map(|entry| entry.path.clone());
        if let Some(path) = path {
            self.failed(path, error.clone());
        }
    }

    fn observed(&self) -> Vec<(RelPath, Look)> {
        let paths = self.paths.lock();
        let mut looks = Vec::with_capacity(paths.entries.len());
        for entry in &paths.entries {
            let asked = Look::ALL.into_iter().filter(|look| entry.looks & bit(*look) != 0);
            looks.extend(asked.map(|look| (entry.path.clone(), look)));
        }
        drop(paths);
        looks.sort_unstable();
        looks
    }

    fn readers(&self) -> Vec<(RelPath, Vec<(Reader, u32)>)> {
        let paths = self.paths.lock();
        let read = bit(Look::Content) | bit(Look::Listing);
        let is_read = |entry: &&Entry| entry.looks & read != 0 && !entry.readers.is_empty();
        let read = paths.entries.iter().filter(is_read);
        read.map(|entry| (entry.path.clone(), entry.readers.clone())).collect()
    }

    /// How many paths were asked about.
    pub fn len(&self) -> usize {
        self.paths.lock().entries.len()
    }
}

fn bit(look: Look) -> u8 {
    1 << look as u8
}

/// A step's root, which stands as `<mount>/<name>` as long as this lives.
///
/// Dropping it answers the questions that are still held (`EIO`), takes the root away, and lets the kernel forget it
/// some time later.
#[must_use = "dropping it takes the root away"]
pub struct Root {
    pub(super) core: Arc<Core>,
    pub(super) state: Arc<RootState>,
}

impl Root {
    /// Its name in the mount.
    pub fn name(&self) -> u64 {
        self.state.name
    }

    /// What was looked at so far: sorted by (path, look), each once; paths are those of the source.
    ///
    /// - A look-up, found or not, is a [`Look::Probe`]; in a [`crate::Flavour::Tools`] mount that of a file is a
    ///   [`Look::Content`] alone, since its opens are not seen, and that of a link a [`Look::Link`] beside the probe, since
    ///   its readings are not.
    /// - Reading a file, by `read` or through a mapping, is a [`Look::Content`] beside the [`Look::Probe`] that came before
    ///   it. Where the kernel reads by itself, and for an empty file, the open is. An open alone is none, because
    ///   overlayfs opens what is merely truncated, to ask for its flags.
    /// - Reading a link is a [`Look::Link`], reading the names in a folder a [`Look::Listing`], each beside its
    ///   [`Look::Probe`].
    /// - The root folder itself is never probed, only listed.
    pub fn observed(&self) -> Vec<(RelPath, Look)> {
        self.state.observed()
    }

    /// From now on it is noted who opens files and lists folders, which costs each time some looks into `/proc`.
    pub fn note_readers(&self) {
        self.state.notes_readers.store(true, Ordering::Relaxed);
    }

    /// Who opened the files whose content was read, and who listed folders, and how often: in no order. Empty unless it was to be
    /// [noted](Self::note_readers). In a [`crate::Flavour::Tools`] mount opens are not seen.
    pub fn readers(&self) -> Vec<(RelPath, Vec<(Reader, u32)>)> {
        self.state.readers()
    }

    /// Which questions were answered `EIO` because the source failed; the first 64 of them.
    pub fn failures(&self) -> Vec<SourceFailure> {
        self.state.failures.lock().clone()
    }

    /// Answers the questions that are held (`EIO`), and from now on any new one that would have to wait; what was
    /// observed stays readable. To be called before the step's processes are killed, since a process in a held
    /// question cannot be.
    pub fn cancel(&self) {
        self.state.closed.send_replace(true);
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.cancel();
        self.core.remove(&self.state);
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("name", &self.state.name).field("paths", &self.state.len()).finish()
    }
}
