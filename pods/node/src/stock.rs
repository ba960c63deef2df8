//! The larder as the swarm sees it, and the chunk lists beside it.
//!
//! Lists are files in a folder of their own, `<first two digits>/<kind>-<hex>`, each with its own digest at the end: side
//! data that can be made again, so nothing waits for the disk. Which chunk is in which object is kept in memory,
//! read from the lists when it is first asked for. A list whose object is gone goes too.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Draft, Larder};
use parking_lot::Mutex;
use protocol::swarm::ChunkList;
use protocol::{Digest, ObjectId, ObjectKind};
use rustc_hash::FxHashMap;
use swarm::{Content, Incoming, Store, StoreError};

/// Chunks of which is remembered where they are (about 90 bytes each); others are sent again.
const MAX_CHUNKS: usize = 1 << 20;
/// What a list that is being written is called at its end.
const WRITTEN: &str = "tmp";
/// Objects that are looked up at once.
const AT_ONCE: usize = 4096;

/// A larder for the swarm.
pub struct Stock {
    larder: Larder,
    lists: PathBuf,
    chunks: Mutex<Option<FxHashMap<Digest, (ObjectId, u64)>>>,
    next: AtomicU64,
}

impl Stock {
    /// Over a larder; chunk lists are kept in a folder, which is made.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(larder: Larder, lists: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(lists)?;
        sweep(lists)?;
        Ok(Self { larder, lists: lists.to_owned(), chunks: Mutex::default(), next: AtomicU64::new(0) })
    }

    fn path(&self, id: &ObjectId) -> PathBuf {
        let hex = id.digest.hex();
        self.lists.join(&hex[..2]).join(format!("{}-{hex}", id.kind as u8))
    }

    /// The list in a file, if it is one.
    fn read(path: &Path, id: ObjectId) -> io::Result<Option<ChunkList>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(ChunkList::decode(id, &bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All lists of objects that are still there.
    fn load(&self) -> Result<FxHashMap<Digest, (ObjectId, u64)>, StoreError> {
        let mut chunks = FxHashMap::default();
        for folder in std::fs::read_dir(&self.lists)? {
            let folder = folder?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(folder)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == WRITTEN) {
                    continue;
                }
                let id = path.file_name().and_then(|name| name.to_str()).and_then(parse);
                let list = match id {
                    Some(id) if self.larder.contains(&id.digest).map_err(StoreError::new)? => {
                        Self::read(&path, id)?
                    }
                    _ => None,
                };
                match list {
                    Some(list) => note(&mut chunks, &list),
                    None => std::fs::remove_file(&path)?,
                }
            }
        }
        Ok(chunks)
    }
}

/// Removes lists that a process wrote when it ended: those of this one are about to get their names.
fn sweep(lists: &Path) -> io::Result<()> {
    for folder in std::fs::read_dir(lists)? {
        let folder = folder?.path();
        let files = match folder.is_dir() {
            true => std::fs::read_dir(folder)?,
            false => continue,
        };
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == WRITTEN) {
                std::fs::remove_file(path)?;
            }
        }
    }
    Ok(())
}

fn parse(name: &str) -> Option<ObjectId> {
    let (kind, hex) = name.split_once('-')?;
    let digest = format!("b3:{hex}").parse().ok()?;
    Some(ObjectId { kind: ObjectKind::from_byte(kind.parse().ok()?)?, digest })
}

fn note(chunks: &mut FxHashMap<Digest, (ObjectId, u64)>, list: &ChunkList) {
    for (offset, chunk) in list.placed() {
        if chunks.len() < MAX_CHUNKS {
            chunks.insert(chunk.digest, (list.object(), offset));
        }
    }
}

impl Store for Stock {
    fn sizes(&self, ids: &[ObjectId], _lease: Duration) -> Result<Vec<Option<u64>>, StoreError> {
        // Nothing is ever deleted from a larder yet but what is damaged: every lease holds.
        let mut sizes = Vec::with_capacity(ids.len());
        for some in ids.chunks(AT_ONCE) {
            let digests: Vec<Digest> = some.iter().map(|id| id.digest).collect();
            self.larder.expect(&digests).map_err(StoreError::new)?;
            for digest in &digests {
                sizes.push(self.larder.size_of(digest).map_err(StoreError::new)?);
            }
        }
        Ok(sizes)
    }

