//! What a step with secrets sees: the folder of its secrets.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use kitchen::SECRETS;
use protocol::{Digest, FileKind, RelPath};
use view::{Body, Listing, Node, Source, SourceError};

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

#[cfg(test)]
mod tests {
    use super::*;

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
