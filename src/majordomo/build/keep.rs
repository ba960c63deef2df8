//! A step that sees its own earlier outputs: passes until one observes the state that it leaves.
//!
//! The state is what the step made, as far as `keep` names it. A pass is an ordinary cached run over a state; the trace of
//! the run that left the state is part of its key, so another home replays the chain. A pass is the last if all its
//! observations still hold over the state that it left. A state that comes again without that is an oscillation.
//! See DESIGN §4.8, §4.10 and §6; tectonic and latexmk iterate alike, but ask fewer questions.

use std::sync::Arc;
use std::time::Instant;

use node::{Ages, OutputsBuilder, Project};
use protocol::{Digest, Glob, Keep, RelPath, Tree, TreeEntry};
use rustc_hash::FxHashSet;

use super::context::{Context, Stop};
use super::reason;
use super::step::{Hit, Pass, Passed, look_up, refuse, run};
use crate::majordomo::prepare::in_project;
use crate::majordomo::records;

/// Passes after which a step that has not settled fails.
pub const MAX_PASSES: usize = 8;

/// The part of a tree that the step sees again.
fn kept(tree: &Tree, keep: &[Glob], everything: bool) -> Tree {
    let is_kept = |path: &RelPath| everything || keep.iter().any(|glob| glob.matches(path.as_bytes()));
    let entries = tree.entries().iter().filter(|(path, entry)| *entry != TreeEntry::Deleted && is_kept(path));
    // A part of a tree is a tree.
    Tree::new(entries.cloned().collect()).unwrap_or_default()
}

/// All that is there after a pass: what it saw of its own and left alone, and what it made.
fn carried(own: &Tree, made: &Tree) -> Tree {
    let mut entries: std::collections::BTreeMap<RelPath, TreeEntry> = own.entries().iter().cloned().collect();
    for (path, entry) in made.entries() {
        let before = entries.len();
        entries.retain(|other, _| !other.is_within(path) && !path.is_within(other));
        // Its own outputs it may remove without a trace of them; what was there for it has to be said.
        if *entry != TreeEntry::Deleted || entries.len() == before {
            entries.insert(path.clone(), entry.clone());
        }
    }
    Tree::new(entries.into_iter().collect()).unwrap_or_default()
}

/// The state that a pass starts from.
struct State {
    /// The trace of the run that left it; `None`: there is nothing yet.
    left_by: Option<Hit>,
    own: Tree,
}

/// Brings a step with `keep` to its end.
pub(super) async fn settle(context: &Context, index: usize) -> Result<Passed, Stop> {
    let (globs, everything) = match &context.specs[index].keep {
        Keep::Matching(globs) => (globs.iter().filter_map(|glob| Glob::new(glob).ok()).collect(), false),
        _ => (Vec::new(), true),
    };
    let own_of = |tree: &Tree| kept(tree, &globs, everything);
    let mut state = State { left_by: None, own: Tree::default() };
    if let Some((weak, hit)) = last(context, index)? {
        state = State { own: own_of(&hit.tree), left_by: Some(hit) };
        // What another command left is what this one starts from, and never its result.
        if weak == context.specs[index].weak_key()
            && let Some(hit) = settled(context, index, &mut state).await?
        {
            return Ok(Passed::Well(Box::new(hit)));
        }
    }
    let mut states: Vec<Tree> = vec![state.own.clone()];
    let mut ran = None;
    for pass in 1..=MAX_PASSES {
        let previous = state.left_by.as_ref().map(|hit| hit.digest);
        let project = Arc::new(project_over(context, index, &state).await?);
        let why = why(context, &state, &project).await?;
        let mut hit = match look_up(context, index, &project, previous.as_ref()).await? {
            Some(hit) => hit,
            None => {
                let reason = if pass == 1 { why.clone() } else { format!("pass {pass}: {why}") };
                match run(context, index, Pass { project, previous, reason, is_again: ran.is_some() }).await?
                {
                    Passed::Well(hit) => *hit,
                    otherwise => return Ok(otherwise),
                }
            }
        };
        ran = hit.ran.take().or(ran);
        let own = own_of(&carried(&state.own, &hit.tree));
        hit.tree = carried(&state.own, &hit.tree);
        let seen_before = states.iter().rposition(|state| *state == own);
        states.push(own.clone());
        state = State { left_by: Some(hit), own };
        if let Some(mut hit) = settled(context, index, &mut state).await? {
            hit.ran = ran;
            return Ok(Passed::Well(Box::new(hit)));
        }
        if let Some(at) = seen_before
            && states.len() - 1 - at > 1
        {
            let words = format!(
                "it oscillates: what it leaves after pass {pass} came up {} passes before; {}",
                states.len() - 1 - at,
                alternating(&states[at..])
            );
            return Ok(fail(context, index, words));
        }
    }
    let project = project_over(context, index, &state).await?;
    let still = why(context, &state, &project).await?;
    Ok(fail(context, index, format!("it did not settle in {MAX_PASSES} passes: {still}")))
}

