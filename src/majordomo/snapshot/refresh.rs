//! Looking at a project again, where it is known what may have changed: the cost is that of the change.
//!
//! Input is a tree as it was, and *dirty* paths: each thing that may differ is dirty itself, or below a dirty folder that came
//! or went. Dirt is a hint: everything dirty is looked at, and so is what nobody tells about: files with other names (which may
//! be written through those), and whatever was too young to be believed. A file that is still a file costs one `stat`; where
//! names come or go their folder is listed again. A folder that is new here is watched *before* it is read, so that
//! what comes into it later is told.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{FileKind, RelPath};
use rustc_hash::FxHashMap;
use rustix::fs::{AtFlags, OFlags, fstat, statat};
use rustix::io::Errno;

use super::folder::{self, Folder, Found, KEPT, Scratch, is_hidden};
use super::nodes::{Index, LINKED, Nodes, SETTLED};
use super::settle::{self, wait_beyond};
use super::{Inner, ScanReport, Snapshot, SnapshotError, outputs};
use crate::majordomo::workspace::standing::{Kind, kind_of};
use crate::majordomo::workspace::{Manifest, Moment, Workspace, beneath, stamp_of};

/// How often what changes while it is looked at is looked at again.
const ATTEMPTS: u32 = 5;

/// Who keeps watch over folders.
pub trait Guard {
    /// Watches folders from now on, those that are watched already anew.
    fn watch(&mut self, folders: &[RelPath]);
    /// They are gone.
    fn unwatch(&mut self, folders: &[RelPath]);
}

/// A project's tree by itself: outputs are not told from sources.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Nodes,
    special: Vec<RelPath>,
}

impl Tree {
    /// Looks at everything.
    pub fn scan(workspace: &Workspace, moment: Moment) -> Result<Self, SnapshotError> {
        let (nodes, special) = settle::scan(workspace.root(), moment)?;
        Ok(Self { nodes, special })
    }

    /// The number of files, folders and links.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// All folders, each before what is in it.
    pub fn folders(&self) -> Vec<RelPath> {
        self.folders_below(0, &RelPath::root())
    }

    /// The first folder of each file system.
    pub fn file_systems(&self) -> Vec<RelPath> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let mut stack = vec![(0, RelPath::root())];
        while let Some((index, path)) = stack.pop() {
            if seen.insert(self.nodes.stamp(index).dev) {
                found.push(path.clone());
            }
            stack.extend(self.folders_in(index, &path));
        }
        found
    }

    fn folders_in(&self, index: Index, path: &RelPath) -> Vec<(Index, RelPath)> {
        let folders = self.nodes.children(index).filter(|child| self.nodes.kind(*child) == FileKind::Dir);
        folders.filter_map(|child| Some((child, path.child(self.nodes.name(child))?))).collect()
    }

    fn folders_below(&self, index: Index, path: &RelPath) -> Vec<RelPath> {
        let mut folders = Vec::new();
        let mut stack = vec![(index, path.clone())];
        while let Some((index, path)) = stack.pop() {
            stack.extend(self.folders_in(index, &path));
            folders.push(path);
        }
        folders
    }

    /// What has to be looked at besides what is dirty.
    pub fn doubtful(&self) -> Vec<RelPath> {
        let of = |index: &Index| !self.nodes.has(*index, SETTLED) || self.nodes.has(*index, LINKED);
        let doubtful: Vec<Index> = self.nodes.indices().filter(of).collect();
        if doubtful.is_empty() {
            return Vec::new();
        }
        settle::paths(&self.nodes, &doubtful).into_iter().map(|(_, path)| path).collect()
    }

    /// The other names of files that have some: nobody tells when a file gets one.
    fn other_names(&self, touched: &BTreeSet<RelPath>) -> Vec<RelPath> {
        let of = |index: Index| {
            let stamp = self.nodes.stamp(index);
            (stamp.dev, stamp.ino)
        };
        let linked = touched.iter().filter_map(|path| self.nodes.find(path));
        let linked: BTreeSet<_> = linked.filter(|index| self.nodes.has(*index, LINKED)).map(of).collect();
        if linked.is_empty() {
            return Vec::new();
        }
        let unknown = |index: &Index| !self.nodes.has(*index, LINKED) && linked.contains(&of(*index));
        let others: Vec<Index> = self.nodes.indices().filter(unknown).collect();
        settle::paths(&self.nodes, &others).into_iter().map(|(_, path)| path).collect()
    }

    /// Looks at what is dirty, and makes the tree right. The paths that were looked at; `None`: nothing is as it was, so that
    /// everything has to be looked at. `moment` is from before.
    pub fn refresh(
        &mut self,
        root: BorrowedFd<'_>,
        dirty: BTreeSet<RelPath>,
        mut moment: Moment,
        guard: &mut dyn Guard,
    ) -> Result<Option<BTreeSet<RelPath>>, SnapshotError> {
        let (mut dirty, mut seen) = (dirty, BTreeSet::new());
        for _ in 0..ATTEMPTS {
            let mut look = Look { root, moment, guard: &mut *guard, again: BTreeSet::new() };
            let touched = look.at(self, &dirty)?;
            let mut again = look.again;
            seen.extend(dirty);
            // What is in the very tick of the moment is looked at once more when that is over.
            let until = moment.nanoseconds().saturating_add(settle::LONGEST_WAIT.as_nanos() as i64);
            let young = settle::unsettled(&self.nodes, until);
            if let Some(newest) = young.iter().map(|index| settle::newest(&self.nodes, *index)).max() {
                again.extend(settle::paths(&self.nodes, &young).into_iter().map(|(_, path)| path));
                moment = wait_beyond(newest);
            }
            again.extend(self.other_names(&touched));
            seen.extend(touched);
            if again.is_empty() {
                return Ok(Some(seen));
            }
            dirty = again;
        }
        // It cannot be caught up with.
        Ok(None)
    }
}

