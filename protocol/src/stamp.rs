//! Stat stamps: the hint by which an unchanged file is known without reading it, and when it may be believed.
//!
//! A file that is changed twice within one tick of its file system's clock can have one stamp for two contents (git calls
//! such a file *racily clean*). So a stamp says "unchanged" only if its times lie before a moment at which, or after which, the
//! file was looked at: then every later change gets a later time, and shows.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// File systems that keep whole seconds may be as coarse as this (FAT keeps even ones).
pub const WHOLE_SECONDS_NS: i64 = 2_000_000_000;

/// How far the times that a file system writes may lag behind the wall clock: kernels take them from a tick of up to 10 ms,
/// and a file server's clock may be a little off.
pub const WALL_CLOCK_NS: i64 = 50_000_000;

/// What `stat` says of a file's identity and version. Equal stamps mean equal bytes only if the stamp was already
/// [settled](Stamp::is_settled) when the file was read.
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
    /// Whether a file that is changed at or after a moment gets another stamp than this one. The moment, in nanoseconds since
    /// 1970, is on the clock of the file's own file system.
    ///
    /// The change time decides, since nobody can set it. A modification time in the future was set by hand and says
    /// nothing; one of just now counts as well, for file systems that make up their change times.
    pub fn is_settled(&self, moment_ns: i64) -> bool {
        let is_before = |time: i64| {
            let grain = if time % 1_000_000_000 == 0 { WHOLE_SECONDS_NS } else { 0 };
            time.saturating_add(grain) < moment_ns
        };
        let is_set_by_hand = self.mtime_ns > moment_ns.saturating_add(WHOLE_SECONDS_NS);
        is_before(self.ctime_ns) && (is_before(self.mtime_ns) || is_set_by_hand)
    }

    /// The same of a moment on the wall clock, for files of any file system.
    pub fn is_settled_by_wall_clock(&self, now_ns: i64) -> bool {
        self.is_settled(now_ns.saturating_sub(WALL_CLOCK_NS))
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

/// A time as the kernel tells it, in nanoseconds since 1970. What is out of range stays at its end.
pub fn nanoseconds(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(mtime_ns: i64, ctime_ns: i64) -> Stamp {
        Stamp { dev: 1, ino: 2, size: 3, mtime_ns, ctime_ns }
    }

    #[test]
    fn only_what_is_older_than_the_moment_is_settled() {
        let moment = 10_000_000_000;
        assert!(stamp(9_999_999_999, 9_999_999_999).is_settled(moment));
        assert!(!stamp(9_999_999_999, 10_000_000_000).is_settled(moment));
        assert!(!stamp(9_999_999_999, 10_000_000_001).is_settled(moment));
        assert!(!stamp(10_000_000_001, 9_999_999_999).is_settled(moment));
        assert!(stamp(99_000_000_001, 9_999_999_999).is_settled(moment), "set by hand");
    }

    #[test]
    fn whole_seconds_may_be_coarse_ones() {
        let moment = 10_000_000_000;
        assert!(!stamp(9_000_000_000, 9_000_000_000).is_settled(moment));
        assert!(!stamp(8_000_000_000, 8_000_000_000).is_settled(moment));
        assert!(stamp(7_000_000_000, 7_000_000_000).is_settled(moment));
    }

    #[test]
    fn the_wall_clock_runs_ahead_of_ticks() {
        let stamp = stamp(1_000, 2_000);
        assert!(!stamp.is_settled_by_wall_clock(2_000));
        assert!(!stamp.is_settled_by_wall_clock(2_000 + WALL_CLOCK_NS));
        assert!(stamp.is_settled_by_wall_clock(2_001 + WALL_CLOCK_NS));
    }
}
