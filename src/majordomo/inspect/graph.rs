//! `graph`: steps and what flows between them: as the project file says, and as the last traces have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use node::{Pod, project_prefix};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use protocol::{Look, RelPath, Seen, StepId, TreeEntry};

use super::looked::Looked;
use super::{Fallible, Variables};
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::Planned;
use crate::majordomo::request::graph::{Edge, GraphReport};

/// The most artefacts that are named for one edge.
const MAX_PATHS: usize = 100;

/// What flows, by who made it and who saw it.
type Flows = BTreeMap<(usize, usize), Flow>;

/// What flows between two steps.
#[derive(Default)]
struct Flow {
    read: BTreeSet<RelPath>,
    listed: BTreeSet<RelPath>,
}

/// Steps and what flows between them.
pub async fn graph(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<GraphReport> {
    let looked = Looked::at(pod, project, environment).await?;
    let mut makers: BTreeMap<RelPath, Vec<usize>> = BTreeMap::new();
    for step in 0..looked.plan().steps.len() {
        let Some(tree) = looked.made.tree(step) else { continue };
        for (path, entry) in tree.entries() {
            if *entry != TreeEntry::Deleted {
                makers.entry(path.clone()).or_default().push(step);
            }
        }
    }
    let mut flows = Flows::new();
    for reader in 0..looked.plan().steps.len() {
        let Some((_, trace, set)) = looked.last_trace(reader)? else { continue };
        for (path, look, seen) in trace.observations(&set).into_iter().flatten() {
            let Some(path) = path.strip_prefix(&project_prefix()).filter(|_| *seen != Seen::Absent) else {
                continue;
            };
            for path in if look == Look::Listing { listed(&looked, &path) } else { vec![path] } {
                let all = makers.get(&path).map_or(&[][..], Vec::as_slice);
                if let Some(from) = maker(&looked, reader, &path, all) {
                    let flow = flows.entry((from, reader)).or_default();
                    let paths = if look == Look::Listing { &mut flow.listed } else { &mut flow.read };
                    paths.insert(path);
                }
            }
        }
    }
    Ok(report(looked.plan(), flows))
}

/// Of the steps that made something the one whose version the reader saw: the last one that is not after it; its own only where
/// it sees that again.
fn maker(looked: &Looked, reader: usize, path: &RelPath, makers: &[usize]) -> Option<usize> {
    let promises = looked.made.promises();
    let others = makers.iter().copied().filter(|&maker| maker != reader && !promises.is_after(maker, reader));
    let own = || (makers.contains(&reader) && looked.sees_own(reader, path)).then_some(reader);
    // Of a volatile step no trace is kept; what it promised it made.
    let promised =
        || looked.plan().producer(path).filter(|&by| by != reader && !promises.is_after(by, reader));
    others.max_by_key(|&maker| promises.position(maker)).or_else(own).or_else(promised)
}

/// What was made in a folder without having been promised: of it alone a listing depends on what was made, promised names are
/// there from the start.
fn listed(looked: &Looked, folder: &RelPath) -> Vec<RelPath> {
    let promises = looked.made.promises();
    let mut found = Vec::new();
    for tree in (0..looked.plan().steps.len()).filter_map(|step| looked.made.tree(step)) {
        for (path, _) in tree.entries() {
            let Some(name) = path.strip_prefix(folder).and_then(|below| Some(below.parts().next()?.to_vec()))
            else {
                continue;
            };
            if folder.child(&name).is_some_and(|child| !promises.touch(&child)) {
                found.push(path.clone());
            }
        }
    }
    found
}

/// Steps and their order, where nothing is known of what flows between them.
pub fn of_unknown(planned: &Planned) -> GraphReport {
    report(&planned.plan, Flows::new())
}

fn report(plan: &Plan, mut flows: Flows) -> GraphReport {
    let mut declared = BTreeSet::new();
    for (step, planned) in plan.steps.iter().enumerate() {
        declared.extend(planned.after.iter().map(|&before| (before, step)));
    }
    for &edge in &declared {
        flows.entry(edge).or_default();
    }
    let circles = circles(plan.steps.len(), flows.keys().copied());
    let id = |step: usize| plan.steps[step].id.clone();
    let edges = flows.into_iter().map(|((from, to), Flow { read, listed })| Edge {
        from: id(from),
        to: id(to),
        more: read.len().saturating_sub(MAX_PATHS) as u64,
        names: listed.difference(&read).take(MAX_PATHS).cloned().collect(),
        paths: read.into_iter().take(MAX_PATHS).collect(),
        declared: declared.contains(&(from, to)),
        in_cycle: circles.iter().any(|circle| circle.contains(&from) && circle.contains(&to)),
    });
    let mut edges: Vec<Edge> = edges.collect();
    edges.sort_by(|a, b| (&a.to, &a.from).cmp(&(&b.to, &b.from)));
    let mut cycles: Vec<Vec<StepId>> =
        circles.iter().map(|circle| circle.iter().map(|&step| id(step)).collect()).collect();
    cycles.iter_mut().for_each(|circle| circle.sort());
    cycles.sort();
    GraphReport {
        project: plan.name.clone(),
        steps: plan.steps.iter().map(|step| step.id.clone()).collect(),
        edges,
        cycles,
    }
}

/// Steps that feed each other, a step that feeds itself included.
fn circles(steps: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<BTreeSet<usize>> {
    let mut graph = DiGraph::<(), ()>::new();
    let nodes: Vec<NodeIndex> = (0..steps).map(|_| graph.add_node(())).collect();
    graph.extend_with_edges(edges.map(|(from, to)| (nodes[from], nodes[to])));
    let is_circle =
        |group: &Vec<NodeIndex>| group.len() > 1 || group.iter().any(|&step| graph.contains_edge(step, step));
    let groups = tarjan_scc(&graph).into_iter().filter(is_circle);
    groups.map(|group| group.into_iter().map(NodeIndex::index).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn circles_are_found_and_chains_are_none() {
        let found = circles(6, [(0, 1), (1, 2), (2, 0), (2, 3), (4, 4), (3, 5)].into_iter());
        let mut found: Vec<Vec<usize>> = found.into_iter().map(|c| c.into_iter().collect()).collect();
        found.sort();
        assert_eq!(found, [vec![0, 1, 2], vec![4]]);
    }
}
