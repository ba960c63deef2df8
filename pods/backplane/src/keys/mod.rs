//! Keys: who a pod is, what the federation shares, and what is made with them.
//!
//! Three layers, each with one job. A *signature* (ed25519, of the pod) says who said it, for this federation and this subject. The *seal*
//! (XChaCha20-Poly1305, of the group) keeps those out who do not belong to it, and binds to the subject too. The *guard* lets a message in once.
//! Signatures are over bytes with a context of their own for each kind of thing, so that none passes for another.

mod envelope;
mod guard;
mod identity;
mod opening;
mod ring;
pub(crate) mod signed;

pub use envelope::{Envelope, EnvelopeError, Opened};
pub use guard::{Guard, Highest, Replay};
pub use identity::{Identity, IdentityError, seal_to, write_private};
pub use opening::OpenError;
pub use ring::{GroupKey, Ring, SealError, SharedRing, commitment};
pub use signed::{Context, SignatureError, sign, verify};

/// The source of randomness gave nothing: no key, nonce or secret can be made.
#[derive(Debug, thiserror::Error)]
#[error("the machine gives no random bytes: {0}")]
pub struct NoRandomness(pub getrandom::Error);

/// Random bytes.
///
/// # Errors
/// The system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// Secret bytes in JSON, as base58.
mod secret {
    use protocol::mesh::base58;
    use serde::{Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        key: &Zeroizing<[u8; 32]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        base58::serialize(key.as_slice(), serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<[u8; 32]>, D::Error> {
        base58::deserialize::<D, [u8; 32]>(deserializer).map(Zeroizing::new)
    }
}
