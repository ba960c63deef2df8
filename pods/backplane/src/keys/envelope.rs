//! Messages: signed by their pod, sealed with the group key, bound to their subject, let in once.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use protocol::PodId;
use protocol::mesh::{FederationId, VERSION};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Context, Guard, Highest, Identity, OpenError, Replay, SharedRing, sign, signed, verify};
use crate::clock::Clock;

/// Wraps and unwraps messages of one pod.
pub struct Envelope {
    federation: FederationId,
    identity: std::sync::Arc<Identity>,
    ring: SharedRing,
    clock: Clock,
    life: u64,
    count: AtomicU64,
    guard: Mutex<Guard>,
}

/// A message that is what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened<T> {
    /// Who sent it.
    pub from: PodId,
    /// What it says.
    pub body: T,
    /// Names this message: an answer to it is bound to that.
    pub id: String,
}

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Not what it says.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Of a member that speaks another version.
    #[error(
        "{from} speaks version {version} of the back-plane's messages, this pod speaks version {VERSION}: upgrade the older of the two"
    )]
    Version {
        /// Who.
        from: PodId,
        /// Which.
        version: u32,
    },
    /// Of somebody who is no member.
    #[error("{0} is no member")]
    Stranger(PodId),
    /// Replayed.
    #[error(transparent)]
    Replay(#[from] Replay),
}

#[derive(Serialize, Deserialize)]
struct Inner<T> {
    v: u32,
    from: PodId,
    at: u64,
    life: u64,
    count: u64,
    body: T,
}

#[derive(Deserialize)]
struct Sender {
    v: u32,
    from: PodId,
}

impl Envelope {
    /// For one pod. `life` is greater than at each earlier start of it.
    pub fn new(
        federation: FederationId,
        identity: std::sync::Arc<Identity>,
        ring: SharedRing,
        clock: Clock,
        life: u64,
    ) -> Self {
        Self { federation, identity, ring, clock, life, count: AtomicU64::new(0), guard: Mutex::default() }
    }

    /// Wraps a body for a subject; the second is the message's id.
    ///
    /// # Errors
    /// No random bytes, or the body is no JSON.
    pub fn wrap<T: Serialize>(&self, subject: &str, body: &T) -> Result<(Vec<u8>, String), EnvelopeError> {
        let count = self.count.fetch_add(1, Ordering::SeqCst);
        let from = self.identity.pod();
        let inner = Inner { v: VERSION, from, at: self.clock.now(), life: self.life, count, body };
        let json = serde_json::to_vec(&inner).map_err(OpenError::from)?;
        let signed = sign(&self.identity, Context::Message, &self.federation, subject, &json);
        let sealed = self.ring.read().seal(&self.federation, subject, &signed).map_err(OpenError::from)?;
        Ok((sealed, id(&from, self.life, count)))
    }

    /// Unwraps what came to a subject, if `member` says that its sender may send.
    ///
    /// # Errors
    /// It was not sealed for this subject and federation, its sender may not send, it came before, or is of another version or form.
    pub fn unwrap<T: DeserializeOwned>(
        &self,
        subject: &str,
        sealed: &[u8],
        member: impl Fn(&PodId) -> bool,
    ) -> Result<Opened<T>, EnvelopeError> {
        let (Sender { v: version, from }, signed) = self.sender(subject, sealed)?;
        if !member(&from) {
            return Err(EnvelopeError::Stranger(from));
        }
        let json =
            verify(&from, Context::Message, &self.federation, subject, &signed).map_err(OpenError::from)?;
        if version != VERSION {
            return Err(EnvelopeError::Version { from, version });
        }
        let inner: Inner<T> = serde_json::from_slice(json).map_err(OpenError::from)?;
        self.guard.lock().admit(&from, inner.life, inner.count, inner.at, self.clock.now())?;
        Ok(Opened { from, body: inner.body, id: id(&from, inner.life, inner.count) })
    }

    /// Who claims to have sent it, by which version, and the signed bytes.
    fn sender(&self, subject: &str, sealed: &[u8]) -> Result<(Sender, Vec<u8>), OpenError> {
        let (_, bytes) = self.ring.read().open(&self.federation, subject, sealed)?;
        let (_, json) = signed::split(&bytes)?;
        let sender = serde_json::from_slice(json)?;
        Ok((sender, bytes))
    }

    /// Goes on after a start; see [`Guard::resume`].
    pub fn resume(&self, before: impl IntoIterator<Item = (PodId, Highest)>) {
        self.guard.lock().resume(before);
    }

    /// See [`Guard::highest`].
    pub fn highest(&self, from: &PodId) -> Option<Highest> {
        self.guard.lock().highest(from)
    }

    /// See [`Guard::ahead`].
    pub fn ahead(&self, from: &PodId) -> Option<i64> {
        self.guard.lock().ahead(from)
    }

