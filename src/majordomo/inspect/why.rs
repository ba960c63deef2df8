//! `why`: why a target's step last ran, and what a build would do with it now.

use std::collections::BTreeSet;
use std::path::Path;

use node::Pod;
use protocol::{RelPath, StepId};

use super::looked::{Looked, State};
use super::{Fallible, Variables, causes, larder_failed, node_failed};
use crate::majordomo::border;
use crate::majordomo::build::reason;
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::{Planned, in_project};
use crate::majordomo::records;
use crate::majordomo::report::{Cause, CutOff, HiddenChange, LastRun, Now, WhyReport};
use crate::majordomo::request::Failure;

/// The most changes that projections hide that are listed.
const MAX_HIDDEN: usize = 100;

/// Why a target is as it is.
pub async fn why(pod: &Pod, project: &Path, target: &str, environment: &Variables) -> Fallible<WhyReport> {
    let mut looked = Looked::at(pod, project, environment).await?;
    let step = maker(&looked, target)?;
    let reads_from = reads_from(&looked, step)?;
    let last_run = match looked.record(step).and_then(|record| record.ran.as_ref()) {
        Some(run) => Some(LastRun {
            at: run.at,
            before: run.before,
            after: run.after,
            causes: causes::of_last_run(&looked, step)?,
        }),
        None => None,
    };
    let trace = looked.last_trace(step)?.map(|(digest, ..)| digest);
    let order = looked.in_order(&[step]);
    looked.look_up(&order, false).await?;
    let now = match looked.states[step].clone() {
        State::Reuse(digest) => reuse(&looked, step, digest, &reads_from).await?,
        State::Run { behind, .. } => {
            Now::Run { maybe: behind.is_some(), causes: causes::of_now(&looked, step).await? }
        }
        State::Unasked => Now::Run { maybe: true, causes: Vec::new() },
    };
    Ok(WhyReport {
        target: target.to_owned(),
        step: looked.id(step),
        trace,
        reads_from: reads_from.into_iter().map(|step| looked.id(step)).collect(),
        last_run,
        now,
    })
}

/// Why a target would be made where nothing is known of any step.
pub fn of_unknown(planned: &Planned, target: &str) -> Fallible<WhyReport> {
    let step = declared_maker(&planned.plan, target).ok_or_else(|| nobody(&planned.plan, target))?;
    let step = &planned.plan.steps[step];
    let reason = if step.volatile { reason::VOLATILE } else { reason::NEVER_BUILT };
    let cause = Cause {
        step: step.id.clone(),
        reason: reason.to_owned(),
        changes: Vec::new(),
        key: Vec::new(),
        more: 0,
    };
    Ok(WhyReport {
        target: target.to_owned(),
        step: step.id.clone(),
        trace: None,
        reads_from: Vec::new(),
        last_run: None,
        now: Now::Run { maybe: false, causes: vec![cause] },
    })
}

/// Why a step would not run.
async fn reuse(looked: &Looked, step: usize, digest: protocol::Digest, read_from: &[usize]) -> Fallible<Now> {
    let Some((trace, set)) = looked.trace(&digest)? else {
        return Ok(Now::Reuse { trace: digest, observations: 0, hidden: Vec::new(), cut_off: Vec::new() });
    };
    let project = looked.project(step);
    let hidden = looked.evaluator().hidden(&trace, &set, &project, MAX_HIDDEN).await.map_err(node_failed)?;
    let hidden = hidden.into_iter().map(|hidden| HiddenChange {
        path: hidden.path,
        before: hidden.before,
        now: hidden.now,
        projections: hidden.by,
    });
    let read: BTreeSet<RelPath> = set.looks().iter().filter_map(|(path, _)| in_project(path)).collect();
    let ran_at = |step: usize| looked.record(step).and_then(|record| record.ran.as_ref());
    let own = ran_at(step).map_or(0, |run| run.at);
    let mut cut_off = Vec::new();
    for &producer in read_from {
        if let Some(run) = ran_at(producer).filter(|run| run.at > own)
            && causes::made_the_same(looked, run, &read)?
        {
            cut_off.push(CutOff { step: looked.id(producer), reason: run.reason.clone() });
        }
    }
    let observations = set.looks().len() as u64;
    Ok(Now::Reuse { trace: digest, observations, hidden: hidden.collect(), cut_off })
}

/// The steps whose outputs a step read when it was last made.
fn reads_from(looked: &Looked, step: usize) -> Fallible<Vec<usize>> {
    let Some((_, _, set)) = looked.last_trace(step)? else { return Ok(Vec::new()) };
    let read: BTreeSet<RelPath> = set.looks().iter().filter_map(|(path, _)| in_project(path)).collect();
    let has_made = |step: &usize| {
        looked.made.tree(*step).is_some_and(|tree| tree.entries().iter().any(|(path, _)| read.contains(path)))
    };
    let mut from: Vec<usize> =
        looked.in_order(&[step]).into_iter().filter(|other| *other != step).filter(has_made).collect();
    from.sort_unstable();
    Ok(from)
}

/// The step that makes a target: by its id, as a declared output, or by what the last traces made.
fn maker(looked: &Looked, target: &str) -> Fallible<usize> {
    let plan = looked.plan();
    if let Some(step) = declared_maker(plan, target) {
        return Ok(step);
    }
    if let Some(path) = as_path(target) {
        let workspace = looked.prepared.workspace.id();
        let made = records::outputs(looked.pod.larder(), workspace).map_err(larder_failed)?;
        let by = made.iter().filter(|(made, _, _)| *made == path);
        let by = by.filter_map(|(_, _, step)| plan.step(step));
        if let Some(step) = by.max_by_key(|&step| looked.made.promises().position(step)) {
            return Ok(step);
        }
    }
    Err(nobody(plan, target))
}

fn as_path(target: &str) -> Option<RelPath> {
    target.trim_start_matches("./").parse().ok()
}

fn declared_maker(plan: &Plan, target: &str) -> Option<usize> {
    plan.step(&StepId::new(target)).or_else(|| plan.producer(&as_path(target)?))
}

fn nobody(plan: &Plan, target: &str) -> Box<Failure> {
    let outputs: Vec<String> = plan.outputs().iter().map(|output| output.path().to_string()).collect();
    let ids = plan.steps.iter().map(|step| step.id.as_str());
    let known = outputs.iter().map(String::as_str).chain(ids);
    let nearest = crate::majordomo::project_file::nearest::nearest(target, known);
    let failure = border::mistake(format!("no step makes `{target}`, and none has this id"));
    Box::new(match nearest {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`majordomo graph` shows all steps"),
    })
}
