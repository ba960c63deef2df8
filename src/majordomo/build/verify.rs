//! `verify`: everything that is wanted is run again, and held against what was there before.
//!
//! After an ordinary good build a second attempt adopts nothing: each step runs in a fresh sandbox over the same view, and
//! what it makes is held against the first result for the same strong key, which stays what consumers see. A step that
//! does not see its own outputs is run a third time with them visible: whoever then makes something else should say `keep`.
//! Steps that go round begin from nothing, and where they settle is held against where they had settled before.
//! Nothing is published, remembered or handed over; a crash loses the report.

use std::sync::Arc;

use node::{Outputs, OutputsBuilder, StepEnd, StepOrder};
use parking_lot::Mutex;
use protocol::{Keep, PathSet, RelPath, StepSpec, Trace, Tree, TreeEntry};
use rustc_hash::FxHashMap;
use view::{SourceError, SourceFailure};

use super::context::{Context, Stop};
use super::demand::StepView;
use super::differing::{first_difference, in_what};
use super::step::{Hit, Pass, outputs_of};
use crate::majordomo::records;
use crate::majordomo::request::{Differing, VerifyDifference, VerifyReport};
use crate::majordomo::secrets;
use crate::majordomo::sink::Cancel;

/// What a verification has found so far.
#[derive(Default)]
pub(super) struct Verification {
    found: Mutex<Vec<VerifyDifference>>,
    /// Steps that go round, to be run with their own outputs when all have settled: what they see of the others besides promises.
    later: Mutex<FxHashMap<usize, Outputs>>,
}

impl Verification {
    fn found(&self, context: &Context, index: usize, differing: Differing, words: String) {
        let step = context.plan.steps[index].id.clone();
        self.found.lock().push(VerifyDifference { step, differing, words });
    }

    /// All that was found, by step.
    pub(super) fn report(&self, steps: usize) -> VerifyReport {
        let mut differences = self.found.lock().clone();
        differences.sort_by(|a, b| (&a.step, a.differing).cmp(&(&b.step, b.differing)));
        VerifyReport { steps: steps as u64, differences }
    }
}

/// A run is held against the first result for the same strong key, which stays.
pub(super) async fn compare(
    context: &Context,
    index: usize,
    verification: &Verification,
    (trace, path_set, outputs): (Trace, PathSet, Tree),
) -> Result<Hit, Stop> {
    let larder = context.pod.larder();
    let now = Hit {
        digest: trace.digest(),
        tree: Arc::new(outputs),
        path_set: Arc::new(path_set),
        trace: Arc::new(trace),
    };
    if context.plan.steps[index].volatile {
        return Ok(now);
    }
    let Some((digest, first)) = larder.trace(&now.trace.strong())? else { return Ok(now) };
    let Some(tree) = outputs_of(context, &first).await? else { return Ok(now) };
    if let Some(words) = first_difference(larder, &tree, &now.tree) {
        verification.found(context, index, Differing::NotDeterministic, words);
    }
    Ok(Hit { digest, trace: first, path_set: now.path_set, tree: Arc::new(tree) })
}

/// Runs a step once more, with what it made visible to it. The turn of steps that go round is [`with_own_at_last`]: what they look
/// at may not be made yet, or not for the last time.
pub(super) async fn with_own(
    context: &Context,
    index: usize,
    verification: &Verification,
    pass: &Pass,
    hit: &Hit,
    cancel: &Cancel,
) -> Result<(), Stop> {
    let is_later = pass.view.goes_round() || verification.later.lock().contains_key(&index);
    let seen = (&pass.view, &pass.outputs, &*hit.tree);
    if is_later || own_run(context, index, verification, seen, cancel).await? == Own::NotYet {
        verification.later.lock().insert(index, pass.outputs.clone());
    }
    Ok(())
}

