//! What a step came to is taken in: checked, and published.

use std::sync::Arc;

use protocol::event::How;
use protocol::{RelPath, Tree};

use super::super::context::{Context, Stop};
use super::super::keep;
use super::super::step::{Failed, Hit, keeps, show_again};
use super::super::words::strictly;
use super::hazards::changed;
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
    fn alters(&self, index: usize) -> bool {
        self.context.plan.steps[index].spec.alters
    }

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
        if !self.alters(index) && changed_source(&self.context, &tree).is_some() {
            // The long way has the words.
            return self.look_instead(index).await;
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
        show_again(&self.context, index, printed.as_ref()).await?;
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
        if !self.alters(index)
            && let Some(path) = changed_source(&context, &hit.tree)
        {
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
                show_again(&context, index, hit.trace.printed.as_ref()).await?;
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
        let is_first = self.steps[index].standing.is_none();
        let is_again = !is_first || before.is_some();
        if let Err(clash) = context.made.add(index, Arc::clone(&tree), is_settled) {
            return self.refuse(index, clash.to_string());
        }
        let step = &mut self.steps[index];
        step.passes += 1;
        step.doubt = None;
        step.made_before.clone_from(&before);
        step.standing = Some(standing);
        step.phase = if is_settled { Phase::Good } else { Phase::Doubted };
        let (is_kept, may_call) = (self.hazards.is_kept(), !self.callable.is_empty());
        if is_kept || may_call {
            let seen = self.seen_by(index);
            if is_kept {
                self.hazards.looked(index, &seen);
            }
            self.call_in(index, &seen)?;
        }
        let paths = changed(before.as_deref(), &tree);
        let is_news = is_again || self.is_opened.contains(&index) || context.made.has_unpromised(index);
        let mut news = paths.clone();
        if is_first && before.is_some() {
            // What its circle began with nobody else has seen.
            news.extend(tree.entries().iter().map(|(path, _)| path.clone()));
        }
        if !news.is_empty() && is_news {
            self.hazards.epoch += 1;
            self.news(index, &news).await?;
        }
        if !paths.is_empty()
            && (is_news || keeps(&context, index))
            && let Some(words) = self.oscillates(index)
        {
            self.fail_circle(index, words);
            return Ok(());
        }
        if is_settled {
            self.settle(index);
            self.say_good(index);
            self.answer_held(index);
        } else if self.steps[index].passes_of_round() >= self.max_passes(index) {
            let words = self.unsettled_words(index);
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
        let before = step.state.as_ref().map(|state| Arc::clone(&state.own)).unwrap_or_default();
        step.state = Some(keep::state_after(&self.context, index, hit, before));
        is_settled
    }

    /// A step that sees its own outputs has left what it had found: if others move it on, that is another round.
    fn settle(&mut self, index: usize) {
        if keeps(&self.context, index) {
            let step = &mut self.steps[index];
            step.settled += 1;
            step.passes_before = step.passes;
        }
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

    /// What a step did is not accepted.
    fn refuse(&mut self, index: usize, failure: String) -> Result<(), Stop> {
        self.fail_for_good(index, Failed::of(failure));
        Ok(())
    }
}
