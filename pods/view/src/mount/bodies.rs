//! Open files: a bounded set by inode for mounts that never see an open, and the opens of one root for those that do.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use fuser::{BackingId, Errno, ReplyData};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::Body;

/// How many files a [`crate::Flavour::Tools`] mount keeps open for reading; the kernel's page cache makes reads rare.
pub const MAX_OPEN_BODIES: usize = 256;

thread_local! {
    /// Where a session thread reads into; it grows to the kernel's largest read (1 MiB) and stays.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Answers a read from a body: short only at the end of the file, and an error rather than bytes that are not there.
pub fn reply_read(body: &Body, offset: u64, size: u32, reply: ReplyData) {
    match body {
        Body::Bytes(bytes) => {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let end = start.saturating_add(size as usize).min(bytes.len());
            reply.data(&bytes[start..end]);
        }
        Body::File(file) => BUFFER.with_borrow_mut(|buffer| {
            let size = size as usize;
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let mut filled = 0;
            while filled < size {
                match file.read_at(&mut buffer[filled..size], offset + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read a file of the view");
                        return reply.error(Errno::EIO);
                    }
                }
            }
            reply.data(&buffer[..filled]);
        }),
    }
}

#[derive(Default)]
struct Cache {
    bodies: FxHashMap<u64, (Body, u64)>,
    clock: u64,
}

/// The files that were read last, by inode number.
#[derive(Default)]
pub struct OpenBodies {
    cache: Mutex<Cache>,
}

impl OpenBodies {
    /// A body that is open already.
    pub fn get(&self, ino: u64) -> Option<Body> {
        let mut cache = self.cache.lock();
        cache.clock += 1;
        let clock = cache.clock;
        let (body, used) = cache.bodies.get_mut(&ino)?;
        *used = clock;
        Some(body.clone())
    }

    /// Keeps a body, and lets the one go that was not read for the longest time.
    pub fn put(&self, ino: u64, body: Body) {
        let mut cache = self.cache.lock();
        cache.clock += 1;
        let clock = cache.clock;
        cache.bodies.insert(ino, (body, clock));
        if cache.bodies.len() > MAX_OPEN_BODIES {
            let oldest = cache.bodies.iter().min_by_key(|(_, (_, used))| *used).map(|(ino, _)| *ino);
            if let Some(oldest) = oldest {
                cache.bodies.remove(&oldest);
            }
        }
    }

    /// Lets a body go.
    pub fn remove(&self, ino: u64) {
        self.cache.lock().bodies.remove(&ino);
    }

    /// Lets all bodies go whose inode number does not pass.
    pub fn retain(&self, mut keep: impl FnMut(u64) -> bool) {
        self.cache.lock().bodies.retain(|ino, _| keep(*ino));
    }
}

/// How the opens of one inode are served; all that are open at a time are served alike, or the kernel says `EIO`.
#[derive(Clone)]
pub enum Served {
    /// The kernel reads the backing file itself.
    Passthrough(Arc<BackingId>),
    /// Reads come here.
    Here(Body),
}

struct Opened {
    served: Served,
    count: u64,
}

/// The open files of one root, by the path's index.
#[derive(Default)]
pub struct Opens {
    opens: Mutex<FxHashMap<u32, Opened>>,
}

impl Opens {
    /// Counts one more open. The first decides how all are served, under the lock, so that they agree.
    pub fn open(&self, index: u32, first: impl FnOnce() -> Served) -> Served {
        let mut opens = self.opens.lock();
        let opened = opens.entry(index).or_insert_with(|| Opened { served: first(), count: 0 });
        opened.count += 1;
        opened.served.clone()
    }

    /// Counts one less; the last lets the file go.
    pub fn release(&self, index: u32) {
        let mut opens = self.opens.lock();
        if let Some(opened) = opens.get_mut(&index) {
            opened.count -= 1;
            if opened.count == 0 {
                opens.remove(&index);
            }
        }
    }

    /// The body that reads of this open file are served from.
    pub fn body(&self, index: u32) -> Option<Body> {
        match self.opens.lock().get(&index) {
            Some(Opened { served: Served::Here(body), .. }) => Some(body.clone()),
            _ => None,
        }
    }
}

/// An empty body, for a file of length 0.
pub fn empty() -> Body {
    Body::Bytes(Bytes::new())
}
