//! Files that all roots of a mount share: one inode for each `shared` number, kept as long as the kernel knows it.

use std::sync::Arc;

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

struct Held {
    file: SharedFile,
    /// How many look-ups the kernel was answered with this inode and has not forgotten.
    lookups: u64,
}

#[derive(Default)]
struct Tables {
    numbers: FxHashMap<u64, u64>,
    held: FxHashMap<u64, Held>,
    next: u64,
}

/// The shared files of a mount. The lock is held for one or two hash look-ups at a time.
#[derive(Default)]
pub struct SharedFiles {
    tables: Mutex<Tables>,
}

impl SharedFiles {
    /// Counts one more look-up that is answered with this file; gives its number.
    pub fn looked_up(&self, file: SharedFile) -> u64 {
        let mut tables = self.tables.lock();
        let tables = &mut *tables;
        let number = *tables.numbers.entry(file.shared).or_insert_with(|| {
            tables.next += 1;
            tables.next
        });
        match tables.held.get_mut(&number) {
            Some(held) => {
                held.lookups += 1;
                if !Arc::ptr_eq(&held.file.source, &file.source) {
                    held.file = file;
                }
            }
            None => {
                tables.held.insert(number, Held { file, lookups: 1 });
            }
        }
        number
    }

    /// The kernel forgets some look-ups; whether the file is gone from the table now.
    pub fn forget(&self, number: u64, lookups: u64) -> bool {
        let mut tables = self.tables.lock();
        let Some(held) = tables.held.get_mut(&number) else { return false };
        held.lookups = held.lookups.saturating_sub(lookups);
        if held.lookups > 0 {
            return false;
        }
        if let Some(held) = tables.held.remove(&number) {
            tables.numbers.remove(&held.file.shared);
        }
        true
    }

    /// A file by its number.
    pub fn get(&self, number: u64) -> Option<SharedFile> {
        self.tables.lock().held.get(&number).map(|held| held.file.clone())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.tables.lock().held.len()
    }
}
