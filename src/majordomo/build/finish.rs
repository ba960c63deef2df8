//! The end of a good build: outputs into the user's folder, and the stamp record for the build with nothing to do.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use larder::ObjectKind;
use node::{Printed, Urgency};
use protocol::{Look, ObjectId, RelPath, TreeEntry};
use rustc_hash::FxHashSet;

use super::context::{Context, Done, Stop};
use super::{Asked, Fallible};
use crate::majordomo::border;
use crate::majordomo::handover::{
    Conflict, Delivery, HandOverError, InTheWay, Wanted as Output, hand_over as deliver, take_back,
};
use crate::majordomo::noop::{self, Answer};
use crate::majordomo::plan::{Meaning, Wanted};
use crate::majordomo::prepare::Prepared;
use crate::majordomo::recall::{self, RecallBuilder};
use crate::majordomo::request::Failure;
use crate::majordomo::sink::Sink;
use crate::majordomo::snapshot::record::HostFile;
use crate::majordomo::snapshot::{Entry, StampRecord};
use crate::majordomo::workspace::{Lock, Made, stamp_of};

fn failed(error: HandOverError) -> Box<Failure> {
    Box::new(border::handover(&error))
}

/// Outputs that the user edited and that this plan's steps still make stop the build before it begins, or are moved
/// aside; whether something was moved, so that the project has to be looked at again.
pub fn edited(prepared: &mut Prepared, is_to_move: bool, lock: &Lock, sink: &Sink) -> Fallible<bool> {
    let is_made = |path: &RelPath| {
        let by = prepared.manifest.get(path).map(|output| &output.step);
        prepared.plan.producer(path).is_some() || by.is_some_and(|step| prepared.plan.step(step).is_some())
    };
    let edited: Vec<RelPath> =
        prepared.snapshot.report().edited.iter().filter(|path| is_made(path)).cloned().collect();
    if edited.is_empty() {
        return Ok(false);
    }
    if !is_to_move {
        let conflicts = edited.into_iter().map(|path| Conflict { path, what: InTheWay::Edited });
        return Err(failed(HandOverError::Conflicts(conflicts.collect())));
    }
    let moved = take_back(&prepared.workspace, lock, &mut prepared.manifest, &edited).map_err(failed)?;
    for (from, to) in &moved {
        sink.note(false, format!("`{from}` was edited by hand: moved to `{to}`"));
    }
    Ok(!moved.is_empty())
}

/// Whether a path of the outputs is asked for.
pub fn is_wanted(meaning: &Meaning, path: &RelPath, step: usize) -> bool {
    match meaning {
        Meaning::Everything => true,
        Meaning::Steps(steps) => steps.contains(&step),
        Meaning::Outputs(outputs) => outputs.iter().any(|(output, _)| path.is_within(output)),
        Meaning::Undeclared(asked) => path.is_within(asked),
    }
}

/// Hands over what is wanted, and records the build. Returns how many outputs were written or removed.
pub async fn hand_over(
    context: &Arc<Context>,
    prepared: Prepared,
    wanted: Wanted,
    steps: Vec<usize>,
    asked: &Asked,
    lock: Arc<Lock>,
) -> Result<u64, Stop> {
    let (context, asked) = (Arc::clone(context), asked.clone());
    let finishing =
        tokio::task::spawn_blocking(move || write(&context, prepared, &wanted, &steps, &asked, &lock));
    finishing.await.map_err(|_| Stop::from(node::NodeError::Task("hand-over")))?
}

/// Hands over what is wanted and could be made, in a build that kept going after a failure. Outputs of steps that were not
/// brought to their ends stay as they are; the build is neither recorded nor remembered.
pub async fn hand_over_the_rest(
    context: &Arc<Context>,
    mut prepared: Prepared,
    wanted: Wanted,
    (steps, good): (Vec<usize>, Vec<usize>),
    lock: Arc<Lock>,
) -> Result<u64, Stop> {
    let context = Arc::clone(context);
    let finishing = tokio::task::spawn_blocking(move || {
        let outputs = context.made.merged(&good);
        deliver_all(&context, &mut prepared, &wanted, &steps, &outputs, &lock)
    });
    finishing.await.map_err(|_| Stop::from(node::NodeError::Task("hand-over")))?
}

fn write(
    context: &Context,
    mut prepared: Prepared,
    wanted: &Wanted,
    steps: &[usize],
    asked: &Asked,
    lock: &Lock,
) -> Result<u64, Stop> {
    let outputs = context.made.merged(steps);
    if let Some((path, asked)) = missing(context, wanted, steps) {
        return Err(Stop::Fatal(nobody_makes(context, path, asked)));
    }
    let written = deliver_all(context, &mut prepared, wanted, steps, &outputs, lock)?;
    remember(context, &prepared);
    record(context, &prepared, steps, asked);
    Ok(written)
}

