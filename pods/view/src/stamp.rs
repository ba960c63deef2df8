//! Stat stamps: the hint by which an unchanged file is known without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A file whose times are younger than this when it is read may still change without its stamp changing: coarse clocks
/// tick up to 10 ms apart, and old file systems keep whole (FAT: even) seconds.
pub const RACY_MARGIN_NS: i64 = 2_000_000_000;

/// What `stat` says of a file's identity and version. Equal stamps mean an equal file, unless the stamp is
/// [racy](Stamp::is_racy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Device.
    pub dev: u64,
    /// Inode on the device.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time, nanoseconds since 1970.
    pub ctime_ns: i64,
}

impl Stamp {
    /// Whether the file may be changed at or after `now_ns` without getting another stamp (git's racily-clean rule).
    /// The digest of such a file may be used once, but not remembered.
    pub fn is_racy(&self, now_ns: i64) -> bool {
        self.mtime_ns.max(self.ctime_ns).saturating_add(RACY_MARGIN_NS) >= now_ns
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.size(),
            mtime_ns: nanos(meta.mtime(), meta.mtime_nsec()),
            ctime_ns: nanos(meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl From<&rustix::fs::Stat> for Stamp {
    // The fields' types differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime_ns: nanos(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: nanos(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// The wall clock in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_files_are_racy() {
        let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 10, ctime_ns: 20 };
        assert!(stamp.is_racy(20 + RACY_MARGIN_NS));
        assert!(!stamp.is_racy(21 + RACY_MARGIN_NS));
    }
}
