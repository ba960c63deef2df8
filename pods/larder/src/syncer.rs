//! Forcing bytes onto the disk, a while after they were put and away from those who put.
//!
//! Puts and commits never wait for the disk: the order "data, then database" holds for the kernel's view of the
//! files, and a power cut that breaks it is found out, because nothing is believed unhashed. So all that this does
//! is to bound what a power cut takes away, and to spare the next boot the hashing of big blobs.

use std::fs::File;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use protocol::Digest;

use crate::index::Change;
use crate::larder::Inner;
use crate::{Larder, LarderError};

/// What the writer tells the syncer: there is something new. One such word is enough.
#[derive(Clone)]
pub(crate) struct Nudge(Sender<()>);

impl Nudge {
    pub(crate) fn pair() -> (Self, Receiver<()>) {
        let (sender, receiver) = bounded(1);
        (Self(sender), receiver)
    }

    pub(crate) fn nudge(&self) {
        match self.0.try_send(()) {
            // Full: it knows already. Disconnected: nothing is to be synced by itself.
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

/// Starts the thread. It ends with the larder; a sync under way is not waited for, since the kernel finishes it anyway.
pub(crate) fn start(
    inner: Weak<Inner>,
    nudged: Receiver<()>,
    stop: Receiver<()>,
    after: Duration,
) -> std::io::Result<()> {
    let run = move || {
        while nudged.recv().is_ok() {
            if let Err(RecvTimeoutError::Disconnected) = stop.recv_timeout(after) {
                break;
            }
            let Some(inner) = inner.upgrade() else { break };
            if let Err(error) = (Larder { inner }).sync() {
                tracing::warn!(%error, "the larder's files could not be forced onto the disk");
            }
        }
    };
    std::thread::Builder::new().name("larder-syncer".into()).spawn(run).map(drop)
}

impl Larder {
    /// Waits until everything that was put so far is on the disk itself: a power cut loses none of it.
    ///
    /// # Errors
    /// Of the disk.
    pub fn sync(&self) -> Result<(), LarderError> {
        // Whoever comes second finds nothing to do, and must not return before it is done.
        let _one = self.inner.syncing.lock();
        self.flush()?;
        let packs = self.shared().packs.take_unsynced();
        let blobs = std::mem::take(&mut *self.inner.unsynced.lock());
        let done = self.sync_these(&packs, &blobs);
        if done.is_err() {
            self.shared().packs.give_back_unsynced(packs);
            self.inner.unsynced.lock().extend(blobs);
        }
        done
    }

    fn sync_these(&self, packs: &[Arc<File>], blobs: &[Digest]) -> Result<(), LarderError> {
        let folders = &self.inner.folders;
        for pack in packs {
            pack.sync_data().map_err(|error| LarderError::io("sync", &folders.packs, error))?;
        }
        if !packs.is_empty() {
            sync_folder(&folders.packs)?;
        }
        let mut named_in = Vec::new();
        for digest in blobs {
            // One that is gone meanwhile was damaged, or replaced.
            if let Some((file, _)) = self.inner.blobs.open(digest)? {
                let path = self.inner.blobs.path(digest);
                file.sync_data().map_err(|error| LarderError::io("sync", &path, error))?;
                named_in.extend(path.parent().map(|folder| folder.to_owned()));
            }
        }
        named_in.sort();
        named_in.dedup();
        named_in.iter().try_for_each(|folder| sync_folder(folder))?;
        if !blobs.is_empty() {
            sync_folder(&folders.blobs)?;
            self.change(Change::Synced(blobs.to_vec()))?;
        }
        Ok(())
    }
}

fn sync_folder(folder: &std::path::Path) -> Result<(), LarderError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| LarderError::io("sync", folder, error))
}
