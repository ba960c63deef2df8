//! The scratch folder: a folder for each step, used again.
//!
//! A step's folder has `work`, which the overlay wants, and `upper`, which is made anew for each step. Folders are used in turn,
//! and on ext4 each is in a block group of its own: an overlay's mount makes and unmakes eight inodes, and ext4 passes by
//! each inode that was deleted in the last seconds when it looks for a free one.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::kitchen::group_prefix;
use crate::remove::{empty_folder, remove_tree};
use crate::wire::LOWER;

/// Folders that are made before one is used again. Each costs reads of a block group that may not be in memory; with fewer, the
/// search for free inodes gets longer. 64 measured slower than 12 in wall time, the same in CPU time.
const IN_TURN: u64 = 16;
/// Folders that may wait to be emptied; beyond that whoever is done with one empties it himself.
const WAITING: usize = 1024;

/// All folders for steps of one kitchen. Dropped, which is when none of them is used any more, it is removed.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    sweeper: SyncSender<(Arc<Scratch>, u64)>,
    state: Mutex<State>,
    /// Goes when the folder has gone.
    here: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    free: VecDeque<u64>,
    made: u64,
}

/// Removes all that is in a folder of scratch folders, which nobody uses: what a dead pod left there, and its control groups. Makes it where
/// it is missing.
///
/// # Errors
/// Something in it cannot be removed.
pub fn sweep(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let path = path.canonicalize()?;
    crate::limits::cgroups::sweep(&group_prefix(&path));
    empty_folder(&path)
}

/// One step's folder. Dropped, it is emptied on a thread of its own, and then used again.
#[derive(Debug)]
pub(crate) struct Folder {
    scratch: Arc<Scratch>,
    pub(crate) number: u64,
}

impl Scratch {
    /// Makes the folder, or empties it: what a dead pod has left.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Self>> {
        fs::create_dir_all(path)?;
        empty_folder(path)?;
        spread(path);
        let (sweeper, dirty) = sync_channel::<(Arc<Scratch>, u64)>(WAITING);
        std::thread::Builder::new().name("kitchen-sweeper".to_owned()).spawn(move || {
            for (scratch, number) in dirty {
                scratch.clean(number);
            }
        })?;
        let here = watch::Sender::new(());
        Ok(Arc::new(Self { path: path.canonicalize()?, sweeper, state: Mutex::default(), here }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes never, and ends when the folder has gone.
    pub(crate) fn gone(&self) -> watch::Receiver<()> {
        self.here.subscribe()
    }

    /// A folder with an empty `work` and without `upper`.
    pub(crate) fn take(self: &Arc<Self>) -> io::Result<Folder> {
        let number = {
            let mut state = self.state.lock();
            if state.made < IN_TURN || state.free.is_empty() {
                state.made += 1;
                Err(state.made)
            } else {
                Ok(state.free.pop_front().unwrap_or(state.made))
            }
        };
        let number = match number {
            Ok(used) => used,
            Err(new) => {
                fs::create_dir_all(self.path.join(new.to_string()).join("work"))?;
                new
            }
        };
        Ok(Folder { scratch: self.clone(), number })
    }

    fn clean(&self, number: u64) {
        let folder = self.path.join(number.to_string());
        let cleaned = remove_tree(&folder.join("upper")).and_then(|()| empty_folder(&folder.join("work")));
        match cleaned {
            Ok(()) => self.state.lock().free.push_back(number),
            // Never used again, and tried once more at the next start.
            Err(error) => {
                tracing::warn!(path = %folder.display(), %error, "what a step wrote cannot be removed")
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a scratch folder stays until the next start");
        }
    }
}

impl Folder {
    /// The folder that stands for the project's root.
    pub(crate) fn upper(&self) -> PathBuf {
        self.scratch.path.join(self.number.to_string()).join("upper")
    }

    /// Where what another step wrote stands while it is seen under this one's.
    pub(crate) fn lower(&self) -> PathBuf {
        self.scratch.path.join(self.number.to_string()).join(LOWER)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let order = (self.scratch.clone(), self.number);
        if let Err(TrySendError::Full((scratch, number)) | TrySendError::Disconnected((scratch, number))) =
            self.scratch.sweeper.try_send(order)
        {
            scratch.clean(number);
        }
    }
}

/// Asks ext4 to put each folder into another block group. Other file systems refuse, and do not need it.
fn spread(path: &Path) {
    const TOP_OF_TREES: u32 = 0x0002_0000;
    let attempt = || {
        let folder = fs::File::open(path)?;
        let flags = rustix::fs::ioctl_getflags(&folder)?;
        rustix::fs::ioctl_setflags(&folder, flags | rustix::fs::IFlags::from_bits_retain(TOP_OF_TREES))
            .map_err(io::Error::from)
    };
    if let Err(error) = attempt() {
        tracing::debug!(%error, "the scratch folder's folders are not spread over the disk");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_pod_left_goes_and_folders_are_used_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("scratch");
        fs::create_dir_all(path.join("3/upper/a")).unwrap();
        let scratch = Scratch::open(&path).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 * IN_TURN {
            let folder = scratch.take().unwrap();
            fs::create_dir(folder.upper()).unwrap();
            seen.insert(folder.number);
            let upper = folder.upper();
            drop(folder);
            while upper.exists() {
                std::thread::yield_now();
            }
        }
        assert!(seen.len() as u64 <= IN_TURN + 1, "{} folders", seen.len());
        // What is still used holds it.
        let used = scratch.take().unwrap();
        fs::create_dir(used.upper()).unwrap();
        let mut gone = scratch.gone();
        drop(scratch);
        assert!(used.upper().exists());
        drop(used);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(gone.changed()).is_err() && !path.exists());
    }
}
