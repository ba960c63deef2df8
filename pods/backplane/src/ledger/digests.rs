//! Digests of ranges: by them two pods find out in three questions where they differ.
//!
//! A subject falls by its hash into one of [`LEAVES`] leaves. The digest of a leaf is the exclusive or of the hashes of its entries, so that it is kept
//! up to date by one operation; a branch is that of its [`FAN`] leaves, the root that of all.

/// How many leaves there are.
pub const LEAVES: usize = FAN * FAN;
/// How many branches there are, and leaves of each.
pub const FAN: usize = 64;

/// The digests of all leaves.
pub struct Digests {
    leaves: Vec<u128>,
}

impl Default for Digests {
    fn default() -> Self {
        Self { leaves: vec![0; LEAVES] }
    }
}

/// The leaf of a subject.
pub fn leaf_of(subject: &str) -> usize {
    let hash = blake3::hash(subject.as_bytes());
    usize::from(u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])) % LEAVES
}

/// The hash of one entry.
pub fn hash_of(subject: &str, signed: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(subject.len() as u64).to_le_bytes()).update(subject.as_bytes()).update(signed);
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    u128::from_le_bytes(short)
}

impl Digests {
    /// Adds an entry, or takes it away again.
    pub fn toggle(&mut self, subject: &str, signed: &[u8]) {
        self.leaves[leaf_of(subject)] ^= hash_of(subject, signed);
    }

    /// Adds what [`hash_of`] gave, to the leaf that [`leaf_of`] gave.
    pub fn add(&mut self, leaf: usize, hash: u128) {
        self.leaves[leaf % LEAVES] ^= hash;
    }

    /// Of everything.
    pub fn root(&self) -> u128 {
        self.leaves.iter().fold(0, |all, leaf| all ^ leaf)
    }

    /// Of each branch.
    pub fn branches(&self) -> Vec<u128> {
        self.leaves.chunks(FAN).map(|leaves| leaves.iter().fold(0, |all, leaf| all ^ leaf)).collect()
    }

    /// Of the leaves of a branch; none if there is no such branch.
    pub fn leaves(&self, branch: usize) -> &[u128] {
        self.leaves.chunks(FAN).nth(branch).unwrap_or_default()
    }
}
