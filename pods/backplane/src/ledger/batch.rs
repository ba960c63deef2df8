//! A batch of entries: taken together, or not at all.
//!
//! All of it is one transaction; digests and views follow when that is committed, so that they never say what the database does not. An entry that
//! decides on those after it ([`DECISIVE`]) is committed at once, since they are judged by what the views say. Dropping a batch that was not
//! committed rolls it back.

use parking_lot::MutexGuard;
use protocol::mesh::subject;

use super::entry::{Entry, MAX_LEAP};
use super::parked::MAX_PARKED;
use super::store::StoreError;
use super::{Judgement, Ledger, State, Taken};
use crate::bus::Position;
use crate::keys::{OpenError, SealError};

/// What is said of these decides whether other entries are understood and allowed.
const DECISIVE: [&str; 3] = [subject::MEMBERS, subject::KEYS, subject::GENERATION];

pub(super) struct Batch<'a> {
    ledger: &'a Ledger,
    pub(super) state: MutexGuard<'a, State>,
    news: Vec<News>,
}

struct News {
    entry: Entry,
    replaced: Option<Vec<u8>>,
    position: Option<Position>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.state.store.roll_back();
    }
}

impl Ledger {
    /// Does the work in one transaction, with the ledger locked.
    pub(super) fn batch<T>(
        &self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut batch = Batch { ledger: self, state: self.state.lock(), news: Vec::new() };
        batch.state.store.begin()?;
        let done = work(&mut batch)?;
        batch.commit()?;
        Ok(done)
    }

    /// Tries again what waits for an author or a key, if one has come.
    pub(super) fn retry(&self) -> Result<(), StoreError> {
        while std::mem::take(&mut self.state.lock().ripe) {
            self.batch(|batch| {
                let (closed, parked) =
                    (std::mem::take(&mut batch.state.closed), std::mem::take(&mut batch.state.parked));
                for (subject, sealed) in &closed {
                    batch.take_sealed(subject, sealed, None)?;
                }
                for (subject, signed) in &parked {
                    batch.take_signed(subject, signed)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// Takes what the log says. Nothing of it is an error: anybody who reaches the server can put anything into it.
    pub(super) fn take_sealed(
        &mut self,
        subject: &str,
        sealed: &[u8],
        position: Option<Position>,
    ) -> Result<Taken, StoreError> {
        let taken = self.take_opened(subject, sealed, position)?;
        if position.is_some() && subject.starts_with(subject::KEYS) {
            let overwritten = &mut self.state.overwritten;
            match taken {
                Taken::New | Taken::Known => drop(overwritten.remove(subject)),
                Taken::Older | Taken::Refused if overwritten.len() < MAX_PARKED => {
                    overwritten.insert(subject.to_owned());
                }
                Taken::Older | Taken::Refused | Taken::Waits => {}
            }
        }
        Ok(taken)
    }

    fn take_opened(
        &mut self,
        subject: &str,
        sealed: &[u8],
        position: Option<Position>,
    ) -> Result<Taken, StoreError> {
        let opened = Entry::open(&self.ledger.federation, &self.ledger.ring.read(), subject, sealed);
        let (generation, entry) = match opened {
            Ok(opened) => opened,
            Err(OpenError::Seal(SealError::Generation(generation))) => {
                tracing::debug!(subject, generation, "an entry waits for its group key");
                self.state.closed.push(subject, sealed);
                return Ok(Taken::Waits);
            }
            Err(error) => {
                tracing::warn!(subject, %error, "an entry of the log is not taken");
                return Ok(Taken::Refused);
            }
        };
        if let (Some(generation), Some(at), Some((since, present))) =
            (generation, position, self.state.generation)
            && at.incarnation == since.incarnation
            && at > since
            && generation < present
        {
            tracing::warn!(subject, generation, "an entry of the log is sealed with a key of before");
            return Ok(Taken::Refused);
        }
        self.take(entry, position)
    }

    /// Takes what somebody passes on.
    pub(super) fn take_signed(&mut self, subject: &str, signed: &[u8]) -> Result<Taken, StoreError> {
        match Entry::verified(&self.ledger.federation, subject, signed) {
            Ok(entry) => self.take(entry, None),
            Err(_) => Ok(Taken::Refused),
        }
    }

    /// Takes an entry whose signature holds.
    pub(super) fn take(&mut self, entry: Entry, position: Option<Position>) -> Result<Taken, StoreError> {
        let replaced = self.state.store.get(&entry.subject)?;
        if replaced.as_deref() == Some(&entry.signed) {
            if let Some(position) = position {
                self.state.store.saw(&entry.subject, position)?;
            }
            return Ok(Taken::Known);
        }
        let known = replaced.as_deref().and_then(|signed| Entry::trusted(&entry.subject, signed).ok());
        if known.as_ref().is_some_and(|known| known.order() > entry.order()) {
            return Ok(Taken::Older);
        }
        let before = known.map_or(0, |known| known.epoch.revision);
        if entry.epoch.revision.saturating_sub(before) > MAX_LEAP {
            tracing::warn!(subject = entry.subject, from = %entry.from, epoch = %entry.epoch, "an entry is refused: its number leaps");
            return Ok(Taken::Refused);
        }
        match self.ledger.judge(&entry) {
            Judgement::Take => {}
            judged @ (Judgement::Wait | Judgement::Learn) => {
                self.state.parked.push(&entry.subject, &entry.signed);
                self.state.ripe |= judged == Judgement::Learn;
                return Ok(Taken::Waits);
            }
            Judgement::Refuse => {
                tracing::warn!(subject = entry.subject, from = %entry.from, "an entry is refused: its author may not say that");
                return Ok(Taken::Refused);
            }
        }
        self.state.store.put(&entry, position)?;
        if let (Some(position), Some(generation)) = (position, generation_of(&entry)) {
            self.state.store.set_generation(position, generation)?;
        }
        let decisive = DECISIVE.iter().any(|prefix| entry.subject.starts_with(prefix));
        self.news.push(News { entry, replaced, position });
        if decisive {
            self.commit()?;
            self.ledger.drop_from(&mut self.state)?;
            self.state.ripe = true;
            self.state.store.begin()?;
        }
        Ok(Taken::New)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.state.store.commit()?;
        let views = self.ledger.views.read();
        let count = self.news.len() as u64;
        for News { entry, replaced, position } in self.news.drain(..) {
            if let Some(replaced) = replaced {
                self.state.digests.toggle(&entry.subject, &replaced);
            }
            self.state.digests.toggle(&entry.subject, &entry.signed);
            if let (Some(position), Some(generation)) = (position, generation_of(&entry)) {
                self.state.generation = Some((position, generation));
            }
            for view in views.iter().filter(|view| view.wants(&entry.subject)) {
                view.apply(&entry);
            }
        }
        if count > 0 {
            self.ledger.changes.send_modify(|changes| *changes += count);
        }
        Ok(())
    }
}

/// The generation of the group key that an entry agrees upon.
fn generation_of(entry: &Entry) -> Option<u32> {
    let generation = entry.body["generation"].as_u64().filter(|_| entry.subject == subject::GENERATION)?;
    Some(u32::try_from(generation).unwrap_or(u32::MAX))
}
