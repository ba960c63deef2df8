//! Steps that feed each other, and steps that feed themselves: they go round until they settle (DESIGN §4.10).
//!
//! Who feeds whom is seen: from the last build's traces, and from what was looked at in this one. Steps of a circle go one
//! at a time, those that see their own outputs last, so that the same start gives the same passes everywhere. Settled
//! is a circle when nothing of it has to be looked at again. What its steps leave in the places that they read themselves
//! is its state; a state that comes again, with another one between, is an oscillation. The limit is `max_passes`: of the passes
//! of a step in which nothing from outside of the circle has changed, and of a step that sees its own outputs so many until it
//! settles with itself, and so many times that the others move it on.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use protocol::{RelPath, TreeEntry};
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::differing::{in_what, lines};
use super::super::keep;
use super::super::step::{Failed, keeps};
use super::Conductor;
use super::hazards::changed;
use super::state::Phase;

/// Passes after which a step that has not settled fails, if it does not say so itself.
pub const MAX_PASSES: usize = 8;

/// How often a step may be moved from outside of its circle before the passes of the circle are no longer counted anew.
const MAX_MOVED: usize = 8;

/// How many answers by traces weigh as much as a run.
const PASSES_PER_RUN: usize = 8;

/// How many paths that alternate are named.
const NAMED: usize = 5;

/// What stands where the steps of a circle read what they make.
type State = BTreeMap<RelPath, TreeEntry>;

/// A state, and the step whose pass left it; `None`: an earlier build.
struct Turn {
    by: Option<usize>,
    state: State,
}

/// The states that circles were in, by their members.
#[derive(Default)]
pub(super) struct Circles {
    histories: FxHashMap<Vec<usize>, Vec<Turn>>,
}

impl Conductor {
    /// Who waits for whom, as far as is known: from consumers to producers.
    pub(super) fn graph(&self) -> DiGraph<(), (), usize> {
        let mut graph = DiGraph::<(), (), usize>::default();
        for _ in &self.steps {
            graph.add_node(());
        }
        for (index, step) in self.steps.iter().enumerate() {
            for &before in self.context.plan.steps[index].after.iter().chain(&step.producers) {
                graph.add_edge(NodeIndex::new(index), NodeIndex::new(before), ());
            }
        }
        graph
    }

    /// Groups of more than one step that feed each other, as far as is known: each sorted.
    pub(super) fn all_circles(&self) -> Vec<Vec<usize>> {
        if self.steps.iter().all(|step| step.producers.is_empty()) {
            return Vec::new();
        }
        let circles = tarjan_scc(&self.graph()).into_iter().filter(|circle| circle.len() > 1);
        let sorted = circles.map(|circle| {
            let mut steps: Vec<usize> = circle.into_iter().map(NodeIndex::index).collect();
            steps.sort_unstable();
            steps
        });
        sorted.collect()
    }

    /// The steps that feed each other and this one: sorted, with itself. Empty: it is in no circle.
    fn circle_of(&self, index: usize) -> Vec<usize> {
        let circle = self.all_circles().into_iter().find(|circle| circle.contains(&index));
        circle.unwrap_or_else(|| if keeps(&self.context, index) { vec![index] } else { Vec::new() })
    }

    /// Whether what a step makes may be seen by another one, sooner or later.
    pub(super) fn may_feed(&self, index: usize, other: usize) -> bool {
        let context = &self.context;
        if context.made.promises().is_after(index, other) {
            return false;
        }
        let is_known = |index: usize| context.last.contains_key(&context.plan.steps[index].id);
        if !is_known(index) || !is_known(other) || context.options.cold {
            return true;
        }
        self.needs(other).contains(&index)
    }

    /// Lets those go on that have to be looked at again, where nobody is under way who may feed them. Whether there was one.
    pub(super) fn release_doubted(&mut self) -> bool {
        if self.doubted.is_empty() || self.is_ending() {
            return false;
        }
        let mut released = false;
        for index in self.doubted_in_order() {
            if !self.is_patient(index) || self.is_unfed(index) {
                released |= self.release(index);
            }
        }
        released
    }

    /// Lets the first go on that has to be looked at again, and is fed by no other such step but those of its own circle.
    /// Whether there was one.
    pub(super) fn release_one(&mut self) -> bool {
        let doubted = self.doubted_in_order();
        let needs: Vec<FxHashSet<usize>> = doubted.iter().map(|&index| self.needs(index)).collect();
        let is_fed_from_outside = |at: usize| {
            let feeding = (0..doubted.len()).filter(|&other| needs[at].contains(&doubted[other]));
            feeding.into_iter().any(|other| !needs[other].contains(&doubted[at]) && other != at)
        };
        let first = (0..doubted.len()).find(|&at| !is_fed_from_outside(at));
        first.is_some_and(|first| self.release(doubted[first]))
    }

