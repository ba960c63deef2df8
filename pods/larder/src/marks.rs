//! Marks: what must be remembered of a digest as long as its objects are, such as who has made a trace.
//!
//! A mark is a record of a pack, so it outlives the index; in the index it is a note of nobody's workspace.

use protocol::{Digest, WorkspaceId};

use crate::record::{Mark, RecordKind};
use crate::{Larder, LarderError};

/// The workspace of the notes that marks are in the index.
pub(crate) fn nobody() -> WorkspaceId {
    WorkspaceId::from_random(0)
}

fn prefix(kind: u8) -> String {
    format!("mark/{kind}/")
}

/// The key of the note that a mark is in the index.
pub(crate) fn key(kind: u8, on: &Digest) -> String {
    format!("{}{on}", prefix(kind))
}

impl Larder {
    /// Marks a digest; the last mark of a kind stays. When this returns, neither a killed process nor the loss of the index takes the mark away.
    ///
    /// # Errors
    /// The disk is full, or a pack cannot be written; it may be marked all the same then.
    pub fn mark(&self, kind: u8, on: &Digest, value: [u8; 32]) -> Result<(), LarderError> {
        self.log(RecordKind::Mark, &Mark { kind, on: *on, value }.encode(), || ())
    }

    /// All marks of a kind.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn marks(&self, kind: u8) -> Result<Vec<(Digest, [u8; 32])>, LarderError> {
        self.flush()?;
        let prefix = prefix(kind);
        let notes = self.notes(nobody(), &prefix)?;
        let mark = |(key, value): (String, Vec<u8>)| {
            Some((key.strip_prefix(&prefix)?.parse().ok()?, value.try_into().ok()?))
        };
        Ok(notes.into_iter().filter_map(mark).collect())
    }

    /// Whether a digest has a mark of a kind.
    pub(crate) fn is_marked(&self, kind: u8, on: &Digest) -> Result<bool, LarderError> {
        self.ask(|connection| {
            connection
                .prepare_cached("SELECT 1 FROM notes WHERE workspace = ?1 AND key = ?2")?
                .exists(rusqlite::params![nobody().to_bytes(), key(kind, on)])
        })
    }
}
