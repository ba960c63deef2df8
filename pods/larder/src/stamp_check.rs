//! The checksum of what is remembered of a host file.

use protocol::{Digest, Stamp};

/// A checksum over a row of the index, so that a flipped bit there is not taken for a file's digest.
pub(crate) fn check(stamp: &Stamp, digest: &Digest) -> u32 {
    let mut bytes = [0u8; 72];
    bytes[..8].copy_from_slice(&stamp.dev.to_le_bytes());
    bytes[8..16].copy_from_slice(&stamp.ino.to_le_bytes());
    bytes[16..24].copy_from_slice(&stamp.size.to_le_bytes());
    bytes[24..32].copy_from_slice(&stamp.mtime_ns.to_le_bytes());
    bytes[32..40].copy_from_slice(&stamp.ctime_ns.to_le_bytes());
    bytes[40..].copy_from_slice(digest.as_bytes());
    let hash = blake3::hash(&bytes);
    let [a, b, c, d, ..] = *hash.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_covers_every_field() {
        let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5 };
        let digest = Digest::of(b"x");
        let mut checks = vec![check(&stamp, &digest), check(&stamp, &Digest::of(b"y"))];
        checks.push(check(&Stamp { dev: 9, ..stamp }, &digest));
        checks.push(check(&Stamp { ino: 9, ..stamp }, &digest));
        checks.push(check(&Stamp { size: 9, ..stamp }, &digest));
        checks.push(check(&Stamp { mtime_ns: 9, ..stamp }, &digest));
        checks.push(check(&Stamp { ctime_ns: 9, ..stamp }, &digest));
        checks.sort_unstable();
        checks.dedup();
        assert_eq!(checks.len(), 7);
    }
}
