//! Evaluates one look against a source: the same answer that a step would get through a mount.

use protocol::observation::listing_digest;
use protocol::{Look, RelPath, Seen};

use crate::source::Listing;
use crate::{Node, Source, SourceError};

/// What a step that asks `look` about `path` sees in this source.
///
/// Anything can be [`Seen::Absent`]; a link, listing or content of something of another kind is seen as that
/// [`Seen::Kind`]. Reads a file's bytes only for [`Look::Content`], and only if the source does not know its digest.
/// Safe to cancel.
///
/// # Errors
/// The source cannot say: it has changed, has to be made first, or cannot be read.
pub async fn see(source: &dyn Source, path: &RelPath, look: Look) -> Result<Seen, SourceError> {
    let node = match source.lookup(path).await {
        Err(SourceError::Denied { .. }) | Ok(None) => return Ok(Seen::Absent),
        Ok(Some(node)) => node,
        Err(error) => return Err(error),
    };
    let kind = Seen::Kind(node.kind());
    Ok(match (look, node) {
        (Look::Probe, Node::File { exec, size, .. }) => Seen::File { size, exec },
        (Look::Link, Node::Link { target }) => Seen::Target(target.to_vec()),
        (Look::Listing, Node::Dir) => match listed(source, path).await? {
            Some(names) => Seen::Names(listing_digest(names.iter().map(|(name, kind)| (&name[..], *kind)))),
            None => return Err(SourceError::Changed { path: path.clone() }),
        },
        (Look::Content, Node::File { exec, .. }) => match source.digest(path).await? {
            Some(digest) => Seen::Content { digest, exec },
            None => return Err(SourceError::Changed { path: path.clone() }),
        },
        (Look::Kind | Look::Probe | Look::Link | Look::Listing | Look::Content, _) => kind,
    })
}

/// The names in a folder; one that may not be looked into has none.
async fn listed(source: &dyn Source, path: &RelPath) -> Result<Option<Listing>, SourceError> {
    match source.list(path).await {
        Err(SourceError::Denied { .. }) => Ok(Some(Listing::new())),
        listed => listed,
    }
}
