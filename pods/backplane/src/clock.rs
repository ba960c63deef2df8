//! Milliseconds since 1970, as this pod believes them. Pods' clocks may be apart by [`MAX_SKEW`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far another pod's clock may be from ours: an hour, and what a message takes.
pub const MAX_SKEW: u64 = 65 * 60 * 1000;

/// Tells the time. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// One that stands until it is [set](Self::set).
    pub fn manual(now: u64) -> Self {
        Self(Kind::Manual(Arc::new(AtomicU64::new(now))))
    }

    /// Now.
    pub fn now(&self) -> u64 {
        match &self.0 {
            Kind::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Kind::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Sets a manual clock; the machine's goes on as it does.
    pub fn set(&self, now: u64) {
        if let Kind::Manual(clock) = &self.0 {
            clock.store(now, Ordering::SeqCst);
        }
    }
}
