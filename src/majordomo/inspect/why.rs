//! `why`: why a target's step last ran, and what a build would do with it now.

use std::collections::BTreeSet;
use std::path::Path;

use node::{Pod, project_prefix};
use protocol::{RelPath, Seen};

use super::looked::{Looked, State};
use super::{Fallible, Variables, causes, larder_failed, node_failed, target};
use crate::majordomo::build::reason;
use crate::majordomo::prepare::{Planned, in_project};
use crate::majordomo::request::why::{Cause, CutOff, HiddenChange, LastRun, Now, WhyReport};

/// The most changes that projections hide that are listed.
const MAX_HIDDEN: usize = 100;
/// The most steps that are listed which ran and changed nothing.
const MAX_CUT_OFF: usize = 100;

/// Why a target is as it is.
pub async fn why(pod: &Pod, project: &Path, target: &str, environment: &Variables) -> Fallible<WhyReport> {
    let mut looked = Looked::at(pod, project, environment).await?;
    let step = target::step(&looked, target)?;
    let reads_from = reads_from(&looked, step)?;
    let last_run = match looked.record(step).and_then(|record| record.ran.as_ref()) {
        Some(run) => Some(LastRun {
            at: run.at,
            before: run.before,
            after: run.after,
            causes: causes::of_last_run(&looked, step).await?,
        }),
        None => None,
    };
    let trace = looked.last_trace(step)?.map(|(digest, ..)| digest);
    let made_by = match &trace {
        Some(trace) => pod.supply().maker(trace).map_err(larder_failed)?,
        None => None,
    };
    let order = looked.in_order(&[step]);
    looked.look_up(&order, false).await?;
    let now = match looked.states[step].clone() {
        State::Reuse(digest) => reuse(&looked, step, digest).await?,
        State::Unasked => Now::Run { maybe: true, causes: Vec::new() },
        State::Run { behind, .. } => {
            Now::Run { maybe: !behind.is_empty(), causes: causes::of_now(&mut looked, step).await? }
        }
    };
    Ok(WhyReport {
        target: target.to_owned(),
        step: looked.id(step),
        trace,
        made_by,
        made_by_name: None,
        reads_from: reads_from.into_iter().map(|step| looked.id(step)).collect(),
        last_run,
        failed: looked.failed.get(&looked.id(step)).cloned(),
        now,
    })
}

/// Why a target would be made where nothing is known of any step.
pub fn of_unknown(planned: &Planned, target: &str) -> Fallible<WhyReport> {
    let step = target::declared(&planned.plan, target)?;
    let step = step.ok_or_else(|| target::nobody(&planned.plan, target))?;
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
        made_by: None,
        made_by_name: None,
        reads_from: Vec::new(),
        last_run: None,
        failed: None,
        now: Now::Run { maybe: false, causes: vec![cause] },
    })
}

/// Why a step would not run.
async fn reuse(looked: &Looked, step: usize, digest: protocol::Digest) -> Fallible<Now> {
    let Some((trace, set)) = looked.trace(&digest)? else {
        return Ok(Now::Reuse { trace: digest, observations: 0, hidden: Vec::new(), cut_off: Vec::new() });
    };
    let project = looked.project(step);
    let hidden =
        looked.evaluator(step).hidden(&trace, &set, &project, MAX_HIDDEN).await.map_err(node_failed)?;
    let hidden = hidden.into_iter().map(|hidden| HiddenChange {
        path: hidden.path,
        before: hidden.before,
        now: hidden.now,
        projections: hidden.by,
    });
    let hidden: Vec<HiddenChange> = hidden.collect();
    let cut_off = match looked.record(step).and_then(|record| record.ran.as_ref()) {
        Some(run) if run.after == digest => cut_off(looked, step, run.at, &hidden),
        _ => Vec::new(),
    };
    let observations = set.looks().len() as u64;
    Ok(Now::Reuse { trace: digest, observations, hidden, cut_off })
}

/// The steps before one that ran since it did: what it saw of them holds, so nothing came through to it. What came through and
/// is hidden by projections is said of itself.
fn cut_off(looked: &Looked, step: usize, since: u64, hidden: &[HiddenChange]) -> Vec<CutOff> {
    let is_hidden = |other: &usize| {
        let paths = hidden.iter().filter_map(|change| change.path.strip_prefix(&project_prefix()));
        paths.into_iter().any(|path| looked.makers(&path, step).contains(other))
    };
    let others = looked.in_order(&[step]).into_iter().filter(|other| *other != step && !is_hidden(other));
    let ran = others.filter_map(|other| Some((other, looked.record(other)?.ran.as_ref()?)));
    let later = ran.filter(|(_, run)| run.at > since).take(MAX_CUT_OFF);
    later.map(|(other, run)| CutOff { step: looked.id(other), reason: run.reason.clone() }).collect()
}

/// The steps whose outputs a step read when it was last made.
fn reads_from(looked: &Looked, step: usize) -> Fallible<Vec<usize>> {
    let Some((_, trace, set)) = looked.last_trace(step)? else { return Ok(Vec::new()) };
    let seen = trace.observations(&set).into_iter().flatten().filter(|(_, _, seen)| **seen != Seen::Absent);
    let read: BTreeSet<RelPath> = seen.filter_map(|(path, ..)| in_project(path)).collect();
    let has_made = |step: &usize| {
        looked.made.tree(*step).is_some_and(|tree| tree.entries().iter().any(|(path, _)| read.contains(path)))
    };
    let made = looked.in_order(&[step]).into_iter().filter(has_made);
    // Of a volatile step no trace is kept; what it promised it made.
    let is_promised = |by: &usize| looked.plan().steps[*by].volatile;
    let promised = read.iter().filter_map(|path| looked.plan().producer(path)).filter(is_promised);
    let from: BTreeSet<usize> = made.chain(promised).filter(|&other| other != step).collect();
    Ok(from.into_iter().collect())
}
