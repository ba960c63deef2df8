//! What others lend, and until when: a matter of what was told at which moment, and of nothing else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::PodId;
use protocol::mesh::{ChefNews, LentChef};

/// How long what was told holds at most.
pub(super) const LEASE: Duration = Duration::from_secs(300);
/// When a pod that gave no answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// Chefs that one pod may lend.
const MAX_LENT: usize = 256;

/// What one pod lends.
struct Lease {
    chefs: Vec<LentChef>,
    until: Instant,
    /// When it is to be asked; none: it has told by itself.
    ask: Option<Instant>,
}

/// What all pods lend.
#[derive(Default)]
pub(super) struct Leases(BTreeMap<PodId, Lease>);

impl Leases {
    /// What was lent when this pod ended the last time: it holds as if it were told now, and those who lend it are asked.
    pub fn remembered(lent: Vec<(PodId, LentChef)>, now: Instant) -> Self {
        let mut leases = Self::default();
        for (pod, chef) in lent {
            let new = || Lease { chefs: Vec::new(), until: now + LEASE, ask: Some(now) };
            leases.0.entry(pod).or_insert_with(new).chefs.push(chef);
        }
        leases
    }

    /// A pod has told what it lends.
    pub fn told(&mut self, pod: PodId, news: ChefNews, now: Instant) {
        let ChefNews { mut chefs, lease } = news;
        chefs.truncate(MAX_LENT);
        let until = now + LEASE.min(Duration::from_secs(lease.into()));
        self.0.insert(pod, Lease { chefs, until, ask: None });
    }

    /// A pod was asked, and has not answered: what it lent holds as long as it did.
    pub fn silent(&mut self, pod: PodId, now: Instant) {
        let again = now + ASK_AGAIN;
        let new = || Lease { chefs: Vec::new(), until: again, ask: None };
        self.0.entry(pod).or_insert_with(new).ask = Some(again);
    }

    /// Whether a pod is to be asked.
    pub fn is_to_be_asked(&self, pod: &PodId, now: Instant) -> bool {
        self.0.get(pod).is_none_or(|lease| lease.ask.is_some_and(|ask| ask <= now))
    }

    /// Takes out what has ended, and what is lent by those who are not believed. Whether there was such.
    pub fn end(&mut self, now: Instant, is_believed: impl Fn(&PodId) -> bool) -> bool {
        let count = self.0.len();
        self.0.retain(|pod, lease| lease.until > now && is_believed(pod));
        self.0.len() != count
    }

    /// All that is lent.
    pub fn lent(&self) -> Vec<(PodId, LentChef)> {
        let each = |(pod, lease): (&PodId, &Lease)| {
            let pod = *pod;
            lease.chefs.iter().map(move |chef| (pod, chef.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(each).collect()
    }
}

#[cfg(test)]
mod tests {
    use protocol::Digest;

    use super::*;

    fn chef(name: &str) -> LentChef {
        LentChef { name: name.to_owned(), version: "1".to_owned(), tree: Digest::of(name.as_bytes()) }
    }

    fn pod(seed: u8) -> PodId {
        PodId::from_bytes([seed; 32])
    }

    fn news(names: &[&str], lease: u32) -> ChefNews {
        ChefNews { chefs: names.iter().map(|name| chef(name)).collect(), lease }
    }

    fn names(leases: &Leases) -> Vec<String> {
        leases.lent().into_iter().map(|(_, chef)| chef.name).collect()
    }

    const ALL: fn(&PodId) -> bool = |_| true;
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_told_holds_for_its_lease_and_is_told_again() {
        let start = Instant::now();
        let mut leases = Leases::default();
        assert!(leases.is_to_be_asked(&pod(1), start));
        leases.told(pod(1), news(&["a"], 300), start);
        assert!(!leases.is_to_be_asked(&pod(1), start));
        assert!(!leases.end(start + LEASE - MOMENT, ALL));
        leases.told(pod(1), news(&["a", "b"], 300), start + LEASE - MOMENT);
        assert!(!leases.end(start + LEASE, ALL));
        assert_eq!(names(&leases), ["a", "b"]);
        assert!(leases.end(start + 2 * LEASE, ALL));
        assert_eq!((names(&leases), leases.is_to_be_asked(&pod(1), start)), (vec![], true));
    }

    #[test]
    fn a_lease_may_be_shorter_and_never_longer() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.told(pod(1), news(&["short"], 20), start);
        leases.told(pod(2), news(&["long"], u32::MAX), start);
        assert!(leases.end(start + Duration::from_secs(20), ALL));
        assert_eq!(names(&leases), ["long"]);
        assert!(leases.end(start + LEASE, ALL));
        assert!(leases.lent().is_empty());
    }

    #[test]
    fn what_is_taken_back_or_lent_by_a_banned_pod_goes_at_once() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.told(pod(1), news(&["a", "b"], 300), start);
        leases.told(pod(2), news(&["c"], 300), start);
        leases.told(pod(1), news(&["b"], 300), start);
        assert_eq!(names(&leases).len(), 2);
        assert!(leases.end(start, |one| *one != pod(2)));
        assert_eq!(names(&leases), ["b"]);
    }

    #[test]
    fn what_is_remembered_ends_too_if_nobody_tells_it_again() {
        let start = Instant::now();
        let mut leases = Leases::remembered(vec![(pod(1), chef("a")), (pod(1), chef("b"))], start);
        assert!(leases.is_to_be_asked(&pod(1), start));
        leases.silent(pod(1), start);
        assert!(!leases.is_to_be_asked(&pod(1), start));
        assert!(leases.is_to_be_asked(&pod(1), start + ASK_AGAIN));
        assert_eq!(names(&leases), ["a", "b"]);
        assert!(leases.end(start + LEASE, ALL));
        assert!(leases.lent().is_empty());
    }

    #[test]
    fn who_says_nothing_lends_nothing_and_is_asked_again() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.silent(pod(1), start);
        assert!(!leases.is_to_be_asked(&pod(1), start));
        assert!(leases.end(start + ASK_AGAIN, ALL));
        assert!(leases.is_to_be_asked(&pod(1), start + ASK_AGAIN));
    }
}
