//! What lenses that are programs have answered, in the larder's index: for each lens a bounded table from content to what is
//! left of it. A hint like all notes: whatever is lost is asked again.

use larder::{Larder, LarderError};
use parking_lot::Mutex;
use protocol::{Digest, WorkspaceId};

/// Answers that are remembered of one lens whose content's digest begins with the same byte; the oldest goes first.
const MAX_ANSWERS: usize = 256;

/// Answers belong to no workspace.
const WORKSPACE: WorkspaceId = WorkspaceId::from_random(0);

/// Held while a note is read, changed and written.
static CHANGING: Mutex<()> = Mutex::new(());

fn key(lens: &Digest, raw: &Digest) -> String {
    format!("lens/{}/{:02x}", lens.hex(), raw.as_bytes()[0])
}

/// Pairs of digests, the oldest first.
fn note(larder: &Larder, key: &str) -> Result<Vec<u8>, LarderError> {
    let notes = larder.notes(WORKSPACE, key)?;
    let note = notes.into_iter().find(|(known, _)| known == key);
    Ok(note.map(|(_, note)| note).filter(|note| note.len() % (2 * Digest::LEN) == 0).unwrap_or_default())
}

/// What a lens left of content; `None`: nobody remembers.
pub(super) fn known(larder: &Larder, lens: &Digest, raw: &Digest) -> Result<Option<Digest>, LarderError> {
    let note = note(larder, &key(lens, raw))?;
    let mut pairs = note.chunks_exact(2 * Digest::LEN).map(|pair| pair.split_at(Digest::LEN));
    let found = pairs.find(|(content, _)| content == raw.as_bytes());
    Ok(found.and_then(|(_, left)| Digest::try_from(left).ok()))
}

/// Remembers it.
pub(super) fn remember(
    larder: &Larder,
    lens: &Digest,
    raw: &Digest,
    left: &Digest,
) -> Result<(), LarderError> {
    let _changing = CHANGING.lock();
    let key = key(lens, raw);
    let mut pairs: Vec<u8> = note(larder, &key)?
        .chunks_exact(2 * Digest::LEN)
        .filter(|pair| !pair.starts_with(raw.as_bytes()))
        .flatten()
        .copied()
        .collect();
    let beyond = (pairs.len() / (2 * Digest::LEN) + 1).saturating_sub(MAX_ANSWERS);
    pairs.drain(..beyond * 2 * Digest::LEN);
    pairs.extend_from_slice(raw.as_bytes());
    pairs.extend_from_slice(left.as_bytes());
    larder.note(WORKSPACE, &key, &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_answers_are_remembered_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let larder = Larder::open(folder.path(), larder::Options::default()).unwrap();
        let lens = Digest::of(b"lens");
        // All in one note.
        let raw = |number: usize| {
            let mut bytes = [7; Digest::LEN];
            bytes[1..9].copy_from_slice(&number.to_be_bytes());
            Digest::try_from(bytes.as_slice()).unwrap()
        };
        let left = |number: usize| Digest::of(&number.to_be_bytes());
        assert_eq!(known(&larder, &lens, &raw(0)).unwrap(), None);
        for number in 0..=MAX_ANSWERS {
            remember(&larder, &lens, &raw(number), &left(number)).unwrap();
        }
        remember(&larder, &lens, &raw(1), &left(0)).unwrap();
        let known = |lens, number| known(&larder, lens, &raw(number)).unwrap();
        assert_eq!((known(&lens, 0), known(&lens, 1)), (None, Some(left(0))));
        assert_eq!(known(&lens, 2), Some(left(2)));
        assert_eq!(known(&lens, MAX_ANSWERS), Some(left(MAX_ANSWERS)));
        assert_eq!(known(&Digest::of(b"other"), 1), None);
    }
}
