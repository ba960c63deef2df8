//! The records of packs: a header of 56 bytes, extension bytes, and a body.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | magic `CPrc` |
//! | 4 | 1 | format, 1 |
//! | 5 | 1 | kind ([`RecordKind`]) |
//! | 6 | 1 | codec of the body, 0 = as it is |
//! | 7 | 1 | zero |
//! | 8 | 4 | length of the extension, which a reader that does not know it skips |
//! | 12 | 4 | length of the body |
//! | 16 | 32 | the object's digest |
//! | 48 | 8 | the first bytes of the BLAKE3 of the larder's salt and bytes 0 to 48 |
//!
//! Numbers are little-endian. The header has its own check so that a scan can find its way after damage; the salt is
//! random, so that a file which holds bytes like these is not taken for records when such a scan passes over
//! it. The body is checked by its digest. A pack starts with [`PACK_NAME`] and the salt, 32 bytes. Room is left for what is to come: a second digest
//! (SHA-256) goes into the extension, chunk lists get a kind of their own, compressed bodies a codec. Records of an
//! unknown format, kind or codec are stepped over, not damaged.
//!
//! Three kinds are no objects but entries of a log, so that the index can be built again in full: that a trace
//! answers for its strong key, in which order and for whom; that a trace was revoked; and a mark that somebody set upon a digest.

use protocol::{Digest, WorkspaceId};

use crate::ObjectKind;

/// The first bytes of every pack: name and format.
const PACK_NAME: &[u8; 16] = b"computepod pack\x01";
/// Length of what stands before the first record.
pub(crate) const PACK_HEADER: u64 = 32;
/// Length of a record's header.
pub(crate) const HEADER: usize = 56;
pub(crate) const MAGIC: &[u8; 4] = b"CPrc";
const FORMAT: u8 = 1;
const RAW: u8 = 0;
const LOG_CONTEXT: &str = "computepods larder log v1";

/// A larder's random bytes: its own records are known by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) [u8; 16]);

impl Salt {
    /// What a pack starts with.
    pub(crate) fn pack_header(self) -> Vec<u8> {
        [*PACK_NAME, self.0].concat()
    }

    /// The salt in a pack's first bytes; `None` if they are damaged or of another format.
    pub(crate) fn of_pack(header: &[u8]) -> Option<Self> {
        header.strip_prefix(PACK_NAME)?.get(..16)?.try_into().ok().map(Self)
    }

    fn check(self, header: &[u8; 48]) -> [u8; 8] {
        let mut bytes = [0; 64];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..].copy_from_slice(header);
        let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(&bytes).as_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// What a record's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Object(ObjectKind),
    /// [`TraceEntry`].
    TraceEntry,
    /// The digest of a revoked trace.
    Revocation,
    /// [`Mark`].
    Mark,
}

impl RecordKind {
    const TRACE_ENTRY: u8 = 16;
    const REVOCATION: u8 = 17;
    const MARK: u8 = 18;

    fn byte(self) -> u8 {
        match self {
            Self::Object(kind) => kind as u8,
            Self::TraceEntry => Self::TRACE_ENTRY,
            Self::Revocation => Self::REVOCATION,
            Self::Mark => Self::MARK,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            Self::TRACE_ENTRY => Some(Self::TraceEntry),
            Self::REVOCATION => Some(Self::Revocation),
            Self::MARK => Some(Self::Mark),
            byte => ObjectKind::from_byte(byte).map(Self::Object),
        }
    }

    /// The digest that a body of this kind has.
    pub(crate) fn digest(self, body: &[u8]) -> Digest {
        match self {
            Self::Object(kind) => kind.digest(body),
            Self::TraceEntry | Self::Revocation | Self::Mark => Digest::in_context(LOG_CONTEXT, body),
        }
    }
}

/// A header whose own check holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// `None`: written by a newer version.
    pub(crate) kind: Option<RecordKind>,
    pub(crate) extension: u32,
    pub(crate) length: u32,
    pub(crate) digest: Digest,
}

impl Header {
    pub(crate) fn new(kind: RecordKind, digest: Digest, length: u32) -> Self {
        Self { kind: Some(kind), extension: 0, length, digest }
    }

    pub(crate) fn encode(&self, salt: Salt) -> [u8; HEADER] {
        let mut bytes = [0; 48];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = FORMAT;
        bytes[5] = self.kind.map_or(0, RecordKind::byte);
        bytes[6] = RAW;
        bytes[8..12].copy_from_slice(&self.extension.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..48].copy_from_slice(self.digest.as_bytes());
        let mut header = [0; HEADER];
        header[..48].copy_from_slice(&bytes);
        header[48..].copy_from_slice(&salt.check(&bytes));
        header
    }

