//! Runs one step: roots, kitchen, judgement.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kitchen::{Clock, Ended, HowEnded, ImageRoot, Limits, Line, Prepared, Secret, Streams, UpperDir, Usage};
use protocol::step::{INPUT_MTIME, PATH, PROJECT};
use protocol::{Digest, Keep, Look, PathSet, Reader, Reading, RelPath, Seen, StepSpec, Trace, Tree};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use view::{HostTools, Source, SourceError, SourceFailure, see};

use crate::judge::{Judged, Refusal, judge};
use crate::kitchens::{Running, Sandbox};
use crate::lenses::{Counted, ask_ahead, through};
use crate::masks::Masks;
use crate::secrets::{WithSecrets, is_of_secrets};
use crate::spares::Spare;
use crate::{NodeError, Printed, PrintedLine, Project};

/// Lines that wait for whoever shows them; a step that prints faster is held back.
pub const LINE_QUEUE: usize = 1024;

/// One step to be run.
#[derive(Clone)]
pub struct StepOrder {
    /// What is run.
    pub spec: Arc<StepSpec>,
    /// What it sees at `/project`.
    pub project: Arc<Project>,
    /// What it sees elsewhere.
    pub tools: Arc<HostTools>,
    /// The image whose files those are, if they are not this machine's.
    pub image: Option<Arc<ImageRoot>>,
    /// When it is ended.
    pub timeout: Option<Duration>,
    /// What it may use; the pod's own limits hold where it has none.
    pub limits: Limits,
    /// What it finds in `/run/secrets`; in no key, and never in what it prints.
    pub secrets: Vec<Secret>,
    /// The trace of the run whose outputs it sees as its own; part of its key.
    pub previous: Option<Digest>,
    /// In what it runs; in no key.
    pub sandbox: Sandbox,
    /// Its time, which stands still while the step is held.
    pub clock: Clock,
    /// Whether another step over the same tools is likely to follow, for which a root is laid while this one runs.
    pub is_followed: bool,
}

/// How a step's run ended.
#[derive(Debug)]
pub enum StepEnd {
    /// Well: what it saw and made.
    Made {
        /// The questions.
        path_set: PathSet,
        /// Trace over them; not yet published.
        trace: Trace,
        /// What it made; its bytes are in the larder.
        outputs: Tree,
    },
    /// A command failed, or was ended. What it had seen until then is in `path_set`.
    Failed(HowEnded),
    /// It ended well, and did what no step may.
    Refused(Refusal),
    /// A source changed while it ran: a new snapshot is needed.
    SourceChanged(RelPath),
    /// A tool changed while it ran: it has to run again.
    ToolsChanged(Vec<RelPath>),
    /// Bytes that were promised are gone: their step has to run again.
    Lost(RelPath),
    /// Something that it looked at could not be read.
    Unreadable(SourceFailure),
}

/// A step that has run.
#[derive(Debug)]
pub struct StepRun {
    /// How it ended.
    pub end: StepEnd,
    /// What it printed.
    pub printed: Printed,
    /// The place in its spec of the command that ran last.
    pub command: usize,
    /// What it used.
    pub usage: Usage,
    /// What it looked at in the project, whether it ended well or not.
    pub looked_at: Vec<(RelPath, Look)>,
    /// What it looked at outside of it; empty if it ended well.
    pub tools_looked_at: Vec<(RelPath, Look)>,
    /// What it wrote, if it came to no good end.
    pub left: Option<UpperDir>,
}

impl StepRun {
    /// Of a step that was ended before it began.
    pub(crate) fn cancelled() -> Self {
        Self {
            end: StepEnd::Failed(HowEnded::Cancelled),
            printed: Printed::default(),
            command: 0,
            usage: Usage::default(),
            looked_at: Vec::new(),
            tools_looked_at: Vec::new(),
            left: None,
        }
    }
}

/// Somebody who looks into a step's root: nothing of it is judged, kept or told.
#[derive(Debug)]
pub struct Visit {
    /// What is run instead of the step's commands.
    pub commands: Vec<Vec<Vec<u8>>>,
    /// Variables besides the step's own.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// The visitor's.
    pub streams: Streams,
    /// What the step had written when it failed, to be seen over the project.
    pub beneath: Option<PathBuf>,
}

/// How a visit ended.
#[derive(Debug)]
pub struct Visited {
    /// How.
    pub how: HowEnded,
    /// What was not there any more, or not as it had been, when it was looked at.
    pub changed: Option<RelPath>,
}