/// A target of which nobody said that it will be made, and that nobody made.
pub(super) fn missing<'a>(
    context: &Context,
    wanted: &'a Wanted,
    steps: &[usize],
) -> Option<(&'a RelPath, &'a str)> {
    let mut loose = wanted.targets.iter().flat_map(|target| {
        target.meaning.loose(&context.plan).into_iter().map(|path| (path, target.asked.as_str()))
    });
    let made = |path: &RelPath| {
        let trees = steps.iter().filter_map(|&step| context.made.tree(step));
        let entries = |tree: Arc<protocol::Tree>| {
            tree.entries().iter().any(|(made, entry)| *entry != TreeEntry::Deleted && made.is_within(path))
        };
        trees.into_iter().any(entries)
    };
    loose.find(|(path, _)| !made(path))
}

/// Brings the user's folder to what the steps that are done made.
fn deliver_all(
    context: &Context,
    prepared: &mut Prepared,
    wanted: &Wanted,
    steps: &[usize],
    outputs: &[(RelPath, TreeEntry, usize)],
    lock: &Lock,
) -> Result<u64, Stop> {
    let id = |step: usize| context.plan.steps[step].id.clone();
    let mut delivery = Delivery::default();
    let mut made: BTreeMap<&RelPath, usize> = BTreeMap::new();
    let is_mark = |path: &RelPath, step: usize| context.specs[step].is_mark(path);
    for (path, entry, step) in outputs.iter().filter(|(path, _, step)| !is_mark(path, *step)) {
        made.insert(path, *step);
        if *entry != TreeEntry::Deleted
            && !is_source(context, path)
            && wanted.targets.iter().any(|target| is_wanted(&target.meaning, path, *step))
            && let Some(what) = Made::from_entry(entry)
        {
            delivery.wanted.push(Output { path: path.clone(), made: what, step: id(*step) });
        }
    }
    let done: FxHashSet<usize> =
        steps.iter().copied().filter(|&step| context.made.good(step).is_some()).collect();
    // The step may have another name by now, and have failed under it.
    let are_all_done = done.len() == steps.len();
    for (path, output) in prepared.manifest.entries() {
        let is_stale = match context.plan.step(&output.step) {
            None => are_all_done,
            Some(step) => done.contains(&step) && !made.contains_key(path),
        };
        if is_stale && output.made != Made::Folder && !made.contains_key(path) {
            delivery.obsolete.push(path.clone());
        }
    }
    fetch(context, &delivery)?;
    let restamped = prepared.snapshot.report().restamped.clone();
    prepared.manifest.restamp(restamped);
    let report = deliver(&prepared.workspace, lock, &mut prepared.manifest, context.pod.larder(), &delivery)
        .map_err(|error| match error {
            HandOverError::Gone { path, .. } => Stop::Lost(path),
            error => Stop::Fatal(failed(error)),
        })?;
    for path in report.left {
        context
            .sink
            .note(true, format!("`{path}` is made by no step any more, and was edited: it is yours now"));
    }
    Ok((report.written + report.removed) as u64)
}

/// Whether a source stands at a path or above it: what a step made of it is for the steps after it.
fn is_source(context: &Context, path: &RelPath) -> bool {
    let is_one = |path: &RelPath| {
        matches!(context.sources.get(path), Some(node::Entry::Source { .. } | node::Entry::Link { .. }))
    };
    is_one(path) || path.ancestors().any(|above| is_one(&above))
}

/// Brings the bytes of what is wanted into the larder that other pods made: all at once.
fn fetch(context: &Context, delivery: &Delivery) -> Result<(), Stop> {
    let blobs = delivery.wanted.iter().filter_map(|output| match &output.made {
        Made::File { digest, .. } => Some(ObjectId::blob(*digest)),
        _ => None,
    });
    let bringing = context.pod.supply().bring(blobs, Urgency::Urgent);
    Ok(context.pod.runtime().block_on(bringing)?)
}

/// Writes the recall of this build.
fn remember(context: &Context, prepared: &Prepared) {
    let snapshot = &prepared.snapshot;
    let stamp = |path: &RelPath| match snapshot.get(path) {
        Some(Entry::File { stamp, .. }) if snapshot.is_settled(path) => Some(stamp),
        _ => None,
    };
    let all = context.done.lock();
    if all.iter().all(|(_, done)| matches!(done, Done::AsRecalled))
        && context.recall.is_still(all.len(), &context.evaluator, stamp)
    {
        return;
    }
    let mut builder = RecallBuilder::new(&context.recall, &context.evaluator);
    for (index, done) in all.iter() {
        let id = &context.plan.steps[*index].id;
        match (done, context.made.tree(*index)) {
            (Done::AsRecalled, _) => builder.again(id),
            (Done::By { digest, trace, path_set }, Some(tree)) => {
                builder.add(id, *digest, trace, path_set, tree);
            }
            (Done::By { .. }, None) => {}
        }
    }
    drop(all);
    let home = context.pod.home().path();
    if let Err(error) = builder.save(home, prepared.workspace.id(), &recall::promises(&prepared.plan), stamp)
    {
        tracing::debug!(%error, "the build could not be remembered");
    }
}

