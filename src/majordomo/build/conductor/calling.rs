//! Steps that no target names and that may make what is looked for (DESIGN §4.9): what comes out for a target does not depend on
//! what was built before it.
//!
//! What a step makes without having promised it is known once it has run. So as soon as a needed step looks for
//! something in vain, those are called in that promise nothing, or see their own outputs, and have never run here; and when it looks at
//! a path that one of them made the last time, that one. Never called in are steps that are `after` a wanted one: what they make is for
//! later; those whose work is not in the project alone (`network`, secrets); and those that are `strict`. A call costs the wanted steps
//! nothing: that one fails which nobody has been found to need is said, and no more.

use protocol::{Keep, Look, RelPath, Seen};
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::context::Stop;
use super::Conductor;
use super::failing::is_open_question;
use super::state::{Phase, SeenInside};
use crate::majordomo::records;

/// Who may be called in.
#[derive(Default)]
pub(super) struct Callable {
    /// What the targets named.
    wanted: Vec<usize>,
    /// Nobody knows what they make.
    never_ran: Vec<usize>,
    /// Who made a path the last time, or something in a folder.
    made: FxHashMap<RelPath, Vec<usize>>,
    folders: FxHashMap<RelPath, Vec<usize>>,
    /// Whether somebody was.
    any_called: bool,
}

impl Callable {
    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.never_ran.is_empty() && self.made.is_empty()
    }
}

impl Conductor {
    /// Finds out who may be called in beside those that are needed by now.
    pub(super) fn find_callable(&mut self, wanted: &[usize]) -> Result<(), Stop> {
        let context = self.context.clone();
        if context.is_planning {
            return Ok(());
        }
        let promises = context.made.promises();
        let mut found = Callable { wanted: wanted.to_vec(), ..Callable::default() };
        for (index, planned) in context.plan.steps.iter().enumerate() {
            let is_unneeded = matches!(self.steps[index].phase, Phase::Unneeded);
            let makes_more = planned.spec.out.is_empty() || planned.spec.keep != Keep::Nothing;
            let is_inside = !planned.spec.network && planned.secrets.is_empty() && !planned.strict;
            if !is_unneeded
                || !makes_more
                || !is_inside
                || wanted.iter().any(|&wanted| promises.is_after(index, wanted))
            {
                continue;
            }
            let Some(record) = context.last.get(&planned.id) else {
                found.never_ran.push(index);
                continue;
            };
            let made = records::made(context.pod.larder(), context.workspace, &planned.id, record)?;
            for (path, _) in made.entries() {
                found.made.entry(path.clone()).or_default().push(index);
                for folder in path.ancestors().chain([RelPath::root()]) {
                    found.folders.entry(folder).or_default().push(index);
                }
            }
        }
        self.callable = found;
        Ok(())
    }

    /// Calls in whoever may make what a step looked for.
    pub(super) fn call_in(&mut self, index: usize, seen: &SeenInside) {
        if self.is_ending() {
            return;
        }
        let promises = self.context.made.promises();
        let callable = &mut self.callable;
        let is_open = |look: &&(RelPath, Look, Seen)| {
            is_open_question(look)
                && (look.1 == Look::Listing || promises.makers_of(&look.0).next().is_none())
        };
        let mut called: FxHashSet<usize> = FxHashSet::default();
        if !callable.never_ran.is_empty() && seen.iter().any(|look| is_open(&look)) {
            called.extend(std::mem::take(&mut callable.never_ran));
        }
        if !callable.made.is_empty() {
            for look in seen {
                called.extend(callable.made.get(&look.0).into_iter().flatten());
                if is_open_question(&look) {
                    called.extend(callable.folders.get(&look.0).into_iter().flatten());
                }
            }
        }
        called.retain(|&other| other != index && matches!(self.steps[other].phase, Phase::Unneeded));
        if !called.is_empty() {
            callable.any_called = true;
            let called: Vec<usize> = called.into_iter().collect();
            self.need(&called);
        }
    }

    /// Whether a step was called in, or is needed by such a one, and nothing that was asked for needs it.
    pub(super) fn is_beside(&self, index: usize) -> bool {
        let Callable { wanted, any_called, .. } = &self.callable;
        *any_called && !wanted.iter().any(|&step| step == index || self.needs(step).contains(&index))
    }
}
