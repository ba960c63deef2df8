//! The calls of one program: what all of them share, and one call from its look-up to its answer.
//!
//! A call without `cache` runs, and nothing of it is published. One with it is looked up like a step of a build: its weak key has the
//! function's name and the digests of its arguments; what the function's code is, is seen as it is imported. Two equal ones
//! run one after the other, so that the first answers for the second. What other pods know answers, too, and they are told.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kitchen::{ImageRoot, Limits, Secret};
use larder::{Added, Content, Larder, ObjectKind};
use node::{
    Access, Evaluator, NodeError, Outputs, OutputsBuilder, Pod, Printed, PrintedLine, Share, SourceFiles,
    Sources, Supply, Urgency, Verdict,
};
use parking_lot::Mutex;
use protocol::calls::{Answer, Ask, Call, CallFailure, Hidden, MAX_BODY, PROTOCOL};
use protocol::{Digest, ObjectId, PathSet, RelPath, StepSpec, Trace, Tree, TreeEntry, WorkspaceId};
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as Turn, OnceCell};
use view::HostTools;

use super::attempt::{Attempt, Ended};
use super::folder::Folder;
use super::talk::Reply;
use super::{Asked, Fallible, package};
use crate::majordomo::build::default_jobs;
use crate::majordomo::request::{self, Failure, LaunchNews};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::{border, records};

/// Where our package is in a call's project.
const PACKAGE: &str = ".majordomo/python";
/// Where what belongs to one call is.
const CALL: &str = ".majordomo/call";
/// Bytes that a call may print before the rest is not shown; as many as are kept of a step's output.
const MAX_SHOWN: u64 = 16 << 20;

/// How the calls of a program came to their ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// They ran, and returned.
    pub ran: u64,
    /// An earlier one answered.
    pub reused: u64,
    /// They raised or failed.
    pub failed: u64,
}

/// Something of the larder that a call sees as a file.
#[derive(Debug, Clone, Copy)]
pub struct Blob {
    digest: Digest,
    size: u64,
}

/// The tools of the machine, or of an image, as they were at some moment.
pub(super) struct World {
    pub image: Option<Arc<ImageRoot>>,
    pub tools: Arc<HostTools>,
    pub evaluator: Evaluator,
}

/// A world, or the look at it that is under way.
type Looked = Arc<OnceCell<Arc<World>>>;

/// A program that calls.
pub struct Program {
    pub(super) pod: Pod,
    pub(super) sink: Sink,
    pub(super) sources: Arc<dyn Sources>,
    pub(super) files: Arc<SourceFiles>,
    pub(super) share: Share,
    pub(super) sandbox: node::Sandbox,
    /// By the image that is in the place of this machine's tools; `None`: these.
    worlds: Mutex<FxHashMap<Option<String>, Looked>>,
    roots: Vec<RelPath>,
    python: String,
    /// What is remembered of one folder's calls stands together in the larder.
    workspace: WorkspaceId,
    /// Our package, with what the program added to it.
    parts: Mutex<Outputs>,
    codes: Mutex<FxHashMap<u64, Blob>>,
    /// Equal calls that are under way take turns.
    alike: Mutex<FxHashMap<Digest, Weak<Turn<()>>>>,
    counts: [AtomicU64; 3],
}

pub(super) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap_or_else(|_| RelPath::root())
}

fn failed(error: larder::LarderError) -> Box<Failure> {
    Box::new(border::node(&error.into()))
}

fn border(error: NodeError) -> Box<Failure> {
    Box::new(border::node(&error))
}

fn mistake(words: impl Into<String>) -> Box<Failure> {
    Box::new(border::mistake(words))
}

impl World {
    fn now(pod: &Pod, roots: &[RelPath], image: Option<&str>) -> Result<Arc<Self>, NodeError> {
        let image = image.map(ImageRoot::open).transpose()?.map(Arc::new);
        let tools = match &image {
            None => pod.tools(roots.to_vec(), Access::Remember)?,
            Some(image) => pod.tools_of(image, Access::Remember)?,
        };
        let evaluator = Evaluator::new(pod.larder().clone(), Arc::clone(&tools));
        Ok(Arc::new(Self { image, tools, evaluator }))
    }
}

