//! The answers of `why`, `trace` and `graph`. `docs/reference/reports.md` describes them for programs.

use protocol::{Digest, Look, PodId, RelPath, Seen, StepId};
use serde::{Deserialize, Serialize};

pub use super::failures::FailedRun;

/// The version of what `docs/reference/reports.md` promises. It rises when something that is described there changes its meaning
/// or goes away.
pub const SCHEMA: u32 = 1;

/// Something that a step saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The answer, in words.
    pub text: String,
    /// The digest of what counts of a file's content, or of a folder's names.
    pub digest: Option<Digest>,
    /// The digest of the whole content, where projections leave out a part of it.
    pub raw: Option<Digest>,
}

impl Sight {
    /// Of an answer, and the digest of the whole content where a part of it is what counts.
    pub fn new(seen: &Seen, raw: Option<Digest>) -> Self {
        let digest = match seen {
            Seen::Names(digest) | Seen::Content { digest, .. } => Some(*digest),
            Seen::Absent | Seen::Kind(_) | Seen::File { .. } | Seen::Target(_) => None,
        };
        Self { text: seen.to_string(), digest, raw }
    }
}

/// Where what was seen comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The project's sources.
    Source,
    /// A step of the project.
    Output,
    /// Outside of the project: a tool, a header or a library of this machine.
    Tool,
}

/// One observation that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path in the step's root (`project/src/a.c`, `usr/include/stdio.h`).
    pub path: RelPath,
    /// What was asked about it: `probe`, `content`, `listing`, `link`, `kind`.
    pub look: String,
    /// What happened, in words: `src/a.c changed`.
    pub words: String,
    /// What was seen before.
    pub before: Sight,
    /// What is seen instead; `None`: it has to be made first.
    pub now: Option<Sight>,
    /// Where it comes from.
    pub origin: Origin,
    /// The step that makes it.
    pub by: Option<StepId>,
    /// The projections through which it is seen.
    pub projections: Vec<String>,
    /// Of a listing the names that came and went, where they can be found out.
    pub names: Option<NamesChange>,
}

/// Names in a folder that came and went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesChange {
    /// Those that were not there before.
    pub appeared: Vec<String>,
    /// Those that are not there any more.
    pub gone: Vec<String>,
}

/// A part of a step's key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Which part: ``its command``, ``the variable `CC` ``.
    pub what: String,
    /// What it was; of a variable its digest. `None`: it was not there.
    pub before: Option<String>,
    /// What it is.
    pub now: Option<String>,
}

/// Why one step ran, or would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which step.
    pub step: StepId,
    /// Why, one line.
    pub reason: String,
    /// The observations that differ: those of the project first.
    pub changes: Vec<Change>,
    /// The parts of its key that differ.
    pub key: Vec<KeyChange>,
    /// How many more observations differ.
    pub more: u64,
}

/// The last run of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// When it was remembered, in milliseconds since 1970.
    pub at: u64,
    /// The trace that answered for the step until then.
    pub before: Option<Digest>,
    /// The trace of the run.
    pub after: Digest,
    /// Why it ran: this step first, then the steps whose outputs made it run, down to what started it all.
    pub causes: Vec<Cause>,
}

/// A change that projections hide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenChange {
    /// The path in the step's root.
    pub path: RelPath,
    /// The digest of the whole content when the step ran.
    pub before: Digest,
    /// The digest that it has now.
    pub now: Digest,
    /// The projections that leave the change out.
    pub projections: Vec<String>,
}

/// A step whose outputs were read, and that ran later and made the same again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// Which step.
    pub step: StepId,
    /// Why it ran.
    pub reason: String,
}

/// What a build would do with a step now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "would", rename_all = "kebab-case")]
pub enum Now {
    /// Adopt this trace.
    Reuse {
        /// The trace.
        trace: Digest,
        /// How many observations it has; all hold.
        observations: u64,
        /// Changes that its projections hide.
        hidden: Vec<HiddenChange>,
        /// Steps that ran since it did, and made the same.
        cut_off: Vec<CutOff>,
    },
    /// Run it, certainly or depending on what steps before it make.
    Run {
        /// Whether that depends on what other steps make.
        maybe: bool,
        /// As of a [`LastRun`].
        causes: Vec<Cause>,
    },
}

