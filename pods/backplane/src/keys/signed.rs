//! Signed bytes: a signature, and then what it is over.

use ed25519_dalek::{Signature, VerifyingKey};
use protocol::PodId;
use protocol::mesh::FederationId;

use super::Identity;

const SIGNATURE: usize = 64;

/// What is signed. A signature for one does not hold for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// An entry of the log.
    Entry,
    /// A message.
    Message,
    /// A newcomer's question.
    Join,
    /// The answer to it.
    Welcome,
}

impl Context {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Entry => b"computepods mesh entry v1",
            Self::Message => b"computepods mesh message v1",
            Self::Join => b"computepods mesh join v1",
            Self::Welcome => b"computepods mesh welcome v1",
        }
    }
}

/// The signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct SignatureError;

/// What the signature is over: each part with its length before it, so that no two splits are the same.
fn preimage(context: Context, federation: &FederationId, subject: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + subject.len() + 80);
    for part in [context.text(), federation.as_bytes(), subject.as_bytes(), body] {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Signs a body for a federation and a subject.
pub fn sign(
    identity: &Identity,
    context: Context,
    federation: &FederationId,
    subject: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut signed = identity.sign(&preimage(context, federation, subject, body)).to_vec();
    signed.extend_from_slice(body);
    signed
}

/// The signature and the body of signed bytes, not verified yet.
pub(crate) fn split(signed: &[u8]) -> Result<(&[u8; SIGNATURE], &[u8]), SignatureError> {
    signed.split_first_chunk().ok_or(SignatureError)
}

/// The body, if this pod has signed it for that federation and subject.
///
/// # Errors
/// It has not.
pub fn verify<'a>(
    pod: &PodId,
    context: Context,
    federation: &FederationId,
    subject: &str,
    signed: &'a [u8],
) -> Result<&'a [u8], SignatureError> {
    let (signature, body) = split(signed)?;
    let key = VerifyingKey::from_bytes(pod.as_bytes()).map_err(|_| SignatureError)?;
    let bytes = preimage(context, federation, subject, body);
    key.verify_strict(&bytes, &Signature::from_bytes(signature)).map_err(|_| SignatureError)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_what_it_was_made_for_and_nothing_else() {
        let (pod, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let ours = FederationId::founded_by(&pod.pod(), &[1; 16]);
        let theirs = FederationId::founded_by(&pod.pod(), &[2; 16]);
        let signed = sign(&pod, Context::Entry, &ours, "log.a", b"body");
        assert_eq!(verify(&pod.pod(), Context::Entry, &ours, "log.a", &signed), Ok(&b"body"[..]));
        assert!(verify(&other.pod(), Context::Entry, &ours, "log.a", &signed).is_err());
        assert!(verify(&pod.pod(), Context::Message, &ours, "log.a", &signed).is_err());
        assert!(verify(&pod.pod(), Context::Entry, &theirs, "log.a", &signed).is_err());
        assert!(verify(&pod.pod(), Context::Entry, &ours, "log.b", &signed).is_err());
        for at in 0..signed.len() {
            let mut forged = signed.clone();
            forged[at] ^= 1;
            assert!(verify(&pod.pod(), Context::Entry, &ours, "log.a", &forged).is_err(), "byte {at}");
            assert!(verify(&pod.pod(), Context::Entry, &ours, "log.a", &signed[..at]).is_err());
        }
    }
}
