//! Why steps ran, and why they would: what differs, followed down through the steps that made it.
//!
//! The past is read from two traces, the one that answered for a step before its last run and the one of that run: nothing is
//! evaluated. The present is the last trace held against what the step would see now.

use std::collections::{BTreeSet, VecDeque};

use node::Difference;
use protocol::{Look, PathSet, RelPath, Seen, Trace, TreeEntry};

use super::looked::{Looked, State};
use super::{Fallible, node_failed};
use crate::majordomo::build::reason;
use crate::majordomo::facets::Facets;
use crate::majordomo::prepare::in_project;
use crate::majordomo::records::Run;
use crate::majordomo::report::{Cause, Change, Origin, Sight};

/// The most observations that are listed of a step.
const MAX_CHANGES: usize = 100;
/// The most steps that are followed.
const MAX_STEPS: usize = 100;

/// Steps that are still to be followed, each once.
struct Trail {
    next: VecDeque<usize>,
    known: BTreeSet<usize>,
}

impl Trail {
    fn from(step: usize) -> Self {
        Self { next: [step].into(), known: [step].into() }
    }

    fn follow(&mut self, step: usize) {
        if self.known.len() < MAX_STEPS && self.known.insert(step) {
            self.next.push_back(step);
        }
    }
}

/// Why a step last ran: this step first, then those whose outputs made it run.
pub fn of_last_run(looked: &Looked, step: usize) -> Fallible<Vec<Cause>> {
    let (mut trail, mut causes) = (Trail::from(step), Vec::new());
    while let Some(step) = trail.next.pop_front() {
        let Some(run) = looked.record(step).and_then(|record| record.ran.as_ref()) else { continue };
        let mut differences = Vec::new();
        if let Some(before) = &run.before
            && let (Some(before), Some(after)) = (looked.trace(before)?, looked.trace(&run.after)?)
        {
            differences = between((&before.0, &before.1), (&after.0, &after.1));
        }
        let (mut changes, more) = listed(looked, step, differences);
        for change in &mut changes {
            let Some(inside) = in_project(&change.path) else { continue };
            let Some(by) = looked.maker(&inside, step) else { continue };
            if let Some(run) = looked.record(by).and_then(|record| record.ran.as_ref())
                && has_made(looked, run, &inside, change)?
            {
                trail.follow(by);
            }
        }
        causes.push(Cause {
            step: looked.id(step),
            reason: run.reason.clone(),
            changes,
            key: run.key.clone(),
            more,
        });
    }
    Ok(causes)
}

/// Whether it was in this run that what stands at a path became what another step saw there.
fn has_made(looked: &Looked, run: &Run, path: &RelPath, change: &Change) -> Fallible<bool> {
    let after = looked.outputs(&run.after)?;
    let before = match &run.before {
        Some(before) => looked.outputs(before)?,
        None => Default::default(),
    };
    // Of a folder that is listed all that is in it counts.
    if after.get(path).is_none() && before.get(path).is_none() {
        let within = |tree: &protocol::Tree| -> Vec<_> {
            tree.entries().iter().filter(|(made, _)| made.is_within(path)).cloned().collect()
        };
        return Ok(within(&after) != within(&before));
    }
    let seen = change.now.as_ref().and_then(|now| now.raw.or(now.digest));
    let is_what_was_seen = match (after.get(path), seen) {
        (Some(TreeEntry::File { digest, .. }), Some(seen)) => *digest == seen,
        _ => true,
    };
    Ok(is_what_was_seen && after.get(path) != before.get(path))
}

/// Why a step would run now: this step first, then those on which it depends.
pub async fn of_now(looked: &Looked, step: usize) -> Fallible<Vec<Cause>> {
    let (mut trail, mut causes) = (Trail::from(step), Vec::new());
    while let Some(step) = trail.next.pop_front() {
        let reason = match &looked.states[step] {
            State::Run { reason, behind } => {
                behind.iter().for_each(|&behind| trail.follow(behind));
                reason.clone()
            }
            State::Reuse(digest) if looked.record(step).is_some_and(|record| record.trace != *digest) => {
                format!("it is what it was in trace {} once more", digest.short())
            }
            State::Reuse(_) | State::Unasked => continue,
        };
        let mut differences = Vec::new();
        if let Some((_, trace, set)) = looked.last_trace(step)? {
            let project = looked.project(step);
            differences = looked.evaluator().compare(&trace, &set, &project).await.map_err(node_failed)?;
        }
        let (changes, more) = listed(looked, step, differences);
        for change in &changes {
            let inside = in_project(&change.path);
            if let Some(by) = inside.and_then(|inside| looked.maker(&inside, step)) {
                trail.follow(by);
            }
        }
        let spec = &looked.prepared.specs[step];
        let key = looked.record(step).map(|record| Facets::of(spec).changed_since(&record.key));
        causes.push(Cause { step: looked.id(step), reason, changes, key: key.unwrap_or_default(), more });
    }
    Ok(causes)
}

/// What the first trace saw that the second one saw otherwise. What only one of them looked at is no difference, but where
/// another look at the same path says what became of it.
fn between(before: (&Trace, &PathSet), after: (&Trace, &PathSet)) -> Vec<Difference> {
    let (looks, seen) = (after.1.looks(), &after.0.seen);
    let mut found = Vec::new();
    for (place, (path, look, was)) in before.0.observations(before.1).into_iter().flatten().enumerate() {
        let at = match looks.binary_search_by(|(other, kind)| (other, *kind).cmp(&(path, look))) {
            Ok(at) => Some(at),
            Err(near) => other_look(looks, seen, near, path, was),
        };
        let Some((at, now)) = at.and_then(|at| Some((at, seen.get(at)?))) else { continue };
        if now == was {
            continue;
        }
        found.push(Difference {
            path: path.clone(),
            look,
            before: was.clone(),
            raw_before: before.0.raw_at(place).copied(),
            now: Some(now.clone()),
            raw_now: after.0.raw_at(at).copied(),
            by: Vec::new(),
        });
    }
    found
}

