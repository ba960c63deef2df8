//! The words of pods that were banned: they are dropped by whoever hears of the ban, as newcomers refuse them, so that all know the same.
//!
//! What was said on members, invitations and generations stays: who came in, and by whom, is built upon it, and each ban is followed by another key.
//! **A crash** between the ban and this leaves words that are dropped at the next start.

use std::collections::BTreeSet;

use protocol::PodId;
use protocol::mesh::subject;

use super::entry::Entry;
use super::store::StoreError;
use super::{Ledger, State};

/// Words of a banned pod that stay.
const STAY: [&str; 3] = [subject::MEMBERS, subject::INVITATIONS, subject::GENERATION];

impl Ledger {
    /// Drops the words of pods that were banned since the last time.
    pub(crate) fn drop_outcasts(&self) -> Result<(), StoreError> {
        self.drop_from(&mut self.state.lock())
    }

    /// The same, between two transactions: what comes after a ban is held against none of those words.
    pub(super) fn drop_from(&self, state: &mut State) -> Result<(), StoreError> {
        let outcasts = self.policy.read().as_ref().map(|policy| policy.outcasts()).unwrap_or_default();
        let new: BTreeSet<PodId> = outcasts.into_iter().filter(|pod| !state.outcasts.contains(pod)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut doomed = Vec::new();
        state.store.each(|name, signed| {
            if !STAY.iter().any(|prefix| name.starts_with(prefix))
                && let Ok(entry) = Entry::trusted(name, signed)
                && new.contains(&entry.from)
            {
                doomed.push(entry);
            }
        })?;
        state.store.begin()?;
        for entry in &doomed {
            if let Err(error) = state.store.remove(&entry.subject) {
                state.store.roll_back();
                return Err(error);
            }
        }
        state.store.commit()?;
        let views = self.views.read();
        for entry in &doomed {
            state.digests.toggle(&entry.subject, &entry.signed);
            views.iter().filter(|view| view.wants(&entry.subject)).for_each(|view| view.forget(entry));
        }
        state.outcasts.extend(new);
        if !doomed.is_empty() {
            tracing::info!(words = doomed.len(), "what banned pods have said counts no more");
            self.changes.send_modify(|changes| *changes += doomed.len() as u64);
        }
        Ok(())
    }
}