    /// Something that `by` made has changed what a step sees. From outside of its circle: it goes round from there, and what it
    /// passed through before says nothing about whether it will settle.
    pub(super) fn move_by(&mut self, index: usize, by: usize) {
        if self.needs(by).contains(&index) || self.steps[index].moved >= MAX_MOVED {
            return;
        }
        self.steps[index].moved += 1;
        let circle = self.circle_of(index);
        for &step in circle.iter().chain([&index]) {
            self.steps[step].passes_before = self.steps[step].passes;
            self.steps[step].settled = 0;
        }
        if let Some(turns) = self.circles.histories.get_mut(&circle) {
            turns.drain(..turns.len().saturating_sub(1));
        }
    }

    /// Those that see their own outputs last: their passes cost the most. Nobody gets ahead of the others: what they still
    /// have to say would only make it go round again.
    fn doubted_in_order(&self) -> Vec<usize> {
        let mut doubted: Vec<usize> = self.doubted.iter().copied().collect();
        doubted.sort_by_key(|&index| {
            (keeps(&self.context, index), self.steps[index].passes, &self.context.plan.steps[index].id)
        });
        doubted
    }

    /// Whether it pays to wait until all has come that may feed a step.
    fn is_patient(&self, index: usize) -> bool {
        keeps(&self.context, index) || self.steps[index].passes > 1 || self.circle_of(index).len() > 1
    }

    fn is_unfed(&self, index: usize) -> bool {
        let active = self.steps.iter().enumerate().filter(|(_, step)| step.is_active());
        active.map(|(other, _)| other).all(|other| other == index || !self.may_feed(other, index))
    }

    fn release(&mut self, index: usize) -> bool {
        self.doubted.remove(&index);
        if !matches!(self.steps[index].phase, Phase::Doubted) {
            return false;
        }
        if self.has_gone_on_too_long(index) {
            let words = self.unsettled_words(index);
            self.fail_circle(index, words);
            return true;
        }
        self.try_ready(index);
        true
    }

    /// Whether a step is not looked at once more: one that goes round after its passes, any other after its runs, for what it
    /// is answered by traces alone costs next to nothing.
    fn has_gone_on_too_long(&self, index: usize) -> bool {
        let step = &self.steps[index];
        let limit = self.max_passes(index);
        match keeps(&self.context, index) || self.circle_of(index).len() > 1 {
            true => step.passes_of_round() >= limit.max(1) || step.settled > limit,
            false => step.runs > limit || step.passes > limit * PASSES_PER_RUN,
        }
    }

    /// How many passes a step may make.
    pub(super) fn max_passes(&self, index: usize) -> usize {
        self.context.plan.steps[index].max_passes.unwrap_or(MAX_PASSES)
    }

    /// What a step starts from that sees its own outputs.
    pub(super) fn begin_history(&mut self, index: usize, state: &keep::State) {
        let state: State = state.own.entries().iter().cloned().collect();
        self.circles.histories.insert(vec![index], vec![Turn { by: None, state }]);
    }

    /// What stands where the steps of a circle read what they make.
    fn state_of(&self, circle: &[usize]) -> State {
        let reads: Vec<(usize, FxHashSet<RelPath>)> = circle
            .iter()
            .map(|&step| (step, self.seen_by(step).into_iter().map(|(path, ..)| path).collect()))
            .collect();
        let mut state = State::new();
        for &step in circle {
            if let Some(left) = self.steps[step].state.as_ref() {
                state.extend(left.own.entries().iter().cloned());
            }
            let Some(tree) = self.context.made.tree(step) else { continue };
            // What only the step itself looks at again is among its own.
            let is_read = |(path, _): &&(RelPath, TreeEntry)| {
                reads.iter().any(|(reader, read)| *reader != step && read.contains(path))
            };
            state.extend(tree.entries().iter().filter(is_read).cloned());
        }
        state
    }

    /// Words for a circle whose state came again, with another one between; notes the state.
    pub(super) fn oscillates(&mut self, index: usize) -> Option<String> {
        let circle = self.circle_of(index);
        if circle.is_empty() {
            return None;
        }
        let state = self.state_of(&circle);
        let history = self.circles.histories.entry(circle.clone()).or_default();
        let found = history.iter().rposition(|earlier| earlier.state == state);
        if found.is_some_and(|at| at + 1 == history.len()) {
            return None;
        }
        history.push(Turn { by: Some(index), state });
        let turns = &self.circles.histories[&circle];
        let at =
            found.filter(|_| circle.iter().all(|&step| self.is_waiting_for_circle(step, index, &circle)))?;
        let own: Vec<&State> =
            turns[at + 1..].iter().filter(|turn| turn.by == Some(index)).map(|turn| &turn.state).collect();
        let pass = turns.iter().filter(|turn| turn.by == Some(index)).count();
        Some(format!(
            "it oscillates: what is there after pass {pass} was there before; its period is {}:{}",
            own.len(),
            self.alternating(&own)
        ))
    }

