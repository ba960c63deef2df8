//! Each message once: a sliding window for each sender, as IPsec has it (RFC 4303, 3.4.3).
//!
//! A sender counts its messages, and begins a new *life* at each start, with a greater number. A receiver keeps for each sender the latest
//! life, its highest count, and which of the [`WINDOW`] counts before it have come. What had come when this pod was started before is told to it
//! ([`Guard::resume`]): nothing of that is let in again. Of a sender that is new nothing is known, so a message must also be from within [`MAX_SKEW`]
//! of our clock. Memory is bounded by the number of members.

use std::collections::HashMap;

use protocol::PodId;

use crate::clock::MAX_SKEW;

/// How far out of order messages of one sender may come.
pub const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Why a message is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Replay {
    /// It has been here, or is of an earlier life, or so late that nobody can say.
    #[error("it came before")]
    Again,
    /// It is from another time.
    #[error("its time is {} minutes from ours", .0 / 60_000)]
    Time(u64),
}

/// The last message of a sender that was let in. The later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Highest {
    /// The sender's life.
    pub life: u64,
    /// The count in it.
    pub count: u64,
}

/// What has come from whom.
#[derive(Default)]
pub struct Guard {
    senders: HashMap<PodId, Window>,
    /// Whose clocks are too far from ours for them to be heard: by how many milliseconds they are ahead.
    apart: HashMap<PodId, i64>,
    /// As it was when this pod was started.
    before: HashMap<PodId, Highest>,
}

struct Window {
    life: u64,
    highest: u64,
    seen: [u64; WORDS],
}

impl Guard {
    /// Lets a message in, once. The caller has verified who sent it, and that it is a member.
    /// `at` and `now` are milliseconds since 1970.
    ///
    /// # Errors
    /// It came before, or was said more than [`MAX_SKEW`] ago or ahead.
    pub fn admit(&mut self, from: &PodId, life: u64, count: u64, at: u64, now: u64) -> Result<(), Replay> {
        if at.abs_diff(now) > MAX_SKEW {
            // What is kept and said again by somebody else says nothing of a clock.
            if self.highest(from).or(self.before.get(from).copied()) < Some(Highest { life, count }) {
                self.apart.insert(*from, (i128::from(at) - i128::from(now)) as i64);
            }
            return Err(Replay::Time(at.abs_diff(now)));
        }
        if self.before.get(from).is_some_and(|before| Highest { life, count } <= *before) {
            return Err(Replay::Again);
        }
        match self.senders.get_mut(from) {
            Some(window) if life == window.life => window.admit(count)?,
            Some(window) if life < window.life => return Err(Replay::Again),
            _ => drop(self.senders.insert(*from, Window::new(life, count))),
        }
        self.apart.remove(from);
        Ok(())
    }

    /// By how many milliseconds a sender's clock is ahead of ours (negative: behind), if that is why it is not heard.
    pub fn ahead(&self, from: &PodId) -> Option<i64> {
        self.apart.get(from).copied()
    }

    /// Goes on after a start: what the last message of each sender was.
    pub fn resume(&mut self, before: impl IntoIterator<Item = (PodId, Highest)>) {
        self.before = before.into_iter().collect();
    }

    /// The last message of a sender, if any has come since the start.
    pub fn highest(&self, from: &PodId) -> Option<Highest> {
        self.senders.get(from).map(|window| Highest { life: window.life, count: window.highest })
    }

    /// Forgets those who are no members any more.
    pub fn retain(&mut self, member: impl Fn(&PodId) -> bool) {
        self.senders.retain(|pod, _| member(pod));
        self.before.retain(|pod, _| member(pod));
        self.apart.retain(|pod, _| member(pod));
    }
}

impl Window {
    fn new(life: u64, count: u64) -> Self {
        let mut window = Self { life, highest: count, seen: [0; WORDS] };
        window.mark(count);
        window
    }

    fn place(count: u64) -> (usize, u64) {
        let place = count % WINDOW;
        // Less than WORDS by construction.
        ((place / 64) as usize, 1 << (place % 64))
    }

    fn mark(&mut self, count: u64) {
        let (word, bit) = Self::place(count);
        self.seen[word] |= bit;
    }

    fn admit(&mut self, count: u64) -> Result<(), Replay> {
        if count > self.highest {
            if count - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..=count {
                    let (word, bit) = Self::place(skipped);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = count;
        } else {
            let (word, bit) = Self::place(count);
            if self.highest - count >= WINDOW || self.seen[word] & bit != 0 {
                return Err(Replay::Again);
            }
        }
        self.mark(count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 60 * 60 * 1000;

    fn pod() -> PodId {
        PodId::from_bytes([1; 32])
    }

    proptest! {
        #[test]
        fn nothing_is_let_in_twice_and_what_is_in_order_always(counts in prop::collection::vec(0u64..3000, 1..300)) {
            let mut guard = Guard::default();
            let mut seen = HashSet::new();
            let mut highest = 0;
            for count in counts {
                let admitted = guard.admit(&pod(), 1, count, 0, 0).is_ok();
                prop_assert!(!(admitted && seen.contains(&count)), "{} came twice", count);
                if seen.is_empty() || count > highest || (highest - count < WINDOW && !seen.contains(&count)) {
                    prop_assert!(admitted, "{} was kept out", count);
                }
                if admitted {
                    seen.insert(count);
                    highest = highest.max(count);
                }
            }
        }
    }

    #[test]
    fn what_came_before_a_start_is_kept_out_after_it() {
        let mut guard = Guard::default();
        guard.admit(&pod(), 2, 7, 0, 0).unwrap();
        let highest = guard.highest(&pod()).unwrap();
        let mut guard = Guard::default();
        guard.resume([(pod(), highest)]);
        for (life, count) in [(2, 7), (2, 3), (1, 9)] {
            assert_eq!(guard.admit(&pod(), life, count, 0, 0), Err(Replay::Again));
        }
        assert_eq!(guard.admit(&pod(), 2, 9, 0, 0), Ok(()));
        // What was late then is late now, whatever has come since.
        assert_eq!(guard.admit(&pod(), 2, 6, 0, 0), Err(Replay::Again));
        assert_eq!((guard.admit(&pod(), 2, 8, 0, 0), guard.admit(&pod(), 3, 0, 0, 0)), (Ok(()), Ok(())));
    }

    #[test]
    fn an_earlier_life_and_another_time_are_kept_out() {
        let mut guard = Guard::default();
        let now = 10 * HOUR;
        assert_eq!(guard.admit(&pod(), 2, 7, now - HOUR, now), Ok(()));
        assert_eq!(guard.admit(&pod(), 2, 8, now + HOUR, now), Ok(()));
        assert_eq!(guard.admit(&pod(), 1, 9, now, now), Err(Replay::Again));
        // What was kept, and is said again later, tells nothing of its sender's clock; what is new does.
        assert_eq!(guard.admit(&pod(), 2, 8, now - 2 * HOUR, now), Err(Replay::Time(2 * HOUR)));
        assert_eq!(guard.ahead(&pod()), None);
        assert_eq!(guard.admit(&pod(), 2, 9, now - 2 * HOUR, now), Err(Replay::Time(2 * HOUR)));
        assert_eq!(guard.ahead(&pod()), Some(-(2 * HOUR as i64)));
        assert_eq!(guard.admit(&pod(), 3, 0, now, now), Ok(()));
        assert_eq!(guard.ahead(&pod()), None);
        assert_eq!(guard.admit(&pod(), 2, 10, now, now), Err(Replay::Again));
    }
}
