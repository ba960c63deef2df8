//! The twin's log: the last record of each subject, by sequence.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::bus::{BusError, Expect, Incarnation, Position, Record};

pub(super) struct Log {
    pub(super) incarnation: Incarnation,
    pub(super) last_sequence: u64,
    records: BTreeMap<u64, Record>,
    by_subject: HashMap<String, u64>,
    /// What each append replaced, so that it can be rolled back.
    replaced: Vec<(u64, Option<Record>)>,
}

impl Log {
    pub(super) fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            last_sequence: 0,
            records: BTreeMap::new(),
            by_subject: HashMap::new(),
            replaced: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn end(&self) -> Position {
        Position { incarnation: self.incarnation, sequence: self.last_sequence }
    }

    pub(super) fn append(
        &mut self,
        subject: &str,
        payload: Bytes,
        expect: Expect,
    ) -> Result<Position, BusError> {
        let present = self.by_subject.get(subject).copied();
        if let Some((meant, sequence)) = expect.condition() {
            if meant != self.incarnation {
                return Err(BusError::OtherIncarnation { meant });
            }
            if present.unwrap_or(0) != sequence {
                return Err(BusError::Conflict(subject.to_owned()));
            }
        }
        self.last_sequence += 1;
        let replaced = present.and_then(|sequence| self.records.remove(&sequence));
        self.replaced.push((self.last_sequence, replaced));
        self.put(Record { subject: subject.to_owned(), position: self.end(), payload });
        Ok(self.end())
    }

    fn put(&mut self, record: Record) {
        self.by_subject.insert(record.subject.clone(), record.position.sequence);
        self.records.insert(record.position.sequence, record);
    }

    pub(super) fn last(&self, subject: &str) -> Option<Record> {
        self.by_subject.get(subject).and_then(|sequence| self.records.get(sequence)).cloned()
    }

    pub(super) fn next_after(&self, sequence: u64) -> Option<Record> {
        self.records.range(sequence + 1..).next().map(|(_, record)| record.clone())
    }

    pub(super) fn trim(&mut self, keep: usize) {
        while self.records.len() > keep {
            if let Some((_, record)) = self.records.pop_first() {
                self.by_subject.remove(&record.subject);
            }
        }
    }

    pub(super) fn roll_back(&mut self, appends: u64) {
        for _ in 0..appends {
            let Some((sequence, replaced)) = self.replaced.pop() else { return };
            if let Some(gone) = self.records.remove(&sequence) {
                self.by_subject.remove(&gone.subject);
            }
            if let Some(record) = replaced {
                self.put(record);
            }
            self.last_sequence = sequence - 1;
        }
    }
}