/// Another look at the same path, where the one is answered by something and the other by nothing.
fn other_look(
    looks: &[(RelPath, Look)],
    seen: &[Seen],
    near: usize,
    path: &RelPath,
    was: &Seen,
) -> Option<usize> {
    let from = near.saturating_sub(Look::ALL.len());
    let here = (from..looks.len().min(near + Look::ALL.len())).filter(|&at| looks[at].0 == *path);
    here.into_iter()
        .find(|&at| seen.get(at).is_some_and(|now| (*now == Seen::Absent) != (*was == Seen::Absent)))
}

/// Differences as they are listed, those of the project first; and how many are left out.
fn listed(looked: &Looked, step: usize, differences: Vec<Difference>) -> (Vec<Change>, u64) {
    let (inside, outside): (Vec<_>, Vec<_>) =
        differences.into_iter().partition(|difference| difference.path.as_bytes().starts_with(b"project"));
    let more = (inside.len() + outside.len()).saturating_sub(MAX_CHANGES) as u64;
    let all = inside.into_iter().chain(outside).take(MAX_CHANGES);
    (all.map(|difference| change(looked, step, difference)).collect(), more)
}

fn change(looked: &Looked, step: usize, difference: Difference) -> Change {
    let Difference { path, look, before, raw_before, now, raw_now, by } = difference;
    let inside = in_project(&path);
    let maker = inside.as_ref().and_then(|inside| looked.maker(inside, step));
    let is_own = inside.as_ref().is_some_and(|inside| {
        looked.keeps(step) && looked.made.tree(step).is_some_and(|tree| tree.get(inside).is_some())
    });
    let maker = maker.or(is_own.then_some(step));
    let origin = match maker {
        Some(_) => Origin::Output,
        None if path.as_bytes().starts_with(b"project") => Origin::Source,
        None => Origin::Tool,
    };
    let words = match &now {
        Some(now) => reason::of_change(&path, look, &before, now),
        None => format!("{} has to be made first", reason::shown(&path)),
    };
    let projections = match (by.is_empty(), raw_now.or(raw_before), &inside) {
        (true, Some(_), Some(inside)) => looked.project(step).lenses().names_at(inside),
        _ => by,
    };
    Change {
        look: look.word().to_owned(),
        words,
        before: Sight::new(&before, raw_before),
        now: now.map(|now| Sight::new(&now, raw_now)),
        origin,
        by: maker.map(|maker| looked.id(maker)),
        projections,
        path,
    }
}

/// Whether a run changed nothing of what was read: the paths are those of the project.
pub fn made_the_same(looked: &Looked, run: &Run, read: &BTreeSet<RelPath>) -> Fallible<bool> {
    let Some(before) = &run.before else { return Ok(false) };
    if *before == run.after {
        return Ok(false);
    }
    let (before, after) = (looked.outputs(before)?, looked.outputs(&run.after)?);
    let of = |digest: &protocol::Tree| -> Vec<(RelPath, TreeEntry)> {
        digest.entries().iter().filter(|(path, _)| read.contains(path)).cloned().collect()
    };
    Ok(of(&before) == of(&after))
}

#[cfg(test)]
mod tests {
    use protocol::Digest;

    use super::*;

    fn trace(seen: &[(&str, Look, Seen)]) -> (Trace, PathSet) {
        let mut seen: Vec<(RelPath, Look, Seen)> =
            seen.iter().map(|(path, look, seen)| (path.parse().unwrap(), *look, seen.clone())).collect();
        seen.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let set = PathSet::new(seen.iter().map(|(path, look, _)| (path.clone(), *look)).collect());
        let trace = Trace {
            weak: Digest::of(b"weak"),
            path_set: set.digest(),
            seen: seen.into_iter().map(|(_, _, seen)| seen).collect(),
            raw: vec![],
            outputs: Digest::of(b"out"),
            printed: None,
            millis: 0,
        };
        (trace, set)
    }

    fn content(text: &str) -> Seen {
        Seen::Content { digest: Digest::of(text.as_bytes()), exec: false }
    }

    #[test]
    fn two_traces_are_held_against_each_other() {
        let before = trace(&[
            ("project/a.c", Look::Content, content("1")),
            ("project/b.h", Look::Probe, Seen::Absent),
            ("project/c.h", Look::Content, content("same")),
            ("project/gone.h", Look::Content, content("x")),
            ("project/only-then", Look::Content, content("x")),
        ]);
        let after = trace(&[
            ("project/a.c", Look::Content, content("2")),
            // It appeared, and so was read.
            ("project/b.h", Look::Content, content("new")),
            ("project/c.h", Look::Content, content("same")),
            ("project/gone.h", Look::Probe, Seen::Absent),
            ("project/only-now", Look::Content, content("x")),
        ]);
        let found = between((&before.0, &before.1), (&after.0, &after.1));
        let said: Vec<String> = found
            .iter()
            .map(|d| reason::of_change(&d.path, d.look, &d.before, d.now.as_ref().unwrap()))
            .collect();
        assert_eq!(said, ["a.c changed", "b.h appeared", "gone.h is gone"]);
    }
}
