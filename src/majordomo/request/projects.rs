//! What is told of a project and of what is stored for it.

use protocol::{RelPath, StepId};
use serde::{Deserialize, Serialize};

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
