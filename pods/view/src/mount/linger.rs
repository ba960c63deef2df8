//! Roots that were removed and still stand in the kernel's caches, and the thread that takes them out.
//!
//! Removed roots linger, oldest first, because the kernel drops a shared file's page cache with its last directory
//! entry (FUSE uses `generic_delete_inode`): the next step should find the compiler's pages still there. They are bounded
//! by number and by the paths in them. Invalidation waits on the kernel's directory lock, so it never runs in a
//! session thread or under a lock of ours. It also makes the kernel ask for the mount's own attributes again, so it is
//! done for many roots at a time.

use std::collections::VecDeque;
use std::ffi::OsStr;

use fuser::{INodeNo, Notifier};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// How many removed roots of a [`crate::Flavour::Tools`] mount linger.
pub const TOOLS_LINGER_ROOTS: usize = 64;

/// How many removed roots of a [`crate::Flavour::Project`] mount linger: just long enough for a dying mount namespace
/// to let go of them, because entries that are in use survive their invalidation.
pub const PROJECT_LINGER_ROOTS: usize = 8;

/// How many paths all lingering roots may have together (about 1 KiB of kernel memory each).
pub const MAX_LINGER_PATHS: usize = 50_000;

struct Gone {
    name: u64,
    paths: usize,
}

#[derive(Default)]
struct Queue {
    gone: VecDeque<Gone>,
    paths: usize,
    busy: Option<u64>,
    end: bool,
}

/// The queue of removed roots.
pub struct Linger {
    /// How many stay when the thread has been at work; it waits for half as many more.
    max_roots: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Linger {
    /// Keeps this many.
    pub fn new(max_roots: usize) -> Self {
        Self { max_roots, queue: Mutex::default(), changed: Condvar::new() }
    }

    /// A root was removed.
    pub fn push(&self, name: u64, paths: usize) {
        let mut queue = self.queue.lock();
        queue.paths += paths;
        queue.gone.push_back(Gone { name, paths });
        if self.is_full(&queue) {
            self.changed.notify_all();
        }
    }

    fn is_full(&self, queue: &Queue) -> bool {
        queue.gone.len() > self.max_roots + self.max_roots / 2 || queue.paths > MAX_LINGER_PATHS
    }

    /// Whether the kernel may still know a removed root by this name.
    pub fn has(&self, name: u64) -> bool {
        let queue = self.queue.lock();
        queue.busy == Some(name) || queue.gone.iter().any(|gone| gone.name == name)
    }

    /// How many the kernel may still know.
    pub fn len(&self) -> usize {
        let queue = self.queue.lock();
        queue.gone.len() + usize::from(queue.busy.is_some())
    }

    /// Ends the thread.
    pub fn end(&self) {
        self.queue.lock().end = true;
        self.changed.notify_all();
    }

    /// The thread's life: takes the oldest out of the kernel whenever there are too many, until [`Linger::end`].
    pub fn run(&self, notifier: &Notifier) {
        let mut queue = self.queue.lock();
        while !queue.end {
            if !self.is_full(&queue) {
                self.changed.wait(&mut queue);
                continue;
            }
            while !queue.end && (queue.gone.len() > self.max_roots || queue.paths > MAX_LINGER_PATHS) {
                let Some(gone) = queue.gone.pop_front() else { break };
                queue.paths -= gone.paths;
                queue.busy = Some(gone.name);
                MutexGuard::unlocked(&mut queue, || forget(notifier, gone.name));
                queue.busy = None;
            }
        }
    }
}

fn forget(notifier: &Notifier, root: u64) {
    let name = root.to_string();
    if let Err(error) = notifier.inval_entry(INodeNo::ROOT, OsStr::new(&name)) {
        tracing::debug!(root, %error, "the kernel did not forget a removed root");
    }
}