impl Program {
    /// A program that greeted so.
    pub fn new(pod: &Pod, asked: &Asked, hello: Ask, sink: &Sink) -> Fallible<Self> {
        let Ask::Hello { protocol, python, roots } = hello else {
            return Err(Box::new(border::machine("the program did not greet")));
        };
        if protocol != PROTOCOL {
            return Err(mistake(format!(
                "the program speaks version {protocol} of the calls' protocol, and this pod version {PROTOCOL}"
            )));
        }
        let unusable = |error: std::io::Error| {
            let mut failure =
                border::mistake(format!("the folder `{}` cannot be used", asked.folder.display()));
            failure.causes.push(error.to_string());
            Box::new(failure)
        };
        let roots: Vec<RelPath> =
            roots.iter().filter_map(|root| RelPath::from_absolute(Path::new(root)).ok()).collect();
        let larder = pod.larder();
        let mut parts = OutputsBuilder::default();
        parts.apply(&tree(package::entries(larder, &path(PACKAGE)).map_err(failed)?)?);
        let whose =
            Digest::in_context("computepods launched folder v1", asked.folder.as_os_str().as_encoded_bytes());
        let (bits, _) = whose.as_bytes().split_at(16);
        let bits = bits.iter().fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        Ok(Self {
            sources: Arc::new(Folder::open(&asked.folder, pod.home().path()).map_err(unusable)?),
            files: Arc::new(
                SourceFiles::new(&asked.folder, larder.clone(), pod.runtime().clone()).map_err(unusable)?,
            ),
            worlds: Mutex::default(),
            share: pod.slots().share(asked.jobs.unwrap_or_else(default_jobs).max(1)),
            sandbox: asked.sandbox.map_or_else(|| pod.sandbox(), Into::into),
            workspace: WorkspaceId::from_random(bits),
            parts: Mutex::new(parts.finish()),
            codes: Mutex::default(),
            alike: Mutex::default(),
            counts: Default::default(),
            pod: pod.clone(),
            sink: sink.clone(),
            roots,
            python,
        })
    }

    fn larder(&self) -> &Larder {
        self.pod.larder()
    }

    fn supply(&self) -> &Supply {
        self.pod.supply()
    }

    /// How many calls came to which end.
    pub fn counts(&self) -> Counts {
        let [ran, reused, failed] = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Counts { ran, reused, failed }
    }

    /// Takes bytes into the larder.
    pub async fn content(&self, bytes: Vec<u8>) -> Fallible<Blob> {
        let larder = self.larder().clone();
        let size = bytes.len() as u64;
        let putting = tokio::task::spawn_blocking(move || larder.put(ObjectKind::Blob, &bytes));
        let digest = putting.await.map_err(|_| Box::new(border::machine("the larder went in the middle")))?;
        Ok(Blob { digest: digest.map_err(failed)?, size })
    }

    /// Adds a file to what all later calls see.
    pub async fn part(&self, at: RelPath, bytes: Vec<u8>) -> Fallible<()> {
        let blob = self.content(bytes).await?;
        let entry = (path(PACKAGE).join(&at), blob.file());
        let mut parts = self.parts.lock();
        let mut more = OutputsBuilder::over(std::mem::take(&mut *parts));
        more.apply(&tree(vec![entry])?);
        *parts = more.finish();
        Ok(())
    }

    /// Remembers a function that travels as a value.
    pub async fn code(&self, number: u64, bytes: Vec<u8>) -> Fallible<()> {
        let blob = self.content(bytes).await?;
        self.codes.lock().insert(number, blob);
        Ok(())
    }

    /// How much of the machine a call may use; the pod says the rest.
    pub(super) fn limits(&self, call: &Call) -> Limits {
        let milli_cpus = call.cpus.filter(|cpus| *cpus > 0.0).map(|cpus| ((cpus * 1000.0) as u64).max(1));
        Limits { memory: call.memory, milli_cpus, ..Limits::default() }
    }

    /// What a call sees besides its files.
    pub(super) async fn world(&self, call: &Call) -> Fallible<Arc<World>> {
        let cell = Arc::clone(self.worlds.lock().entry(call.image.clone()).or_default());
        let looking = cell.get_or_try_init(|| async {
            let (pod, roots, image) = (self.pod.clone(), self.roots.clone(), call.image.clone());
            // podman may take its time.
            let looked = tokio::task::spawn_blocking(move || World::now(&pod, &roots, image.as_deref()));
            looked
                .await
                .map_err(|_| Box::new(border::machine("the look at the tools was ended")))?
                .map_err(border)
        });
        looking.await.cloned()
    }

    /// The tools have changed under a call: those that come see them as they are now.
    pub(super) fn look_again(&self) {
        self.worlds.lock().clear();
    }

