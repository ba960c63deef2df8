//! Steps of other pods' builds in this pod's kitchen.
//!
//! Actors. [`Kitchen`] takes orders while it has free slots, and as many as it has slots to come next, so that none is idle while reports and orders
//! are on their way. It runs them over what the order names – pulled over the swarm, most of it as the step
//! opens it –, with the tools of this machine, publishes what comes of them as it does for its own, and reports to the pod that asked
//! ([`telling`]), which answers whether it still wants the run. A slot goes to the next step when the commands have ended, while what they made is judged and stored.
//!
//! Errors: what cannot be run is [`RunEnd::NotRun`], and nobody here is told. A crash loses the steps that run; whoever asked finds out.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backplane::Mesh;
use backplane::federation::{MAX_REASON, readable};
use futures::FutureExt;
use futures::future::{BoxFuture, FusedFuture};
use kitchen::{Clock, HowEnded, Limits, Usage};
use larder::{Added, ObjectKind};
use node::{
    Access, MAX_READ, Names, OutputsBuilder, Pod, Project, Promised, PromisedAt, Share, SharedSources, Slot,
    SourceFiles, StepEnd, StepNews, StepOrder, StepRun, Urgency, to_read,
};
use parking_lot::Mutex;
use protocol::mesh::run::{RunAnswer, RunEnd, RunFailure, RunLimits, RunLists, RunOrder, RunUsage};
use protocol::plan::SharedPlan;
use protocol::{Digest, Keep, ObjectId, PodId, RelPath, Tree};
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, oneshot};
use view::{HostTools, SourceError};

mod telling;

use telling::Told;

use super::load;
use super::owned::{Estate, MadeFor};
use super::projects::own_environment;
use crate::majordomo::build::{Promises, failure_words, limit_of, restarted_words};
use crate::majordomo::sink::Cancel;
use crate::majordomo::tool_roots;

/// Runs of one pod that are not over, those whose ends it has not heard among them.
const MAX_RUNS: usize = 1024;
/// Plans and source trees that are kept for the next step of a build.
const KEPT: usize = 8;

/// Runs steps of others.
pub(super) struct Kitchen {
    mesh: Arc<Mesh>,
    estate: Estate,
    pod: Pod,
    share: Share,
    slots: u32,
    /// Bytes of memory for all steps together; none: what is free.
    memory: Option<u64>,
    runs: Mutex<FxHashMap<(PodId, u64), Taken>>,
    /// Runs whose commands have ended, and that are judged without a slot.
    judged: Semaphore,
    plans: Mutex<Vec<(Digest, Arc<Known>)>>,
    sources: Mutex<Vec<(Digest, Arc<SharedSources>)>>,
    /// The tools that steps see; made anew when no step has run for a while.
    tools: Mutex<Option<(Vec<RelPath>, Arc<HostTools>)>>,
}

/// A run that was taken.
struct Taken {
    cancel: Cancel,
    /// It has no slot yet.
    waits: bool,
}

/// How a run gets its slot: what it was taken with, and whom to tell when one that waited has it.
type Begins = (Option<Slot>, oneshot::Sender<()>);

/// A plan, and what follows from it.
struct Known {
    plan: SharedPlan,
    promises: Promises,
}

/// The promises of other steps, as a step from elsewhere sees them.
struct Promise {
    plan: Arc<Known>,
    step: usize,
    made: FxHashMap<usize, Arc<Tree>>,
    /// What it looked at that is not made; the run ends then.
    unmade: Mutex<Option<RelPath>>,
    ends: Cancel,
}

impl Promised for Promise {
    fn at(&self, path: &RelPath) -> Option<PromisedAt> {
        self.plan.promises.at(self.step, path)
    }

    fn names(&self, folder: &RelPath) -> Names {
        self.plan.promises.names(self.step, folder)
    }

    fn made(&self, by: usize) -> Option<Option<Arc<Tree>>> {
        self.made.get(&by).map(|tree| Some(Arc::clone(tree)))
    }

