//! Beats: who is there, and how busy. A pod that falls silent is *suspected* before it is given up as *lost*; a suspected pod gets nothing new.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::PodId;
use protocol::mesh::Beat;
use tokio::sync::watch;

/// How often a pod beats.
pub const EVERY: Duration = Duration::from_secs(2);
/// So many beats missed make a pod suspected.
pub const SUSPECTED_AFTER: u32 = 3;
/// A pod that is silent for so long is lost, and what it owns may be claimed.
pub const LOST_AFTER: Duration = Duration::from_secs(30);

/// What is thought of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It was heard a moment ago.
    Alive,
    /// It has missed beats.
    Suspected,
    /// It is given up.
    Lost,
}

/// The last beat of a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// What it said.
    pub beat: Beat,
    /// When.
    pub at: Instant,
    /// How long ago that was.
    pub ago: Duration,
    /// What follows from that.
    pub liveness: Liveness,
}

/// The last beat of each member. Bounded by their number.
pub struct Beats {
    every: Duration,
    began: Instant,
    last: Mutex<BTreeMap<PodId, (Beat, Instant)>>,
    count: watch::Sender<u64>,
}

impl Beats {
    /// Of pods that beat this often.
    pub fn new(every: Duration) -> Self {
        Self { every, began: Instant::now(), last: Mutex::default(), count: watch::Sender::new(0) }
    }

    /// How often a pod beats.
    pub fn every(&self) -> Duration {
        self.every
    }

    pub(crate) fn hear(&self, pod: PodId, beat: Beat) {
        self.last.lock().insert(pod, (beat, Instant::now()));
        self.count.send_modify(|count| *count += 1);
    }

    pub(crate) fn retain(&self, member: impl Fn(&PodId) -> bool) {
        self.last.lock().retain(|pod, _| member(pod));
    }

    /// What is thought of a pod. One that was never heard has the benefit of the doubt until we have listened for [`LOST_AFTER`].
    pub fn liveness(&self, pod: &PodId) -> Liveness {
        let last = self.last.lock().get(pod).map(|(_, at)| at.elapsed());
        judge(last.unwrap_or_else(|| self.began.elapsed()), self.every)
    }

    /// How many were heard, as that changes.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// All that were heard, by pod.
    pub fn all(&self) -> BTreeMap<PodId, Heard> {
        let last = self.last.lock();
        let heard = last.iter().map(|(pod, (beat, at))| {
            let ago = at.elapsed();
            (*pod, Heard { beat: beat.clone(), at: *at, ago, liveness: judge(ago, self.every) })
        });
        heard.collect()
    }
}

fn judge(silent: Duration, every: Duration) -> Liveness {
    if silent >= LOST_AFTER {
        Liveness::Lost
    } else if silent >= every * (SUSPECTED_AFTER + 1) {
        Liveness::Suspected
    } else {
        Liveness::Alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_suspected_before_it_is_lost() {
        for (seconds, wanted) in
            [(0, Liveness::Alive), (7, Liveness::Alive), (8, Liveness::Suspected), (30, Liveness::Lost)]
        {
            assert_eq!(judge(Duration::from_secs(seconds), EVERY), wanted, "{seconds} s");
        }
    }
}
