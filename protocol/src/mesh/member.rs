//! Who belongs to a federation, and its keys.

use serde::{Deserialize, Serialize};

use super::FederationId;
use crate::{Digest, PodId};

/// What a pod does for the federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Serves nothing and runs nothing for others; what it publishes is not believed by default.
    Guest,
    /// Keeps and serves objects, runs nothing.
    Store,
    /// Everything: runs steps, serves, invites and bans.
    Full,
}

/// How a pod stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It belongs to the federation.
    Member,
    /// It has gone by itself, and may be invited again.
    Left,
    /// It was sent away: nothing that it has published is believed.
    Banned,
}

/// Entry: who a pod is. Signed by the founder (of itself), by the full member that let it in or sent it away, or by itself when it leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which pod.
    pub pod: PodId,
    /// A label for people.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Whether it still belongs to it.
    pub standing: Standing,
    /// The X25519 key to which group keys are sealed for it.
    #[serde(with = "super::base58")]
    pub seal_key: [u8; 32],
    /// The founder's proof: with its key this makes the federation's id.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional_base58")]
    pub founding_salt: Option<[u8; 16]>,
    /// Which generation of the group key the pod knew when it was sent away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knew_generation: Option<u32>,
    /// The signed entry by which it was let in, when this one is not it: so that whoever comes later can still see that it was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional_base58")]
    pub admission: Option<Vec<u8>>,
    /// Of a pod that was sent away: the signed entries about members that it had written until then, and that hold on; no others of it do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upheld: Vec<Digest>,
}

impl Member {
    /// Whether it is the founder of a federation.
    pub fn founded(&self, federation: &FederationId) -> bool {
        self.founding_salt.is_some_and(|salt| FederationId::founded_by(&self.pod, &salt) == *federation)
    }
}

/// The most addresses of one pod that are kept.
pub const MAX_ADDRESSES: usize = 16;

/// Entry: where a pod can be reached. Signed by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// libp2p multiaddresses.
    pub addresses: Vec<String>,
}

/// Entry: which group key is the present one. Changed by compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationEntry {
    /// Counted from 1.
    pub generation: u32,
    /// A hash of the key, so that two keys of one number cannot pass.
    #[serde(with = "super::base58")]
    pub commitment: [u8; 32],
}

/// Entry: the key ring, sealed to one pod. The only entry that is not encrypted with the group key: it is what that is learnt from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyEntry {
    /// The newest generation in it.
    pub generation: u32,
    /// A sealed box (X25519, XSalsa20-Poly1305) with the ring's JSON.
    #[serde(with = "super::base58")]
    pub sealed: Vec<u8>,
}
