//! Stale views (DESIGN §4.9): whoever saw something else than it would see now is looked at again.
//!
//! Whatever the indexes of [`super::hazards`] suspect is evaluated over the view that the step would have now; only an answer
//! that differs makes it stale. Who made the difference is waited for from then on.

use std::sync::Arc;

use protocol::{Look, RelPath, Seen};
use rustc_hash::FxHashSet;

use super::super::context::Stop;
use super::super::demand::StepView;
use super::super::reason;
use super::Conductor;
use super::hazards::Places;
use super::state::{Phase, SeenInside};

impl Conductor {
    /// A step made something that others may have looked for: those for whom it is news look again.
    pub(super) async fn news(&mut self, index: usize, paths: &[RelPath]) -> Result<(), Stop> {
        if !self.hazards.is_kept() {
            self.hazards.keep();
            for other in 0..self.steps.len() {
                let seen = self.seen_by(other);
                self.hazards.looked(other, &seen);
            }
        }
        let places = self.places(index, paths);
        self.hazards.made(index, &places);
        for other in self.hazards.lookers(&places) {
            let phase = &self.steps[other].phase;
            let has_ended = matches!(phase, Phase::Good | Phase::Failing(_));
            // They will look again in any case, and have to know where.
            let will_look = matches!(phase, Phase::Doubted | Phase::Waiting(_) | Phase::Ready);
            if other == index
                || !has_ended && !will_look
                || self.context.made.promises().is_after(index, other)
            {
                continue;
            }
            let seen = self.seen_by(other);
            let is_later = |path: &RelPath| self.context.made.is_later_version(path, index, other);
            let touched = seen.iter().filter(|look| places.touch(look) && !is_later(&look.0));
            let touched: SeenInside = touched.cloned().collect();
            match self.differs(other, &touched, Some(index)).await? {
                Some(why) if has_ended => self.doubt(other, index, why),
                Some(why) => {
                    self.note_producer(other, index);
                    self.steps[other].doubt.get_or_insert(why);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Where things may look different once a step has changed these paths, for those that it is not after.
    fn places(&self, index: usize, paths: &[RelPath]) -> Places {
        let promises = self.context.made.promises();
        let is_there = |folder: &RelPath| {
            promises.leads(folder, index)
                || matches!(self.context.sources.get(folder), Some(node::Entry::Dir))
        };
        Places::new(paths, is_there)
    }

    /// The first of these looks that is answered otherwise by now, in words; `with`: one more step whose outputs are seen.
    async fn differs(
        &self,
        index: usize,
        seen: &[(RelPath, Look, Seen)],
        with: Option<usize>,
    ) -> Result<Option<String>, Stop> {
        let context = &self.context;
        let mut producers = self.producers(index);
        producers.extend(with);
        let mut opened: FxHashSet<usize> = self.steps[index].opened.clone();
        opened.extend(with);
        let view = Arc::new(StepView::new(Arc::clone(&context.made), index, opened));
        let state = self.steps[index].state.as_ref();
        let mut builder = node::OutputsBuilder::over(context.made.outputs_for(index, &producers));
        if let Some(state) = state {
            builder.apply(&state.own);
        }
        let project = context.project(index, &view, builder.finish());
        for (path, look, before) in seen {
            let whole = node::project_prefix().join(path);
            match context.evaluator.see(&project, &whole, *look).await.map_err(Stop::from) {
                Ok(now) if now == *before => {}
                Ok(now) => return Ok(Some(reason::of_change(&whole, *look, before, &now))),
                Err(Stop::NotYet(path)) => return Ok(Some(format!("`{path}` is made again"))),
                Err(stop) => return Err(stop),
            }
        }
        Ok(None)
    }

    /// Whether what a step saw while it was looked up or ran is not what it would see now. `epoch`: when its view was made.
    /// Notes whom it has to wait for: also those who had published before, without its knowing that it would look there.
    pub(super) async fn is_stale_by(
        &mut self,
        index: usize,
        seen: &SeenInside,
        epoch: u64,
    ) -> Result<bool, Stop> {
        let promises = Arc::clone(self.context.made.promises());
        if !self.hazards.has_makers() && epoch == self.hazards.epoch {
            return Ok(false);
        }
        let mut makers = self.hazards.makers(seen);
        makers.retain(|&maker| {
            maker != index
                && !self.steps[index].producers.contains(&maker)
                && !promises.is_after(maker, index)
                && !promises.is_after(index, maker)
        });
        let mut is_stale = false;
        // Each maker by itself: whoever changes nothing is nobody to wait for.
        for maker in makers {
            let is_later = |path: &RelPath| self.context.made.is_later_version(path, maker, index);
            let touched = self.hazards.touched_by(maker, seen).filter(|look| !is_later(&look.0));
            let places: SeenInside = touched.cloned().collect();
            if let Some(why) = self.differs(index, &places, Some(maker)).await? {
                self.note_producer(index, maker);
                self.steps[index].doubt.get_or_insert(why);
                is_stale = true;
            }
        }
        if !is_stale
            && epoch != self.hazards.epoch
            && let Some(why) = self.differs(index, seen, None).await?
        {
            self.steps[index].doubt.get_or_insert(why);
            is_stale = true;
        }
        Ok(is_stale)
    }

    /// A step that had come to an end has to be looked at again, since `by` made something that it had looked for.
    fn doubt(&mut self, index: usize, by: usize, why: String) {
        self.failing.remove(&index);
        self.note_producer(index, by);
        let step = &mut self.steps[index];
        step.doubt = Some(why);
        step.phase = Phase::Doubted;
        self.context.made.doubt(index);
        self.doubted.insert(index);
    }

    /// What `by` made has changed what a step sees: from now on it waits for it.
    fn note_producer(&mut self, index: usize, by: usize) {
        if !self.context.made.promises().is_after(index, by) {
            self.steps[index].producers.insert(by);
            self.move_by(index, by);
        }
    }

    /// What a step just came to does not stand: it is looked at again, unless that was so too often.
    pub(super) fn doubt_again(&mut self, index: usize) {
        self.steps[index].passes += 1;
        self.steps[index].phase = Phase::Doubted;
        self.context.made.doubt(index);
        self.doubted.insert(index);
    }
}
