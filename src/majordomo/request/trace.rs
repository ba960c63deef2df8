//! The answer of `trace`: what a step saw, and what it made. `docs/reference/reports.md` describes it for programs.

use protocol::{Digest, Look, RelPath, Seen, StepId};
use serde::{Deserialize, Serialize};

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
