//! Lenses that are programs: what they leave is known once somebody has run them.

use std::sync::Arc;

use futures::future::BoxFuture;
use larder::LarderError;
use protocol::{Digest, RelPath};

use crate::NodeError;

/// The normal form of bytes; `None`: they stay as they are. `Err`: it cannot be said, and why.
pub type NormalForm = Result<Option<Vec<u8>>, String>;

/// Whoever runs lenses that are programs, and remembers what they said. A lens is named by the digest of its id; what it leaves is
/// a function of that and of the bytes.
///
/// Asking may take as long as a step does; it needs no slot, and whoever asks waits. Dropping a future gives up waiting.
pub trait AskedLenses: Send + Sync + 'static {
    /// How a lens is written; `None`: it is none of these.
    fn name(&self, lens: &Digest) -> Option<String>;

    /// What a projection left of the bytes with the digest `raw`, as a digest; `None`: it was not asked yet. Runs nothing.
    ///
    /// # Errors
    /// What is remembered cannot be read.
    fn known(&self, lens: &Digest, raw: &Digest) -> Result<Option<Digest>, LarderError>;

    /// What a projection leaves of the bytes of a file with this digest, as a digest: the same, where all of them matter, as they do when
    /// it cannot say.
    ///
    /// # Errors
    /// The pod cannot run it; a lens that fails is none.
    fn project<'a>(
        &'a self,
        lens: &'a Digest,
        of: (&'a RelPath, &'a Digest),
        bytes: Arc<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Digest, NodeError>>;

    /// The normal form of bytes.
    ///
    /// # Errors
    /// The pod cannot run it.
    fn normalise<'a>(
        &'a self,
        lens: &'a Digest,
        bytes: Vec<u8>,
    ) -> BoxFuture<'a, Result<NormalForm, NodeError>>;
}
