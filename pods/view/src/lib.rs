//! The view: the traced root file system that one step sees, served by FUSE.
//!
//! Actors: a [`Mount`] is one FUSE session for the pod's life, with two session threads and one thread that takes
//! removed roots out of the kernel's caches. A [`Root`] is a fresh folder `<mount>/<name>` for one step; what the step
//! asks there is answered by a [`Source`] and noted as [`protocol::Look`]s, which [`Root::observed`] gives back.
//! [`see()`] answers the same looks without a mount, so that a look-up and a run agree on what was seen.
//! [`HostTools`] is the source of the machine's own tools, [`MemorySource`] the twin that tests hold in memory.
//!
//! The kernel's caches are the reason for the shape: an answer that it caches for one step must never hide a question
//! of the next, so every folder has an inode of its own in each root, while the files of a read-only tool tree may
//! share theirs (and so their page cache) over all roots.
//!
//! Errors: a source's error is answered `EIO` and kept for [`Root::failures`]; nothing is ever answered "absent"
//! because something failed. What the user may not look into is answered `EACCES`, as the step would be told without a view. Non-goals: writing
//! (overlayfs over the view does that), extended attributes, access control.

mod errors;
mod host;
mod memory;
mod mount;
mod see;
mod source;
mod stamp;

pub use errors::{SourceError, SourceFailure, ViewError};
pub use host::{DigestMemo, HostOptions, HostTools, NoMemo, digest_of, is_common_tool};
pub use memory::MemorySource;
pub use mount::{Flavour, Mount, MountStats, Options, Passthrough, Root};
pub use see::see;
pub use source::{Body, Listing, Node, Source};
pub use stamp::{now_ns, stamp_of};
