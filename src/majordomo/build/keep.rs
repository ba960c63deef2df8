//! A step that sees its own earlier outputs: what it left, and whether it would leave the same again.
//!
//! The state is what the step made, as far as `keep` names it. A pass is an ordinary cached run over a state; the trace of
//! the run that left the state is part of its key, so another home replays the chain. A pass is the last if all its
//! observations still hold over the state that it left. The conductor decides when the next pass is due; the states of all
//! passes are held against each other in [`super::conductor`]'s circles.
//! See DESIGN §4.8, §4.10 and §6; tectonic and latexmk iterate alike, but ask fewer questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use node::{Ages, OutputsBuilder, Project};
use protocol::{Digest, Glob, Keep, RelPath, Tree, TreeEntry};
use rustc_hash::FxHashSet;

use super::context::{Context, Stop};
use super::demand::StepView;
use super::step::{Hit, is_there, keeps};
use crate::majordomo::facets::Facets;
use crate::majordomo::prepare::in_project;
use crate::majordomo::records;

/// The state that a pass starts from.
#[derive(Clone, Default)]
pub(super) struct State {
    /// The run that left it; `None`: there is nothing yet.
    pub left_by: Option<Hit>,
    /// What is there of the step's own.
    pub own: Arc<Tree>,
    /// What had been there of its own when that run began.
    pub before: Arc<Tree>,
    /// Whether it was left by another command, and so is no result of this one.
    pub is_of_another: bool,
    /// Whether it was left by an earlier build.
    pub is_remembered: bool,
}

/// Which of its outputs a step sees again.
pub fn is_kept(keep: &Keep) -> impl Fn(&RelPath) -> bool {
    let globs: Vec<Glob> = match keep {
        // Checked when the project file was read; a pattern that is none keeps nothing.
        Keep::Matching(globs) => globs.iter().filter_map(|glob| Glob::new(glob).ok()).collect(),
        Keep::Nothing | Keep::Everything => Vec::new(),
    };
    let is_all = *keep == Keep::Everything;
    move |path| is_all || globs.iter().any(|glob| glob.matches(path.as_bytes()))
}

/// The part of a tree that the step sees again.
pub fn kept(keep: &Keep, tree: &Tree) -> Arc<Tree> {
    let is_kept = is_kept(keep);
    let entries = tree.entries().iter().filter(|(path, entry)| *entry != TreeEntry::Deleted && is_kept(path));
    // A part of a tree is a tree.
    Tree::new(entries.cloned().collect()).map(Arc::new).unwrap_or_default()
}

/// What a pass leaves for the next one, if it began with `before` of its own.
pub(super) fn state_after(context: &Context, index: usize, hit: &Hit, before: Arc<Tree>) -> State {
    let mut own = kept(&context.specs[index].keep, &hit.tree);
    // A source is what the user has, however the step altered it: else an edit of it would never be seen.
    if context.specs[index].alters && own.entries().iter().any(|(path, _)| context.made.is_source(path)) {
        let outputs = own.entries().iter().filter(|(path, _)| !context.made.is_source(path)).cloned();
        own = Tree::new(outputs.collect()).map(Arc::new).unwrap_or_default();
    }
    State { own, left_by: Some(hit.clone()), before, is_of_another: false, is_remembered: false }
}

/// All that is there after a pass: what it saw of its own and left alone, and what it made. Where a step keeps what matches, what the pass did
/// not even look for is of no use to it any more.
pub(super) fn carry(context: &Context, index: usize, state: Option<&State>, hit: Hit) -> Hit {
    let Some(state) = state else { return hit };
    let is_all = context.specs[index].keep == Keep::Everything;
    let looks = hit.path_set.looks().iter().filter(|_| !is_all);
    let looked: FxHashSet<RelPath> = looks.filter_map(|(path, _)| in_project(path)).collect();
    let own = state.own.entries().iter().filter(|(path, _)| is_all || looked.contains(path));
    let mut entries: BTreeMap<RelPath, TreeEntry> = own.cloned().collect();
    for (path, entry) in hit.tree.entries() {
        let before = entries.len();
        entries.retain(|other, _| !other.is_within(path) && !path.is_within(other));
        // Its own outputs it may remove without a trace of them; what was there for it has to be said.
        if *entry != TreeEntry::Deleted || entries.len() == before {
            entries.insert(path.clone(), entry.clone());
        }
    }
    // No path was left below another one that is no folder.
    let tree = Tree::new(entries.into_iter().collect()).map(Arc::new).unwrap_or_default();
    Hit { tree, ..hit }
}

