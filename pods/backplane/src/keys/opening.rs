//! What keeps a message or an entry from being opened.

use protocol::mesh::VERSION;

use super::{SealError, SignatureError};

/// Why bytes of the back-plane are not taken for what they say.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not sealed by a member, or for another subject.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Not signed by who it says.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Not JSON of the form that was wanted.
    #[error("not in a form that is known: {0}")]
    Form(#[from] serde_json::Error),
    /// Of another version.
    #[error("of version {0}, known is {VERSION}")]
    Version(u32),
}

impl OpenError {
    /// Whether a version is known.
    ///
    /// # Errors
    /// It is not.
    pub fn unless_known(version: u32) -> Result<(), Self> {
        match version {
            VERSION => Ok(()),
            other => Err(Self::Version(other)),
        }
    }
}
