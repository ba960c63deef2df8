//! When a stat stamp may be believed: git's racily-clean rule.
//!
//! A file that is changed twice within one tick of its file system's clock can have one stamp for two contents. So a
//! stamp says "unchanged" only if its times lie *before* a moment that was taken, on the same clock, before the
//! file was looked at: then every later change gets a later time, and shows.

use rustix::fs::Stat;
use rustix::time::{ClockId, clock_gettime};

pub use larder::Stamp;

/// File systems that keep whole seconds may be as coarse as this (FAT keeps even ones).
pub const WHOLE_SECONDS_NS: i64 = 2_000_000_000;

/// The stamp in what `stat` said.
// The fields' types differ between architectures.
#[allow(clippy::unnecessary_cast)]
pub fn stamp_of(stat: &Stat) -> Stamp {
    Stamp {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        size: stat.st_size as u64,
        mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

pub(crate) fn nanoseconds(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// A moment on the clock from which file systems take their times, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// Now, by the kernel's tick, which is what local file systems write into files.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self(nanoseconds(now.tv_sec, now.tv_nsec))
    }

    /// Now, unless a file touched just now shows an earlier time: a server's clock behind ours, or whole seconds.
    pub(crate) fn at_most(self, touched_ns: i64) -> Self {
        Self(self.0.min(touched_ns))
    }

    /// Nanoseconds since 1970.
    pub fn nanoseconds(self) -> i64 {
        self.0
    }

    /// Whether a file that is changed at or after this moment gets another stamp than this one.
    ///
    /// The change time decides, since nobody can set it. A modification time in the future was set by hand and says
    /// nothing; one of just now counts as well, for file systems that make up their change times.
    pub fn settles(self, stamp: &Stamp) -> bool {
        self.is_after(stamp.ctime_ns)
            && (self.is_after(stamp.mtime_ns) || stamp.mtime_ns > self.0.saturating_add(WHOLE_SECONDS_NS))
    }

    fn is_after(self, time: i64) -> bool {
        let grain = if time % 1_000_000_000 == 0 { WHOLE_SECONDS_NS } else { 0 };
        time.saturating_add(grain) < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(mtime_ns: i64, ctime_ns: i64) -> Stamp {
        Stamp { dev: 1, ino: 2, size: 3, mtime_ns, ctime_ns }
    }

    #[test]
    fn only_what_is_older_than_the_moment_is_settled() {
        let moment = Moment(10_000_000_000);
        assert!(moment.settles(&stamp(9_999_999_999, 9_999_999_999)));
        assert!(!moment.settles(&stamp(9_999_999_999, 10_000_000_000)));
        assert!(!moment.settles(&stamp(10_000_000_001, 9_999_999_999)));
        assert!(moment.settles(&stamp(99_000_000_001, 9_999_999_999)), "set by hand");
    }

    #[test]
    fn whole_seconds_need_two_of_them() {
        let moment = Moment(10_000_000_000);
        assert!(!moment.settles(&stamp(9_000_000_000, 9_000_000_000)));
        assert!(!moment.settles(&stamp(8_000_000_000, 8_000_000_000)));
        assert!(moment.settles(&stamp(7_000_000_000, 7_000_000_000)));
    }

    #[test]
    fn a_file_written_now_is_not_settled_and_soon_is() {
        let file = tempfile::tempfile().unwrap();
        let stamp = stamp_of(&rustix::fs::fstat(&file).unwrap());
        let before = Moment(stamp.ctime_ns);
        assert!(!before.settles(&stamp));
        while !Moment::now().settles(&stamp) {
            std::thread::yield_now();
        }
    }
}
