//! What one step sees at `/project`: the sources of a snapshot, over them the outputs of the steps before it, and what
//! other steps promise.
//!
//! Actors. A [`Project`] is one step's view; it never changes under the step: sources and outputs are those of its start,
//! and what is promised stays as it was first found. Looking at something promised that is not made yet waits for it
//! ([`Promised::make`]: a held look-up); a listing never waits, since promised names are known. Source bytes go into the
//! larder when they are first opened or asked for, and a file whose stamp is no longer that of the snapshot is
//! [`SourceError::Changed`]: the build then starts again on a new snapshot. All projects of a build share one
//! [`SourceFiles`], so a source is read once. Nothing here is kept over a crash.

mod outputs;
mod promised;
mod shared;
mod sources;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use larder::Content;
use parking_lot::Mutex;
use protocol::{Digest, ObjectId, RelPath, StepSpec, Tree};
use rustc_hash::{FxHashMap, FxHashSet};
use swarm::Urgency;
use view::{Body, Node, Source, SourceError};

pub use outputs::{Outputs, OutputsBuilder};
pub use promised::{Promised, PromisedAt};
pub use shared::{MAX_SHARED, MAX_SHARED_BYTES, SharedSources};
pub use sources::{Entry, Names, NoSources, SourceFiles, Sources};

use crate::Lenses;
use promised::{entry_in, names_in};
use sources::failed;

/// Sources of at least this size are read on a thread for blocking work, so that no other look-up waits for it.
const READ_ELSEWHERE: u64 = 256 * 1024;

/// What one step sees at `/project`.
pub struct Project {
    sources: Arc<dyn Sources>,
    files: Arc<SourceFiles>,
    outputs: Outputs,
    ages: Option<Ages>,
    lenses: Lenses,
    promised: Option<Arc<dyn Promised>>,
    /// What was found of the steps whose promises were looked at.
    found: Mutex<FxHashMap<usize, Option<Arc<Tree>>>>,
}

/// What is how old in the view of a step that sees its own earlier outputs (DESIGN §6): those are a second younger than
/// what their run had seen, and what is new or changed since is a second younger still.
#[derive(Debug, Default)]
pub struct Ages {
    /// The step's own earlier outputs.
    pub own: FxHashSet<RelPath>,
    /// What the run that made them had seen, and is as it was.
    pub seen: FxHashSet<RelPath>,
}

impl Project {
    /// Sources, and outputs over them.
    pub fn new(sources: Arc<dyn Sources>, files: Arc<SourceFiles>, outputs: Outputs) -> Self {
        Self {
            sources,
            files,
            outputs,
            ages: None,
            lenses: Lenses::default(),
            promised: None,
            found: Mutex::default(),
        }
    }

    /// With what other steps promise.
    pub fn with_promises(self, promised: Arc<dyn Promised>) -> Self {
        Self { promised: Some(promised), ..self }
    }

    /// With ages, for a step that sees its own earlier outputs.
    pub fn with_ages(self, ages: Ages) -> Self {
        Self { ages: Some(ages), ..self }
    }

    /// Seen by a step with this spec: through its projections.
    pub fn seen_by(self, spec: &StepSpec) -> Self {
        Self { lenses: Lenses::of(spec, self.files.asked.as_ref()), ..self }
    }

    /// What the step sees through.
    pub fn lenses(&self) -> &Lenses {
        &self.lenses
    }

    /// What projections left, for all projects of a build.
    pub(crate) fn memo(&self) -> &lens::Memo {
        &self.files.memo
    }

