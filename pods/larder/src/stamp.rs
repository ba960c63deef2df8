//! Stat stamps: by what a host file is recognised without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use protocol::Digest;

/// Who a file is and when it last changed. Equal stamps mean equal bytes only if the file was already
/// [settled](Stamp::is_settled) when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Device.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time in nanoseconds since 1970.
    pub ctime_ns: i64,
}

/// A file changed less than this before it was read may change again without a new time stamp (git's *racily
/// clean*): kernels take the time from a tick of up to 10 ms, and a file server's clock may be a little ahead.
pub const RACY_NS: i64 = 50_000_000;

impl Stamp {
    /// Whether a file that was read at `now_ns` (since 1970) cannot have changed since without showing it. Digests of
    /// files that are not settled must not be remembered.
    pub fn is_settled(&self, now_ns: i64) -> bool {
        self.mtime_ns.max(self.ctime_ns).saturating_add(RACY_NS) < now_ns
    }

    /// A checksum over a row of the index, so that a flipped bit there is not taken for a file's digest.
    pub(crate) fn check(&self, digest: &Digest) -> u32 {
        let mut bytes = [0u8; 72];
        bytes[..8].copy_from_slice(&self.dev.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ino.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.ctime_ns.to_le_bytes());
        bytes[40..].copy_from_slice(digest.as_bytes());
        let hash = blake3::hash(&bytes);
        let [a, b, c, d, ..] = *hash.as_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

fn nanoseconds(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_just_written_is_not_settled() {
        let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 1_000, ctime_ns: 2_000 };
        assert!(!stamp.is_settled(2_000));
        assert!(!stamp.is_settled(2_000 + RACY_NS));
        assert!(stamp.is_settled(2_001 + RACY_NS));
    }

    #[test]
    fn the_check_covers_every_field() {
        let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5 };
        let digest = Digest::of(b"x");
        let mut checks = vec![stamp.check(&digest), stamp.check(&Digest::of(b"y"))];
        checks.push(Stamp { dev: 9, ..stamp }.check(&digest));
        checks.push(Stamp { ino: 9, ..stamp }.check(&digest));
        checks.push(Stamp { size: 9, ..stamp }.check(&digest));
        checks.push(Stamp { mtime_ns: 9, ..stamp }.check(&digest));
        checks.push(Stamp { ctime_ns: 9, ..stamp }.check(&digest));
        checks.sort_unstable();
        checks.dedup();
        assert_eq!(checks.len(), 7);
    }
}
