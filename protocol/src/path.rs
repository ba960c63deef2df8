//! Paths inside a project, a view or a tree: bytes, relative, `/`-separated, never normalised.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A relative path of bytes with no empty, `.` or `..` part and no NUL, compared bytewise; the empty path is the root.
///
/// Its text form is UTF-8 in which a byte that is no UTF-8 or a control character is `\xNN` and a backslash is `\\`;
/// it round-trips. Clones are cheap (shared bytes).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<[u8]>);

/// Why bytes or text are no [`RelPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// It starts with `/`.
    #[error("`{0}` is absolute")]
    Absolute(String),
    /// It has an empty, `.` or `..` part.
    #[error("`{0}` has an empty, `.` or `..` part")]
    Part(String),
    /// It has a NUL byte.
    #[error("`{0}` has a NUL byte")]
    Nul(String),
    /// Its text form has a backslash that starts neither `\\` nor `\xNN`.
    #[error("`{0}` has a lone backslash: write `\\\\`, or `\\xNN` for a byte")]
    Escape(String),
}

/// Whether bytes may be one part of a path: not empty, `.` or `..`, no `/`, no NUL.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && !name.iter().any(|b| matches!(b, 0 | b'/'))
}

/// The project file, at the top of a project.
pub const PROJECT_FILE: &str = "majordomo.toml";
/// The folder at the top of a project with what it uses of others.
pub const USES: &str = ".uses";
/// Folders that are no part of a project, wherever they stand in it.
pub const RESERVED: [&str; 2] = [".git", ".majordomo"];

/// Which of [`RESERVED`] a name is.
pub fn reserved(name: &[u8]) -> Option<&'static str> {
    RESERVED.into_iter().find(|reserved| reserved.as_bytes() == name)
}

impl RelPath {
    /// The root: no parts at all.
    pub fn root() -> Self {
        Self(Arc::from(&b""[..]))
    }

    /// Checks bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, BadPath> {
        if bytes.is_empty() {
            return Ok(Self::root());
        }
        if bytes[0] == b'/' {
            return Err(BadPath::Absolute(escape(bytes)));
        }
        if bytes.contains(&0) {
            return Err(BadPath::Nul(escape(bytes)));
        }
        if bytes.split(|&b| b == b'/').any(|part| !is_name(part)) {
            return Err(BadPath::Part(escape(bytes)));
        }
        Ok(Self(Arc::from(bytes)))
    }

    /// An absolute path seen from `/`: `/usr/bin` is `usr/bin`.
    pub fn from_absolute(path: &Path) -> Result<Self, BadPath> {
        let bytes = path.as_os_str().as_bytes();
        match bytes.strip_prefix(b"/") {
            Some(rest) => Self::new(rest),
            None => Err(BadPath::Part(escape(bytes))),
        }
    }

    /// The part of this path that no step may write, if it has one: Git's own folder and the majordomo's at any depth, since programs
    /// run what stands there; and at the top the project file, which says what steps may do, and what other projects have made.
    pub fn reserved(&self) -> Option<&'static str> {
        let at_any_depth = self.parts().find_map(reserved);
        let is_used = || (self.parts().next() == Some(USES.as_bytes())).then_some(USES);
        let at_the_top = || (*self.0 == *PROJECT_FILE.as_bytes()).then_some(PROJECT_FILE);
        at_any_depth.or_else(at_the_top).or_else(is_used)
    }

    /// This path and one name below it; `None` if the name is none ([`is_name`]).
    pub fn child(&self, name: &[u8]) -> Option<Self> {
        is_name(name).then(|| self.join_unchecked(name))
    }

    /// This path, then the other.
    pub fn join(&self, other: &RelPath) -> Self {
        if other.is_root() { self.clone() } else { self.join_unchecked(&other.0) }
    }

    fn join_unchecked(&self, tail: &[u8]) -> Self {
        if self.is_root() {
            return Self(Arc::from(tail));
        }
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + tail.len());
        bytes.extend_from_slice(&self.0);
        bytes.push(b'/');
        bytes.extend_from_slice(tail);
        Self(Arc::from(bytes))
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The last part; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.0.rsplit(|&b| b == b'/').next().filter(|name| !name.is_empty())
    }

    /// The path without its last part; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|&b| b == b'/') {
            Some(at) => Self(Arc::from(&self.0[..at])),
            None => Self::root(),
        })
    }

    /// All folders above this path, the nearest first, the root left out.
    pub fn ancestors(&self) -> impl Iterator<Item = RelPath> + use<> {
        std::iter::successors(self.parent(), RelPath::parent).take_while(|path| !path.is_root())
    }

    /// The parts, from the top.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|part| !part.is_empty())
    }

    /// Whether this path is `folder` or below it.
    pub fn is_within(&self, folder: &RelPath) -> bool {
        self.strip_prefix(folder).is_some()
    }

    /// What remains of this path below `folder`; the root if they are equal.
    pub fn strip_prefix(&self, folder: &RelPath) -> Option<Self> {
        if folder.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&*folder.0)? {
            [] => Some(Self::root()),
            [b'/', rest @ ..] => Some(Self(Arc::from(rest))),
            _ => None,
        }
    }

    /// As a path for the operating system, still relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Below a folder of the operating system.
    pub fn under(&self, base: &Path) -> PathBuf {
        if self.is_root() { base.to_owned() } else { base.join(self.as_path()) }
    }
}

