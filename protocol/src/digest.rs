//! BLAKE3-256 digests: a type with a prefix in its text form (`b3:` and 64 hex digits), never a bare string.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The contexts in which structured objects are hashed (BLAKE3 `derive_key`), so that a file's bytes never
/// have the digest of a trace, a tree or a path set.
pub mod context {
    /// [`crate::Trace`] objects.
    pub const TRACE: &str = "computepods trace v1";
    /// [`crate::Tree`] objects.
    pub const TREE: &str = "computepods tree v1";
    /// [`crate::PathSet`] objects.
    pub const PATH_SET: &str = "computepods path set v1";
    /// [`crate::swarm::ChunkList`] objects.
    pub const CHUNK_LIST: &str = "computepods chunk list v1";
    /// Directory listings inside observations.
    pub const LISTING: &str = "computepods listing v1";
    /// Weak keys.
    pub const WEAK_KEY: &str = "computepods weak key v1";
    /// Strong keys.
    pub const STRONG_KEY: &str = "computepods strong key v1";
    /// Names, versions and parameters of projections and normalisers.
    pub const LENS: &str = "computepods lens v1";
    /// What a projection leaves of a file: never the digest of a file.
    pub const PROJECTED: &str = "computepods projected v1";
}

/// A BLAKE3-256 digest. For a file it is that of the raw bytes; structured objects use [`Digest::in_context`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text was no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: wanted `b3:` and 64 hex digits")]
pub struct BadDigest(String);

impl Digest {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// The digest of raw bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of bytes under a context string of [`context`].
    pub fn in_context(context: &str, bytes: &[u8]) -> Self {
        Self(blake3::derive_key(context, bytes))
    }

    /// Takes 32 bytes that are known to be a digest: from an index, a frame, or a finished hasher.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without the prefix: for file names.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// `b3:` and the first eight hex digits, for messages that a person reads.
    pub fn short(&self) -> String {
        format!("b3:{}", &self.hex()[..8])
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = BadDigest;

    fn try_from(bytes: &[u8]) -> Result<Self, BadDigest> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| BadDigest(format!("{} bytes", bytes.len())))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest(text.to_owned());
        let hex = text.strip_prefix("b3:").ok_or_else(bad)?;
        if hex.len() != 64 || hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad());
        }
        blake3::Hash::from_hex(hex).map(Self::from).map_err(|_| bad())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_is_strict() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string(), "b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        for bad in ["", "b3:", &digest.hex(), &digest.to_string().to_uppercase(), &format!("{digest}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn contexts_keep_kinds_apart() {
        assert_ne!(Digest::of(b"x"), Digest::in_context(context::TRACE, b"x"));
        assert_ne!(Digest::in_context(context::TREE, b"x"), Digest::in_context(context::TRACE, b"x"));
    }
}
