//! A project that is watched: its tree in memory, kept right by what the watcher tells.
//!
//! Actors. The watcher's thread notes what is dirty ([`Told`]). Whoever wants to know what the project is *looks*: the fence
//! makes sure that all that happened before is told, then what is dirty is looked at, and the tree is as it was at the fence or
//! later. Lookers take turns. The tree is a hint like any stamp: a file's bytes are held against it when they are read.
//! A crash loses the tree, and the next one is scanned.
//!
//! Where it would have to trust what nobody tells, it looks: at files with other names each time, at everything after lost
//! events, and at everything each time where a file system has no events (another machine's files), or where they are not wanted.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::{Digest, RelPath, WorkspaceId};
use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens, statfs};

use super::by_events::ByEvents;
use super::by_polling::ByPolling;
use super::kept::Kept;
use super::told::{Dirt, Told};
use super::watcher::{Handler, WatchError, Watcher};
use crate::majordomo::recall::Recollection;
use crate::majordomo::snapshot::refresh::{Guard, Tree};
use crate::majordomo::snapshot::{Entry, Origin, Snapshot, SnapshotError};
use crate::majordomo::workspace::{FOLDER, Manifest, Moment, Stamp, Workspace, WorkspaceError, stamp_of};

/// So many changes are remembered for whoever asks later; before them anything may have changed.
const MAX_CHANGES: usize = 1000;

/// How often folders that come while a project is first looked at are looked at again.
const ATTEMPTS: u32 = 5;

/// File systems whose files may change where this kernel does not see it: NFS, SMB (three of them), 9p, FUSE, Ceph, AFS, Coda,
/// VirtualBox' shared folders, GFS2, OCFS2, Lustre.
const WITHOUT_EVENTS: [u64; 13] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x0102_1997,
    0x6573_5546,
    0x00c3_6400,
    0x5346_414f,
    0x7375_7245,
    0x786f_4256,
    0x0116_1970,
    0x7461_636f,
    0x0bd0_0bd0,
];

/// Why a project cannot be watched any more.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The watcher failed.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The project cannot be looked at.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Its `.majordomo` cannot be used.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// Its folder is gone, or another one has its name.
    #[error("the project's folder `{}` is gone", .0.display())]
    Gone(PathBuf),
    /// Its `.majordomo` is gone: so will be the rest.
    #[error("the project `{}` is being removed: its `.majordomo` is gone", .0.display())]
    Removed(PathBuf),
}

/// Something of the project that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A source.
    Source(RelPath),
    /// An output that was handed over is gone.
    Missing(RelPath),
    /// An output that was handed over has other bytes.
    Edited(RelPath),
    /// What steps used of the machine: nobody knows what by name.
    Machine,
    /// More than is remembered.
    Much,
}

/// Makes watchers; the tests' are in memory.
pub type MakeWatcher = Box<dyn Fn(Handler) -> Result<Box<dyn Watcher>, WatchError> + Send>;

/// A project that is watched.
pub struct Watched {
    workspace: Workspace,
    told: Told,
    inner: Mutex<Inner>,
    /// The manifest as it was read last, and the stamps of its files then.
    manifest: Mutex<Option<(Arc<Manifest>, ManifestStamps)>>,
    /// See `kept`.
    pub(super) kept: Mutex<Option<Arc<Kept>>>,
    /// What the last build came to, so that the next one need not read it.
    pub recollection: Mutex<Option<Arc<Recollection>>>,
    myself: Weak<Watched>,
}

type ManifestStamps = [Option<Stamp>; 2];

struct Inner {
    make: MakeWatcher,
    watcher: Box<dyn Watcher>,
    fence: Fence,
    tree: Tree,
    /// The tree's snapshot and the manifest that it was made with.
    snapshot: Option<(Snapshot, Option<Digest>)>,
    /// Grows with each change.
    version: u64,
    changes: VecDeque<(u64, Change)>,
    upstream: Vec<PathBuf>,
}

/// The file that is touched to know what has been told.
struct Fence {
    file: File,
    path: PathBuf,
}

impl Drop for Fence {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

impl Fence {
    fn touch(&self) -> std::io::Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        Ok(futimens(&self.file, &Timestamps { last_access: now, last_modification: now })?)
    }

