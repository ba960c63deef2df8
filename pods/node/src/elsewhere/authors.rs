//! Whose traces were learned, which of our own nobody is told of, and which results are not wanted from others any more.
//!
//! All are marks in the larder, which outlive its index. They are set before a trace can answer, so that it can be taken back when its
//! pod is sent away. Homes of before have notes of nobody's workspace for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::{Digest, PodId, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Traces of others that are kept (about 100 bytes each in memory); beyond that none are learned but in the place of those that are gone.
const MAX_LEARNED_IN_ALL: usize = 1 << 20;
/// How soon it is looked again for such.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// Marks upon a trace: the pod that made it.
const LEARNED: u8 = 1;
/// Marks upon a trace of ours: nobody is told.
const KEPT: u8 = 2;
/// Marks upon a strong key: nobody's result for it is wanted.
const FORGOTTEN: u8 = 3;
/// The notes of homes of before, by the kind of mark.
const NOTES: [(u8, &str); 3] = [(LEARNED, "learned/"), (KEPT, "kept/"), (FORGOTTEN, "forgotten/")];
/// A mark says all by being there.
const IS_SET: [u8; 32] = [0; 32];

/// What is remembered of traces that others made.
#[derive(Clone)]
pub(super) struct Authors {
    larder: Larder,
    most: usize,
    /// When those that are gone were looked for.
    looked: Arc<Mutex<Option<Instant>>>,
    known: Arc<Mutex<Option<Known>>>,
}

#[derive(Default)]
struct Known {
    learned: FxHashMap<Digest, PodId>,
    kept: FxHashSet<Digest>,
    forgotten: FxHashSet<Digest>,
}

fn nobody() -> WorkspaceId {
    WorkspaceId::from_random(0)
}

impl Authors {
    pub(super) fn new(larder: Larder) -> Self {
        Self { larder, most: MAX_LEARNED_IN_ALL, looked: Arc::default(), known: Arc::default() }
    }

    fn known<T>(&self, ask: impl FnOnce(&mut Known) -> T) -> Result<T, LarderError> {
        let mut known = self.known.lock();
        if let Some(known) = &mut *known {
            return Ok(ask(known));
        }
        let mut read = Known::default();
        for (kind, prefix) in NOTES {
            let notes = self.larder.notes(nobody(), prefix)?;
            let noted = notes.into_iter().filter_map(|(key, value)| {
                Some((key.strip_prefix(prefix)?.parse().ok()?, value.try_into().unwrap_or(IS_SET)))
            });
            for (digest, value) in noted.chain(self.larder.marks(kind)?) {
                match kind {
                    LEARNED => drop(read.learned.insert(digest, PodId::from_bytes(value))),
                    KEPT => drop(read.kept.insert(digest)),
                    _ => drop(read.forgotten.insert(digest)),
                }
            }
        }
        Ok(ask(known.insert(read)))
    }

    /// Who made a trace, if it was another pod.
    pub(super) fn of(&self, trace: &Digest) -> Result<Option<PodId>, LarderError> {
        self.known(|known| known.learned.get(trace).copied())
    }

    /// The traces that came from a pod.
    pub(super) fn traces_of(&self, pod: &PodId) -> Result<Vec<Digest>, LarderError> {
        self.known(|known| {
            let of_pod = known.learned.iter().filter(|(_, by)| *by == pod);
            of_pod.map(|(trace, _)| *trace).collect()
        })
    }

    /// Whether no more can be learned. What the larder has no more, or what is revoked, is forgotten before that is said.
    pub(super) fn is_full(&self) -> Result<bool, LarderError> {
        let is_full = || self.known(|known| known.learned.len() >= self.most);
        if !is_full()? {
            return Ok(false);
        }
        if let Some(looked) = &mut *self.looked.lock()
            && looked.elapsed() < LOOK_AGAIN
        {
            return Ok(true);
        }
        *self.looked.lock() = Some(Instant::now());
        let learned: Vec<Digest> = self.known(|known| known.learned.keys().copied().collect())?;
        let mut gone = FxHashSet::default();
        for trace in learned {
            if !self.larder.contains(&trace)? || self.larder.is_revoked(&trace)? {
                gone.insert(trace);
            }
        }
        self.known(|known| known.learned.retain(|trace, _| !gone.contains(trace)))?;
        let is_full = is_full()?;
        if is_full {
            tracing::warn!(
                most = self.most,
                "so many results of other pods are known that no more are taken: steps run here instead; a new home begins with none"
            );
        }
        Ok(is_full)
    }

    /// These traces come from these pods. When this returns neither a killed process nor a lost index loses it.
    pub(super) fn learned(
        &self,
        traces: impl IntoIterator<Item = (Digest, PodId)>,
    ) -> Result<(), LarderError> {
        for (trace, pod) in traces {
            self.larder.mark(LEARNED, &trace, *pod.as_bytes())?;
            self.known(|known| known.learned.insert(trace, pod))?;
        }
        Ok(())
    }

    /// Nobody is told of this trace of ours. When this returns neither a killed process nor a lost index loses it.
    pub(super) fn keep(&self, trace: &Digest) -> Result<(), LarderError> {
        self.known(|known| known.kept.insert(*trace))?;
        self.larder.mark(KEPT, trace, IS_SET)
    }

    pub(super) fn is_kept(&self, trace: &Digest) -> Result<bool, LarderError> {
        self.known(|known| known.kept.contains(trace))
    }

    /// Results for this strong key are not taken from others any more.
    pub(super) fn forget(&self, strong: &Digest) -> Result<(), LarderError> {
        self.known(|known| known.forgotten.insert(*strong))?;
        self.larder.mark(FORGOTTEN, strong, IS_SET)
    }

    pub(super) fn is_forgotten(&self, strong: &Digest) -> Result<bool, LarderError> {
        self.known(|known| known.forgotten.contains(strong))
    }
}

#[cfg(test)]
mod tests {
    use larder::ObjectKind;

    use super::*;

    #[test]
    fn what_is_gone_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let larder = Larder::open(&folder.path().join("larder"), larder::Options::default()).unwrap();
        let full = |larder: &Larder| Authors { most: 2, ..Authors::new(larder.clone()) };
        let pod = PodId::from_bytes([1; 32]);
        let here = |text: &str| larder.put(ObjectKind::Blob, text.as_bytes()).unwrap();
        let authors = full(&larder);
        assert!(!authors.is_full().unwrap());
        authors.learned([(here("one"), pod), (here("two"), pod)]).unwrap();
        assert!(authors.is_full().unwrap());
        // One that never came, or went.
        let gone = Digest::of(b"gone");
        let authors = Authors { most: 3, ..full(&larder) };
        authors.learned([(gone, pod)]).unwrap();
        assert!(!authors.is_full().unwrap());
        assert_eq!((authors.of(&gone).unwrap(), authors.of(&here("one")).unwrap()), (None, Some(pod)));
    }
}
