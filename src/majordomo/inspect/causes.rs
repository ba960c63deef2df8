//! Why steps ran, and why they would: what differs, followed down through the steps that made it.
//!
//! The past is read from two traces, the one that answered for a step before its last run and the one of that run: nothing is
//! evaluated. The present is the last trace held against what the step would see now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use node::{Difference, project_prefix};
use protocol::{Look, PathSet, RelPath, Seen, StepId, Trace, TreeEntry};

use super::leads::{Lead, Listed, MAX_CHANGES, Went, leads, seen_paths};
use super::looked::{Looked, State};
use super::{Fallible, node_failed};
use crate::majordomo::build::reason;
use crate::majordomo::records::Run;
use crate::majordomo::request::trace::Sight;
use crate::majordomo::request::why::{Cause, Change, Origin};

/// The most steps that are followed.
const MAX_STEPS: usize = 100;

/// Steps that are still to be followed, each once; and those that are none of the plan any more.
struct Trail {
    next: VecDeque<usize>,
    known: BTreeSet<usize>,
    former: BTreeMap<StepId, Went>,
}

impl Trail {
    fn from(step: usize) -> Self {
        Self { next: [step].into(), known: [step].into(), former: BTreeMap::new() }
    }

    fn follow(&mut self, step: usize) {
        if self.known.len() < MAX_STEPS && self.known.insert(step) {
            self.next.push_back(step);
        }
    }

    /// The causes that were found, and why the steps went that are no more.
    fn end(self, looked: &Looked, mut causes: Vec<Cause>) -> Fallible<Vec<Cause>> {
        for (former, went) in self.former {
            causes.push(of_former(looked, former, went)?);
        }
        Ok(causes)
    }
}

/// Why a step last ran: this step first, then those whose outputs made it run.
pub async fn of_last_run(looked: &Looked, step: usize) -> Fallible<Vec<Cause>> {
    let (mut trail, mut causes) = (Trail::from(step), Vec::new());
    while let Some(step) = trail.next.pop_front() {
        let Some(run) = looked.record(step).and_then(|record| record.ran.as_ref()) else { continue };
        let (mut differences, mut known) = (Vec::new(), Listed::new());
        if let Some(before) = &run.before
            && let (Some(before), Some(after)) = (looked.trace(before)?, looked.trace(&run.after)?)
        {
            differences = between((&before.0, &before.1), (&after.0, &after.1));
            known = seen_paths(&before.0, &before.1).chain(seen_paths(&after.0, &after.1)).collect();
        }
        let (leads, more) = leads(looked, step, differences, &known).await?;
        for lead in &leads {
            trail.former.extend(lead.former.clone());
            for &by in &lead.makers {
                if let Some(run) = looked.record(by).and_then(|record| record.ran.as_ref())
                    && has_made(looked, run, lead)?
                {
                    trail.follow(by);
                }
            }
        }
        causes.push(Cause {
            step: looked.id(step),
            reason: run.reason.clone(),
            changes: leads.into_iter().map(|lead| lead.change).collect(),
            key: run.key.clone(),
            more,
        });
    }
    trail.end(looked, causes)
}

/// Whether it was in this run that what stands at a path became what another step saw there.
fn has_made(looked: &Looked, run: &Run, lead: &Lead) -> Fallible<bool> {
    let after = looked.outputs(&run.after)?;
    let before = match &run.before {
        Some(before) => looked.outputs(before)?,
        None => Default::default(),
    };
    let seen = lead.change.now.as_ref().and_then(|now| now.raw.or(now.digest));
    Ok(lead.paths.iter().any(|path| match (before.get(path), after.get(path)) {
        // Of a folder all that is in it counts.
        (None, None) => {
            let within = |tree: &protocol::Tree| -> Vec<_> {
                tree.entries().iter().filter(|(made, _)| made.is_within(path)).cloned().collect()
            };
            within(&after) != within(&before)
        }
        (before, Some(TreeEntry::File { digest, .. })) if lead.change.look == Look::Content.word() => {
            seen == Some(*digest) && before != after.get(path)
        }
        (before, after) => before != after,
    }))
}

