//! What a step with secrets sees and prints: the folder of its secrets, and their bytes never in what it says.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use kitchen::{SECRETS, Secret};
use protocol::{Digest, FileKind, RelPath};
use view::{Body, Listing, Node, Source, SourceError};

/// What stands in a line for a secret.
const HIDDEN: &[u8] = b"***";
/// A line of a secret is hidden by itself from this length on; `{` is no secret.
const SHORTEST: usize = 6;

/// The tools with an empty `/run/secrets`, over which the kitchen mounts.
pub(crate) struct WithSecrets(pub(crate) Arc<dyn Source>);

/// The part of a path that this source adds: the root, `run`, `run/secrets`.
fn depth(path: &RelPath) -> Option<usize> {
    let folder = SECRETS.as_bytes();
    let bytes = path.as_bytes();
    match bytes {
        [] => Some(0),
        _ if folder == bytes => Some(2),
        _ if folder.starts_with(bytes) && folder[bytes.len()] == b'/' => Some(1),
        _ => None,
    }
}

/// Whether a path is one that tools alone do not have.
pub(crate) fn is_of_secrets(path: &RelPath) -> bool {
    matches!(depth(path), Some(1 | 2))
}

impl Source for WithSecrets {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        if is_of_secrets(path) {
            return Box::pin(std::future::ready(Ok(Some(Node::Dir))));
        }
        self.0.lookup(path)
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Listing>, SourceError>> {
        let name = |name: &str| (name.as_bytes().into(), FileKind::Dir);
        match depth(path) {
            Some(0) => Box::pin(async move {
                let mut listing = self.0.list(path).await?.unwrap_or_default();
                listing.push(name("run"));
                Ok(Some(listing))
            }),
            Some(1) => Box::pin(std::future::ready(Ok(Some(vec![name("secrets")])))),
            Some(_) => Box::pin(std::future::ready(Ok(Some(Vec::new())))),
            None => self.0.list(path),
        }
    }

    fn readlink<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        self.0.readlink(path)
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        self.0.open(path)
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        self.0.digest(path)
    }
}

/// Takes secrets out of what a step prints.
pub(crate) struct Masks(Vec<Vec<u8>>);

impl Masks {
    pub(crate) fn of(secrets: &[Secret]) -> Self {
        let mut masks = Vec::new();
        for secret in secrets {
            let value = secret.value().trim_ascii();
            masks.push(value.to_vec());
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            masks.extend(lines.filter(|line| line.len() >= SHORTEST).map(<[u8]>::to_vec));
        }
        masks.retain(|mask| !mask.is_empty());
        // The longest first: one may be a part of another.
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        masks.dedup();
        Self(masks)
    }

    /// A line without them.
    pub(crate) fn hide(&self, line: Vec<u8>) -> Vec<u8> {
        self.0.iter().fold(line, |line, mask| match find(&line, mask) {
            None => line,
            Some(_) => {
                let mut hidden = Vec::with_capacity(line.len());
                let mut rest = line.as_slice();
                while let Some(at) = find(rest, mask) {
                    hidden.extend_from_slice(&rest[..at]);
                    hidden.extend_from_slice(HIDDEN);
                    rest = &rest[at + mask.len()..];
                }
                hidden.extend_from_slice(rest);
                hidden
            }
        })
    }
}

fn find(line: &[u8], mask: &[u8]) -> Option<usize> {
    line.windows(mask.len()).position(|window| window == mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let secret = |value: &str| Secret::new("S", value.as_bytes().to_vec()).unwrap();
        let masks = Masks::of(&[secret("abc\n"), secret("-----\nlong line\n{\n"), secret("abcdef")]);
        let hide = |line: &str| String::from_utf8(masks.hide(line.as_bytes().to_vec())).unwrap();
        assert_eq!(hide("xabcabcy abcdef"), "x******y ***");
        assert_eq!(hide("the long line { is"), "the *** { is");
        assert_eq!(Masks::of(&[secret("\n")]).hide(b"x".to_vec()), b"x");
        assert_eq!(format!("{:?}", secret("abc")), "Secret(S)");
    }

    #[test]
    fn the_folder_is_there_with_what_is_above_it() {
        let path = |text: &str| text.parse::<RelPath>().unwrap();
        assert!(is_of_secrets(&path("run")) && is_of_secrets(&path("run/secrets")));
        assert!(
            !is_of_secrets(&path("ru"))
                && !is_of_secrets(&path("run/secret"))
                && !is_of_secrets(&RelPath::root())
        );
    }
}
