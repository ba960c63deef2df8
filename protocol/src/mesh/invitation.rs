//! How a pod comes in: the text that a user pastes, and what newcomer and members say to each other.
//!
//! The invitation's secret is the seed of a signing key; the log has the public half. The newcomer proves by a signature that it knows the
//! secret, without telling it; and it knows from the federation's id who the founder is, so that nobody can pose as the federation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{FederationId, Role, base58};
use crate::PodId;

const PREFIX: &str = "invite1-";
/// The longest text that is looked at.
const MAX_TEXT: usize = 4096;
const CHECK: usize = 4;

/// What a user pastes: `invite1-` and base58 of the JSON, followed by four bytes of its hash. It is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Into which federation.
    pub federation: FederationId,
    /// Where its NATS server was reached by whoever invites; no user, password or token.
    pub server: String,
    /// Who invites, and answers first.
    pub by: PodId,
    /// Which entry of the log it is.
    #[serde(with = "base58")]
    pub id: [u8; 16],
    /// The seed of the key that the newcomer signs with.
    #[serde(with = "base58")]
    pub secret: [u8; 32],
}

/// The text was no invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadInvitation {
    /// It does not begin like one.
    #[error(
        "this is no invitation: one begins with `invite1-`; ask a member for one, who gets it from `pod invite`"
    )]
    NoInvitation,
    /// It is damaged.
    #[error("the invitation is damaged: copy the whole line, from `invite1-` to its end")]
    Damaged,
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..CHECK]);
        write!(f, "{PREFIX}{}", bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({} by {})", self.federation, self.by)
    }
}

impl FromStr for Invitation {
    type Err = BadInvitation;

    fn from_str(text: &str) -> Result<Self, BadInvitation> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(BadInvitation::NoInvitation)?;
        if body.len() > MAX_TEXT {
            return Err(BadInvitation::Damaged);
        }
        let bytes = bs58::decode(body).into_vec().map_err(|_| BadInvitation::Damaged)?;
        let (json, check) =
            bytes.split_at_checked(bytes.len().saturating_sub(CHECK)).ok_or(BadInvitation::Damaged)?;
        if blake3::hash(json).as_bytes()[..CHECK] != *check {
            return Err(BadInvitation::Damaged);
        }
        serde_json::from_slice(json).map_err(|_| BadInvitation::Damaged)
    }
}

/// Entry: an invitation, and who has used it. Changed by compare-and-set, so that it is used as often as it says and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationEntry {
    /// Who has made it.
    pub by: PodId,
    /// The public half of the key that the secret makes.
    #[serde(with = "base58")]
    pub key: [u8; 32],
    /// The most that a newcomer may become.
    pub role: Role,
    /// Not after this, in milliseconds since 1970.
    pub expires: u64,
    /// How many pods may come in by it.
    pub uses: u32,
    /// Those that have.
    pub used_by: Vec<PodId>,
}

/// Message: a newcomer asks to be let in. Not encrypted; signed by the newcomer's key, and by the invitation's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// Who asks.
    pub pod: PodId,
    /// Its label.
    pub name: String,
    /// What it wants to be.
    pub role: Role,
    /// Where group keys are to be sealed to.
    #[serde(with = "base58")]
    pub seal_key: [u8; 32],
    /// Which invitation.
    #[serde(with = "base58")]
    pub invitation: [u8; 16],
    /// The first goes to whoever invited; with each further one more members answer.
    pub attempt: u32,
}

/// Message: the answer, sealed to the newcomer's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum JoinAnswer {
    /// Come in.
    Welcome {
        /// The key ring, in JSON.
        ring: serde_json::Value,
        /// The signed entries of all members, from the founder on.
        #[serde(with = "entries")]
        members: Vec<Vec<u8>>,
    },
    /// Stay outside, and why.
    No {
        /// In words.
        why: String,
    },
}

impl fmt::Debug for JoinAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The ring is the federation's keys.
            Self::Welcome { ring: _, members } => write!(f, "Welcome({} members)", members.len()),
            Self::No { why } => write!(f, "No({why:?})"),
        }
    }
}

mod entries {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Entry(#[serde(with = "crate::mesh::base64")] Vec<u8>);

    pub fn serialize<S: Serializer>(entries: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(entries.iter().cloned().map(Entry))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
        Ok(Vec::<Entry>::deserialize(deserializer)?.into_iter().map(|entry| entry.0).collect())
    }
}
