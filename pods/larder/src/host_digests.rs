//! Digests of host files by stat stamp, in memory.
//!
//! A build asks for thousands, and files of one folder have neighbouring inodes. So the table is read in blocks of
//! neighbours, and a block that was read answers "not known" as well. Blocks that are not used are forgotten.

use parking_lot::Mutex;
use protocol::{Digest, Stamp};
use rusqlite::params;
use rustc_hash::FxHashMap;

use crate::cache::Cache;
use crate::index::digest_of;
use crate::stamp_check::check;
use crate::{Larder, LarderError};

/// Inode numbers in a block, as a power of two.
const BLOCK_BITS: u32 = 10;
const SHARDS: usize = 16;

type Key = (u64, u64);
type Block = FxHashMap<u16, (Stamp, Digest)>;

pub(crate) struct HostDigests {
    shards: Vec<Mutex<Cache<Key, Block>>>,
}

fn key(stamp: &Stamp) -> (Key, u16) {
    ((stamp.dev, stamp.ino >> BLOCK_BITS), (stamp.ino & ((1 << BLOCK_BITS) - 1)) as u16)
}

/// An empty block weighs something too.
fn weight(block: &Block) -> usize {
    block.len() + 1
}

impl HostDigests {
    /// Remembers about `limit` digests.
    pub(crate) fn new(limit: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::new(Cache::new(limit.div_ceil(SHARDS)))).collect() }
    }

    fn shard(&self, key: &Key) -> &Mutex<Cache<Key, Block>> {
        &self.shards[(key.0 ^ key.1) as usize % SHARDS]
    }

    /// The digest of a file with exactly this stamp.
    pub(crate) fn get(&self, stamp: &Stamp, larder: &Larder) -> Result<Option<Digest>, LarderError> {
        self.with_block(stamp, larder, |block, at| {
            let digest = block.get(&at).filter(|(known, _)| known == stamp).map(|(_, digest)| *digest);
            (digest, 0)
        })
    }

    /// Remembers a digest here; false if it was known already.
    pub(crate) fn insert(
        &self,
        stamp: &Stamp,
        digest: &Digest,
        larder: &Larder,
    ) -> Result<bool, LarderError> {
        self.with_block(stamp, larder, |block, at| match block.insert(at, (*stamp, *digest)) {
            Some(before) => (before != (*stamp, *digest), 0),
            None => (true, 1),
        })
    }

    fn with_block<T>(
        &self,
        stamp: &Stamp,
        larder: &Larder,
        then: impl FnOnce(&mut Block, u16) -> (T, usize),
    ) -> Result<T, LarderError> {
        let (key, at) = key(stamp);
        let shard = self.shard(&key);
        let mut cache = shard.lock();
        if cache.get_mut(&key, weight).is_none() {
            drop(cache);
            let loaded = load(&key, larder)?;
            cache = shard.lock();
            // Another thread may have loaded it meanwhile, and may have added to it: that one stays.
            if cache.get_mut(&key, weight).is_none() {
                let weight = weight(&loaded);
                cache.insert(key, loaded, weight);
            }
        }
        let (answer, grown) = match cache.get_mut(&key, weight) {
            Some(block) => then(block, at),
            None => then(&mut Block::default(), at),
        };
        cache.grew(grown);
        Ok(answer)
    }
}

fn load((dev, block): &Key, larder: &Larder) -> Result<Block, LarderError> {
    larder.ask(|connection| {
        let mut query = connection.prepare_cached(
            "SELECT ino, size, mtime, ctime, digest, sum FROM stamps WHERE dev = ?1 AND ino BETWEEN ?2 AND ?3",
        )?;
        let first = block << BLOCK_BITS;
        let last = first | ((1 << BLOCK_BITS) - 1);
        let mut rows = query.query(params![*dev as i64, first as i64, last as i64])?;
        let mut found = Block::default();
        while let Some(row) = rows.next()? {
            let stamp = Stamp {
                dev: *dev,
                ino: row.get::<_, i64>(0)? as u64,
                size: row.get::<_, i64>(1)? as u64,
                mtime_ns: row.get(2)?,
                ctime_ns: row.get(3)?,
            };
            let digest = digest_of(row, 4)?;
            if row.get::<_, i64>(5)? == i64::from(check(&stamp, &digest)) {
                found.insert(key(&stamp).1, (stamp, digest));
            }
        }
        Ok(found)
    })
}
