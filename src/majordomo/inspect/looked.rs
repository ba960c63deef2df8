//! What a build would find of each step: looked up, but nothing is run, and nothing adopted.

use std::path::Path;
use std::sync::Arc;

use node::{Evaluator, Outputs, OutputsBuilder, Pod, Project, Verdict};
use protocol::{Digest, PathSet, StepId, Trace, Tree};
use rustc_hash::FxHashMap;

use super::{Fallible, Variables, larder_failed, node_failed, prepared, tree};
use crate::majordomo::build::{MadeSoFar, StepView, kept, reason};
use crate::majordomo::facets::Facets;
use crate::majordomo::failures::{self, FailedRun};
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::Prepared;
use crate::majordomo::records::{self, Record, Settled};
use crate::majordomo::request::why::KeyChange;

/// What a build would do with a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was not looked up.
    Unasked,
    /// Adopt this trace.
    Reuse(Digest),
    /// Run it.
    Run {
        /// Why, one line.
        reason: String,
        /// The steps before it that would run, on which it depends whether this one does.
        behind: Vec<usize>,
    },
}

/// A project, and what is known of its steps.
pub struct Looked {
    /// Where all is known.
    pub pod: Pod,
    /// The project now.
    pub prepared: Prepared,
    /// What the steps made: by the traces that would be adopted, else by their last ones.
    pub made: Arc<MadeSoFar>,
    /// For each step those that feed it, besides the ones that it is after.
    pub edges: Vec<Vec<usize>>,
    /// What is remembered of each step.
    pub last: FxHashMap<StepId, Record>,
    /// The steps whose last run failed.
    pub failed: FxHashMap<StepId, FailedRun>,
    /// Of each step, where it was looked up.
    pub states: Vec<State>,
    settled: FxHashMap<usize, Settled>,
    evaluator: Evaluator,
}