    /// What is run for a call.
    fn spec(&self, call: &Call, arguments: &Blob, code: Option<&Blob>) -> StepSpec {
        const BOOT: &str = "import sys;sys.path[0]='/project/.majordomo/python';\
                            from computepods import _worker;_worker.main()";
        // Where the program has its own there is another one in an image, or none.
        let interpreter = if call.image.is_some() { "python3" } else { &*self.python };
        // No site packages before somebody asks for one, nothing of a user's, no bytecode written.
        let mut command: Vec<Vec<u8>> = [interpreter, "-S", "-s", "-B", "-c", BOOT, &call.module, &call.name]
            .map(|word| word.as_bytes().to_vec())
            .into();
        // Named here, they are part of the weak key: no other call's traces are looked at.
        command.push(arguments.digest.to_string().into_bytes());
        command.extend(code.map(|code| code.digest.to_string().into_bytes()));
        let mut env: Vec<(Vec<u8>, Vec<u8>)> = call
            .env
            .iter()
            .map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes()))
            .collect();
        if !call.env.contains_key("PYTHONHASHSEED") {
            // The order of a set is nothing to depend on by chance.
            env.push((b"PYTHONHASHSEED".to_vec(), b"0".to_vec()));
        }
        if call.trusts {
            // A key of its own, under which nothing is ever learned of other pods.
            env.push((b"COMPUTEPODS_TRUSTS".to_vec(), b"1".to_vec()));
        }
        env.sort();
        StepSpec {
            commands: vec![command],
            cwd: RelPath::root(),
            env,
            out: Vec::new(),
            scratch: Vec::new(),
            secrets: call.secrets.keys().cloned().collect(),
            alters: false,
            sizes: true,
            keep: protocol::Keep::Nothing,
            network: call.network,
            declared_in: Vec::new(),
            projections: Vec::new(),
            normalisers: Vec::new(),
        }
    }

    /// What a call finds in `/run/secrets`; or the sentence why it cannot be there.
    pub(super) fn secrets(call: &Call) -> Result<Vec<Secret>, String> {
        let secret = |(name, Hidden(value)): (&String, &Hidden)| {
            let bad = || format!("its secret `{}` has no name for a file", name.escape_debug());
            Secret::new(name, value.clone().into_bytes()).ok_or_else(bad)
        };
        call.secrets.iter().map(secret).collect()
    }

    /// The files that belong to one attempt of a call, over our package.
    fn outputs(&self, arguments: &Blob, code: Option<&Blob>, attempt: u32) -> Fallible<Outputs> {
        let text = attempt.to_string();
        let digest = self.larder().put(ObjectKind::Blob, text.as_bytes()).map_err(failed)?;
        let attempt = Blob { digest, size: text.len() as u64 };
        let named = [("arguments", Some(arguments)), ("attempt", Some(&attempt)), ("code", code)];
        let files =
            named.into_iter().filter_map(|(name, blob)| Some((path(CALL).join(&path(name)), blob?.file())));
        let mut outputs = OutputsBuilder::over(self.parts.lock().clone());
        outputs.apply(&tree(files.collect())?);
        Ok(outputs.finish())
    }

    /// Brings a call to its end. An error ends the launch.
    pub async fn run(&self, call: &Call, arguments: Blob, cancel: &Cancel) -> Fallible<Reply> {
        let number = call.call;
        let reply = match self.ended(call, &arguments, cancel).await? {
            (Ended::Returned(blob), reused) => match self.body(&blob)? {
                Some(body) => (Answer::Returned { call: number, reused }, Some(body)),
                None => self.failure(number, CallFailure::Machine, "its result is gone from the larder"),
            },
            (Ended::Raised(blob), _) => match self.body(&blob)? {
                Some(body) => (Answer::Raised { call: number }, Some(body)),
                None => self.failure(number, CallFailure::Machine, "what it raised is gone from the larder"),
            },
            (Ended::Failed(how, words), _) => self.failure(number, how, words),
        };
        let place = match &reply.0 {
            Answer::Returned { reused, .. } => Some(usize::from(*reused)),
            Answer::Failed { how: CallFailure::Cancelled, .. } => None,
            _ => Some(2),
        };
        if let Some(place) = place {
            self.counts[place].fetch_add(1, Ordering::Relaxed);
        }
        Ok(reply)
    }

    fn failure(&self, call: u64, how: CallFailure, words: impl Into<String>) -> Reply {
        (Answer::Failed { call, how, words: words.into() }, None)
    }

    fn body(&self, blob: &Blob) -> Fallible<Option<Content>> {
        self.larder().open_blob(&blob.digest).map_err(failed)
    }

    /// How it ended, and whether an earlier call answers.
    async fn ended(&self, call: &Call, arguments: &Blob, cancel: &Cancel) -> Fallible<(Ended, bool)> {
        if call.image.is_some()
            && let Err(failure) = self.world(call).await
        {
            let words = std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ");
            return Ok((Ended::Failed(CallFailure::Mistake, words), false));
        }
        let code = match call.code {
            None => None,
            Some(number) => match self.codes.lock().get(&number) {
                Some(blob) => Some(*blob),
                None => {
                    return Err(Box::new(border::machine(format!(
                        "the program never sent function {number}"
                    ))));
                }
            },
        };
        if let Some(words) = unusable(call) {
            return Ok((Ended::Failed(CallFailure::Mistake, words), false));
        }
        let spec = Arc::new(self.spec(call, arguments, code.as_ref()));
        let weak = spec.weak_key();
        let turn = self.turn(call, &weak);
        let _mine = match &turn {
            None => None,
            Some(turn) => tokio::select! {
                mine = turn.lock() => Some(mine),
                () = cancel.wait() => return Ok((cancelled(), false)),
            },
        };
        if call.cache {
            let outputs = self.outputs(arguments, code.as_ref(), 1)?;
            if let Some(blob) = self.look_up(call, &weak, outputs, &spec).await? {
                return Ok((Ended::Returned(blob), true));
            }
        }
        let mut attempt = 1;
        loop {
            let slot = tokio::select! {
                slot = self.share.queue() => slot.ok(),
                () = cancel.wait() => return Ok((cancelled(), false)),
            };
            let outputs = self.outputs(arguments, code.as_ref(), attempt)?;
            let ended = Attempt { program: self, call, spec: &spec, cancel }.run(outputs).await?;
            drop(slot);
            let is_final = matches!(
                ended,
                Ended::Returned(_) | Ended::Failed(CallFailure::Cancelled | CallFailure::Mistake, _)
            );
            if is_final || attempt > call.retries.most {
                return Ok((ended, false));
            }
            attempt += 1;
            let wait = Duration::from_millis(call.retries.delay_before(attempt));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancel.wait() => return Ok((cancelled(), false)),
            }
        }
    }

    /// The turn that equal cached calls take.
    fn turn(&self, call: &Call, weak: &Digest) -> Option<Arc<Turn<()>>> {
        if !call.cache {
            return None;
        }
        let mut alike = self.alike.lock();
        alike.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = alike.get(weak).and_then(Weak::upgrade) {
            return Some(turn);
        }
        let turn = Arc::new(Turn::new(()));
        alike.insert(*weak, Arc::downgrade(&turn));
        Some(turn)
    }

    /// What an earlier call returned that saw what this one would.
    async fn look_up(
        &self,
        call: &Call,
        weak: &Digest,
        outputs: Outputs,
        spec: &StepSpec,
    ) -> Fallible<Option<Blob>> {
        let project = self.project(outputs, spec);
        let world = self.world(call).await?;
        let mut verdict = world.evaluator.look_up(weak, &project, self.workspace).await;
        // Before it runs, others may know. What they say is not for a program that runs what its results name.
        if !call.trusts
            && matches!(verdict, Ok(Verdict::Miss { .. }))
            && self.supply().learn(weak).await.map_err(failed)?
        {
            verdict = world.evaluator.look_up(weak, &project, self.workspace).await;
        }
        let (digest, hit) = match verdict {
            Ok(Verdict::Hit { digest, trace, .. }) => (digest, trace),
            Ok(Verdict::Miss { .. }) => return Ok(None),
            // A source has changed since it was first seen: the run finds the words for it.
            Err(NodeError::Source(_)) => return Ok(None),
            Err(error) => return Err(border(error)),
        };
        let Some(blob) = self.returned(&hit).await? else { return Ok(None) };
        // It may have been made before there was anybody to be told.
        self.supply().announce(&hit, digest);
        if let Some(printed) = &hit.printed
            && let Some(bytes) = self.supply().get(ObjectKind::Blob, printed).await.map_err(failed)?
        {
            let mut shown = Shown::of(call);
            for line in Printed::decode(&bytes).unwrap_or_default().lines() {
                shown.line(&self.sink, line);
            }
        }
        Ok(Some(blob))
    }

    /// The result in a trace's outputs, if it is there, or some pod has it.
    async fn returned(&self, trace: &Trace) -> Fallible<Option<Blob>> {
        let Some(bytes) = self.supply().get(ObjectKind::Tree, &trace.outputs).await.map_err(failed)? else {
            return Ok(None);
        };
        let found = Tree::decode(&bytes).ok().and_then(|tree| left(&tree, "returned"));
        let Some(blob) = found.filter(Blob::is_short_enough) else { return Ok(None) };
        self.supply().bring(vec![ObjectId::blob(blob.digest)], Urgency::Urgent).await.map_err(failed)?;
        Ok(self.larder().contains(&blob.digest).map_err(failed)?.then_some(blob))
    }

    /// What a call sees at `/project`.
    pub(super) fn project(&self, outputs: Outputs, spec: &StepSpec) -> node::Project {
        node::Project::new(Arc::clone(&self.sources), Arc::clone(&self.files), outputs).seen_by(spec)
    }

    /// Makes a result what answers for equal calls. The first one stays.
    pub(super) async fn publish(&self, call: &Call, trace: &Trace, set: &PathSet) -> Fallible<Option<Blob>> {
        match self.larder().add_trace(trace, set, self.workspace).map_err(failed)? {
            Added::New(digest) => {
                self.supply().announce(trace, digest);
                Ok(None)
            }
            Added::Known(_) | Added::Revoked(_) => Ok(None),
            Added::Differs { first, .. } => {
                let Some((first, _)) = records::trace(self.larder(), &first).map_err(failed)? else {
                    return Ok(None);
                };
                let Some(blob) = self.returned(&first).await? else { return Ok(None) };
                self.sink.reply(request::Reply::Launch(LaunchNews::Note(format!(
                    "`{}` is not deterministic: an equal call returned something else before, and that stays",
                    call.name
                ))));
                Ok(Some(blob))
            }
        }
    }
}

