//! Failures: final only when nothing that could still publish is left (DESIGN §4.9).

use std::collections::HashMap;

use protocol::event::How;
use protocol::{Look, RelPath, Seen};

use super::super::context::{Stop, Unexplained};
use super::super::step::Failed;
use super::state::Phase;
use super::{Conductor, Ending};

impl Conductor {
    /// A run failed.
    pub(super) async fn failed(&mut self, index: usize, failed: Failed, epoch: u64) -> Result<(), Stop> {
        if self.is_stale_by(index, &failed.seen, epoch).await? {
            self.doubt_again(index);
            return Ok(());
        }
        self.call_in(index, &failed.seen)?;
        self.steps[index].passes += 1;
        if self.hazards.is_kept() {
            self.hazards.looked(index, &failed.seen);
        }
        self.steps[index].phase = Phase::Failing(Box::new(failed));
        self.failing.insert(index);
        if !self.may_be_helped(index) {
            self.give_up(index);
        }
        Ok(())
    }

    /// Whether something that is still to come could make a step that failed come to a better end.
    fn may_be_helped(&self, index: usize) -> bool {
        let Phase::Failing(failed) = &self.steps[index].phase else { return false };
        // What it was to make itself it does not lack.
        let promises = self.context.made.promises();
        let is_own = |path: &RelPath| promises.makers_of(path).any(|by| by == index);
        let missed = failed.seen.iter().filter(is_open_question).map(|(path, ..)| path);
        let missed: Vec<&RelPath> = missed.filter(|path| !is_own(path)).collect();
        if missed.is_empty() {
            return false;
        }
        let open = self.steps.iter().enumerate().filter(|(_, step)| step.is_open());
        open.map(|(other, _)| other).any(|other| {
            other != index && !self.failing.contains(&other) && self.could_make(other, index, &missed)
        })
    }

    /// Whether a step may come to make one of these paths, as far as the last build tells.
    fn could_make(&self, other: usize, index: usize, paths: &[&RelPath]) -> bool {
        let context = &self.context;
        if context.made.promises().is_after(other, index) || context.plan.steps[other].strict {
            return false;
        }
        let id = &context.plan.steps[other].id;
        match context.recall.step(id).filter(|recalled| recalled.weak == context.weak_keys[other]) {
            None => true,
            Some(recalled) => {
                let touches = |made: &RelPath| {
                    paths.iter().any(|path| made.is_within(path) || made.parent().as_ref() == Some(*path))
                };
                recalled.tree.entries().iter().any(|(made, _)| touches(made))
            }
        }
    }

    /// Those failures are final that nothing can help any more. Whether there was one.
    pub(super) fn give_up_hopeless(&mut self) -> bool {
        let hopeless: Vec<usize> =
            self.failing.iter().copied().filter(|&index| !self.may_be_helped(index)).collect();
        hopeless.iter().for_each(|&index| self.give_up(index));
        !hopeless.is_empty()
    }

    /// All failures are final. Whether there was one.
    pub(super) fn give_up_all(&mut self) -> bool {
        let all: Vec<usize> = self.failing.iter().copied().collect();
        all.iter().for_each(|&index| self.give_up(index));
        !all.is_empty()
    }

    fn give_up(&mut self, index: usize) {
        self.failing.remove(&index);
        let phase = std::mem::replace(&mut self.steps[index].phase, Phase::Over);
        let Phase::Failing(failed) = phase else { return };
        // It had not waited for a step that failed by itself: that one is what is wrong. Of two that wait for each other it is
        // the one that is given up first.
        let first = self.steps[index].opened.iter().copied().find(|&other| match self.steps[other].phase {
            Phase::Over => other != index,
            Phase::Failing(_) => other != index && !self.steps[other].opened.contains(&index),
            _ => false,
        });
        match first {
            Some(by) => self.skip(index, by),
            None => self.fail_for_good(index, *failed),
        }
    }

    /// A step failed, and that is final.
    pub(super) fn fail_for_good(&mut self, index: usize, failed: Failed) {
        self.failing.remove(&index);
        self.doubted.remove(&index);
        self.steps[index].phase = Phase::Over;
        self.context.made.doubt(index);
        let Failed { exit, failure, limit, command, output, .. } = failed;
        let (step, cwd) = (self.context.plan.steps[index].id.clone(), self.context.specs[index].cwd.clone());
        self.context.unexplained.lock().push(Unexplained { step, exit, cwd, output });
        if self.is_beside(index) {
            let words =
                "nobody asked for it: what was looked for, and it might have made, is taken not to be there";
            self.context
                .sink
                .note(true, format!("`{}` failed, and {words}", self.context.plan.steps[index].id));
        } else {
            self.failures.push((index, failure.clone()));
        }
        let ending = Ending { exit, failure: Some(failure), reason: None, limit, command };
        self.say_finished(index, How::Failed, ending);
        self.over(index);
    }

    /// A step cannot come to its end, since another one failed.
    pub(super) fn skip(&mut self, index: usize, by: usize) {
        self.failing.remove(&index);
        self.doubted.remove(&index);
        self.ready.retain(|(_, ready)| *ready != index);
        self.missed.retain(|(_, missed)| *missed != index);
        self.steps[index].phase = Phase::Over;
        self.context.made.doubt(index);
        self.skipped += u64::from(!self.is_beside(index));
        let failure = format!("it needs `{}`, which failed", self.context.plan.steps[by].id);
        self.say_finished(index, How::Skipped, Ending { failure: Some(failure), ..Ending::default() });
        self.over(index);
    }

    /// A step is over: whatever needs it is skipped.
    fn over(&mut self, index: usize) {
        self.end_held_by(index);
        let promises = self.context.made.promises().clone();
        let mut skipped: HashMap<usize, usize> = HashMap::new();
        for other in 0..self.steps.len() {
            let is_waiting = matches!(
                self.steps[other].phase,
                Phase::Waiting(_) | Phase::Ready | Phase::Missed { .. } | Phase::Doubted
            );
            // What others made of its not being there, or of what it had made before, does not last.
            let has_read = matches!(self.steps[other].phase, Phase::Good | Phase::Doubted)
                && (self.steps[other].opened.contains(&index)
                    || self.steps[other].producers.contains(&index));
            if is_waiting && promises.is_after(other, index) || has_read {
                skipped.insert(other, index);
            }
        }
        let mut all: Vec<usize> = skipped.into_keys().collect();
        all.sort_unstable();
        for other in all {
            if !matches!(self.steps[other].phase, Phase::Over) {
                self.skip(other, index);
            }
        }
        self.wake(index);
    }
}

/// Whether a look was answered in a way that something made later would change.
pub(super) fn is_open_question((_, look, seen): &&(RelPath, Look, Seen)) -> bool {
    *seen == Seen::Absent || *look == Look::Listing
}
