//! A pass on another pod: what it is given, and what of its answer is believed.
//!
//! The other pod gets the tree of the sources, the trees of what was made, and the plan, whose promises tell it what is still to be made.
//! A look at such a thing ends the run there: the step waits for its maker, and goes again. What comes back is a trace, and it counts
//! only if all that it observed holds here, tools included: so a pod with another compiler costs time, never truth.

use std::sync::Arc;

use larder::ObjectKind;
use node::{NewsOfRun, Place, Printed, PromisedAt, Wish};
use parking_lot::Mutex;
use protocol::event::Event;
use protocol::mesh::run::{Enclosed, RunEnd, RunFailure, RunLimits, RunOrder, RunUsage};
use protocol::plan::{SharedPlan, SharedStep};
use protocol::{Digest, Look, ObjectId, PathSet, Seen, StepSpec, Trace, Tree, TreeEntry};

use super::super::context::{Context, Stop};
use super::super::words::{shown_command, strictly};
use super::run::{Maker, explainable, print, publish, say_used};
use super::{Failed, Pass, Ran, outputs_of};
use crate::majordomo::prepare::in_project;
use crate::majordomo::records;
use crate::majordomo::sink::{Cancel, Sink};

/// The most blobs that another pod is told to fetch before a step asks for them.
const MAX_AHEAD: usize = 4096;
/// The most steps whose outputs another pod is given though nothing says that it needs them.
const MAX_MADE: usize = 256;

/// What all steps of an attempt that run on other pods have in common: objects in the larder.
#[derive(Debug, Clone)]
pub struct Shared {
    sources: Digest,
    plan: Digest,
    given: Option<Digest>,
}

/// Whether a pass may run on another pod. What it sees, uses or says has to be the same there.
pub(in super::super) fn may_go(context: &Context, index: usize, pass: &Pass) -> bool {
    context.verification.is_none()
        && is_for_all(context, index)
        && pass.state.is_none()
        && !pass.view.goes_round()
}

/// Whether other pods may run it, as far as its plan says.
fn is_for_all(context: &Context, index: usize) -> bool {
    !context.plan.steps[index].stays_home()
        && context.images.get(index).is_none()
        && !context.specs[index].alters
}

/// What other pods know of a step that they do not run: what it promises. Its commands and variables may be nobody's business.
fn promised(spec: &StepSpec) -> StepSpec {
    StepSpec { commands: Vec::new(), env: Vec::new(), ..spec.clone() }
}

fn last_trace(context: &Context, index: usize) -> Option<(Trace, Arc<PathSet>)> {
    let record = context.last.get(&context.plan.steps[index].id)?;
    records::trace(context.pod.larder(), &record.trace).ok()?
}

/// What is known of a step that is to be placed, from its last run.
pub(in super::super) fn wish(context: &Context, index: usize) -> Wish {
    let programs = context.specs[index].commands.iter().filter_map(|argv| argv.first().cloned()).collect();
    // One of a pool would keep others of it waiting.
    let may_wait = context.plan.steps[index].pool.is_none();
    let on = context.plan.steps[index].on.clone();
    let memory = context.memory_of(index);
    let mut wish = Wish { programs, on, memory, may_wait, ..Wish::default() };
    let Some((trace, set)) = last_trace(context, index) else { return wish };
    for (path, _, seen) in trace.observations(&set).into_iter().flatten() {
        match seen {
            Seen::Content { digest, .. } if in_project(path).is_some() => {
                // What is not here is as good as small: it has to be fetched wherever the step runs.
                let size = context.pod.larder().size_of(digest).ok().flatten().unwrap_or_default();
                wish.inputs.push((*digest, size.max(1)));
            }
            _ if in_project(path).is_none() => wish.tools.push(path.clone()),
            _ => {}
        }
    }
    wish
}

/// Makes what is given to other pods, once for an attempt: reads all sources that nobody has read.
pub(in super::super) async fn share(context: &Context) -> Result<(), Stop> {
    let made = match context.shared.get() {
        Some(_) => return Ok(()),
        None => shared(context).await?,
    };
    // Whoever was first has made the same.
    context.shared.set(made).ok();
    Ok(())
}

