//! What can be asked of the majordomo, and what it answers: plain data, the same in one process and over `pod.sock`.
//!
//! A client sends one [`Request`] and reads [`Reply`]s until [`Reply::Done`] or [`Reply::Failed`]. Dropping the
//! connection cancels what was asked. The answers of read-only requests are data; the CLI alone finds words for them.

use std::path::{Path, PathBuf};

use protocol::event::{Outcome, Stamped, Stream};
use protocol::mesh::{Beat, FederationId, Role};
use protocol::{Digest, PodId, RelPath, StepId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::report::{GraphReport, TraceFilter, TraceReport, WhyReport};
use super::shell::{ShellNews, ShellRequest};

/// Which engine runs steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Bare Linux namespaces.
    #[default]
    Native,
    /// Podman containers.
    Podman,
    /// Podman where it can start a container, else native.
    Auto,
}

impl From<Sandbox> for node::Sandbox {
    fn from(sandbox: Sandbox) -> Self {
        match sandbox {
            Sandbox::Native => Self::Native,
            Sandbox::Podman => Self::Podman,
            Sandbox::Auto => Self::Auto,
        }
    }
}

/// How a build is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BuildOptions {
    /// Steps that run at once; `None`: as many as the machine has processors.
    pub jobs: Option<usize>,
    /// Say what would run, and run nothing. Answer: a [`StatusReport`] of the wanted steps, besides the events.
    pub dry_run: bool,
    /// Adopt no trace: run every wanted step.
    pub cold: bool,
    /// After a failure go on with what does not need the failed step.
    pub keep_going: bool,
    /// Say for every step, reused ones too, why.
    pub explain: bool,
    /// The engine; `None`: what the pod has for a default.
    #[serde(default)]
    pub sandbox: Option<Sandbox>,
    /// Move outputs that were edited by hand aside, and write ours.
    pub take_back: bool,
    /// After a good build run all that is wanted again, and say what differs. Answer: a [`VerifyReport`], besides the events.
    #[serde(default)]
    pub verify: bool,
}

/// How changes are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchOptions {
    /// Look every so many milliseconds, and do not ask for events.
    pub poll_ms: Option<u64>,
    /// Milliseconds without a change after which a series of changes is over.
    pub settle_ms: u64,
}

/// What happens between builds, and why there is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "watch", rename_all = "kebab-case")]
pub enum WatchNews {
    /// Something that counts has changed: another build begins.
    Changed {
        /// The first few things, one each: `src/a.c`, `bin/hello is gone`.
        what: Vec<String>,
        /// How many more.
        more: u64,
        /// Whether a build that was running was ended for it.
        superseded: bool,
    },
    /// The build could not be carried out; the next change is waited for.
    Refused(Failure),
    /// Nothing is done until something changes.
    Waiting {
        /// Files, folders and links of the project that are watched.
        paths: u64,
        /// Folders of the machine that are watched because steps used what is in them.
        upstream: u64,
        /// There are no events: it is looked at so often, in milliseconds.
        poll_ms: Option<u64>,
    },
    /// The pod goes: whoever watches finds another one, or becomes it. Followed by [`Reply::Done`].
    Moved,
}

