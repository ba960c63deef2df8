//! What a larder holds and pods send each other: objects, named by kind and digest.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::digest::context;

/// The kinds of objects. Each but a blob is hashed in a context of its own, so that no file can pose as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum ObjectKind {
    /// A file's bytes.
    Blob = 1,
    /// A [`crate::Tree`].
    Tree = 2,
    /// A [`crate::Trace`].
    Trace = 3,
    /// A [`crate::PathSet`].
    PathSet = 4,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [ObjectKind; 4] = [Self::Blob, Self::Tree, Self::Trace, Self::PathSet];

    /// The kind with this number on disk and in frames.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Trace => "trace",
            Self::PathSet => "path set",
        }
    }

    /// The context that objects of this kind are hashed in; none for a blob.
    pub fn context(self) -> Option<&'static str> {
        match self {
            Self::Blob => None,
            Self::Tree => Some(context::TREE),
            Self::Trace => Some(context::TRACE),
            Self::PathSet => Some(context::PATH_SET),
        }
    }

    /// The digest that an object of this kind has.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        self.context().map_or_else(|| Digest::of(bytes), |context| Digest::in_context(context, bytes))
    }

    /// Digests an object of this kind whose bytes come in parts.
    pub fn hasher(self) -> blake3::Hasher {
        self.context().map_or_else(blake3::Hasher::new, blake3::Hasher::new_derive_key)
    }
}

/// An object's name: the digest alone would do, the kind says in which context it is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// What it is.
    pub kind: ObjectKind,
    /// Of its bytes, in the kind's context.
    pub digest: Digest,
}

impl ObjectId {
    /// The name of a file's bytes.
    pub const fn blob(digest: Digest) -> Self {
        Self { kind: ObjectKind::Blob, digest }
    }

    /// The name that these bytes have.
    pub fn of(kind: ObjectKind, bytes: &[u8]) -> Self {
        Self { kind, digest: kind.digest(bytes) }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.digest)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.digest.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_the_digest_of_the_whole() {
        for kind in ObjectKind::ALL {
            let mut hasher = kind.hasher();
            hasher.update(b"one ").update(b"two");
            assert_eq!(Digest::from(hasher.finalize()), kind.digest(b"one two"));
            assert_eq!(ObjectKind::from_byte(kind as u8), Some(kind));
        }
        assert_eq!(ObjectKind::from_byte(0), None);
    }
}