    /// Makes a file of our own, and removes those of processes that are gone.
    fn new(workspace: &Workspace) -> Result<(Self, String), WorkspaceError> {
        const PREFIX: &str = "watch-";
        let folder = workspace.folder();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
            if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
        let name = format!("{PREFIX}{}-{:x}", std::process::id(), getrandom::u64().unwrap_or_default());
        let path = folder.join(&name);
        let file = File::create(&path).map_err(|error| WorkspaceError::io("written", &path, error))?;
        Ok((Self { file, path }, name))
    }
}

/// The real watcher: events, or looks at intervals.
pub fn by(polling: Option<Duration>) -> MakeWatcher {
    Box::new(move |handler| {
        Ok(match polling {
            None => Box::new(ByEvents::new(handler)?),
            Some(interval) => Box::new(ByPolling::new(interval, handler)?),
        })
    })
}

/// Tells the watcher which folders there are; keeps its first error.
struct Watching<'a> {
    workspace: &'a Workspace,
    watcher: &'a mut dyn Watcher,
    error: Option<WatchError>,
}

impl Guard for Watching<'_> {
    fn watch(&mut self, folders: &[RelPath]) {
        if self.error.is_none() {
            self.error = self.watcher.watch(&absolute(self.workspace, folders)).err();
        }
    }

    fn unwatch(&mut self, folders: &[RelPath]) {
        if self.error.is_none() && !folders.is_empty() {
            self.error = self.watcher.unwatch(&absolute(self.workspace, folders)).err();
        }
    }
}

fn absolute(workspace: &Workspace, folders: &[RelPath]) -> Vec<PathBuf> {
    folders.iter().map(|folder| folder.under(workspace.project())).collect()
}

impl Watched {
    /// Begins to watch a project.
    ///
    /// # Errors
    /// It cannot be watched, or not be looked at.
    pub fn new(workspace: Workspace, make: MakeWatcher) -> Result<Arc<Self>, Lost> {
        let (fence, name) = Fence::new(&workspace)?;
        let told = Told::new(workspace.project(), &name);
        let (watcher, tree) = begin(&workspace, &make, &told)?;
        let inner = Inner {
            make,
            watcher,
            fence,
            tree,
            snapshot: None,
            version: 0,
            changes: VecDeque::new(),
            upstream: Vec::new(),
        };
        Ok(Arc::new_cyclic(|myself| Self {
            workspace,
            told,
            inner: Mutex::new(inner),
            manifest: Mutex::default(),
            kept: Mutex::default(),
            recollection: Mutex::default(),
            myself: myself.clone(),
        }))
    }

    /// What was handed over, as `.majordomo` has it now.
    ///
    /// # Errors
    /// It cannot be read, or is damaged: a build mends it.
    pub fn manifest(&self) -> Result<Arc<Manifest>, Lost> {
        let stamps = || {
            self.workspace
                .manifest_files()
                .map(|path| rustix::fs::lstat(&path).ok().map(|stat| stamp_of(&stat)))
        };
        let now = stamps();
        let mut known = self.manifest.lock();
        // What is being handed over is looked at each time.
        if let Some((manifest, before)) = &*known
            && *before == now
            && now[1].is_none()
        {
            return Ok(Arc::clone(manifest));
        }
        let moment = Moment::now();
        let manifest = Arc::new(Manifest::load(&self.workspace)?);
        let can_be_believed = stamps() == now && now.iter().flatten().all(|stamp| moment.settles(stamp));
        *known = can_be_believed.then(|| (Arc::clone(&manifest), now));
        Ok(manifest)
    }

    /// The project's folder.
    pub fn project(&self) -> &Path {
        self.workspace.project()
    }

    /// Its workspace's name.
    pub fn id(&self) -> WorkspaceId {
        self.workspace.id()
    }