/// What happens while a program of functions runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "launch", rename_all = "kebab-case")]
pub enum LaunchNews {
    /// The program can be started.
    Ready {
        /// Where it has to connect, once.
        socket: PathBuf,
        /// The folder of our package, for its search path.
        package: PathBuf,
    },
    /// A call printed a line.
    Printed {
        /// Which: the function's name and the call's number.
        call: String,
        /// Which stream.
        stream: Stream,
        /// The line without its end, UTF-8 (lossy).
        text: String,
    },
    /// Words to the user that belong to no call.
    Note(String),
    /// The program has gone, and all its calls have ended.
    Ended {
        /// Calls that ran and came to a good end.
        ran: u64,
        /// Calls that an earlier one answered for.
        reused: u64,
        /// Calls that came to no good end.
        failed: u64,
    },
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Build targets of a project; empty: what its project file says.
    Build {
        /// The project's folder, absolute.
        project: PathBuf,
        /// Output paths, globs, step ids or rule names.
        targets: Vec<String>,
        /// How.
        options: BuildOptions,
        /// The caller's environment, from which `env = ["A"]` passes on.
        environment: Vec<(String, String)>,
    },
    /// Build as [`Request::Build`] does, and again whenever something that counts has changed, until the request is cancelled.
    /// Answers: each build's events, and [`Reply::Watch`].
    Watch {
        /// The project's folder, absolute.
        project: PathBuf,
        /// As of a build.
        targets: Vec<String>,
        /// How.
        options: BuildOptions,
        /// As of a build.
        environment: Vec<(String, String)>,
        /// When.
        watching: WatchOptions,
    },
    /// Write the project file that says what the chefs plan; never over one that is there. Answer: [`InitReport`].
    Init {
        /// The project's folder, absolute.
        project: PathBuf,
        /// The caller's environment, as of a build.
        environment: Vec<(String, String)>,
    },
    /// Run the calls of a program of functions, until it has gone. Answers: [`Reply::Launch`]; the program itself, which the client
    /// starts, talks over the socket that [`LaunchNews::Ready`] names.
    Launch {
        /// The folder that calls see, absolute.
        folder: PathBuf,
        /// Calls that run at once; `None`: as many as the machine has processors.
        jobs: Option<usize>,
        /// In what they run; `None`: as the pod says.
        sandbox: Option<Sandbox>,
    },
    /// Look into a step's root. Answers: events of what is made for it, and [`Reply::Shell`].
    Shell(Box<ShellRequest>),
    /// What a build would find: read-only by contract. Answer: [`StatusReport`].
    Status {
        /// The project's folder, absolute.
        project: PathBuf,
        /// The caller's environment, as of a build.
        #[serde(default)]
        environment: Vec<(String, String)>,
    },
    /// Why a target was made as it is, or would be made again. Answer: [`WhyReport`].
    Why {
        /// The project's folder, absolute.
        project: PathBuf,
        /// An output path or a step id.
        target: String,
        /// The caller's environment, as of a build.
        #[serde(default)]
        environment: Vec<(String, String)>,
    },
    /// All observations of a step's last trace. Answer: [`TraceReport`].
    Trace {
        /// The project's folder, absolute.
        project: PathBuf,
        /// A step id.
        step: String,
        /// Which observations are wanted.
        #[serde(default)]
        filter: TraceFilter,
    },
    /// Steps and what flows between them. Answer: [`GraphReport`].
    Graph {
        /// The project's folder, absolute.
        project: PathBuf,
        /// The caller's environment, as of a build.
        #[serde(default)]
        environment: Vec<(String, String)>,
    },
    /// Revoke the traces of a step (or of all steps of a rule). Answer: [`ForgetReport`].
    Forget {
        /// The project's folder, absolute.
        project: PathBuf,
        /// A step id or a rule name.
        step: String,
    },
    /// Remove what was handed over and not edited. Answer: [`CleanReport`].
    Clean {
        /// The project's folder, absolute.
        project: PathBuf,
    },
    /// Something about chefs. Answer: [`ChefsReport`] or [`ChefTestReport`].
    Chef(ChefRequest),
    /// Check every object of the larder. Answers: [`Reply::Progress`] and [`FsckReport`].
    Fsck,
    /// What this pod is and holds. Answer: [`PodReport`].
    PodStatus,
    /// Who belongs to this pod's federation. Answer: [`PodsReport`].
    Pods,
    /// An invitation into this pod's federation. Answer: [`InvitationReport`].
    Invite {
        /// The most that newcomers may be.
        role: Role,
        /// How many may come.
        uses: u32,
        /// For how long.
        hours: u32,
    },
    /// Send a pod away. Answer: [`PodsReport`].
    Ban {
        /// Its name or id.
        pod: String,
    },
    /// The pod leaves its federation for good, and goes. Answer: [`LeaveReport`].
    Leave {
        /// Even if nobody takes what it owns.
        anyway: bool,
    },
    /// All artefacts that somebody owns. Answer: [`ArtefactsReport`].
    Artefacts,
    /// Who owns something. Answer: [`OwnerReport`].
    Owner(ArtefactName),
    /// Hand something of this pod's over. Answer: [`OwnerReport`].
    Give {
        /// What.
        artefact: ArtefactName,
        /// The other pod's name or id.
        to: String,
    },
    /// Bring something into this pod's larder. Answer: [`PulledReport`].
    Pull(ArtefactName),
    /// A pod that stands goes when all that was asked is answered. Answer: [`PodReport`].
    PodStop,
}