/// The environment of a step: the constants of every sandbox, and what the step sets.
fn environment(spec: &StepSpec) -> Vec<(Vec<u8>, Vec<u8>)> {
    let constants = [
        ("HOME", "/home/build".to_owned()),
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("PATH", PATH.to_owned()),
        ("SOURCE_DATE_EPOCH", INPUT_MTIME.to_string()),
        ("TZ", "UTC".to_owned()),
        ("USER", "build".to_owned()),
    ];
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = constants
        .into_iter()
        .filter(|(name, _)| !spec.env.iter().any(|(set, _)| set == name.as_bytes()))
        .map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes()))
        .collect();
    all.extend(spec.env.iter().cloned());
    all.sort();
    all
}

/// Runs it to its end. `on_end` is called when its commands have ended well, before they are judged. Dropping the future ends the step.
pub(crate) async fn run(
    running: &Running,
    order: StepOrder,
    on_line: &(dyn Fn(&PrintedLine) + Send + Sync),
    on_end: impl FnOnce() + Send,
    cancel: impl Future<Output = ()> + Send,
) -> Result<StepRun, NodeError> {
    if let Some(missing) = order.project.lenses().missing() {
        return Err(NodeError::Lens(missing.to_owned()));
    }
    let Laid { tools: tools_root, project: project_root, prepared, order: kitchen_order } =
        lay(running, &order)?;
    let mut masks = Masks::of(&order.secrets);
    let (sender, mut receiver) = mpsc::channel::<Line>(LINE_QUEUE);
    let mut printed = Printed::default();
    let cancel = async {
        cancel.await;
        // Whatever waits in a look-up is answered first, so that it can be killed.
        project_root.cancel();
        tools_root.cancel();
    };
    let listen = async {
        let mut show = |lines: Vec<PrintedLine>| {
            for line in lines {
                on_line(&line);
                printed.push(line);
            }
        };
        while let Some(line) = receiver.recv().await {
            show(masks.hide(&line));
        }
        show(masks.rest());
    };
    let lay_ahead = async {
        if order.is_followed {
            running.spares.lay(running, &order.tools);
        }
    };
    let (ended, (), ()) =
        tokio::join!(running.kitchen.run_in(prepared, kitchen_order, sender, cancel), listen, lay_ahead);
    let ended = ended?;
    if ended.how == HowEnded::Exit(0) {
        on_end();
    }

    let looked_at = project_root.observed();
    let end = match failed_sources(&project_root, &tools_root) {
        Some(end) => end,
        None if ended.how != HowEnded::Exit(0) => StepEnd::Failed(ended.how.clone()),
        None => {
            let looks = (looked_at.clone(), tools_root.observed());
            judged(running, &order, &ended, looks, project_root.readers(), &printed).await?
        }
    };
    if let Some(image) = order.image.filter(|_| may_be_for_want_of_files(&end)) {
        let checking = tokio::task::spawn_blocking(move || image.check());
        match checking.await.map_err(|_| NodeError::Task("ask for an image"))? {
            Err(error) if error.missing().is_some() => return Err(error.into()),
            // Podman said nothing of it: how the step ended is known all the same.
            Err(error) => tracing::debug!(%error, "whether the image is still there is not known"),
            Ok(()) => {}
        }
    }
    let tools_looked_at = match end {
        StepEnd::Failed(_) => tools_root.observed(),
        _ => Vec::new(),
    };
    let left = (!matches!(end, StepEnd::Made { .. })).then_some(ended.upper);
    Ok(StepRun { end, printed, command: ended.command, usage: ended.usage, looked_at, tools_looked_at, left })
}

/// Whether a step that sees an image may have ended so because somebody removed that: then it is not the step that failed.
fn may_be_for_want_of_files(end: &StepEnd) -> bool {
    match end {
        StepEnd::Failed(how) => !matches!(
            how,
            HowEnded::Cancelled | HowEnded::TimedOut | HowEnded::OverLimit(_) | HowEnded::Killed
        ),
        StepEnd::ToolsChanged(_) | StepEnd::Unreadable(_) => true,
        StepEnd::Made { .. } | StepEnd::Refused(_) | StepEnd::SourceChanged(_) | StepEnd::Lost(_) => false,
    }
}

/// A step's root, and what the kitchen is asked for.
struct Laid {
    tools: view::Root,
    project: view::Root,
    /// If it was laid ahead.
    prepared: Option<Prepared>,
    order: kitchen::Order,
}

