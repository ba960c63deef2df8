//! What the earlier passes of a step saw whose outputs it sees again: what it kept stands on that, too.
//!
//! A tool that goes on from what it left (make, cargo) looks at what it knows of, and believes the rest: a header that no rule names, a folder
//! that a recipe lists. So each pass carries on what the pass before it saw, and its trace says all that its result stands on. If some of
//! that is another by now, the tool has to have noticed: it read the file as often as it had, or the step runs once more, from nothing.
//! What no tool can be trusted to notice – a source that is gone, or that hides another one now, a tool of the machine – spoils what is kept
//! before anything runs. Only a step that keeps all of its own (`keep = true`) believes; one that keeps what matches reads its sources each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use node::{Difference, Entry, Project};
use protocol::{Keep, Look, PathSet, RelPath, Seen, Trace, Tree};
use rustc_hash::{FxHashMap, FxHashSet};

use super::context::{Context, Stop};
use super::demand::StepView;
use super::keep::{self, State};
use super::reason;
use crate::majordomo::prepare::in_project;

/// What a pass goes on from, besides its own outputs.
pub(super) struct Carried {
    /// What is as it was: with how often it was read.
    holds: BTreeMap<(RelPath, Look), Held>,
    /// What is not.
    changed: Vec<Changed>,
    /// Why what is kept is no good, whatever the tool would notice.
    pub spoilt: Option<String>,
}

/// An observation that holds.
#[derive(Clone)]
struct Held {
    seen: Seen,
    raw: Option<protocol::Digest>,
    readings: u32,
}

/// One that does not.
struct Changed {
    path: RelPath,
    look: Look,
    readings: u32,
    words: String,
}

/// What has become of all that a step saw when it left a state. `project`: what it sees over that state.
pub(super) async fn since(
    context: &Context,
    index: usize,
    (view, producers): (&Arc<StepView>, &[usize]),
    state: &State,
    project: &Project,
) -> Result<Option<Carried>, Stop> {
    // What another command saw is nothing to this one; where all is kept, the two differ in what they promise, and in nothing else.
    let is_carried = !state.is_of_another || context.specs[index].keep == Keep::Everything;
    let Some(hit) = state.left_by.as_ref().filter(|_| is_carried) else { return Ok(None) };
    let evaluator = context.evaluator_of(index);
    let by_look = |found: Vec<Difference>| -> FxHashMap<(RelPath, Look), Difference> {
        found.into_iter().map(|found| ((found.path.clone(), found.look), found)).collect()
    };
    // Its own outputs were others then, and are no news.
    let now = by_look(evaluator.compare(&hit.trace, &hit.path_set, project).await?);
    let then = match state.before == state.own {
        true => None,
        false => {
            let before = keep::project_over(context, index, view, producers, &state.before);
            Some(by_look(evaluator.compare(&hit.trace, &hit.path_set, &before).await?))
        }
    };
    let (mut holds, mut changed, mut spoilt) = (BTreeMap::new(), Vec::new(), None);
    for (place, (path, look, seen)) in hit.trace.observations(&hit.path_set).into_iter().flatten().enumerate()
    {
        let (key, readings) = ((path.clone(), look), hit.trace.readings_at(place));
        match then.as_ref().unwrap_or(&now).get(&key) {
            // Whoever makes it will say whether it is another one.
            Some(Difference { now: None, .. }) => {}
            Some(Difference { now: Some(is), .. }) => {
                let words = reason::of_change(path, look, seen, is);
                if spoilt.is_none() && state.is_remembered && spoils(context, index, (path, look), (seen, is))
                {
                    spoilt = Some(words.clone());
                }
                changed.push(Changed { path: path.clone(), look, readings, words });
            }
            None => {
                let (seen, raw) = match now.get(&key) {
                    None => (Some(seen.clone()), hit.trace.raw_at(place).copied()),
                    Some(over) => (over.now.clone(), over.raw_now),
                };
                holds.extend(seen.map(|seen| (key, Held { seen, raw, readings })));
            }
        }
    }
    Ok(Some(Carried { holds, changed, spoilt }))
}