impl Request {
    /// The project that it builds, if it may run steps.
    pub fn builds(&self) -> Option<&Path> {
        match self {
            Self::Build { project, .. } | Self::Watch { project, .. } | Self::Init { project, .. } => {
                Some(project)
            }
            Self::Shell(asked) => Some(&asked.project),
            _ => None,
        }
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "with", rename_all = "kebab-case")]
pub enum Reply {
    /// Something happened in the build.
    Event(Stamped),
    /// So much of a long request is done.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// What is counted: `objects`.
        unit: String,
    },
    /// The request waits for another one: one line for people.
    Waiting(String),
    /// What a watching request does besides building.
    Watch(WatchNews),
    /// What happens while a program of functions runs.
    Launch(LaunchNews),
    /// What happens while somebody looks into a step's root.
    Shell(ShellNews),
    /// The answer of a read-only request.
    Report(Report),
    /// The end of what was asked; for a build, how it ended.
    Done {
        /// `Some` for builds.
        outcome: Option<Outcome>,
    },
    /// The request could not be carried out.
    Failed(Failure),
}

/// Answers of the read-only requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub enum Report {
    /// To [`Request::Status`].
    Status(StatusReport),
    /// To [`Request::Why`].
    Why(WhyReport),
    /// To [`Request::Trace`].
    Trace(TraceReport),
    /// To [`Request::Graph`].
    Graph(GraphReport),
    /// To [`Request::Build`] with [`BuildOptions::verify`].
    Verify(VerifyReport),
    /// To [`Request::Forget`].
    Forget(ForgetReport),
    /// To [`Request::Clean`].
    Clean(CleanReport),
    /// To [`Request::Init`].
    Init(InitReport),
    /// To [`Request::Chef`].
    Chefs(ChefsReport),
    /// To [`ChefRequest::Test`].
    ChefTest(ChefTestReport),
    /// To [`Request::Fsck`].
    Fsck(FsckReport),
    /// To [`Request::PodStatus`].
    Pod(PodReport),
    /// To [`Request::Pods`].
    Pods(PodsReport),
    /// To [`Request::Invite`].
    Invitation(InvitationReport),
    /// To [`Request::Leave`].
    Left(LeaveReport),
    /// To [`Request::Artefacts`].
    Artefacts(ArtefactsReport),
    /// To [`Request::Owner`] and [`Request::Give`].
    Owner(Box<OwnerReport>),
    /// To [`Request::Pull`].
    Pulled(Box<PulledReport>),
}

/// What can be done with chefs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "chef", rename_all = "kebab-case")]
pub enum ChefRequest {
    /// Register the chef in this folder or file, in place of the one that has its name.
    Add {
        /// Absolute.
        from: PathBuf,
    },
    /// All of them.
    List,
    /// One.
    Show {
        /// Its name.
        name: String,
    },
    /// Forget a registered one.
    Remove {
        /// Its name.
        name: String,
    },
    /// Let one be asked, or not.
    Enable {
        /// Its name.
        name: String,
        /// Whether it may be asked.
        is_enabled: bool,
    },
    /// Ask a chef that need not be registered its own examples.
    Test {
        /// Its folder, absolute.
        from: PathBuf,
        /// The caller's environment, as of a build.
        environment: Vec<(String, String)>,
    },
}

