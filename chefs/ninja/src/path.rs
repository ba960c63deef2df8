//! Paths in ninja files: canonical form, and quoting for the shell.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use protocol::path::escape;

/// A path as ninja compares paths: bytes without empty and `.` parts, `..` only at the start, never empty (the folder of the
/// build is `.`). Relative to the folder in which the build runs, or absolute. Clones share their bytes.
///
/// Links are not followed, and a relative path is not made absolute: two spellings of one file are two paths, as in ninja.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildPath(Arc<[u8]>);

impl BuildPath {
    /// The canonical form of bytes; `None` if they are empty.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let absolute = bytes[0] == b'/';
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in bytes.split(|&b| b == b'/') {
            match part {
                b"" | b"." => {}
                b".." if parts.last().is_some_and(|last| *last != b"..") => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let path = parts.join(&b'/');
        Some(Self(match (absolute, path.is_empty()) {
            (false, false) => Arc::from(path),
            (false, true) => Arc::from(&b"."[..]),
            (true, _) => Arc::from([b"/", &path[..]].concat()),
        }))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it starts with `/`.
    pub fn is_absolute(&self) -> bool {
        self.0[0] == b'/'
    }
}

impl Borrow<[u8]> for BuildPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for BuildPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

impl fmt::Debug for BuildPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

/// Appends a path as the shell reads it: bare if all its bytes are known to be safe, else in single quotes. The set of safe
/// bytes is ninja's, for the text of a command is part of its step's key and shown to people who know it from ninja.
pub(crate) fn quote(path: &[u8], into: &mut Vec<u8>) {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"_+-./".contains(b);
    if path.iter().all(safe) {
        into.extend_from_slice(path);
        return;
    }
    into.push(b'\'');
    for &byte in path {
        match byte {
            b'\'' => into.extend_from_slice(b"'\\''"),
            byte => into.push(byte),
        }
    }
    into.push(b'\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn canonical_forms() {
        for (from, to) in [
            ("a", "a"),
            ("./a", "a"),
            ("a//b/", "a/b"),
            ("a/./b/../c", "a/c"),
            ("a/..", "."),
            (".", "."),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("../../a/../b", "../../b"),
            ("/a/../b", "/b"),
            ("/../a", "/../a"),
            ("//a", "/a"),
            ("...", "..."),
            (".a/..b", ".a/..b"),
        ] {
            assert_eq!(BuildPath::new(from.as_bytes()).unwrap().to_string(), to, "{from}");
        }
        assert_eq!(BuildPath::new(b""), None);
    }

    #[test]
    fn quotes_as_ninja_does() {
        for (from, to) in
            [("a/B_1+-.c", "a/B_1+-.c"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("a@b", "'a@b'")]
        {
            let mut quoted = vec![];
            quote(from.as_bytes(), &mut quoted);
            assert_eq!(String::from_utf8(quoted).unwrap(), to);
        }
    }

    proptest! {
        #[test]
        fn canonical_is_canonical(text in "[a./]{1,20}") {
            let path = BuildPath::new(text.as_bytes()).unwrap();
            prop_assert_eq!(BuildPath::new(path.as_bytes()), Some(path.clone()));
            prop_assert!(!path.as_bytes().is_empty());
        }
    }
}
