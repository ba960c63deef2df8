//! What the earlier passes of a step saw whose outputs it sees again: what it kept stands on that, too.
//!
//! A tool that goes on from what it left (make, cargo) looks at what it knows of, and believes the rest: a header that no rule names, a folder
//! that a recipe lists. So each pass carries on what the pass before it saw, and its trace says all that its result stands on. If some of
//! that is another by now, the tool has to have noticed: all who had read the file have read it again, or the step runs once more, from nothing.
//! Who reads in a pass for which nothing had changed (make its Makefiles, and what it has the shell read for them) reads whatever happens, and has
//! noticed nothing. Who may have been called for another change, and has left out some of what it had read before, has not done all again that it had
//! done. What no tool can be trusted to notice – a source that is gone, or that hides another one now, a tool of the machine – spoils what is kept
//! before anything runs. Only a step that keeps all of its own (`keep = true`) believes; one that keeps what matches reads its sources each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use node::{Difference, Entry, Project};
use protocol::{Keep, Look, PathSet, Reader, Reading, RelPath, Seen, Trace, Tree};
use rustc_hash::{FxHashMap, FxHashSet};

use super::context::{Context, Stop};
use super::demand::StepView;
use super::keep::{self, State};
use super::reason;
use crate::majordomo::prepare::in_project;

/// What a pass goes on from, besides its own outputs.
pub(super) struct Carried {
    /// What is as it was: with who read it.
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
    readers: Readers,
}

/// Who read a file in all passes since the step began from nothing.
type Readers = BTreeMap<Reader, Times>;

/// How somebody read a file.
#[derive(Clone, Copy)]
struct Times {
    /// How often.
    times: u32,
    /// In a pass, too, for which nothing had changed.
    is_idle: bool,
}

fn readers(readings: &[Reading]) -> Readers {
    let times = |it: &Reading| Times { times: it.times, is_idle: it.is_idle };
    readings.iter().map(|it| (it.reader, times(it))).collect()
}

/// One that does not.
struct Changed {
    path: RelPath,
    look: Look,
    readers: Readers,
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
        let (key, readers) = ((path.clone(), look), readers(hit.trace.readings_at(place)));
        match then.as_ref().unwrap_or(&now).get(&key) {
            // Whoever makes it will say whether it is another one.
            Some(Difference { now: None, .. }) => {}
            Some(Difference { now: Some(is), .. }) => {
                let words = reason::of_change(path, look, seen, is);
                if spoilt.is_none() && state.is_remembered && spoils(context, index, (path, look), (seen, is))
                {
                    spoilt = Some(words.clone());
                }
                changed.push(Changed { path: path.clone(), look, readers, words });
            }
            None => {
                let (seen, raw) = match now.get(&key) {
                    None => (Some(seen.clone()), hit.trace.raw_at(place).copied()),
                    Some(over) => (over.now.clone(), over.raw_now),
                };
                holds.extend(seen.map(|seen| (key, Held { seen, raw, readers })));
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
            let (raw, readers) = (trace.raw_at(place).copied(), readers(trace.readings_at(place)));
            all.insert((path.clone(), look), Held { seen: seen.clone(), raw, readers });
        }
        let own = Own::new([&*state.before, &*state.own, &*outputs]);
        let changed: Vec<&Changed> = self.changed.iter().filter(|it| !own.is(context, &it.path)).collect();
        let mut begun_anew: FxHashSet<Reader> = FxHashSet::default();
        let short = self.left_something_out(&changed, &all);
        for Changed { path, look, readers, words } in changed.iter().copied() {
            let again = all.get(&(path.clone(), *look));
            let is_noticed = match look {
                Look::Content if !readers.is_empty() => again.is_some_and(|again| {
                    begun_anew.extend(again.readers.keys());
                    match is_known(context, index, path) {
                        true => !again.readers.is_empty(),
                        false => {
                            have_all_read_again(readers, &again.readers)
                                && again.readers.keys().all(|reader| !short.contains(reader))
                        }
                    }
                }),
                Look::Listing if !readers.is_empty() => again.is_some_and(|again| {
                    begun_anew.extend(again.readers.keys());
                    // Any name in it may be the new one.
                    let name = path.child(b"_").unwrap_or_else(|| path.clone());
                    is_known(context, index, &name) || have_all_listed_again(readers, &again.readers)
                }),
                Look::Listing | Look::Link | Look::Content => again.is_some(),
                Look::Kind | Look::Probe => {
                    Look::ALL.iter().any(|look| all.contains_key(&(path.clone(), *look)))
                }
            };
            if !is_noticed {
                return Ok(Err(words.clone()));
            }
        }
        for times in
            all.values_mut().flat_map(|held| held.readers.values_mut()).filter(|_| changed.is_empty())
        {
            times.is_idle = true;
        }
        for (key, held) in self.holds.iter().filter(|((path, _), _)| !own.is(context, path)) {
            let Some(now) = all.get_mut(key) else {
                all.insert(key.clone(), held.clone());
                continue;
            };
            for (reader, before) in &held.readers {
                let now = now.readers.entry(*reader).or_insert(Times { times: 0, is_idle: false });
                now.is_idle |= before.is_idle;
                // Who read another file that has changed did what it had done before. Whoever else has the same words may have read it for
                // something else: each has to read again.
                now.times = match begun_anew.contains(reader) {
                    true => now.times.max(before.times),
                    false => now.times.saturating_add(before.times),
                };
            }
        }
        *set = PathSet::new(all.keys().cloned().collect());
        trace.path_set = set.digest();
        (trace.seen, trace.raw, trace.readings) = Default::default();
        for (place, ((path, look), held)) in (0..).zip(&all) {
            trace.raw.extend(held.raw.map(|raw| (place, raw)));
            let reading = |(reader, it): (&Reader, &Times)| Reading {
                place,
                reader: *reader,
                times: it.times,
                is_idle: it.is_idle,
            };
            trace.readings.extend(held.readers.iter().map(reading));
            let is_part = in_project(path).is_none() && held.raw.is_some();
            // Which part of the dynamic linker's cache counts depends on all that was opened.
            trace.seen.push(match is_part {
                true => context.evaluator_of(index).see_of(project, set, (path, *look)).await?,
                false => held.seen.clone(),
            });
        }
        Ok(Ok(()))
    }

