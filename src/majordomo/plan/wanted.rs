//! What targets mean, and which steps they need.

use protocol::path::{BadPath, escape};
use protocol::{Glob, RelPath};

use crate::majordomo::project_file::nearest::nearest;

use super::Plan;
use super::error::TargetError;

/// What was asked for, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Each target in the order in which they were asked for; one [`Meaning::Everything`] if nothing was.
    pub targets: Vec<Target>,
    /// All steps that they need, through `after`: sorted. Of an undeclared target nothing is known here.
    pub steps: Vec<usize>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What was typed.
    pub asked: String,
    /// What it is.
    pub meaning: Meaning,
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// All steps, and all that they make.
    Everything,
    /// All that these steps make, declared or not: the target is a step's id or a rule's name.
    Steps(Vec<usize>),
    /// These paths, each with the step that makes it last. A path may lie in a declared tree.
    Outputs(Vec<(RelPath, usize)>),
    /// A path that no step declares; some step may make it all the same.
    Undeclared(RelPath),
}

impl Meaning {
    /// The steps that make it, as far as that is known.
    pub fn makers(&self, plan: &Plan) -> Vec<usize> {
        match self {
            Meaning::Everything => (0..plan.steps.len()).collect(),
            Meaning::Steps(steps) => steps.clone(),
            Meaning::Outputs(outputs) => outputs.iter().map(|(_, step)| *step).collect(),
            Meaning::Undeclared(_) => vec![],
        }
    }
}

impl Meaning {
    /// Its paths of which the plan does not say that they will be made: nobody declares them, or no more than a tree around them.
    pub fn loose(&self, plan: &Plan) -> Vec<&RelPath> {
        match self {
            Meaning::Everything | Meaning::Steps(_) => vec![],
            Meaning::Outputs(outputs) => {
                outputs.iter().map(|(path, _)| path).filter(|path| plan.is_below_a_tree(path)).collect()
            }
            Meaning::Undeclared(path) => vec![path],
        }
    }
}

impl Plan {
    /// The names that the project file gives to several targets, in no order.
    pub fn alias_names(&self) -> impl Iterator<Item = &str> {
        self.aliases.keys().map(String::as_str)
    }

    /// Resolves targets: a step's id, a rule's name, an alias, a declared output, a path in a declared tree, a folder with declared
    /// outputs in it, or a pattern over declared outputs, tried in this order; `./x` is always a path. None at all:
    /// the project's targets, else everything.
    pub fn wanted(&self, targets: &[String]) -> Result<Wanted, TargetError> {
        let asked = if targets.is_empty() { &self.default_targets } else { targets };
        let mut resolved = Vec::with_capacity(asked.len());
        for target in asked {
            let is_step = !self.steps_named(target).is_empty();
            match self.aliases.get(target).filter(|_| !is_step) {
                Some(targets) => {
                    for target in targets {
                        resolved.push(Target { asked: target.clone(), meaning: self.meaning(target)? });
                    }
                }
                None => resolved.push(Target { asked: target.clone(), meaning: self.meaning(target)? }),
            }
        }
        if resolved.is_empty() {
            resolved.push(Target { asked: "everything".into(), meaning: Meaning::Everything });
        }
        let steps = self.needed(resolved.iter().flat_map(|target| target.meaning.makers(self)));
        Ok(Wanted { targets: resolved, steps })
    }

    /// Steps and all that they are after: sorted.
    pub fn needed(&self, steps: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let mut is_needed = vec![false; self.steps.len()];
        let mut pending: Vec<usize> = steps.into_iter().collect();
        while let Some(step) = pending.pop() {
            if !std::mem::replace(&mut is_needed[step], true) {
                pending.extend(self.steps[step].after.iter().filter(|&&before| !is_needed[before]));
            }
        }
        (0..self.steps.len()).filter(|&step| is_needed[step]).collect()
    }

    fn meaning(&self, target: &str) -> Result<Meaning, TargetError> {
        let steps = self.steps_named(target);
        if !steps.is_empty() {
            return Ok(Meaning::Steps(steps.collect()));
        }
        let path = target_path(target);
        if let Ok(path) = &path
            && let Some(outputs) = self.at_or_below(path)
        {
            return Ok(Meaning::Outputs(outputs));
        }
        if let Some((rule, _)) = target.split_once(':')
            && !self.steps_named(rule).is_empty()
        {
            return Err(TargetError::NoStep { target: target.to_owned(), nearest: self.nearest(target) });
        }
        if target.contains(['*', '?', '[', '{']) {
            let glob =
                Glob::new(target).map_err(|why| TargetError::Pattern { target: target.to_owned(), why })?;
            let mut outputs: Vec<_> = self
                .outputs
                .matching(&glob)
                .filter_map(|output| Some((output.path().clone(), self.producer(output.path())?)))
                .collect();
            outputs.sort();
            outputs.dedup();
            if outputs.is_empty() {
                let target = target.to_owned();
                return Err(TargetError::NoMatch { nearest: self.nearest(&target), target });
            }
            return Ok(Meaning::Outputs(outputs));
        }
        path.map(Meaning::Undeclared).map_err(|why| TargetError::Path { why })
    }

    /// The declared output at a path, or those below it.
    fn at_or_below(&self, path: &RelPath) -> Option<Vec<(RelPath, usize)>> {
        if path.is_root() {
            return None;
        }
        if let Some(step) = self.producer(path) {
            return Some(vec![(path.clone(), step)]);
        }
        let mut outputs: Vec<_> = self
            .outputs
            .below(path)
            .iter()
            .filter_map(|output| Some((output.path().clone(), self.producer(output.path())?)))
            .collect();
        outputs.dedup();
        (!outputs.is_empty()).then_some(outputs)
    }

    /// The rule, step or declared output whose name is nearest to `word`, if one is near enough to be meant.
    pub fn nearest(&self, word: &str) -> Option<String> {
        let outputs: Vec<String> =
            self.outputs.all().iter().map(|output| output.path().to_string()).collect();
        let ids = self.steps.iter().map(|step| step.id.as_str());
        let mut names: Vec<&str> = self.rules.keys().chain(self.aliases.keys()).map(String::as_str).collect();
        // Of two that are as near, the same one is said each time.
        names.sort_unstable();
        nearest(word, names.into_iter().chain(outputs.iter().map(String::as_str)).chain(ids))
            .map(str::to_owned)
    }
}

/// The path that a target names: `./` before it and a `/` behind it do not matter.
fn target_path(target: &str) -> Result<RelPath, BadPath> {
    if target.starts_with('/') {
        return Err(BadPath::Absolute(escape(target.as_bytes())));
    }
    let mut text = target;
    while let Some(rest) = text.strip_prefix("./") {
        text = rest;
    }
    let text = text.trim_end_matches('/');
    match text {
        "" => Ok(RelPath::root()),
        text => text.parse(),
    }
}
