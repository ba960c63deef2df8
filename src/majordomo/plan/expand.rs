//! From rules to steps: `each` over sources and over what other steps declare.
//!
//! Outputs are matched as they come up, so that a chain of rules (each over each) needs no order in the file. A chain that
//! comes back to a rule which it went through would never end, and is an error. A rule never matches its own outputs.

use std::collections::BTreeSet;
use std::ops::Range;

use protocol::step::Promise;
use protocol::{RelPath, StepId};

use super::MAX_STEPS;
use super::error::Problem;
use super::hint;
use super::outputs::{Output, Outputs};
use super::promise::promise;
use super::rule::{Fault, Rule, early};
use super::sources::{Sources, matching};

/// A step before its order and commands are known.
pub(super) struct Instance {
    pub id: StepId,
    pub rule: usize,
    pub each: Option<RelPath>,
    /// In the order of `out`.
    pub outs: Vec<Promise>,
    /// The instance that makes what `each` matched.
    parent: Option<usize>,
}

/// All steps, sorted by rule and matched path.
pub(super) struct Expanded {
    pub instances: Vec<Instance>,
    pub outputs: Outputs,
    /// The steps of each rule.
    pub ranges: Vec<Range<usize>>,
}

pub(super) fn expand(rules: &[Rule<'_>], sources: &dyn Sources) -> Result<Expanded, Fault> {
    let mut growing = Growing { rules, sources, instances: vec![], seen: vec![BTreeSet::new(); rules.len()] };
    // Which patterns of `each` matched something.
    let mut used: Vec<Vec<bool>> = Vec::with_capacity(rules.len());
    for (index, rule) in rules.iter().enumerate() {
        if rule.each.is_empty() {
            growing.add(index, None, None)?;
        }
        used.push(vec![false; rule.each.len()]);
        for (glob, used) in rule.each.iter().zip(&mut used[index]) {
            for path in matching(sources, &glob.value) {
                *used = true;
                growing.add(index, Some(path), None)?;
            }
        }
    }
    let mut next = 0;
    while next < growing.instances.len() {
        let from = growing.instances[next].rule;
        for entry in 0..growing.instances[next].outs.len() {
            let Promise::File(path) = growing.instances[next].outs[entry].clone() else { continue };
            for (index, rule) in rules.iter().enumerate().filter(|(index, _)| *index != from) {
                let mut hit = false;
                for (glob, used) in rule.each.iter().zip(&mut used[index]) {
                    if glob.value.matches(path.as_bytes()) {
                        (hit, *used) = (true, true);
                    }
                }
                if hit {
                    growing.add(index, Some(path.clone()), Some(next))?;
                }
            }
        }
        next += 1;
    }
    let mut instances = growing.instances;
    instances.sort_by(|a, b| (a.rule, &a.each).cmp(&(b.rule, &b.each)));
    let outputs = Outputs::new(
        instances
            .iter()
            .enumerate()
            .flat_map(|(step, instance)| {
                let outs = instance.outs.iter().enumerate();
                outs.map(move |(entry, promise)| Output { promise: promise.clone(), step, entry })
            })
            .collect(),
    );
    check_matches(rules, &used, sources, &instances, &outputs)?;
    let ranges = (0..rules.len())
        .map(|rule| {
            let start = instances.partition_point(|instance| instance.rule < rule);
            start..start + instances[start..].partition_point(|instance| instance.rule == rule)
        })
        .collect();
    Ok(Expanded { instances, outputs, ranges })
}

struct Growing<'a> {
    rules: &'a [Rule<'a>],
    sources: &'a dyn Sources,
    instances: Vec<Instance>,
    seen: Vec<BTreeSet<RelPath>>,
}

impl Growing<'_> {
    fn add(&mut self, index: usize, each: Option<RelPath>, parent: Option<usize>) -> Result<(), Fault> {
        let rule = &self.rules[index];
        if let Some(path) = &each {
            if let Some(parent) = parent {
                self.check_circle(index, path, parent)?;
            }
            if !self.seen[index].insert(path.clone()) {
                return Ok(());
            }
        }
        if self.instances.len() >= MAX_STEPS {
            return Err(rule.fault(&rule.typed.name.at, Problem::TooManySteps));
        }
        let id = match &each {
            Some(path) => StepId::new(&format!("{}:{path}", rule.name())),
            None => StepId::new(rule.name()),
        };
        let root = RelPath::root();
        let outs = rule.out.iter().map(|out| {
            let bytes = out.path(early(each.as_ref(), &root));
            bytes
                .and_then(|bytes| promise(&id, &bytes, self.sources))
                .map_err(|problem| rule.fault(&out.at, problem))
        });
        let outs = outs.collect::<Result<_, _>>()?;
        self.instances.push(Instance { id, rule: index, each, outs, parent });
        Ok(())
    }

    fn check_circle(&self, index: usize, path: &RelPath, parent: usize) -> Result<(), Fault> {
        let chain: Vec<usize> = std::iter::successors(Some(parent), |&at| self.instances[at].parent)
            .map(|at| self.instances[at].rule)
            .collect();
        let Some(end) = chain.iter().position(|&rule| rule == index) else { return Ok(()) };
        let around = chain[..=end].iter().rev().chain([&index]);
        let rules = around.map(|&rule| self.rules[rule].name().to_owned()).collect();
        let rule = &self.rules[index];
        Err(rule.fault(&rule.each[0].at, Problem::RuleCircle { rules, path: path.clone() }))
    }
}

/// Every pattern of `each` must match, and none may need names that are not known yet.
fn check_matches(
    rules: &[Rule<'_>],
    used: &[Vec<bool>],
    sources: &dyn Sources,
    instances: &[Instance],
    outputs: &Outputs,
) -> Result<(), Fault> {
    for (index, (rule, used)) in rules.iter().zip(used).enumerate() {
        for (glob, used) in rule.each.iter().zip(used) {
            let name = rule.name().to_owned();
            let mut trees =
                outputs.reached(&glob.value).filter(|(tree, _)| instances[tree.step].rule != index);
            if let Some((tree, _)) = trees.next() {
                let (tree, maker) = (tree.path().clone(), instances[tree.step].id.clone());
                return Err(rule.fault(&glob.at, Problem::EachInTree { rule: name, tree, maker }));
            }
            if !used {
                let hints = hint::no_match(&glob.value, sources, outputs);
                let pattern = glob.value.as_str().to_owned();
                return Err(
                    rule.fault(&glob.at, Problem::NoMatch { step: name, key: "each", pattern, hints })
                );
            }
        }
    }
    Ok(())
}