    /// What tells that something happened.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Files, folders and links, ours included; and folders that are watched because of the machine's files in them.
    pub fn counts(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.tree.count(), inner.upstream.len())
    }

    /// How often everything is looked at; `None`: there are events.
    pub fn interval(&self) -> Option<Duration> {
        self.inner.lock().watcher.interval()
    }

    /// Looks at what may have changed; the project as it is now, and a number that grows with each change. `moment` is from
    /// before.
    ///
    /// # Errors
    /// It cannot be watched any more.
    pub fn look(&self, manifest: &Manifest, moment: Moment) -> Result<(Snapshot, u64), Lost> {
        let inner = &mut *self.inner.lock();
        let dirt = self.dirt(inner);
        let before = inner.version;
        match self.look_at(inner, &dirt, manifest, moment) {
            Ok(()) => {}
            Err(error) => {
                self.told.give_back(dirt);
                return Err(error);
            }
        }
        tracing::debug!(changes = inner.version - before, "looked");
        let (snapshot, _) = inner.snapshot.as_ref().ok_or_else(|| Lost::Gone(self.project().to_owned()))?;
        let origin = Origin { watched: self.myself.clone(), version: inner.version };
        Ok((snapshot.clone().with_origin(origin), inner.version))
    }

    /// All that is dirty by now.
    fn dirt(&self, inner: &Inner) -> Dirt {
        let is_known = inner.watcher.interval().is_none() && self.told.wait(|| inner.fence.touch());
        let mut dirt = self.told.take();
        if !is_known {
            dirt.lost = dirt.lost.or(Some(super::watcher::Why::Interval));
        }
        dirt
    }

    fn look_at(
        &self,
        inner: &mut Inner,
        dirt: &Dirt,
        manifest: &Manifest,
        moment: Moment,
    ) -> Result<(), Lost> {
        self.check_place(&inner.fence)?;
        let seen = match dirt.lost {
            None => {
                let mut paths = dirt.paths.clone();
                paths.extend(inner.tree.doubtful());
                if paths.is_empty() {
                    Some(BTreeSet::new())
                } else {
                    let watcher = inner.watcher.as_mut();
                    let mut guard = Watching { workspace: &self.workspace, watcher, error: None };
                    let seen = inner.tree.refresh(self.workspace.root(), paths, moment, &mut guard);
                    guard.error.map_or(Ok(()), Err)?;
                    seen?
                }
            }
            Some(_) => None,
        };
        if seen.is_none() {
            tracing::debug!(why = ?dirt.lost, "everything is looked at");
            if inner.watcher.interval().is_none() {
                // What is watched is not known any more, either.
                (inner.watcher, inner.tree) = begin(&self.workspace, &inner.make, &self.told)?;
                let upstream = inner.upstream.clone();
                inner.watcher.watch(&upstream)?;
            } else {
                inner.tree = Tree::scan(&self.workspace, moment)?;
            }
        }
        let identity = manifest.identity();
        let is_same = seen.as_ref().is_some_and(BTreeSet::is_empty)
            && identity.is_some()
            && inner.snapshot.as_ref().is_some_and(|(_, known)| *known == identity);
        if !is_same {
            let snapshot = Snapshot::of_tree(&self.workspace, &inner.tree, manifest)?;
            let changes = match (&inner.snapshot, seen) {
                (None, _) => vec![Change::Much],
                (Some((before, _)), Some(seen)) => changes(before, &snapshot, seen),
                (Some((before, _)), None) => changes(before, &snapshot, everything(before, &snapshot)),
            };
            inner.note(changes);
            inner.snapshot = Some((snapshot, identity));
        }
        if dirt.upstream {
            inner.note([Change::Machine]);
        }
        Ok(())
    }

    /// The project's folder has to be the one that was opened, and to have what a build would otherwise make there again.
    fn check_place(&self, fence: &Fence) -> Result<(), Lost> {
        let here = rustix::fs::stat(self.project());
        let opened = rustix::fs::fstat(self.workspace.root());
        match (here, opened) {
            (Ok(here), Ok(opened)) if (here.st_dev, here.st_ino) == (opened.st_dev, opened.st_ino) => {}
            _ => return Err(Lost::Gone(self.project().to_owned())),
        }
        match rustix::fs::lstat(&fence.path) {
            Err(rustix::io::Errno::NOENT) => Err(Lost::Removed(self.project().to_owned())),
            _ => Ok(()),
        }
    }

    /// What changed after a version, oldest first.
    pub fn since(&self, version: u64) -> Vec<Change> {
        let inner = self.inner.lock();
        let oldest = inner.changes.front().map_or(inner.version, |(first, _)| first - 1);
        let much = (version < oldest).then_some(Change::Much);
        let known = inner.changes.iter().filter(|(at, _)| *at > version).map(|(_, change)| change.clone());
        much.into_iter().chain(known).collect()
    }

    /// Watches folders of the machine from now on, and no others.
    ///
    /// # Errors
    /// There are too many. Nothing but the project is watched then.
    pub fn watch_upstream(&self, folders: &[PathBuf]) -> Result<(), WatchError> {
        let inner = &mut *self.inner.lock();
        let before: BTreeSet<&PathBuf> = inner.upstream.iter().collect();
        let now: BTreeSet<&PathBuf> = folders.iter().collect();
        let gone: Vec<PathBuf> = before.difference(&now).map(|path| (*path).clone()).collect();
        let new: Vec<PathBuf> = now.difference(&before).map(|path| (*path).clone()).collect();
        inner.watcher.unwatch(&gone)?;
        if let Err(error) = inner.watcher.watch(&new) {
            inner.watcher.unwatch(folders)?;
            inner.upstream.clear();
            return Err(error);
        }
        inner.upstream = folders.to_vec();
        Ok(())
    }
}

