//! Looks a step up: what answers for it, else why it has to run.

use std::sync::Arc;

use larder::ObjectKind;
use node::{Outputs, Project, PromisedAt, Urgency, Verdict};
use protocol::{Look, ObjectId, PathSet, RelPath, Trace, Tree, TreeEntry};

use super::super::context::{Context, Stop};
use super::super::{carried, keep, reason};
use super::{Hit, Looked, Pass, Start};
use crate::majordomo::facets::Facets;
use crate::majordomo::prepare::in_project;
use crate::majordomo::records;

/// Looks a step up.
pub(in super::super) async fn look(context: &Context, index: usize, start: Start) -> Result<Looked, Stop> {
    match looked(context, index, start).await {
        Err(Stop::NotYet(path)) => match context.made.promises().at(index, &path) {
            Some(PromisedAt::By(by)) => Ok(Looked::Unmade(vec![by])),
            _ => Err(Stop::NotYet(path)),
        },
        Ok(Looked::Answered(hit)) => {
            // It may have been made before there was anybody to be told.
            context.pod.supply().announce(&hit.trace, hit.digest);
            Ok(Looked::Answered(hit))
        }
        other => other,
    }
}

async fn looked(context: &Context, index: usize, start: Start) -> Result<Looked, Stop> {
    let Start { view, producers, state, pass, again, may_demand } = start;
    let project = Arc::new(keep::project(context, index, &view, &producers, state.as_ref()).await?);
    let is_visited = context.is_visited(index);
    if !is_visited && let Some(hit) = keep::settled(context, index, state.as_ref(), &project).await? {
        return Ok(Looked::Answered(Box::new(hit)));
    }
    if pass == 1
        && !is_visited
        && let Some(hit) = keep::settled_earlier(context, index, &view, &producers).await?
    {
        return Ok(Looked::Answered(Box::new(hit)));
    }
    let previous = state.as_ref().and_then(|state| state.left_by.as_ref()).map(|hit| hit.digest);
    let planned = &context.plan.steps[index];
    let mut known_looks = Vec::new();
    if !is_visited && !context.is_cold(index) && !planned.volatile {
        let weak = context.specs[index].weak_key_after(previous.as_ref());
        let evaluator = context.evaluator_of(index);
        let mut verdict = evaluator.look_up(&weak, &project, context.workspace).await?;
        // Before anything is run or asked for, others may know.
        if matches!(verdict, Verdict::Miss { .. }) && context.pod.supply().learn(&weak).await? {
            verdict = evaluator.look_up(&weak, &project, context.workspace).await?;
        }
        match verdict {
            Verdict::Hit { digest, trace, path_set } => {
                if let Some(tree) = outputs_of(context, &trace).await? {
                    let hit = Hit { digest, trace, path_set, tree: Arc::new(tree) };
                    return Ok(Looked::Answered(Box::new(keep::carry(context, index, state.as_ref(), hit))));
                }
            }
            Verdict::Miss { unmade: Some(set), .. } if may_demand => {
                return Ok(Looked::Unmade(unmade(&project, &set)));
            }
            Verdict::Miss { known, .. } if !context.last.contains_key(&planned.id) => {
                known_looks = inside(&known);
            }
            Verdict::Miss { .. } => {}
        }
    }
    let carried = match state.as_ref().filter(|_| !is_visited) {
        Some(state) => carried::since(context, index, (&view, &producers), state, &project).await?,
        None => None,
    };
    if let Some(why) = carried.as_ref().and_then(|carried| carried.spoilt.clone()) {
        return Ok(Looked::Spoilt(why));
    }
    let why = match again {
        Some(why) => why,
        None => why(context, index, &project, state.as_ref()).await?,
    };
    // Only who verifies asks once more over the same outputs.
    let outputs = match context.verification.is_some() {
        true => context.made.outputs_for(index, &producers),
        false => Outputs::default(),
    };
    let reason = if pass > 1 { format!("pass {pass}: {why}") } else { why };
    Ok(Looked::Missed(Box::new(Pass { project, view, state, carried, outputs, reason, known: known_looks })))
}

/// What path sets look at in the project.
fn inside(sets: &[Arc<PathSet>]) -> Vec<(RelPath, Look)> {
    let looks = sets.iter().flat_map(|set| set.looks());
    looks.filter_map(|(path, look)| Some((in_project(path)?, *look))).collect()
}

/// The steps that have to come to their ends before a path set can be evaluated.
fn unmade(project: &Project, set: &PathSet) -> Vec<usize> {
    let inside = set.looks().iter().filter_map(|(path, _)| in_project(path));
    let mut steps: Vec<usize> = inside.filter_map(|path| project.unmade(&path)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// The tree of a trace, if it and all its files are in the larder, or some pod says that it has them.
pub(in super::super) async fn outputs_of(context: &Context, trace: &Trace) -> Result<Option<Tree>, Stop> {
    let supply = context.pod.supply();
    let outputs = ObjectId { kind: ObjectKind::Tree, digest: trace.outputs };
    // What it printed is shown again: whoever shows it shall not wait for it.
    let wanted = std::iter::once(outputs).chain(trace.printed.map(ObjectId::blob)).map(node::to_read);
    supply.bring(wanted, Urgency::Urgent).await?;
    let Some(bytes) = supply.larder().get(ObjectKind::Tree, &trace.outputs)? else { return Ok(None) };
    let Ok(tree) = Tree::decode(&bytes) else { return Ok(None) };
    Ok(if is_there(context, &tree).await? { Some(tree) } else { None })
}

/// Whether all files of a tree are in the larder, or some pod says that it has them.
pub(in super::super) async fn is_there(context: &Context, tree: &Tree) -> Result<bool, Stop> {
    let files = tree.entries().iter().filter_map(|(_, entry)| match entry {
        TreeEntry::File { digest, .. } => Some(digest),
        _ => None,
    });
    Ok(context.pod.supply().has_all(files).await?)
}

async fn why(
    context: &Context,
    index: usize,
    project: &Project,
    state: Option<&keep::State>,
) -> Result<String, Stop> {
    let planned = &context.plan.steps[index];
    if context.is_visited(index) {
        return Ok("somebody looks into it".to_owned());
    }
    if context.verification.is_some() {
        return Ok("it is verified".to_owned());
    }
    if context.is_cold(index) {
        return Ok("a cold build was asked for".to_owned());
    }
    if planned.volatile {
        return Ok(reason::VOLATILE.to_owned());
    }
    let seer = (context.evaluator_of(index), project);
    let detail = if context.options.explain { reason::Detail::Counted } else { reason::Detail::First };
    if let Some(hit) = state.and_then(|state| state.left_by.as_ref()) {
        let last = Some((&*hit.trace, &*hit.path_set));
        return Ok(reason::of_last(seer, &hit.trace.weak, last, Vec::new, detail).await?);
    }
    let record = context.last.get(&planned.id);
    let last = match record {
        Some(record) if context.pod.larder().is_revoked(&record.trace)? => {
            return Ok(reason::REVOKED.to_owned());
        }
        Some(record) => records::trace(context.pod.larder(), &record.trace)?,
        None => None,
    };
    let last = last.as_ref().map(|(trace, set)| (trace, &**set));
    let spec = &context.specs[index];
    let key = || record.map(|record| Facets::of(spec).changed_since(&record.key)).unwrap_or_default();
    Ok(reason::of_last(seer, &spec.weak_key(), last, key, detail).await?)
}
