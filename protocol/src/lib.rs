//! The words that all parts of ComputePods share: digests, paths, observations, traces, steps, stamps, events.
//!
//! Actors: none. This crate is data and pure functions over it; it opens no socket, reads no clock and touches no
//! disk. Every form that is hashed or stored is written by [`codec`] in one canonical way, under a context of its own,
//! so that no file can pose as a trace or a tree. Errors are typed and carry the value that was wrong; nothing
//! here panics on foreign bytes.

pub mod calls;
pub mod chef;
pub mod codec;
pub mod digest;
pub mod event;
pub mod failure;
pub mod glob;
pub mod ids;
pub mod mesh;
pub mod object;
pub mod observation;
pub mod path;
pub mod plan;
pub mod pod_id;
pub mod report;
pub mod socket;
pub mod stamp;
pub mod step;
pub mod swarm;
pub mod trace;
pub mod tree;

pub use digest::Digest;
pub use glob::Glob;
pub use ids::{BuildId, StepId, WorkspaceId};
pub use object::{ObjectId, ObjectKind};
pub use observation::{FileKind, Look, PathSet, Seen};
pub use path::RelPath;
pub use pod_id::PodId;
pub use stamp::Stamp;
pub use step::{Keep, StepSpec};
pub use trace::{Reader, Reading, Trace};
pub use tree::{Tree, TreeEntry};
