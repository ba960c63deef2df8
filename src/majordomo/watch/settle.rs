//! Settling: when a series of changes counts as over.
//!
//! An editor writes beside and renames, a checkout writes for seconds, a formatter comes right after a save. A build waits
//! until nothing has changed for a while, but not for ever. A pure machine: whoever drives it brings the time.

use std::time::{Duration, Instant};

/// How long changes are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// After the last change.
    pub quiet: Duration,
    /// After the first change, whatever comes.
    pub longest: Duration,
}

impl Patience {
    /// What a save by an editor takes, with room to spare.
    pub const QUIET: Duration = Duration::from_millis(10);
    /// Whoever writes for longer than this sees builds in between.
    pub const LONGEST: Duration = Duration::from_millis(500);
}

impl Default for Patience {
    fn default() -> Self {
        Self { quiet: Self::QUIET, longest: Self::LONGEST }
    }
}

/// A series of changes.
#[derive(Debug, Default)]
pub struct Settling {
    patience: Patience,
    /// When the first and the last of it came.
    series: Option<(Instant, Instant)>,
}

impl Settling {
    /// Nothing has changed yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, series: None }
    }

    /// Something changed.
    pub fn touched(&mut self, now: Instant) {
        let first = self.series.map_or(now, |(first, _)| first);
        self.series = Some((first, now));
    }

    /// When the series is over, if nothing more comes; `None`: there is none.
    pub fn due(&self) -> Option<Instant> {
        let (first, last) = self.series?;
        Some((last + self.patience.quiet).min(first + self.patience.longest))
    }

    /// Whether the series is over; then the next change begins another one.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let is_over = self.due().is_some_and(|due| due <= now);
        if is_over {
            self.series = None;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn settling() -> (Settling, Instant) {
        (Settling::new(Patience { quiet: 10 * MS, longest: 50 * MS }), Instant::now())
    }

    #[test]
    fn one_change_is_over_when_it_was_quiet() {
        let (mut settling, start) = settling();
        assert_eq!(settling.due(), None);
        assert!(!settling.is_over(start));
        settling.touched(start);
        assert_eq!(settling.due(), Some(start + 10 * MS));
        assert!(!settling.is_over(start + 9 * MS));
        assert!(settling.is_over(start + 10 * MS));
        assert_eq!(settling.due(), None, "it is over once");
    }

    #[test]
    fn each_change_makes_it_longer() {
        let (mut settling, start) = settling();
        for ms in [0, 5, 14] {
            assert!(!settling.is_over(start + ms * MS));
            settling.touched(start + ms * MS);
        }
        assert_eq!(settling.due(), Some(start + 24 * MS));
    }

    #[test]
    fn but_not_for_ever() {
        let (mut settling, start) = settling();
        for ms in 0..50 {
            assert!(!settling.is_over(start + ms * MS));
            settling.touched(start + ms * MS);
        }
        assert!(settling.is_over(start + 50 * MS), "the longest wait is over");
        settling.touched(start + 51 * MS);
        assert_eq!(settling.due(), Some(start + 61 * MS), "the next series begins anew");
    }
}