/// Why a step would run now: this step first, then those on which it depends.
pub async fn of_now(looked: &mut Looked, step: usize) -> Fallible<Vec<Cause>> {
    let (mut trail, mut causes) = (Trail::from(step), Vec::new());
    while let Some(step) = trail.next.pop_front() {
        if looked.states[step] == State::Unasked {
            // Nothing said so far that it comes before.
            looked.look_up(&looked.in_order(&[step]), false).await?;
        }
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
        let (mut differences, mut known) = (Vec::new(), Listed::new());
        if let Some((_, trace, set)) = looked.last_trace(step)? {
            let project = looked.project(step);
            differences =
                looked.evaluator(step).compare(&trace, &set, &project).await.map_err(node_failed)?;
            known = seen_paths(&trace, &set).collect();
        }
        let (leads, more) = leads(looked, step, differences, &known).await?;
        for lead in &leads {
            trail.former.extend(lead.former.clone());
            lead.makers.iter().for_each(|&by| trail.follow(by));
        }
        let changes = leads.into_iter().map(|lead| lead.change).collect();
        causes.push(Cause { step: looked.id(step), reason, changes, key: looked.key_changes(step), more });
    }
    trail.end(looked, causes)
}

/// Why a step went: which of the files that it read in the project are gone.
fn of_former(looked: &Looked, step: StepId, went: Went) -> Fallible<Cause> {
    let mut changes = Vec::new();
    if let (Went::Later, Some(run)) = (went, looked.last.get(&step).and_then(|record| record.ran.as_ref())) {
        let reason = format!("{}; it is no step any more", run.reason);
        return Ok(Cause { step, reason, changes, key: run.key.clone(), more: 0 });
    }
    if let Some(record) = looked.last.get(&step)
        && let Some((trace, set)) = looked.trace(&record.trace)?
    {
        for (path, look, before) in trace.observations(&set).into_iter().flatten() {
            let Some(inside) = path.strip_prefix(&project_prefix()) else { continue };
            if matches!(before, Seen::Content { .. }) && looked.prepared.snapshot.get(&inside).is_none() {
                let has_maker = looked.plan().producer(&inside).is_some();
                let origin = if has_maker { Origin::Output } else { Origin::Source };
                if !has_maker && changes.len() < MAX_CHANGES {
                    changes.push(Change {
                        look: look.word().to_owned(),
                        words: reason::of_change(path, look, before, &Seen::Absent),
                        before: Sight::new(before, None),
                        now: Some(Sight::new(&Seen::Absent, None)),
                        origin,
                        by: None,
                        projections: Vec::new(),
                        names: None,
                        path: path.clone(),
                    });
                }
            }
        }
    }
    let reason = match changes.first() {
        Some(change) => format!("it is no step any more: {}", change.words),
        None => "it is no step any more".to_owned(),
    };
    Ok(Cause { step, reason, changes, key: Vec::new(), more: 0 })
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
        let (raw_before, raw_now) = (before.0.raw_at(place).copied(), after.0.raw_at(at).copied());
        if raw_before.is_some() && raw_before == raw_now {
            // The same file, of which another part counted: `ld.so.cache` for other libraries.
            continue;
        }
        found.push(Difference {
            path: path.clone(),
            look,
            before: was.clone(),
            raw_before,
            now: Some(now.clone()),
            raw_now,
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
            readings: vec![],
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

    #[test]
    fn another_part_of_the_same_file_is_no_change() {
        let whole = |text: &str, (mut trace, set): (Trace, PathSet)| {
            trace.raw = vec![(0, Digest::of(text.as_bytes()))];
            (trace, set)
        };
        let seen = |part: &str| trace(&[("etc/ld.so.cache", Look::Content, content(part))]);
        let (before, same) = (whole("whole", seen("libc")), whole("whole", seen("libc, libm")));
        assert_eq!(between((&before.0, &before.1), (&same.0, &same.1)), []);
        let other = whole("another", seen("libc, libm"));
        assert_eq!(between((&before.0, &before.1), (&other.0, &other.1)).len(), 1);
    }
}
