//! What pods tell each other over the back-plane: the entries of the federation's log, and messages.
//!
//! An *entry* stays: it is the last word on its subject (who is a member, who owns a path). A *message* passes: a beat, a question. Both are JSON
//! bodies, put into signed and encrypted envelopes by the back-plane; unknown fields are ignored, so that a later minor version may add some.
//! The golden files beside this module are their forms, word for word.

mod beat;
mod chef;
mod handover;
mod invitation;
mod member;
mod news;
pub mod order;
mod owner;
mod project;
pub mod run;
pub mod subject;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use beat::{Beat, TraceNews};
pub use chef::{ChefNews, LentChef};
pub use handover::{Exchange, ExchangeAnswer};
pub use invitation::{BadInvitation, Invitation, InvitationEntry, JoinAnswer, JoinRequest};
pub use member::{Addresses, GenerationEntry, KeyEntry, MAX_ADDRESSES, Member, Role, Standing};
pub use news::NewsAnswer;
pub use owner::{ArtefactScope, Ownership};
pub use project::{BadProjectName, MAX_PROJECT_NAME, PROJECT_PREFIX, ProjectEntry, ProjectName};

use crate::PodId;

/// The version of entries and messages. Another one is refused.
pub const VERSION: u32 = 1;

/// A federation's id: a hash of its founder's key, so that nobody can pose as the founder of one that exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FederationId([u8; 16]);

impl FederationId {
    /// The federation that a pod founds with a random salt.
    pub fn founded_by(founder: &PodId, salt: &[u8; 16]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("computepods federation v1");
        hasher.update(founder.as_bytes()).update(salt);
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self(id)
    }

    /// The bytes, for hashing.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Below which subject all that belongs to the federation is.
    pub fn root(&self) -> String {
        format!("cp.{self}")
    }
}

impl fmt::Display for FederationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FederationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FederationId {
    type Err = crate::ids::BadId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The same 32 digits as a workspace's id.
        text.parse::<crate::WorkspaceId>().map(|id| Self(id.to_bytes()))
    }
}

impl Serialize for FederationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FederationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Bytes that stand as base58 in JSON: keys, and what else is short.
pub mod base58 {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes them.
    pub fn serialize<S: Serializer>(
        bytes: &(impl AsRef<[u8]> + ?Sized),
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&bs58::encode(bytes.as_ref()).into_string())
    }

    /// Reads them; an array has to have its length.
    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = bs58::decode(&text).into_vec().map_err(D::Error::custom)?;
        T::try_from(bytes).map_err(|_| D::Error::custom("wrong length"))
    }
}

/// Bytes that stand as base64 in JSON: for those that may be many, for which base58 would take quadratic time.
pub mod base64 {
    use data_encoding::BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes them.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64.decode(String::deserialize(deserializer)?.as_bytes()).map_err(D::Error::custom)
    }
}

mod optional_base58 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer, T: AsRef<[u8]>>(
        bytes: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::base58::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(d: D) -> Result<Option<T>, D::Error> {
        struct Bytes<T>(T);
        impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Bytes<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                super::base58::deserialize(deserializer).map(Self)
            }
        }
        Ok(Option::<Bytes<T>>::deserialize(d)?.map(|bytes| bytes.0))
    }
}
