//! The binary form of the manifest and of intents.
//!
//! Body: format, the steps' names (sorted, each once), the number of entries, then each: bytes shared with the path
//! before, the rest of the path, step, kind, and what the kind needs; a stamp as five little-endian numbers of eight
//! bytes, or nothing. One manifest has one form.

use protocol::codec::{BadObject, Reader, Writer};
use protocol::{RelPath, StepId};

use super::manifest::{Made, Output};
use super::{Seal, Stamp};

/// The format that this program writes.
pub const FORMAT: u8 = 1;

/// `.majordomo/manifest`.
pub const MANIFEST: Seal = Seal { magic: *b"CPMF", context: "computepods manifest v1", format: FORMAT };

/// `.majordomo/intents`.
pub const INTENTS: Seal = Seal { magic: *b"CPIN", context: "computepods intents v1", format: FORMAT };

const STAMP_LEN: usize = 40;

/// Writes a stamp as [`read_stamp`] reads it.
pub fn stamp_bytes(stamp: &Stamp) -> [u8; STAMP_LEN] {
    let mut bytes = [0; STAMP_LEN];
    let numbers =
        [stamp.dev, stamp.ino, stamp.size, stamp.mtime_ns.cast_unsigned(), stamp.ctime_ns.cast_unsigned()];
    for (chunk, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        chunk.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}

/// Reads a stamp; `None` if the bytes are none.
pub fn read_stamp(bytes: &[u8]) -> Option<Stamp> {
    let bytes: &[u8; STAMP_LEN] = bytes.try_into().ok()?;
    let number = |at: usize| {
        let mut number = [0; 8];
        number.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
        u64::from_le_bytes(number)
    };
    Some(Stamp {
        dev: number(0),
        ino: number(1),
        size: number(2),
        mtime_ns: number(3).cast_signed(),
        ctime_ns: number(4).cast_signed(),
    })
}

/// Writes entries, which are sorted by path.
pub fn encode(entries: &[(RelPath, Output)]) -> Vec<u8> {
    let mut writer = Writer::with_format(FORMAT);
    let mut steps: Vec<&StepId> = entries.iter().map(|(_, output)| &output.step).collect();
    steps.sort_unstable();
    steps.dedup();
    writer.number(steps.len() as u64);
    for step in &steps {
        writer.bytes(step.as_str().as_bytes());
    }
    writer.number(entries.len() as u64);
    let mut before: &[u8] = b"";
    for (path, output) in entries {
        let bytes = path.as_bytes();
        let shared = before.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        writer.number(shared as u64).bytes(&bytes[shared..]);
        before = bytes;
        // Every step was collected above.
        writer.number(steps.binary_search(&&output.step).unwrap_or_default() as u64);
        match &output.made {
            Made::File { digest, size, exec } => writer.byte((*exec).into()).digest(digest).number(*size),
            Made::Link(target) => writer.byte(2).bytes(target),
            Made::Folder => writer.byte(3),
        };
        match &output.stamp {
            Some(stamp) => writer.bytes(&stamp_bytes(stamp)),
            None => writer.bytes(b""),
        };
    }
    writer.finish()
}

/// Reads what [`encode`] wrote.
pub fn decode(body: &[u8]) -> Result<Vec<(RelPath, Output)>, BadObject> {
    let mut reader = Reader::with_format(body, FORMAT)?;
    let mut steps = Vec::new();
    for _ in 0..reader.count()? {
        let name = std::str::from_utf8(reader.bytes()?).map_err(|_| BadObject::Field("a step"))?;
        steps.push(StepId::new(name));
    }
    let count = reader.count()?;
    let mut entries: Vec<(RelPath, Output)> = Vec::with_capacity(count);
    let mut path = Vec::new();
    for _ in 0..count {
        let shared = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        if shared > path.len() {
            return Err(BadObject::Field("a shared prefix"));
        }
        path.truncate(shared);
        path.extend_from_slice(reader.bytes()?);
        let next = RelPath::new(&path).map_err(|_| BadObject::Field("a path"))?;
        if next.is_root() || entries.last().is_some_and(|last| last.0 >= next) {
            return Err(BadObject::Field("the order of a manifest"));
        }
        let step = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        let step = steps.get(step).ok_or(BadObject::Field("a step"))?.clone();
        let made = match reader.byte()? {
            kind @ (0 | 1) => {
                let digest = reader.digest()?;
                Made::File { digest, size: reader.number()?, exec: kind == 1 }
            }
            2 => Made::Link(reader.bytes()?.into()),
            3 => Made::Folder,
            _ => return Err(BadObject::Field("an output's kind")),
        };
        let stamp = match reader.bytes()? {
            [] => None,
            bytes => Some(read_stamp(bytes).ok_or(BadObject::Field("a stamp"))?),
        };
        entries.push((next, Output { made, stamp, step }));
    }
    reader.finish()?;
    Ok(entries)
}