    /// `None` if these bytes are no header of this larder, or a damaged one.
    pub(crate) fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let check = bytes.get(48..HEADER)?;
        let bytes: &[u8; 48] = bytes.get(..48)?.try_into().ok()?;
        if bytes[..4] != *MAGIC || check != salt.check(bytes) {
            return None;
        }
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let known = bytes[4] == FORMAT && bytes[6] == RAW;
        Some(Self {
            kind: RecordKind::from_byte(bytes[5]).filter(|_| known),
            extension: number(8),
            length: number(12),
            digest: Digest::try_from(&bytes[16..48]).ok()?,
        })
    }

    /// Whether the bytes start like the record of this object: all that a reader needs who goes on to hash the body.
    pub(crate) fn names(bytes: &[u8], kind: ObjectKind, digest: &Digest, length: u32) -> bool {
        bytes.len() >= HEADER
            && bytes[..8] == [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], FORMAT, kind as u8, RAW, 0]
            && bytes[8..12] == [0; 4]
            && bytes[12..16] == length.to_le_bytes()
            && bytes[16..48] == *digest.as_bytes()
    }

    /// Length of the whole record.
    pub(crate) fn total(&self) -> u64 {
        HEADER as u64 + u64::from(self.extension) + u64::from(self.length)
    }

    /// Whether this is the body; records of newer versions cannot be judged and are left in peace.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        self.kind.is_none_or(|kind| kind.digest(body) == self.digest)
    }
}

/// That a trace is the answer for its strong key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceEntry {
    /// The order in which answers came; the first for a strong key stays.
    pub(crate) order: u64,
    pub(crate) trace: Digest,
    pub(crate) strong: Digest,
    pub(crate) weak: Digest,
    pub(crate) path_set: Digest,
    pub(crate) workspace: [u8; 16],
}

impl TraceEntry {
    const LEN: usize = 8 + 4 * Digest::LEN + 16;

    pub(crate) fn new(
        order: u64,
        trace: Digest,
        strong: Digest,
        of: &protocol::Trace,
        by: WorkspaceId,
    ) -> Self {
        Self { order, trace, strong, weak: of.weak, path_set: of.path_set, workspace: by.to_bytes() }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend_from_slice(&self.order.to_le_bytes());
        for digest in [self.trace, self.strong, self.weak, self.path_set] {
            bytes.extend_from_slice(digest.as_bytes());
        }
        bytes.extend_from_slice(&self.workspace);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let digest = |n: usize| Digest::try_from(&bytes[8 + 32 * n..40 + 32 * n]).ok();
        Some(Self {
            order: u64::from_le_bytes(bytes[..8].try_into().ok()?),
            trace: digest(0)?,
            strong: digest(1)?,
            weak: digest(2)?,
            path_set: digest(3)?,
            workspace: bytes[8 + 4 * 32..].try_into().ok()?,
        })
    }
}

/// A mark upon a digest: the last of each kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) kind: u8,
    pub(crate) on: Digest,
    pub(crate) value: [u8; 32],
}

impl Mark {
    const LEN: usize = 1 + Digest::LEN + 32;

    pub(crate) fn encode(&self) -> Vec<u8> {
        [&[self.kind], self.on.as_bytes().as_slice(), &self.value].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LEN] = bytes.try_into().ok()?;
        let on = Digest::try_from(&bytes[1..33]).ok()?;
        Some(Self { kind: bytes[0], on, value: bytes[33..].try_into().ok()? })
    }
}

/// What the index has to take in for one record of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    Object { digest: Digest, kind: ObjectKind, pack: u32, offset: u32, length: u32 },
    Trace(TraceEntry),
    Revoked(Digest),
    Mark(Mark),
}

impl Row {
    /// `None` for records that this version does not know.
    pub(crate) fn of(header: &Header, body: &[u8], pack: u32, offset: u32) -> Option<Self> {
        match header.kind? {
            RecordKind::Object(kind) => {
                Some(Self::Object { digest: header.digest, kind, pack, offset, length: header.length })
            }
            RecordKind::TraceEntry => TraceEntry::decode(body).map(Self::Trace),
            RecordKind::Revocation => Digest::try_from(body).ok().map(Self::Revoked),
            RecordKind::Mark => Mark::decode(body).map(Self::Mark),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt([5; 16]);

    #[test]
    fn headers_round_trip_and_any_flipped_bit_shows() {
        let header = Header::new(RecordKind::Object(ObjectKind::Tree), Digest::of(b"x"), 77);
        let bytes = header.encode(SALT);
        assert_eq!(Header::decode(&bytes, SALT), Some(header));
        assert_eq!(Header::decode(&bytes, Salt([6; 16])), None);
        for bit in 0..HEADER * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes, SALT), None, "bit {bit}");
        }
    }

    #[test]
    fn a_newer_record_is_stepped_over() {
        let mut bytes = Header::new(RecordKind::Revocation, Digest::of(b"x"), 77).encode(SALT);
        bytes[5] = 99;
        let check = SALT.check(bytes[..48].try_into().unwrap());
        bytes[48..].copy_from_slice(&check);
        let header = Header::decode(&bytes, SALT).unwrap();
        assert_eq!((header.kind, header.total()), (None, HEADER as u64 + 77));
        assert!(header.fits(b"anything"));
    }

    #[test]
    fn trace_entries_round_trip() {
        let entry = TraceEntry {
            order: 7,
            trace: Digest::of(b"t"),
            strong: Digest::of(b"s"),
            weak: Digest::of(b"w"),
            path_set: Digest::of(b"p"),
            workspace: [9; 16],
        };
        assert_eq!(TraceEntry::decode(&entry.encode()), Some(entry));
        assert_eq!(TraceEntry::decode(&entry.encode()[1..]), None);
    }

    #[test]
    fn marks_round_trip() {
        let mark = Mark { kind: 3, on: Digest::of(b"x"), value: [4; 32] };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        assert_eq!(Mark::decode(&mark.encode()[1..]), None);
    }
}