impl Borrow<[u8]> for RelPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for RelPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for RelPath {
    type Error = BadPath;

    fn try_from(bytes: &[u8]) -> Result<Self, BadPath> {
        Self::new(bytes)
    }
}

/// Bytes as text for people and for JSON: UTF-8, `\xNN` for bytes that are none and for control characters, `\\`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                c if c.is_control() => {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        text.push_str(&format!("\\x{byte:02x}"));
                    }
                }
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The inverse of [`escape`]; `None` if a backslash starts neither `\\` nor `\xNN`.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match rest {
            [b'\\', tail @ ..] => {
                bytes.push(b'\\');
                rest = tail;
            }
            [b'x', high, low, tail @ ..] => {
                let digit = |b: u8| char::from(b).to_digit(16);
                bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
                rest = tail;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str(".") } else { f.write_str(&escape(&self.0)) }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl FromStr for RelPath {
    type Err = BadPath;

    /// Reads the text form; `.` is the root.
    fn from_str(text: &str) -> Result<Self, BadPath> {
        if text == "." {
            return Ok(Self::root());
        }
        Self::new(&unescape(text).ok_or_else(|| BadPath::Escape(text.to_owned()))?)
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn bad_paths_cannot_be_built() {
        for bad in ["/a", "a//b", "a/", "./a", "a/..", "..", "a\0", "\\q", "\\x4"] {
            assert!(bad.parse::<RelPath>().is_err(), "{bad:?}");
        }
        assert!(RelPath::root().child(b"..").is_none());
        assert!(RelPath::root().child(b"a/b").is_none());
    }

    #[test]
    fn relations() {
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(RelPath::root()));
        assert_eq!(RelPath::root().parent(), None);
        assert_eq!(path("a/b/c").ancestors().collect::<Vec<_>>(), [path("a/b"), path("a")]);
        assert_eq!(path("a/b").strip_prefix(&path("a")), Some(path("b")));
        assert!(!path("ab").is_within(&path("a")));
        assert!(path("a").is_within(&RelPath::root()));
        assert_eq!(path("a/b").name(), Some(&b"b"[..]));
        assert_eq!(RelPath::root().join(&path("x")), path("x"));
    }

    proptest! {
        #[test]
        fn text_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = RelPath::new(&bytes) {
                prop_assert_eq!(path.to_string().parse::<RelPath>(), Ok(path));
            }
            prop_assert_eq!(unescape(&escape(&bytes)), Some(bytes));
        }
    }
}