/// Whether a change spoils what a step kept, though its tool may look there again.
fn spoils(
    context: &Context,
    index: usize,
    (path, look): (&RelPath, Look),
    (before, now): (&Seen, &Seen),
) -> bool {
    if context.specs[index].keep != Keep::Everything {
        return false;
    }
    let Some(inside) = in_project(path) else {
        // A tool of the machine; the project's own folder is none.
        return *path != node::project_prefix();
    };
    let is_source =
        || matches!(context.sources.get(&inside), Some(Entry::Source { .. } | Entry::Link { .. }));
    let anew = &context.plan.steps[index].anew;
    match (before, now) {
        (Seen::Absent, _) => is_source(),
        (_, Seen::Absent) => true,
        _ => look == Look::Content && anew.iter().any(|glob| glob.matches(inside.as_bytes())),
    }
}

impl Carried {
    /// Has a trace say all that its outputs stand on; or says why they cannot be believed.
    pub(super) async fn carry_on(
        &self,
        context: &Context,
        index: usize,
        (state, project): (&State, &Project),
        (trace, set, outputs): &mut (Trace, PathSet, Tree),
    ) -> Result<Result<(), String>, Stop> {
        let mut all: BTreeMap<(RelPath, Look), Held> = BTreeMap::new();
        for (place, (path, look, seen)) in trace.observations(set).into_iter().flatten().enumerate() {
            let (raw, readings) = (trace.raw_at(place).copied(), trace.readings_at(place));
            all.insert((path.clone(), look), Held { seen: seen.clone(), raw, readings });
        }
        let is_all = context.specs[index].keep == Keep::Everything;
        let own = Own::new([&*state.before, &*state.own, &*outputs]);
        for Changed { path, look, readings, words } in
            self.changed.iter().filter(|it| !own.is(context, &it.path))
        {
            let again = all.get(&(path.clone(), *look)).map(|held| held.readings);
            let is_noticed = match look {
                Look::Content if *readings > 0 && is_all => again >= Some(*readings),
                Look::Content if *readings > 0 => again >= Some(1),
                Look::Listing | Look::Link | Look::Content => again.is_some(),
                Look::Kind | Look::Probe => {
                    Look::ALL.iter().any(|look| all.contains_key(&(path.clone(), *look)))
                }
            };
            if !is_noticed {
                return Ok(Err(words.clone()));
            }
        }
        for (key, held) in self.holds.iter().filter(|((path, _), _)| !own.is(context, path)) {
            let now = all.entry(key.clone()).or_insert_with(|| held.clone());
            now.readings = now.readings.max(held.readings);
        }
        *set = PathSet::new(all.keys().cloned().collect());
        trace.path_set = set.digest();
        (trace.seen, trace.raw, trace.readings) = Default::default();
        for (place, ((path, look), held)) in (0..).zip(&all) {
            trace.raw.extend(held.raw.map(|raw| (place, raw)));
            trace.readings.extend((held.readings > 0).then_some((place, held.readings)));
            let is_part = in_project(path).is_none() && held.raw.is_some();
            // Which part of the dynamic linker's cache counts depends on all that was opened.
            trace.seen.push(match is_part {
                true => context.evaluator_of(index).see_of(project, set, (path, *look)).await?,
                false => held.seen.clone(),
            });
        }
        Ok(Ok(()))
    }
}

/// What is a step's own: it says nothing of what the step stands on.
struct Own<'a> {
    paths: FxHashSet<&'a RelPath>,
    folders: FxHashSet<RelPath>,
}

impl<'a> Own<'a> {
    fn new(trees: [&'a Tree; 3]) -> Self {
        let paths: FxHashSet<&RelPath> =
            trees.into_iter().flat_map(|tree| tree.entries()).map(|(path, _)| path).collect();
        let folders = paths.iter().flat_map(|path| path.ancestors()).collect();
        Self { paths, folders }
    }

    fn is(&self, context: &Context, path: &RelPath) -> bool {
        in_project(path).is_some_and(|inside| {
            self.paths.contains(&inside)
                || self.folders.contains(&inside) && context.sources.get(&inside).is_none()
        })
    }
}
