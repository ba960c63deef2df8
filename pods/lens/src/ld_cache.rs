//! `/etc/ld.so.cache` as one step sees it: the entries that its dynamic linker could have come upon.
//!
//! The cache names every library of the machine, so any package with a library changes it. A dynamic linker takes from it
//! the entries of one name, and opens the file that the best of them leads to; without such an entry it looks in the default
//! folders for a file of this name. Either way the name is the last part of a path that the step asked about. So the
//! part that matters to a step are the entries whose name, or whose file's name, is the last part of a path
//! that it looked at: those of every library that it opened – and of every one that it looked for in vain, where an entry that
//! appears would be found. `ldconfig` reads the whole cache, and so does a step that looks at a program of this name.
//!
//! Form: glibc's `elf/dl-cache.h` and `sysdeps/generic/dl-cache.h`: `glibc-ld.so.cache1.1` with extensions, alone or behind the
//! older `ld.so-1.7.0`. Whatever is not well-formed, of another byte order or of another version is seen whole.

use protocol::codec::Writer;
use protocol::digest::context;
use protocol::{Digest, PathSet};
use rustc_hash::{FxHashMap, FxHashSet};

/// Where the cache stands in a step's root.
pub const PATH: &[u8] = b"etc/ld.so.cache";

/// What reads all of the cache.
const READS_ALL: &[u8] = b"ldconfig";

/// Raised whenever another part of the same cache would matter; part of the projection.
const FORMAT: u8 = 1;

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const EXTENSION_SECTION: usize = 16;
/// The section with the names of subfolders of `glibc-hwcaps`.
const HWCAPS_SECTION: u32 = 1;
/// In an entry's hardware word: the low half is the place of such a name.
const NAMED_HWCAP: u64 = 1 << 62;

/// The bytes of the cache, taken apart.
#[derive(Debug)]
pub struct LdCache {
    /// Those of the header that are not about its other entries.
    flags: u8,
    entries: Vec<Entry>,
    /// Places in `entries`, ascending.
    by_name: FxHashMap<Box<[u8]>, Vec<usize>>,
}

#[derive(Debug)]
struct Entry {
    flags: u32,
    name: Box<[u8]>,
    path: Box<[u8]>,
    os: u32,
    hwcap: u64,
    /// In the place of the low half of `hwcap`, whose meaning depends on the other entries.
    hwcap_name: Option<Box<[u8]>>,
}

/// Bytes with a place from which offsets count.
#[derive(Clone, Copy)]
struct Part<'a>(&'a [u8]);

impl<'a> Part<'a> {
    fn word(self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.0.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }

    fn long(self, at: usize) -> Option<u64> {
        Some(u64::from_le_bytes(self.0.get(at..at.checked_add(8)?)?.try_into().ok()?))
    }

    fn place(self, at: usize) -> Option<usize> {
        usize::try_from(self.word(at)?).ok()
    }

    /// The text at a place, up to its NUL.
    fn text(self, at: usize) -> Option<&'a [u8]> {
        let rest = self.0.get(at..)?;
        Some(&rest[..memchr::memchr(0, rest)?])
    }
}

fn last_part(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path).map_or(path, |slash| &path[slash + 1..])
}

impl LdCache {
    /// Takes the file apart; `None` if it is not in the form that is known here.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let start = if bytes.starts_with(OLD_MAGIC) {
            let entries = Part(bytes).place(12)?.checked_mul(OLD_ENTRY)?;
            entries.checked_add(OLD_HEADER)?.checked_next_multiple_of(8)?
        } else {
            0
        };
        let part = Part(bytes.get(start..)?);
        if !part.0.starts_with(MAGIC) {
            return None;
        }
        let flags = *part.0.get(28)?;
        // 2: little-endian; 0: written before the byte order was noted.
        if !matches!(flags & 3, 0 | 2) {
            return None;
        }
        let hwcaps = match part.place(32)? {
            0 => Vec::new(),
            at => hwcap_names(Part(bytes), part, at)?,
        };
        let count = part.place(20)?;
        if count > part.0.len() / ENTRY {
            return None;
        }
        let mut entries = Vec::with_capacity(count);
        let mut by_name: FxHashMap<Box<[u8]>, Vec<usize>> = FxHashMap::default();
        for number in 0..count {
            let at = HEADER + number * ENTRY;
            let (name, path) = (part.text(part.place(at + 4)?)?, part.text(part.place(at + 8)?)?);
            let hwcap = part.long(at + 16)?;
            let (hwcap, hwcap_name) = match hwcap & NAMED_HWCAP {
                0 => (hwcap, None),
                _ => {
                    let named = hwcaps.get(usize::try_from(hwcap & 0xffff_ffff).ok()?)?;
                    (hwcap >> 32 << 32, Some(named.clone()))
                }
            };
            by_name.entry(name.into()).or_default().push(number);
            let file = last_part(path);
            if file != name {
                by_name.entry(file.into()).or_default().push(number);
            }
            let (name, path) = (name.into(), path.into());
            let (flags, os) = (part.word(at)?, part.word(at + 12)?);
            entries.push(Entry { flags, name, path, os, hwcap, hwcap_name });
        }
        Some(Self { flags, entries, by_name })
    }

    /// The part that matters to a step with these looks, as a digest; `None`: all of it.
    pub fn projected(&self, looks: &PathSet) -> Option<Digest> {
        let mut chosen: Vec<usize> = Vec::new();
        let mut asked: FxHashSet<&[u8]> = FxHashSet::default();
        for (path, _) in looks.looks() {
            let name = last_part(path.as_bytes());
            if name == READS_ALL {
                return None;
            }
            if let Some(places) = self.by_name.get(name)
                && asked.insert(name)
            {
                chosen.extend(places);
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        let mut writer = Writer::with_format(FORMAT);
        writer.byte(self.flags).number(chosen.len() as u64);
        for place in chosen {
            let Entry { flags, name, path, os, hwcap, hwcap_name } = &self.entries[place];
            writer.number((*flags).into()).bytes(name).bytes(path).number((*os).into()).number(*hwcap);
            match hwcap_name {
                None => writer.byte(0),
                Some(name) => writer.byte(1).bytes(name),
            };
        }
        Some(Digest::in_context(context::PROJECTED, &writer.finish()))
    }
}

/// The names of subfolders of `glibc-hwcaps`, in the order in which entries count them.
fn hwcap_names(file: Part<'_>, part: Part<'_>, at: usize) -> Option<Vec<Box<[u8]>>> {
    if file.word(at)? != EXTENSION_MAGIC {
        return None;
    }
    for number in 0..file.place(at.checked_add(4)?)? {
        let section = at.checked_add(8)?.checked_add(number.checked_mul(EXTENSION_SECTION)?)?;
        // An unknown section is none that the dynamic linker of this version acts on.
        if file.word(section)? == HWCAPS_SECTION {
            let (from, size) = (file.place(section + 8)?, file.place(section + 12)?);
            let names = file.0.get(from..from.checked_add(size)?)?;
            let names = names.chunks_exact(4).map(|offset| {
                let offset = u32::from_le_bytes(offset.try_into().ok()?);
                Some(part.text(usize::try_from(offset).ok()?)?.into())
            });
            return names.collect();
        }
    }
    Some(Vec::new())
}

#[cfg(test)]
mod tests;
