//! What is told of pods, of their federation and of what each of them owns.

use std::path::PathBuf;

use protocol::mesh::{Beat, FederationId, Role};
use protocol::{Digest, PodId, RelPath, WorkspaceId};
use serde::{Deserialize, Serialize};

/// What a pod is and holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodReport {
    /// Its home.
    pub home: PathBuf,
    /// Process that holds the home; `None`: nobody does.
    pub pid: Option<u32>,
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
    /// The federation that has sent it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_from: Option<FederationId>,
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
    /// Results of this pod that it has still to tell the others of: in a moment, or when the server is back.
    #[serde(default)]
    pub untold: u64,
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
    /// What people call these.
    #[serde(default)]
    pub holder_names: Vec<String>,
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

/// What was pulled before, brought up to date.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshedReport {
    /// What has changed since, and came.
    pub pulled: Vec<PulledReport>,
    /// How many have not changed.
    pub up_to_date: u64,
    /// What has changed and did not come.
    pub lacking: Vec<Lacking>,
}

/// An artefact that did not come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Which.
    pub artefact: ArtefactReport,
    /// Why, in words.
    pub why: String,
}

/// What is remembered of workspaces that nobody has built for long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectReport {
    /// Whether it is there still, and would go.
    pub dry_run: bool,
    /// Of which it has gone.
    pub workspaces: Vec<Collected>,
    /// Of how many it is kept.
    pub kept: u64,
}

/// What was remembered of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// Which.
    pub workspace: WorkspaceId,
    /// For how many days nobody has built it.
    pub days: u64,
    /// What it took.
    pub bytes: u64,
}
