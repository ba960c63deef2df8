//! What is told of a project to whoever asked, on this pod or on another one.

use serde::{Deserialize, Serialize};

use crate::{RelPath, StepId};

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

/// What can be named as a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A name of the project file for several targets.
    Alias,
    /// A step.
    Step,
    /// What a step says that it makes.
    Output,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// As it is typed.
    pub target: String,
    /// What it is.
    pub kind: TargetKind,
    /// The step that makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
}

/// What can be built of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetsReport {
    /// What it is called.
    pub project: String,
    /// What a bare build wants; empty: everything.
    pub default: Vec<String>,
    /// Aliases, then each step with what it makes.
    pub targets: Vec<TargetReport>,
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
