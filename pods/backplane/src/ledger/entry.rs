//! One entry: the last word of a pod on a subject.
//!
//! On the log: sealed with the group key ([`crate::keys::Ring`]), but for key rings, which are byte 0 and then the signed bytes. Signed: signature, then JSON
//! `{v, from, at, epoch: {incarnation, revision}, body}`; the subject is part of what is signed.

use std::fmt;

use protocol::PodId;
use protocol::mesh::{FederationId, VERSION, subject};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bus::{Incarnation, Position};
use crate::keys::{Context, Identity, OpenError, Ring, SealError, sign, signed, verify};

const OPEN: u8 = 0;
/// How far the revision of a subject's next word may be from the last that is known: so far that no pod is away for so long, and so little that no word
/// is the last that a subject can have.
pub const MAX_LEAP: u64 = 1 << 32;

/// When a word was said: in which log, and how many words there were on the subject before it, over all logs. The later one is greater.
///
/// The sequence of the log would not do: an entry that is published again in a new log gets another one, and stays the same word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The log that it was first appended to, by compare-and-set.
    pub incarnation: Incarnation,
    /// Counted from 1 for each subject.
    pub revision: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, revision } = *self;
        fmt::Display::fmt(&Position { incarnation, sequence: revision }, f)
    }
}

/// A word on a subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// On what.
    pub subject: String,
    /// When.
    pub epoch: Epoch,
    /// By whom.
    pub from: PodId,
    /// By its author's clock, in milliseconds since 1970.
    pub at: u64,
    /// What it says.
    pub body: Value,
    /// Signature and JSON, to be passed on.
    pub signed: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Inner {
    v: u32,
    from: PodId,
    at: u64,
    epoch: Epoch,
    body: Value,
}

impl Entry {
    /// A new word, signed.
    ///
    /// # Errors
    /// The body is no JSON of a known form.
    pub fn new(
        identity: &Identity,
        federation: &FederationId,
        subject: &str,
        epoch: Epoch,
        (at, body): (u64, Value),
    ) -> Result<Self, OpenError> {
        let from = identity.pod();
        let json = serde_json::to_vec(&Inner { v: VERSION, from, at, epoch, body: body.clone() })?;
        let signed = sign(identity, Context::Entry, federation, subject, &json);
        Ok(Self { subject: subject.to_owned(), epoch, from, at, body, signed })
    }

    /// Signed bytes whose signature was verified before they came here: those of our own database.
    pub(crate) fn trusted(subject: &str, signed: &[u8]) -> Result<Self, OpenError> {
        let (_, json) = signed::split(signed)?;
        let Inner { v, from, at, epoch, body } = serde_json::from_slice(json)?;
        OpenError::unless_known(v)?;
        Ok(Self { subject: subject.to_owned(), epoch, from, at, body, signed: signed.to_vec() })
    }

    /// Signed bytes from elsewhere.
    ///
    /// # Errors
    /// Nobody has signed it for that federation and subject, or it is of another version or form.
    pub fn verified(federation: &FederationId, subject: &str, signed: &[u8]) -> Result<Self, OpenError> {
        let entry = Self::trusted(subject, signed)?;
        verify(&entry.from, Context::Entry, federation, subject, signed)?;
        Ok(entry)
    }

    /// As it stands on the log.
    ///
    /// # Errors
    /// No random bytes.
    pub fn sealed(&self, federation: &FederationId, ring: &Ring) -> Result<Vec<u8>, SealError> {
        if self.subject.starts_with(subject::KEYS) {
            return Ok([&[OPEN], self.signed.as_slice()].concat());
        }
        ring.seal(federation, &self.subject, &self.signed)
    }

    /// From the log; with the generation of the key, if it was sealed.
    ///
    /// # Errors
    /// It is of no key that is known, or as [`verified`](Self::verified).
    pub fn open(
        federation: &FederationId,
        ring: &Ring,
        subject: &str,
        sealed: &[u8],
    ) -> Result<(Option<u32>, Self), OpenError> {
        match sealed.split_first() {
            Some((&OPEN, signed)) if subject.starts_with(subject::KEYS) => {
                Ok((None, Self::verified(federation, subject, signed)?))
            }
            _ => {
                let (generation, signed) = ring.open(federation, subject, sealed)?;
                Ok((Some(generation), Self::verified(federation, subject, &signed)?))
            }
        }
    }

    /// Of two entries of a subject the one with the greater order is the last word; of two that claim one epoch all pods take the same.
    pub fn order(&self) -> (Epoch, [u8; 32]) {
        (self.epoch, *blake3::hash(&self.signed).as_bytes())
    }
}