fn cancelled() -> Ended {
    Ended::Failed(CallFailure::Cancelled, "it was cancelled".to_owned())
}

/// Why no process can be made of a call.
fn unusable(call: &Call) -> Option<String> {
    let nul = |text: &String| text.contains('\0');
    let bad_name = |name: &String| name.is_empty() || name.contains('=') || nul(name);
    if call.env.iter().any(|(name, value)| bad_name(name) || nul(value)) {
        return Some("a variable in its `env` has a name or a value that no process can have".to_owned());
    }
    if call.cache && !call.secrets.is_empty() {
        return Some("it has secrets, and what is made of them is not kept: take `cache` out".to_owned());
    }
    if nul(&call.module) || nul(&call.name) {
        return Some("its name has a NUL character".to_owned());
    }
    Program::secrets(call).err()
}

fn tree(entries: Vec<(RelPath, TreeEntry)>) -> Fallible<Tree> {
    Tree::new(entries)
        .map_err(|error| Box::new(border::machine(format!("what a call sees is no tree: {error}"))))
}

/// What a call left under a name.
pub(super) fn left(tree: &Tree, name: &str) -> Option<Blob> {
    match tree.get(&path(CALL).join(&path(name))) {
        Some(TreeEntry::File { digest, size, .. }) => Some(Blob { digest: *digest, size: *size }),
        _ => None,
    }
}

