//! What is fetched, and what became of it.

use std::time::Duration;

use protocol::swarm::Lane;
use protocol::{ObjectId, PodId};

/// How much it hurts to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// A running step waits for it.
    Urgent,
    /// Somebody will want it.
    #[default]
    Bulk,
}

impl Urgency {
    pub(crate) fn lane(self) -> Lane {
        match self {
            Self::Urgent => Lane::Urgent,
            Self::Bulk => Lane::Bulk,
        }
    }
}

/// One object that is wanted, and who may have it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The object.
    pub id: ObjectId,
    /// Hints, the best first; they are asked before the order's.
    pub from: Vec<PodId>,
    /// How many bytes it has at most, where that is known: whoever says that it has more is not asked for it.
    pub at_most: Option<u64>,
}

impl From<ObjectId> for Wanted {
    fn from(id: ObjectId) -> Self {
        Self { id, from: Vec::new(), at_most: None }
    }
}

/// An order for objects.
#[derive(Debug, Clone)]
pub struct FetchOrder {
    /// What is wanted; what is here already is not asked for.
    pub objects: Vec<Wanted>,
    /// Who may have any of them; without a hint every connected pod is asked, a few at a time.
    pub from: Vec<PodId>,
    /// How much it hurts to wait.
    pub urgency: Urgency,
    /// How long to wait for pods that cannot be reached before their objects count as missing.
    pub patience: Duration,
    /// Whether a third pod may be asked to pass on what a pod has that we cannot reach.
    pub relays: bool,
}

impl FetchOrder {
    /// [`FetchOrder::patience`], unless told otherwise.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// These objects, from these pods, in no hurry.
    pub fn new(objects: impl IntoIterator<Item = impl Into<Wanted>>, from: &[PodId]) -> Self {
        Self {
            objects: objects.into_iter().map(Into::into).collect(),
            from: from.to_vec(),
            urgency: Urgency::default(),
            patience: Self::PATIENCE,
            relays: true,
        }
    }

    /// The same, for a step that waits.
    pub fn urgent(self) -> Self {
        Self { urgency: Urgency::Urgent, ..self }
    }
}

/// What became of an order. What is not missing is in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Objects that were here already.
    pub here: usize,
    /// Objects that came.
    pub came: usize,
    /// Bytes of them that came over the network.
    pub bytes: u64,
    /// Bytes of them that were found here, in chunks of other objects.
    pub reused: u64,
    /// Objects that nobody had: whoever makes them has to make them again.
    pub missing: Vec<ObjectId>,
    /// Pods that sent what is not what it is called.
    pub suspects: Vec<PodId>,
}
