//! What can be asked of the majordomo, and what it answers: plain data, the same in one process and over `pod.sock`.
//!
//! A client sends one [`Request`] and reads [`Reply`]s until [`Reply::Done`] or [`Reply::Failed`]. Dropping the
//! connection cancels what was asked. The answers of read-only requests are data; the CLI alone finds words for them.

mod chefs;
pub mod graph;
mod named;
mod pods;
mod projects;
mod shell;
pub mod trace;
pub mod why;

use std::path::{Path, PathBuf};

use protocol::event::{Outcome, Stamped, Stream};
use protocol::mesh::Role;
use serde::{Deserialize, Serialize};

use graph::GraphReport;
use trace::{TraceFilter, TraceReport};
use why::WhyReport;

pub use chefs::{ChefExample, ChefInfo, ChefRequest, ChefTestReport, ChefsReport, InitReport};
pub use named::{BuiltReport, Named, OwnOptions, ProjectReport, ProjectsReport, ProjectsRequest};
pub use pods::{
    ArtefactName, ArtefactReport, ArtefactsReport, CollectReport, Collected, FileReport, InvitationReport,
    Lacking, LeaveReport, MemberReport, OwnerReport, PodReport, PodsReport, PulledReport, RefreshedReport,
};
pub use projects::{CleanReport, ForgetReport, FsckReport};
pub use shell::{ShellNews, ShellRequest};

pub use protocol::failure::{Failure, FailureKind};
pub use protocol::mesh::order::{OfProject, OrderOptions, ProjectMade, UsedBy};
pub use protocol::report::{
    Differing, StatusReport, StepState, TargetKind, TargetReport, TargetsReport, VerifyDifference,
    VerifyReport,
};

/// The version of what `docs/reference/reports.md` promises. It rises when something that is described there changes its meaning
/// or goes away.
pub const SCHEMA: u32 = 1;

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
    /// What the last build said, and what the next ones say. Answers: their events; it ends when it is cancelled, or with the first build's end.
    Monitor {
        /// The project's folder, absolute.
        project: PathBuf,
        /// Only what is about this step, or the steps of this rule.
        step: Option<String>,
        /// End with the build that is said first.
        once: bool,
    },
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
    /// Take out what is remembered of workspaces that nobody has built for so many days. Answer: [`CollectReport`].
    Collect {
        /// Days.
        days: u32,
        /// Only say what would go.
        dry_run: bool,
    },
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
    /// The pod leaves its federation for good, and goes. Answers: [`Reply::Progress`] and [`LeaveReport`].
    Leave {
        /// Even if nobody takes what it owns.
        anyway: bool,
    },
    /// Something about the federation's list of projects. Answer: [`ProjectsReport`].
    Projects(ProjectsRequest),
    /// Something of a registered project. Answers: as [`OfProject`] says.
    Named(Box<Named>),
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
        /// Whether it pulls a copy, and the owner stays.
        #[serde(default)]
        is_copy: bool,
    },
    /// Bring something into this pod's larder. Answer: [`PulledReport`].
    Pull(ArtefactName),
    /// Bring all that was pulled up to date. Answer: [`RefreshedReport`].
    Refresh,
    /// A pod that stands goes when all that was asked is answered. Answer: [`PodReport`].
    PodStop,
}

/// What has to be there for a request to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// What is missing is made.
    Nothing,
    /// A home.
    Home,
    /// A federation, in which the home's pod stands.
    Federation,
}

impl Request {
    /// What has to be there already: a home that is misspelt is not made by a question about what it has. Some of these are answered where there is no home
    /// at all, unless it was named ([`without_a_home`](super::inspect::without_a_home)).
    pub fn needs(&self) -> Needs {
        match self {
            Self::Build { .. }
            | Self::Watch { .. }
            | Self::Init { .. }
            | Self::Launch { .. }
            | Self::Shell(_)
            | Self::Clean { .. }
            | Self::Chef(ChefRequest::Add { .. } | ChefRequest::Enable { .. } | ChefRequest::Test { .. }) => {
                Needs::Nothing
            }
            Self::Fsck
            | Self::Collect { .. }
            | Self::PodStatus
            | Self::PodStop
            | Self::Monitor { .. }
            | Self::Status { .. }
            | Self::Why { .. }
            | Self::Trace { .. }
            | Self::Graph { .. }
            | Self::Forget { .. }
            | Self::Chef(ChefRequest::List | ChefRequest::Show { .. } | ChefRequest::Remove { .. }) => {
                Needs::Home
            }
            Self::Pods
            | Self::Invite { .. }
            | Self::Ban { .. }
            | Self::Leave { .. }
            | Self::Projects(_)
            | Self::Named(_)
            | Self::Artefacts
            | Self::Owner(_)
            | Self::Give { .. }
            | Self::Refresh
            | Self::Pull(_) => Needs::Federation,
        }
    }

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
        /// What is counted: `objects`, `artefacts`.
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
    Why(Box<WhyReport>),
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
    /// To [`Request::Collect`].
    Collected(CollectReport),
    /// To [`Request::PodStatus`].
    Pod(PodReport),
    /// To [`Request::Pods`].
    Pods(PodsReport),
    /// To [`Request::Invite`].
    Invitation(InvitationReport),
    /// To [`Request::Leave`].
    Left(LeaveReport),
    /// To [`Request::Projects`].
    Projects(ProjectsReport),
    /// To [`OfProject::Targets`].
    Targets(TargetsReport),
    /// To [`OfProject::Build`].
    Built(BuiltReport),
    /// To [`Request::Artefacts`].
    Artefacts(ArtefactsReport),
    /// To [`Request::Owner`] and [`Request::Give`].
    Owner(Box<OwnerReport>),
    /// To [`Request::Pull`].
    Pulled(Box<PulledReport>),
    /// To [`Request::Refresh`].
    Refreshed(RefreshedReport),
}