impl Looked {
    /// Looks at a project, and looks no step up.
    pub async fn at(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<Self> {
        Self::of(pod, prepared(pod, project, environment).await?)
    }

    /// What is known of a project's steps.
    pub fn of(pod: &Pod, prepared: Prepared) -> Fallible<Self> {
        let plan = Arc::clone(&prepared.plan);
        let made = Arc::new(MadeSoFar::of(&prepared));
        let (larder, workspace) = (pod.larder(), prepared.workspace.id());
        let last = records::all(larder, workspace).map_err(larder_failed)?;
        let mut settled = FxHashMap::default();
        for (id, record) in &last {
            let Some(step) = plan.step(id) else { continue };
            let tree = match records::state(larder, workspace, id).map_err(larder_failed)? {
                Some(state) => {
                    let tree = state.tree.clone();
                    settled.insert(step, state);
                    Some(tree)
                }
                None => match records::trace(larder, &record.trace).map_err(larder_failed)? {
                    Some((trace, _)) => tree(pod, &trace.outputs)?,
                    None => None,
                },
            };
            // Two that clash were never built together.
            if let Some(tree) = tree {
                made.add(step, Arc::new(tree), true).ok();
            }
        }
        let mut edges = vec![Vec::new(); plan.steps.len()];
        let needed = records::edges(larder, workspace).map_err(larder_failed)?;
        let if_there = records::edges_if_there(larder, workspace).map_err(larder_failed)?;
        for (consumer, producers) in needed.into_iter().chain(if_there) {
            if let Some(consumer) = plan.step(&consumer) {
                edges[consumer].extend(producers.iter().filter_map(|producer| plan.step(producer)));
            }
        }
        let failed = failures::all(larder, workspace).map_err(larder_failed)?;
        let states = vec![State::Unasked; plan.steps.len()];
        let evaluator = prepared.evaluator(pod);
        Ok(Self { pod: pod.clone(), prepared, made, edges, last, failed, states, settled, evaluator })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.prepared.plan
    }

    /// The id of a step.
    pub fn id(&self, step: usize) -> StepId {
        self.plan().steps[step].id.clone()
    }

    /// What is remembered of a step.
    pub fn record(&self, step: usize) -> Option<&Record> {
        self.last.get(&self.plan().steps[step].id)
    }

    /// What changed of a step's key since it was last made.
    pub fn key_changes(&self, step: usize) -> Vec<KeyChange> {
        let now = Facets::of(&self.prepared.specs[step]);
        self.record(step).map(|record| now.changed_since(&record.key)).unwrap_or_default()
    }

    /// The steps before one: those that it is after, and those that feed it.
    pub fn before(&self, step: usize) -> impl Iterator<Item = usize> {
        self.plan().steps[step]
            .after
            .iter()
            .chain(&self.edges[step])
            .copied()
            .filter(move |&other| other != step)
    }

    /// These steps and all before them, each behind those before it; a circle is opened somewhere.
    pub fn in_order(&self, steps: &[usize]) -> Vec<usize> {
        let (mut order, mut is_known) = (Vec::new(), vec![false; self.plan().steps.len()]);
        // Whoever is on the stack twice is done when it comes up again.
        let mut stack: Vec<(usize, bool)> = steps.iter().rev().map(|&step| (step, false)).collect();
        while let Some((step, is_done)) = stack.pop() {
            if is_done {
                order.push(step);
            } else if !std::mem::replace(&mut is_known[step], true) {
                stack.push((step, true));
                stack.extend(self.before(step).map(|other| (other, false)));
            }
        }
        order
    }

    /// Looks these steps up, and no others: an order in which each comes behind those before it.
    pub async fn look_up(&mut self, steps: &[usize], cold: bool) -> Fallible<()> {
        for &step in steps {
            self.states[step] = self.looked_up(step, cold).await?;
        }
        // A circle is opened somewhere, and what was looked up there first did not know of the steps behind it.
        loop {
            let late: Vec<usize> = steps
                .iter()
                .copied()
                .filter(|&step| matches!(self.states[step], State::Reuse(_)) && !self.behind(step).is_empty())
                .collect();
            for &step in &late {
                self.states[step] = self.perhaps(self.behind(step));
            }
            if late.is_empty() {
                return Ok(());
            }
        }
    }

    /// The steps before one that would run.
    fn behind(&self, step: usize) -> Vec<usize> {
        let would_run = |other: &usize| matches!(self.states[*other], State::Run { .. });
        self.before(step).filter(would_run).collect()
    }

    /// Whether a step runs depends on these.
    fn perhaps(&self, behind: Vec<usize>) -> State {
        let first = behind.first().map_or_else(String::new, |&first| format!("`{}`", self.id(first)));
        State::Run { reason: format!("maybe: {first} comes before it"), behind }
    }

    async fn looked_up(&self, step: usize, cold: bool) -> Fallible<State> {
        let planned = &self.plan().steps[step];
        let behind = self.behind(step);
        let run = |reason: String| Ok(State::Run { reason, behind: Vec::new() });
        if cold {
            return run("a cold build was asked for".to_owned());
        }
        if planned.volatile {
            return run(reason::VOLATILE.to_owned());
        }
        if !behind.is_empty() {
            return Ok(self.perhaps(behind));
        }
        let project = self.project(step);
        let weak = self.prepared.specs[step].weak_key();
        let answer = match self.settled.get(&step) {
            Some(settled) => self.still_settled(step, settled, &weak, &project).await?,
            None => {
                let workspace = self.prepared.workspace.id();
                match self.evaluator(step).look_up(&weak, &project, workspace).await.map_err(node_failed)? {
                    Verdict::Hit { digest, trace, .. } => {
                        tree(&self.pod, &trace.outputs)?.map(|tree| (digest, tree))
                    }
                    Verdict::Miss { .. } => None,
                }
            }
        };
        let is_last = |digest: &Digest| self.record(step).is_some_and(|record| record.trace == *digest);
        if let (Some((digest, _)), Some(_)) = (&answer, self.failed.get(&planned.id))
            && !is_last(digest)
        {
            // A pass of a loop that did not settle holds, and is no end of it.
            return run(reason::FAILED.to_owned());
        }
        if let Some((digest, tree)) = answer {
            self.made.add(step, Arc::new(tree), true).ok();
            return Ok(State::Reuse(digest));
        }
        let record = self.record(step);
        if let Some(record) = record
            && self.pod.larder().is_revoked(&record.trace).map_err(larder_failed)?
        {
            return run(reason::REVOKED.to_owned());
        }
        let trace = self.last_trace(step)?.map(|(_, trace, set)| (trace, set));
        let last = trace.as_ref().map(|(trace, set)| (trace, &**set));
        let weak = match (&trace, self.settled.get(&step)) {
            // The key of a pass has the pass before in it: whether the step is another one says the settled state.
            (Some((trace, _)), Some(settled)) if settled.weak == weak => trace.weak,
            _ => weak,
        };
        let seer = (self.evaluator(step), &project);
        let key = || self.key_changes(step);
        run(reason::of_last(seer, &weak, last, key, reason::Detail::First).await.map_err(node_failed)?)
    }

    async fn still_settled(
        &self,
        step: usize,
        settled: &Settled,
        weak: &Digest,
        project: &Project,
    ) -> Fallible<Option<(Digest, Tree)>> {
        if settled.weak != *weak || self.pod.larder().is_revoked(&settled.trace).map_err(larder_failed)? {
            return Ok(None);
        }
        let Some((trace, set)) = self.trace(&settled.trace)? else { return Ok(None) };
        let differences = self.evaluator(step).compare(&trace, &set, project).await.map_err(node_failed)?;
        Ok(differences.is_empty().then(|| (settled.trace, settled.tree.clone())))
    }

    /// What a step would see, given what other steps made.
    pub fn project(&self, step: usize) -> Project {
        let mut outputs: Outputs = self.made.outputs_for(step, &self.edges[step]);
        if let Some(settled) = self.settled.get(&step) {
            let mut builder = OutputsBuilder::over(outputs);
            builder.apply(&kept(&self.prepared.specs[step].keep, &settled.tree));
            outputs = builder.finish();
        }
        let view = StepView::new(Arc::clone(&self.made), step, Default::default());
        Project::new(Arc::clone(&self.prepared.sources), Arc::clone(&self.prepared.files), outputs)
            .seen_by(&self.prepared.specs[step])
            .with_promises(Arc::new(view))
    }

    /// Evaluates what steps saw.
    pub fn evaluator(&self, step: usize) -> &Evaluator {
        self.prepared.images.get(step).map_or(&self.evaluator, |image| &image.evaluator)
    }

    /// A trace by its digest.
    pub fn trace(&self, digest: &Digest) -> Fallible<Option<(Trace, Arc<PathSet>)>> {
        records::trace(self.pod.larder(), digest).map_err(larder_failed)
    }

    /// The trace that last answered for a step.
    pub fn last_trace(&self, step: usize) -> Fallible<Option<(Digest, Trace, Arc<PathSet>)>> {
        let digest = match (self.settled.get(&step), self.record(step)) {
            (Some(settled), _) => settled.trace,
            (None, Some(record)) => record.trace,
            (None, None) => return Ok(None),
        };
        Ok(self.trace(&digest)?.map(|(trace, set)| (digest, trace, set)))
    }

    /// What a trace made.
    pub fn outputs(&self, digest: &Digest) -> Fallible<Tree> {
        let Some((trace, _)) = self.trace(digest)? else { return Ok(Tree::default()) };
        Ok(tree(&self.pod, &trace.outputs)?.unwrap_or_default())
    }
}