/// How many paths that alternate are named.
const NAMED: usize = 5;

/// What differs between states that come up again and again, as a sentence for people.
fn alternating(states: &[Tree]) -> String {
    let shown = |state: &Tree, path: &RelPath| match state.get(path) {
        Some(TreeEntry::File { digest, .. }) => digest.short(),
        Some(TreeEntry::Link { target }) => format!("a link to `{}`", protocol::path::escape(target)),
        Some(TreeEntry::EmptyDir) => "an empty folder".to_owned(),
        Some(TreeEntry::Deleted) | None => "absent".to_owned(),
    };
    let paths: std::collections::BTreeSet<&RelPath> =
        states.iter().flat_map(|state| state.entries().iter().map(|(path, _)| path)).collect();
    let differ = |path: &&RelPath| states.windows(2).any(|two| two[0].get(path) != two[1].get(path));
    let mut differing = paths.into_iter().filter(differ).map(|path| {
        let turns: Vec<String> = states.iter().map(|state| shown(state, path)).collect();
        format!("`{path}` is {}", turns.join(", then "))
    });
    let mut words: Vec<String> = differing.by_ref().take(NAMED).collect();
    let more = differing.count();
    if more > 0 {
        words.push(format!("and {more} more paths alternate"));
    }
    words.join("; ")
}

fn fail(context: &Context, index: usize, words: String) -> Passed {
    Passed::Otherwise(refuse(context, &context.plan.steps[index], &words, Instant::now()))
}

/// What the step left when it last settled here, and the weak key that it had then.
fn last(context: &Context, index: usize) -> Result<Option<(Digest, Hit)>, Stop> {
    let planned = &context.plan.steps[index];
    if context.options.cold || planned.volatile {
        return Ok(None);
    }
    let larder = context.pod.larder();
    let Some(record) = context.last.get(&planned.id) else { return Ok(None) };
    if larder.is_revoked(&record.trace)? {
        return Ok(None);
    }
    let Some((trace, path_set)) = records::trace(larder, &record.trace)? else { return Ok(None) };
    let Some((weak, tree)) = records::state(larder, context.workspace, &planned.id)? else { return Ok(None) };
    for (_, entry) in tree.entries() {
        if let TreeEntry::File { digest, .. } = entry
            && !larder.contains(digest)?
        {
            return Ok(None);
        }
    }
    Ok(Some((weak, Hit { digest: record.trace, trace: Arc::new(trace), path_set, tree, ran: None })))
}

/// The project with the step's own outputs, and with ages.
async fn project_over(context: &Context, index: usize, state: &State) -> Result<Project, Stop> {
    let mut builder = OutputsBuilder::over(context.made.outputs_for(index));
    builder.apply(&state.own);
    let project = Project::new(Arc::clone(&context.sources), Arc::clone(&context.files), builder.finish());
    let project = project.seen_by(&context.specs[index]);
    let Some(hit) = &state.left_by else { return Ok(project) };
    let own = state.own.entries().iter().map(|(path, _)| path.clone()).collect();
    let mut seen = FxHashSet::default();
    for (path, look, before) in hit.trace.observations(&hit.path_set).into_iter().flatten() {
        if let Some(inside) = in_project(path)
            && context.evaluator.see(&project, path, look).await? == *before
        {
            seen.insert(inside);
        }
    }
    Ok(project.with_ages(Ages { own, seen }))
}

/// The run that left a state, if all that it observed holds over that state. Takes it out of the state.
async fn settled(context: &Context, index: usize, state: &mut State) -> Result<Option<Hit>, Stop> {
    let project = project_over(context, index, state).await?;
    let Some(hit) = &state.left_by else { return Ok(None) };
    let differs = !context.evaluator.differences(&hit.trace, &hit.path_set, &project, 1).await?.is_empty();
    if differs {
        return Ok(None);
    }
    let weak = context.specs[index].weak_key();
    let id = &context.plan.steps[index].id;
    records::write_state(context.pod.larder(), context.workspace, id, &weak, &hit.tree)?;
    Ok(state.left_by.take())
}

async fn why(context: &Context, state: &State, project: &Project) -> Result<String, Stop> {
    if context.options.cold && state.left_by.is_none() {
        return Ok("a cold build was asked for".to_owned());
    }
    let Some(hit) = &state.left_by else { return Ok("it was never built here".to_owned()) };
    let weak = hit.trace.weak;
    Ok(reason::of_last(&context.evaluator, project, &weak, Some((&hit.trace, &hit.path_set))).await?)
}