/// A chef.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChefInfo {
    /// Its name.
    pub name: String,
    /// Which version of it.
    pub version: String,
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// Whether it comes with this program.
    #[serde(rename = "built_in")]
    pub is_built_in: bool,
    /// Whether it is asked.
    #[serde(rename = "enabled")]
    pub is_enabled: bool,
    /// Its files, as a tree of the larder; `None`: it is built in.
    pub tree: Option<Digest>,
    /// The pod of the federation that lends it; `None`: it is registered here, or built in.
    #[serde(default)]
    pub lent_by: Option<PodId>,
    /// Its program, in its folder.
    pub program: String,
    /// It is asked where one of these patterns matches; none: always.
    pub recognises: Vec<String>,
    /// Programs that it wants.
    pub tools: Vec<String>,
    /// Those of them that are not where steps look.
    pub missing: Vec<String>,
    /// Its projections.
    #[serde(default)]
    pub projections: Vec<String>,
    /// Its normalisers, and what each is for.
    #[serde(default)]
    pub normalisers: std::collections::BTreeMap<String, Vec<String>>,
    /// Seconds after which it is ended; `None`: it is built in.
    pub timeout: Option<u64>,
    /// Keys of its steps, where a plan does not say them.
    pub defaults: serde_json::Map<String, serde_json::Value>,
}

/// Chefs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChefsReport {
    /// By name; of one that was removed, what it was.
    pub chefs: Vec<ChefInfo>,
    /// The version of the one whose place was taken.
    pub replaced: Option<String>,
}

/// How a chef answered its own examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChefTestReport {
    /// The chef.
    pub chef: String,
    /// Its version.
    pub version: String,
    /// By name.
    pub examples: Vec<ChefExample>,
}

/// One example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChefExample {
    /// Its folder.
    pub name: String,
    /// What is wrong; `None`: it answered as it should.
    pub failure: Option<String>,
}

/// What `init` wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitReport {
    /// The file.
    pub file: PathBuf,
    /// The chef whose plan it is.
    pub chef: String,
    /// What that chef found; empty: it did not say.
    pub found: String,
}

/// Whose fault a failure is; picks the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A step failed: exit code 1.
    Step,
    /// The user's mistake: exit code 2.
    User,
    /// The machine failed: exit code 3.
    Machine,
}

/// An error at the border: what happened, to what, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub kind: FailureKind,
    /// What happened, to what: one sentence fragment in lower case.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
}

impl Failure {
    /// From a typed error: its message and its source chain.
    pub fn new(kind: FailureKind, error: &(dyn std::error::Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |e| e.source()).map(ToString::to_string).collect();
        Self { kind, message: error.to_string(), causes, hints: Vec::new() }
    }

    /// With one more thing to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// What `status` says of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Which step.
    pub step: StepId,
    /// Whether a build would adopt a trace for it.
    pub up_to_date: bool,
    /// Why it would run, one line; empty when it would not.
    pub reason: String,
    /// How its last run failed, if it did.
    #[serde(default)]
    pub failed: Option<String>,
}

/// What a build would find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The project's name.
    pub project: String,
    /// Number of source files.
    pub sources: u64,
    /// Each step of the plan. A step behind one that would run is said to be `maybe` in its reason.
    pub steps: Vec<StepState>,
    /// Outputs that were edited by hand since they were handed over.
    pub edited: Vec<RelPath>,
    /// Outputs that were handed over and are gone.
    pub missing: Vec<RelPath>,
}

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReport {
    /// Steps and the number of their traces that are never adopted again.
    pub revoked: Vec<(StepId, u64)>,
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanReport {
    /// Outputs that were removed.
    pub removed: u64,
    /// Outputs that were edited by hand, and so were left.
    pub kept: Vec<RelPath>,
}

/// What a check of the larder found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsckReport {
    /// Objects that were checked.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was wrong and is in quarantine now, one line each.
    pub quarantined: Vec<String>,
}

/// What a pod is and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodReport {
    /// Its home.
    pub home: PathBuf,
    /// Process that holds the home.
    pub pid: u32,
    /// Whether it lives in a majordomo rather than in a `pod`.
    pub embedded: bool,
    /// Slots for steps.
    pub slots: u64,
    /// Objects in the larder.
    pub objects: u64,
    /// Bytes in the larder.
    pub bytes: u64,
    /// What was repaired when it was opened, one line each.
    pub repairs: Vec<String>,
}

