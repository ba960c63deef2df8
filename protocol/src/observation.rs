//! Observations: what a step saw of its root, path by path, and the path sets in which they are looked up.
//!
//! A *look* is the kind of a question that a step asked the view about a path; what it *saw* is the answer. A path
//! set is the questions without the answers: the first phase of a look-up gives path sets, and their evaluation
//! against a view gives the strong key of the second (BuildXL's two-phase look-up).

use crate::codec::{BadObject, Reader, Writer};
use crate::digest::context;
use crate::{Digest, RelPath};

/// The format number of path-set objects.
pub const PATH_SET_FORMAT: u8 = 1;

/// What a step asked about a path, in the order of what the answer costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Look {
    /// Is something there, and of what kind: no size, no exec bit.
    Kind = 0,
    /// A look-up: is something there, and its attributes (kind, exec bit, size).
    Probe = 1,
    /// A link's target.
    Link = 2,
    /// The names and kinds in a folder.
    Listing = 3,
    /// A file's bytes.
    Content = 4,
}

impl Look {
    /// All of them, cheapest first.
    pub const ALL: [Look; 5] = [Look::Kind, Look::Probe, Look::Link, Look::Listing, Look::Content];

    /// Reads the byte that stands for it.
    pub fn from_byte(byte: u8) -> Result<Self, BadObject> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(BadObject::Field("a look"))
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Look::Kind => "kind",
            Look::Probe => "probe",
            Look::Link => "link",
            Look::Listing => "listing",
            Look::Content => "content",
        }
    }
}

/// What kind of thing stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FileKind {
    /// A folder.
    Dir = 0,
    /// A regular file.
    File = 1,
    /// A symbolic link.
    Link = 2,
}

impl FileKind {
    fn from_byte(byte: u8) -> Result<Self, BadObject> {
        match byte {
            0 => Ok(FileKind::Dir),
            1 => Ok(FileKind::File),
            2 => Ok(FileKind::Link),
            _ => Err(BadObject::Field("a kind of file")),
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Dir => "folder",
            FileKind::File => "file",
            FileKind::Link => "link",
        }
    }
}

/// The answer to a look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Nothing stands there. Any look can be answered so.
    Absent,
    /// [`Look::Kind`]: something of this kind. [`Look::Probe`] of a folder or a link, whose size is never shown.
    /// [`Look::Content`], [`Look::Listing`] or [`Look::Link`] of something of another kind than was asked for.
    Kind(FileKind),
    /// [`Look::Probe`] of a file.
    File {
        /// Length in bytes.
        size: u64,
        /// Whether it may be executed.
        exec: bool,
    },
    /// [`Look::Link`]: the target's bytes.
    Target(Vec<u8>),
    /// [`Look::Listing`]: the digest of the sorted names and kinds ([`listing_digest`]).
    Names(Digest),
    /// [`Look::Content`]: the digest of the bytes, and the exec bit.
    Content {
        /// BLAKE3 of the bytes, or the digest of what the step's projections leave of them.
        digest: Digest,
        /// Whether it may be executed.
        exec: bool,
    },
}

impl Seen {
    /// Writes the canonical form.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Seen::Absent => writer.byte(0),
            Seen::Kind(kind) => writer.byte(1).byte(*kind as u8),
            Seen::File { size, exec } => writer.byte(2 + u8::from(*exec)).number(*size),
            Seen::Target(target) => writer.byte(4).bytes(target),
            Seen::Names(digest) => writer.byte(5).digest(digest),
            Seen::Content { digest, exec } => writer.byte(6 + u8::from(*exec)).digest(digest),
        };
    }

    /// Reads the canonical form.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, BadObject> {
        Ok(match reader.byte()? {
            0 => Seen::Absent,
            1 => Seen::Kind(FileKind::from_byte(reader.byte()?)?),
            tag @ (2 | 3) => Seen::File { size: reader.number()?, exec: tag == 3 },
            4 => Seen::Target(reader.bytes()?.to_vec()),
            5 => Seen::Names(reader.digest()?),
            tag @ (6 | 7) => Seen::Content { digest: reader.digest()?, exec: tag == 7 },
            _ => return Err(BadObject::Field("what was seen")),
        })
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Seen::Absent => f.write_str("absent"),
            Seen::Kind(kind) => f.write_str(kind.word()),
            Seen::File { size, exec: false } => write!(f, "file of {size} bytes"),
            Seen::File { size, exec: true } => write!(f, "program of {size} bytes"),
            Seen::Target(target) => write!(f, "link to `{}`", crate::path::escape(target)),
            Seen::Names(digest) => write!(f, "names {}", digest.short()),
            Seen::Content { digest, exec: false } => f.write_str(&digest.short()),
            Seen::Content { digest, exec: true } => write!(f, "{} (exec)", digest.short()),
        }
    }
}