    fn make<'a>(
        &'a self,
        _: usize,
        path: &'a RelPath,
    ) -> BoxFuture<'a, Result<Option<Arc<Tree>>, SourceError>> {
        self.unmade.lock().get_or_insert_with(|| path.clone());
        self.ends.set();
        Box::pin(std::future::ready(Err(SourceError::NotYet { path: path.clone() })))
    }
}

/// What holds for a step here, and what was wanted for it.
struct Bound<T> {
    here: T,
    wanted: T,
}

impl<T: PartialEq> Bound<T> {
    fn is_less(&self) -> bool {
        self.here != self.wanted
    }
}

/// Why an order is not run, in words for whoever asked.
struct NotRun(String);

impl<E: std::error::Error> From<E> for NotRun {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Kitchen {
    /// With so many slots and bytes of memory for steps, those of this pod's own builds among them.
    pub fn new(mesh: Arc<Mesh>, estate: Estate, pod: Pod, (slots, memory): (u32, Option<u64>)) -> Arc<Self> {
        let share = pod.slots().share(slots as usize);
        Arc::new(Self {
            mesh,
            estate,
            pod,
            share,
            slots,
            memory,
            runs: Mutex::default(),
            judged: Semaphore::new(slots as usize),
            plans: Mutex::default(),
            sources: Mutex::default(),
            tools: Mutex::default(),
        })
    }

    /// Begins a run, if there is a slot, or lets it wait for one.
    ///
    /// # Errors
    /// Whoever is not believed has no steps run here: nobody would believe what comes of them.
    pub fn take(self: &Arc<Self>, from: PodId, mut order: RunOrder) -> Result<RunAnswer, String> {
        if !self.mesh.members().is_believed(&from) {
            return Err("only full members of the federation may have steps run here".to_owned());
        }
        // It is signed by this pod, should that own what is made.
        order.label = readable(&order.label, MAX_REASON);
        let key = (from, order.run);
        let (kitchen, cancel) = (self.clone(), Cancel::default());
        let mut runs = self.runs.lock();
        if runs.contains_key(&key) {
            return Err("it has that run already".to_owned());
        }
        let is_full = runs.keys().filter(|(by, _)| *by == from).count() >= MAX_RUNS;
        let needs = order.memory.unwrap_or_default();
        // What is more than there ever is does not wait for it.
        let is_full = is_full || self.memory.is_some_and(|memory| needs > memory);
        let slot = if is_full { None } else { self.free_slot(needs) };
        let waits = slot.is_none();
        if is_full || waits && (!order.may_wait || waiting(&runs) >= self.slots) {
            return Ok(RunAnswer::Busy);
        }
        runs.insert(key, Taken { cancel: cancel.clone(), waits });
        drop(runs);
        self.pod.runtime().spawn(async move { kitchen.serve(from, order, slot, cancel).await });
        Ok(if waits { RunAnswer::Waits } else { RunAnswer::Accepted })
    }

    /// How many steps wait for a slot.
    pub fn waiting(&self) -> u32 {
        waiting(&self.runs.lock())
    }

    /// A slot for others, if one is free, and so many bytes of memory are.
    fn free_slot(&self, needs: u64) -> Option<Slot> {
        if self.free_slots() == 0 || (needs > 0 && needs > load::free_memory(&self.pod, self.memory)) {
            return None;
        }
        let mut slot = self.share.queue().now_or_never()?.ok()?;
        slot.needs(needs);
        Some(slot)
    }

    /// The next slot that is free for others, and that this pod's own builds do not wait for.
    async fn next_slot(&self, needs: u64) -> Slot {
        let mut counts = self.pod.slots().watch();
        loop {
            counts.mark_unchanged();
            if let Some(slot) = self.free_slot(needs) {
                return slot;
            }
            if counts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Slots for others: what this pod's own builds have taken counts.
    fn free_slots(&self) -> u32 {
        let (_, taken) = self.pod.slots().counts();
        self.slots.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX))
    }

    /// Ends a run. Whether there was such a one.
    pub fn cancel(&self, from: PodId, run: u64) -> bool {
        self.runs.lock().get(&(from, run)).map(|run| run.cancel.set()).is_some()
    }