fn lay(running: &Running, order: &StepOrder) -> Result<Laid, NodeError> {
    // With secrets there is more to be seen than tools.
    let spare = if order.secrets.is_empty() { running.spares.take(&order.tools) } else { None };
    let (name, tools, project, prepared) = match spare {
        Some(Spare { name, tools, project, later, prepared, .. }) => {
            later.name(&order.project);
            (name, tools, project, Some(prepared))
        }
        None => {
            let name = running.next_root();
            let tools: Arc<dyn Source> = order.tools.clone();
            let tools = match order.secrets.is_empty() {
                true => tools,
                false => Arc::new(WithSecrets(tools)) as Arc<dyn Source>,
            };
            let project: Arc<dyn Source> = order.project.clone();
            (name, running.tools.add_root(name, tools)?, running.project.add_root(name, project)?, None)
        }
    };
    if order.spec.keep != Keep::Nothing {
        project.note_readers();
    }
    let mut asked = kitchen::Order::new(name, order.spec.commands.clone());
    asked.cwd = order.spec.cwd.clone();
    asked.env = environment(&order.spec);
    asked.network = order.spec.network;
    let limits = order.limits.or(running.limits);
    asked.timeout = order.timeout.or(limits.time);
    asked.limits = limits;
    asked.clock = order.clock.clone();
    asked.secrets = order.secrets.clone();
    Ok(Laid { tools, project, prepared, order: asked })
}

/// Lets a visitor into a step's root, until he goes or `cancel` is done. His time is his own.
pub(crate) async fn visit(
    running: &Running,
    order: StepOrder,
    visit: Visit,
    cancel: impl Future<Output = ()> + Send,
) -> Result<Visited, NodeError> {
    let Laid { tools, project, prepared, order: mut asked } = lay(running, &order)?;
    asked.commands = visit.commands;
    asked.env.extend(visit.env);
    asked.timeout = None;
    asked.streams = Some(visit.streams);
    asked.beneath = visit.beneath;
    let cancel = async {
        cancel.await;
        project.cancel();
        tools.cancel();
    };
    // What he is shown goes to his own streams.
    let (nobody, _) = mpsc::channel(1);
    let ended = running.kitchen.run_in(prepared, asked, nobody, cancel).await?;
    let failed = project.failures().into_iter().chain(tools.failures());
    let changed = failed.into_iter().find(|failure| !matches!(failure.error, SourceError::Cancelled));
    Ok(Visited { how: ended.how, changed: changed.map(|failure| failure.path) })
}

/// What a source could not answer decides over whatever the step made of the error that it got.
fn failed_sources(project: &view::Root, tools: &view::Root) -> Option<StepEnd> {
    let in_project = project.failures().into_iter().map(|failure| (true, failure));
    let in_tools = tools.failures().into_iter().map(|failure| (false, failure));
    let (ended, failed): (Vec<_>, Vec<_>) =
        in_project.chain(in_tools).partition(|(_, failure)| matches!(failure.error, SourceError::Cancelled));
    let Some((is_project, failure)) = failed.into_iter().next() else {
        // Whatever the step made of an answer that it did not get is worth nothing.
        return (!ended.is_empty()).then_some(StepEnd::Failed(HowEnded::Cancelled));
    };
    Some(match failure.error {
        SourceError::Changed { path } if is_project => StepEnd::SourceChanged(path),
        SourceError::Changed { path } => StepEnd::ToolsChanged(vec![path]),
        SourceError::Gone => StepEnd::Lost(failure.path),
        SourceError::Io { .. }
        | SourceError::NotYet { .. }
        | SourceError::Denied { .. }
        | SourceError::Cancelled => StepEnd::Unreadable(failure),
    })
}

/// What was looked at.
type Looks = Vec<(RelPath, Look)>;

/// Who read files and listed folders, and how often.
type Readers = Vec<(RelPath, Vec<(Reader, u32)>)>;

async fn judged(
    running: &Running,
    order: &StepOrder,
    ended: &Ended,
    (project_looks, tools_looks): (Looks, Looks),
    readers: Readers,
    printed: &Printed,
) -> Result<StepEnd, NodeError> {
    let changed = order.tools.verify(tools_looks.iter().map(|(path, look)| (path, *look)));
    if !changed.is_empty() {
        return Ok(StepEnd::ToolsChanged(changed));
    }
    let (larder, spec) = (running.larder.clone(), Arc::clone(&order.spec));
    let (project, tools) = (Arc::clone(&order.project), Arc::clone(&order.tools));
    let upper = ended.upper.path().to_owned();
    let judging =
        tokio::task::spawn_blocking(move || judge(&larder, (&project, &tools), &upper, project_looks, &spec));
    let Judged { outputs, looks } = match judging.await.map_err(|_| NodeError::Task("judge"))?? {
        Ok(judged) => judged,
        Err(refusal) => return Ok(StepEnd::Refused(refusal)),
    };
    let counted = counted(&order.spec, &order.project, looks, tools_looks);
    let (seen, raw) = observe(&counted, &order.project, &order.tools).await?;
    let path_set = counted.set;
    let printed = match printed.is_empty() {
        true => None,
        false => Some(running.larder.put(larder::ObjectKind::Blob, &printed.encode())?),
    };
    let outputs_digest: Digest = running.larder.put(larder::ObjectKind::Tree, &outputs.encode())?;
    let trace = Trace {
        weak: order.spec.weak_key_after(order.previous.as_ref()),
        path_set: path_set.digest(),
        seen,
        raw,
        readings: placed(&path_set, readers),
        outputs: outputs_digest,
        printed,
        millis: ended.usage.wall.as_millis() as u64,
    };
    Ok(StepEnd::Made { path_set, trace, outputs })
}