impl Blob {
    fn file(&self) -> TreeEntry {
        TreeEntry::File { digest: self.digest, size: self.size, exec: false }
    }

    /// Whether it may travel.
    pub(super) fn is_short_enough(&self) -> bool {
        self.size <= MAX_BODY
    }
}

/// What is shown of a call's lines.
pub(super) struct Shown {
    call: String,
    bytes: u64,
}

impl Shown {
    pub(super) fn of(call: &Call) -> Self {
        Self { call: format!("{}:{}", call.name, call.call), bytes: 0 }
    }

    /// Shows a line, or says once that there are too many.
    pub(super) fn line(&mut self, sink: &Sink, line: &PrintedLine) {
        let was_within = self.bytes <= MAX_SHOWN;
        self.bytes += line.bytes.len() as u64 + 1;
        let text = match (was_within, self.bytes <= MAX_SHOWN) {
            (_, true) => String::from_utf8_lossy(&line.bytes).into_owned(),
            (true, false) => {
                format!("(more than {} MiB were printed; the rest is not shown)", MAX_SHOWN >> 20)
            }
            (false, false) => return,
        };
        let (call, stream) = (self.call.clone(), line.stream);
        sink.reply(request::Reply::Launch(LaunchNews::Printed { call, stream, text }));
    }
}
