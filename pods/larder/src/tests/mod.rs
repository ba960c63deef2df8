//! The laws of a store, applied to the twin and to the real one, and what only the real one can be asked.

mod crash;
mod drafts;
mod laws;
mod mending;
mod subjects;

use std::sync::Arc;

use protocol::{Digest, Look, PathSet, Seen, Trace, WorkspaceId};

use crate::fault::Faults;
use crate::fault::plan::Plan;
use crate::{Larder, LarderError, Options, WHOLE_BLOB_SIZE};

pub(crate) const OURS: WorkspaceId = WorkspaceId::from_random(1);
pub(crate) const THEIRS: WorkspaceId = WorkspaceId::from_random(2);

/// A path set of one look at a file of this name.
pub(crate) fn set(name: &str) -> PathSet {
    PathSet::new(vec![(format!("project/{name}").parse().unwrap(), Look::Content)])
}

/// A trace for the weak key of that name, which saw these bytes through that set and made that output.
pub(crate) fn trace(weak: &str, set: &PathSet, saw: &str, made: &str) -> Trace {
    Trace {
        weak: Digest::of(weak.as_bytes()),
        path_set: set.digest(),
        seen: vec![Seen::Content { digest: Digest::of(saw.as_bytes()), exec: false }],
        raw: vec![],
        readings: vec![],
        outputs: Digest::of(made.as_bytes()),
        printed: None,
        millis: 5,
    }
}

/// Bytes that are a whole blob, different for each seed.
pub(crate) fn big(seed: u8) -> Vec<u8> {
    let mut bytes = vec![seed; WHOLE_BLOB_SIZE as usize + 100 + usize::from(seed)];
    bytes[..3].copy_from_slice(b"big");
    bytes
}

pub(crate) fn open_with_plan(
    dir: &std::path::Path,
    options: Options,
    plan: &Arc<Plan>,
) -> Result<Larder, LarderError> {
    Larder::open_with(dir, options, Faults { plan: Some(plan.clone()) })
}