    pub(crate) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.files.runtime
    }

    fn mtime_offset(&self, path: &RelPath) -> u8 {
        match &self.ages {
            Some(ages) if ages.own.contains(path) => 1,
            Some(ages) if !ages.seen.contains(path) => 2,
            _ => 0,
        }
    }

    /// The sources alone.
    pub fn sources(&self) -> &dyn Sources {
        &*self.sources
    }

    /// What is promised at a path.
    fn promised_at(&self, path: &RelPath) -> Option<(PromisedAt, &Arc<dyn Promised>)> {
        let promised = self.promised.as_ref()?;
        Some((promised.at(path)?, promised))
    }

    /// What a step has made, as far as that is known without waiting.
    fn found(&self, by: usize, promised: &dyn Promised) -> Option<Option<Arc<Tree>>> {
        let mut found = self.found.lock();
        if let Some(tree) = found.get(&by) {
            return Some(tree.clone());
        }
        let tree = promised.made(by)?;
        found.insert(by, tree.clone());
        Some(tree)
    }

    /// The step that has to make what stands at a path before it can be seen.
    pub fn unmade(&self, path: &RelPath) -> Option<usize> {
        if self.outputs.get(path).is_some() || self.outputs.hides(path) {
            return None;
        }
        match self.promised_at(path)? {
            (PromisedAt::By(by), promised) if self.found(by, &**promised).is_none() => Some(by),
            _ => None,
        }
    }

    /// What stands at a path. What is promised and not made yet is not there.
    pub fn entry(&self, path: &RelPath) -> Option<Entry> {
        match self.outputs.get(path) {
            Some(entry) => return Some(entry),
            None if self.outputs.hides(path) => return None,
            None => {}
        }
        match self.promised_at(path) {
            Some((PromisedAt::Folder, _)) => Some(Entry::Dir),
            Some((PromisedAt::By(by), promised)) => entry_in(&*self.found(by, &**promised)??, path),
            None => self.sources.get(path),
        }
    }

    /// What stands at a path, once it is made.
    async fn entry_when_made(&self, path: &RelPath) -> Result<Option<Entry>, SourceError> {
        if let Some(by) = self.unmade(path)
            && let Some(promised) = &self.promised
        {
            let tree = promised.make(by, path).await?;
            self.found.lock().entry(by).or_insert(tree);
        }
        Ok(self.entry(path))
    }

    /// The names in a folder; `None` if no folder stands there.
    pub fn names(&self, path: &RelPath) -> Option<Names> {
        let over = self.outputs.folders.get(path);
        let hidden = self.outputs.hides(path) || self.outputs.entries.contains_key(path);
        let promised = match self.promised_at(path).filter(|_| !hidden) {
            Some((PromisedAt::Folder, promised)) => Some(promised.names(path)),
            Some((PromisedAt::By(by), promised)) => match self.found(by, &**promised).flatten() {
                Some(tree) if entry_in(&tree, path) == Some(Entry::Dir) => {
                    let mut names = names_in(&tree, path);
                    let mut more = promised.names(path);
                    more.retain(|(name, _)| !names.iter().any(|(known, _)| known == name));
                    names.extend(more);
                    Some(names)
                }
                _ => None,
            },
            None => None,
        };
        let under = if hidden { None } else { self.sources.list(path) };
        if over.is_none() && promised.is_none() && under.is_none() {
            return None;
        }
        let mut names: Names = match over {
            Some(over) => over.iter().map(|(name, kind)| (name.clone(), *kind)).collect(),
            None => Names::new(),
        };
        let promised = promised.unwrap_or_default();
        let is_new =
            |name: &[u8]| !over.is_some_and(|over| over.contains_key(name)) && !self.masks_child(path, name);
        let is_promised: FxHashSet<&[u8]> = promised.iter().map(|(name, _)| &**name).collect();
        let under = under.unwrap_or_default().into_iter();
        names.extend(under.filter(|(name, _)| is_new(name) && !is_promised.contains(&**name)));
        drop(is_promised);
        names.extend(promised.into_iter().filter(|(name, _)| is_new(name)));
        Some(names)
    }

    fn masks_child(&self, folder: &RelPath, name: &[u8]) -> bool {
        !self.outputs.masked.is_empty()
            && folder.child(name).is_some_and(|path| self.outputs.masked.contains(&path))
    }

    /// The digest of the file at a path; a source is taken into the larder for it. Blocks while it is read.
    ///
    /// # Errors
    /// It cannot be read now, or has changed since the snapshot.
    pub fn digest_now(&self, path: &RelPath) -> Result<Option<Digest>, SourceError> {
        match self.entry(path) {
            Some(Entry::Output { digest, .. }) => Ok(Some(digest)),
            Some(Entry::Source { stamp, .. }) => self.files.take_in(path, &stamp).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the digest of the file at a path costs more than a look into memory: a long source that nobody has read.
    pub(crate) fn is_costly(&self, path: &RelPath) -> Result<bool, SourceError> {
        match self.entry(path) {
            Some(Entry::Source { stamp, .. }) if stamp.size >= READ_ELSEWHERE => {
                self.files.is_unread(path, &stamp)
            }
            _ => Ok(false),
        }
    }

    async fn digest_of(&self, path: &RelPath) -> Result<Option<Digest>, SourceError> {
        match self.entry_when_made(path).await? {
            Some(Entry::Output { digest, .. }) => Ok(Some(digest)),
            Some(Entry::Source { stamp, .. }) if stamp.size < READ_ELSEWHERE => {
                self.files.take_in(path, &stamp).map(Some)
            }
            Some(Entry::Source { stamp, .. }) => {
                let (files, path) = (Arc::clone(&self.files), path.clone());
                let runtime = files.runtime.clone();
                let read = runtime.spawn_blocking(move || files.take_in(&path, &stamp));
                read.await.map_err(|_| SourceError::Cancelled)?.map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl Source for Project {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        let node = |entry| match entry {
            Entry::Dir => Node::Dir,
            Entry::Source { exec, stamp } => {
                Node::File { exec, size: stamp.size, shared: None, mtime_offset: self.mtime_offset(path) }
            }
            Entry::Output { exec, size, .. } => {
                Node::File { exec, size, shared: None, mtime_offset: self.mtime_offset(path) }
            }
            Entry::Link { target } => Node::Link { target: Bytes::copy_from_slice(&target) },
        };
        if self.unmade(path).is_none() {
            let found = match self.entry(path) {
                None if self.sources.is_closed(path) => Err(SourceError::Denied { path: path.clone() }),
                entry => Ok(entry.map(node)),
            };
            return Box::pin(std::future::ready(found));
        }
        Box::pin(async move { Ok(self.entry_when_made(path).await?.map(node)) })
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Names>, SourceError>> {
        Box::pin(std::future::ready(match self.sources.is_closed(path) {
            true => Err(SourceError::Denied { path: path.clone() }),
            false => Ok(self.names(path)),
        }))
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        Box::pin(async move {
            let Some(digest) = self.digest_of(path).await? else { return Ok(None) };
            if let Some(Entry::Source { stamp, .. }) = self.entry(path)
                && let Some(file) = self.files.open_in_place(path, &stamp)?
            {
                return Ok(Some(Body::File(file.into())));
            }
            let open = || self.files.larder().open_blob(&digest).map_err(|e| failed(path, e));
            let content = match open()? {
                None => {
                    let wanted = vec![ObjectId::blob(digest)];
                    let brought = self.files.supply.bring(wanted, Urgency::Urgent).await;
                    brought.map_err(|e| failed(path, e))?;
                    open()?
                }
                found => found,
            };
            match content {
                Some(Content::File { file, .. }) => Ok(Some(Body::File(file))),
                Some(Content::Bytes(bytes)) => Ok(Some(Body::Bytes(bytes))),
                None => Err(SourceError::Gone),
            }
        })
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        Box::pin(self.digest_of(path))
    }
}
