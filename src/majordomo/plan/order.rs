//! Which steps must be finished before which: from `after`, and from what `each` and `in` matched.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use protocol::{RelPath, StepId};

use crate::majordomo::project_file::nearest::nearest;

use super::error::Problem;
use super::expand::Expanded;
use super::inputs::{Inputs, Search};
use super::rule::{Fault, Input, Rule, early, nothing};
use super::sources::Sources;

/// How many arrows of a circle are said.
const SHOWN_ARROWS: usize = 8;

/// The order of all steps.
pub(super) struct Order {
    /// For each step, those before it: sorted, unique; shared between the steps of a rule where it is the same.
    pub after: Vec<Arc<[usize]>>,
    /// For each step, what `in` matched.
    pub inputs: Vec<Arc<[RelPath]>>,
    /// For each step, its place in one order in which all could run one by one.
    pub position: Vec<usize>,
}

pub(super) fn order(rules: &[Rule<'_>], sources: &dyn Sources, expanded: &Expanded) -> Result<Order, Fault> {
    let names = Names::of(rules, expanded);
    let named: Vec<BTreeSet<usize>> =
        (0..rules.len()).map(|index| named(rules, index, &names, expanded)).collect::<Result<_, _>>()?;
    let later = later(&named, expanded);
    let search = Search { rules, sources, expanded, later: &later };
    let count = expanded.instances.len();
    let mut order =
        Order { after: Vec::with_capacity(count), inputs: Vec::with_capacity(count), position: vec![] };
    let root = RelPath::root();
    for (index, rule) in rules.iter().enumerate() {
        let mut shared = Inputs::default();
        for input in &rule.inputs {
            if let Input::Shared(glob) = input {
                search.add(&mut shared, index, rule.name(), &glob.at, &glob.value)?;
            }
        }
        let per_step = rule.inputs.iter().any(|input| matches!(input, Input::PerStep(_)));
        let before: BTreeSet<usize> = named[index].union(&shared.makers).copied().collect();
        let shared_before: Arc<[usize]> = before.iter().copied().collect();
        let shared_names: Arc<[RelPath]> =
            if shared.names.is_empty() { nothing() } else { shared.names.into() };
        for instance in &expanded.instances[expanded.ranges[index].clone()] {
            let mut own = Inputs::default();
            if per_step {
                for input in &rule.inputs {
                    match input {
                        Input::Shared(glob) => {
                            search.add(&mut own, index, rule.name(), &glob.at, &glob.value)?
                        }
                        Input::PerStep(template) => {
                            let glob = rule.glob_of("in", template, early(instance.each.as_ref(), &root))?;
                            search.add(&mut own, index, instance.id.as_str(), &template.at, &glob)?;
                        }
                    }
                }
            }
            if let Some(path) = &instance.each {
                let makers = expanded.outputs.at(path.as_bytes()).iter().map(|output| output.step);
                own.makers.extend(makers.filter(|&maker| expanded.instances[maker].rule != index));
            }
            order.inputs.push(if per_step { own.names.into() } else { shared_names.clone() });
            order.after.push(match own.makers.is_subset(&before) {
                true => shared_before.clone(),
                false => own.makers.union(&before).copied().collect(),
            });
        }
    }
    order.position = positions(rules, expanded, &order, &named)?;
    Ok(order)
}

/// What `after` can name.
struct Names<'a> {
    rules: HashMap<&'a str, usize>,
    ids: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    fn of(rules: &[Rule<'a>], expanded: &'a Expanded) -> Self {
        let ids = expanded.instances.iter().enumerate();
        Self {
            rules: rules.iter().enumerate().map(|(index, rule)| (rule.name(), index)).collect(),
            ids: ids.map(|(index, instance)| (instance.id.as_str(), index)).collect(),
        }
    }
}

/// The steps that `after` of a rule names.
fn named(
    rules: &[Rule<'_>],
    index: usize,
    names: &Names<'_>,
    expanded: &Expanded,
) -> Result<BTreeSet<usize>, Fault> {
    let rule = &rules[index];
    let mut steps = BTreeSet::new();
    for name in &rule.typed.after {
        let found = match names.rules.get(name.value.as_str()) {
            Some(&found) => expanded.ranges[found].clone(),
            None => match names.ids.get(name.value.as_str()) {
                Some(&step) => step..step + 1,
                None => {
                    let ids = expanded.instances.iter().map(|instance| instance.id.as_str());
                    let known = rules.iter().map(Rule::name).chain(ids.filter(|_| name.value.contains(':')));
                    let nearest = nearest(&name.value, known).map(str::to_owned);
                    let problem = Problem::UnknownStep {
                        rule: rule.name().to_owned(),
                        name: name.value.clone(),
                        nearest,
                    };
                    return Err(rule.fault(&name.at, problem));
                }
            },
        };
        if found.clone().any(|step| expanded.instances[step].rule == index) {
            return Err(rule.fault(&name.at, Problem::AfterItself { rule: rule.name().to_owned() }));
        }
        steps.extend(found);
    }
    Ok(steps)
}

/// For each rule, the rules that come after it by name, through any number of others.
fn later(named: &[BTreeSet<usize>], expanded: &Expanded) -> Vec<BTreeSet<usize>> {
    let mut later = vec![BTreeSet::new(); named.len()];
    for rule in 0..named.len() {
        let mut seen = BTreeSet::new();
        let mut pending = vec![rule];
        while let Some(at) = pending.pop() {
            let mut last = None;
            for &step in &named[at] {
                let before = expanded.instances[step].rule;
                // The steps of a rule stand side by side.
                if last.replace(before) != Some(before) && seen.insert(before) {
                    pending.push(before);
                    later[before].insert(rule);
                }
            }
        }
    }
    later
}

/// An order in which all steps could run one by one, or the circle that forbids it.
fn positions(
    rules: &[Rule<'_>],
    expanded: &Expanded,
    order: &Order,
    named: &[BTreeSet<usize>],
) -> Result<Vec<usize>, Fault> {
    const OPEN: usize = usize::MAX - 1;
    const NEW: usize = usize::MAX;
    let mut position = vec![NEW; order.after.len()];
    let mut done = 0;
    // The path that is being walked: a step, and how many of those before it were looked at.
    let mut path: Vec<(usize, usize)> = Vec::new();
    for start in 0..order.after.len() {
        if position[start] != NEW {
            continue;
        }
        position[start] = OPEN;
        path.push((start, 0));
        while let Some((step, looked)) = path.last_mut() {
            let Some(&before) = order.after[*step].get(*looked) else {
                position[*step] = done;
                done += 1;
                path.pop();
                continue;
            };
            *looked += 1;
            match position[before] {
                NEW => {
                    position[before] = OPEN;
                    path.push((before, 0));
                }
                OPEN => {
                    let from = path.iter().position(|(step, _)| *step == before).unwrap_or(0);
                    let steps: Vec<usize> = path[from..].iter().map(|(step, _)| *step).collect();
                    let rule = &rules[expanded.instances[before].rule];
                    let circle = Circle::new(&steps, expanded, order, named);
                    return Err(rule.fault(&rule.typed.name.at, Problem::Circle(circle)));
                }
                _ => {}
            }
        }
    }
    Ok(position)
}

/// Steps that wait for each other: each for the next, the last for the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    arrows: Vec<Arrow>,
}

/// One step that waits for another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrow {
    later: StepId,
    earlier: StepId,
    /// The output that was matched; `None`: `after` says so.
    through: Option<RelPath>,
}

impl Circle {
    fn new(steps: &[usize], expanded: &Expanded, order: &Order, named: &[BTreeSet<usize>]) -> Self {
        let earlier = steps.iter().cycle().skip(1);
        let arrows = steps.iter().zip(earlier).map(|(&later, &earlier)| {
            let instance = &expanded.instances[later];
            let is_named = named[instance.rule].contains(&earlier);
            let made = |path: &&RelPath| {
                let outs = &expanded.instances[earlier].outs;
                outs.iter().any(|out| path.is_within(out.path()))
            };
            let inputs = instance.each.iter().chain(order.inputs[later].iter());
            let through = if is_named { None } else { inputs.into_iter().find(made).cloned() };
            Arrow { later: instance.id.clone(), earlier: expanded.instances[earlier].id.clone(), through }
        });
        Self { arrows: arrows.collect() }
    }

    /// The steps: each waits for the next, the last for the first.
    pub fn steps(&self) -> impl Iterator<Item = &StepId> {
        self.arrows.iter().map(|arrow| &arrow.later)
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arrow) in self.arrows.iter().take(SHOWN_ARROWS).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let Arrow { later, earlier, through } = arrow;
            match through {
                None => write!(f, "{comma}`{later}` is after `{earlier}`")?,
                Some(path) => write!(f, "{comma}`{later}` takes `{path}` from `{earlier}`")?,
            }
        }
        match self.arrows.len().saturating_sub(SHOWN_ARROWS) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
