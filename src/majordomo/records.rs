//! What the pod remembers of each step of a workspace: the trace that last answered for it, and why it last ran.
//!
//! Notes in the larder under `step/<id>`: they only feed reasons, `why`, `trace` and the candidates' order. Losing
//! them costs words, never truth.

use std::sync::Arc;

use larder::{Larder, LarderError, ObjectKind};
use protocol::{Digest, PathSet, RelPath, StepId, Trace, Tree, WorkspaceId};
use rustc_hash::FxHashMap;

use super::workspace::Made;

const PREFIX: &str = "step/";

/// What is remembered of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The trace that last answered for it.
    pub trace: Digest,
    /// Why its commands last ran.
    pub reason: String,
}

/// Reads the records of all steps of a workspace.
pub fn all(larder: &Larder, workspace: WorkspaceId) -> Result<FxHashMap<StepId, Record>, LarderError> {
    let notes = larder.notes(workspace, PREFIX)?;
    Ok(notes
        .into_iter()
        .filter_map(|(key, value)| Some((StepId::new(key.strip_prefix(PREFIX)?), read(&value)?)))
        .collect())
}

fn read(value: &[u8]) -> Option<Record> {
    let (digest, reason) = value.split_at_checked(Digest::LEN)?;
    Some(Record {
        trace: Digest::try_from(digest).ok()?,
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

/// Writes the record of a step.
pub fn write(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    record: &Record,
) -> Result<(), LarderError> {
    let mut value = record.trace.as_bytes().to_vec();
    value.extend_from_slice(record.reason.as_bytes());
    larder.note(workspace, &format!("{PREFIX}{step}"), &value)
}

/// A trace by its digest, with its path set; `None` if either is gone or of a format that is not known here.
pub fn trace(larder: &Larder, digest: &Digest) -> Result<Option<(Trace, Arc<PathSet>)>, LarderError> {
    let Some(bytes) = larder.get(ObjectKind::Trace, digest)? else { return Ok(None) };
    let Ok(trace) = Trace::decode(&bytes) else { return Ok(None) };
    Ok(larder.path_set(&trace.path_set)?.map(|set| (trace, set)))
}

/// All that the last traces of a workspace's steps made: path, what, and by whom.
pub fn outputs(larder: &Larder, workspace: WorkspaceId) -> Result<Vec<(RelPath, Made, StepId)>, LarderError> {
    let mut outputs = Vec::new();
    for (step, record) in all(larder, workspace)? {
        let Some((trace, _)) = trace(larder, &record.trace)? else { continue };
        let Some(bytes) = larder.get(ObjectKind::Tree, &trace.outputs)? else { continue };
        let Ok(tree) = Tree::decode(&bytes) else { continue };
        for (path, entry) in tree.entries() {
            outputs.extend(Made::from_entry(entry).map(|made| (path.clone(), made, step.clone())));
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(dir.path(), larder::Options::default()).unwrap();
        let (one, other) = (WorkspaceId::from_random(1), WorkspaceId::from_random(2));
        let record = Record { trace: Digest::of(b"t"), reason: "src/a.c changed".into() };
        let step = StepId::new("compile:src/a.c");
        write(&larder, one, &step, &record).unwrap();
        assert_eq!(all(&larder, one).unwrap().get(&step), Some(&record));
        assert!(all(&larder, other).unwrap().is_empty());
    }
}
