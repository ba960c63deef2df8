//! The answer of `why`: why a step ran, and what a build would do now. `docs/reference/reports.md` describes it for programs.

use protocol::{Digest, PodId, RelPath, StepId};
use serde::{Deserialize, Serialize};

use super::trace::Sight;
pub use crate::majordomo::failures::FailedRun;

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