/// What is given to other pods; `None`: this project's steps stay at home.
async fn shared(context: &Context) -> Result<Option<Shared>, Stop> {
    let (files, sources) = (Arc::clone(&context.files), Arc::clone(&context.sources));
    let reading = tokio::task::spawn_blocking(move || files.tree(&*sources));
    let tree = match reading.await.map_err(|_| node::NodeError::Task("share the sources"))? {
        Ok(tree) => tree,
        Err(error @ view::SourceError::Changed { .. }) => return Err(node::NodeError::Source(error).into()),
        Err(error) => {
            // Perhaps no step needs it.
            let why = format!("steps stay on this pod, since a source cannot be read: {error}");
            context.sink.note(false, why);
            None
        }
    };
    let Some(tree) = tree else { return Ok(None) };
    let larder = context.pod.larder();
    let turns = context.made.promises();
    let step = |(index, spec): (usize, &Arc<StepSpec>)| SharedStep {
        spec: if is_for_all(context, index) { (**spec).clone() } else { promised(spec) },
        after: Arc::clone(&context.plan.steps[index].after),
        turn: turns.position(index),
    };
    let plan = SharedPlan { steps: context.specs.iter().enumerate().map(step).collect() };
    let given = match context.given.tree.is_empty() {
        true => None,
        false => Some(larder.put(ObjectKind::Tree, &context.given.tree.encode())?),
    };
    Ok(Some(Shared {
        sources: larder.put(ObjectKind::Tree, &tree.encode())?,
        plan: larder.put(ObjectKind::Blob, &plan.encode())?,
        given,
    }))
}

/// The digest of a tree, which is in the larder then.
fn put(context: &Context, tree: &Arc<Tree>) -> Result<Digest, Stop> {
    // A tree that is kept here has an address that no other one has.
    let address = Arc::as_ptr(tree) as usize;
    if let Some((_, digest)) = context.trees_put.lock().get(&address) {
        return Ok(*digest);
    }
    let digest = context.pod.larder().put(ObjectKind::Tree, &tree.encode())?;
    context.trees_put.lock().insert(address, (Arc::clone(tree), digest));
    Ok(digest)
}

/// The order for a pass. `producers`: whose outputs it sees besides those of the steps before it.
fn order(
    context: &Context,
    index: usize,
    (pass, producers): (&Pass, &[usize]),
    shared: Shared,
) -> Result<RunOrder, Stop> {
    let given = shared.given.filter(|_| index >= context.given.to);
    let mut over: Vec<Digest> = given.into_iter().collect();
    for tree in context.made.trees_for(index, producers) {
        over.push(put(context, &tree)?);
    }
    let mut made = Vec::new();
    // It will look at those; at others perhaps, and each look at what it is not given is a round.
    let others = (0..context.plan.steps.len()).filter(|step| *step != index && !producers.contains(step));
    for producer in producers.iter().copied().chain(others) {
        if made.len() < MAX_MADE.max(producers.len())
            // What it promises is all that is looked up there.
            && !context.specs[producer].out.is_empty()
            && let Some(tree) = context.made.good(producer)
        {
            made.push((producer, put(context, &tree)?));
        }
    }
    let mut ahead = Vec::new();
    if let Some((trace, set)) = last_trace(context, index) {
        for (path, look, _) in trace.observations(&set).into_iter().flatten() {
            if let (Look::Content, Some(inside)) = (look, in_project(path))
                && ahead.len() < MAX_AHEAD
                // What is promised and unmade, or gone, is nothing to fetch.
                && let Ok(Some(digest)) = pass.project.digest_now(&inside)
            {
                ahead.push(digest);
            }
        }
    }
    let planned = &context.plan.steps[index];
    let kitchen::Limits { memory, milli_cpus, processes, open_files, disk, time } = planned.limits;
    let mut order = RunOrder {
        run: 0,
        workspace: context.workspace,
        label: format!("{}: {}", context.project, planned.id),
        plan: shared.plan,
        step: index,
        sources: shared.sources,
        over,
        made,
        ahead,
        lists: None,
        tool_roots: context.tool_roots.clone(),
        timeout: planned.timeout,
        limits: RunLimits { memory, milli_cpus, processes, open_files, disk, time },
        may_wait: false,
        memory: None,
    };
    if let Some(lists) = order.take_long_lists() {
        order.lists = Some(context.pod.larder().put(ObjectKind::Blob, &lists.encode())?);
    }
    Ok(order)
}

/// That a step begins on another pod: said once, when it does.
pub(in super::super) struct AwayStart {
    sink: Sink,
    event: Mutex<Option<Event>>,
}

impl AwayStart {
    /// To be said by this event.
    pub fn new(context: &Context, event: Event) -> Self {
        Self { sink: context.sink.clone(), event: Mutex::new(Some(event)) }
    }

