//! What the pod remembers of each step of a workspace: the trace that last answered for it, and what its last run was.
//!
//! Notes in the larder under `ran/<id>`: they only feed reasons, `why`, `trace` and the candidates' order. Losing
//! them costs words, never truth.

use std::sync::Arc;

use larder::{Larder, LarderError, ObjectKind};
use protocol::codec::{BadObject, Reader, Writer};
use protocol::{Digest, PathSet, RelPath, StepId, Trace, Tree, WorkspaceId};
use rustc_hash::FxHashMap;

use super::facets::Facets;
use super::request::why::KeyChange;
use super::workspace::Made;

const PREFIX: &str = "ran/";
const FORMAT: u8 = 2;
/// Without the memory that the run used.
const FORMAT_1: u8 = 1;
const STATE: &str = "state/";
/// States that are kept of a step: going back to one of them runs nothing.
const SETTLED_KEPT: usize = 8;
const EDGES: &str = "edges/needed";
const EDGES_IF_THERE: &str = "edges/if-there";
const EDGES_FORMAT: u8 = 1;

/// What is remembered of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The trace that last answered for it.
    pub trace: Digest,
    /// Its key then, part by part.
    pub key: Facets,
    /// The last time that its commands ran here.
    pub ran: Option<Run>,
}

/// A run that came to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it was remembered, in milliseconds since 1970: for words, and for which of two runs was the later one.
    pub at: u64,
    /// The trace that answered for the step until then.
    pub before: Option<Digest>,
    /// The trace of the run.
    pub after: Digest,
    /// Why it ran.
    pub reason: String,
    /// What had changed of its key.
    pub key: Vec<KeyChange>,
    /// Bytes of memory that its largest process used, if that is known.
    pub memory: Option<u64>,
}

impl Record {
    /// After this step ran: its trace, its key, why it ran and what memory it used; `last` is what was remembered until then.
    pub fn of_run(
        trace: Digest,
        key: Facets,
        (reason, memory): (String, Option<u64>),
        last: Option<&Record>,
    ) -> Self {
        let run = Run {
            at: super::failures::now(),
            before: last.map(|last| last.trace),
            after: trace,
            reason,
            key: last.map(|last| key.changed_since(&last.key)).unwrap_or_default(),
            memory,
        };
        Self { trace, key, ran: Some(run) }
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        writer.digest(&self.trace);
        self.key.write(&mut writer);
        let Some(Run { at, before, after, reason, key, memory }) = &self.ran else {
            writer.byte(0);
            return writer.finish();
        };
        writer.byte(1).number(*at).digest(after).bytes(reason.as_bytes());
        match before {
            Some(before) => writer.byte(1).digest(before),
            None => writer.byte(0),
        };
        writer.number(key.len() as u64);
        for KeyChange { what, before, now } in key {
            writer.bytes(what.as_bytes());
            for value in [before, now] {
                match value {
                    Some(value) => writer.byte(1).bytes(value.as_bytes()),
                    None => writer.byte(0),
                };
            }
        }
        match memory {
            Some(memory) => writer.byte(1).number(*memory),
            None => writer.byte(0),
        };
        writer.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let has_memory = bytes.first() != Some(&FORMAT_1);
        let mut reader = Reader::with_format(bytes, if has_memory { FORMAT } else { FORMAT_1 })?;
        let trace = reader.digest()?;
        let key = Facets::read(&mut reader)?;
        if reader.byte()? == 0 {
            reader.finish()?;
            return Ok(Self { trace, key, ran: None });
        }
        let text = |reader: &mut Reader<'_>| Ok(String::from_utf8_lossy(reader.bytes()?).into_owned());
        let (at, after, reason) = (reader.number()?, reader.digest()?, text(&mut reader)?);
        let before = if reader.byte()? == 0 { None } else { Some(reader.digest()?) };
        let mut changes = Vec::new();
        for _ in 0..reader.count()? {
            let what = text(&mut reader)?;
            let mut value = || Ok(if reader.byte()? == 0 { None } else { Some(text(&mut reader)?) });
            let (before, now) = (value()?, value()?);
            changes.push(KeyChange { what, before, now });
        }
        let memory = if has_memory && reader.byte()? != 0 { Some(reader.number()?) } else { None };
        reader.finish()?;
        Ok(Self { trace, key, ran: Some(Run { at, before, after, reason, key: changes, memory }) })
    }
}

/// Reads the records of all steps of a workspace.
pub fn all(larder: &Larder, workspace: WorkspaceId) -> Result<FxHashMap<StepId, Record>, LarderError> {
    let notes = larder.notes(workspace, PREFIX)?;
    Ok(notes
        .into_iter()
        .filter_map(|(key, value)| {
            Some((StepId::new(key.strip_prefix(PREFIX)?), Record::decode(&value).ok()?))
        })
        .collect())
}

/// Writes the record of a step.
pub fn write(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    record: &Record,
) -> Result<(), LarderError> {
    larder.note(workspace, &format!("{PREFIX}{step}"), &record.encode())
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
    let newest = marks(larder, workspace, step)?.into_iter().next();
    newest.map_or(Ok(None), |mark| settled(larder, mark))
}

