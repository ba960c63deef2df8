//! One build of a project at a time: `.majordomo/lock`.
//!
//! The lock is a `flock`, so that it goes with its holder however that ends. The file names the holder's process, for
//! the sentence that a second build says while it waits. Holding the lock is what allows sweeping `tmp`, reading the
//! manifest for writing, and handing over.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, flock, fstat, futimens};

use super::{Moment, Workspace, WorkspaceError, stamp_of};

/// How often a waiting build looks whether the lock is free: `flock` cannot be waited for without a thread that a
/// cancelled build would leave behind.
pub const LOCK_POLL: Duration = Duration::from_millis(50);

/// Proof that this process is the only one that builds the project. Dropped: the next one may.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub struct Lock {
    file: File,
}

/// Who holds a lock that could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Its process id, where it could be read.
    pub pid: Option<u32>,
}

/// Characters of the number of a lock's holder; no number of a process is longer.
const NAME: usize = 10;

impl Workspace {
    /// Takes the lock, or says who has it. Sweeps `.majordomo/tmp` when it is had.
    pub fn try_lock(&self) -> Result<Result<Lock, Holder>, WorkspaceError> {
        let path = self.lock_path();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| WorkspaceError::io("written", &path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Err(holder(&file))),
            Err(errno) => return Err(WorkspaceError::io("locked", &path, errno.into())),
        }
        // Only advice for others: a lock without a name is a lock. Always of the same length: a file that was truncated is
        // written to the disk when it is closed, and that would be waited for.
        if let Err(error) = file.write_all_at(format!("{:>NAME$}\n", std::process::id()).as_bytes(), 0) {
            tracing::debug!(%error, "the lock has no name in it");
        }
        self.sweep()?;
        Ok(Ok(Lock { file }))
    }

    /// Takes the lock, waiting for it; `waits` is called once if another build has it. Safe to cancel.
    pub async fn lock(&self, waits: impl FnOnce(Holder)) -> Result<Lock, WorkspaceError> {
        let mut waits = Some(waits);
        loop {
            match self.try_lock()? {
                Ok(lock) => return Ok(lock),
                Err(holder) => {
                    if let Some(waits) = waits.take() {
                        waits(holder);
                    }
                }
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.folder().join("lock")
    }
}

fn holder(file: &File) -> Holder {
    let mut text = [0; 16];
    let read = file.read_at(&mut text, 0).unwrap_or(0);
    let text = std::str::from_utf8(&text[..read]).ok();
    Holder { pid: text.and_then(|text| text.lines().next()?.trim().parse().ok()) }
}

impl Lock {
    /// A moment on the project's own file system: whatever is changed from now on has this time or a later one.
    pub fn moment(&self) -> io::Result<Moment> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let coarse = Moment::now();
        futimens(&self.file, &Timestamps { last_access: now, last_modification: now })?;
        Ok(coarse.at_most(stamp_of(&fstat(&self.file)?).mtime_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_build_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open_or_create(dir.path()).unwrap();
        // What was in it before is not part of the name.
        std::fs::write(workspace.lock_path(), "7\nsomebody before\n").unwrap();
        let lock = workspace.try_lock().unwrap().unwrap();
        let other = Workspace::open_or_create(dir.path()).unwrap();
        assert_eq!(other.try_lock().unwrap().unwrap_err(), Holder { pid: Some(std::process::id()) });
        assert!(lock.moment().unwrap() <= Moment::now());
        drop(lock);
        assert!(other.try_lock().unwrap().is_ok());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_lock_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open_or_create(dir.path()).unwrap();
        let mut lock = Some(workspace.try_lock().unwrap().unwrap());
        let mut told = false;
        let taken = workspace.lock(|_| {
            told = true;
            lock.take();
        });
        assert!(taken.await.is_ok());
        assert!(told);
    }
}
