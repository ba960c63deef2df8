//! Who is needed, and who has nothing left to wait for.

use std::time::Instant;

use rustc_hash::FxHashSet;

use super::super::context::Stop;
use super::super::keep;
use super::super::step::keeps;
use super::state::Phase;
use super::{Conductor, Rank};
use crate::majordomo::records::{self, Edges};

impl Conductor {
    /// Takes in who fed whom in the last build, and begins circles where that build settled.
    pub(super) async fn recall_edges(&mut self, wanted: &[usize]) -> Result<(), Stop> {
        let context = self.context.clone();
        if context.options.cold {
            return Ok(());
        }
        for (consumer, producer) in self.known(&context.last_edges) {
            self.steps[consumer].producers.insert(producer);
        }
        let mut needed: FxHashSet<usize> = wanted.iter().copied().collect();
        needed.extend(wanted.iter().flat_map(|&step| self.needs(step)));
        for (consumer, producer) in self.known(&context.last_edges_if_there) {
            if needed.contains(&consumer) && needed.contains(&producer) {
                self.steps[consumer].producers.insert(producer);
            }
        }
        for circle in self.all_circles() {
            for &step in &circle {
                let id = &context.plan.steps[step].id;
                let later = circle.iter().filter(|&&other| context.plan.steps[other].id > *id);
                let later: Vec<usize> = later.copied().collect();
                for other in later {
                    self.open(step, other);
                    self.begin_circle_with(other).await?;
                }
            }
        }
        Ok(())
    }

    /// Consumers and producers of this plan, where no order says the contrary.
    fn known(&self, edges: &Edges) -> Vec<(usize, usize)> {
        let plan = &self.context.plan;
        let promises = self.context.made.promises();
        let pairs = edges.iter().flat_map(|(consumer, producers)| {
            let consumer = plan.step(consumer);
            producers.iter().filter_map(move |producer| Some((consumer?, plan.step(producer)?)))
        });
        pairs
            .filter(|&(consumer, producer)| consumer != producer && !promises.is_after(producer, consumer))
            .collect()
    }

    /// What a step of a circle settled at the last time.
    async fn begin_circle_with(&self, index: usize) -> Result<(), Stop> {
        let context = &self.context;
        if context.made.tree(index).is_some() {
            return Ok(());
        }
        if keeps(context, index) {
            if let Some(hit) = keep::last(context, index).await?.left_by {
                context.made.begin_with(index, hit.tree);
            }
            return Ok(());
        }
        let Some(record) = context.last.get(&context.plan.steps[index].id) else { return Ok(()) };
        if let Some((trace, _)) = records::trace(context.pod.larder(), &record.trace)?
            && let Some(tree) = super::super::step::outputs_of(context, &trace).await?
        {
            context.made.begin_with(index, tree.into());
        }
        Ok(())
    }

    /// These steps, and all that they are known to depend on, have to come to their ends.
    pub(super) fn need(&mut self, steps: &[usize]) {
        let mut todo: Vec<usize> = steps.to_vec();
        let mut new = Vec::new();
        while let Some(next) = todo.pop() {
            let step = &mut self.steps[next];
            if matches!(step.phase, Phase::Unneeded) {
                step.phase = Phase::Waiting(0);
                self.needed += 1;
                new.push(next);
                todo.extend(self.context.plan.steps[next].after.iter());
                todo.extend(&step.producers);
            }
        }
        new.sort_unstable();
        for step in new {
            self.try_ready(step);
        }
    }

    /// The steps that a step has to wait for now.
    fn blockers(&mut self, index: usize) -> Vec<usize> {
        let is_good = |steps: &[super::state::Step], other: usize| matches!(steps[other].phase, Phase::Good);
        let after = &self.context.plan.steps[index].after;
        let mut blockers: Vec<usize> =
            after.iter().copied().filter(|&before| !is_good(&self.steps, before)).collect();
        let producers: Vec<usize> = self.steps[index].producers.iter().copied().collect();
        for producer in producers {
            if is_good(&self.steps, producer) || self.steps[index].opened.contains(&producer) {
                continue;
            }
            match self.steps[producer].phase {
                // What will not be made is not waited for.
                Phase::Over => {}
                // It goes round, perhaps through this step: what it has left by now is seen.
                Phase::Doubted
                    if keeps(&self.context, producer)
                        && self.steps[producer].passes > 0
                        && self.may_feed(index, producer) =>
                {
                    self.open(index, producer);
                }
                _ => blockers.push(producer),
            }
        }
        blockers
    }

    /// A step of a circle does not wait for another one of it.
    pub(super) fn open(&mut self, index: usize, producer: usize) {
        self.steps[index].opened.insert(producer);
        self.is_opened.insert(producer);
    }

    /// Makes a step ready, or lets it wait for whoever it has to.
    pub(super) fn try_ready(&mut self, index: usize) {
        let producers: Vec<usize> = self.steps[index].producers.iter().copied().collect();
        self.need(&producers);
        let blockers = self.blockers(index);
        if blockers.is_empty() {
            return self.make_ready(index);
        }
        self.steps[index].phase = Phase::Waiting(blockers.len());
        let is_demanded = self.steps[index].is_demanded;
        for blocker in blockers {
            self.waiters[blocker].push(index);
            if is_demanded {
                self.demand(blocker);
            }
        }
    }

    pub(super) fn make_ready(&mut self, index: usize) {
        let step = &mut self.steps[index];
        step.phase = Phase::Ready;
        step.begun.get_or_insert_with(Instant::now);
        let rank = self.rank(index);
        self.ready.insert((rank, index));
    }

    pub(super) fn rank(&self, index: usize) -> Rank {
        let step = &self.steps[index];
        match (step.is_demanded, step.passes) {
            (true, _) => Rank::Demanded,
            (_, 0) => Rank::First,
            _ => Rank::Again,
        }
    }

    /// Somebody waits for this step: it gets the next free slot, and so does whatever it waits for.
    pub(super) fn demand(&mut self, index: usize) {
        let mut todo = vec![index];
        while let Some(next) = todo.pop() {
            if std::mem::replace(&mut self.steps[next].is_demanded, true) {
                continue;
            }
            match self.steps[next].phase {
                Phase::Ready => {
                    self.ready.retain(|(_, index)| *index != next);
                    self.ready.insert((Rank::Demanded, next));
                }
                Phase::Missed { .. } => {
                    let rank = self.missed.iter().find(|(_, index)| *index == next).copied();
                    if let Some(entry @ (rank, _)) = rank
                        && rank != Rank::Deferred
                    {
                        self.missed.remove(&entry);
                        self.missed.insert((Rank::Demanded, next));
                    }
                }
                Phase::Waiting(_) => {
                    todo.extend(self.context.plan.steps[next].after.iter());
                    todo.extend(&self.steps[next].producers);
                }
                _ => {}
            }
        }
    }

    /// A step came to an end: whoever waits for it looks again.
    pub(super) fn wake(&mut self, index: usize) {
        for waiter in std::mem::take(&mut self.waiters[index]) {
            if let Phase::Waiting(count) = &mut self.steps[waiter].phase {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.try_ready(waiter);
                }
            }
        }
    }
}
