//! What a pod claims of a workspace: its sources, and the outputs of its steps, as far as it has their bytes.
//!
//! Both are read from what is remembered of the steps, so that whoever joins later, or builds nothing, claims the same. *Sources* are those that some
//! step has read: of the others nobody will ever want the bytes.

use std::collections::{BTreeMap, BTreeSet};

use backplane::owners::Claim;
use larder::{Larder, LarderError};
use protocol::mesh::ArtefactScope;
use protocol::{Digest, Look, ObjectKind, RelPath, Seen, Tree, TreeEntry, WorkspaceId};

use crate::majordomo::records::{self, Record};

/// Where a step's root has the project.
const PROJECT: &[u8] = b"project";

/// All that is to be claimed.
///
/// # Errors
/// The larder cannot be read.
pub fn claims(larder: &Larder, workspace: WorkspaceId, project: &str) -> Result<Vec<Claim>, LarderError> {
    let mut steps: Vec<_> = records::all(larder, workspace)?.into_iter().collect();
    // What was seen last counts.
    steps.sort_by_key(|(step, record)| (when(record), step.clone()));
    let (mut claims, mut sources) = (Vec::new(), BTreeMap::new());
    let mut outputs = BTreeSet::new();
    for (step, record) in steps {
        let Some((trace, set)) = records::trace(larder, &record.trace)? else { continue };
        for (at, (path, look, seen)) in trace.observations(&set).into_iter().flatten().enumerate() {
            if let (Look::Content, Seen::Content { digest, exec }) = (look, seen)
                && let Some(path) = in_project(path)
            {
                sources.insert(path, (*trace.raw_at(at).unwrap_or(digest), *exec));
            }
        }
        let Some(tree) = larder.get(ObjectKind::Tree, &trace.outputs)? else { continue };
        let Ok(tree) = Tree::decode(&tree) else { continue };
        if let Some((first, size)) = held(larder, &tree)? {
            let label = format!("{project}: {step}");
            let (scope, digest) = (ArtefactScope::Outputs, trace.outputs);
            claims.push(Claim { workspace, path: first, scope, digest, size, label });
        }
        outputs.extend(tree.entries().iter().map(|(path, _)| path.clone()));
    }
    sources.retain(|path, _| !outputs.contains(path));
    if let Some(tree) = tree_of(larder, sources)?
        && let Some((_, size)) = held(larder, &tree)?
    {
        let digest = larder.put(ObjectKind::Tree, &tree.encode())?;
        let (path, scope, label) = (RelPath::root(), ArtefactScope::Sources, project.to_owned());
        claims.push(Claim { workspace, path, scope, digest, size, label });
    }
    // One step may have made, after another, what that had made first: the last one has it.
    let last: BTreeMap<RelPath, Claim> =
        claims.into_iter().map(|claim| (claim.path.clone(), claim)).collect();
    Ok(last.into_values().collect())
}

fn when(record: &Record) -> u64 {
    record.ran.as_ref().map_or(0, |run| run.at)
}

fn in_project(path: &RelPath) -> Option<RelPath> {
    let project = RelPath::new(PROJECT).ok()?;
    path.strip_prefix(&project).filter(|path| !path.is_root())
}

/// The first path of a tree, and its bytes, if all of them are here and there are any.
pub(super) fn held(larder: &Larder, tree: &Tree) -> Result<Option<(RelPath, u64)>, LarderError> {
    let mut bytes = 0;
    let mut first = None;
    for (path, entry) in tree.entries() {
        match entry {
            TreeEntry::Deleted => continue,
            TreeEntry::File { digest, size, .. } if larder.contains(digest)? => bytes += size,
            TreeEntry::File { .. } => return Ok(None),
            TreeEntry::Link { .. } | TreeEntry::EmptyDir => {}
        }
        first.get_or_insert_with(|| path.clone());
    }
    Ok(first.map(|first| (first, bytes)))
}

/// A tree of the sources whose bytes are here; none if there is nothing to own.
fn tree_of(larder: &Larder, sources: BTreeMap<RelPath, (Digest, bool)>) -> Result<Option<Tree>, LarderError> {
    let mut entries = Vec::with_capacity(sources.len());
    for (path, (digest, exec)) in sources {
        if let Some(size) = larder.size_of(&digest)? {
            entries.push((path, TreeEntry::File { digest, size, exec }));
        }
    }
    // What was seen at different times may be no tree together.
    Ok(Tree::new(entries).ok().filter(|tree| !tree.is_empty()))
}