    fn is_said(&self) -> bool {
        self.event.lock().is_none()
    }

    /// Says it, unless it was said.
    pub fn say(&self) {
        if let Some(event) = self.event.lock().take() {
            self.sink.event(event);
        }
    }
}

fn not_away(why: impl Into<String>) -> Ran {
    Ran::NotAway { why: why.into(), is_final: true }
}

/// Runs a pass on another pod. `cancel` ends it, and so does the build's own. Dropping the future ends it too.
pub(in super::super) async fn run_away(
    context: &Context,
    index: usize,
    (pass, producers): (Pass, Vec<usize>),
    (place, wish): (Box<dyn Place>, Wish),
    (start, cancel): (AwayStart, Cancel),
) -> Result<Ran, Stop> {
    let Some(shared) = context.shared.get().cloned().flatten() else {
        return Ok(not_away("the project cannot be given to other pods"));
    };
    let order = RunOrder { memory: wish.memory, ..order(context, index, (&pass, &producers), shared)? };
    let id = &context.plan.steps[index].id;
    let (printed, enclosed) = (Mutex::new(Printed::default()), Mutex::new(Vec::new()));
    let on_news = |news| match news {
        NewsOfRun::Begun => start.say(),
        NewsOfRun::Again(why) => {
            if !cancel.is_set() {
                context.sink.event(Event::StepRestarted { step: id.clone(), why });
            }
            *printed.lock() = Printed::default();
        }
        NewsOfRun::Line(line) => {
            if !cancel.is_set() {
                print(&context.sink, id, &line);
            }
            printed.lock().push(line);
        }
        NewsOfRun::Used(RunUsage { user, system, memory }) => {
            context.used.lock().insert(index, memory);
            if !cancel.is_set() && !context.cancel.is_set() {
                say_used(&context.sink, id, (user, system), memory);
            }
        }
        NewsOfRun::Enclosed(object) => enclosed.lock().push(object),
    };
    let ended = async {
        tokio::select! {
            () = context.cancel.wait() => {}
            () = cancel.wait() => {}
        }
    };
    let end = place.run(order, &on_news, Box::pin(ended)).await;
    let enclosed = std::mem::take(&mut *enclosed.lock());
    match end {
        RunEnd::Made { trace, path_set } => {
            let there = (&*place, &wish);
            let ran = taken_over(context, index, &pass, there, (trace, path_set, enclosed)).await;
            match ran {
                Err(Stop::NotYet(path)) => Ok(unmade(context, index, &path)),
                ran => ran,
            }
        }
        RunEnd::Unmade(path) => Ok(unmade(context, index, &path)),
        RunEnd::Cancelled if cancel.is_set() || context.cancel.is_set() => Ok(Ran::Cancelled),
        RunEnd::Cancelled => Ok(Ran::NotAway { why: format!("{} ended it", place.pod()), is_final: false }),
        RunEnd::Failed(failure) => {
            let printed = std::mem::take(&mut *printed.lock());
            failed(context, index, &pass, (&*place, &wish), (failure, &printed, enclosed)).await
        }
        RunEnd::NotRun(_) if !start.is_said() => Ok(Ran::NotBegun),
        RunEnd::NotRun(why) => Ok(Ran::NotAway { why: format!("{}: {why}", place.pod()), is_final: false }),
    }
}

fn unmade(context: &Context, index: usize, path: &protocol::RelPath) -> Ran {
    match context.made.promises().at(index, path) {
        Some(PromisedAt::By(by)) => Ran::Unmade(by),
        _ => not_away(format!("it looked at `{path}`, which nobody makes")),
    }
}

/// Why what another pod saw is not what is seen here, if it is not.
async fn differs(
    context: &Context,
    pass: &Pass,
    (place, wish): (&dyn Place, &Wish),
    (trace, set): (&Trace, &PathSet),
) -> Result<Option<String>, Stop> {
    let differences = context.evaluator.differences(trace, set, &pass.project, 1).await?;
    let Some((path, ..)) = differences.first() else { return Ok(None) };
    let pod = place.pod();
    if in_project(path).is_some() {
        return Ok(Some(format!("`{path}` is not what {pod} saw")));
    }
    if place.differs(wish, path) {
        let said = format!("{pod} has another `/{path}`: its results are not used where that matters");
        context.sink.note(true, said);
    }
    Ok(Some(format!("{pod} has another `/{path}`")))
}

