//! `status`, and the dry run of a build: what would run, and why.

use std::path::Path;
use std::sync::Arc;

use node::{Pod, Verdict};

use super::{Fallible, Variables, larder_failed, made_last, node_failed, prepared, project_for, tree};
use crate::majordomo::build::reason;
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::{Planned, Prepared};
use crate::majordomo::records;
use crate::majordomo::request::{StatusReport, StepState};
use crate::majordomo::snapshot::Snapshot;

/// What a build of everything would find.
pub async fn status(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<StatusReport> {
    let prepared = prepared(pod, project, environment).await?;
    let all: Vec<usize> = (0..prepared.plan.steps.len()).collect();
    status_of(pod, &prepared, &all, false).await
}

/// What a build of everything would find where nothing is known of any step.
pub fn of_unknown(planned: &Planned) -> StatusReport {
    let steps = planned.plan.steps.iter().map(|step| {
        let reason = if step.volatile { "it is volatile" } else { reason::NEVER_BUILT };
        StepState { step: step.id.clone(), up_to_date: false, reason: reason.to_owned() }
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

/// What a build of these steps would find. Only looks.
pub async fn status_of(
    pod: &Pod,
    prepared: &Prepared,
    steps: &[usize],
    cold: bool,
) -> Fallible<StatusReport> {
    let evaluator = prepared.evaluator(pod);
    let workspace = prepared.workspace.id();
    let last = records::all(pod.larder(), workspace).map_err(larder_failed)?;
    let (made, edges) = made_last(pod, prepared)?;
    let mut is_asked = vec![false; prepared.plan.steps.len()];
    steps.iter().for_each(|&step| is_asked[step] = true);
    let mut would_run = vec![false; prepared.plan.steps.len()];
    let mut states = Vec::with_capacity(steps.len());
    for step in prepared.plan.one_by_one().into_iter().filter(|&step| is_asked[step]) {
        let planned = &prepared.plan.steps[step];
        let project = project_for(prepared, &made, step, &edges[step]);
        let spec = &prepared.specs[step];
        let unsure = planned.after.iter().chain(&edges[step]).find(|&&before| would_run[before]);
        let verdict = match cold || planned.volatile {
            true => Verdict::Miss { known: Vec::new(), unmade: None },
            false => evaluator.look_up(&spec.weak_key(), &project, workspace).await.map_err(node_failed)?,
        };
        let mut state = StepState { step: planned.id.clone(), up_to_date: false, reason: String::new() };
        match verdict {
            Verdict::Hit { trace, .. } if unsure.is_none() => {
                if let Some(tree) = tree(pod, &trace.outputs)? {
                    made.add(step, Arc::new(tree), true).ok();
                    state.up_to_date = true;
                } else {
                    state.reason = "what it made is no longer in the larder".to_owned();
                }
            }
            _ => {
                state.reason = match unsure {
                    Some(&before) => format!("maybe: `{}` comes before it", prepared.plan.steps[before].id),
                    None if cold => "a cold build was asked for".to_owned(),
                    None if planned.volatile => "it is volatile".to_owned(),
                    None => {
                        let record = last.get(&planned.id).map(|record| &record.trace);
                        let trace = match record {
                            Some(digest) => records::trace(pod.larder(), digest).map_err(larder_failed)?,
                            None => None,
                        };
                        let trace = trace.as_ref().map(|(trace, set)| (trace, &**set));
                        let weak = spec.weak_key();
                        reason::of_last(&evaluator, &project, &weak, trace).await.map_err(node_failed)?
                    }
                };
            }
        }
        would_run[step] = !state.up_to_date;
        states.push((step, state));
    }
    states.sort_by_key(|(step, _)| *step);
    let states = states.into_iter().map(|(_, state)| state).collect();
    Ok(report(&prepared.plan, &prepared.snapshot, states))
}
