//! What the steps of one build have made so far.
//!
//! Actors: the conductor of the build writes; views of steps read, from the threads of the FUSE sessions. What a step made
//! is *good* while nothing is known that would make it run again, and only what is good is believed without waiting.
//! What was settled in an earlier build stands here, not good, for the steps of a circle.

use std::sync::Arc;

use node::{Entry, Outputs, OutputsBuilder, Sources};
use parking_lot::RwLock;
use protocol::{RelPath, StepId, Tree, TreeEntry};
use rustc_hash::{FxHashMap, FxHashSet};

use super::promises::Promises;
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::Prepared;

/// Two steps that nothing orders made one path differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{first}` and `{second}` both make `{path}`, with different bytes, and neither is `after` the other"
)]
pub struct Clash {
    /// What both made.
    pub path: RelPath,
    /// The one that was there first.
    pub first: StepId,
    /// The other one.
    pub second: StepId,
}

#[derive(Default, Clone)]
struct Made {
    tree: Option<Arc<Tree>>,
    /// The part of the tree that is not promised.
    unpromised: Option<Arc<Tree>>,
    is_good: bool,
}

/// The trees of the steps.
pub struct MadeSoFar {
    plan: Arc<Plan>,
    promises: Arc<Promises>,
    /// What the steps from one on see over the sources.
    given: (Outputs, usize),
    sources: Arc<dyn Sources>,
    steps: RwLock<Vec<Made>>,
    /// Who made which path, the last in order first.
    makers: RwLock<FxHashMap<RelPath, Vec<usize>>>,
    /// What two steps made differently: neither is right.
    disputed: RwLock<FxHashSet<RelPath>>,
}

impl MadeSoFar {
    /// Nothing yet.
    fn new(plan: Arc<Plan>, sources: Arc<dyn Sources>) -> Self {
        Self {
            promises: Arc::new(Promises::new(&plan)),
            given: Default::default(),
            sources,
            steps: RwLock::new(vec![Made::default(); plan.steps.len()]),
            makers: RwLock::default(),
            disputed: RwLock::default(),
            plan,
        }
    }

    /// Nothing yet of what was prepared, over what is given to it.
    pub fn of(prepared: &Prepared) -> Self {
        let mut given = OutputsBuilder::default();
        given.apply(&prepared.given.tree);
        let new = Self::new(Arc::clone(&prepared.plan), Arc::clone(&prepared.sources));
        Self { given: (given.finish(), prepared.given.to), ..new }
    }

    /// What is promised.
    pub fn promises(&self) -> &Arc<Promises> {
        &self.promises
    }

    /// All steps that come before this one, in an order in which they could run one by one.
    pub fn before(&self, step: usize) -> Vec<usize> {
        self.promises.before(step)
    }

    /// What a step sees over the sources besides what is promised: all that the steps before it made, and what `producers`
    /// made without having promised it.
    pub fn outputs_for(&self, step: usize, producers: &[usize]) -> Outputs {
        let (given, to) = &self.given;
        let given = if step < *to { Outputs::default() } else { given.clone() };
        let mut builder = OutputsBuilder::over(given);
        self.trees_for(step, producers).iter().for_each(|tree| builder.apply(tree));
        builder.finish()
    }

    /// The same as trees, the later over the earlier, but for what is given.
    pub fn trees_for(&self, step: usize, producers: &[usize]) -> Vec<Arc<Tree>> {
        let before = self.promises.before(step);
        if before.is_empty() && producers.is_empty() {
            return Vec::new();
        }
        let mut all: Vec<(usize, bool)> = before.iter().map(|&before| (before, true)).collect();
        let is_other = |producer: &&usize| **producer != step && !before.contains(producer);
        all.extend(producers.iter().filter(is_other).map(|&producer| (producer, false)));
        all.sort_by_key(|&(step, _)| self.promises.position(step));
        let steps = self.steps.read();
        let tree = |(step, is_before): (usize, bool)| match is_before {
            true => steps[step].tree.clone(),
            false => steps[step].unpromised.clone(),
        };
        all.into_iter().filter_map(tree).filter(|tree| !tree.is_empty()).collect()
    }

    /// The tree of a step.
    pub fn tree(&self, step: usize) -> Option<Arc<Tree>> {
        self.steps.read()[step].tree.clone()
    }

    /// The tree of a step, if it can be believed.
    pub fn good(&self, step: usize) -> Option<Arc<Tree>> {
        let steps = self.steps.read();
        steps[step].tree.clone().filter(|_| steps[step].is_good)
    }