    /// Ends all runs.
    pub fn cancel_all(&self) {
        self.runs.lock().values().for_each(|run| run.cancel.set());
    }

    async fn run(
        &self,
        (from, order): (PodId, RunOrder),
        told: Told,
        cancel: &Cancel,
        begins: Begins,
    ) -> RunEnd {
        match self.cooked((from, order), told, cancel, begins).await {
            Ok(end) => end,
            Err(NotRun(why)) => RunEnd::NotRun(why),
        }
    }

    async fn cooked(
        &self,
        (from, mut order): (PodId, RunOrder),
        Told { lines, used, again }: Told,
        cancel: &Cancel,
        (slot, begins): Begins,
    ) -> Result<RunEnd, NotRun> {
        let supply = self.pod.supply();
        let tree = |digest: &Digest| ObjectId { kind: ObjectKind::Tree, digest: *digest };
        let mut wanted = vec![to_read(ObjectId::blob(order.plan)), tree(&order.sources).into()];
        if let Some(lists) = order.lists {
            let lists = tokio::select! {
                lists = supply.get(ObjectKind::Blob, &lists) => lists?,
                () = cancel.wait() => return Ok(RunEnd::Cancelled),
            };
            let lists = lists.ok_or_else(|| NotRun("nobody gave it what the order lists".to_owned()))?;
            RunLists { over: order.over, made: order.made, ahead: order.ahead } = RunLists::decode(&lists)?;
        }
        wanted.extend(
            order
                .over
                .iter()
                .chain(order.made.iter().map(|(_, made)| made))
                .map(|digest| tree(digest).into()),
        );
        tokio::select! {
            brought = supply.bring(wanted, Urgency::Urgent) => brought?,
            () = cancel.wait() => return Ok(RunEnd::Cancelled),
        }
        let known = self.plan(&order.plan)?;
        let step = known.plan.steps.get(order.step).ok_or(NotRun("the plan has no such step".to_owned()))?;
        let spec = Arc::new(step.spec.clone());
        if spec.network || !spec.secrets.is_empty() || spec.keep != Keep::Nothing {
            return Err(NotRun("a step with network, secrets or kept files runs at home".to_owned()));
        }
        let sources = self.sources(&order.sources)?;
        let mut over = OutputsBuilder::default();
        for digest in &order.over {
            over.apply(&self.tree(digest)?);
        }
        let mut made = FxHashMap::default();
        for (by, digest) in &order.made {
            made.insert(*by, Arc::new(self.tree(digest)?));
        }
        let ends = Cancel::default();
        let promise = Arc::new(Promise {
            plan: known,
            step: order.step,
            made,
            unmade: Mutex::default(),
            ends: ends.clone(),
        });
        let files = SourceFiles::new(self.pod.home().path(), supply.clone(), self.pod.runtime().clone())?;
        let project = Project::new(sources, Arc::new(files), over.finish())
            .with_promises(Arc::clone(&promise) as Arc<dyn Promised>)
            .seen_by(&spec);
        let project = Arc::new(project);
        let ahead: Vec<_> = order.ahead.iter().map(|digest| ObjectId::blob(*digest)).collect();
        let ahead = supply.bring(ahead, Urgency::Bulk);
        let (limits, timeout) = self.bounds(&order);
        let tools = self.tools(order.tool_roots)?;
        let step = StepOrder {
            spec: Arc::clone(&spec),
            project: Arc::clone(&project),
            tools: Arc::clone(&tools),
            image: None,
            timeout: timeout.here,
            limits: limits.here,
            secrets: Vec::new(),
            previous: None,
            sandbox: self.pod.sandbox(),
            clock: Clock::default(),
            is_followed: true,
        };
        let silent = ends.clone();
        let on_news = move |news: StepNews<'_>| {
            // It says what it makes of an answer that it did not get.
            match news {
                _ if silent.is_set() => {}
                StepNews::Again(error) => *again.lock() = Some(restarted_words(error)),
                // What does not fit is in what is kept of the run.
                StepNews::Line(line) => {
                    lines.try_send((line.stream, String::from_utf8_lossy(&line.bytes).into_owned())).ok();
                }
            }
        };
        let ended = async {
            tokio::select! {
                () = cancel.wait() => {}
                () = ends.wait() => {}
            }
        };
        let ahead = ahead.fuse();
        tokio::pin!(ahead);
        let waiting = async {
            match slot {
                Some(slot) => slot,
                None => self.next_slot(order.memory.unwrap_or_default()).await,
            }
        };
        tokio::pin!(waiting);
        let slot = loop {
            tokio::select! {
                slot = &mut waiting => break slot,
                brought = &mut ahead, if !ahead.is_terminated() => brought?,
                () = cancel.wait() => return Ok(RunEnd::Cancelled),
            }
        };
        if let Some(run) = self.runs.lock().get_mut(&(from, order.run)) {
            run.waits = false;
        }
        // Who was not told that it waits is not told that it begins, either.
        begins.send(()).ok();
        let (slot, judged) = (Mutex::new(Some(slot)), Mutex::new(None));
        let on_end = || {
            if let Ok(permit) = self.judged.try_acquire() {
                judged.lock().replace(permit);
                drop(slot.lock().take());
            }
        };
        let running = self.pod.run(step, &on_news, on_end, ended);
        tokio::pin!(running);
        let ran = tokio::select! {
            ran = &mut running => ran,
            // It goes on when all is here that it was thought to need.
            brought = &mut ahead, if !ahead.is_terminated() => {
                brought?;
                running.await
            }
        };
        let unmade = promise.unmade.lock().take();
        if let Some(path) = unmade {
            return Ok(RunEnd::Unmade(path));
        }
        let ran = ran?;
        let Usage { user, system, max_rss, .. } = ran.usage;
        used.set(RunUsage { user, system, memory: max_rss }).ok();
        if let StepEnd::Failed(how) = &ran.end
            && !matches!(how, HowEnded::Cancelled | HowEnded::Killed)
            // What fails where it may use less says nothing of what it does elsewhere.
            && !limits.is_less()
            && !timeout.is_less()
        {
            let ((exit, why), limit) = (failure_words(how, order.timeout), limit_of(how));
            let (path_set, saw) = node::evidence(&spec, &project, &tools, &ran).await?;
            let larder = self.pod.larder();
            let path_set = larder.put(ObjectKind::PathSet, &path_set.encode())?;
            let saw = larder.put(ObjectKind::Blob, &saw.encode())?;
            let (path_set, saw) = (Some(path_set), Some(saw));
            return Ok(RunEnd::Failed(RunFailure { exit, why, limit, command: ran.command, saw, path_set }));
        }
        let made_for = MadeFor { workspace: order.workspace, pod: from, label: order.label };
        self.ended(made_for, ran)
    }