/// The digest of a folder's names and kinds; the order in which they are given does not matter.
pub fn listing_digest<'a>(names: impl IntoIterator<Item = (&'a [u8], FileKind)>) -> Digest {
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_unstable();
    let mut writer = Writer::default();
    for (name, kind) in names {
        writer.bytes(name).byte(kind as u8);
    }
    Digest::in_context(context::LISTING, &writer.finish())
}

/// The questions of a trace without the answers, sorted by (path, look), each once.
///
/// Paths are those of the step's root: `project/src/a.c`, `usr/include/stdio.h`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathSet {
    looks: Vec<(RelPath, Look)>,
}

impl PathSet {
    /// Sorts and removes doubles.
    pub fn new(mut looks: Vec<(RelPath, Look)>) -> Self {
        looks.sort();
        looks.dedup();
        Self { looks }
    }

    /// The looks, sorted by (path, look).
    pub fn looks(&self) -> &[(RelPath, Look)] {
        &self.looks
    }

    /// The canonical form: each path without the bytes that it shares with the one before (front coding).
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(PATH_SET_FORMAT);
        writer.number(self.looks.len() as u64);
        let mut before: &[u8] = b"";
        for (path, look) in &self.looks {
            let bytes = path.as_bytes();
            let shared = before.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            writer.byte(*look as u8).number(shared as u64).bytes(&bytes[shared..]);
            before = bytes;
        }
        writer.finish()
    }

    /// Reads the canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, PATH_SET_FORMAT)?;
        let count = reader.count()?;
        let mut looks: Vec<(RelPath, Look)> = Vec::with_capacity(count);
        let mut path = Vec::new();
        for _ in 0..count {
            let look = Look::from_byte(reader.byte()?)?;
            let shared = reader.number()?;
            if shared > path.len() as u64 {
                return Err(BadObject::Field("a shared prefix"));
            }
            let before = path.clone();
            path.truncate(shared as usize);
            let tail = reader.bytes()?;
            if before.get(path.len()).is_some_and(|byte| tail.first() == Some(byte)) {
                return Err(BadObject::Field("a shared prefix"));
            }
            path.extend_from_slice(tail);
            let path = match looks.last() {
                Some((last, _)) if last.as_bytes() == path => last.clone(),
                _ => RelPath::new(&path).map_err(|_| BadObject::Field("a path"))?,
            };
            looks.push((path, look));
        }
        reader.finish()?;
        if looks.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(BadObject::Field("the order of a path set"));
        }
        Ok(Self { looks })
    }

    /// The digest of the canonical form, in the context of path sets.
    pub fn digest(&self) -> Digest {
        Digest::in_context(context::PATH_SET, &self.encode())
    }
}

/// The strong key: weak key, path set, and what was seen, in the path set's order.
pub fn strong_key<'a>(weak: &Digest, path_set: &Digest, seen: impl IntoIterator<Item = &'a Seen>) -> Digest {
    let mut writer = Writer::default();
    writer.digest(weak).digest(path_set);
    for seen in seen {
        seen.write(&mut writer);
    }
    Digest::in_context(context::STRONG_KEY, &writer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn listings_ignore_the_order_they_come_in() {
        let a = listing_digest([(&b"x"[..], FileKind::File), (b"y", FileKind::Dir)]);
        let b = listing_digest([(&b"y"[..], FileKind::Dir), (b"x", FileKind::File)]);
        assert_eq!(a, b);
        assert_ne!(a, listing_digest([(&b"x"[..], FileKind::Dir), (b"y", FileKind::Dir)]));
    }

    proptest! {
        #[test]
        fn path_sets_round_trip(paths in proptest::collection::vec(("[abc]{1,3}(/[abc]{1,2}){0,3}", 0u8..5), 0..30)) {
            let looks = paths.iter().map(|(p, l)| (p.parse().unwrap(), Look::from_byte(*l).unwrap())).collect();
            let set = PathSet::new(looks);
            prop_assert_eq!(PathSet::decode(&set.encode()).unwrap(), set);
        }
    }
}
