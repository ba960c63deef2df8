//! The federation's group keys, by generation, and sealing with them.
//!
//! Sealed: version (1 byte), generation (u32, little-endian), nonce (24 random bytes), then XChaCha20-Poly1305 over the plain text, with federation,
//! subject and those five bytes as associated data. The newest generation seals; all open, since the log has entries of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;
use protocol::mesh::FederationId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{NoRandomness, random};

const FORMAT: u8 = 1;
const HEADER: usize = 1 + 4 + 24;
/// The most generations that are kept: the oldest are forgotten.
pub const MAX_GENERATIONS: usize = 64;

/// A group key.
pub type GroupKey = Zeroizing<[u8; 32]>;

/// The keys of all generations that this pod has been given.
#[derive(Clone, Default)]
pub struct Ring {
    keys: BTreeMap<u32, GroupKey>,
    /// The generation that the federation has agreed upon, if that is known: a later key opens, and does not seal.
    agreed: Option<u32>,
}

/// A ring that several hold, and that grows.
pub type SharedRing = Arc<RwLock<Ring>>;

/// Sealed bytes could not be opened, or plain ones not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Too short, or of a version that is not known.
    #[error("not sealed in a form that is known")]
    Form,
    /// Sealed with a key that this pod has not.
    #[error("sealed with generation {0} of the group key, which this pod has not")]
    Generation(u32),
    /// Not sealed by anybody with the key, or for another subject.
    #[error("not sealed by a member, or changed since")]
    Forged,
    /// The ring is empty.
    #[error("this pod has no group key yet")]
    NoKey,
    /// No nonce can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Ring {
    /// The newest generation that the federation may have agreed upon; 0 if there is none.
    pub fn newest(&self) -> u32 {
        self.sealing().map_or(0, |(generation, _)| *generation)
    }

    fn sealing(&self) -> Option<(&u32, &GroupKey)> {
        self.keys.range(..=self.agreed.unwrap_or(u32::MAX)).next_back()
    }

    /// Says which generation the federation has agreed upon.
    pub fn agree(&mut self, generation: u32) {
        self.agreed = Some(generation);
    }

    /// Adds a key. A generation that is there stays as it is.
    pub fn add(&mut self, generation: u32, key: GroupKey) {
        self.keys.entry(generation).or_insert(key);
        while self.keys.len() > MAX_GENERATIONS {
            // Who gives keys for what is not agreed upon drives no other out.
            match self.agreed.and_then(|agreed| self.keys.range(agreed.saturating_add(1)..).next_back()) {
                Some((&beyond, _)) => self.keys.remove(&beyond),
                None => self.keys.pop_first().map(|(_, key)| key),
            };
        }
    }

    /// Takes the keys that another pod gives: as many generations ahead as a ring can have, and no further.
    pub fn merge(&mut self, other: Self) {
        let most = self.newest().saturating_add(MAX_GENERATIONS as u32);
        for (generation, key) in other.keys.into_iter().filter(|(generation, _)| *generation <= most) {
            self.add(generation, key);
        }
    }

    /// Drops a key that has turned out not to be the federation's.
    pub fn drop_generation(&mut self, generation: u32) {
        self.keys.remove(&generation);
    }

    /// A hash by which two keys are told apart without showing them.
    pub fn commitment(&self, generation: u32) -> Option<[u8; 32]> {
        self.keys.get(&generation).map(commitment)
    }

    /// Seals for a federation's subject.
    ///
    /// # Errors
    /// No random bytes.
    pub fn seal(&self, federation: &FederationId, subject: &str, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let (generation, key) = self.sealing().ok_or(SealError::NoKey)?;
        let mut sealed = Vec::with_capacity(HEADER + plain.len() + 16);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&generation.to_le_bytes());
        let aad = associated(federation, subject, &sealed);
        let nonce: [u8; 24] = random()?;
        sealed.extend_from_slice(&nonce);
        let cipher = XChaCha20Poly1305::new(key.as_slice().into());
        let payload = Payload { msg: plain, aad: &aad };
        let text = cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError::Form)?;
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens what was sealed for that subject: the generation, and the plain text.
    ///
    /// # Errors
    /// It is of no key of the ring, or was sealed for another federation or subject.
    pub fn open(
        &self,
        federation: &FederationId,
        subject: &str,
        sealed: &[u8],
    ) -> Result<(u32, Vec<u8>), SealError> {
        let (header, text) = sealed.split_at_checked(HEADER).ok_or(SealError::Form)?;
        let (start, nonce) = header.split_at(5);
        let generation = match start {
            [FORMAT, a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
            _ => return Err(SealError::Form),
        };
        let key = self.keys.get(&generation).ok_or(SealError::Generation(generation))?;
        let aad = associated(federation, subject, start);
        let cipher = XChaCha20Poly1305::new(key.as_slice().into());
        let plain = cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: text, aad: &aad });
        plain.map(|plain| (generation, plain)).map_err(|_| SealError::Forged)
    }

    /// The ring as JSON, to be sealed to a pod or kept in a home.
    pub fn to_json(&self) -> serde_json::Value {
        let keys = self.keys.iter().map(|(generation, key)| (*generation, Kept(key.clone()))).collect();
        serde_json::to_value(KeptRing { keys }).unwrap_or_default()
    }

    /// Reads [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// It is of another form.
    pub fn from_json(json: serde_json::Value) -> Result<Self, serde_json::Error> {
        let kept: KeptRing = serde_json::from_value(json)?;
        let mut ring = Self::default();
        for (generation, key) in kept.keys {
            ring.add(generation, key.0);
        }
        Ok(ring)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct KeptRing {
    keys: BTreeMap<u32, Kept>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Kept(#[serde(with = "super::secret")] GroupKey);

/// A hash of a key, in a context of its own.
pub fn commitment(key: &GroupKey) -> [u8; 32] {
    blake3::derive_key("computepods group key commitment v1", key.as_slice())
}

fn associated(federation: &FederationId, subject: &str, start: &[u8]) -> Vec<u8> {
    [b"computepods seal v1".as_slice(), federation.as_bytes(), start, subject.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use protocol::PodId;

    use super::*;

    #[test]
    fn only_members_open_and_only_for_the_subject_that_was_meant() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let (mut ring, mut stranger) = (Ring::default(), Ring::default());
        assert!(matches!(ring.seal(&federation, "a", b""), Err(SealError::NoKey)));
        ring.add(1, Zeroizing::new([1; 32]));
        stranger.add(1, Zeroizing::new([2; 32]));
        let sealed = ring.seal(&federation, "a", b"plain").unwrap();
        assert_eq!(ring.open(&federation, "a", &sealed).unwrap(), (1, b"plain".to_vec()));
        assert!(matches!(stranger.open(&federation, "a", &sealed), Err(SealError::Forged)));
        assert!(matches!(ring.open(&federation, "b", &sealed), Err(SealError::Forged)));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(&federation, "a", &changed).is_err(), "byte {at}");
            assert!(ring.open(&federation, "a", &sealed[..at]).is_err(), "length {at}");
        }
        ring.add(2, Zeroizing::new([3; 32]));
        let newer = ring.seal(&federation, "a", b"new").unwrap();
        assert!(matches!(stranger.open(&federation, "a", &newer), Err(SealError::Generation(2))));
        assert_eq!(ring.open(&federation, "a", &sealed).unwrap().0, 1);
        let copy = Ring::from_json(ring.to_json()).unwrap();
        assert_eq!((copy.newest(), copy.commitment(2)), (2, ring.commitment(2)));
    }

    #[test]
    fn keys_that_nobody_agreed_upon_open_and_neither_seal_nor_drive_others_out() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let key = |n: u32| Zeroizing::new([n as u8; 32]);
        let (mut ring, mut given) = (Ring::default(), Ring::default());
        ring.add(1, key(1));
        ring.agree(1);
        (2..=MAX_GENERATIONS as u32).for_each(|n| given.add(n, key(n)));
        given.add(u32::MAX, key(255));
        let of_next = {
            let mut next = Ring::default();
            next.add(2, key(2));
            next.seal(&federation, "a", b"agreed").unwrap()
        };
        ring.merge(given);
        assert_eq!((ring.newest(), ring.commitment(u32::MAX)), (1, None));
        let sealed = ring.seal(&federation, "a", b"plain").unwrap();
        assert_eq!(ring.open(&federation, "a", &sealed).unwrap().0, 1);
        // By it a pod that was away opens what tells it that this generation is agreed upon.
        assert_eq!(ring.open(&federation, "a", &of_next).unwrap().0, 2);
        for n in 0..100 {
            ring.add(1000 + n, key(n));
        }
        ring.agree(2);
        assert_eq!((ring.newest(), ring.commitment(1).is_some()), (2, true));
    }
}
