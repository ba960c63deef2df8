//! The clock of a time-out: it stands still while its step is held.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Measures how long a step has really been running. Clones share one clock. It stands until [`Clock::start`].
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    spent: Duration,
    started: bool,
    pauses: usize,
    running_since: Option<Instant>,
}

impl State {
    fn settle(&mut self, now: Instant) {
        if let Some(since) = self.running_since.take() {
            self.spent += now.saturating_duration_since(since);
        }
        if self.started && self.pauses == 0 {
            self.running_since = Some(now);
        }
    }
}

impl Clock {
    /// Stops the clock until the returned value is dropped. Several pauses may overlap.
    pub fn pause(&self) -> Paused {
        self.change(|state| state.pauses += 1);
        Paused(self.clone())
    }

    /// The time during which the clock ran.
    pub fn spent(&self) -> Duration {
        let state = self.0.state.lock();
        state.spent + state.running_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Lets the clock run, unless it is paused.
    pub(crate) fn start(&self) {
        self.change(|state| state.started = true);
    }

    /// Returns when the clock has run for `limit`; never without a limit. Cancel safe.
    pub(crate) async fn reaches(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let runs = self.0.state.lock().running_since.is_some();
            let left = limit.saturating_sub(self.spent());
            if left.is_zero() {
                return;
            }
            if runs {
                tokio::select! {
                    () = tokio::time::sleep(left) => {}
                    () = changed => {}
                }
            } else {
                changed.await;
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.state.lock();
        change(&mut state);
        state.settle(Instant::now());
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// A pause of a [`Clock`]; it goes on when this is dropped.
#[derive(Debug)]
#[must_use = "the clock goes on when this is dropped"]
pub struct Paused(Clock);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.change(|state| state.pauses -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_clock_stands_still() {
        let clock = Clock::default();
        let first = clock.pause();
        clock.start();
        let second = clock.pause();
        drop(first);
        std::thread::yield_now();
        assert_eq!(clock.spent(), Duration::ZERO);
        drop(second);
        let before = clock.spent();
        while clock.spent() == before {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn the_limit_counts_running_time_only() {
        let clock = Clock::default();
        clock.start();
        let paused = clock.pause();
        let limit = Some(Duration::from_millis(30));
        let waited = tokio::time::timeout(Duration::from_millis(120), clock.reaches(limit)).await;
        assert!(waited.is_err(), "the limit was reached while the clock stood");
        drop(paused);
        clock.reaches(limit).await;
        assert!(clock.spent() >= Duration::from_millis(30));
    }
}
