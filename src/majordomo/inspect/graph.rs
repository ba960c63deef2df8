//! `graph`: steps, and what flows between them by their last traces; the order of the project file where nothing did.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use node::Pod;
use protocol::{RelPath, TreeEntry};

use super::{Fallible, Variables, larder_failed, prepared, tree};
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::{Planned, in_project};
use crate::majordomo::records;
use crate::majordomo::request::{Edge, GraphReport};

/// Steps and what flows between them.
pub async fn graph(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<GraphReport> {
    let prepared = prepared(pod, project, environment).await?;
    let plan = &prepared.plan;
    let all = records::all(pod.larder(), prepared.workspace.id()).map_err(larder_failed)?;
    let mut makers: BTreeMap<RelPath, usize> = BTreeMap::new();
    let mut reads: Vec<BTreeSet<RelPath>> = vec![BTreeSet::new(); plan.steps.len()];
    for step in plan.one_by_one() {
        let Some(record) = all.get(&plan.steps[step].id) else { continue };
        let found = records::trace(pod.larder(), &record.trace).map_err(larder_failed)?;
        let Some((trace, set)) = found else { continue };
        reads[step] = set.looks().iter().filter_map(|(path, _)| in_project(path)).collect();
        for (path, entry) in tree(pod, &trace.outputs)?.unwrap_or_default().entries() {
            if *entry != TreeEntry::Deleted {
                makers.insert(path.clone(), step);
            }
        }
    }
    Ok(report(plan, &makers, &reads))
}

/// Steps and their order, where nothing is known of what flows between them.
pub fn of_unknown(planned: &Planned) -> GraphReport {
    report(&planned.plan, &BTreeMap::new(), &vec![BTreeSet::new(); planned.plan.steps.len()])
}

fn report(plan: &Plan, makers: &BTreeMap<RelPath, usize>, reads: &[BTreeSet<RelPath>]) -> GraphReport {
    let mut edges = Vec::new();
    for (step, planned) in plan.steps.iter().enumerate() {
        let mut seen: BTreeSet<usize> = BTreeSet::new();
        for path in &reads[step] {
            let Some(&from) = makers.get(path).filter(|&&from| from != step) else { continue };
            seen.insert(from);
            edges.push(Edge {
                from: plan.steps[from].id.clone(),
                to: planned.id.clone(),
                path: Some(path.clone()),
            });
        }
        for &before in planned.after.iter().filter(|before| !seen.contains(before)) {
            edges.push(Edge { from: plan.steps[before].id.clone(), to: planned.id.clone(), path: None });
        }
    }
    GraphReport {
        project: plan.name.clone(),
        steps: plan.steps.iter().map(|step| step.id.clone()).collect(),
        edges,
    }
}
