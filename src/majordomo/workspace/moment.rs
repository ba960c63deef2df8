//! The clock against which stat stamps are believed ([`Stamp::is_settled`]).

use protocol::Stamp;
use protocol::stamp::nanoseconds;
use rustix::time::{ClockId, clock_gettime};

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
    pub fn settles(self, stamp: &Stamp) -> bool {
        stamp.is_settled(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::majordomo::workspace::stamp_of;

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
