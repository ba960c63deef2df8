//! Chunk lists: where an object is cut, and the digest of each piece. Side data: no part of an object's name.

use crate::codec::{BadObject, Reader, Writer};
use crate::digest::context;
use crate::{Digest, ObjectId};

const FORMAT: u8 = 1;

/// How objects are cut: the remote-execution API's `FastCdc2020Params`, and the size up to which nothing is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkParams {
    /// The average size of a chunk in bytes; the least is a quarter, the most four times that.
    pub average: u32,
    /// Normalisation level.
    pub level: u8,
    /// Seed of the gear table.
    pub seed: u64,
    /// Objects of so many bytes or fewer are not cut.
    pub whole: u32,
}

impl ChunkParams {
    /// The only ones in use: average 512 KiB, level 2, seed 0, nothing cut up to 2 MiB.
    pub const DEFAULT: Self = Self { average: 512 << 10, level: 2, seed: 0, whole: 2 << 20 };

    /// The least size of a chunk, the last one apart.
    pub const fn least(&self) -> u32 {
        self.average / 4
    }

    /// The greatest size of a chunk.
    pub const fn most(&self) -> u32 {
        self.average * 4
    }
}

/// One piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Of its bytes, as if it were a blob.
    pub digest: Digest,
    /// How many they are.
    pub length: u32,
}

/// The pieces of one object in order. Its lengths keep the parameters' bounds and sum up to the object's size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkList {
    object: ObjectId,
    size: u64,
    chunks: Vec<Chunk>,
}

impl ChunkList {
    /// Takes a list whose lengths keep the bounds of [`ChunkParams::DEFAULT`].
    pub fn new(object: ObjectId, chunks: Vec<Chunk>) -> Result<Self, BadObject> {
        let params = ChunkParams::DEFAULT;
        let Some((last, others)) = chunks.split_last() else { return Err(BadObject::Short) };
        let fits = |chunk: &Chunk, least| (least..=params.most()).contains(&chunk.length);
        if !fits(last, 1) || !others.iter().all(|chunk| fits(chunk, params.least())) {
            return Err(BadObject::Field("a chunk's length"));
        }
        let size = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        Ok(Self { object, size, chunks })
    }

    /// Of which object.
    pub fn object(&self) -> ObjectId {
        self.object
    }

    /// The object's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The pieces.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The pieces with where they begin.
    pub fn placed(&self) -> impl Iterator<Item = (u64, Chunk)> + '_ {
        self.chunks.iter().scan(0, |end, &chunk| {
            let start = *end;
            *end += u64::from(chunk.length);
            Some((start, chunk))
        })
    }

    /// The longest canonical form that the list of an object of this size can have.
    pub const fn longest(size: u64) -> u64 {
        128 + (size / ChunkParams::DEFAULT.least() as u64 + 1) * (Digest::LEN as u64 + 4)
    }

    /// The canonical form, which ends with its own digest: on disk and on the wire it stands alone.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        writer.byte(self.object.kind as u8).digest(&self.object.digest).number(self.chunks.len() as u64);
        for chunk in &self.chunks {
            writer.number(chunk.length.into()).digest(&chunk.digest);
        }
        let mut bytes = writer.finish();
        let sum = Digest::in_context(context::CHUNK_LIST, &bytes);
        bytes.extend_from_slice(sum.as_bytes());
        bytes
    }

    /// Reads the canonical form of this object's list.
    pub fn decode(object: ObjectId, bytes: &[u8]) -> Result<Self, BadObject> {
        let (body, sum) = bytes.split_last_chunk::<{ Digest::LEN }>().ok_or(BadObject::Short)?;
        let mut reader = Reader::with_format(body, FORMAT)?;
        if Digest::in_context(context::CHUNK_LIST, body).as_bytes() != sum {
            return Err(BadObject::Field("the list's digest"));
        }
        if reader.byte()? != object.kind as u8 || reader.digest()? != object.digest {
            return Err(BadObject::Field("the list's object"));
        }
        let count = reader.count()?;
        let one = |reader: &mut Reader<'_>| -> Result<Chunk, BadObject> {
            let length = u32::try_from(reader.number()?).map_err(|_| BadObject::Field("a chunk's length"))?;
            Ok(Chunk { length, digest: reader.digest()? })
        };
        let chunks = (0..count).map(|_| one(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Self::new(object, chunks)
    }
}
