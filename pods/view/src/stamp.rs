//! Stamps and the clock as the kernel tells them.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol::Stamp;
use protocol::stamp::nanoseconds;

/// The stamp in what `stat` said.
// The fields' types differ between architectures.
#[allow(clippy::unnecessary_cast)]
pub fn stamp_of(stat: &rustix::fs::Stat) -> Stamp {
    Stamp {
        dev: stat.st_dev as u64,
        ino: stat.st_ino as u64,
        size: stat.st_size as u64,
        mtime_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

/// The wall clock in nanoseconds since 1970; what [`Stamp::is_settled_by_wall_clock`] takes.
pub fn now_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as i64)
}