    /// What a step of an order may use, and for how long it may run: what its project says, and at most what this machine's owner says.
    fn bounds(&self, order: &RunOrder) -> (Bound<Limits>, Bound<Option<Duration>>) {
        let RunLimits { memory, milli_cpus, processes, open_files, disk, time } = order.limits;
        let limits = Limits { memory, milli_cpus, processes, open_files, disk, time }.or(Limits::bounds());
        let own = self.pod.limits();
        let timeout = order.timeout.into_iter().chain(own.time).min();
        (Bound { here: limits.within(own), wanted: limits }, Bound { here: timeout, wanted: order.timeout })
    }

    fn ended(&self, made_for: MadeFor, run: StepRun) -> Result<RunEnd, NotRun> {
        let unfounded = |why: String| {
            let (command, saw, path_set) = (run.command, None, None);
            RunEnd::Failed(RunFailure { exit: None, why, limit: None, command, saw, path_set })
        };
        Ok(match run.end {
            StepEnd::Made { path_set, trace, .. } => {
                let added = self.pod.larder().add_trace(&trace, &path_set, made_for.workspace)?;
                if let Added::New(digest) = added {
                    self.pod.supply().announce(&trace, digest);
                }
                let digest = match added {
                    Added::New(digest) | Added::Known(digest) => digest,
                    // The first result stays.
                    Added::Differs { first, .. } => first,
                    Added::Revoked(_) => {
                        return Ok(unfounded("its result was revoked there".to_owned()));
                    }
                };
                self.estate.ran(made_for, trace.outputs);
                RunEnd::Made { trace: digest, path_set: path_set.digest() }
            }
            StepEnd::Failed(HowEnded::Cancelled) => RunEnd::Cancelled,
            StepEnd::Failed(how) => unfounded(failure_words(&how, None).1),
            StepEnd::Refused(refusal) => unfounded(refusal.to_string()),
            StepEnd::ToolsChanged(_) => {
                *self.tools.lock() = None;
                RunEnd::NotRun("its tools changed meanwhile".to_owned())
            }
            StepEnd::SourceChanged(path) | StepEnd::Lost(path) => {
                RunEnd::NotRun(format!("nobody gave it `{path}`"))
            }
            StepEnd::Unreadable(failure) => RunEnd::NotRun(failure.to_string()),
        })
    }

