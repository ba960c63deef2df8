//! What one step sees through: the projections and normalisers of its spec, made ready for the paths of its project.
//!
//! [`through`] is the one way from what stands at a path to what a step saw there. A trace is made with it and held
//! against the present with it, so the two always agree.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lens::ld_cache::{self, LdCache};
use lens::lens::{projected, together};
use lens::{Memo, Normaliser, Projection};
use protocol::step::Lensed;
use protocol::{Digest, Glob, Look, PathSet, RelPath, Seen, StepSpec};
use rustc_hash::FxHashSet;
use view::{Body, Source, SourceError};

use crate::run::project_prefix;
use crate::{NodeError, Project};

/// The longest file that a projection or a normaliser is given; all of a longer one matters, and stays as it is.
pub const MAX_LENSED: u64 = 1 << 30;

/// Files of at least this size are read and projected on a thread for blocking work.
const ELSEWHERE: usize = 256 * 1024;

/// The projections and normalisers of one step.
#[derive(Debug, Default)]
pub struct Lenses {
    projections: Vec<(Glob, Arc<dyn Projection>, Digest)>,
    normalisers: Vec<(Glob, Arc<dyn Normaliser>)>,
    missing: Option<String>,
}

impl Lenses {
    /// Those of a spec, from what is built in.
    pub fn of(spec: &StepSpec) -> Self {
        let mut lenses = Self::default();
        for Lensed { glob, lens: text, id } in &spec.projections {
            match (Glob::new(glob), lens::builtin().projection(text)) {
                (Ok(glob), Ok(projection)) if projection.id().digest() == *id => {
                    lenses.projections.push((glob, projection, *id));
                }
                _ => lenses.missing = Some(text.clone()),
            }
        }
        for Lensed { glob, lens: text, id } in &spec.normalisers {
            match (Glob::new(glob), lens::builtin().normaliser(text)) {
                (Ok(glob), Ok(normaliser)) if normaliser.id().digest() == *id => {
                    lenses.normalisers.push((glob, normaliser));
                }
                _ => lenses.missing = Some(text.clone()),
            }
        }
        lenses
    }

    /// One that the spec names and that is not known here, in this version: the step cannot run here.
    pub fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    /// The projections for a path of the project.
    fn at<'a>(
        &'a self,
        path: &'a RelPath,
    ) -> impl Iterator<Item = (&'a Arc<dyn Projection>, &'a Digest)> + 'a {
        let here = self.projections.iter().filter(|(glob, _, _)| glob.matches(path.as_bytes()));
        here.map(|(_, projection, id)| (projection, id))
    }

    /// The names of the projections for a path of the project.
    pub fn names_at(&self, path: &RelPath) -> Vec<String> {
        self.at(path).map(|(projection, _)| projection.id().to_string()).collect()
    }

    /// The look that counts where a step asked this one of a path of its project. A size would undo a projection, so a probe is
    /// of the kind alone; nothing that a blind projection stands before counts but its kind.
    pub fn counted(&self, path: &RelPath, look: Look) -> Look {
        if !matches!(look, Look::Probe | Look::Content) || self.projections.is_empty() {
            return look;
        }
        let mut at = self.at(path).peekable();
        match look {
            _ if at.peek().is_none() => look,
            Look::Content if at.any(|(projection, _)| !projection.is_blind()) => look,
            _ => Look::Kind,
        }
    }

    /// The normal form of what a step made; `None` if it stays as it is.
    pub(crate) fn normalised(
        &self,
        path: &RelPath,
        length: u64,
        file: impl FnOnce() -> std::io::Result<Vec<u8>>,
    ) -> std::io::Result<Option<Vec<u8>>> {
        let mut here = self.normalisers.iter().filter(|(glob, _)| glob.matches(path.as_bytes())).peekable();
        if length > MAX_LENSED || here.peek().is_none() {
            return Ok(None);
        }
        let mut bytes = file()?;
        let mut is_rewritten = false;
        for (_, normaliser) in here {
            if let Some(normal) = normaliser.normalise(&bytes) {
                (bytes, is_rewritten) = (normal, true);
            }
        }
        Ok(is_rewritten.then_some(bytes))
    }
}

/// The looks of a step, as far as they count.
#[derive(Debug)]
pub(crate) struct Counted {
    /// With paths of the step's root.
    pub set: PathSet,
    /// Files that it read, and of which only the kind counts.
    unseen: FxHashSet<RelPath>,
}

impl Counted {
    /// From the looks in a step's root.
    pub fn new(lenses: &Lenses, looks: impl Iterator<Item = (RelPath, Look)>) -> Self {
        let mut unseen = FxHashSet::default();
        let prefix = project_prefix();
        let looks = looks.map(|(path, look)| {
            let counted = match path.strip_prefix(&prefix) {
                Some(inside) => lenses.counted(&inside, look),
                None if look == Look::Probe && path.as_bytes() == ld_cache::PATH => Look::Kind,
                None => look,
            };
            if look == Look::Content && counted == Look::Kind {
                unseen.insert(path.clone());
            }
            (path, counted)
        });
        let set = PathSet::new(looks.collect());
        Self { set, unseen }
    }

