//! Look-ups and runs: who starts next.

use std::sync::Arc;
use std::time::Instant;

use kitchen::Clock;
use node::Slot;
use protocol::Keep;
use protocol::event::{Event, HERE, How};

use super::super::context::Stop;
use super::super::demand::StepView;
use super::super::keep;
use super::super::step::{self, Looked, Pass, Ran, Start, keeps};
use super::state::{EndedRun, Phase, Running, Standing};
use super::{Conductor, Ending, LOOK_AHEAD, Outcome, Rank};
use crate::majordomo::sink::Cancel;

impl Conductor {
    /// Looks steps up, as many as there is use for: those that the recall answers for at once.
    pub(super) async fn start_look_ups(&mut self) -> Result<(), Stop> {
        let free_away = self.free_away();
        while !self.is_ending() {
            let Some(&(rank, next)) = self.ready.first() else { return Ok(()) };
            let waiting = self.may_begin().count();
            let is_full = self.looking + waiting >= self.context.jobs + free_away + LOOK_AHEAD;
            if is_full && rank != Rank::Demanded {
                return Ok(());
            }
            self.ready.pop_first();
            let is_first = self.steps[next].passes == 0;
            if is_first && let Some(found) = self.recalled(next).await? {
                self.accept_recalled(next, found).await?;
                continue;
            }
            self.look(next).await?;
        }
        Ok(())
    }

    fn view(&self, index: usize) -> Arc<StepView> {
        let opened = self.steps[index].opened.clone();
        Arc::new(StepView::new(Arc::clone(&self.context.made), index, opened))
    }

    pub(super) fn producers(&self, index: usize) -> Vec<usize> {
        self.steps[index].producers.iter().copied().collect()
    }

