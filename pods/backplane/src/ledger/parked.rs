//! Entries that wait for what would make them understood. Anybody who reaches the server can make some: they are bounded by their number and their bytes.

use std::collections::{VecDeque, vec_deque};

/// How many entries may wait.
pub const MAX_PARKED: usize = 4096;
/// How many bytes they may have, with their subjects.
pub const MAX_PARKED_BYTES: usize = 4 << 20;

/// Subjects and bytes; the oldest go first.
#[derive(Default)]
pub(super) struct Parked {
    entries: VecDeque<(String, Vec<u8>)>,
    bytes: usize,
}

impl Parked {
    pub(super) fn push(&mut self, subject: &str, bytes: &[u8]) {
        self.bytes += subject.len() + bytes.len();
        self.entries.push_back((subject.to_owned(), bytes.to_vec()));
        while self.entries.len() > MAX_PARKED || self.bytes > MAX_PARKED_BYTES {
            let Some((subject, bytes)) = self.entries.pop_front() else { return };
            self.bytes -= subject.len() + bytes.len();
        }
    }

    pub(super) fn iter(&self) -> vec_deque::Iter<'_, (String, Vec<u8>)> {
        self.entries.iter()
    }
}

impl<'a> IntoIterator for &'a Parked {
    type Item = &'a (String, Vec<u8>);
    type IntoIter = vec_deque::Iter<'a, (String, Vec<u8>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
