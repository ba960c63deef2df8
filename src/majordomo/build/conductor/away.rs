//! Steps on other pods: who goes, and what becomes of those that come back without a result.
//!
//! Steps that have to run take the slots of this pod first; the others go to where there is room, and then next in line behind those that
//! run there, so that no slot is idle while orders and reports are on their way. One that looked there at what
//! is not made yet waits for its maker; one whose run does not count here runs at home, and so does one that went in vain too often.

use std::sync::Arc;

use super::super::context::{Context, Stop};
use super::super::step::{self, AwayStart as Start, Pass};
use super::state::Phase;
use super::{Conductor, Outcome, Rank, Sharing};

/// How often a step may go to other pods in vain.
const MAX_IN_VAIN: usize = 3;

impl Conductor {
    /// How many steps could begin on other pods now.
    pub(super) fn free_away(&self) -> usize {
        self.others.as_ref().map_or(0, |(others, _)| others.free())
    }

    /// Sends steps for which there is no slot here to other pods.
    pub(super) fn place_away(&mut self) {
        let Some((others, _)) = &self.others else { return };
        if self.is_ending() || others.free() == 0 {
            return;
        }
        let (others, context) = (Arc::clone(others), Arc::clone(&self.context));
        match context.shared.get() {
            Some(Some(_)) => {}
            Some(None) => return,
            None if self.sharing.is_some() => return,
            None => {
                // Until that is there, all runs here.
                if self.wants_room(&context) {
                    let sharing = tokio::spawn(async move { step::share(&context).await });
                    self.sharing = Some(Sharing(sharing));
                }
                return;
            }
        }
        let mut here = self.room_here();
        let waiting: Vec<(Rank, usize)> = self.may_begin().collect();
        for (rank, index) in waiting {
            if !self.has_room(index) {
                continue;
            }
            if here > 0 && self.is_for_here(index) {
                here -= 1;
                continue;
            }
            let Phase::Missed { pass, .. } = &self.steps[index].phase else { continue };
            if self.steps[index].stays_home || !step::may_go(&context, index, pass) {
                continue;
            }
            let mut wish = step::wish(&context, index);
            if !self.is_for_here(index) {
                // What it used once is no reason to run it nowhere.
                wish.memory = context.plan.steps[index].limits.memory;
            }
            let Some(place) = others.place(&wish) else {
                if others.free() == 0 {
                    return;
                }
                continue;
            };
            self.missed.remove(&(rank, index));
            let phase = std::mem::replace(&mut self.steps[index].phase, Phase::Ready);
            if let Phase::Missed { pass, epoch } = phase {
                self.room_wanted.begun();
                self.run_away(index, *pass, epoch, (place, wish));
            }
        }
    }

    /// Whether a step waits for a slot that might run elsewhere.
    fn wants_room(&self, context: &Context) -> bool {
        let mut here = self.room_here();
        self.may_begin().any(|(_, index)| {
            if here > 0 && self.is_for_here(index) {
                here -= 1;
                return false;
            }
            matches!(&self.steps[index].phase, Phase::Missed { pass, .. } if step::may_go(context, index, pass))
        })
    }

    /// How many steps are about to get a slot of this pod.
    fn room_here(&self) -> usize {
        let (all, taken) = self.context.pod.slots().counts();
        let of_pod = all.saturating_sub(taken) + usize::from(self.taking.is_some());
        self.context.jobs.saturating_sub(self.slots_used).min(of_pod)
    }

    fn run_away(&mut self, index: usize, pass: Pass, epoch: u64, there: (Box<dyn node::Place>, node::Wish)) {
        let context = Arc::clone(&self.context);
        let producers = self.producers(index);
        let start = Start::new(&context, self.start_of(index, &pass, there.0.pod()));
        if !there.0.is_next() {
            start.say();
        }
        let (run, cancel) = self.begin(index, &pass, epoch, None);
        self.tasks.spawn(async move {
            let ran = step::run_away(&context, index, (pass, producers), there, (start, cancel)).await;
            (index, Outcome::Ran(run, ran))
        });
    }

    /// A step has to wait for another one before it runs again.
    pub(super) fn wait_for(&mut self, index: usize, by: usize) {
        if matches!(self.steps[by].phase, Phase::Over) {
            return self.skip(index, by);
        }
        self.steps[index].producers.insert(by);
        self.need(&[by]);
        self.demand(by);
        self.try_ready(index);
    }

    /// A step that was on another pod runs again.
    pub(super) async fn came_back(&mut self, index: usize, why: String, is_final: bool) -> Result<(), Stop> {
        tracing::debug!(step = %self.context.plan.steps[index].id, why, "it did not run on another pod");
        let step = &mut self.steps[index];
        step.in_vain += 1;
        step.stays_home |= is_final || step.in_vain >= MAX_IN_VAIN;
        self.look_instead(index).await
    }
}
