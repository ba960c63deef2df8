//! Which names came and went in a folder: of a listing a trace keeps the digest alone, so they are sought among the names that
//! are known.

use std::collections::BTreeMap;

use protocol::observation::listing_digest;
use protocol::{Digest, FileKind};

/// The most listings that are tried for one digest; beyond that nobody knows.
const MAX_TRIES: usize = 4000;

/// Names in a folder, and their kinds.
pub type Listing = BTreeMap<Vec<u8>, FileKind>;

/// Names that appeared, and names that went.
pub type CameAndWent = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// The names that came and went between two listings; `None`: it cannot be told. `now` is the folder as it is,
/// `known` are names that may have been in it.
pub fn between(before: &Digest, after: &Digest, now: &Listing, known: &Listing) -> Option<CameAndWent> {
    let after = near(now, known, after)?;
    let before = near(&after, known, before)?;
    let without = |all: &Listing, others: &Listing| -> Vec<Vec<u8>> {
        all.iter()
            .filter(|(name, kind)| others.get(*name) != Some(kind))
            .map(|(name, _)| name.clone())
            .collect()
    };
    Some((without(&after, &before), without(&before, &after)))
}

/// The listing with this digest, if it is this one, or this one without a name, or with another known one, or both.
fn near(listing: &Listing, known: &Listing, digest: &Digest) -> Option<Listing> {
    let is_it =
        |listing: &Listing| listing_digest(listing.iter().map(|(name, kind)| (&name[..], *kind))) == *digest;
    let removals = std::iter::once(None).chain(listing.keys().map(Some));
    let additions = || std::iter::once(None).chain(known.iter().map(Some));
    let changes = removals.flat_map(|removed| additions().map(move |added| (removed, added)));
    let mut changes: Vec<_> = changes.take(MAX_TRIES).collect();
    // The least that may have happened comes first.
    changes.sort_by_key(|(removed, added)| removed.is_some() as u8 + added.is_some() as u8);
    changes.into_iter().find_map(|(removed, added)| {
        let mut changed = listing.clone();
        if let Some(name) = removed {
            changed.remove(name);
        }
        if let Some((name, kind)) = added {
            changed.insert(name.clone(), *kind);
        }
        is_it(&changed).then_some(changed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &str) -> Listing {
        names.split_whitespace().map(|name| (name.as_bytes().to_vec(), FileKind::File)).collect()
    }

    fn digest(names: &str) -> Digest {
        let listing = listing(names);
        listing_digest(listing.iter().map(|(name, kind)| (&name[..], *kind)))
    }

    #[test]
    fn what_came_and_what_went_is_found_among_known_names() {
        let told = |before, after, now, known| {
            let (appeared, gone) = between(&digest(before), &digest(after), &listing(now), &listing(known))?;
            let text = |names: Vec<Vec<u8>>| String::from_utf8(names.join(&b' ')).ok();
            Some((text(appeared)?, text(gone)?))
        };
        let pair = |appeared: &str, gone: &str| Some((appeared.to_owned(), gone.to_owned()));
        assert_eq!(told("a b", "a b c", "a b c", ""), pair("c", ""));
        assert_eq!(told("a b", "a", "a", "x b"), pair("", "b"));
        assert_eq!(told("a b", "a c", "a c", "b"), pair("c", "b"));
        // Since then another one came.
        assert_eq!(told("a b", "a b c", "a b c d", ""), pair("c", ""));
        assert_eq!(told("a b", "a", "a", "x"), None);
        assert_eq!(told("a", "b c d e", "a", "b"), None);
    }
}