/// Stores those objects that came along and are wanted. They are hashed for that, as all that arrives.
fn keep_enclosed(context: &Context, enclosed: &[Enclosed], wanted: &[ObjectId]) -> Result<(), Stop> {
    for object in enclosed.iter().filter(|object| wanted.contains(&object.id())) {
        context.pod.larder().put(object.kind, &object.bytes)?;
    }
    Ok(())
}

/// A failure on another pod, if the step would fail here as well: it saw what is seen here.
async fn failed(
    context: &Context,
    index: usize,
    pass: &Pass,
    there: (&dyn Place, &Wish),
    (failure, printed, enclosed): (RunFailure, &Printed, Vec<Enclosed>),
) -> Result<Ran, Stop> {
    let RunFailure { exit, why, limit, command, saw, path_set } = failure;
    let supply = context.pod.supply();
    let (Some(saw), Some(set)) = (saw, path_set) else { return Ok(not_away(why)) };
    let named = [ObjectId::blob(saw), ObjectId { kind: ObjectKind::PathSet, digest: set }];
    keep_enclosed(context, &enclosed, &named)?;
    let set = supply.get(ObjectKind::PathSet, &set).await?.and_then(|bytes| PathSet::decode(&bytes).ok());
    let saw = supply.get(ObjectKind::Blob, &saw).await?.and_then(|bytes| Trace::decode(&bytes).ok());
    let (Some(saw), Some(set)) = (saw, set) else { return Ok(not_away(why)) };
    let is_of_it = saw.weak == context.specs[index].weak_key() && saw.path_set == set.digest();
    let differs = match differs(context, pass, there, (&saw, &set)).await {
        Err(Stop::NotYet(path)) => return Ok(unmade(context, index, &path)),
        differs => differs?,
    };
    if !is_of_it || saw.seen.len() != set.looks().len() || differs.is_some() {
        return Ok(not_away(differs.unwrap_or(why)));
    }
    let inside = saw.observations(&set).into_iter().flatten();
    let inside = inside.filter_map(|(path, look, seen)| Some((in_project(path)?, look, seen.clone())));
    let command = context.specs[index].commands.get(command).map(|argv| shown_command(argv));
    let output = explainable(printed);
    Ok(Ran::Failed(Box::new(Failed { exit, failure: why, limit, command, output, seen: inside.collect() })))
}

/// What another pod's run came to, if all that it observed holds here.
async fn taken_over(
    context: &Context,
    index: usize,
    pass: &Pass,
    (place, wish): (&dyn Place, &Wish),
    (digest, set, enclosed): (Digest, Digest, Vec<Enclosed>),
) -> Result<Ran, Stop> {
    let supply = context.pod.supply();
    let objects = [(ObjectKind::Trace, digest), (ObjectKind::PathSet, set)];
    let objects = objects.map(|(kind, digest)| ObjectId { kind, digest });
    keep_enclosed(context, &enclosed, &objects)?;
    supply.bring(objects.to_vec(), node::Urgency::Urgent).await?;
    let Some((trace, set)) = records::trace(supply.larder(), &digest)? else {
        return Ok(not_away("its trace did not come"));
    };
    let is_of_it = trace.weak == context.specs[index].weak_key() && trace.observations(&set).is_some();
    if !is_of_it || supply.larder().is_revoked(&digest)? {
        return Ok(not_away("its trace is of something else"));
    }
    if let Some(why) = differs(context, pass, (place, wish), (&trace, &set)).await? {
        return Ok(not_away(why));
    }
    let printed = trace.printed.map(ObjectId::blob);
    let tree = ObjectId { kind: ObjectKind::Tree, digest: trace.outputs };
    keep_enclosed(context, &enclosed, &printed.into_iter().chain([tree]).collect::<Vec<_>>())?;
    let Some(tree) = outputs_of(context, &trace).await? else {
        return Ok(not_away("what it made is gone"));
    };
    let files = tree.entries().iter().filter_map(|(_, entry)| match entry {
        TreeEntry::File { digest, .. } => Some(*digest),
        _ => None,
    });
    // What it read has come there for it.
    place.holds(&files.chain(wish.inputs.iter().map(|(digest, _)| *digest)).collect::<Vec<_>>());
    let planned = &context.plan.steps[index];
    if planned.strict
        && let Some(broken) = strictly(context, planned, &set, &tree)
    {
        return Ok(not_away(broken));
    }
    let made = (trace, (*set).clone(), tree);
    Ok(Ran::Made(Box::new(publish(context, index, made, Maker::Elsewhere(place.id())).await?)))
}
