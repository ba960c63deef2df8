//! The laws of [`Store`], for the twin here and for real larders elsewhere. Each panics where a store breaks it, and
//! fails where the store itself does.

use std::time::Duration;

use protocol::swarm::{Chunk, ChunkList, ChunkParams};
use protocol::{Digest, ObjectId, ObjectKind};

use crate::{Content, Store, StoreError, chunk_list};

const LEASE: Duration = Duration::from_secs(60);

fn read(store: &dyn Store, id: &ObjectId) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(content) = store.open(id)? else { return Ok(None) };
    let mut bytes = Vec::new();
    content.read_at(0, content.size() as usize, &mut bytes)?;
    Ok(Some(bytes))
}

/// All of them.
///
/// # Errors
/// Of the store; a law that does not hold is a panic.
pub fn check(store: &dyn Store) -> Result<(), StoreError> {
    what_is_put_is_there(store)?;
    what_is_wrong_is_not_taken(store)?;
    parts_make_a_whole(store)?;
    what_is_unfinished_is_nothing(store)?;
    lists_are_kept(store)
}

fn what_is_put_is_there(store: &dyn Store) -> Result<(), StoreError> {
    for kind in ObjectKind::ALL {
        for size in [0, 1, 5000, 1 << 20, 3 << 20] {
            let bytes = vec![kind as u8; size];
            let id = ObjectId::of(kind, &bytes);
            assert_eq!(store.sizes(&[id], LEASE)?, [None]);
            assert!(store.open(&id)?.is_none());
            assert!(store.put(&id, &bytes)?);
            assert_eq!(store.sizes(&[id], LEASE)?, [Some(size as u64)]);
            assert_eq!(read(store, &id)?.as_deref(), Some(&bytes[..]));
        }
    }
    Ok(())
}

fn what_is_wrong_is_not_taken(store: &dyn Store) -> Result<(), StoreError> {
    for kind in ObjectKind::ALL {
        for size in [10, 2 << 20] {
            let bytes = vec![0x55; size];
            let mut id = ObjectId::of(kind, b"something else");
            assert!(!store.put(&id, &bytes)?);
            assert_eq!(store.sizes(&[id], LEASE)?, [None]);
            // Nor under the name that the bytes have in another context.
            id = ObjectId { kind, digest: Digest::in_context("another", &bytes) };
            assert!(!store.put(&id, &bytes)?);
        }
    }
    Ok(())
}

fn parts_make_a_whole(store: &dyn Store) -> Result<(), StoreError> {
    for (kind, seed) in [(ObjectKind::Blob, 1), (ObjectKind::Tree, 2)] {
        let bytes = crate::testing::noise(seed, (5 << 20) + 17);
        let id = ObjectId::of(kind, &bytes);
        let incoming = store.begin(&id, bytes.len() as u64)?;
        let mut parts: Vec<usize> = (0..bytes.len()).step_by(700_000).collect();
        parts.swap(0, 2);
        parts.rotate_left(5);
        for start in parts {
            assert_eq!(store.sizes(&[id], LEASE)?, [None]);
            let end = bytes.len().min(start + 700_000);
            incoming.write(start as u64, &bytes[start..end])?;
        }
        assert!(incoming.finish()?);
        assert_eq!(read(store, &id)?.as_deref(), Some(&bytes[..]));
    }
    Ok(())
}

fn what_is_unfinished_is_nothing(store: &dyn Store) -> Result<(), StoreError> {
    let bytes = crate::testing::noise(3, 3 << 20);
    let id = ObjectId::blob(Digest::of(&bytes));
    drop(store.begin(&id, bytes.len() as u64)?);
    // A part is missing, and a part is wrong.
    let incoming = store.begin(&id, bytes.len() as u64)?;
    incoming.write(0, &bytes[..1 << 20])?;
    assert!(!incoming.finish()?);
    let incoming = store.begin(&id, bytes.len() as u64)?;
    incoming.write(0, &bytes[1..])?;
    incoming.write(bytes.len() as u64 - 1, &[0])?;
    assert!(!incoming.finish()?);
    assert_eq!(store.sizes(&[id], LEASE)?, [None]);
    assert!(store.open(&id)?.is_none());
    Ok(())
}

fn lists_are_kept(store: &dyn Store) -> Result<(), StoreError> {
    let bytes = crate::testing::noise(4, 6 << 20);
    let id = ObjectId::blob(Digest::of(&bytes));
    assert!(store.put(&id, &bytes)?);
    assert!(store.chunk_list(&id)?.is_none());
    let content: Content = store.open(&id)?.ok_or(std::io::Error::from(std::io::ErrorKind::NotFound))?;
    let list = chunk_list(id, &content)?.ok_or(std::io::Error::from(std::io::ErrorKind::NotFound))?;
    store.keep_chunk_list(list.clone().into())?;
    assert_eq!(store.chunk_list(&id)?.as_deref(), Some(&list));
    for (offset, chunk) in list.placed() {
        assert_eq!(store.find_chunk(&chunk.digest)?, Some((id, offset)));
    }
    assert_eq!(store.find_chunk(&Digest::of(b"nowhere"))?, None);
    // A list of one chunk is one too.
    let small = Chunk { digest: Digest::of(b"x"), length: ChunkParams::DEFAULT.least() };
    assert!(ChunkList::new(id, vec![small]).is_ok());
    Ok(())
}
