//! `why`: which observation makes a target's step run, and why it last ran.

use std::collections::BTreeSet;
use std::path::Path;

use node::Pod;
use protocol::{RelPath, StepId};

use super::trace::record;
use super::{Fallible, Variables, larder_failed, made_last, node_failed, prepared, project_for};
use crate::majordomo::prepare::{Prepared, in_project};
use crate::majordomo::records;
use crate::majordomo::request::{Change, WhyReport};

/// The most changes that are listed.
const MAX_CHANGES: usize = 100;

/// Why a target is as it is.
pub async fn why(pod: &Pod, project: &Path, target: &str, environment: &Variables) -> Fallible<WhyReport> {
    let prepared = prepared(pod, project, environment).await?;
    let step = maker(pod, &prepared, target)?;
    let id = prepared.plan.steps[step].id.clone();
    let (made, edges) = made_last(pod, &prepared)?;
    let mut report = WhyReport {
        target: target.to_owned(),
        step: id.clone(),
        trace: None,
        last_reason: None,
        changes: Vec::new(),
        reads_from: Vec::new(),
    };
    let Ok((_, record)) = record(pod, prepared.workspace.id(), id.as_str()) else { return Ok(report) };
    report.trace = Some(record.trace);
    report.last_reason = Some(record.reason);
    let found = records::trace(pod.larder(), &record.trace).map_err(larder_failed)?;
    let Some((trace, set)) = found else { return Ok(report) };
    let evaluator = prepared.evaluator(pod);
    let project = project_for(&prepared, &made, step, &edges[step]);
    let differences =
        evaluator.differences(&trace, &set, &project, MAX_CHANGES).await.map_err(node_failed)?;
    report.changes = differences
        .into_iter()
        .map(|(path, look, before, now)| Change {
            path,
            look: look.word().to_owned(),
            before: before.to_string(),
            now: now.to_string(),
        })
        .collect();
    let read: BTreeSet<RelPath> = set.looks().iter().filter_map(|(path, _)| in_project(path)).collect();
    for before in made.before(step).into_iter().chain(edges[step].iter().copied()) {
        let Some(tree) = made.tree(before) else { continue };
        if tree.entries().iter().any(|(path, _)| read.contains(path)) {
            report.reads_from.push(prepared.plan.steps[before].id.clone());
        }
    }
    Ok(report)
}

/// The step that makes a target: by its id, as a declared output, or by what the last traces made.
fn maker(pod: &Pod, prepared: &Prepared, target: &str) -> Fallible<usize> {
    if let Some(step) = prepared.plan.step(&StepId::new(target)) {
        return Ok(step);
    }
    if let Ok(path) = target.trim_start_matches("./").parse::<RelPath>() {
        if let Some(step) = prepared.plan.producer(&path) {
            return Ok(step);
        }
        let made = records::outputs(pod.larder(), prepared.workspace.id()).map_err(larder_failed)?;
        let by = made.iter().find(|(made, _, _)| *made == path).map(|(_, _, step)| step);
        if let Some(step) = by.and_then(|step| prepared.plan.step(step)) {
            return Ok(step);
        }
    }
    let outputs: Vec<String> =
        prepared.plan.outputs().iter().map(|output| output.path().to_string()).collect();
    let ids = prepared.plan.steps.iter().map(|step| step.id.as_str());
    let known = outputs.iter().map(String::as_str).chain(ids);
    let nearest = crate::majordomo::project_file::nearest::nearest(target, known);
    let failure =
        crate::majordomo::border::mistake(format!("no step makes `{target}`, and none has this id"));
    Err(Box::new(match nearest {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`majordomo graph` shows all steps"),
    }))
}