/// How much of a folder is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// The names in it.
    Names,
    /// All that is below it, too.
    Whole,
}

/// One look at what is dirty.
struct Look<'a> {
    root: BorrowedFd<'a>,
    moment: Moment,
    guard: &'a mut dyn Guard,
    /// What changed meanwhile.
    again: BTreeSet<RelPath>,
}

impl Look<'_> {
    /// Brings the tree up to what is there; the paths that may be others now.
    fn at(&mut self, tree: &mut Tree, dirty: &BTreeSet<RelPath>) -> Result<BTreeSet<RelPath>, SnapshotError> {
        let mut touched = BTreeSet::new();
        let mut relist: BTreeMap<RelPath, Extent> = BTreeMap::new();
        for path in dirty {
            if path.parts().any(is_hidden) {
                continue;
            }
            touched.insert(path.clone());
            if let Some((folder, extent)) = self.restat(tree, path)? {
                let known = relist.entry(folder).or_insert(extent);
                *known = extent.max(*known);
            }
        }
        if !relist.is_empty() {
            self.relist(tree, &relist, &mut touched)?;
        }
        Ok(touched)
    }

    /// Stats what is still of the kind that it was; else the folder that has to be listed again.
    fn restat(
        &mut self,
        tree: &mut Tree,
        path: &RelPath,
    ) -> Result<Option<(RelPath, Extent)>, SnapshotError> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Ok(Some((RelPath::root(), Extent::Whole)));
        };
        let names_above = |tree: &Tree| Ok(Some((nearest(tree, &parent), Extent::Names)));
        let folder = match beneath::open_folder(self.root, &parent) {
            Ok(folder) => folder,
            Err(error) if beneath::is_absent(&error) => return names_above(tree),
            Err(error) if beneath::is_denied(&error) => return Ok(Some(self.openable(&parent))),
            Err(source) => return Err(SnapshotError::UnreadableFolder { path: parent, source }),
        };
        let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Some((nearest(tree, &parent), Extent::Whole))),
            Err(errno) => return Err(SnapshotError::UnreadableFolder { path: parent, source: errno.into() }),
        };
        let known = tree.nodes.find(path).map(|index| (index, tree.nodes.kind(index)));
        match (stat.as_ref().map(kind_of), known) {
            (Some(Kind::Known(FileKind::File)), Some((index, FileKind::File))) => {
                let Some(stat) = stat else { return Ok(None) };
                tree.nodes.restamp(index, &folder::found(FileKind::File, &stat), self.moment)?;
                // Its name may have come by a rename over another one, and others with it.
                if self.is_as_listed(tree, &parent) { Ok(None) } else { names_above(tree) }
            }
            // Inodes are used again, so that this may be another folder, in which nobody watches yet.
            (Some(Kind::Known(FileKind::Dir)), Some((_, FileKind::Dir))) => {
                Ok(Some((path.clone(), Extent::Whole)))
            }
            _ => names_above(tree),
        }
    }

    /// The nearest folder above one that may not be opened which may, with all below it.
    fn openable(&self, path: &RelPath) -> (RelPath, Extent) {
        let may_be_opened = |path: &RelPath| beneath::open_folder(self.root, path).is_ok();
        (path.ancestors().find(may_be_opened).unwrap_or_else(RelPath::root), Extent::Whole)
    }

    /// Whether a folder's stamp is that of its names in the tree.
    fn is_as_listed(&self, tree: &Tree, path: &RelPath) -> bool {
        let name = if path.is_root() { b"." } else { path.as_bytes() };
        let Some(index) = tree.nodes.find(path) else { return false };
        let now = statat(self.root, name, AtFlags::SYMLINK_NOFOLLOW);
        now.is_ok_and(|stat| folder::found(FileKind::Dir, &stat).stamp == tree.nodes.stamp(index))
    }

    fn relist(
        &mut self,
        tree: &mut Tree,
        relist: &BTreeMap<RelPath, Extent>,
        touched: &mut BTreeSet<RelPath>,
    ) -> Result<(), SnapshotError> {
        let mut folders = Vec::new();
        let mut replaced: FxHashMap<Index, usize> = FxHashMap::default();
        let mut scratch = Scratch::default();
        let mut special: Vec<RelPath> = Vec::new();
        let mut gone: Vec<RelPath> = Vec::new();
        for (path, extent) in relist {
            let is_kept = |nodes: &Nodes, old, found: &Found| {
                *extent == Extent::Names && is_same_folder(nodes, old, found)
            };
            let Some(index) = tree.nodes.find(path) else { continue };
            // Another folder may have taken its name.
            self.guard.watch(std::slice::from_ref(path));
            let Some((_fd, mut read)) = self.read(path, &mut scratch)? else {
                // It went meanwhile: its parent knows.
                self.again.insert(path.clone());
                continue;
            };
            touched.insert(path.clone());
            let mut new: Vec<(usize, RelPath)> = Vec::new();
            for at in 0..read.found.len() {
                let found = &read.found[at];
                let Some(inside) = path.child(read.bytes(found.name)) else { continue };
                let old = tree.nodes.child(index, read.bytes(found.name));
                if old.is_none_or(|old| differs(&tree.nodes, old, found)) {
                    touched.insert(inside.clone());
                }
                if found.kind != FileKind::Dir {
                    continue;
                }
                if old.is_some_and(|old| is_kept(&tree.nodes, old, found)) {
                    read.found[at].child = KEPT;
                } else {
                    new.push((at, inside));
                }
            }
            for child in tree.nodes.children(index) {
                let found = find(&read, tree.nodes.name(child));
                let Some(inside) = path.child(tree.nodes.name(child)) else { continue };
                if tree.nodes.kind(child) == FileKind::Dir
                    && !found.is_some_and(|found| is_kept(&tree.nodes, child, found))
                {
                    gone.extend(tree.folders_below(child, &inside));
                }
                if found.is_none() {
                    touched.insert(inside);
                }
            }
            // What went is unwatched before what is new is watched: a moved folder is both.
            self.guard.unwatch(&std::mem::take(&mut gone));
            special.extend(read.special.iter().filter_map(|name| path.child(name)));
            let place = folders.len();
            replaced.insert(index, place);
            folders.push(read);
            for (at, inside) in new {
                folders[place].found[at].child =
                    self.new_folder(&mut folders, &inside, &mut scratch, &mut special)?;
            }
        }
        tree.nodes = tree.nodes.rebuilt(&replaced, &folders, self.moment)?;
        tree.special.retain(|path| !path.parent().is_some_and(|parent| relist.contains_key(&parent)));
        let nodes = &tree.nodes;
        tree.special.retain(|path| path.parent().is_some_and(|parent| nodes.find(&parent).is_some()));
        tree.special.extend(special);
        tree.special.sort_unstable();
        tree.special.dedup();
        Ok(())
    }

    /// Reads a folder that was not there before, and all below it; its place in `folders`.
    fn new_folder(
        &mut self,
        folders: &mut Vec<Folder>,
        path: &RelPath,
        scratch: &mut Scratch,
        special: &mut Vec<RelPath>,
    ) -> Result<u32, SnapshotError> {
        let too_many = |_| SnapshotError::TooLarge("folders");
        let first = folders.len();
        let mut stack = vec![(path.clone(), None)];
        while let Some((path, above)) = stack.pop() {
            self.guard.watch(std::slice::from_ref(&path));
            let read = match self.read(&path, scratch)? {
                Some((_, read)) => read,
                None => {
                    // An empty folder stands in for it until its parent is looked at again.
                    self.again.extend(path.parent());
                    Folder::empty()
                }
            };
            special.extend(read.special.iter().filter_map(|name| path.child(name)));
            let place = folders.len();
            for (at, found) in read.found.iter().enumerate() {
                if found.kind == FileKind::Dir
                    && let Some(inside) = path.child(read.bytes(found.name))
                {
                    stack.push((inside, Some((place, at))));
                }
            }
            folders.push(read);
            if let Some((folder, at)) = above {
                let folder: &mut Folder = &mut folders[folder];
                folder.found[at].child = place.try_into().map_err(too_many)?;
            }
        }
        first.try_into().map_err(too_many)
    }

    /// Reads a folder, which stays open; `None`: there is none.
    fn read(
        &self,
        path: &RelPath,
        scratch: &mut Scratch,
    ) -> Result<Option<(OwnedFd, Folder)>, SnapshotError> {
        let unreadable = |source| SnapshotError::UnreadableFolder { path: path.clone(), source };
        let fd = match beneath::open(self.root, path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(error) if beneath::is_absent(&error) => return Ok(None),
            Err(error) if beneath::is_denied(&error) && !path.is_root() => {
                // One above it may be closed by now, too: that is dirty itself.
                let Ok(fd) = beneath::open_folder(self.root, path) else { return Ok(None) };
                let stat = fstat(&fd).map_err(|errno| unreadable(errno.into()))?;
                return Ok(Some((fd, Folder::closed(0, stamp_of(&stat)))));
            }
            Err(error) => return Err(unreadable(error)),
        };
        let read = folder::read(fd.as_fd(), 0, scratch).map_err(unreadable)?;
        if read.is_closed && path.is_root() {
            return Err(unreadable(Errno::ACCESS.into()));
        }
        Ok(Some((fd, read)))
    }
}

