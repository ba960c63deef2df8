//! Reading a pack from front to back, finding the way again after damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::LarderError;
use crate::record::{HEADER, Header, MAGIC, PACK_HEADER, Salt};

/// Something between two offsets of a pack.
pub(crate) enum Found<'a> {
    /// A whole record whose body has the digest that its header says, or one of a newer version.
    Good { offset: u64, header: Header, body: &'a [u8] },
    /// A record whose header is whole and whose body is not what it says.
    Damaged { offset: u64, header: Header },
    /// Bytes that belong to no record; more follow. (At the very end they are no matter: `end` says so.)
    Garbage { offset: u64, length: u64 },
}

/// What is scanned.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) file: &'a File,
    pub(crate) path: &'a Path,
    pub(crate) salt: Salt,
}

const WINDOW: usize = 1 << 20;

/// Goes through the bytes `from..to`; returns the end of the last whole record, after which only a torn one may follow.
///
/// An error of `each` ends the scan.
pub(crate) fn scan(
    source: Source<'_>,
    from: u64,
    to: u64,
    each: &mut dyn FnMut(Found<'_>) -> Result<(), LarderError>,
) -> Result<u64, LarderError> {
    let Source { file, path, salt } = source;
    let failed = |error| LarderError::io("read", path, error);
    let mut window = Window { file, start: 0, bytes: Vec::new(), to };
    // A pack whose own header is damaged still has records of this larder.
    let mut at = from.max(PACK_HEADER);
    let mut end = at.min(to);
    let mut garbage = None;
    while at + HEADER as u64 <= to {
        let Some(header) =
            window.get(at, HEADER).map_err(failed)?.and_then(|bytes| Header::decode(bytes, salt))
        else {
            garbage.get_or_insert(at);
            match window.find_magic(at + 1).map_err(failed)? {
                Some(next) => at = next,
                None => break,
            }
            continue;
        };
        if at + header.total() > to {
            break;
        }
        if let Some(offset) = garbage.take() {
            each(Found::Garbage { offset, length: at - offset })?;
        }
        let body_at = at + HEADER as u64 + u64::from(header.extension);
        let body = window.get(body_at, header.length as usize).map_err(failed)?;
        match body {
            Some(body) if header.fits(body) => {
                each(Found::Good { offset: at, header, body })?;
                end = at + header.total();
            }
            _ => each(Found::Damaged { offset: at, header })?,
        }
        at += header.total();
    }
    Ok(end)
}

/// A part of the file in memory.
struct Window<'a> {
    file: &'a File,
    start: u64,
    bytes: Vec<u8>,
    to: u64,
}

impl Window<'_> {
    /// These bytes; `None` beyond the end.
    fn get(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        let inside = at >= self.start && at + length as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let wanted = (length.max(WINDOW) as u64).min(self.to.saturating_sub(at)) as usize;
            self.bytes.resize(wanted, 0);
            self.start = at;
            let mut filled = 0;
            while filled < wanted {
                match self.file.read_at(&mut self.bytes[filled..], at + filled as u64) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.bytes.truncate(filled);
        }
        let from = (at - self.start) as usize;
        Ok(self.bytes.get(from..from + length))
    }

    /// The next place that looks like the start of a record.
    fn find_magic(&mut self, from: u64) -> io::Result<Option<u64>> {
        let mut at = from;
        while at + HEADER as u64 <= self.to {
            let length = (WINDOW as u64).min(self.to - at) as usize;
            let Some(bytes) = self.get(at, length)? else { return Ok(None) };
            if let Some(found) = bytes.windows(MAGIC.len()).position(|part| part == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            at += (length - (MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKind;
    use crate::record::RecordKind;
    use protocol::Digest;
    use std::io::Write;

    const SALT: Salt = Salt([5; 16]);

    fn pack(bodies: &[&[u8]]) -> (Vec<u8>, Vec<u64>) {
        let mut bytes = SALT.pack_header();
        let mut offsets = Vec::new();
        for body in bodies {
            offsets.push(bytes.len() as u64);
            let kind = RecordKind::Object(ObjectKind::Blob);
            bytes.extend(Header::new(kind, Digest::of(body), body.len() as u32).encode(SALT));
            bytes.extend_from_slice(body);
        }
        (bytes, offsets)
    }

    fn found(bytes: &[u8]) -> (Vec<(char, u64)>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut list = Vec::new();
        let end = scan(
            Source { file: &file, path: Path::new("pack"), salt: SALT },
            0,
            bytes.len() as u64,
            &mut |found| {
                list.push(match found {
                    Found::Good { offset, .. } => ('g', offset),
                    Found::Damaged { offset, .. } => ('d', offset),
                    Found::Garbage { offset, .. } => ('x', offset),
                });
                Ok(())
            },
        )
        .unwrap();
        (list, end)
    }

    #[test]
    fn every_cut_leaves_the_records_before_it() {
        let (bytes, offsets) = pack(&[b"one", b"", &[7; 300]]);
        for cut in 0..=bytes.len() {
            let (list, end) = found(&bytes[..cut]);
            let ends = offsets.iter().skip(1).copied().chain([bytes.len() as u64]);
            let whole = ends.filter(|end| *end <= cut as u64).count();
            assert_eq!(list, offsets[..whole].iter().map(|o| ('g', *o)).collect::<Vec<_>>(), "cut {cut}");
            assert!(end <= cut as u64);
        }
    }

    #[test]
    fn any_damaged_byte_costs_one_record() {
        let (bytes, offsets) = pack(&[b"one", b"two", b"three"]);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            let (list, _) = found(&bytes);
            let good: Vec<_> = list.iter().filter(|(kind, _)| *kind == 'g').map(|(_, at)| *at).collect();
            let hit = offsets.iter().rposition(|offset| *offset <= at as u64).map(|hit| offsets[hit]);
            let expected: Vec<_> = offsets.iter().copied().filter(|o| Some(*o) != hit).collect();
            assert_eq!(good, expected, "byte {at}");
        }
    }
}