    /// Whether nothing from outside of a circle can have moved one of its steps just now.
    fn is_waiting_for_circle(&self, step: usize, index: usize, circle: &[usize]) -> bool {
        step == index
            || match &self.steps[step].phase {
                Phase::Waiting(_) => {
                    self.steps[step].producers.iter().any(|producer| circle.contains(producer))
                }
                Phase::Looking { .. } | Phase::Missed { .. } | Phase::Running(_) | Phase::Ready => false,
                _ => true,
            }
    }

    /// What differs between states that come up again and again, as a sentence for people.
    fn alternating(&self, turns: &[&State]) -> String {
        let paths: std::collections::BTreeSet<&RelPath> =
            turns.iter().flat_map(|state| state.keys()).collect();
        let differ = |path: &&RelPath| turns.windows(2).any(|two| two[0].get(*path) != two[1].get(*path));
        let mut differing = paths.into_iter().filter(differ);
        let larder = self.context.pod.larder();
        let mut words = String::new();
        for path in differing.by_ref().take(NAMED) {
            let shown: Vec<String> = turns.iter().map(|turn| shown(turn.get(path))).collect();
            words.push_str(&format!("\n  `{path}` is {}", shown.join(", then ")));
            let differ = |two: &&[&State]| two[0].get(path) != two[1].get(path);
            let Some(two) = turns.windows(2).find(differ) else { continue };
            let lines = lines(larder, two[0].get(path), two[1].get(path));
            if lines.is_empty() {
                words.push_str(&format!(": it {}", in_what(larder, two[0].get(path), two[1].get(path))));
            }
            lines.iter().for_each(|line| words.push_str(&format!("\n    {line}")));
        }
        let more = differing.count();
        if more > 0 {
            words.push_str(&format!("\n  and {more} more paths alternate"));
        }
        words
    }

    /// Words for a step that is not done after all its passes.
    pub(super) fn unsettled_words(&self, index: usize) -> String {
        let (passes, settled) = (self.steps[index].passes_of_round(), self.steps[index].settled);
        let mut words = match settled > self.max_passes(index) {
            true => format!("it settled {settled} times (`max_passes`), and was moved on each time"),
            false => format!("it did not settle in {passes} passes (`max_passes`)"),
        };
        if let Some(why) = &self.steps[index].doubt {
            words.push_str(&format!(": {why}"));
        }
        let changes = self.last_changes(index);
        if !changes.is_empty() {
            words.push_str(&format!("; the last one still changed {}", changes.join(", ")));
        }
        let producers: Vec<String> = self
            .producers(index)
            .into_iter()
            .take(NAMED)
            .map(|producer| format!("`{}`", self.context.plan.steps[producer].id))
            .collect();
        if !producers.is_empty() {
            words.push_str(&format!("; it reads from {}", producers.join(", ")));
        }
        words
    }

    /// What the last passes of a step and of its circle changed, and by how much, in words.
    fn last_changes(&self, index: usize) -> Vec<String> {
        let size = |entry: Option<&TreeEntry>| match entry {
            Some(TreeEntry::File { size, .. }) => Some(*size),
            _ => None,
        };
        let circle = self.circle_of(index);
        let others = circle.into_iter().filter(|&other| other != index);
        let mut words = Vec::new();
        for step in std::iter::once(index).chain(others) {
            let (Some(before), Some(now)) = (&self.steps[step].made_before, self.context.made.tree(step))
            else {
                continue;
            };
            words.extend(changed(Some(before), &now).iter().map(|path| {
                match (size(before.get(path)), size(now.get(path))) {
                    (Some(a), Some(b)) => format!("`{path}` ({a} then {b} bytes)"),
                    _ => format!("`{path}`"),
                }
            }));
        }
        words.truncate(NAMED);
        words
    }

    /// A circle fails as a whole: nothing of it is handed over, and the next build goes the same way again.
    pub(super) fn fail_circle(&mut self, index: usize, words: String) {
        let circle = self.circle_of(index);
        // What an older failure left says nothing of this one.
        for &step in circle.iter().chain([&index]) {
            self.context.pod.failed().forget(self.context.workspace, &self.context.plan.steps[step].id);
        }
        self.fail_for_good(index, Failed::of(words));
        for other in circle {
            if other != index && !matches!(self.steps[other].phase, Phase::Over | Phase::Running(_)) {
                self.skip(other, index);
            }
        }
    }
}

/// What stands at a path, for people.
fn shown(entry: Option<&TreeEntry>) -> String {
    match entry {
        Some(TreeEntry::File { digest, .. }) => digest.short(),
        Some(TreeEntry::Link { target }) => format!("a link to `{}`", protocol::path::escape(target)),
        Some(TreeEntry::EmptyDir) => "an empty folder".to_owned(),
        Some(TreeEntry::Deleted) | None => "absent".to_owned(),
    }
}
