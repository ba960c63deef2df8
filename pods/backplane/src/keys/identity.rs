//! Who this pod is: a signing key, and a key that others seal to. Kept in the home, for its owner's eyes only.

use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crypto_box::SecretKey;
use ed25519_dalek::{Signer, SigningKey};
use protocol::PodId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{NoRandomness, random};

/// The file in the home.
pub const FILE: &str = "identity.json";
const FORMAT: u32 = 1;

/// What can be wrong with the kept identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read or written.
    #[error("cannot use the pod's identity `{path}`: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is there, and is none.
    #[error(
        "`{path}` is no identity of a pod: {cause}; put it back from a backup, or move it away to become a new pod"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Others could read it.
    #[error(
        "`{path}` can be read by others (mode {mode:o}), so its keys may be known: `chmod 600 {path}` if you are sure that they are not"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// No key can be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// A pod's keys. Wiped from memory when dropped.
pub struct Identity {
    signing: SigningKey,
    sealing: SecretKey,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    #[serde(with = "super::secret")]
    signing: Zeroizing<[u8; 32]>,
    #[serde(with = "super::secret")]
    sealing: Zeroizing<[u8; 32]>,
}

impl Identity {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self::from_secrets(&Zeroizing::new(random()?), &Zeroizing::new(random()?)))
    }

    fn from_secrets(signing: &[u8; 32], sealing: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(signing), sealing: SecretKey::from_bytes(*sealing) }
    }

    /// The keys that an invitation's secret makes.
    pub fn of_invitation(secret: &[u8; 32]) -> Self {
        let signing = Zeroizing::new(blake3::derive_key("computepods invitation v1", secret));
        let sealing = Zeroizing::new(blake3::derive_key("computepods invitation seal v1", secret));
        Self::from_secrets(&signing, &sealing)
    }

    /// The one of a home; made when there is none.
    ///
    /// # Errors
    /// The file cannot be read, written or understood, or others may read it.
    pub fn of_home(home: &Path) -> Result<Self, IdentityError> {
        let path = home.join(FILE);
        match std::fs::metadata(&path) {
            Ok(found) => {
                let mode = found.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(IdentityError::Open { path, mode });
                }
                Self::read(&path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::generate()?;
                identity.write(&path).map_err(|cause| IdentityError::Io { path, cause })?;
                Ok(identity)
            }
            Err(cause) => Err(IdentityError::Io { path, cause }),
        }
    }

    fn read(path: &Path) -> Result<Self, IdentityError> {
        let io = |cause| IdentityError::Io { path: path.to_owned(), cause };
        let text = Zeroizing::new(std::fs::read(path).map_err(io)?);
        let damaged = |cause: String| IdentityError::Damaged { path: path.to_owned(), cause };
        let kept: Kept = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if kept.format != FORMAT {
            return Err(damaged(format!("its format is {}, known is {FORMAT}", kept.format)));
        }
        Ok(Self::from_secrets(&kept.signing, &kept.sealing))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let kept = Kept {
            format: FORMAT,
            signing: Zeroizing::new(self.signing.to_bytes()),
            sealing: Zeroizing::new(self.sealing.to_bytes()),
        };
        write_private(path, &Zeroizing::new(serde_json::to_vec_pretty(&kept)?))
    }

    /// Its public name.
    pub fn pod(&self) -> PodId {
        PodId::from_bytes(self.signing.verifying_key().to_bytes())
    }

    /// The public half of the key that others seal to.
    pub fn seal_key(&self) -> [u8; 32] {
        self.sealing.public_key().to_bytes()
    }

    /// The secret half of the signing key, for the swarm, which has the same identity.
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.signing.sign(bytes).to_bytes()
    }

    /// Opens what was sealed to this pod; none if it was not, or is damaged.
    pub fn unseal(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.sealing.unseal(sealed).ok().map(Zeroizing::new)
    }
}

/// Seals to a pod, whose key this is. None if the bytes are no key.
pub fn seal_to(key: &[u8; 32], plain: &[u8]) -> Option<Vec<u8>> {
    crypto_box::PublicKey::from_bytes(*key).seal(&mut crypto_box::aead::OsRng, plain).ok()
}

/// Writes a file that nobody else can read: whole or not at all.
///
/// # Errors
/// Of the disk; what was there before is there still.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_keeps_its_identity_to_itself() {
        let home = tempfile::tempdir().unwrap();
        let first = Identity::of_home(home.path()).unwrap();
        let again = Identity::of_home(home.path()).unwrap();
        assert_eq!((first.pod(), first.seal_key()), (again.pod(), again.seal_key()));
        let path = home.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Identity::of_home(home.path()), Err(IdentityError::Open { mode: 0o640, .. })));
        write_private(&path, b"{}").unwrap();
        assert!(matches!(Identity::of_home(home.path()), Err(IdentityError::Damaged { .. })));
    }

    #[test]
    fn what_is_sealed_to_a_pod_opens_for_it_alone() {
        let (pod, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let mut sealed = seal_to(&pod.seal_key(), b"key").unwrap();
        assert_eq!(pod.unseal(&sealed).unwrap().as_slice(), b"key");
        assert!(other.unseal(&sealed).is_none());
        sealed[40] ^= 1;
        assert!(pod.unseal(&sealed).is_none());
    }
}