/// What the step left when it last settled in this workspace.
pub(super) async fn last(context: &Context, index: usize) -> Result<State, Stop> {
    let planned = &context.plan.steps[index];
    if context.is_cold(index) || planned.volatile {
        return Ok(State::default());
    }
    let settled = records::state(context.pod.larder(), context.workspace, &planned.id)?;
    let state = match settled {
        Some(settled) => state_of(context, index, settled).await?,
        None => None,
    };
    Ok(state.unwrap_or_default())
}

/// A state that the step settled in, if all of it is still there.
async fn state_of(context: &Context, index: usize, settled: records::Settled) -> Result<Option<State>, Stop> {
    let larder = context.pod.larder();
    if larder.is_revoked(&settled.trace)? || !is_there(context, &settled.tree).await? {
        return Ok(None);
    }
    let Some((trace, path_set)) = records::trace(larder, &settled.trace)? else { return Ok(None) };
    let hit = Hit { digest: settled.trace, trace: Arc::new(trace), path_set, tree: Arc::new(settled.tree) };
    let is_of_another = settled.weak != context.specs[index].weak_key();
    let spec = &context.specs[index];
    if is_of_another && spec.keep == Keep::Everything {
        // Whatever it would not make again would be the other command's.
        let last = context.last.get(&context.plan.steps[index].id);
        if last.is_none_or(|last| !Facets::of(spec).runs_as(&last.key)) {
            return Ok(None);
        }
    }
    let mut state = state_after(context, index, &hit, Arc::default());
    // All that it saw was so over what it left.
    state.before = Arc::clone(&state.own);
    Ok(Some(State { is_of_another, is_remembered: true, ..state }))
}

/// A state that the step settled in before the last one, and in which all that it saw is so again.
pub(super) async fn settled_earlier(
    context: &Context,
    index: usize,
    view: &Arc<StepView>,
    producers: &[usize],
) -> Result<Option<Hit>, Stop> {
    let planned = &context.plan.steps[index];
    if !keeps(context, index) || context.is_cold(index) || planned.volatile {
        return Ok(None);
    }
    for settled in records::states(context.pod.larder(), context.workspace, &planned.id)?.into_iter().skip(1)
    {
        let Some(state) = state_of(context, index, settled).await? else { continue };
        let project = project(context, index, view, producers, Some(&state)).await?;
        if let Some(hit) = self::settled(context, index, Some(&state), &project).await? {
            return Ok(Some(hit));
        }
    }
    Ok(None)
}

/// What a step sees at `/project`: with its own outputs and their ages, if it sees those.
pub(super) async fn project(
    context: &Context,
    index: usize,
    view: &Arc<StepView>,
    producers: &[usize],
    state: Option<&State>,
) -> Result<Project, Stop> {
    let Some(State { left_by, own, .. }) = state else {
        return Ok(context.project(index, view, context.made.outputs_for(index, producers)));
    };
    let project = project_over(context, index, view, producers, own);
    let Some(hit) = left_by else { return Ok(project) };
    let own = own.entries().iter().map(|(path, _)| path.clone()).collect();
    let mut seen = FxHashSet::default();
    for (path, look, before) in hit.trace.observations(&hit.path_set).into_iter().flatten() {
        if let Some(inside) = in_project(path)
            && context.evaluator_of(index).see(&project, path, look).await? == *before
        {
            seen.insert(inside);
        }
    }
    Ok(project.with_ages(Ages { own, seen }))
}

/// What a step sees at `/project` with this of its own, whatever its age.
pub(super) fn project_over(
    context: &Context,
    index: usize,
    view: &Arc<StepView>,
    producers: &[usize],
    own: &Tree,
) -> Project {
    let mut builder = OutputsBuilder::over(context.made.outputs_for(index, producers));
    builder.apply(own);
    context.project(index, view, builder.finish())
}

/// The run that left a state, if all that it observed holds over that state.
pub(super) async fn settled(
    context: &Context,
    index: usize,
    state: Option<&State>,
    project: &Project,
) -> Result<Option<Hit>, Stop> {
    let Some(hit) = state.filter(|state| !state.is_of_another).and_then(|state| state.left_by.as_ref())
    else {
        return Ok(None);
    };
    debug_assert!(keeps(context, index));
    let differs =
        !context.evaluator_of(index).differences(&hit.trace, &hit.path_set, project, 1).await?.is_empty();
    Ok((!differs).then(|| hit.clone()))
}

/// Notes where a step has settled, to begin there the next time.
pub(super) fn remember(context: &Context, index: usize, hit: &Hit) -> Result<(), Stop> {
    let weak: Digest = context.specs[index].weak_key();
    let id = &context.plan.steps[index].id;
    let settled = records::Settled { weak, trace: hit.digest, tree: (*hit.tree).clone() };
    Ok(records::write_state(context.pod.larder(), context.workspace, id, &settled)?)
}
