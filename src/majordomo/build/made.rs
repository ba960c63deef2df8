//! What the steps of one build have made so far, and what each step sees of it.

use std::sync::{Arc, OnceLock};

use node::{Outputs, OutputsBuilder};
use parking_lot::Mutex;
use protocol::{RelPath, StepId, Tree, TreeEntry};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::majordomo::plan::Plan;

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

/// The trees of the steps that are done.
pub struct MadeSoFar {
    plan: Arc<Plan>,
    /// Each step's place in one order in which all could run one by one.
    position: Vec<usize>,
    trees: Vec<OnceLock<Arc<Tree>>>,
    /// Who made which path last.
    makers: Mutex<FxHashMap<RelPath, usize>>,
    /// What two steps made differently: neither is right.
    disputed: Mutex<FxHashSet<RelPath>>,
    /// The folders of all promises.
    folders: Outputs,
}

impl MadeSoFar {
    /// Nothing yet.
    pub fn new(plan: Arc<Plan>) -> Self {
        let mut builder = OutputsBuilder::default();
        for output in plan.outputs() {
            if let Some(parent) = output.path().parent().filter(|parent| !parent.is_root()) {
                builder.folder(&parent);
            }
        }
        let mut position = vec![0; plan.steps.len()];
        for (place, step) in plan.one_by_one().into_iter().enumerate() {
            position[step] = place;
        }
        Self {
            trees: plan.steps.iter().map(|_| OnceLock::new()).collect(),
            makers: Mutex::default(),
            disputed: Mutex::default(),
            folders: builder.finish(),
            position,
            plan,
        }
    }

    /// All steps that come before this one, in an order in which they could run one by one.
    pub fn before(&self, step: usize) -> Vec<usize> {
        let mut seen = vec![false; self.plan.steps.len()];
        let mut todo: Vec<usize> = self.plan.steps[step].after.to_vec();
        let mut before = Vec::new();
        while let Some(next) = todo.pop() {
            if !std::mem::replace(&mut seen[next], true) {
                before.push(next);
                todo.extend(self.plan.steps[next].after.iter());
            }
        }
        before.sort_by_key(|&step| self.position[step]);
        before
    }

    /// What a step sees over the sources: the folders of promises, and what all steps before it made.
    pub fn outputs_for(&self, step: usize) -> Outputs {
        let mut builder = OutputsBuilder::over(self.folders.clone());
        if self.plan.steps[step].after.is_empty() {
            return builder.finish();
        }
        for before in self.before(step) {
            if let Some(tree) = self.trees[before].get() {
                builder.apply(tree);
            }
        }
        builder.finish()
    }

    /// The folders of all promises: what is there before anything is made.
    pub fn folders(&self) -> Outputs {
        self.folders.clone()
    }

    /// The tree of a step that is done.
    pub fn tree(&self, step: usize) -> Option<&Arc<Tree>> {
        self.trees[step].get()
    }

    /// Takes in what a step made.
    pub fn add(&self, step: usize, tree: Arc<Tree>) -> Result<(), Clash> {
        let mut makers = self.makers.lock();
        for (path, entry) in tree.entries() {
            let Some(&other) = makers.get(path) else {
                makers.insert(path.clone(), step);
                continue;
            };
            let same = self.trees[other].get().is_some_and(|tree| tree.get(path) == Some(entry));
            if same || other == step {
                continue;
            }
            let (earlier, later) =
                if self.position[other] < self.position[step] { (other, step) } else { (step, other) };
            if !self.before(later).contains(&earlier) {
                let id = |step: usize| self.plan.steps[step].id.clone();
                self.disputed.lock().insert(path.clone());
                return Err(Clash { path: path.clone(), first: id(other), second: id(step) });
            }
            makers.insert(path.clone(), later);
        }
        drop(makers);
        self.trees[step].set(tree).ok();
        Ok(())
    }

    /// Everything that the given steps made, the later over the earlier: path, entry, and who made it. What is disputed is
    /// left out.
    pub fn merged(&self, steps: &[usize]) -> Vec<(RelPath, TreeEntry, usize)> {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|&step| self.position[step]);
        let mut merged: std::collections::BTreeMap<RelPath, (TreeEntry, usize)> = Default::default();
        for step in steps {
            let Some(tree) = self.trees[step].get() else { continue };
            for (path, entry) in tree.entries() {
                if *entry == TreeEntry::Deleted {
                    merged.retain(|other, _| !other.is_within(path));
                    continue;
                }
                merged.insert(path.clone(), (entry.clone(), step));
            }
        }
        let disputed = self.disputed.lock();
        merged.retain(|path, _| !disputed.contains(path));
        merged.into_iter().map(|(path, (entry, step))| (path, entry, step)).collect()
    }
}
