//! Pools: steps of which only so many run at once, on all pods together.

use super::state::Phase;
use super::{Conductor, Rank};

impl Conductor {
    /// Whether a step's pool has room for it. One that is held takes none: what it waits for may be of the same pool.
    pub(super) fn has_room(&self, index: usize) -> bool {
        let steps = &self.context.plan.steps;
        let Some(pool) = &steps[index].pool else { return true };
        let runs = |other: &&usize| match &self.steps[**other].phase {
            Phase::Running(running) => running.slot.is_some() || running.is_away || running.is_judged,
            _ => false,
        };
        let others =
            self.pooled.iter().filter(|other| **other != index && steps[**other].pool.as_ref() == Some(pool));
        others.filter(runs).count() < pool.depth
    }

    /// The steps that have to run and may begin now, those first that come first.
    pub(super) fn may_begin(&self) -> impl Iterator<Item = (Rank, usize)> {
        let missed =
            self.missed.iter().filter(|(rank, index)| *rank != Rank::Deferred && self.has_room(*index));
        missed.copied()
    }
}