/// Where a step has settled, the last one first; at most [`SETTLED_KEPT`]. Those whose bytes are gone are left out.
pub fn states(larder: &Larder, workspace: WorkspaceId, step: &StepId) -> Result<Vec<Settled>, LarderError> {
    let marks = marks(larder, workspace, step)?;
    let all = marks.into_iter().map(|mark| settled(larder, mark));
    Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Weak key, trace and tree of a state.
type Mark = [Digest; 3];

fn marks(larder: &Larder, workspace: WorkspaceId, step: &StepId) -> Result<Vec<Mark>, LarderError> {
    let key = format!("{STATE}{step}");
    let notes = larder.notes(workspace, &key)?;
    let Some((_, value)) = notes.into_iter().find(|(found, _)| *found == key) else { return Ok(Vec::new()) };
    let digests: Result<Vec<Digest>, _> = value.chunks(Digest::LEN).map(Digest::try_from).collect();
    let digests = digests.unwrap_or_default();
    Ok(digests.as_chunks::<3>().0.to_vec())
}

fn settled(larder: &Larder, [weak, trace, tree]: Mark) -> Result<Option<Settled>, LarderError> {
    let bytes = larder.get(ObjectKind::Tree, &tree)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()).map(|tree| Settled { weak, trace, tree }))
}

/// Writes where a step has settled, before the states that it had settled in earlier.
pub fn write_state(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    now: &Settled,
) -> Result<(), LarderError> {
    let tree = larder.put(ObjectKind::Tree, &now.tree.encode())?;
    let mark = [now.weak, now.trace, tree];
    let mut marks = marks(larder, workspace, step)?;
    if marks.first() == Some(&mark) {
        return Ok(());
    }
    marks.retain(|known| *known != mark);
    marks.insert(0, mark);
    marks.truncate(SETTLED_KEPT);
    let value = marks.concat().iter().map(|digest| *digest.as_bytes()).collect::<Vec<_>>().concat();
    larder.note(workspace, &format!("{STATE}{step}"), &value)
}

/// Who made what a step saw, beyond what its order says: consumer and producers, by id.
pub type Edges = FxHashMap<StepId, Vec<StepId>>;

/// Reads what the last build of a workspace found out about who feeds whom; nothing, if that is lost.
pub fn edges(larder: &Larder, workspace: WorkspaceId) -> Result<Edges, LarderError> {
    read_edges(larder, workspace, EDGES)
}

/// Reads who has only folders in common with whom: that one is seen if it is there, and not made for it.
pub fn edges_if_there(larder: &Larder, workspace: WorkspaceId) -> Result<Edges, LarderError> {
    read_edges(larder, workspace, EDGES_IF_THERE)
}

fn read_edges(larder: &Larder, workspace: WorkspaceId, key: &str) -> Result<Edges, LarderError> {
    let notes = larder.notes(workspace, key)?;
    let Some((_, value)) = notes.into_iter().find(|(found, _)| found == key) else {
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

/// Writes who feeds whom, and who has only folders in common with whom.
pub fn write_edges(
    larder: &Larder,
    workspace: WorkspaceId,
    (edges, if_there): (&Edges, &Edges),
) -> Result<(), LarderError> {
    larder.note(workspace, EDGES, &encode_edges(edges))?;
    larder.note(workspace, EDGES_IF_THERE, &encode_edges(if_there))
}

fn encode_edges(edges: &Edges) -> Vec<u8> {
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
    writer.finish()
}

/// A trace by its digest, with its path set; `None` if either is gone or of a format that is not known here.
pub fn trace(larder: &Larder, digest: &Digest) -> Result<Option<(Trace, Arc<PathSet>)>, LarderError> {
    let Some(bytes) = larder.get(ObjectKind::Trace, digest)? else { return Ok(None) };
    let Ok(trace) = Trace::decode(&bytes) else { return Ok(None) };
    Ok(larder.path_set(&trace.path_set)?.map(|set| (trace, set)))
}

/// All that a step last made; nothing, if that is lost.
pub fn made(
    larder: &Larder,
    workspace: WorkspaceId,
    step: &StepId,
    record: &Record,
) -> Result<Tree, LarderError> {
    if let Some(settled) = state(larder, workspace, step)? {
        return Ok(settled.tree);
    }
    let Some((trace, _)) = trace(larder, &record.trace)? else { return Ok(Tree::default()) };
    let bytes = larder.get(ObjectKind::Tree, &trace.outputs)?;
    Ok(bytes.and_then(|bytes| Tree::decode(&bytes).ok()).unwrap_or_default())
}

/// All that the last traces of a workspace's steps made: path, what, and by whom.
pub fn outputs(larder: &Larder, workspace: WorkspaceId) -> Result<Vec<(RelPath, Made, StepId)>, LarderError> {
    let mut outputs = Vec::new();
    for (step, record) in all(larder, workspace)? {
        let tree = made(larder, workspace, &step, &record)?;
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
        let first = Record { trace: Digest::of(b"s"), key: Facets::default(), ran: None };
        let mut record = Record::of_run(
            Digest::of(b"t"),
            Facets::default(),
            ("src/a.c changed".into(), None),
            Some(&first),
        );
        assert_eq!(Record::decode(&first.encode()).unwrap(), first);
        let values = [(None, Some("1".to_owned())), (Some("2".to_owned()), None)];
        let changes = values.map(|(before, now)| KeyChange { what: "its command".to_owned(), before, now });
        record.ran.as_mut().unwrap().key.extend(changes);
        assert_eq!(record.ran.as_ref().unwrap().before, Some(first.trace));
        // As it was written before memory was remembered.
        let mut before = record.encode();
        before[0] = FORMAT_1;
        assert_eq!(before.pop(), Some(0));
        assert_eq!(Record::decode(&before).unwrap(), record);
        record.ran.as_mut().unwrap().memory = Some(7 << 20);
        let step = StepId::new("compile:src/a.c");
        write(&larder, one, &step, &record).unwrap();
        assert_eq!(all(&larder, one).unwrap().get(&step), Some(&record));
        assert!(all(&larder, other).unwrap().is_empty());
    }
}