/// A federation as one of its pods sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodsReport {
    /// Which.
    pub federation: FederationId,
    /// Its NATS server, without secrets.
    pub server: String,
    /// Why that cannot be reached, if so.
    pub down: Option<String>,
    /// A hash of all that this pod knows of the federation: two pods with the same one know the same.
    pub known: String,
    /// Its pods, by id.
    pub pods: Vec<MemberReport>,
}

/// A pod as another one sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Which.
    pub pod: PodId,
    /// What people call it.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Whether it is the pod that was asked.
    pub is_me: bool,
    /// Whether there is a connection for content.
    pub connected: bool,
    /// When it last said that it is there.
    pub heard_seconds_ago: Option<u64>,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Why there is no connection, or what it did wrong.
    pub trouble: Option<String>,
    /// Bytes of content that came from it.
    pub received: u64,
    /// What it said of itself last; none: it is not heard.
    pub load: Option<Beat>,
}

/// An invitation. Its text is a secret: whoever has it may come in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationReport {
    /// One line, for `pod join --invite`.
    pub invitation: String,
    /// The NATS server, for people.
    pub server: String,
    /// How many pods may come.
    pub uses: u32,
    /// For how long.
    pub hours: u32,
}

/// What leaving came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaveReport {
    /// What was left.
    pub federation: FederationId,
    /// Artefacts that other pods own now.
    pub handed_over: u64,
    /// Artefacts that nobody took.
    pub kept: u64,
}

/// An artefact as a person names it: a path on this machine, or `WORKSPACE:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactName {
    /// As it was typed.
    pub word: String,
    /// The folder in which that was.
    pub cwd: PathBuf,
}

/// What somebody owns: the sources of a workspace that were read, or the outputs of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactReport {
    /// Whose workspace.
    pub workspace: WorkspaceId,
    /// What people call its project.
    pub project: String,
    /// Where in it: the first path of a step's outputs; the root: its sources.
    pub path: RelPath,
    /// Whether these are sources.
    pub is_sources: bool,
    /// Project and step, for people.
    pub label: String,
    /// Who must keep the bytes.
    pub owner: Option<PodId>,
    /// What people call that pod.
    pub owner_name: String,
    /// Whether it is the pod that was asked.
    pub is_mine: bool,
    /// To whom it is being handed over.
    pub promised_to: Option<PodId>,
    /// The tree of all that is covered.
    pub digest: Digest,
    /// Bytes of that.
    pub bytes: u64,
}

/// All artefacts that somebody owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactsReport {
    /// Files that they cover, as far as this pod knows their trees.
    pub files: u64,
    /// By project, workspace and path.
    pub artefacts: Vec<ArtefactReport>,
}

/// Who owns something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerReport {
    /// The record that covers it.
    pub artefact: ArtefactReport,
    /// The file, if one was asked about.
    pub file: Option<FileReport>,
}

/// A file that an artefact covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// Where in its workspace.
    pub path: RelPath,
    /// Its official digest.
    pub digest: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Whether it may be executed.
    pub exec: bool,
    /// Pods that are believed to have it.
    pub holders: Vec<PodId>,
}

/// What came, or was here already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PulledReport {
    /// Of what.
    pub artefact: ArtefactReport,
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What running everything again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// How many steps ran again.
    pub steps: u64,
    /// What differed, by step; empty: nothing.
    pub differences: Vec<VerifyDifference>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyDifference {
    /// Whose.
    pub step: StepId,
    /// What it says of the step.
    pub differing: Differing,
    /// Where, for people: the first path, and the first byte in it.
    pub words: String,
}

/// What a difference says of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Differing {
    /// The same inputs gave other outputs.
    NotDeterministic,
    /// With its own outputs visible it makes something else: it may want `keep`.
    OwnOutputs,
    /// From nothing it settles elsewhere than it had from where it was.
    Settled,
}