/// The folder itself if it is one in the tree, else the nearest above it that is.
fn nearest(tree: &Tree, path: &RelPath) -> RelPath {
    let is_folder =
        |path: &RelPath| tree.nodes.find(path).is_some_and(|index| tree.nodes.kind(index) == FileKind::Dir);
    if is_folder(path) {
        return path.clone();
    }
    path.ancestors().find(is_folder).unwrap_or_else(RelPath::root)
}

fn find<'a>(folder: &'a Folder, name: &[u8]) -> Option<&'a Found> {
    let at = folder.found.binary_search_by(|found| folder.bytes(found.name).cmp(name));
    at.ok().map(|at| &folder.found[at])
}

/// Whether it is not as it was, as far as its parent tells.
fn differs(nodes: &Nodes, old: Index, found: &Found) -> bool {
    nodes.kind(old) != found.kind
        || match found.kind {
            FileKind::Dir => !is_same_folder(nodes, old, found),
            _ => nodes.stamp(old) != found.stamp,
        }
}

fn is_same_folder(nodes: &Nodes, old: Index, found: &Found) -> bool {
    let before = nodes.stamp(old);
    found.kind == FileKind::Dir
        && nodes.kind(old) == FileKind::Dir
        && (before.dev, before.ino) == (found.stamp.dev, found.stamp.ino)
}

impl Snapshot {
    /// The sources of a tree, with what was handed over told from them.
    pub fn of_tree(workspace: &Workspace, tree: &Tree, manifest: &Manifest) -> Result<Self, SnapshotError> {
        let root = workspace.root().try_clone_to_owned();
        let root =
            root.map_err(|source| SnapshotError::UnreadableFolder { path: RelPath::root(), source })?;
        let mut nodes = tree.nodes.clone();
        let mut report: ScanReport = outputs::mark(root.as_fd(), &mut nodes, manifest)?;
        report.special = tree.special.clone();
        report.closed = settle::closed(&nodes);
        Ok(Self(std::sync::Arc::new(Inner { root, nodes, report }), None))
    }
}
