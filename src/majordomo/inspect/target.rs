//! What the target of a question means: a step's id, a rule that has one step, or a path that a step makes.

use std::collections::BTreeSet;

use protocol::{Look, RelPath, Seen, StepId};

use super::looked::Looked;
use super::{Fallible, larder_failed};
use crate::majordomo::border;
use crate::majordomo::plan::Plan;
use crate::majordomo::project_file::nearest::nearest;
use crate::majordomo::records;
use crate::majordomo::request::Failure;

/// How many names a hint has.
const MAX_NAMES: usize = 3;

/// The step that is meant, by what is declared and by what the last traces made.
pub fn step(looked: &Looked, target: &str) -> Fallible<usize> {
    let plan = looked.plan();
    if let Some(step) = declared(plan, target)? {
        return Ok(step);
    }
    let Some(path) = as_path(target) else { return Err(nobody(plan, target)) };
    let workspace = looked.prepared.workspace.id();
    let made = records::outputs(looked.pod.larder(), workspace).map_err(larder_failed)?;
    let by = made.iter().filter(|(made, _, _)| *made == path);
    let by = by.filter_map(|(_, _, step)| plan.step(step));
    if let Some(step) = by.max_by_key(|&step| looked.made.promises().position(step)) {
        return Ok(step);
    }
    let folder: BTreeSet<String> = made
        .iter()
        .filter(|(made, _, step)| made.is_within(&path) && plan.step(step).is_some())
        .map(|(made, ..)| made.to_string())
        .collect();
    if !folder.is_empty() {
        let failure = border::mistake(format!("`{path}` is a folder in which steps make things"));
        return Err(Box::new(failure.hint(format!("name one of them: {}", some_of(folder)))));
    }
    let id = StepId::new(target);
    let former = match looked.last.contains_key(&id) {
        true => Some(id),
        false => looked.former_maker(&path)?,
    };
    if let Some(former) = former {
        let words = match former.as_str() == target {
            true => format!("`{former}` is no step any more"),
            false => format!("nothing makes `{path}` any more: `{former}` did, and is no step now"),
        };
        return Err(Box::new(border::mistake(words).hint("`majordomo graph` shows all steps")));
    }
    if looked.prepared.snapshot.get(&path).is_some() {
        let failure = border::mistake(format!("`{path}` is a source: no step makes it"));
        let readers = readers(looked, &path)?;
        return Err(Box::new(match readers.is_empty() {
            true => failure.hint("no step has read it either"),
            false => failure.hint(format!("ask about a step that reads it: {}", some_of(readers))),
        }));
    }
    Err(nobody(plan, target))
}

/// The step that is meant by what is declared, if one is; an error where several are.
pub fn declared(plan: &Plan, target: &str) -> Fallible<Option<usize>> {
    if let Some(step) = plan.step(&StepId::new(target)) {
        return Ok(Some(step));
    }
    let of_rule = plan.steps_named(target);
    if of_rule.len() > 1 {
        let failure = border::mistake(format!("`{target}` is a rule with {} steps", of_rule.len()));
        let ids = plan.steps[of_rule].iter().map(|step| step.id.to_string());
        return Err(Box::new(failure.hint(format!("name one of them: {}", some_of(ids)))));
    }
    Ok(of_rule.into_iter().next().or_else(|| plan.producer(&as_path(target)?)))
}

/// There is no such step, and nothing that one makes.
pub fn nobody(plan: &Plan, target: &str) -> Box<Failure> {
    let outputs: Vec<String> = plan.outputs().iter().map(|output| output.path().to_string()).collect();
    let ids = plan.steps.iter().map(|step| step.id.as_str());
    let known = outputs.iter().map(String::as_str).chain(ids);
    let failure = border::mistake(format!("no step makes `{target}`, and none has this id"));
    unknown(failure, target, known)
}

/// A failure with the known name that is nearest to what was typed.
pub fn unknown<'a>(failure: Failure, typed: &str, known: impl Iterator<Item = &'a str>) -> Box<Failure> {
    Box::new(match nearest(typed, known) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`majordomo graph` shows all steps"),
    })
}

/// A path as it was typed.
pub fn as_path(target: &str) -> Option<RelPath> {
    target.trim_start_matches("./").trim_end_matches('/').parse().ok()
}

/// The steps that read a source when they were last made.
fn readers(looked: &Looked, source: &RelPath) -> Fallible<BTreeSet<String>> {
    let path = node::project_prefix().join(source);
    let mut readers = BTreeSet::new();
    for step in 0..looked.plan().steps.len() {
        let Some((_, trace, set)) = looked.last_trace(step)? else { continue };
        let mut all = trace.observations(&set).into_iter().flatten();
        if all.any(|(seen, look, what)| *seen == path && look == Look::Content && *what != Seen::Absent) {
            readers.insert(looked.id(step).to_string());
        }
    }
    Ok(readers)
}

/// The first few of these names.
fn some_of(names: impl IntoIterator<Item = String>) -> String {
    let mut names = names.into_iter();
    let some: Vec<String> = names.by_ref().take(MAX_NAMES).map(|name| format!("`{name}`")).collect();
    match names.count() {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}
