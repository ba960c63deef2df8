//! A pod's content-addressed store: packs, blobs, and a SQLite index that can be rebuilt from them.
//!
//! Objects are named by BLAKE3, each kind but blobs in a context of its own. Small ones are records of append-only
//! packs, blobs of 1 MiB and more are whole read-only files. Nothing is believed that was not verified: a record is
//! hashed whenever it is read, a whole file when it arrives and whenever its inode, size or times are not those that
//! were noted then. What is damaged goes to the quarantine and is absent from then on.
//!
//! [`Larder`] is the store on disk, [`MemoryLarder`] its twin for tests; [`Store`] is what both can do, and its
//! laws are tested on both.
//!
//! ```text
//! packs/NNNNNNNN.pack   blobs/aa/<hex>   tmp/   quarantine/   index.sqlite   format
//! ```

mod blobs;
mod cache;
mod draft;
mod error;
mod fault;
mod fsck;
mod hints;
mod host_digests;
mod index;
mod larder;
mod marks;
mod memory;
mod object;
mod options;
mod packs;
mod places;
mod quarantine;
mod record;
mod recover;
mod scan;
mod stamp_check;
mod store;
mod syncer;
mod traces;
mod writer;

pub use draft::Draft;
pub use error::LarderError;
pub use fsck::{FsckProgress, FsckReport};
pub use larder::Larder;
pub use memory::MemoryLarder;
pub use object::{Added, Content, ObjectKind, Stats};
pub use options::{
    CANDIDATES_PER_WEAK_KEY, CANDIDATES_PER_WORKSPACE, CommitOptions, MemoryOptions, Options, WHOLE_BLOB_SIZE,
};
pub use recover::Repair;
pub use store::Store;

#[cfg(test)]
mod tests;