    /// The digest of what a step read of a file of which only the kind counts.
    pub async fn raw_unseen(
        &self,
        project: &Project,
        (path, look): (&RelPath, Look),
    ) -> Result<Option<Digest>, SourceError> {
        if look != Look::Kind || !self.unseen.contains(path) {
            return Ok(None);
        }
        match path.strip_prefix(&project_prefix()) {
            Some(inside) => project.digest(&inside).await,
            None => Ok(None),
        }
    }
}

/// The answer to a look through what a step sees through.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    /// The answer that counts.
    pub seen: Seen,
    /// The digest of the whole content, where a part of it is what counts.
    pub raw: Option<Digest>,
}

/// What a step with this path set saw, where `seen` is what stands there.
pub(crate) async fn through(
    project: &Project,
    tools: &dyn Source,
    set: &PathSet,
    (path, look): (&RelPath, Look),
    seen: Seen,
) -> Result<Sight, NodeError> {
    let (Look::Content, Seen::Content { digest: raw, exec }) = (look, &seen) else {
        return Ok(Sight { seen, raw: None });
    };
    let left = match path.strip_prefix(&project_prefix()) {
        Some(inside) => projected_in(project, &inside, raw).await?,
        None if path.as_bytes() == ld_cache::PATH => {
            Some(ld_cache_for(project.memo(), tools, set, raw).await?)
        }
        None => None,
    };
    Ok(match left {
        Some(left) => Sight { seen: Seen::Content { digest: left, exec: *exec }, raw: Some(*raw) },
        None => Sight { seen, raw: None },
    })
}

/// What the step's projections leave of a file of its project; `None`: none is for it.
async fn projected_in(
    project: &Project,
    path: &RelPath,
    raw: &Digest,
) -> Result<Option<Digest>, SourceError> {
    let lenses: Vec<_> = project.lenses().at(path).filter(|(projection, _)| !projection.is_blind()).collect();
    if lenses.is_empty() {
        return Ok(None);
    }
    let memo = project.memo();
    let mut bytes: Option<Option<Arc<Vec<u8>>>> = None;
    let mut parts = Vec::with_capacity(lenses.len());
    for (projection, id) in lenses {
        if let Some(known) = memo.projected(id, raw) {
            parts.push(known);
            continue;
        }
        let bytes = match &bytes {
            Some(bytes) => bytes.clone(),
            None => {
                let body = project.open(path).await?;
                bytes.insert(read(path, body, raw).await?.map(Arc::new)).clone()
            }
        };
        let left = match bytes {
            None => *raw,
            Some(bytes) if bytes.len() < ELSEWHERE => projected(&**projection, &bytes, raw),
            Some(bytes) => {
                let (projection, raw) = (Arc::clone(projection), *raw);
                let work = tokio::task::spawn_blocking(move || projected(&*projection, &bytes, &raw));
                work.await.map_err(|_| SourceError::Cancelled)?
            }
        };
        memo.remember(id, raw, left);
        parts.push(left);
    }
    Ok(Some(together(&parts, raw)))
}

/// The part of the dynamic linker's cache that matters to a step with these looks.
async fn ld_cache_for(
    memo: &Memo,
    tools: &dyn Source,
    set: &PathSet,
    raw: &Digest,
) -> Result<Digest, SourceError> {
    let cache = match memo.ld_cache(raw) {
        Some(cache) => cache,
        None => {
            let path = RelPath::new(ld_cache::PATH).unwrap_or_else(|_| RelPath::root());
            let bytes = read(&path, tools.open(&path).await?, raw).await?;
            let cache = Arc::new(bytes.and_then(|bytes| LdCache::parse(&bytes)));
            memo.remember_ld_cache(*raw, Arc::clone(&cache));
            cache
        }
    };
    Ok(cache.as_ref().as_ref().and_then(|cache| cache.projected(set)).unwrap_or(*raw))
}

/// The bytes of a file that has this digest; `None` if it is longer than [`MAX_LENSED`].
async fn read(path: &RelPath, body: Option<Body>, raw: &Digest) -> Result<Option<Vec<u8>>, SourceError> {
    let bytes = match body {
        None => return Err(SourceError::Changed { path: path.clone() }),
        Some(Body::Bytes(bytes)) => bytes.to_vec(),
        Some(Body::File(file)) => {
            let length = file.metadata().map_err(|error| SourceError::io(path, error))?.len();
            if length > MAX_LENSED {
                return Ok(None);
            }
            let whole = match length {
                length if length < ELSEWHERE as u64 => whole(&file, length),
                length => {
                    let work = tokio::task::spawn_blocking(move || whole(&file, length));
                    work.await.map_err(|_| SourceError::Cancelled)?
                }
            };
            whole.map_err(|error| SourceError::io(path, error))?
        }
    };
    match Digest::of(&bytes) == *raw {
        true => Ok(Some(bytes)),
        false => Err(SourceError::Changed { path: path.clone() }),
    }
}

fn whole(file: &File, length: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| std::io::ErrorKind::FileTooLarge)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