/// Why a target is as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReport {
    /// What was asked for.
    pub target: String,
    /// The step that makes it.
    pub step: StepId,
    /// The trace that it comes from, if it was ever made.
    pub trace: Option<Digest>,
    /// The pod that ran it then; `None`: this one, or it was never made.
    #[serde(default)]
    pub made_by: Option<PodId>,
    /// What people call that pod.
    #[serde(default)]
    pub made_by_name: Option<String>,
    /// The steps whose outputs it read.
    pub reads_from: Vec<StepId>,
    /// Why its commands last ran and came to a good end; `None`: never here.
    pub last_run: Option<LastRun>,
    /// Its last run, if that failed.
    pub failed: Option<FailedRun>,
    /// What a build would do now, and why.
    pub now: Now,
}

/// Which observations are wanted of a trace; all, where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TraceFilter {
    /// Of these kinds; empty: of all.
    pub kinds: Vec<Kind>,
    /// Whose path matches this glob: relative in the project, from `/` elsewhere.
    pub path: Option<String>,
    /// In the project or outside of it.
    pub place: Option<Within>,
}

/// The kind of an observation: what was asked, or that nothing was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file's bytes.
    Content,
    /// Whether something is there, with size and exec bit.
    Probe,
    /// Whether something is there, and of which kind.
    Kind,
    /// Nothing was there, whatever was asked.
    Absent,
    /// The names in a folder.
    Listing,
    /// A link's target.
    Link,
}

impl Kind {
    /// Of an observation.
    pub fn of(look: Look, seen: &Seen) -> Self {
        match (seen, look) {
            (Seen::Absent, _) => Kind::Absent,
            (_, Look::Content) => Kind::Content,
            (_, Look::Probe) => Kind::Probe,
            (_, Look::Kind) => Kind::Kind,
            (_, Look::Listing) => Kind::Listing,
            (_, Look::Link) => Kind::Link,
        }
    }
}

/// Where an observation was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Within {
    /// In the project.
    Project,
    /// Outside of it: tools.
    Tools,
}

/// One row of `trace`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The path in the step's root.
    pub path: RelPath,
    /// The path as people know it: relative in the project, from `/` elsewhere.
    pub shown: String,
    /// What was asked.
    pub look: String,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Sight,
}

/// Something that a step made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The path in the project.
    pub path: RelPath,
    /// What it is, in words.
    pub text: String,
    /// The digest of a file's content.
    pub digest: Option<Digest>,
}

/// A step's last trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceReport {
    /// Which step.
    pub step: StepId,
    /// The trace's digest.
    pub trace: Digest,
    /// Wall time of the run in milliseconds.
    pub millis: u64,
    /// How many things it saw in all.
    pub all: u64,
    /// Those that are wanted, sorted by path.
    pub observations: Vec<Observation>,
    /// How many more are wanted than are listed.
    pub more: u64,
    /// What it made, sorted by path.
    pub outputs: Vec<Output>,
    /// What it printed.
    pub printed: String,
}

/// One arrow of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The step whose output was read, or that comes first.
    pub from: StepId,
    /// The step that read it, or comes after.
    pub to: StepId,
    /// The artefacts that make the edge: what was read, by the last traces.
    pub paths: Vec<RelPath>,
    /// How many more there are.
    pub more: u64,
    /// Artefacts of which the names alone were seen, in a listing.
    pub names: Vec<RelPath>,
    /// Whether the project file says so: `after`, or `in` and `each` that match outputs.
    pub declared: bool,
    /// Whether both ends are in one circle.
    pub in_cycle: bool,
}

/// Steps and what flows between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphReport {
    /// The project's name.
    pub project: String,
    /// All steps of the plan.
    pub steps: Vec<StepId>,
    /// What flows.
    pub edges: Vec<Edge>,
    /// Steps that feed each other, each circle sorted.
    pub cycles: Vec<Vec<StepId>>,
}
