//! One object that is being fetched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use protocol::swarm::{ChunkList, Item, Lane};
use protocol::{ObjectId, PodId};

use super::OrderId;
use crate::Incoming;

/// What is asked for in one go, from one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Whole,
    List,
    Chunk(u32),
}

/// A part of an object.
pub(super) type Unit = (ObjectId, Part);

/// Where a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nobody was asked.
    Open,
    /// So many pods were asked: one, but for the last units.
    Asked(u8),
    /// It came, and is being checked and written.
    Writing,
    Done,
}

/// A pod that says that it has the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub(super) pod: PodId,
    pub(super) size: u64,
    /// Until when that surely holds.
    pub(super) until: Instant,
}

/// An object that arrives in chunks. Kept when its order ends early, so that the next one goes on from there.
pub(super) struct Chunked {
    pub(super) list: Arc<ChunkList>,
    pub(super) offsets: Vec<u64>,
    /// Who sent the list: if the whole is wrong and each chunk right, it is the list that lies.
    pub(super) origin: PodId,
    pub(super) incoming: Arc<dyn Incoming>,
    pub(super) progress: Vec<Progress>,
    pub(super) left: usize,
}

impl Chunked {
    /// Chunks that were asked for and will not come.
    pub(super) fn reopen_all(&mut self) {
        for progress in &mut self.progress {
            if *progress != Progress::Done {
                *progress = Progress::Open;
            }
        }
    }
}

pub(super) enum State {
    /// Nobody is known to have it.
    Seeking,
    /// It comes in one piece.
    Whole(Progress),
    /// It comes in chunks, and its list is awaited.
    List(Progress),
    /// Room is made, and chunks that are here are copied.
    Preparing,
    Chunks(Chunked),
    /// The whole is being checked.
    Finishing,
}

pub(super) struct Job {
    pub(super) lane: Lane,
    pub(super) orders: Vec<OrderId>,
    pub(super) state: State,
    /// Who is still to be asked.
    pub(super) candidates: VecDeque<PodId>,
    /// All who were candidates, for another round.
    pub(super) hints: Vec<PodId>,
    /// Questions that are not answered yet.
    pub(super) asking: usize,
    pub(super) holders: Vec<Holder>,
    /// Candidates that could not be reached.
    pub(super) unreachable: Vec<PodId>,
    /// Third pods that were asked to pass it on.
    pub(super) relays: Vec<PodId>,
    /// Pods that said that they have it, and did not give it.
    pub(super) missed: Vec<PodId>,
    pub(super) may_relay: bool,
    /// The bytes that it may have, by the order that allows most.
    pub(super) at_most: Option<u64>,
    /// Somebody did not answer: it may be there all the same.
    pub(super) unsure: bool,
    /// When all are asked again, if nobody is left to ask.
    pub(super) next_round: Option<Instant>,
    /// Until when that is done: patience begins with the first time.
    pub(super) deadline: Option<Instant>,
    pub(super) patience: std::time::Duration,
    /// Only this pod is asked for chunks: it sent the list, and somebody's chunk did not fit another's.
    pub(super) only: Option<PodId>,
    /// Who sent a list that did not fit.
    pub(super) doubted: Option<(PodId, Arc<ChunkList>)>,
    pub(super) bytes: u64,
    pub(super) reused: u64,
}

impl Job {
    pub(super) fn holds(&self, pod: &PodId) -> Option<&Holder> {
        self.holders.iter().find(|holder| holder.pod == *pod)
    }

    pub(super) fn progress(&mut self, part: Part) -> Option<&mut Progress> {
        match (&mut self.state, part) {
            (State::Whole(progress), Part::Whole) | (State::List(progress), Part::List) => Some(progress),
            (State::Chunks(chunked), Part::Chunk(number)) => chunked.progress.get_mut(number as usize),
            _ => None,
        }
    }

    /// How the unit is asked for from a pod, and how long it is; no length for a list.
    pub(super) fn item(&self, id: ObjectId, part: Part, pod: &PodId) -> Option<(Item, Option<u32>)> {
        match (&self.state, part) {
            (State::Whole(_), Part::Whole) => {
                let size = self.holds(pod)?.size;
                Some((Item::Whole(id), Some(u32::try_from(size).ok()?)))
            }
            (State::List(_), Part::List) => Some((Item::Chunks(id), None)),
            (State::Chunks(chunked), Part::Chunk(number)) => {
                let length = chunked.list.chunks().get(number as usize)?.length;
                let offset = *chunked.offsets.get(number as usize)?;
                Some((Item::Part { id, offset, length }, Some(length)))
            }
            _ => None,
        }
    }

    /// The units that nobody was asked for.
    pub(super) fn open(&self, id: ObjectId) -> Vec<Unit> {
        match &self.state {
            State::Whole(Progress::Open) => vec![(id, Part::Whole)],
            State::List(Progress::Open) => vec![(id, Part::List)],
            State::Chunks(chunked) => {
                let numbered = (0u32..).zip(&chunked.progress);
                let open = numbered.filter(|(_, progress)| **progress == Progress::Open);
                open.map(|(number, _)| (id, Part::Chunk(number))).collect()
            }
            _ => vec![],
        }
    }
}
