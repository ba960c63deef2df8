//! Bounds: how much a ninja file may ask for.

use crate::error::Wrong;

/// The bounds of one reading. The defaults are far above the largest projects known to use ninja (Chromium: some 30 000 files,
/// 100 MB); whoever exceeds one gets an error that names it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Bytes of all files.
    pub all_bytes: usize,
    /// Files, each counted as often as it is included.
    pub files: usize,
    /// Files that are open at once: each includes the next.
    pub depth: usize,
    /// Bytes of one expanded value: a variable, a path, a command, a response file.
    pub value_bytes: usize,
    /// Work of expansion in all: a byte that is written is one, a variable that is looked up is one. Without it, variables
    /// that double each other would take time and memory without end.
    pub expansion: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 256 << 20,
            all_bytes: 1 << 30,
            files: 1 << 18,
            depth: 64,
            value_bytes: 64 << 20,
            expansion: 4 << 30,
        }
    }
}

/// What is left of the [`Limits`].
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    files: usize,
    bytes: usize,
    expansion: u64,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), files: 0, bytes: 0, expansion: 0 }
    }

    /// The most bytes that a file may have.
    pub fn file_bytes(&self) -> usize {
        self.limits.file_bytes
    }

    /// One more file is opened while `open` are.
    pub fn open(&mut self, open: usize) -> Result<(), Wrong> {
        if open >= self.limits.depth {
            return Err(Wrong::Depth { limit: self.limits.depth });
        }
        self.files += 1;
        within("files", self.files as u64, self.limits.files as u64)
    }

    /// A file had so many bytes.
    pub fn file(&mut self, bytes: usize) -> Result<(), Wrong> {
        within("bytes in a file", bytes as u64, self.limits.file_bytes as u64)?;
        self.bytes = self.bytes.saturating_add(bytes);
        within("bytes in all files", self.bytes as u64, self.limits.all_bytes as u64)
    }

    /// A variable is looked up.
    pub fn look_up(&mut self) -> Result<(), Wrong> {
        self.spend(1)
    }

    /// Appends bytes to a value.
    pub fn append(&mut self, bytes: &[u8], value: &mut Vec<u8>) -> Result<(), Wrong> {
        self.reserve(bytes.len(), value.len())?;
        value.extend_from_slice(bytes);
        Ok(())
    }

    /// So many bytes are about to be appended to a value that has `length`.
    pub fn reserve(&mut self, bytes: usize, length: usize) -> Result<(), Wrong> {
        let length = length.saturating_add(bytes) as u64;
        within("bytes in an expanded value", length, self.limits.value_bytes as u64)?;
        self.spend(bytes as u64)
    }

    fn spend(&mut self, work: u64) -> Result<(), Wrong> {
        self.expansion = self.expansion.saturating_add(work);
        within("bytes and look-ups of expanded variables", self.expansion, self.limits.expansion)
    }
}

fn within(what: &'static str, value: u64, limit: u64) -> Result<(), Wrong> {
    if value > limit { Err(Wrong::Limit { what, limit }) } else { Ok(()) }
}
