//! `status`, and the dry run of a build: what would run, and why.

use std::path::Path;

use node::Pod;
use protocol::TreeEntry;

use super::looked::{Looked, State};
use super::{Fallible, Variables, prepared};
use crate::majordomo::build::{is_wanted, reason};
use crate::majordomo::plan::{Plan, Target};
use crate::majordomo::prepare::{Planned, Prepared};
use crate::majordomo::request::{StatusReport, StepState};
use crate::majordomo::snapshot::Snapshot;

/// What a build of everything would find.
pub async fn status(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<StatusReport> {
    let prepared = prepared(pod, project, environment).await?;
    let all: Vec<usize> = (0..prepared.plan.steps.len()).collect();
    // What it would bring back are the project's own targets; mistakes in them are a build's to tell.
    let wanted = prepared.plan.wanted(&[]).map(|wanted| wanted.targets).unwrap_or_default();
    status_of(pod, prepared, (&wanted, &all), false).await
}

/// What a build of everything would find where nothing is known of any step.
pub fn of_unknown(planned: &Planned) -> StatusReport {
    let steps = planned.plan.steps.iter().map(|step| {
        let reason = if step.volatile { reason::VOLATILE } else { reason::NEVER_BUILT };
        StepState { step: step.id.clone(), up_to_date: false, reason: reason.to_owned(), failed: None }
    });
    report(&planned.plan, &planned.snapshot, steps.collect())
}

fn report(plan: &Plan, snapshot: &Snapshot, steps: Vec<StepState>) -> StatusReport {
    let found = snapshot.report();
    StatusReport {
        project: plan.name.clone(),
        sources: snapshot.files().len() as u64,
        steps,
        edited: found.edited.clone(),
        missing: found.missing.clone(),
    }
}

/// What a build of these targets by these steps would find, and of whatever comes before them. Only looks.
pub async fn status_of(
    pod: &Pod,
    prepared: Prepared,
    (wanted, steps): (&[Target], &[usize]),
    cold: bool,
) -> Fallible<StatusReport> {
    let mut looked = Looked::of(pod, prepared)?;
    let mut order = looked.in_order(steps);
    looked.look_up(&order, cold).await?;
    order.sort_unstable();
    let states = order.into_iter().map(|step| {
        let (up_to_date, reason) = match &looked.states[step] {
            State::Run { reason, .. } => (false, reason.clone()),
            State::Reuse(_) | State::Unasked => (true, String::new()),
        };
        let failed = looked.failed.get(&looked.id(step)).map(|failed| failed.failure.clone());
        StepState { step: looked.id(step), up_to_date, reason, failed }
    });
    let states: Vec<StepState> = states.collect();
    let mut report = report(looked.plan(), &looked.prepared.snapshot, states);
    // What was never handed over, or was cleaned away, is written as well.
    let is_reused = |step: &usize| matches!(looked.states[*step], State::Reuse(_));
    let reused: Vec<usize> = (0..looked.states.len()).filter(is_reused).collect();
    for (path, entry, step) in looked.made.merged(&reused) {
        if entry != TreeEntry::EmptyDir
            && looked.prepared.manifest.get(&path).is_none()
            && looked.prepared.sources.get(&path).is_none()
            && !looked.plan().steps[step].spec.is_mark(&path)
            && wanted.iter().any(|target| is_wanted(&target.meaning, &path, step))
        {
            report.missing.push(path);
        }
    }
    report.missing.sort_unstable();
    report.missing.dedup();
    Ok(report)
}
