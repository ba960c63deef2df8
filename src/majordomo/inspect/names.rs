//! Which names came and went in a folder: of a listing a trace keeps the digest alone, so they are sought among the names that
//! are known.

use std::collections::BTreeMap;

use protocol::observation::listing_digest;
use protocol::{Digest, FileKind};

/// The most names that are looked at to find one digest; beyond that nobody knows.
const MAX_NAMES: usize = 4_000_000;

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

/// The listing with this digest, if it is this one, or this one without a name, or with another known one, or both: the least
/// that may have happened is tried first.
fn near(listing: &Listing, known: &Listing, digest: &Digest) -> Option<Listing> {
    let is_news = |(name, kind): &(&Vec<u8>, &FileKind)| listing.get(*name) != Some(*kind);
    let added: Vec<_> = known.iter().filter(is_news).collect();
    let removals = || listing.keys().map(Some);
    let additions = || added.iter().copied().map(Some);
    let one = removals().map(|name| (name, None)).chain(additions().map(|name| (None, name)));
    let both = removals().flat_map(|removed| additions().map(move |added| (removed, added)));
    let changes = std::iter::once((None, None)).chain(one).chain(both);
    // Each try looks at all names.
    let tries = MAX_NAMES / listing.len().max(1);
    let (removed, added) = changes.take(tries).find(|(removed, added)| {
        let left =
            listing.iter().filter(|(name, _)| Some(*name) != *removed && Some(*name) != added.map(|a| a.0));
        listing_digest(left.chain(*added).map(|(name, kind)| (&name[..], *kind))) == *digest
    })?;
    let mut found = listing.clone();
    if let Some(name) = removed {
        found.remove(name);
    }
    found.extend(added.map(|(name, kind)| (name.clone(), *kind)));
    Some(found)
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
        let told = |before: &str, after: &str, now: &str, known: &str| {
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
        // Among many that are there and are known to be.
        let many: String = (0..900).map(|number| format!("f{number} ")).collect();
        let more = format!("{many} new");
        assert_eq!(told(&many, &more, &more, &many), pair("new", ""));
        assert_eq!(told("a", "b c d e", "a", "b"), None);
    }
}
