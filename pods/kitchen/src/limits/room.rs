//! Whether the disk on which steps write has room: the machine's matter, and no limit of the step.
//!
//! A command may make light of a full disk, and what it then makes looks like a good result. Nobody tells that a write failed, so three things are
//! looked at: the room before the step, again and again while it runs, and after it; and where there was little of it, how much the step wrote, for
//! it may have removed again what filled the disk.
//!
//! Non-goal: quotas of users, which `statvfs` does not show.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::KitchenError;

/// Bytes that must be left: less, and a write may have failed.
const RESERVE: u64 = 1 << 20;
/// On a small disk it is this part of the whole.
const PART: u64 = 16;
/// Where fewer bytes are left, what a step writes is counted: it might fill them between two looks.
const LITTLE: u64 = 64 << 20;
/// Bytes that are written in a second at most, by all steps: a look comes before the rest could be full.
const FASTEST: u64 = 8 << 30;
/// Time between looks.
const EVERY: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));
/// Files that can still be made; fewer, and the making of one may have failed.
const RESERVE_FILES: u64 = 16;

/// The room that there was before a step.
#[derive(Debug)]
pub(crate) struct Room {
    disk: PathBuf,
    before: Left,
}

/// What a disk has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    bytes: u64,
    /// Less is as good as nothing.
    reserve: u64,
    has_files: bool,
}

impl Left {
    /// `None`: nobody can say.
    fn of(disk: &Path) -> Option<Self> {
        let stat = rustix::fs::statvfs(disk).ok()?;
        // Overlays write with the rights of who mounted them, and root may take the disk's last blocks.
        let is_root = rustix::process::geteuid().is_root();
        let blocks = if is_root { stat.f_bfree } else { stat.f_bavail };
        let files = if is_root { stat.f_ffree } else { stat.f_favail };
        Some(Self {
            // A tmpfs without a bound counts nothing.
            bytes: if stat.f_blocks == 0 { u64::MAX } else { blocks.saturating_mul(stat.f_frsize) },
            reserve: RESERVE.min(stat.f_blocks.saturating_mul(stat.f_frsize) / PART),
            // Some file systems do not count them.
            has_files: stat.f_files == 0 || files >= RESERVE_FILES,
        })
    }

    fn is_full(self) -> bool {
        self.bytes < self.reserve || !self.has_files
    }

    /// How long it takes at least until nothing is left.
    fn lasts(self) -> Duration {
        let nanos = u128::from(self.bytes.saturating_sub(self.reserve)) * 1_000_000_000 / u128::from(FASTEST);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).clamp(EVERY.0, EVERY.1)
    }
}

impl Room {
    /// The room for a step that is about to begin.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn before(disk: &Path) -> Result<Self, KitchenError> {
        let unknown = Left { bytes: u64::MAX, reserve: 0, has_files: true };
        let room = Self { disk: disk.to_owned(), before: Left::of(disk).unwrap_or(unknown) };
        if room.before.is_full() { Err(room.full()) } else { Ok(room) }
    }

    /// Whether what the step writes has to be counted.
    pub(crate) fn is_little(&self) -> bool {
        self.before.bytes < LITTLE
    }

    /// Returns when none is left. Cancel safe.
    pub(crate) async fn runs_out(&self) {
        let mut left = self.before;
        while !left.is_full() {
            tokio::time::sleep(left.lasts()).await;
            left = Left::of(&self.disk).unwrap_or(left);
        }
    }

    /// Whether a write of a step may have failed that has ended by now, after it wrote so many bytes.
    pub(crate) fn was_full(&self, written: u64) -> bool {
        let most = self.before.bytes.saturating_sub(self.before.reserve);
        (self.is_little() && written >= most) || Left::of(&self.disk).is_some_and(Left::is_full)
    }

    /// What to say of it.
    pub(crate) fn full(&self) -> KitchenError {
        KitchenError::Full { disk: self.disk.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: u64) -> Left {
        Left { bytes, reserve: RESERVE, has_files: true }
    }

    #[test]
    fn what_may_have_filled_the_disk_between_two_looks_counts() {
        let disk = tempfile::tempdir().unwrap();
        let room = |bytes| Room { disk: disk.path().to_owned(), before: left(bytes) };
        assert!(room(10 << 20).is_little() && !room(LITTLE).is_little());
        assert!(room(10 << 20).was_full(9 << 20));
        assert!(!room(10 << 20).was_full(8 << 20));
        // There, a look comes before it is full.
        assert!(!room(LITTLE).was_full(LITTLE));
        assert!(left(RESERVE - 1).is_full() && !left(RESERVE).is_full());
        assert!(Left { has_files: false, ..left(LITTLE) }.is_full());
    }

    #[test]
    fn looks_come_before_the_rest_could_be_full() {
        for bytes in [0, RESERVE, 64 << 20, LITTLE, 1 << 40, u64::MAX] {
            let lasts = left(bytes).lasts();
            assert!((EVERY.0..=EVERY.1).contains(&lasts));
            let written = FASTEST / 1000 * lasts.as_millis() as u64;
            assert!(bytes < LITTLE || written <= bytes, "{bytes} in {lasts:?}");
        }
    }
}
