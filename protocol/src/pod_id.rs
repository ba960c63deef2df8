//! A pod's id: its ed25519 public key, which in its text form is its libp2p peer id.
//!
//! Text: base58 (bitcoin's alphabet) of the identity multihash of the key's protobuf form, `12D3Koo…`, as the
//! [peer id spec](https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md) has it. Nothing but ed25519 is a pod.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Identity multihash of 36 bytes, then field 1 (key type: ed25519), then field 2 (32 bytes).
const PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// An ed25519 public key by which a pod is known. That it is a point of the curve shows when a signature is verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId([u8; 32]);

/// The text was no pod's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pod's id: wanted a libp2p peer id of an ed25519 key (`12D3Koo…`)")]
pub struct BadPodId(String);

impl PodId {
    /// Takes the 32 bytes of a public key.
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The 32 bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes of the libp2p peer id: a multihash.
    pub fn multihash(&self) -> [u8; 38] {
        let mut bytes = [0; 38];
        bytes[..6].copy_from_slice(&PREFIX);
        bytes[6..].copy_from_slice(&self.0);
        bytes
    }

    /// Takes the bytes of a libp2p peer id; none if its key is not ed25519.
    pub fn from_multihash(bytes: &[u8]) -> Option<Self> {
        bytes.strip_prefix(&PREFIX)?.try_into().ok().map(Self)
    }

    /// The last eight characters, for messages that a person reads: the first ones are the same in all ids.
    pub fn short(&self) -> String {
        let text = self.to_string();
        text[text.len() - 8..].to_owned()
    }
}

impl fmt::Display for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.multihash()).into_string())
    }
}

impl fmt::Debug for PodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PodId({self})")
    }
}

impl FromStr for PodId {
    type Err = BadPodId;

    fn from_str(text: &str) -> Result<Self, BadPodId> {
        let mut bytes = [0; 38];
        match bs58::decode(text).onto(&mut bytes) {
            Ok(38) => Self::from_multihash(&bytes).ok_or_else(|| BadPodId(text.to_owned())),
            _ => Err(BadPodId(text.to_owned())),
        }
    }
}

impl Serialize for PodId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PodId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(key: [u8; 32]) {
            let id = PodId::from_bytes(key);
            let text = id.to_string();
            prop_assert!(text.starts_with("12D3Koo"));
            prop_assert_eq!(text.parse::<PodId>(), Ok(id));
            prop_assert_eq!(PodId::from_multihash(&id.multihash()), Some(id));
        }

        #[test]
        fn no_other_text_is_one(text in ".{0,80}") {
            if let Ok(id) = text.parse::<PodId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_id_is_told() {
        let error = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse::<PodId>().unwrap_err();
        insta::assert_snapshot!(
            error,
            @"`QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N` is no pod's id: wanted a libp2p peer id of an ed25519 key (`12D3Koo…`)"
        );
    }
}
