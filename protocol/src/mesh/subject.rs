//! The subjects of a federation, below its root. What is below `log.` is an entry.

use super::ProjectName;
use crate::{PodId, RelPath, WorkspaceId};

/// Members, by pod.
pub const MEMBERS: &str = "log.member.";
/// Addresses of members, by pod.
pub const ADDRESSES: &str = "log.address.";
/// The key ring of each member, sealed to it.
pub const KEYS: &str = "log.key.";
/// The number of the present group key.
pub const GENERATION: &str = "log.generation";
/// Invitations, by id.
pub const INVITATIONS: &str = "log.invitation.";
/// Owners, by workspace and path.
pub const OWNERS: &str = "log.owner.";
/// Registered projects, by name.
pub const PROJECTS: &str = "log.project.";
/// Traces, by pod and trace.
pub const TRACES: &str = "log.trace.";
/// Pods that have told all that they know since the log was made.
pub const SETTLED: &str = "log.settled.";
/// Where a newcomer asks.
pub const JOIN: &str = "join";
/// Beats of all pods.
pub const BEATS: &str = "beat.*";
/// The chefs that all pods lend.
pub const CHEFS: &str = "chefs.*";

/// The entry that says who a pod is.
pub fn member(pod: &PodId) -> String {
    format!("{MEMBERS}{pod}")
}

/// The entry that says where a pod can be reached.
pub fn address(pod: &PodId) -> String {
    format!("{ADDRESSES}{pod}")
}

/// The entry with a pod's key ring.
pub fn key(pod: &PodId) -> String {
    format!("{KEYS}{pod}")
}

/// The entry of an invitation.
pub fn invitation(id: &[u8; 16]) -> String {
    format!("{INVITATIONS}{}", bs58::encode(id).into_string())
}

/// The entry that says who owns what is at a path.
pub fn owner(workspace: WorkspaceId, path: &RelPath) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("computepods owner subject v1");
    hasher.update(&workspace.to_bytes()).update(path.as_bytes());
    // Hexadecimal digits, since a million of them are read at a start.
    format!("{OWNERS}{}", &hasher.finalize().to_hex()[..32])
}

/// The entry of a registered project.
pub fn project(name: &ProjectName) -> String {
    // A name may have dots, which part subjects.
    format!("{PROJECTS}{}", bs58::encode(name.as_str()).into_string())
}

/// The entry that announces a pod's trace.
pub fn trace(pod: &PodId, trace: &crate::Digest) -> String {
    format!("{TRACES}{pod}.{}", bs58::encode(&trace.as_bytes()[..16]).into_string())
}

/// The entry by which a pod says that it has told all that it knows.
pub fn settled(pod: &PodId) -> String {
    format!("{SETTLED}{pod}")
}

/// A pod's beats.
pub fn beat(pod: &PodId) -> String {
    format!("beat.{pod}")
}

/// The chefs that a pod lends.
pub fn chefs(pod: &PodId) -> String {
    format!("chefs.{pod}")
}

/// Questions to one pod on one matter (`sync`, `hand-over`, `place` …).
pub fn ask(pod: &PodId, matter: &str) -> String {
    format!("ask.{pod}.{matter}")
}