    fn open(&self, id: &ObjectId) -> Result<Option<Content>, StoreError> {
        if id.kind != ObjectKind::Blob {
            let bytes = self.larder.get(id.kind, &id.digest).map_err(StoreError::new)?;
            return Ok(bytes.map(Content::Bytes));
        }
        Ok(match self.larder.open_blob(&id.digest).map_err(StoreError::new)? {
            Some(larder::Content::File { file, size }) => Some(Content::File { file, size }),
            Some(larder::Content::Bytes(bytes)) => Some(Content::Bytes(bytes)),
            None => None,
        })
    }

    fn put(&self, id: &ObjectId, bytes: &[u8]) -> Result<bool, StoreError> {
        self.larder.put_checked(id.kind, &id.digest, bytes).map_err(StoreError::new)
    }

    fn begin(&self, id: &ObjectId, size: u64) -> Result<Box<dyn Incoming>, StoreError> {
        let draft = self.larder.draft(id.kind, &id.digest, size).map_err(StoreError::new)?;
        Ok(Box::new(Arriving(draft)))
    }

    fn chunk_list(&self, id: &ObjectId) -> Result<Option<Arc<ChunkList>>, StoreError> {
        Ok(Self::read(&self.path(id), *id)?.map(Arc::new))
    }

    fn keep_chunk_list(&self, list: Arc<ChunkList>) -> Result<(), StoreError> {
        let path = self.path(&list.object());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let temp = path.with_extension(format!("{}.{WRITTEN}", self.next.fetch_add(1, Ordering::Relaxed)));
        std::fs::write(&temp, list.encode())?;
        std::fs::rename(&temp, &path)?;
        if let Some(chunks) = self.chunks.lock().as_mut() {
            note(chunks, &list);
        }
        Ok(())
    }

    fn find_chunk(&self, chunk: &Digest) -> Result<Option<(ObjectId, u64)>, StoreError> {
        let mut chunks = self.chunks.lock();
        if chunks.is_none() {
            *chunks = Some(self.load()?);
        }
        Ok(chunks.as_ref().and_then(|chunks| chunks.get(chunk).copied()))
    }
}

struct Arriving(Draft);

impl Incoming for Arriving {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.write(offset, bytes).map_err(StoreError::new)
    }

    fn finish(&self) -> Result<bool, StoreError> {
        self.0.finish().map_err(StoreError::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(folder: &Path) -> Stock {
        let larder = Larder::open(&folder.join("larder"), larder::Options::default()).unwrap();
        Stock::new(larder, &folder.join("chunks")).unwrap()
    }

    #[test]
    fn the_larder_keeps_the_swarms_laws() {
        let folder = tempfile::tempdir().unwrap();
        swarm::laws::check(&stock(folder.path())).unwrap();
    }

    #[test]
    fn a_list_that_is_being_written_is_left_to_whoever_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = stock(folder.path());
        let lists = folder.path().join("chunks/00");
        std::fs::create_dir_all(&lists).unwrap();
        std::fs::write(lists.join("0-00.7.tmp"), "half").unwrap();
        store.find_chunk(&Digest::of(b"any")).unwrap();
        assert!(lists.join("0-00.7.tmp").exists());
        drop(store);
        // Whoever wrote it is gone.
        drop(stock(folder.path()));
        assert!(!lists.join("0-00.7.tmp").exists());
    }

    #[test]
    fn lists_outlive_the_pod_but_not_their_objects() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = swarm::testing::noise(1, 5 << 20);
        let id = ObjectId::of(ObjectKind::Blob, &bytes);
        let keep = |store: &Stock, id: ObjectId| {
            let content = Content::Bytes(bytes.clone().into());
            let list = swarm::chunk_list(id, &content).unwrap().unwrap();
            store.keep_chunk_list(list.clone().into()).unwrap();
            list
        };
        let store = stock(folder.path());
        assert!(store.put(&id, &bytes).unwrap());
        let list = keep(&store, id);
        let gone = ObjectId::blob(Digest::of(b"gone"));
        keep(&store, gone);
        std::fs::write(folder.path().join("chunks/aa"), "no folder").unwrap();
        drop(store);
        let store = stock(folder.path());
        assert_eq!(
            store.find_chunk(&list.chunks()[1].digest).unwrap(),
            Some((id, list.chunks()[0].length.into()))
        );
        assert!(store.chunk_list(&id).unwrap().is_some());
        assert!(store.chunk_list(&gone).unwrap().is_none());
        // A damaged list is none.
        std::fs::write(store.path(&id), b"garbage").unwrap();
        assert!(store.chunk_list(&id).unwrap().is_none());
    }
}
