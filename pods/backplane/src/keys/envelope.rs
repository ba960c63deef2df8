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
        let (from, signed) = self.sender(subject, sealed)?;
        if !member(&from) {
            return Err(EnvelopeError::Stranger(from));
        }
        let inner: Inner<T> = self.said_by(&from, subject, &signed)?;
        self.guard.lock().admit(&from, inner.life, inner.count, inner.at, self.clock.now())?;
        Ok(Opened { from, body: inner.body, id: id(&from, inner.life, inner.count) })
    }

    /// Who claims to have sent it, and the signed bytes.
    fn sender(&self, subject: &str, sealed: &[u8]) -> Result<(PodId, Vec<u8>), OpenError> {
        let (_, bytes) = self.ring.read().open(&self.federation, subject, sealed)?;
        let (_, json) = signed::split(&bytes)?;
        let Sender { v, from } = serde_json::from_slice(json)?;
        OpenError::unless_known(v)?;
        Ok((from, bytes))
    }

    fn said_by<T: DeserializeOwned>(
        &self,
        from: &PodId,
        subject: &str,
        signed: &[u8],
    ) -> Result<Inner<T>, OpenError> {
        Ok(serde_json::from_slice(verify(from, Context::Message, &self.federation, subject, signed)?)?)
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

    #[test]
    fn a_member_cannot_speak_for_another() {
        let federation = FederationId::founded_by(&PodId::from_bytes([1; 32]), &[1; 16]);
        let (a, b, liar) =
            (envelope(federation, 1, NOW), envelope(federation, 1, NOW), envelope(federation, 1, NOW));
        let inner = Inner { v: VERSION, from: a.identity.pod(), at: NOW, life: 1, count: 0, body: 7 };
        let json = serde_json::to_vec(&inner).unwrap();
        let signed = sign(&liar.identity, Context::Message, &federation, "beat.a", &json);
        let sealed = liar.ring.read().seal(&federation, "beat.a", &signed).unwrap();
        let taken = b.unwrap::<i32>("beat.a", &sealed, |_| true);
        assert!(matches!(taken, Err(EnvelopeError::Open(OpenError::Signature(_)))), "{taken:?}");
    }
}
