//! What is remembered of an attempt: traces by step, where steps settled, who fed whom.

use protocol::{Keep, Look, RelPath, Seen, StepId};

use super::super::context::{Done, Stop};
use super::super::keep;
use super::super::step::keeps;
use super::Conductor;
use super::publishing::seen_inside;
use super::state::{Phase, SeenInside, Standing};
use crate::majordomo::facets::Facets;
use crate::majordomo::failures;
use crate::majordomo::records::{self, Record};

impl Conductor {
    /// Notes who failed, and who did before and does no more.
    fn remember_failures(&self) -> Result<(), Stop> {
        let (larder, workspace) = (self.context.pod.larder(), self.context.workspace);
        let id = |step: usize| &self.context.plan.steps[step].id;
        let before = failures::all(larder, workspace)?;
        if !before.is_empty() {
            let good = self.ended.iter().filter(|&&step| matches!(self.steps[step].phase, Phase::Good));
            for step in good.filter(|&&step| before.contains_key(id(step))) {
                failures::forget(larder, workspace, id(*step))?;
            }
        }
        for (step, failure) in &self.failures {
            failures::write(larder, workspace, id(*step), failure)?;
        }
        Ok(())
    }

    /// Notes all that came to a good end. Losing it costs time and words, never truth.
    pub(super) fn remember(&mut self) -> Result<(), Stop> {
        self.remember_failures()?;
        let context = self.context.clone();
        let mut edges = context.last_edges.clone();
        let mut if_there = context.last_edges_if_there.clone();
        let mut is_noted = vec![false; self.steps.len()];
        for &index in &self.ended {
            let step = &self.steps[index];
            if !matches!(step.phase, Phase::Good) || std::mem::replace(&mut is_noted[index], true) {
                continue;
            }
            let planned = &context.plan.steps[index];
            match &step.standing {
                None => {}
                Some(Standing::Recalled) => {
                    let Some(recalled) = context.recall.step(&planned.id) else { continue };
                    context.note_printed(index, recalled.printed);
                    context.recalled_looks.lock().extend(context.recall.host_looks(recalled));
                    context.done.lock().push((index, Done::AsRecalled));
                }
                Some(Standing::By(hit)) => {
                    context.note_printed(index, hit.trace.printed);
                    context.note_host_looks(index, &hit.path_set);
                    if context.specs[index].keep == Keep::Nothing && planned.image.is_none() {
                        let (trace, path_set) = (hit.trace.clone(), hit.path_set.clone());
                        context.done.lock().push((index, Done::By { digest: hit.digest, trace, path_set }));
                    }
                    let seen = seen_inside(hit);
                    let feeding = self.fed_by(index, &seen, is_read);
                    let mut beside = self.fed_by(index, &seen, is_beside);
                    beside.retain(|step| !feeding.contains(step));
                    edges.insert(planned.id.clone(), feeding);
                    if_there.insert(planned.id.clone(), beside);
                    if planned.volatile {
                        continue;
                    }
                    let larder = context.pod.larder();
                    if keeps(&context, index) {
                        keep::remember(&context, index, hit)?;
                    }
                    if step.ran.is_none() {
                        larder.hit(&hit.trace, context.workspace)?;
                    }
                    let last = context.last.get(&planned.id);
                    if step.ran.is_some() || last.is_none_or(|last| last.trace != hit.digest) {
                        let key = Facets::of(&context.specs[index]);
                        let record = match &step.ran {
                            Some(reason) => {
                                let used = context.used.lock().get(&index).copied();
                                Record::of_run(hit.digest, key, (reason.clone(), used), last)
                            }
                            None => {
                                let ran = last.and_then(|last| last.ran.clone());
                                Record { trace: hit.digest, key, ran }
                            }
                        };
                        records::write(larder, context.workspace, &planned.id, &record)?;
                    }
                }
            }
        }
        edges.retain(|_, producers| !producers.is_empty());
        if_there.retain(|_, producers| !producers.is_empty());
        if edges != context.last_edges || if_there != context.last_edges_if_there {
            let both = (&edges, &if_there);
            records::write_edges(context.pod.larder(), context.workspace, both)?;
        }
        Ok(())
    }

    /// The steps of which a step saw something that they made, besides those that it is `after`: sorted.
    fn fed_by(&self, index: usize, seen: &SeenInside, is_fed: fn(&Looked, &RelPath) -> bool) -> Vec<StepId> {
        let made = &self.context.made;
        let promises = made.promises();
        let promised =
            seen.iter().flat_map(|look| promises.makers_of(&look.0).filter(move |_| is_fed(look, &look.0)));
        let touched = |maker: &usize| {
            let tree = made.tree(*maker);
            let sees = |path: &RelPath| seen.iter().any(|look| is_fed(look, path));
            tree.is_some_and(|tree| tree.entries().iter().any(|(path, _)| sees(path)))
        };
        let found = self.steps[index].producers.iter().copied().filter(touched);
        let mut makers: Vec<usize> = promised.chain(found).collect();
        makers.retain(|&maker| {
            maker != index && !promises.is_after(maker, index) && !promises.is_after(index, maker)
        });
        makers.sort_unstable();
        makers.dedup();
        makers.into_iter().map(|maker| self.context.plan.steps[maker].id.clone()).collect()
    }
}

/// One look, and its answer.
type Looked = (RelPath, Look, Seen);

/// Whether a look was at a path, or at its name.
fn is_read((seen, look, _): &Looked, path: &RelPath) -> bool {
    seen == path || *look == Look::Listing && path.is_within(seen)
}

/// Whether a look was at a folder that a path is in.
fn is_beside((seen, look, _): &Looked, path: &RelPath) -> bool {
    seen != path && *look != Look::Listing && path.is_within(seen)
}
