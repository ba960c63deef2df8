//! What a step came to is taken in: checked, published, and held against what all other steps saw.

use std::sync::Arc;

use protocol::event::How;
use protocol::{Look, RelPath, Seen, Tree};
use rustc_hash::FxHashSet;

use super::super::context::{Context, Stop};
use super::super::demand::StepView;
use super::super::step::{Failed, Hit, keeps, show_again};
use super::super::words::strictly;
use super::super::{keep, reason};
use super::hazards::{Places, changed};
use super::state::{Phase, SeenInside, Standing};
use super::{Conductor, Ending};
use crate::majordomo::prepare::in_project;

/// What a trace saw of the project.
pub(super) fn seen_inside(hit: &Hit) -> SeenInside {
    let observations = hit.trace.observations(&hit.path_set).into_iter().flatten();
    let inside = observations.filter_map(|(path, look, seen)| {
        let inside = match path.as_bytes() {
            b"project" => RelPath::root(),
            _ => in_project(path)?,
        };
        Some((inside, look, seen.clone()))
    });
    inside.collect()
}

/// An undeclared output that stands where the user has a source by now.
fn changed_source<'a>(context: &Context, tree: &'a Tree) -> Option<&'a RelPath> {
    let is_source = |path: &RelPath| {
        matches!(context.sources.get(path), Some(node::Entry::Source { .. } | node::Entry::Link { .. }))
    };
    tree.entries().iter().map(|(path, _)| path).find(|path| is_source(path))
}

impl Conductor {
    /// What a step saw of the project, last or until it failed.
    pub(super) fn seen_by(&self, index: usize) -> SeenInside {
        let step = &self.steps[index];
        if let Phase::Failing(failed) = &step.phase {
            return failed.seen.clone();
        }
        match &step.standing {
            Some(Standing::Recalled) => self.context.recall.in_project(&self.context.plan.steps[index].id),
            Some(Standing::By(hit)) => seen_inside(hit),
            None => Vec::new(),
        }
    }

    /// A step came to what the last build had found.
    pub(super) async fn accept_recalled(&mut self, index: usize, tree: Arc<Tree>) -> Result<(), Stop> {
        if changed_source(&self.context, &tree).is_some() {
            // The long way has the words.
            return self.look_instead(index);
        }
        let id = self.context.plan.steps[index].id.clone();
        if self.hazards.has_makers() {
            let (seen, epoch) = (self.context.recall.in_project(&id), self.hazards.epoch);
            if self.is_stale_by(index, &seen, epoch).await? {
                self.doubt_again(index);
                return Ok(());
            }
        }
        let printed = self.context.recall.step(&id).and_then(|recalled| recalled.printed);
        show_again(&self.context, index, printed.as_ref())?;
        self.publish(index, Standing::Recalled, tree, false).await
    }

