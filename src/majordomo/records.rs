//! What the pod remembers of each step of a workspace: the trace that last answered for it, and why it last ran.
//!
//! Notes in the larder under `step/<id>`: they only feed reasons, `why`, `trace` and the candidates' order. Losing
//! them costs words, never truth.

use std::sync::Arc;

use larder::{Larder, LarderError, ObjectKind};
use protocol::codec::{BadObject, Reader, Writer};
use protocol::{Digest, PathSet, RelPath, StepId, Trace, Tree, WorkspaceId};
use rustc_hash::FxHashMap;

use super::workspace::Made;

const PREFIX: &str = "step/";
const STATE: &str = "state/";
const EDGES: &str = "edges";
const EDGES_FORMAT: u8 = 1;

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

/// Where a step that sees its own outputs last settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The weak key that it had.
    pub weak: Digest,
    /// The trace of the run that left the state.
    pub trace: Digest,
    /// All that was there after it.
    pub tree: Tree,
}

/// Where a step that sees its own outputs last settled.
pub fn state(larder: &Larder, workspace: WorkspaceId, step: &StepId) -> Result<Option<Settled>, LarderError> {
    let key = format!("{STATE}{step}");
    let notes = larder.notes(workspace, &key)?;
    let Some((_, value)) = notes.into_iter().find(|(found, _)| *found == key) else { return Ok(None) };
    let mut parts = value.chunks_exact(Digest::LEN).map(Digest::try_from);
    let (Some(Ok(weak)), Some(Ok(trace)), Some(Ok(tree)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let bytes = larder.get(ObjectKind::Tree, &tree)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()).map(|tree| Settled { weak, trace, tree }))
}

/// Writes where a step has settled.
pub fn write_state(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    settled: &Settled,
) -> Result<(), LarderError> {
    let tree = larder.put(ObjectKind::Tree, &settled.tree.encode())?;
    let value = [settled.weak, settled.trace, tree].map(|digest| *digest.as_bytes()).concat();
    larder.note(workspace, &format!("{STATE}{step}"), &value)
}

/// Who made what a step saw, beyond what its order says: consumer and producers, by id.
pub type Edges = FxHashMap<StepId, Vec<StepId>>;

/// Reads what the last build of a workspace found out about who feeds whom; nothing, if that is lost.
pub fn edges(larder: &Larder, workspace: WorkspaceId) -> Result<Edges, LarderError> {
    let notes = larder.notes(workspace, EDGES)?;
    let Some((_, value)) = notes.into_iter().find(|(found, _)| found == EDGES) else {
        return Ok(Edges::default());
    };
    let read = || -> Result<Edges, BadObject> {
        let mut reader = Reader::with_format(&value, EDGES_FORMAT)?;
        let mut edges = Edges::default();
        for _ in 0..reader.count()? {
            let consumer = step_id(&mut reader)?;
            let count = reader.count()?;
            let producers = (0..count).map(|_| step_id(&mut reader)).collect::<Result<_, _>>()?;
            edges.insert(consumer, producers);
        }
        reader.finish()?;
        Ok(edges)
    };
    Ok(read().unwrap_or_default())
}

fn step_id(reader: &mut Reader<'_>) -> Result<StepId, BadObject> {
    let text = std::str::from_utf8(reader.bytes()?).map_err(|_| BadObject::Field("a step id"))?;
    Ok(StepId::new(text))
}

/// Writes who feeds whom.
pub fn write_edges(larder: &Larder, workspace: WorkspaceId, edges: &Edges) -> Result<(), LarderError> {
    let mut sorted: Vec<_> = edges.iter().filter(|(_, producers)| !producers.is_empty()).collect();
    sorted.sort();
    let mut writer = Writer::with_format(EDGES_FORMAT);
    writer.number(sorted.len() as u64);
    for (consumer, producers) in sorted {
        writer.bytes(consumer.as_str().as_bytes()).number(producers.len() as u64);
        for producer in producers {
            writer.bytes(producer.as_str().as_bytes());
        }
    }
    larder.note(workspace, EDGES, &writer.finish())
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
        let tree = match state(larder, workspace, &step)? {
            Some(settled) => settled.tree,
            None => {
                let bytes = larder.get(ObjectKind::Tree, &trace.outputs)?;
                bytes.and_then(|bytes| Tree::decode(&bytes).ok()).unwrap_or_default()
            }
        };
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