    /// Who read a changed file now, may have been called for something else that changed, and has not read all that it had read before.
    /// One process that makes several results of one file makes those anew whose other sources have changed, as far as it knows.
    fn left_something_out(
        &self,
        changed: &[&Changed],
        now: &BTreeMap<(RelPath, Look), Held>,
    ) -> FxHashSet<Reader> {
        let mut causes: FxHashMap<Reader, usize> = FxHashMap::default();
        for it in changed.iter().filter(|it| it.look == Look::Content) {
            let readers = now.get(&(it.path.clone(), it.look)).into_iter().flat_map(|now| now.readers.keys());
            readers.for_each(|reader| *causes.entry(*reader).or_default() += 1);
        }
        // Nobody can tell whom a name more has called.
        let more = usize::from(changed.iter().any(|it| it.look == Look::Listing));
        causes.retain(|_, count| *count + more > 1);
        let has_left_out = |reader: &Reader| {
            self.holds.iter().any(|(key, held)| {
                let before = held.readers.get(reader).map_or(0, |before| before.times);
                let again = now.get(key).and_then(|now| now.readers.get(reader)).map_or(0, |now| now.times);
                key.1 == Look::Content && before > again
            })
        };
        causes.into_keys().filter(has_left_out).collect()
    }
}

/// Whether a file's reader knows what a change of it spoils.
fn is_known(context: &Context, index: usize, path: &RelPath) -> bool {
    let notices = &context.plan.steps[index].notices;
    let is_noticed = |inside: RelPath| notices.iter().any(|glob| glob.matches(inside.as_bytes()));
    context.specs[index].keep != Keep::Everything || in_project(path).is_some_and(is_noticed)
}

/// Whether a file that has changed was read by all who had read it, and by none of them for whatever reason.
fn have_all_read_again(before: &Readers, now: &Readers) -> bool {
    before.iter().all(|(reader, before)| {
        let now = now.get(reader).map_or(0, |now| now.times);
        *reader != Reader::UNKNOWN && !before.is_idle && now >= before.times
    })
}

/// Whether a folder that has other names was listed by all who had listed it, but for those who do so in each pass: they go by what they find.
fn have_all_listed_again(before: &Readers, now: &Readers) -> bool {
    before.iter().all(|(reader, before)| {
        let now = now.get(reader).map_or(0, |now| now.times);
        before.is_idle || *reader != Reader::UNKNOWN && now >= before.times
    })
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