impl Inner {
    fn note(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.version += 1;
            self.changes.push_back((self.version, change));
            if self.changes.len() > MAX_CHANGES {
                self.changes.pop_front();
            }
        }
    }
}

/// Watches all folders, then looks at everything: until no folder has come in between.
fn begin(workspace: &Workspace, make: &MakeWatcher, told: &Told) -> Result<(Box<dyn Watcher>, Tree), Lost> {
    let mut watcher = make(told.handler())?;
    let mut tree = Tree::scan(workspace, Moment::now())?;
    if watcher.interval().is_some() {
        return Ok((watcher, tree));
    }
    if let Some(folder) = tree.file_systems().into_iter().find(|folder| is_without_events(workspace, folder))
    {
        tracing::info!(%folder, "its file system has no events");
        let watcher = ByPolling::new(super::watcher::POLL_INTERVAL, told.handler())?;
        return Ok((Box::new(watcher), tree));
    }
    watcher.watch(&[workspace.project().join(FOLDER)])?;
    let mut watched = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let new: Vec<RelPath> =
            tree.folders().into_iter().filter(|folder| !watched.contains(folder)).collect();
        if new.is_empty() {
            return Ok((watcher, tree));
        }
        watcher.watch(&absolute(workspace, &new))?;
        watched.extend(new);
        tree = Tree::scan(workspace, Moment::now())?;
    }
    Err(SnapshotError::Restless(RelPath::root()).into())
}

fn is_without_events(workspace: &Workspace, folder: &RelPath) -> bool {
    let at = folder.under(workspace.project());
    statfs(&at).is_ok_and(|found| WITHOUT_EVENTS.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

/// What is not as it was, of paths that were looked at.
fn changes(before: &Snapshot, now: &Snapshot, seen: BTreeSet<RelPath>) -> Vec<Change> {
    let differs = |path: &RelPath| match (before.get(path), now.get(path)) {
        (Some(Entry::Dir), Some(Entry::Dir)) => false,
        (before, now) => before != now,
    };
    let new = |before: &[RelPath], now: &[RelPath]| -> Vec<RelPath> {
        now.iter().filter(|path| before.binary_search(path).is_err()).cloned().collect()
    };
    let (was, is) = (before.report(), now.report());
    let edited = new(&was.edited, &is.edited);
    let missing = new(&was.missing, &is.missing);
    let mut changes: Vec<Change> = Vec::new();
    // A folder that came or went stands for all that is in it.
    let mut folders: BTreeSet<RelPath> = BTreeSet::new();
    for path in seen {
        let is_folder = [before, now].iter().any(|snapshot| snapshot.get(&path) == Some(Entry::Dir));
        if !differs(&path)
            || edited.binary_search(&path).is_ok()
            || path.ancestors().any(|above| folders.contains(&above))
        {
            continue;
        }
        if is_folder {
            folders.insert(path.clone());
        }
        changes.push(Change::Source(path));
    }
    changes.extend(missing.into_iter().map(Change::Missing));
    changes.extend(edited.into_iter().map(Change::Edited));
    changes
}

/// The paths of all sources.
fn everything(before: &Snapshot, now: &Snapshot) -> BTreeSet<RelPath> {
    let mut paths = BTreeSet::new();
    for snapshot in [before, now] {
        snapshot.walk(&RelPath::root(), |path, _| paths.extend(RelPath::new(path)));
    }
    paths
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("project", &self.project()).finish_non_exhaustive()
    }
}

impl Change {
    /// Where.
    pub fn into_path(self) -> Option<RelPath> {
        match self {
            Change::Source(path) | Change::Missing(path) | Change::Edited(path) => Some(path),
            Change::Much => Some(RelPath::root()),
            Change::Machine => None,
        }
    }
}

#[cfg(test)]
mod tests;
