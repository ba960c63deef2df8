//! Secrets: bytes that one step is given as a file, and that nobody else is to see.

use std::fmt;

/// The folder in a step's root that has its secrets, as files.
pub const SECRETS: &str = "run/secrets";

/// A secret. It is never shown, not even when what has it is printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    name: String,
    value: Vec<u8>,
}

impl Secret {
    /// `None`: no file can have this name.
    pub fn new(name: &str, value: Vec<u8>) -> Option<Self> {
        let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        is_name.then(|| Self { name: name.to_owned(), value })
    }

    /// The name of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secret({})", self.name)
    }
}
