//! Who owns what.

use serde::{Deserialize, Serialize};

use crate::{Digest, PodId, RelPath, WorkspaceId};

/// What an ownership covers: never one file, unless a step makes just that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArtefactScope {
    /// A root of sources; `digest` is its tree.
    Sources,
    /// All outputs of one step, at the path of the first; `digest` is their tree.
    Outputs,
}

/// Entry: the owner of the artefacts at and below a path. Changed by compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// Whose workspace.
    pub workspace: WorkspaceId,
    /// Where in it.
    pub path: RelPath,
    /// What it covers.
    pub scope: ArtefactScope,
    /// Who must keep the bytes; none when it was given up.
    pub owner: Option<PodId>,
    /// The official digest.
    pub digest: Digest,
    /// How many bytes there are below it.
    pub size: u64,
    /// What people call it: the project's name, and for outputs `: ` and the step.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The owner has made it for a build of this pod, which may ask to have it handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_for: Option<PodId>,
    /// To whom it is being handed over: until that is settled, nobody else may claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised_to: Option<PodId>,
}