    /// A step came to a good end: by a trace that answers, or by a run that is over. `epoch`: when its view was made.
    pub(super) async fn accept(
        &mut self,
        index: usize,
        standing: Standing,
        epoch: u64,
        did_run: bool,
    ) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        let Standing::By(hit) = &standing else { return Ok(()) };
        let is_stale = self.is_stale_by(index, &seen_inside(hit), epoch).await?;
        if is_stale && !keeps(&context, index) {
            self.doubt_again(index);
            return Ok(());
        }
        let planned = &context.plan.steps[index];
        if let Some(path) = changed_source(&context, &hit.tree) {
            let words = format!("it changes the source `{path}`");
            return self.refuse(index, words);
        }
        if planned.strict
            && !did_run
            && let Some(broken) = strictly(&context, planned, &hit.path_set, &hit.tree)
        {
            return self.refuse(index, broken);
        }
        if !did_run && self.steps[index].ran.is_none() {
            let is_new = match &self.steps[index].standing {
                Some(Standing::By(before)) => before.digest != hit.digest,
                _ => true,
            };
            if is_new {
                show_again(&context, index, hit.trace.printed.as_ref())?;
            }
        }
        let tree = Arc::clone(&hit.tree);
        self.publish(index, standing, tree, is_stale).await
    }

    async fn publish(
        &mut self,
        index: usize,
        standing: Standing,
        tree: Arc<Tree>,
        is_stale: bool,
    ) -> Result<(), Stop> {
        let context = Arc::clone(&self.context);
        let is_settled = self.take_state(index, &standing) && !is_stale;
        let before = context.made.tree(index);
        let is_again = self.steps[index].standing.is_some() || before.is_some();
        if let Err(clash) = context.made.add(index, Arc::clone(&tree), is_settled) {
            return self.refuse(index, clash.to_string());
        }
        let step = &mut self.steps[index];
        step.passes += 1;
        step.doubt = None;
        step.standing = Some(standing);
        step.phase = if is_settled { Phase::Good } else { Phase::Doubted };
        if self.hazards.is_kept() {
            let seen = self.seen_by(index);
            self.hazards.looked(index, &seen);
        }
        let paths = changed(before.as_deref(), &tree);
        let is_news = is_again || self.is_opened.contains(&index) || context.made.has_unpromised(index);
        if !paths.is_empty() && is_news {
            self.hazards.epoch += 1;
            self.news(index, &paths).await?;
        }
        if !paths.is_empty()
            && (is_news || keeps(&context, index))
            && let Some(words) = self.oscillates(index)
        {
            self.fail_circle(index, words);
            return Ok(());
        }
        if is_settled {
            self.say_good(index);
            self.answer_held(index);
        } else if self.steps[index].passes >= self.max_passes(index) {
            let words = self.unsettled_words(index, before.as_deref(), &tree);
            self.fail_circle(index, words);
            return Ok(());
        } else {
            self.doubted.insert(index);
            self.answer_unsettled(index);
        }
        self.wake(index);
        Ok(())
    }

    /// Takes in what a step left that sees its own outputs. Whether it is settled.
    fn take_state(&mut self, index: usize, standing: &Standing) -> bool {
        let Standing::By(hit) = standing else { return true };
        if !keeps(&self.context, index) {
            return true;
        }
        let step = &mut self.steps[index];
        let left = step.state.as_ref().filter(|state| !state.is_of_another);
        let is_settled =
            left.and_then(|state| state.left_by.as_ref()).is_some_and(|left| left.digest == hit.digest);
        step.state = Some(keep::state_after(&self.context, index, hit));
        is_settled
    }

    fn say_good(&mut self, index: usize) {
        self.ended.push(index);
        if std::mem::replace(&mut self.steps[index].is_said, true) {
            return;
        }
        let (how, exit, reason) = match (&self.steps[index].ran, &self.steps[index].standing) {
            (Some(_), _) => (How::Ran, Some(0), None),
            (None, Some(standing)) => (How::Reused, None, self.explained(index, standing)),
            (None, None) => (How::Reused, None, None),
        };
        self.say_finished(index, how, Ending { exit, reason, ..Ending::default() });
    }

    fn explained(&self, index: usize, standing: &Standing) -> Option<String> {
        if !self.context.options.explain {
            return None;
        }
        let (looks, trace) = match standing {
            Standing::By(hit) => (hit.path_set.looks().len(), hit.digest),
            Standing::Recalled => {
                let recalled = self.context.recall.step(&self.context.plan.steps[index].id)?;
                (self.context.recall.count(recalled), recalled.trace)
            }
        };
        Some(format!("all {looks} observations of {} hold", trace.short()))
    }

    /// A step made something that others may have looked for: those for whom it is news look again.
    async fn news(&mut self, index: usize, paths: &[RelPath]) -> Result<(), Stop> {
        if !self.hazards.is_kept() {
            self.hazards.keep();
            for other in 0..self.steps.len() {
                let seen = self.seen_by(other);
                self.hazards.looked(other, &seen);
            }
        }
        let places = self.places(paths);
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

    /// Where things may look different once these paths have changed.
    fn places(&self, paths: &[RelPath]) -> Places {
        let promises = self.context.made.promises();
        let is_there = |folder: &RelPath| {
            folder.is_root()
                || promises.leads(folder)
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
                self.steps[index].producers.insert(maker);
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

    fn note_producer(&mut self, index: usize, by: usize) {
        if !self.context.made.promises().is_after(index, by) {
            self.steps[index].producers.insert(by);
        }
    }

    /// What a step just came to does not stand: it is looked at again, unless that was so too often.
    pub(super) fn doubt_again(&mut self, index: usize) {
        self.steps[index].passes += 1;
        self.steps[index].phase = Phase::Doubted;
        self.context.made.doubt(index);
        self.doubted.insert(index);
    }

    /// What a step did is not accepted.
    fn refuse(&mut self, index: usize, failure: String) -> Result<(), Stop> {
        let failed = Failed { exit: None, failure, command: None, seen: Vec::new() };
        self.fail_for_good(index, failed);
        Ok(())
    }
}
