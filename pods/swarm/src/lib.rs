//! Connections between pods that carry chunks, trees and traces, each verified before it is seen.

mod chunks;
#[doc(hidden)]
pub mod laws;
mod peer;
mod store;
#[doc(hidden)]
pub mod testing;

pub use chunks::{chunk_list, is_chunked};
pub use peer::{peer_of, pod_of};
pub use store::{Content, Incoming, MemoryStore, Store, StoreError};
