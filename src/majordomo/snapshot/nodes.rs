//! The compact form of a project's tree: 48 bytes a node, and its name.
//!
//! Nodes lie breadth first, so a folder's children are neighbours, sorted by name: a look-up is a binary search for
//! each part of the path, and a listing is a slice.

use protocol::{FileKind, RelPath};
use rustc_hash::FxHashMap;

use super::SnapshotError;
use super::folder::{Folder, Found, KEPT, Piece};
use crate::majordomo::workspace::{Moment, Stamp};

/// The number of a node.
pub type Index = u32;

const KIND: u8 = 0b11;
const EXEC: u8 = 1 << 2;
/// It was handed over, and is as it was: no source.
pub const OUTPUT: u8 = 1 << 3;
/// Its stamp can be believed.
pub const SETTLED: u8 = 1 << 4;
/// A folder that a hand-over made.
pub const OURS: u8 = 1 << 5;
/// It has other names, through which it may be written where nobody watches.
pub const LINKED: u8 = 1 << 6;
/// A folder that may not be looked into.
pub const CLOSED: u8 = 1 << 7;

#[derive(Debug, Clone, Copy)]
struct Node {
    size: u64,
    ino: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    name_at: u32,
    /// A folder's first child, or where a link's target starts.
    at: u32,
    /// How many children, or how long the target is.
    len: u32,
    name_len: u16,
    dev: u8,
    flags: u8,
}

/// A project's tree.
#[derive(Debug, Clone)]
pub struct Nodes {
    nodes: Vec<Node>,
    bytes: Vec<u8>,
    devices: Vec<u64>,
}

impl Nodes {
    /// Puts together what a walk brought, which started at `moment`. The folders are in the order of their numbers.
    pub fn new(folders: &[Folder], moment: Moment) -> Result<Self, SnapshotError> {
        let count = 1 + folders.iter().map(|folder| folder.found.len()).sum::<usize>();
        let mut this = Self { nodes: Vec::with_capacity(count), bytes: Vec::new(), devices: Vec::new() };
        let Some(root) = folders.first() else { return Ok(this) };
        let node = this.node(b"", FileKind::Dir, &root.stamp, moment)?;
        this.nodes.push(node);
        // The folders whose nodes are there and whose children are not, in the nodes' order.
        let mut next = std::collections::VecDeque::from([(0usize, root)]);
        while let Some((at, folder)) = next.pop_front() {
            this.nodes[at].at = small(this.nodes.len(), "names")?;
            this.nodes[at].len = small(folder.found.len(), "names")?;
            for found in &folder.found {
                // A folder's stamp is the one that was taken before it was read.
                let inside =
                    if found.kind == FileKind::Dir { folders.get(found.child as usize) } else { None };
                let stamp = inside.map_or(&found.stamp, |inside| &inside.stamp);
                let mut node = this.node(folder.bytes(found.name), found.kind, stamp, moment)?;
                node.flags |= found_flags(found) | inside.map_or(0, folder_flags);
                if found.kind == FileKind::Link {
                    let piece = this.keep(folder.bytes(found.target))?;
                    (node.at, node.len) = (piece.at, piece.len);
                }
                if let Some(inside) = inside {
                    next.push_back((this.nodes.len(), inside));
                }
                this.nodes.push(node);
            }
        }
        this.bytes.shrink_to_fit();
        Ok(this)
    }

