//! Outputs of several steps at one place.
//!
//! Two steps may make the same path if one is after the other (its write is a new version), and a step may write into
//! the tree of one that it is before or after. Anything else would leave to chance what is there in the end.

use protocol::RelPath;

use super::error::Problem;
use super::expand::Expanded;
use super::order::Order;
use super::outputs::Output;
use super::rule::{Fault, Rule};

pub(super) fn check(rules: &[Rule<'_>], expanded: &Expanded, order: &Order) -> Result<(), Fault> {
    let all = expanded.outputs.all();
    for same in all.chunk_by(|a, b| a.path() == b.path()).filter(|same| same.len() > 1) {
        let mut same: Vec<&Output> = same.iter().collect();
        same.sort_by_key(|output| order.position[output.step]);
        for pair in same.windows(2) {
            let path = pair[0].path();
            if pair[0].is_tree() != pair[1].is_tree() {
                return Err(clash(
                    rules,
                    expanded,
                    pair,
                    format!("make `{path}`, once as a file and once as a tree"),
                    false,
                ));
            }
            if !is_after(order, pair[1].step, pair[0].step) {
                return Err(clash(
                    rules,
                    expanded,
                    pair,
                    format!("both make `{path}`, and neither is after the other"),
                    true,
                ));
            }
        }
    }
    for inner in all {
        for folder in inner.path().ancestors() {
            for outer in expanded.outputs.at(folder.as_bytes()) {
                check_nested(rules, expanded, order, outer, inner, &folder)?;
            }
        }
    }
    Ok(())
}

fn check_nested(
    rules: &[Rule<'_>],
    expanded: &Expanded,
    order: &Order,
    outer: &Output,
    inner: &Output,
    folder: &RelPath,
) -> Result<(), Fault> {
    let path = inner.path();
    if !outer.is_tree() {
        let how = format!("make `{folder}` and `{path}`, and one cannot be a file and a folder");
        return Err(clash(rules, expanded, &[outer, inner], how, false));
    }
    let (a, b) = (outer.step, inner.step);
    if a == b || is_after(order, a, b) || is_after(order, b, a) {
        return Ok(());
    }
    let how = format!("make `{folder}/` and `{path}` in it, and neither is after the other");
    Err(clash(rules, expanded, &[outer, inner], how, true))
}

fn clash(rules: &[Rule<'_>], expanded: &Expanded, pair: &[&Output], how: String, unordered: bool) -> Fault {
    let mut pair = [pair[0], pair[1]];
    pair.sort_by_key(|output| (output.step, output.entry));
    let [first, second] = pair.map(|output| &expanded.instances[output.step]);
    let rule = &rules[second.rule];
    let problem = Problem::Clash { first: first.id.clone(), second: second.id.clone(), how, unordered };
    rule.fault(&rule.out[pair[1].entry].at, problem)
}

/// Whether a step is after another one, through any number of others.
fn is_after(order: &Order, later: usize, earlier: usize) -> bool {
    if order.position[later] <= order.position[earlier] {
        return later == earlier;
    }
    let mut seen = std::collections::HashSet::new();
    let mut pending = vec![later];
    while let Some(step) = pending.pop() {
        let before = &order.after[step];
        if before.binary_search(&earlier).is_ok() {
            return true;
        }
        // Whatever stands before the earlier one in the order cannot lead to it.
        let may_lead = |step: &&usize| order.position[**step] > order.position[earlier];
        pending.extend(before.iter().filter(may_lead).filter(|step| seen.insert(**step)));
    }
    false
}