fn nobody_makes(context: &Context, path: &RelPath, asked: &str) -> Box<Failure> {
    let is_source = context.sources.get(path).is_some();
    let promised = context.plan.producer(path).map(|step| &context.plan.steps[step].id);
    let failure = border::mistake(match (is_source, promised) {
        (true, _) => format!("`{path}` is a source: no step makes it"),
        (false, Some(step)) => {
            format!("no step makes `{path}`: it is in a folder that `{step}` promises, and not there")
        }
        (false, None) => format!("no step makes `{path}`"),
    });
    Box::new(match context.plan.nearest(asked) {
        Some(near) if !is_source => failure.hint(format!("did you mean `{near}`?")),
        _ => failure.hint("`majordomo graph` shows all steps"),
    })
}

/// Records the build, so that the next one may have nothing to do. No record is no error: the next build looks closer.
fn record(context: &Context, prepared: &Prepared, steps: &[usize], asked: &Asked) {
    // Whoever could not be asked is asked again.
    let is_half_planned = prepared.by_chefs.as_ref().is_some_and(|chefs| !chefs.is_whole);
    // As is whoever was called in, and failed.
    let are_all_good = steps.iter().all(|&step| context.made.good(step).is_some());
    if is_half_planned
        || !are_all_good
        || !noop::may_answer(asked)
        || steps.iter().any(|&step| {
            let planned = &context.plan.steps[step];
            planned.volatile || planned.image.is_some()
        })
    {
        return noop::forget(&prepared.workspace);
    }
    let host = host_files(context, prepared);
    let taken = match (host, answer(context, prepared, steps, asked)) {
        (Some(host), Some(answer)) => {
            StampRecord::take(&prepared.snapshot, &prepared.manifest, &host, answer.encode())
                .map_err(|why| why.to_string())
        }
        _ => Err("something changed meanwhile, or too much was printed".to_owned()),
    };
    let saved = taken.and_then(|record| record.save(&prepared.workspace).map_err(|error| error.to_string()));
    if let Err(why) = saved {
        tracing::debug!(why, "no stamp record this time");
        noop::forget(&prepared.workspace);
    }
}

/// The stamps of all that steps looked at outside of the project; `None` if something is not what it was for them.
fn host_files(context: &Context, prepared: &Prepared) -> Option<Vec<HostFile>> {
    let looks = context.all_host_looks();
    let chefs = prepared.by_chefs.as_deref();
    let mut stamps: BTreeMap<&RelPath, Option<_>> = BTreeMap::new();
    for (path, _) in
        looks.iter().chain(chefs.iter().flat_map(|chefs| chefs.rounds.iter().flat_map(|(_, looks)| looks)))
    {
        if stamps.contains_key(path) {
            continue;
        }
        let stamp = match rustix::fs::lstat(path.under(Path::new("/"))) {
            Ok(stat) => Some(stamp_of(&stat)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => None,
            Err(_) => return None,
        };
        stamps.insert(path, stamp);
    }
    // The stamps are those of what the steps saw only if it has not changed until now.
    let is_other = |tools: &view::HostTools, looks: &FxHashSet<(RelPath, Look)>| {
        !tools.verify(looks.iter().map(|(path, look)| (path, *look))).is_empty()
    };
    let mut rounds = chefs.iter().flat_map(|chefs| &chefs.rounds);
    if is_other(&context.tools, &looks) || rounds.any(|(tools, looks)| is_other(tools, looks)) {
        return None;
    }
    let absolute = |path: &RelPath| [b"/".as_slice(), path.as_bytes()].concat().into_boxed_slice();
    let seen = stamps.into_iter().map(|(path, stamp)| HostFile { path: absolute(path), stamp });
    let of_chefs = chefs.iter().flat_map(|chefs| &chefs.files).chain(&prepared.lenses.files);
    Some(seen.chain(of_chefs.cloned()).collect())
}

fn answer(context: &Context, prepared: &Prepared, steps: &[usize], asked: &Asked) -> Option<Answer> {
    let mut printed = Vec::new();
    let mut bytes = 0;
    for (step, digest) in context.printed.lock().iter() {
        let blob = context.pod.larder().get(ObjectKind::Blob, digest).ok()??;
        bytes += blob.len();
        if bytes > noop::MAX_PRINTED {
            return None;
        }
        let id = &context.plan.steps[*step].id;
        let lines = Printed::decode(&blob).ok()?;
        printed.extend(lines.lines().iter().map(|line| (id.clone(), line.stream, line.bytes.clone())));
    }
    let environment: HashMap<String, String> = asked.environment.iter().cloned().collect();
    let names = prepared.passed_on.clone();
    Some(Answer {
        question: noop::question(context.pod.home().path(), &asked.targets),
        variables: (names.clone(), noop::passed_on(&names, &environment)),
        tool_roots: (context.plan.tool_roots.clone(), noop::tool_roots_digest(&prepared.tool_roots)),
        steps: steps.len() as u64 + prepared.by_chefs.as_ref().map_or(0, |chefs| chefs.steps),
        printed,
    })
}