    /// What the last build found for a step, if it saw then what it would see now. Runs nothing.
    async fn recalled(&mut self, index: usize) -> Result<Option<Arc<protocol::Tree>>, Stop> {
        let context = Arc::clone(&self.context);
        let planned = &context.plan.steps[index];
        let is_plain = context.specs[index].keep == Keep::Nothing
            && !planned.volatile
            && !planned.strict
            && planned.image.is_none();
        if context.options.cold || !is_plain || context.is_visited(index) {
            return Ok(None);
        }
        let producers = self.producers(index);
        let view = self.view(index);
        let project = context.project(index, &view, context.made.outputs_for(index, &producers));
        let is_first = planned.after.is_empty() && producers.is_empty();
        let promises = is_first.then(|| &**context.made.promises());
        let weak = &context.weak_keys[index];
        let found = context.recall.find(&planned.id, weak, &context.evaluator, &project, promises).await;
        match found.map_err(Stop::from) {
            Ok(found) => Ok(found.map(|found| Arc::clone(&found.tree))),
            Err(Stop::NotYet(_)) => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    pub(super) async fn look_instead(&mut self, index: usize) -> Result<(), Stop> {
        self.look(index).await
    }

    async fn look(&mut self, index: usize) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        if keeps(&context, index) && self.steps[index].state.is_none() {
            let state = keep::last(&context, index).await?;
            self.begin_history(index, &state);
            self.steps[index].state = Some(state);
        }
        let step = &mut self.steps[index];
        step.begun.get_or_insert_with(Instant::now);
        let start = Start {
            view: self.view(index),
            producers: self.producers(index),
            state: self.steps[index].state.clone(),
            pass: self.steps[index].passes + 1,
            again: self.steps[index].doubt.clone(),
            may_demand: !self.steps[index].has_demanded,
        };
        self.steps[index].phase = Phase::Looking { epoch: self.hazards.epoch };
        self.looking += 1;
        self.tasks.spawn(async move {
            let looked = step::look(&context, index, start).await;
            (index, Outcome::Looked(looked))
        });
        Ok(())
    }

    /// A look-up has ended.
    pub(super) async fn looked(&mut self, index: usize, looked: Looked) -> Result<(), Stop> {
        self.looking -= 1;
        let Phase::Looking { epoch } = self.steps[index].phase else { return Ok(()) };
        match looked {
            Looked::Answered(hit) => self.accept(index, Standing::By(hit), epoch, false).await,
            Looked::Missed(pass) => {
                let is_deferred = !pass.known.is_empty() && self.steps[index].runs == 0;
                let rank = if is_deferred { Rank::Deferred } else { self.rank(index) };
                self.steps[index].phase = Phase::Missed { pass, epoch };
                self.missed.insert((rank, index));
                Ok(())
            }
            Looked::Unmade(by) => {
                let step = &mut self.steps[index];
                step.has_demanded = true;
                step.producers.extend(by.into_iter().filter(|&by| by != index));
                self.try_ready(index);
                Ok(())
            }
            Looked::Spoilt(why) => {
                self.spoil(index, &why);
                self.try_ready(index);
                Ok(())
            }
        }
    }

    /// What a step left is no good any more: it begins from nothing.
    fn spoil(&mut self, index: usize, why: &str) {
        let state = keep::State::default();
        self.begin_history(index, &state);
        let step = &mut self.steps[index];
        step.state = Some(state);
        step.doubt = Some(format!("from nothing: {why}"));
    }

    /// Asks for a slot if there is somebody to use it.
    pub(super) fn start_taking(&mut self) {
        let is_idle = self.looking == 0
            && self.ready.is_empty()
            && self.unheld > 0
            && self.slots_used < self.context.jobs
            && self.missed.first().is_some_and(|(rank, _)| *rank == Rank::Deferred);
        if is_idle {
            self.run_deferred();
        }
        let is_wanted = self.resuming.iter().any(|&index| self.has_room(index))
            || !self.is_ending() && self.may_begin_here().next().is_some();
        if !is_wanted {
            self.taking = None;
        } else if self.taking.is_none() && self.slots_used < self.context.jobs {
            self.taking = Some(self.share.queue());
        }
    }

    /// Gives a slot to whoever comes first.
    pub(super) fn use_slot(&mut self, mut slot: Slot) {
        if let Some(first) = self.resuming.iter().position(|&index| self.has_room(index))
            && let Some(next) = self.resuming.remove(first)
        {
            return self.resume(next, slot);
        }
        if self.is_ending() {
            return;
        }
        let first = self.may_begin_here().next();
        let Some((rank, next)) = first else { return };
        self.missed.remove(&(rank, next));
        let phase = std::mem::replace(&mut self.steps[next].phase, Phase::Ready);
        match phase {
            Phase::Missed { pass, epoch } => {
                slot.needs(self.context.memory_of(next).unwrap_or_default());
                self.run(next, *pass, epoch, slot);
            }
            other => self.steps[next].phase = other,
        }
    }

    fn run(&mut self, index: usize, pass: Pass, epoch: u64, slot: Slot) {
        let context = Arc::clone(&self.context);
        self.context.sink.event(self.start_of(index, &pass, HERE));
        let (run, cancel) = self.begin(index, &pass, epoch, Some(slot));
        let clock = Clock::default();
        pass.view.hold_by(self.hold_line.clone(), run, clock.clone());
        self.slots_used += 1;
        let line = self.end_line.clone();
        let is_followed = self.looking > 0 || !self.ready.is_empty() || !self.missed.is_empty();
        self.tasks.spawn(async move {
            // If there is no room the slot goes back at the run's end, as it would otherwise.
            let on_end = move || line.try_send((index, run)).unwrap_or_default();
            let ran = step::run(&context, index, pass, (clock, is_followed), cancel, on_end).await;
            (index, Outcome::Ran(run, ran))
        });
    }

    /// What says that a step begins to run.
    pub(super) fn start_of(&self, index: usize, pass: &Pass, pod: &str) -> Event {
        let step = self.context.plan.steps[index].id.clone();
        Event::StepStarted { step, pod: pod.to_owned(), reason: pass.reason.clone() }
    }

    /// A step begins to run, on this pod if it has a slot, else on another one: the run's number, and what ends it.
    pub(super) fn begin(
        &mut self,
        index: usize,
        pass: &Pass,
        epoch: u64,
        slot: Option<Slot>,
    ) -> (u64, Cancel) {
        self.last_run += 1;
        let (run, cancel) = (self.last_run, Cancel::default());
        self.unheld += 1;
        if self.context.plan.steps[index].pool.is_some() {
            self.pooled.insert(index);
        }
        let step = &mut self.steps[index];
        step.run = run;
        step.ran.get_or_insert_with(|| pass.reason.clone());
        step.is_said = false;
        step.runs += 1;
        step.phase = Phase::Running(Box::new(Running {
            run,
            is_away: slot.is_none(),
            slot,
            is_judged: false,
            cancel: cancel.clone(),
            held: Vec::new(),
            answers: Vec::new(),
            ended: None,
            epoch,
        }));
        (run, cancel)
    }

    /// The commands of a run have ended well: while what they made is judged and stored, the next step may run. With one slot all
    /// is done one after another, and there are never more to be judged than slots.
    pub(super) fn commands_ended(&mut self, index: usize, run: u64) {
        let jobs = self.context.jobs;
        if jobs == 1 || self.judged >= jobs {
            return;
        }
        if let Phase::Running(running) = &mut self.steps[index].phase
            && running.run == run
            && running.slot.take().is_some()
        {
            running.is_judged = true;
            self.slots_used -= 1;
            self.judged += 1;
        }
    }

    /// A run has ended.
    pub(super) async fn ran(&mut self, index: usize, run: u64, ran: Ran) -> Result<(), Stop> {
        if !matches!(&self.steps[index].phase, Phase::Running(running) if running.run == run) {
            return Ok(());
        }
        let phase = std::mem::replace(&mut self.steps[index].phase, Phase::Ready);
        let Phase::Running(running) = phase else { return Ok(()) };
        let Running { slot, is_away, is_judged, ended, epoch, .. } = *running;
        if is_away {
            self.unheld -= 1;
        }
        if is_judged {
            self.judged -= 1;
            self.unheld -= 1;
        }
        if slot.is_some() {
            self.slots_used -= 1;
            self.unheld -= 1;
        }
        drop(slot);
        self.resuming.retain(|&resuming| resuming != index);
        self.pooled.remove(&index);
        self.holding.remove(&index);
        let ended = ended.filter(|_| !self.context.cancel.is_set());
        match (ran, ended) {
            (Ran::Made(hit), None) => self.accept(index, Standing::By(hit), epoch, true).await,
            (_, Some(EndedRun::Needs(by))) => {
                self.skip(index, by);
                Ok(())
            }
            (_, Some(EndedRun::TooManyHeld(by))) => {
                self.steps[index].producers.insert(by);
                self.try_ready(index);
                Ok(())
            }
            (Ran::Spoilt(why), None) => {
                let was_remembered =
                    self.steps[index].state.as_ref().is_some_and(|state| state.is_remembered);
                self.spoil(index, &why);
                self.doubt_again(index);
                if was_remembered {
                    // What an earlier build left says nothing about whether it will settle.
                    self.steps[index].passes_before = self.steps[index].passes;
                }
                Ok(())
            }
            (Ran::Cancelled, None) => {
                self.steps[index].phase = Phase::Over;
                self.say_finished(index, How::Cancelled, Ending::default());
                Ok(())
            }
            (Ran::Failed(failed), None) => self.failed(index, *failed, epoch).await,
            (Ran::Unmade(by), None) => {
                self.wait_for(index, by);
                Ok(())
            }
            (Ran::NotBegun, None) => {
                // It was no run.
                self.steps[index].runs -= 1;
                self.look_instead(index).await
            }
            (Ran::NotAway { why, is_final }, None) => self.came_back(index, why, is_final).await,
        }
    }
}
