//! Whose traces were learned, which of our own nobody is told of, and which results are not wanted from others any more.
//!
//! All are notes in the larder, of nobody's workspace. They are written before a trace can answer, so that it can be taken back when its
//! pod is sent away. With the larder's index they are lost: then the federation's log still tells what a pod has announced.

use std::sync::Arc;

use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::{Digest, PodId, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Traces of others that are kept (about 100 bytes each in memory); beyond that none are learned.
const MAX_LEARNED_IN_ALL: usize = 1 << 20;
const LEARNED: &str = "learned/";
const KEPT: &str = "kept/";
const FORGOTTEN: &str = "forgotten/";

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
        for (key, value) in self.larder.notes(nobody(), LEARNED)? {
            let digest = key.strip_prefix(LEARNED).and_then(|text| text.parse().ok());
            let pod = <[u8; 32]>::try_from(value).ok().map(PodId::from_bytes);
            read.learned.extend(digest.zip(pod));
        }
        for (kind, all) in [(KEPT, &mut read.kept), (FORGOTTEN, &mut read.forgotten)] {
            let notes = self.larder.notes(nobody(), kind)?;
            all.extend(notes.iter().filter_map(|(key, _)| key.strip_prefix(kind)?.parse::<Digest>().ok()));
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

    /// These traces come from these pods. When this returns a killed process does not lose it.
    pub(super) fn learned(
        &self,
        traces: impl IntoIterator<Item = (Digest, PodId)>,
    ) -> Result<(), LarderError> {
        for (trace, pod) in traces {
            self.larder.note(nobody(), &format!("{LEARNED}{trace}"), pod.as_bytes())?;
            self.known(|known| known.learned.insert(trace, pod))?;
        }
        self.larder.flush()
    }

    /// Nobody is told of this trace of ours. When this returns a killed process does not lose it.
    pub(super) fn keep(&self, trace: &Digest) -> Result<(), LarderError> {
        self.known(|known| known.kept.insert(*trace))?;
        self.larder.note(nobody(), &format!("{KEPT}{trace}"), &[])?;
        self.larder.flush()
    }

    pub(super) fn is_kept(&self, trace: &Digest) -> Result<bool, LarderError> {
        self.known(|known| known.kept.contains(trace))
    }

    /// Results for this strong key are not taken from others any more.
    pub(super) fn forget(&self, strong: &Digest) -> Result<(), LarderError> {
        self.known(|known| known.forgotten.insert(*strong))?;
        self.larder.note(nobody(), &format!("{FORGOTTEN}{strong}"), &[])
    }

    pub(super) fn is_forgotten(&self, strong: &Digest) -> Result<bool, LarderError> {
        self.known(|known| known.forgotten.contains(strong))
    }
}
