//! Reading all folders of a project, several at a time.
//!
//! Threads share a stack of folders to read. A folder is opened by name in its parent's descriptor, never through a
//! path, so neither a link nor the length of paths matters; the stack's order keeps few descriptors open.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use protocol::{FileKind, RelPath};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::SnapshotError;
use super::folder::{self, Folder, Scratch};
use crate::majordomo::workspace::stamp_of;

/// Most threads that read folders; more gain nothing on one disk.
pub const MOST_THREADS: usize = 8;

/// How often the walk starts again because a folder was gone, or something else, when it was to be opened.
const ATTEMPTS: u32 = 5;

struct Work {
    number: u32,
    parent: Option<Arc<OwnedFd>>,
    path: RelPath,
}

#[derive(Default)]
struct Stack {
    work: Vec<Work>,
    /// Folders that were pushed and are not yet read.
    open: usize,
    numbers: u32,
    failure: Option<Failure>,
}

enum Failure {
    Error(SnapshotError),
    Moved(RelPath),
}

/// Everything that was found: folders by number, the root first, and what was left out.
pub struct Walked {
    pub folders: Vec<Folder>,
    pub special: Vec<RelPath>,
}

/// Reads all folders below `root`.
pub fn walk(root: BorrowedFd<'_>) -> Result<Walked, SnapshotError> {
    let mut attempt = 1;
    loop {
        match walk_once(root) {
            Ok(walked) => return Ok(walked),
            Err(Failure::Moved(_)) if attempt < ATTEMPTS => attempt += 1,
            Err(Failure::Moved(path)) => return Err(SnapshotError::Restless(path)),
            Err(Failure::Error(error)) => return Err(error),
        }
    }
}

fn walk_once(root: BorrowedFd<'_>) -> Result<Walked, Failure> {
    let first = Work { number: 0, parent: None, path: RelPath::root() };
    let stack = Mutex::new(Stack { work: vec![first], open: 1, numbers: 1, failure: None });
    let wake = Condvar::new();
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get()).clamp(2, MOST_THREADS);
    let mut all: Vec<(Folder, RelPath)> = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(|| work(root, &stack, &wake))).collect();
        let mut all = work(root, &stack, &wake);
        for helper in helpers {
            match helper.join() {
                Ok(more) => all.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    if let Some(failure) = stack.into_inner().failure {
        return Err(failure);
    }
    all.sort_unstable_by_key(|(folder, _)| folder.number);
    let mut walked = Walked { folders: Vec::with_capacity(all.len()), special: Vec::new() };
    for (folder, path) in all {
        walked.special.extend(folder.special.iter().filter_map(|name| path.child(name)));
        walked.folders.push(folder);
    }
    walked.special.sort();
    Ok(walked)
}

/// One thread: takes folders off the stack until none is left that could bring more.
fn work(root: BorrowedFd<'_>, stack: &Mutex<Stack>, wake: &Condvar) -> Vec<(Folder, RelPath)> {
    let mut done = Vec::new();
    let mut scratch = Scratch::default();
    let mut guard = stack.lock();
    loop {
        if guard.open == 0 || guard.failure.is_some() {
            wake.notify_all();
            return done;
        }
        let Some(work) = guard.work.pop() else {
            wake.wait(&mut guard);
            continue;
        };
        drop(guard);
        let outcome = read(root, &work, &mut scratch);
        guard = stack.lock();
        guard.open -= 1;
        match outcome {
            Ok((mut folder, fd)) => {
                if let Some(fd) = fd {
                    push_children(&mut guard, &mut folder, fd, &work.path);
                }
                done.push((folder, work.path));
                wake.notify_all();
            }
            Err(failure) => guard.failure = Some(failure),
        }
    }
}

fn push_children(stack: &mut Stack, folder: &mut Folder, fd: OwnedFd, path: &RelPath) {
    let parent = Arc::new(fd);
    let bytes = &folder.bytes;
    for found in folder.found.iter_mut().filter(|found| found.kind == FileKind::Dir) {
        let name = &bytes[found.name.at as usize..][..found.name.len as usize];
        // The kernel's names are names.
        let Some(path) = path.child(name) else { continue };
        found.child = stack.numbers;
        stack.numbers += 1;
        stack.open += 1;
        stack.work.push(Work { number: found.child, parent: Some(parent.clone()), path });
    }
}

/// Reads a folder; without a descriptor, if it may not be opened.
fn read(
    root: BorrowedFd<'_>,
    work: &Work,
    scratch: &mut Scratch,
) -> Result<(Folder, Option<OwnedFd>), Failure> {
    let parent = work.parent.as_ref().map_or(root, |fd| fd.as_fd());
    let name = work.path.name().unwrap_or(b".");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let unreadable = |source: io::Error| {
        Failure::Error(SnapshotError::UnreadableFolder { path: work.path.clone(), source })
    };
    let fd = match openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(Failure::Moved(work.path.clone())),
        // Whoever needs it is told. The project's own folder everybody needs.
        Err(Errno::ACCESS | Errno::PERM) if work.parent.is_some() => {
            let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(|_| Failure::Moved(work.path.clone()))?;
            return Ok((Folder::closed(work.number, stamp_of(&stat)), None));
        }
        Err(errno) => return Err(unreadable(errno.into())),
    };
    let folder = folder::read(fd.as_fd(), work.number, scratch).map_err(unreadable)?;
    if folder.is_closed && work.parent.is_none() {
        return Err(unreadable(Errno::ACCESS.into()));
    }
    Ok((folder, Some(fd)))
}