    fn tree(&self, digest: &Digest) -> Result<Tree, NotRun> {
        let bytes = self.pod.larder().get(ObjectKind::Tree, digest)?;
        let bytes = bytes.ok_or_else(|| NotRun(format!("nobody gave it the tree {}", digest.short())))?;
        Ok(Tree::decode(&bytes)?)
    }

    fn plan(&self, digest: &Digest) -> Result<Arc<Known>, NotRun> {
        if let Some(known) = kept(&self.plans, digest) {
            return Ok(known);
        }
        let is_short = self.pod.larder().size_of(digest)?.is_some_and(|size| size <= MAX_READ);
        let bytes = if is_short { self.pod.larder().get(ObjectKind::Blob, digest)? } else { None };
        let plan = SharedPlan::decode(&bytes.ok_or_else(|| NotRun("nobody gave it the plan".to_owned()))?)?;
        let known = Arc::new(Known { promises: Promises::shared(&plan), plan });
        keep(&self.plans, *digest, &known);
        Ok(known)
    }

    fn sources(&self, digest: &Digest) -> Result<Arc<SharedSources>, NotRun> {
        if let Some(known) = kept(&self.sources, digest) {
            return Ok(known);
        }
        let known = Arc::new(SharedSources::from(&self.tree(digest)?));
        keep(&self.sources, *digest, &known);
        Ok(known)
    }

    /// The tools of this machine. What else is shown of it is this pod's to say, and not whoever's step it is.
    fn tools(&self, roots: Vec<RelPath>) -> Result<Arc<HostTools>, NotRun> {
        if !roots.is_empty() {
            let own = tool_roots::find(
                self.pod.tool_roots(),
                Path::new("/"),
                &own_environment().into_iter().collect(),
            );
            let own = own.map_err(|failure| NotRun(failure.message))?;
            let is_own = |root: &RelPath| own.iter().any(|own| root.is_within(&own.path));
            if let Some(root) = roots.iter().find(|root| !is_own(root)) {
                return Err(NotRun(format!("`/{root}` is none of the `[tools] roots` of its `pod.toml`")));
            }
        }
        let mut tools = self.tools.lock();
        if let Some((known, tools)) = &*tools
            && *known == roots
        {
            return Ok(Arc::clone(tools));
        }
        let made = self.pod.tools(roots.clone(), Access::Remember)?;
        *tools = Some((roots, Arc::clone(&made)));
        Ok(made)
    }
}

fn waiting(runs: &FxHashMap<(PodId, u64), Taken>) -> u32 {
    let waiting = runs.values().filter(|run| run.waits).count();
    u32::try_from(waiting).unwrap_or(u32::MAX)
}

fn kept<T>(all: &Mutex<Vec<(Digest, Arc<T>)>>, digest: &Digest) -> Option<Arc<T>> {
    all.lock().iter().find(|(known, _)| known == digest).map(|(_, found)| Arc::clone(found))
}

fn keep<T>(all: &Mutex<Vec<(Digest, Arc<T>)>>, digest: Digest, one: &Arc<T>) {
    let mut all = all.lock();
    if all.len() >= KEPT {
        all.remove(0);
    }
    all.push((digest, Arc::clone(one)));
}