    /// Whether a step made something without having promised it.
    pub fn has_unpromised(&self, step: usize) -> bool {
        self.steps.read()[step].unpromised.as_ref().is_some_and(|tree| !tree.is_empty())
    }

    /// What is known of a step from now on is not to be believed any more.
    pub fn doubt(&self, step: usize) {
        self.steps.write()[step].is_good = false;
    }

    /// Whether a path is a source, or below one. What becomes of it is for the steps after the one that alters it.
    pub fn is_source(&self, path: &RelPath) -> bool {
        let is_one = |path: &RelPath| {
            matches!(self.sources.get(path), Some(Entry::Source { .. } | Entry::Link { .. }))
        };
        is_one(path) || path.ancestors().any(|above| is_one(&above))
    }

    /// What others may find of what a step made, though nothing orders them.
    fn unpromised(&self, step: usize, tree: &Arc<Tree>) -> Arc<Tree> {
        let alters = self.plan.steps[step].spec.alters;
        let is_promised = |path: &RelPath| {
            self.promises.makers_of(path).any(|by| by == step) || alters && self.is_source(path)
        };
        if tree.entries().iter().all(|(path, _)| is_promised(path)) {
            return Arc::default();
        }
        let entries = tree.entries().iter().filter(|(path, _)| !is_promised(path)).cloned().collect();
        // A part of a tree is a tree.
        Tree::new(entries).map(Arc::new).unwrap_or_default()
    }

    /// What a step settled at in an earlier build: something to begin a circle with.
    pub fn begin_with(&self, step: usize, tree: Arc<Tree>) {
        let unpromised = Some(self.unpromised(step, &tree));
        self.steps.write()[step] = Made { tree: Some(tree), unpromised, is_good: false };
    }

    /// Takes in what a step made. `is_good`: it can be believed.
    pub fn add(&self, step: usize, tree: Arc<Tree>, is_good: bool) -> Result<(), Clash> {
        let unpromised = Some(self.unpromised(step, &tree));
        let mut makers = self.makers.write();
        let mut steps = self.steps.write();
        for (path, entry) in tree.entries() {
            for &other in makers.get(path).into_iter().flatten() {
                let theirs = steps[other].tree.as_ref().and_then(|tree| tree.get(path));
                let is_fine = other == step
                    || !steps[other].is_good
                    || theirs.is_none_or(|theirs| theirs == entry)
                    || self.promises.is_after(step, other)
                    || self.promises.is_after(other, step);
                if !is_fine {
                    let id = |step: usize| self.plan.steps[step].id.clone();
                    self.disputed.write().insert(path.clone());
                    return Err(Clash { path: path.clone(), first: id(other), second: id(step) });
                }
            }
        }
        for (path, _) in tree.entries() {
            match makers.get_mut(path) {
                Some(known) if known.contains(&step) => {}
                Some(known) => known.push(step),
                None => drop(makers.insert(path.clone(), vec![step])),
            }
        }
        steps[step] = Made { tree: Some(tree), unpromised, is_good };
        Ok(())
    }

    /// Whether what `by` made of a path is a version that comes after the one that `reader` is ordered to see (DESIGN §4.9).
    pub fn is_later_version(&self, path: &RelPath, by: usize, reader: usize) -> bool {
        let makers = self.makers.read();
        let Some(makers) = makers.get(path).filter(|makers| makers.len() > 1) else { return false };
        makers.iter().any(|&earlier| {
            earlier != by
                && self.promises.is_after(by, earlier)
                && self.promises.is_after(reader, earlier)
                && !self.promises.is_after(reader, by)
        })
    }

    /// Everything that the given steps made, the later over the earlier: path, entry, and who made it. What is disputed is
    /// left out.
    pub fn merged(&self, steps: &[usize]) -> Vec<(RelPath, TreeEntry, usize)> {
        let mut order = steps.to_vec();
        order.sort_by_key(|&step| self.promises.position(step));
        let mut merged: std::collections::BTreeMap<RelPath, (TreeEntry, usize)> = Default::default();
        let made = self.steps.read();
        for step in order {
            let Some(tree) = &made[step].tree else { continue };
            for (path, entry) in tree.entries() {
                if *entry == TreeEntry::Deleted {
                    merged.retain(|other, _| !other.is_within(path));
                    continue;
                }
                merged.insert(path.clone(), (entry.clone(), step));
            }
        }
        let disputed = self.disputed.read();
        merged.retain(|path, _| !disputed.contains(path));
        merged.into_iter().map(|(path, (entry, step))| (path, entry, step)).collect()
    }
}