    /// Forgets those who are no members any more.
    pub fn retain(&self, member: impl Fn(&PodId) -> bool) {
        self.guard.lock().retain(member);
    }
}

fn id(from: &PodId, life: u64, count: u64) -> String {
    format!("{from}.{life}.{count}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::keys::{Ring, SealError};
    use zeroize::Zeroizing;

    const NOW: u64 = 1_000_000_000_000;
    const HOUR: u64 = 3_600_000;

    fn envelope(federation: FederationId, key: u8, clock: u64) -> Envelope {
        let mut ring = Ring::default();
        ring.add(1, Zeroizing::new([key; 32]));
        let identity = Arc::new(Identity::generate().unwrap());
        let ring = Arc::new(parking_lot::RwLock::new(ring));
        Envelope::new(federation, identity, ring, Clock::manual(clock), 1)
    }

    #[test]
    fn a_message_is_taken_once_from_a_member_for_its_subject() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let (a, b) = (envelope(federation, 1, NOW), envelope(federation, 1, NOW));
        let (stranger, sleeper) = (envelope(federation, 2, NOW), envelope(federation, 1, NOW + 2 * HOUR));
        let skewed = envelope(federation, 1, NOW - HOUR);
        let sender = a.identity.pod();
        let (message, id) = a.wrap("beat.a", &7).unwrap();
        let unwrap = |to: &Envelope, subject: &str| to.unwrap::<i32>(subject, &message, |_| true);
        assert!(matches!(b.unwrap::<i32>("beat.a", &message, |_| false), Err(EnvelopeError::Stranger(_))));
        assert!(matches!(unwrap(&b, "beat.b"), Err(EnvelopeError::Open(OpenError::Seal(_)))));
        assert_eq!(unwrap(&b, "beat.a").unwrap(), Opened { from: sender, body: 7, id });
        assert!(matches!(unwrap(&b, "beat.a"), Err(EnvelopeError::Replay(Replay::Again))));
        assert!(matches!(
            unwrap(&stranger, "beat.a"),
            Err(EnvelopeError::Open(OpenError::Seal(SealError::Forged)))
        ));
        assert!(matches!(unwrap(&sleeper, "beat.a"), Err(EnvelopeError::Replay(Replay::Time(_)))));
        assert!(unwrap(&skewed, "beat.a").is_ok(), "an hour of skew is tolerated");
        let outside = stranger.wrap("beat.a", &7).unwrap().0;
        assert!(matches!(
            b.unwrap::<i32>("beat.a", &outside, |_| true),
            Err(EnvelopeError::Open(OpenError::Seal(_)))
        ));
    }

    /// What somebody seals who says that it is of a pod and of a version.
    fn forged(by: &Envelope, from: PodId, v: u32) -> Vec<u8> {
        let inner = Inner { v, from, at: NOW, life: 1, count: 0, body: 7 };
        let json = serde_json::to_vec(&inner).unwrap();
        let signed = sign(&by.identity, Context::Message, &by.federation, "beat.a", &json);
        by.ring.read().seal(&by.federation, "beat.a", &signed).unwrap()
    }

    #[test]
    fn a_message_of_another_version_is_refused_with_a_sentence() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let (newer, b) = (envelope(federation, 1, NOW), envelope(federation, 1, NOW));
        let from = newer.identity.pod();
        let unwrap = |sealed: &[u8], is_member| b.unwrap::<i32>("beat.a", sealed, |_| is_member);
        let refused = unwrap(&forged(&newer, from, VERSION + 1), true).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!(
                "{from} speaks version 2 of the back-plane's messages, this pod speaks version 1: upgrade the older of the two"
            )
        );
        // It is said of members that have said so themselves, and of nobody else.
        assert!(matches!(unwrap(&forged(&newer, from, VERSION + 1), false), Err(EnvelopeError::Stranger(_))));
        let other = unwrap(&forged(&newer, b.identity.pod(), VERSION + 1), true);
        assert!(matches!(other, Err(EnvelopeError::Open(OpenError::Signature(_)))), "{other:?}");
        // What it says in our version is taken: nothing of the one that was refused is remembered.
        assert_eq!(unwrap(&forged(&newer, from, VERSION), true).unwrap().body, 7);
    }

    #[test]
    fn a_member_cannot_speak_for_another() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let (a, b, liar) =
            (envelope(federation, 1, NOW), envelope(federation, 1, NOW), envelope(federation, 1, NOW));
        let taken = b.unwrap::<i32>("beat.a", &forged(&liar, a.identity.pod(), VERSION), |_| true);
        assert!(matches!(taken, Err(EnvelopeError::Open(OpenError::Signature(_)))), "{taken:?}");
    }
}
