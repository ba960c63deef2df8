//! Whose traces were learned, which of our own nobody is told of, and which results are not wanted from others any more.
//!
//! All are marks in the larder, which outlive its index. They are set before a trace can answer, so that it can be taken back when its
//! pod is sent away. Homes of before have notes of nobody's workspace for them.

use std::sync::Arc;

use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::{Digest, PodId, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Traces of others that are kept (about 100 bytes each in memory); beyond that none are learned.
const MAX_LEARNED_IN_ALL: usize = 1 << 20;
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
        Self { larder, known: Arc::default() }
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

    pub(super) fn is_full(&self) -> Result<bool, LarderError> {
        self.known(|known| known.learned.len() >= MAX_LEARNED_IN_ALL)
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
