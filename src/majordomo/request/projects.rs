//! What is told of a project and of what is stored for it.

use protocol::{RelPath, StepId};
use serde::{Deserialize, Serialize};

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
