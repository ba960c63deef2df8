//! What the laws are applied to.

use std::os::unix::fs::PermissionsExt;

use protocol::Digest;
use tempfile::TempDir;

use crate::places::Place;
use crate::record::HEADER;
use crate::{Larder, MemoryLarder, Options, Store};

/// A store that can be damaged and opened again.
pub(super) trait Subject {
    type Store: Store;

    fn new() -> Self;
    fn store(&self) -> &Self::Store;
    /// As if the process had ended and started again.
    fn reopen(self) -> Self;
    /// Flips a bit of an object behind the store's back.
    fn damage(&self, digest: &Digest);
}

pub(super) struct Twin(MemoryLarder);

impl Subject for Twin {
    type Store = MemoryLarder;

    fn new() -> Self {
        Self(MemoryLarder::default())
    }

    fn store(&self) -> &MemoryLarder {
        &self.0
    }

    fn reopen(self) -> Self {
        self
    }

    fn damage(&self, digest: &Digest) {
        self.0.damage(digest);
    }
}

pub(super) struct OnDisk {
    dir: TempDir,
    store: Option<Larder>,
}

impl Subject for OnDisk {
    type Store = Larder;

    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Larder::open(dir.path(), Options::default()).unwrap());
        Self { dir, store }
    }

    fn store(&self) -> &Larder {
        self.store.as_ref().unwrap()
    }

    fn reopen(mut self) -> Self {
        drop(self.store.take());
        self.store = Some(Larder::open(self.dir.path(), Options::default()).unwrap());
        self
    }

    fn damage(&self, digest: &Digest) {
        damage(self.store(), digest);
    }
}

/// Flips a bit of an object on the disk.
pub(super) fn damage(larder: &Larder, digest: &Digest) {
    use std::os::unix::fs::FileExt;
    larder.flush().unwrap();
    let (path, at) = match larder.locate(digest, u64::MAX).unwrap().unwrap() {
        Place::Packed { spot, .. } => (
            larder.shared().packs.path(spot.pack),
            u64::from(spot.offset) + HEADER as u64 + u64::from(spot.length) - 1,
        ),
        Place::Whole { size, .. } => (larder.inner.blobs.path(digest), size / 2),
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}