/// Who read files whose contents count, and folders whose names do, by their places in a path set.
fn placed(set: &PathSet, readers: Readers) -> Vec<Reading> {
    let prefix = project_prefix();
    let mut readers: FxHashMap<RelPath, Vec<(Reader, u32)>> =
        readers.into_iter().map(|(path, readers)| (prefix.join(&path), readers)).collect();
    let mut readings = Vec::new();
    let is_read = |look: Look| matches!(look, Look::Content | Look::Listing);
    for (place, (path, _)) in (0..).zip(set.looks()).filter(|(_, (_, look))| is_read(*look)) {
        let mut who = readers.remove(path).unwrap_or_default();
        who.sort_unstable();
        readings.extend(who.into_iter().map(|(reader, times)| Reading {
            place,
            reader,
            times,
            is_idle: false,
        }));
    }
    readings
}

/// The looks that count, as looks of the step's root.
fn counted(
    spec: &StepSpec,
    project: &Project,
    looks: Vec<(RelPath, Look)>,
    tools_looks: Vec<(RelPath, Look)>,
) -> Counted {
    let (prefix, keeps) = (project_prefix(), spec.keep != Keep::Nothing);
    let all = looks.into_iter().map(|(path, look)| match look {
        // In a step that sees its own outputs a file's time stands for its content, and a probe shows the time.
        Look::Probe if keeps && is_file(project, &path) => (prefix.join(&path), Look::Content),
        Look::Probe if !spec.sizes => (prefix.join(&path), Look::Kind),
        look => (prefix.join(&path), look),
    });
    let tools_looks =
        tools_looks.into_iter().filter(|(path, _)| !is_mount_point(path) && !is_of_secrets(path));
    Counted::new(project.lenses(), all.chain(tools_looks))
}

/// All that a run saw which failed, in the form of a trace that says of no outputs: whoever sees the same would see it fail. It is
/// evidence, and answers for nothing.
///
/// # Errors
/// Something that it saw cannot be seen now.
pub async fn evidence(
    spec: &StepSpec,
    project: &Project,
    tools: &HostTools,
    run: &StepRun,
) -> Result<(PathSet, Trace), NodeError> {
    let counted = counted(spec, project, run.looked_at.clone(), run.tools_looked_at.clone());
    let (seen, raw) = observe(&counted, project, tools).await?;
    let trace = Trace {
        weak: spec.weak_key(),
        path_set: counted.set.digest(),
        seen,
        raw,
        readings: Vec::new(),
        outputs: Tree::default().digest(),
        printed: None,
        millis: run.usage.wall.as_millis() as u64,
    };
    Ok((counted.set, trace))
}

fn is_file(project: &Project, path: &RelPath) -> bool {
    matches!(project.entry(path), Some(crate::Entry::Source { .. } | crate::Entry::Output { .. }))
}

/// The first part of every project path in a step's root.
pub fn project_prefix() -> RelPath {
    RelPath::root().child(PROJECT.as_bytes()).unwrap_or_else(RelPath::root)
}

/// Whether something of the kitchen's own stands there, and not what the host has.
fn is_mount_point(path: &RelPath) -> bool {
    kitchen::MOUNT_POINTS.iter().any(|point| {
        path.as_bytes().strip_prefix(point.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    })
}

/// What a path set's looks see now, in its order, and the digests of whole contents of which only a part counts.
pub(crate) async fn observe(
    counted: &Counted,
    project: &Project,
    tools: &HostTools,
) -> Result<(Vec<Seen>, Vec<(u32, Digest)>), NodeError> {
    let prefix = project_prefix();
    let set = &counted.set;
    ask_ahead(project, set.looks().iter()).await?;
    let (mut seen, mut raw) = (Vec::with_capacity(set.looks().len()), Vec::new());
    for (place, (path, look)) in (0..).zip(set.looks()) {
        let stands = match path.strip_prefix(&prefix) {
            Some(inside) => see(project, &inside, *look).await?,
            None => see(tools, path, *look).await?,
        };
        let sight = through(project, tools, set, (path, *look), stands).await?;
        let whole = match sight.raw {
            None => counted.raw_unseen(project, (path, *look)).await?,
            whole => whole,
        };
        raw.extend(whole.map(|digest| (place, digest)));
        seen.push(sight.seen);
    }
    Ok((seen, raw))
}
