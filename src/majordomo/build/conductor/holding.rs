//! Held look-ups: the slot goes back, what was looked at is made, and the look-up is answered once there is a slot again.

use std::sync::Arc;

use node::Slot;
use protocol::event::Event;

use super::super::demand::{Answer, Hold};
use super::state::{EndedRun, Held, Phase, Running};
use super::{Conductor, HELD_PER_SLOT};

impl Conductor {
    fn running(&mut self, index: usize) -> Option<&mut Running> {
        match &mut self.steps[index].phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// A step looked at what is not made yet.
    pub(super) fn held(&mut self, hold: Hold) {
        let Hold { step, run, by, path, answer } = hold;
        let is_ending = self.is_ending();
        let made = self.context.made.good(by);
        let Some(running) =
            self.running(step).filter(|running| running.run == run && running.ended.is_none())
        else {
            // A dropped answer cancels the look-up.
            return;
        };
        if let Some(tree) = made {
            // Whoever has gone meanwhile needs no answer.
            drop(answer.send(Ok(Some(tree))));
            return;
        }
        if is_ending {
            return self.end_run(step, EndedRun::Needs(by));
        }
        running.held.push(Held { by, answer });
        let slot = running.slot.take();
        self.holding.insert(step);
        self.context.sink.event(Event::StepHeld { step: self.context.plan.steps[step].id.clone(), on: path });
        if slot.is_some() {
            self.slots_used -= 1;
            self.unheld -= 1;
        }
        drop(slot);
        if matches!(self.steps[by].phase, Phase::Over) {
            return self.end_run(step, EndedRun::Needs(by));
        }
        self.steps[step].producers.insert(by);
        self.need(&[by]);
        self.demand(by);
        let held = self.holding.iter().filter(|&&step| is_held(&self.steps[step].phase)).count();
        if held > HELD_PER_SLOT * self.context.jobs {
            self.end_run(step, EndedRun::TooManyHeld(by));
        }
    }

    /// Ends a run that is held.
    fn end_run(&mut self, index: usize, why: EndedRun) {
        if let Some(running) = self.running(index) {
            running.ended.get_or_insert(why);
            running.cancel.set();
            running.held.clear();
            running.answers.clear();
        }
    }

    /// What a step made is there: look-ups that wait for it have their answer.
    pub(super) fn answer_held(&mut self, by: usize) {
        let Some(tree) = self.context.made.good(by) else { return };
        for index in self.holders() {
            self.answer_one(index, by, &Ok(Some(Arc::clone(&tree))));
        }
    }

    /// Steps with look-ups that wait.
    fn holders(&self) -> Vec<usize> {
        self.holding.iter().copied().collect()
    }

    /// What a step has left goes to those held look-ups of steps that may feed it: they go round together.
    pub(super) fn answer_unsettled(&mut self, by: usize) {
        for index in self.holders() {
            let waits =
                self.running(index).is_some_and(|running| running.held.iter().any(|held| held.by == by));
            if waits && self.may_feed(index, by) {
                self.open(index, by);
                let tree = self.context.made.tree(by);
                self.answer_one(index, by, &Ok(tree));
            }
        }
    }

    fn answer_one(&mut self, index: usize, by: usize, answer: &Answer) {
        let Some(running) = self.running(index) else { return };
        let (now, still): (Vec<Held>, Vec<Held>) = running.held.drain(..).partition(|held| held.by == by);
        running.held = still;
        if now.is_empty() {
            return;
        }
        running.answers.extend(now.into_iter().map(|held| (held, answer.clone())));
        let is_waiting = running.slot.is_none();
        if !is_waiting {
            return self.send_answers(index);
        }
        if !self.resuming.contains(&index) {
            self.resuming.push_back(index);
        }
    }

    fn send_answers(&mut self, index: usize) {
        if let Some(running) = self.running(index) {
            for (held, answer) in running.answers.drain(..) {
                // Whoever has gone meanwhile needs no answer.
                drop(held.answer.send(answer));
            }
        }
    }

    /// A held step has a slot again.
    pub(super) fn resume(&mut self, index: usize, mut slot: Slot) {
        slot.needs(self.context.memory_of(index).unwrap_or_default());
        let Some(running) = self.running(index).filter(|running| running.slot.is_none()) else { return };
        running.slot = Some(slot);
        self.slots_used += 1;
        self.unheld += 1;
        self.context.sink.event(Event::StepResumed { step: self.context.plan.steps[index].id.clone() });
        self.send_answers(index);
    }

    /// Whatever waits for a step that will not make it is ended.
    pub(super) fn end_held_by(&mut self, by: usize) {
        for index in self.holders() {
            let waits =
                self.running(index).is_some_and(|running| running.held.iter().any(|held| held.by == by));
            if waits {
                self.end_run(index, EndedRun::Needs(by));
            }
        }
    }

    /// Nothing more will be made: whoever waits for it is ended.
    pub(super) fn end_held(&mut self) {
        for index in self.holders() {
            let by = self.running(index).and_then(|running| running.held.first()).map(|held| held.by);
            if let Some(by) = by {
                self.end_run(index, EndedRun::Needs(by));
            }
        }
    }

    /// A circle is opened at a step that is held: it sees what the others last made, or nothing.
    pub(super) fn open_held(&mut self, index: usize) {
        let Some(running) = self.running(index) else { return };
        let mut by: Vec<usize> = running.held.iter().map(|held| held.by).collect();
        by.sort_unstable();
        by.dedup();
        for by in by {
            self.open(index, by);
            let tree = self.context.made.tree(by);
            self.answer_one(index, by, &Ok(tree));
        }
    }
}

/// Whether a step is held.
pub(super) fn is_held(phase: &Phase) -> bool {
    matches!(phase, Phase::Running(running) if !running.held.is_empty() && running.slot.is_none())
}
