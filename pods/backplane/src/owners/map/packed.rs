//! The files of one record, packed: paths sorted bytewise in one run of bytes, and beside them what stands there.

use protocol::{Digest, RelPath};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File<'a> {
    pub path: &'a [u8],
    pub digest: Digest,
    pub size: u64,
    pub exec: bool,
}

/// Where a path ends, and what the file is.
struct Entry {
    path_end: u32,
    /// Size in the upper bits, exec bit in the lowest.
    size_exec: u64,
    digest: [u8; 32],
}

/// The files of a record. Its paths have less than 4 GiB together; those beyond are left out.
#[derive(Default)]
pub(super) struct Packed {
    paths: Box<[u8]>,
    entries: Box<[Entry]>,
}

impl Packed {
    /// From files sorted by path.
    pub fn new<'a>(files: impl Iterator<Item = (&'a RelPath, &'a Digest, u64, bool)>) -> Self {
        let (mut paths, mut entries) = (Vec::new(), Vec::new());
        for (path, digest, size, exec) in files {
            paths.extend_from_slice(path.as_bytes());
            let Ok(path_end) = u32::try_from(paths.len()) else { break };
            entries.push(Entry {
                path_end,
                size_exec: size << 1 | u64::from(exec),
                digest: *digest.as_bytes(),
            });
        }
        Self { paths: paths.into_boxed_slice(), entries: entries.into_boxed_slice() }
    }

    fn path(&self, at: usize) -> &[u8] {
        let begin = if at == 0 { 0 } else { self.entries[at - 1].path_end as usize };
        &self.paths[begin..self.entries[at].path_end as usize]
    }

    fn file(&self, at: usize) -> File<'_> {
        let entry = &self.entries[at];
        File {
            path: self.path(at),
            digest: Digest::from_bytes(entry.digest),
            size: entry.size_exec >> 1,
            exec: entry.size_exec & 1 == 1,
        }
    }

    /// The file at a path.
    pub fn get(&self, path: &[u8]) -> Option<File<'_>> {
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.path(middle).cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(self.file(middle)),
            }
        }
        None
    }

    /// All files, by path.
    pub fn iter(&self) -> impl Iterator<Item = File<'_>> {
        (0..self.entries.len()).map(|at| self.file(at))
    }
}
