//! When nothing moves by itself any more: the next round of those that go round, a circle is opened, or failures are final.

use petgraph::algo::tarjan_scc;
use petgraph::graph::NodeIndex;
use rustc_hash::FxHashSet;

use super::super::context::Stop;
use super::holding::is_held;
use super::state::Phase;
use super::{Conductor, Rank};

impl Conductor {
    /// Lets something go on; `false`: there is nothing left to be done.
    pub(super) fn unstick(&mut self) -> Result<bool, Stop> {
        if self.look_up_deferred() || self.release_one() || self.give_up_hopeless() {
            return Ok(true);
        }
        if let Some(index) = self.first_in_a_circle() {
            match self.steps[index].phase {
                Phase::Running(_) => self.open_held(index),
                _ => self.open_waiting(index),
            }
            return Ok(true);
        }
        if self.run_deferred() {
            return Ok(true);
        }
        Ok(self.give_up_all())
    }

    /// The step with the smallest id that waits for one that waits, too; and for none that could run.
    fn first_in_a_circle(&self) -> Option<usize> {
        let waits_for_others = self.waiting_for_deferred();
        let waits = |index: &usize| match &self.steps[*index].phase {
            phase @ Phase::Running(_) => is_held(phase),
            Phase::Waiting(_) => {
                let after = &self.context.plan.steps[*index].after;
                after.iter().all(|&before| matches!(self.steps[before].phase, Phase::Good))
            }
            _ => false,
        };
        let waiting = (0..self.steps.len()).filter(waits).filter(|index| !waits_for_others.contains(index));
        waiting.min_by_key(|&index| &self.context.plan.steps[index].id)
    }

    /// Steps that wait, by however many others, for deferred ones which have made nothing yet and do not wait for them in turn.
    fn waiting_for_deferred(&self) -> FxHashSet<usize> {
        let mut deferred: FxHashSet<usize> = self.deferred().into_iter().collect();
        // What the others made is there to be seen; more news may still come to them.
        deferred.retain(|&index| self.steps[index].passes == 0);
        let mut waiting = FxHashSet::default();
        if deferred.is_empty() {
            return waiting;
        }
        let graph = self.graph();
        // Those that are waited for come before those that wait.
        for circle in tarjan_scc(&graph) {
            let outside = |other: &NodeIndex<usize>| !circle.contains(other);
            let mut waited_for = circle.iter().flat_map(|&step| graph.neighbors(step)).filter(outside);
            if waited_for.any(|other| deferred.contains(&other.index()) || waiting.contains(&other.index())) {
                waiting.extend(circle.iter().map(|step| step.index()));
            }
        }
        waiting
    }

    /// A circle is opened at a step that has not started.
    fn open_waiting(&mut self, index: usize) {
        for producer in self.producers(index) {
            if !matches!(self.steps[producer].phase, Phase::Good) {
                self.open(index, producer);
            }
        }
        self.make_ready(index);
    }

    /// Steps for which something was made meanwhile that their traces look at are looked up once more. Whether there was one.
    fn look_up_deferred(&mut self) -> bool {
        let again: Vec<usize> =
            self.deferred().into_iter().filter(|&index| self.has_news_for(index)).collect();
        for &index in &again {
            self.missed.remove(&(Rank::Deferred, index));
            self.try_ready(index);
        }
        !again.is_empty()
    }

    /// Steps whose traces nobody has made hold run after all, as many as there are slots. Whether there was one.
    pub(super) fn run_deferred(&mut self) -> bool {
        if self.look_up_deferred() {
            return true;
        }
        let free = self.context.jobs.saturating_sub(self.slots_used);
        let mut deferred = self.deferred();
        deferred.sort_by_key(|&index| self.steps[index].passes > 0);
        for &index in deferred.iter().take(free) {
            self.missed.remove(&(Rank::Deferred, index));
            self.missed.insert((Rank::First, index));
        }
        !deferred.is_empty()
    }

    fn deferred(&self) -> Vec<usize> {
        let deferred = self.missed.iter().filter(|(rank, _)| *rank == Rank::Deferred);
        deferred.map(|(_, index)| *index).collect()
    }

    /// Whether something was made that traces of a step look at. The step sees it from now on.
    fn has_news_for(&mut self, index: usize) -> bool {
        let Phase::Missed { pass, epoch } = &self.steps[index].phase else { return false };
        let is_old = *epoch != self.hazards.epoch;
        let promises = self.context.made.promises();
        let mut makers = self.hazards.makers_for(&pass.known);
        makers.retain(|&maker| {
            maker != index
                && !self.steps[index].producers.contains(&maker)
                && !promises.is_after(maker, index)
                && !promises.is_after(index, maker)
        });
        let has_news = is_old || !makers.is_empty();
        self.steps[index].producers.extend(makers);
        has_news
    }
}