    /// The same tree, with some folders as they are now. `replaced` has, for the number of a folder here, its place in `folders`;
    /// a found folder's `child` is a place in `folders`, or [`KEPT`]: then it is the one of that name here.
    pub fn rebuilt(
        &self,
        replaced: &FxHashMap<Index, usize>,
        folders: &[Folder],
        moment: Moment,
    ) -> Result<Self, SnapshotError> {
        let count = self.nodes.len() + folders.iter().map(|folder| folder.found.len()).sum::<usize>();
        let mut this = Self {
            nodes: Vec::with_capacity(count),
            bytes: Vec::with_capacity(self.bytes.len()),
            devices: self.devices.clone(),
        };
        // Where a folder comes from: its number here, or its place in `folders`, and its number here if it has one.
        enum From {
            Kept(Index),
            Read(usize, Option<Index>),
        }
        let from = |index: Index| match replaced.get(&index) {
            Some(place) => From::Read(*place, Some(index)),
            None => From::Kept(index),
        };
        let root = match from(0) {
            From::Read(place, _) => this.node(b"", FileKind::Dir, &folders[place].stamp, moment)?,
            From::Kept(_) => self.nodes[0],
        };
        this.nodes.push(root);
        let mut next = std::collections::VecDeque::from([(0usize, from(0))]);
        while let Some((at, folder)) = next.pop_front() {
            this.nodes[at].at = small(this.nodes.len(), "names")?;
            match folder {
                From::Kept(old) => {
                    this.nodes[at].len = self.at(old).len;
                    for child in self.children(old) {
                        let (source, mut node) = (from(child), *self.at(child));
                        let name = this.keep(self.name(child))?;
                        node.name_at = name.at;
                        match (self.kind(child), &source) {
                            (FileKind::Link, _) => node.at = this.keep(self.target(child))?.at,
                            (FileKind::Dir, From::Read(place, _)) => {
                                let stamp = &folders[*place].stamp;
                                node = this.node(b"", FileKind::Dir, stamp, moment)?;
                                (node.name_at, node.name_len) = (name.at, name.len as u16);
                                node.flags |= folder_flags(&folders[*place]);
                            }
                            _ => {}
                        }
                        if self.kind(child) == FileKind::Dir {
                            next.push_back((this.nodes.len(), source));
                        }
                        this.nodes.push(node);
                    }
                }
                From::Read(place, old) => {
                    let folder = &folders[place];
                    this.nodes[at].len = small(folder.found.len(), "names")?;
                    for found in &folder.found {
                        let name = folder.bytes(found.name);
                        let source = match (found.kind, found.child) {
                            (FileKind::Dir, KEPT) => old.and_then(|old| self.child(old, name)).map(from),
                            (FileKind::Dir, place) => Some(From::Read(place as usize, None)),
                            _ => None,
                        };
                        let (stamp, more) = match &source {
                            Some(From::Read(place, _)) => {
                                (folders[*place].stamp, folder_flags(&folders[*place]))
                            }
                            Some(From::Kept(old)) => (self.stamp(*old), self.at(*old).flags & CLOSED),
                            None => (found.stamp, 0),
                        };
                        let mut node = this.node(name, found.kind, &stamp, moment)?;
                        node.flags |= found_flags(found) | more;
                        if found.kind == FileKind::Link {
                            let piece = this.keep(folder.bytes(found.target))?;
                            (node.at, node.len) = (piece.at, piece.len);
                        }
                        if let Some(source) = source {
                            next.push_back((this.nodes.len(), source));
                        }
                        this.nodes.push(node);
                    }
                }
            }
        }
        this.bytes.shrink_to_fit();
        Ok(this)
    }

    /// Sets the stamp of a file or folder as `stat` saw it after `moment`.
    pub fn restamp(&mut self, index: Index, found: &Found, moment: Moment) -> Result<(), SnapshotError> {
        let stamp = &found.stamp;
        let dev = self.device(stamp.dev)?;
        let node = &mut self.nodes[index as usize];
        (node.size, node.ino, node.dev) = (stamp.size, stamp.ino, dev);
        (node.mtime_ns, node.ctime_ns) = (stamp.mtime_ns, stamp.ctime_ns);
        node.flags &= KIND;
        node.flags |= found_flags(found) | if moment.settles(stamp) { SETTLED } else { 0 };
        Ok(())
    }

    fn device(&mut self, device: u64) -> Result<u8, SnapshotError> {
        let dev = match self.devices.iter().position(|dev| *dev == device) {
            Some(dev) => dev,
            None => {
                self.devices.push(device);
                self.devices.len() - 1
            }
        };
        dev.try_into().map_err(|_| SnapshotError::TooLarge("file systems"))
    }

