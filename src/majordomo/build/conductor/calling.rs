//! Steps that no target names and that may make what is looked for (DESIGN §4.9): what comes out for a target does not depend on
//! what was built before it.
//!
//! What a step makes without having promised it is known once it has run. So as soon as a needed step looks for
//! something in vain, those are called in that promise nothing, or see their own outputs, and have never run here; and when it looks at
//! a path that one of them made the last time, that one; what they made is not read before somebody looks in vain. Never called in are steps that are
//! `after` a wanted one: what they make is for later; those whose work is not in the project alone (`network`, secrets); and those that are `strict`.
//! A call costs the wanted steps nothing: that one fails which nobody has been found to need is said, and no more.

use protocol::{Keep, Look, RelPath, Seen, Tree};
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
    /// What they made the last time is not read yet.
    unread: Vec<usize>,
    /// Who made a path the last time, or something in a folder.
    made: FxHashMap<RelPath, Vec<usize>>,
    folders: FxHashMap<RelPath, Vec<usize>>,
    /// Whether somebody was.
    any_called: bool,
}

impl Callable {
    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.never_ran.is_empty() && self.unread.is_empty() && self.made.is_empty()
    }

    /// Who may make what a step looked for. `is_promised`: whether somebody promises a path; `made`: what a step made the last time, asked once
    /// for each when somebody has looked in vain.
    fn called_by(
        &mut self,
        seen: &SeenInside,
        is_promised: impl Fn(&RelPath) -> bool,
        mut made: impl FnMut(usize) -> Result<Tree, Stop>,
    ) -> Result<FxHashSet<usize>, Stop> {
        let mut called = FxHashSet::default();
        let is_open = |look: &(RelPath, Look, Seen)| {
            is_open_question(&look) && (look.1 == Look::Listing || !is_promised(&look.0))
        };
        if !self.never_ran.is_empty() && seen.iter().any(is_open) {
            called.extend(std::mem::take(&mut self.never_ran));
        }
        if seen.iter().any(|look| is_open_question(&look)) {
            for index in std::mem::take(&mut self.unread) {
                for (path, _) in made(index)?.entries() {
                    self.made.entry(path.clone()).or_default().push(index);
                    for folder in path.ancestors().chain([RelPath::root()]) {
                        self.folders.entry(folder).or_default().push(index);
                    }
                }
            }
        }
        if !self.made.is_empty() {
            for look in seen {
                called.extend(self.made.get(&look.0).into_iter().flatten());
                if is_open_question(&look) {
                    called.extend(self.folders.get(&look.0).into_iter().flatten());
                }
            }
        }
        Ok(called)
    }
}

impl Conductor {
    /// Finds out who may be called in beside those that are needed by now.
    pub(super) fn find_callable(&mut self, wanted: &[usize]) {
        let context = self.context.clone();
        if context.is_planning {
            return;
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
            match context.last.contains_key(&planned.id) {
                false => found.never_ran.push(index),
                true => found.unread.push(index),
            }
        }
        self.callable = found;
    }

    /// Calls in whoever may make what a step looked for.
    ///
    /// # Errors
    /// The larder cannot say what steps made.
    pub(super) fn call_in(&mut self, index: usize, seen: &SeenInside) -> Result<(), Stop> {
        if self.is_ending() {
            return Ok(());
        }
        let context = self.context.clone();
        let promises = context.made.promises();
        let made = |other: usize| {
            let id = &context.plan.steps[other].id;
            let record = context.last.get(id);
            let made =
                record.map(|record| records::made(context.pod.larder(), context.workspace, id, record));
            Ok(made.transpose()?.unwrap_or_default())
        };
        let is_promised = |path: &RelPath| promises.makers_of(path).next().is_some();
        let mut called = self.callable.called_by(seen, is_promised, made)?;
        called.retain(|&other| other != index && matches!(self.steps[other].phase, Phase::Unneeded));
        if !called.is_empty() {
            self.callable.any_called = true;
            let called: Vec<usize> = called.into_iter().collect();
            self.need(&called);
        }
        Ok(())
    }

    /// Whether a step was called in, or is needed by such a one, and nothing that was asked for needs it.
    pub(super) fn is_beside(&self, index: usize) -> bool {
        let Callable { wanted, any_called, .. } = &self.callable;
        *any_called && !wanted.iter().any(|&step| step == index || self.needs(step).contains(&index))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use protocol::{Digest, TreeEntry};

    use super::*;

    #[test]
    fn what_others_made_is_not_read_before_somebody_looks_in_vain() {
        let path = |text: &str| text.parse::<RelPath>().unwrap();
        let mut callable = Callable { unread: vec![3, 5], ..Callable::default() };
        let read = RefCell::new(Vec::new());
        let mut looks_at = |name: &str, seen: Seen| {
            let made = |index: usize| {
                read.borrow_mut().push(index);
                let file = TreeEntry::File { digest: Digest::of(b"made"), size: 4, exec: false };
                Ok(Tree::new(vec![(path(&format!("by{index}")), file)]).unwrap())
            };
            let seen = vec![(path(name), Look::Content, seen)];
            let mut called: Vec<usize> =
                callable.called_by(&seen, |_| false, made).unwrap().into_iter().collect();
            called.sort_unstable();
            (called, read.borrow().clone())
        };
        let there = || Seen::Content { digest: Digest::of(b"source"), exec: false };
        assert_eq!(looks_at("source", there()), (vec![], vec![]));
        assert_eq!(looks_at("nobody's", Seen::Absent), (vec![], vec![3, 5]));
        assert_eq!(looks_at("by5", Seen::Absent), (vec![5], vec![3, 5]), "each is read once");
    }
}
