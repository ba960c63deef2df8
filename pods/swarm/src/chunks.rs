//! Cutting objects into chunks: FastCDC 2020 as the remote-execution API has it, so that cut points agree with other
//! tools' and an inserted byte changes one or two chunks.
//!
//! Identity is the object's digest; a chunk list is side data that anybody can make again. A list is made when an
//! object is first offered ([`Store::chunk_list`](crate::Store::chunk_list) keeps it), never when one is stored.

use std::io;

use fastcdc::v2020::{FastCDC, Normalization};
use protocol::swarm::{Chunk, ChunkList, ChunkParams};
use protocol::{Digest, ObjectId};

use crate::Content;

/// How much of an object is looked at in one go: a multiple of the greatest chunk.
const WINDOW: usize = 16 << 20;

/// Whether an object of this size is sent in chunks.
pub fn is_chunked(size: u64) -> bool {
    size > u64::from(ChunkParams::DEFAULT.whole)
}

/// The lengths of the chunks that bytes are cut into. `last` says that nothing follows; else what is left over at the
/// end, up to one greatest chunk, has to be given again in front of what follows.
fn cut(bytes: &[u8], params: &ChunkParams, last: bool) -> Vec<usize> {
    let (least, most) = (params.least() as usize, params.most() as usize);
    let level = match params.level {
        0 => Normalization::Level0,
        1 => Normalization::Level1,
        2 => Normalization::Level2,
        _ => Normalization::Level3,
    };
    let cutter =
        FastCDC::with_level_and_seed(bytes, least, params.average as usize, most, level, params.seed);
    let mut start = 0;
    let mut lengths = Vec::new();
    for chunk in cutter {
        // Near the end the cut may be that of the buffer.
        if !last && bytes.len() - start < most {
            break;
        }
        start += chunk.length;
        lengths.push(chunk.length);
    }
    lengths
}

/// Makes an object's chunk list; none if it is not sent in chunks.
///
/// # Errors
/// The content cannot be read.
pub fn chunk_list(id: ObjectId, content: &Content) -> io::Result<Option<ChunkList>> {
    let size = content.size();
    if !is_chunked(size) {
        return Ok(None);
    }
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut buffer = Vec::new();
    while start < size {
        let length = (size - start).min(WINDOW as u64) as usize;
        let last = start + length as u64 == size;
        content.read_at(start, length, &mut buffer)?;
        let mut rest = &buffer[..];
        for length in cut(rest, &ChunkParams::DEFAULT, last) {
            let (bytes, after) = rest.split_at(length);
            chunks.push(Chunk { digest: Digest::of(bytes), length: length as u32 });
            start += length as u64;
            rest = after;
        }
    }
    ChunkList::new(id, chunks).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::testing::noise;

    /// The algorithm as the paper and the remote-execution API describe it, a byte at a time.
    fn by_the_book(bytes: &[u8], params: &ChunkParams) -> Vec<usize> {
        let (gear, _) = fastcdc::v2020::get_gear_with_seed(params.seed);
        let bits = params.average.ilog2();
        let (strict, loose) = (
            fastcdc::v2020::MASKS[(bits + u32::from(params.level)) as usize],
            fastcdc::v2020::MASKS[(bits - u32::from(params.level)) as usize],
        );
        let mut lengths = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.len().min(params.most() as usize);
            let mut length = end;
            if rest.len() > params.least() as usize {
                let mut hash = 0u64;
                for (at, byte) in rest.iter().enumerate().take(end).skip(params.least() as usize) {
                    hash = (hash << 1).wrapping_add(gear[usize::from(*byte)]);
                    let mask = if at < (params.average as usize).min(end) { strict } else { loose };
                    if hash & mask == 0 {
                        length = at;
                        break;
                    }
                }
            }
            lengths.push(length);
            rest = &rest[length..];
        }
        lengths
    }

    #[test]
    fn cut_points_are_those_of_the_algorithm() {
        for (seed, size) in [(1, 9_000_000), (2, 3 << 20), (3, 5_000_001)] {
            let bytes = noise(seed, size);
            for average in [16 << 10, 512 << 10] {
                let params = ChunkParams { average, ..ChunkParams::DEFAULT };
                assert_eq!(cut(&bytes, &params, true), by_the_book(&bytes, &params), "{seed} {average}");
            }
        }
    }

    /// With the algorithm above they are all that other implementations must agree on.
    #[test]
    fn the_tables_are_those_of_the_reference() {
        let (gear, _) = fastcdc::v2020::get_gear_with_seed(ChunkParams::DEFAULT.seed);
        assert_eq!(gear.len(), 256);
        let bytes: Vec<u8> = gear.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        assert_eq!(Digest::of(&bytes).short(), "b3:9af822d1");
        let bits = ChunkParams::DEFAULT.average.ilog2() as usize;
        assert_eq!(fastcdc::v2020::MASKS[bits + 2], 0x0000_d917_6753_7000);
        assert_eq!(fastcdc::v2020::MASKS[bits - 2], 0x0000_d907_0353_7000);
        assert_eq!(gear[0], 0x3b5d_3c7d_207e_37dc);
    }

    #[test]
    fn windows_do_not_show() {
        let bytes = Bytes::from(noise(7, 40 << 20));
        let id = ObjectId::blob(Digest::of(&bytes));
        let list = chunk_list(id, &Content::Bytes(bytes.clone())).unwrap().unwrap();
        let lengths: Vec<usize> = list.chunks().iter().map(|chunk| chunk.length as usize).collect();
        assert_eq!(lengths, cut(&bytes, &ChunkParams::DEFAULT, true));
        for (at, chunk) in list.placed() {
            assert_eq!(Digest::of(&bytes[at as usize..][..chunk.length as usize]), chunk.digest);
        }
    }

    #[test]
    fn an_inserted_byte_changes_little() {
        let before = noise(9, 20 << 20);
        let mut after = before.clone();
        after.insert(5_000_000, 1);
        let digests = |bytes: Vec<u8>| -> Vec<Digest> {
            let id = ObjectId::blob(Digest::of(&bytes));
            let list = chunk_list(id, &Content::Bytes(bytes.into())).unwrap().unwrap();
            list.chunks().iter().map(|chunk| chunk.digest).collect()
        };
        let (before, after) = (digests(before), digests(after));
        let new = after.iter().filter(|digest| !before.contains(digest)).count();
        assert!((1..=3).contains(&new), "{new} of {}", after.len());
    }

    #[test]
    fn up_to_two_mebibytes_nothing_is_cut() {
        let bytes = |size| Content::Bytes(Bytes::from(vec![0; size]));
        let id = ObjectId::blob(Digest::of(b""));
        assert_eq!(chunk_list(id, &bytes(2 << 20)).unwrap(), None);
        let list = chunk_list(id, &bytes((2 << 20) + 1)).unwrap().unwrap();
        assert_eq!(list.size(), (2 << 20) + 1);
    }
}