/// Runs the steps of circles with what they settled at visible to them.
pub(super) async fn with_own_at_last(context: &Context, verification: &Verification) -> Result<(), Stop> {
    let later = std::mem::take(&mut *verification.later.lock());
    for (index, outputs) in later {
        let Some(tree) = context.made.good(index) else { continue };
        let view = Arc::new(StepView::new(Arc::clone(&context.made), index, Default::default()));
        let seen = (&view, &outputs, &*tree);
        if own_run(context, index, verification, seen, &Cancel::default()).await? == Own::NotYet {
            let words = "it looks then for what is not made".to_owned();
            verification.found(context, index, Differing::OwnOutputs, words);
        }
    }
    Ok(())
}

/// What came of a run with its own outputs.
#[derive(PartialEq, Eq)]
enum Own {
    /// It was compared, or need not be.
    Done,
    /// It looked at what is not made yet.
    NotYet,
}

async fn own_run(
    context: &Context,
    index: usize,
    verification: &Verification,
    (view, outputs, made): (&Arc<StepView>, &Outputs, &Tree),
    cancel: &Cancel,
) -> Result<Own, Stop> {
    let planned = &context.plan.steps[index];
    let is_known_to_differ = verification.found.lock().iter().any(|found| found.step == planned.id);
    let is_fresh = context.specs[index].keep == Keep::Nothing;
    if !is_fresh || planned.volatile || made.is_empty() || is_known_to_differ {
        return Ok(Own::Done);
    }
    let mut builder = OutputsBuilder::over(outputs.clone());
    builder.apply(made);
    let order = StepOrder {
        spec: Arc::new(StepSpec { keep: Keep::Everything, ..(*context.specs[index]).clone() }),
        project: Arc::new(context.project(index, view, builder.finish())),
        tools: context.tools_of(index),
        image: context.images.get(index).map(|image| Arc::clone(&image.root)),
        timeout: planned.timeout,
        limits: planned.limits,
        secrets: secrets::resolve(&planned.secrets, &context.caller).unwrap_or_default(),
        previous: None,
        sandbox: context.sandbox(),
        clock: Default::default(),
        is_followed: false,
    };
    let ended = async {
        tokio::select! {
            () = context.cancel.wait() => {}
            () = cancel.wait() => {}
        }
    };
    let run = context.pod.run(order, &|_| (), || (), ended).await?;
    let words = match run.end {
        StepEnd::Made { outputs, .. } => {
            // What it did not write stayed as it was.
            let differs = |(path, entry): &&(RelPath, TreeEntry)| made.get(path) != Some(entry);
            let Some((path, entry)) = outputs.entries().iter().find(differs) else { return Ok(Own::Done) };
            let how = in_what(context.pod.larder(), made.get(path), Some(entry));
            format!("`{path}` {how}")
        }
        StepEnd::Failed(kitchen::HowEnded::Cancelled) => return Ok(Own::Done),
        StepEnd::Unreadable(SourceFailure { error: SourceError::NotYet { .. }, .. }) => {
            return Ok(Own::NotYet);
        }
        StepEnd::SourceChanged(path) | StepEnd::Lost(path) => {
            return Err(Stop::Lost(path));
        }
        _ => "it fails then".to_owned(),
    };
    verification.found(context, index, Differing::OwnOutputs, words);
    Ok(Own::Done)
}

/// Where steps came to from nothing is held against what the build before had come to.
pub(super) async fn compare_ends(
    context: &Context,
    verification: &Verification,
    steps: &[usize],
) -> Result<(), Stop> {
    let larder = context.pod.larder();
    let last = records::all(larder, context.workspace)?;
    for &index in steps {
        let id = &context.plan.steps[index].id;
        let before = match records::state(larder, context.workspace, id)? {
            Some(settled) => Some(settled.tree),
            None => match last.get(id) {
                Some(record) => match records::trace(larder, &record.trace)? {
                    Some((trace, _)) => outputs_of(context, &trace).await?,
                    None => None,
                },
                None => None,
            },
        };
        if let (Some(before), Some(now)) = (before, context.made.tree(index))
            && let Some(words) = first_difference(larder, &before, &now)
        {
            verification.found(context, index, Differing::Settled, words);
        }
    }
    Ok(())
}
