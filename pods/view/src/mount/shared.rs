//! What all roots of a mount share: one inode for each file with a `shared` number and for each link, kept as long as the
//! kernel knows it. The kernel keeps a shared file's pages, and a shared link's target, over all roots.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use protocol::RelPath;
use rustc_hash::FxHashMap;

use crate::Source;

/// What is known of one shared file.
#[derive(Clone)]
pub struct SharedFile {
    /// A source that has it: the one that was asked last, so that earlier ones can go.
    pub source: Arc<dyn Source>,
    /// Where it is in that source.
    pub path: RelPath,
    /// Whether it may be executed.
    pub exec: bool,
    /// Length in bytes.
    pub size: u64,
    /// The number that its sources know it by.
    pub shared: u64,
}

/// Something that roots share.
#[derive(Clone)]
pub enum SharedNode {
    /// A file.
    File(SharedFile),
    /// A link, by path and target: where either differs, so does the inode.
    Link {
        /// Where it is in its sources.
        path: RelPath,
        /// The target's bytes.
        target: Bytes,
    },
}

/// What makes two answers one inode.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    File(u64),
    Link(RelPath, Bytes),
}

impl SharedNode {
    fn key(&self) -> Key {
        match self {
            SharedNode::File(file) => Key::File(file.shared),
            SharedNode::Link { path, target } => Key::Link(path.clone(), target.clone()),
        }
    }

    /// Takes the newer source, so that earlier ones can go.
    fn renew(&mut self, newer: SharedNode) {
        if let (SharedNode::File(held), SharedNode::File(newer)) = (self, newer)
            && !Arc::ptr_eq(&held.source, &newer.source)
        {
            *held = newer;
        }
    }
}

struct Held {
    node: SharedNode,
    /// How many look-ups the kernel was answered with this inode and has not forgotten.
    lookups: u64,
}

#[derive(Default)]
struct Tables {
    numbers: FxHashMap<Key, u64>,
    held: FxHashMap<u64, Held>,
    next: u64,
}

/// The shared files and links of a mount. The lock is held for one or two hash look-ups at a time.
#[derive(Default)]
pub struct SharedNodes {
    tables: Mutex<Tables>,
}

impl SharedNodes {
    /// Counts one more look-up that is answered with this node; gives its number.
    pub fn looked_up(&self, node: SharedNode) -> u64 {
        let mut tables = self.tables.lock();
        let tables = &mut *tables;
        let number = *tables.numbers.entry(node.key()).or_insert_with(|| {
            tables.next += 1;
            tables.next
        });
        match tables.held.get_mut(&number) {
            Some(held) => {
                held.lookups += 1;
                held.node.renew(node);
            }
            None => {
                tables.held.insert(number, Held { node, lookups: 1 });
            }
        }
        number
    }

    /// The kernel forgets some look-ups; whether the node is gone from the table now.
    pub fn forget(&self, number: u64, lookups: u64) -> bool {
        let mut tables = self.tables.lock();
        let Some(held) = tables.held.get_mut(&number) else { return false };
        held.lookups = held.lookups.saturating_sub(lookups);
        if held.lookups > 0 {
            return false;
        }
        if let Some(held) = tables.held.remove(&number) {
            tables.numbers.remove(&held.node.key());
        }
        true
    }

    /// A node by its number.
    pub fn get(&self, number: u64) -> Option<SharedNode> {
        self.tables.lock().held.get(&number).map(|held| held.node.clone())
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        let tables = self.tables.lock();
        tables.held.values().filter(|held| matches!(held.node, SharedNode::File(_))).count()
    }
}
