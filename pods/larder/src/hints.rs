//! What a larder remembers beside objects: digests of host files, and notes of workspaces.
//!
//! All of it is in the index alone. Losing it costs time, never truth; what must not be lost is a [mark](Larder::mark).

use protocol::{Digest, Stamp, WorkspaceId};
use rusqlite::params;

use crate::index::Change;
use crate::options::MAX_NOTE_SIZE;
use crate::{Larder, LarderError};

impl Larder {
    /// The digest of a host file with exactly this stamp, if it is remembered.
    ///
    /// # Errors
    /// Of the index.
    pub fn known_digest(&self, stamp: &Stamp) -> Result<Option<Digest>, LarderError> {
        self.inner.host_digests.get(stamp, self)
    }

    /// Remembers a host file's digest. Only for files that were [settled](Stamp::is_settled) when they were read.
    ///
    /// # Errors
    /// Of the index.
    pub fn remember_digest(&self, stamp: &Stamp, digest: &Digest) -> Result<(), LarderError> {
        // It is a hint: while the index cannot be written, nothing of the kind is gathered.
        if self.shared().healthy().is_ok() && self.inner.host_digests.insert(stamp, digest, self)? {
            self.change(Change::Stamp { stamp: *stamp, digest: *digest })?;
        }
        Ok(())
    }

    /// Sets a small named value of a workspace. Notes are hints: they do not survive the loss of the index.
    ///
    /// # Errors
    /// Of the index.
    pub fn note(&self, workspace: WorkspaceId, key: &str, value: &[u8]) -> Result<(), LarderError> {
        let size = value.len() as u64;
        if size > MAX_NOTE_SIZE {
            return Err(LarderError::TooLarge { what: "a note", size, limit: MAX_NOTE_SIZE });
        }
        self.ready()?;
        self.change_note(workspace, key, Some(value.to_vec()))
    }

    /// Removes a named value of a workspace.
    ///
    /// # Errors
    /// Of the index.
    pub fn forget_note(&self, workspace: WorkspaceId, key: &str) -> Result<(), LarderError> {
        self.ready()?;
        self.change_note(workspace, key, None)
    }

    fn change_note(
        &self,
        workspace: WorkspaceId,
        key: &str,
        value: Option<Vec<u8>>,
    ) -> Result<(), LarderError> {
        *self.shared().pending_notes.lock() += 1;
        self.change(Change::Note { workspace, key: key.to_owned(), value })
    }

    /// The named values of a workspace whose keys start so, sorted by key.
    ///
    /// # Errors
    /// Of the index.
    pub fn notes(&self, workspace: WorkspaceId, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, LarderError> {
        if *self.shared().pending_notes.lock() > 0 {
            self.flush()?;
        }
        self.ask(|connection| {
            let mut query = connection.prepare_cached(
                "SELECT key, value FROM notes WHERE workspace = ?1 AND key >= ?2 ORDER BY key",
            )?;
            let mut rows = query.query(params![workspace.to_bytes(), prefix])?;
            let mut notes = Vec::new();
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(prefix) {
                    break;
                }
                notes.push((key, row.get(1)?));
            }
            Ok(notes)
        })
    }
}