    fn node(
        &mut self,
        name: &[u8],
        kind: FileKind,
        stamp: &Stamp,
        moment: Moment,
    ) -> Result<Node, SnapshotError> {
        let dev = self.device(stamp.dev)?;
        let piece = self.keep(name)?;
        Ok(Node {
            size: stamp.size,
            ino: stamp.ino,
            mtime_ns: stamp.mtime_ns,
            ctime_ns: stamp.ctime_ns,
            name_at: piece.at,
            at: 0,
            len: 0,
            name_len: piece.len.try_into().map_err(|_| SnapshotError::TooLarge("bytes in a name"))?,
            dev,
            flags: kind as u8 | if moment.settles(stamp) { SETTLED } else { 0 },
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<Piece, SnapshotError> {
        let piece = Piece { at: small(self.bytes.len(), "names")?, len: small(bytes.len(), "names")? };
        self.bytes.extend_from_slice(bytes);
        Ok(piece)
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All numbers, each folder before what is in it.
    pub fn indices(&self) -> impl DoubleEndedIterator<Item = Index> + use<> {
        0..self.nodes.len() as Index
    }

    fn at(&self, index: Index) -> &Node {
        &self.nodes[index as usize]
    }

    /// The last part of a node's path.
    pub fn name(&self, index: Index) -> &[u8] {
        let node = self.at(index);
        &self.bytes[node.name_at as usize..][..usize::from(node.name_len)]
    }

    /// What it is.
    pub fn kind(&self, index: Index) -> FileKind {
        match self.at(index).flags & KIND {
            0 => FileKind::Dir,
            1 => FileKind::File,
            _ => FileKind::Link,
        }
    }

    /// Whether it may be executed.
    pub fn exec(&self, index: Index) -> bool {
        self.has(index, EXEC)
    }

    /// Whether a flag is set.
    pub fn has(&self, index: Index, flag: u8) -> bool {
        self.at(index).flags & flag != 0
    }

    /// Sets a flag.
    pub fn set(&mut self, index: Index, flag: u8) {
        self.nodes[index as usize].flags |= flag;
    }

    /// Its stamp at the scan.
    pub fn stamp(&self, index: Index) -> Stamp {
        let node = self.at(index);
        Stamp {
            dev: self.devices[usize::from(node.dev)],
            ino: node.ino,
            size: node.size,
            mtime_ns: node.mtime_ns,
            ctime_ns: node.ctime_ns,
        }
    }

    /// A link's target; nothing for others.
    pub fn target(&self, index: Index) -> &[u8] {
        match self.kind(index) {
            FileKind::Link => &self.bytes[self.at(index).at as usize..][..self.at(index).len as usize],
            _ => b"",
        }
    }

    /// A folder's children, sorted by name; none for others.
    pub fn children(&self, index: Index) -> std::ops::Range<Index> {
        match self.kind(index) {
            FileKind::Dir => self.at(index).at..self.at(index).at + self.at(index).len,
            _ => 0..0,
        }
    }

    /// The child of this name.
    pub fn child(&self, folder: Index, name: &[u8]) -> Option<Index> {
        let (mut low, mut high) = (self.children(folder).start, self.children(folder).end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The node at a path.
    pub fn find(&self, path: &RelPath) -> Option<Index> {
        if self.nodes.is_empty() {
            return None;
        }
        path.parts().try_fold(0, |folder, name| self.child(folder, name))
    }
}

fn found_flags(found: &Found) -> u8 {
    (if found.exec { EXEC } else { 0 }) | (if found.is_linked { LINKED } else { 0 })
}

fn folder_flags(folder: &Folder) -> u8 {
    if folder.is_closed { CLOSED } else { 0 }
}

fn small(number: usize, what: &'static str) -> Result<u32, SnapshotError> {
    number.try_into().map_err(|_| SnapshotError::TooLarge(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small() {
        assert_eq!(size_of::<Node>(), 48);
    }
}
