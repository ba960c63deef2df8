//! What `in` matches: names, and the steps that make them.
//!
//! Sources and declared outputs of other rules match. Outputs of the own rule never do, nor do those of steps that are
//! `after` this one by name: what the file says outright is stronger than what a pattern happens to match.

use std::collections::{BTreeSet, HashSet};

use protocol::glob::Reach;
use protocol::{Glob, RelPath, StepId};

use super::error::Problem;
use super::expand::Expanded;
use super::hint;
use super::rule::{Fault, Rule};
use super::sources::{Sources, matching};

/// Names in the order of the patterns, sorted within each, each once; and the steps that make them.
#[derive(Default)]
pub(super) struct Inputs {
    pub names: Vec<RelPath>,
    pub makers: BTreeSet<usize>,
    known: HashSet<RelPath>,
}

/// Where inputs are looked for.
pub(super) struct Search<'a> {
    pub rules: &'a [Rule<'a>],
    pub sources: &'a dyn Sources,
    pub expanded: &'a Expanded,
    /// For each rule, the rules that are after it by name, through any number of others.
    pub later: &'a [BTreeSet<usize>],
}

impl Search<'_> {
    /// Adds what a pattern of rule `index` matches; `step` is who asks, for messages.
    pub fn add(
        &self,
        inputs: &mut Inputs,
        index: usize,
        step: &str,
        at: &std::ops::Range<usize>,
        glob: &Glob,
    ) -> Result<(), Fault> {
        let rule = &self.rules[index];
        let mut names: BTreeSet<RelPath> = matching(self.sources, glob).into_iter().collect();
        let mut too_late: Option<(RelPath, StepId)> = None;
        let mut reached = false;
        let makers = &mut inputs.makers;
        let mut made_in_time = |path: &RelPath, maker: usize| {
            let instance = &self.expanded.instances[maker];
            let late = self.later[index].contains(&instance.rule);
            if late {
                too_late.get_or_insert_with(|| (path.clone(), instance.id.clone()));
            } else if instance.rule != index {
                makers.insert(maker);
                return true;
            }
            false
        };
        for output in self.expanded.outputs.matching(glob) {
            if made_in_time(output.path(), output.step) {
                names.insert(output.path().clone());
            }
        }
        for (tree, reach) in self.expanded.outputs.reached(glob) {
            if !made_in_time(tree.path(), tree.step) {
                continue;
            }
            reached = true;
            match (reach, glob.patterns()) {
                (Reach::Whole, _) => {
                    names.insert(tree.path().clone());
                }
                // A name that is written out is known, whatever else will be in the folder.
                (Reach::Inside, [pattern]) if pattern.is_literal() => {
                    names.extend(RelPath::new(pattern.prefix()).ok());
                }
                (Reach::Inside, _) if rule.names_inputs() => {
                    let (tree, maker) = (tree.path().clone(), self.expanded.instances[tree.step].id.clone());
                    let problem = Problem::InputsInTree { rule: rule.name().to_owned(), tree, maker };
                    return Err(rule.fault(at, problem));
                }
                (Reach::Inside, _) => {}
            }
        }
        if names.is_empty() && !reached {
            let hints = match too_late {
                Some((path, maker)) => {
                    vec![format!(
                        "`{path}` is made by `{maker}`, which is after this step; take one of the two out"
                    )]
                }
                None => hint::no_match(glob, self.sources, &self.expanded.outputs),
            };
            let (step, pattern) = (step.to_owned(), glob.as_str().to_owned());
            return Err(rule.fault(at, Problem::NoMatch { step, key: "in", pattern, hints }));
        }
        inputs.names.extend(names.into_iter().filter(|name| inputs.known.insert(name.clone())));
        Ok(())
    }
}
