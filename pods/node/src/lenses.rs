//! What one step sees through: the projections and normalisers of its spec, made ready for the paths of its project.
//!
//! [`through`] is the one way from what stands at a path to what a step saw there. A trace is made with it and held
//! against the present with it, so the two always agree. Lenses that are programs are behind [`AskedLenses`]: they run where
//! what they leave of some bytes is not known yet, those of one path set together.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lens::ld_cache::{self, LdCache};
use lens::lens::{projected, together};
use lens::{Memo, Normaliser, Projection};
use protocol::step::Lensed;
use protocol::{Digest, Glob, Look, PathSet, RelPath, Seen, StepSpec};
use rustc_hash::FxHashSet;
use tokio::runtime::Handle;
use view::{Body, Source, SourceError};

use crate::judge::Refusal;
use crate::run::project_prefix;
use crate::{NodeError, Project};

mod asked;

pub use asked::{AskedLenses, NormalForm};

/// The longest file that a projection or a normaliser is given; all of a longer one matters, and stays as it is.
pub const MAX_LENSED: u64 = 1 << 30;

/// Files of at least this size are read and projected on a thread for blocking work.
const ELSEWHERE: usize = 256 * 1024;

/// A lens, with the digest of its id.
struct Lens<T: ?Sized> {
    id: Digest,
    by: By<T>,
}

enum By<T: ?Sized> {
    /// A function of ours.
    Us(Arc<T>),
    /// A program.
    Asking(Arc<dyn AskedLenses>),
}

/// The projections and normalisers of one step.
#[derive(Default)]
pub struct Lenses {
    projections: Vec<(Glob, Lens<dyn Projection>)>,
    normalisers: Vec<(Glob, Lens<dyn Normaliser>)>,
    missing: Option<String>,
}

impl<T: ?Sized> Lens<T> {
    /// The lens with this id: what is built in under its name if that is it, or else a program.
    fn find(
        id: Digest,
        built_in: Option<Arc<T>>,
        id_of: fn(&T) -> Digest,
        asked: Option<&Arc<dyn AskedLenses>>,
    ) -> Option<Self> {
        let by = match built_in.filter(|lens| id_of(lens) == id) {
            Some(lens) => By::Us(lens),
            None => By::Asking(Arc::clone(asked.filter(|asked| asked.name(&id).is_some())?)),
        };
        Some(Self { id, by })
    }
}

impl Lenses {
    /// Those of a spec, from what is built in, and from who asks programs.
    pub fn of(spec: &StepSpec, asked: Option<&Arc<dyn AskedLenses>>) -> Self {
        let mut lenses = Self::default();
        for Lensed { glob, lens: text, id } in &spec.projections {
            let built_in = lens::builtin().projection(text).ok();
            match (Glob::new(glob), Lens::find(*id, built_in, |lens| lens.id().digest(), asked)) {
                (Ok(glob), Some(lens)) => lenses.projections.push((glob, lens)),
                _ => lenses.missing = Some(text.clone()),
            }
        }
        for Lensed { glob, lens: text, id } in &spec.normalisers {
            let built_in = lens::builtin().normaliser(text).ok();
            match (Glob::new(glob), Lens::find(*id, built_in, |lens| lens.id().digest(), asked)) {
                (Ok(glob), Some(lens)) => lenses.normalisers.push((glob, lens)),
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
    fn at<'a>(&'a self, path: &'a RelPath) -> impl Iterator<Item = &'a Lens<dyn Projection>> + 'a {
        let here = self.projections.iter().filter(|(glob, _)| glob.matches(path.as_bytes()));
        here.map(|(_, projection)| projection)
    }

    /// The names of the projections for a path of the project.
    pub fn names_at(&self, path: &RelPath) -> Vec<String> {
        let name = |lens: &Lens<dyn Projection>| match &lens.by {
            By::Us(projection) => projection.id().to_string(),
            By::Asking(asked) => asked.name(&lens.id).unwrap_or_default(),
        };
        self.at(path).map(name).collect()
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
            Look::Content if at.any(|projection| !projection.is_blind()) => look,
            _ => Look::Kind,
        }
    }

    /// The normal form of what a step made; `None` if it stays as it is. Blocks while a program is asked.
    pub(crate) fn normalised(
        &self,
        path: &RelPath,
        length: u64,
        file: impl FnOnce() -> Result<Vec<u8>, NodeError>,
        runtime: &Handle,
    ) -> Result<Result<Option<Vec<u8>>, Refusal>, NodeError> {
        let mut here = self.normalisers.iter().filter(|(glob, _)| glob.matches(path.as_bytes())).peekable();
        if length > MAX_LENSED || here.peek().is_none() {
            return Ok(Ok(None));
        }
        let mut bytes = file()?;
        let mut is_rewritten = false;
        for (_, Lens { id, by }) in here {
            let normal = match by {
                By::Us(normaliser) => normaliser.normalise(&bytes),
                By::Asking(asked) => match runtime.block_on(asked.normalise(id, bytes.clone()))? {
                    Ok(normal) => normal,
                    Err(why) => {
                        let lens = asked.name(id).unwrap_or_default();
                        return Ok(Err(Refusal::NotNormal { path: path.clone(), lens, why }));
                    }
                },
            };
            if let Some(normal) = normal {
                (bytes, is_rewritten) = (normal, true);
            }
        }
        Ok(Ok(is_rewritten.then_some(bytes)))
    }
}

impl Lens<dyn Projection> {
    fn is_blind(&self) -> bool {
        matches!(&self.by, By::Us(projection) if projection.is_blind())
    }

    /// What it left of the bytes with this digest, as far as that is known without them.
    fn known(&self, memo: &Memo, raw: &Digest) -> Result<Option<Digest>, NodeError> {
        if let Some(known) = memo.projected(&self.id, raw) {
            return Ok(Some(known));
        }
        let By::Asking(asked) = &self.by else { return Ok(None) };
        let known = asked.known(&self.id, raw)?;
        if let Some(left) = known {
            memo.remember(&self.id, raw, left);
        }
        Ok(known)
    }

    /// What it leaves of bytes.
    async fn left(&self, (path, raw): (&RelPath, &Digest), bytes: Arc<Vec<u8>>) -> Result<Digest, NodeError> {
        Ok(match &self.by {
            By::Asking(asked) => asked.project(&self.id, (path, raw), bytes).await?,
            By::Us(projection) if bytes.len() < ELSEWHERE => projected(&**projection, &bytes, raw),
            By::Us(projection) => {
                let (projection, raw) = (Arc::clone(projection), *raw);
                let work = tokio::task::spawn_blocking(move || projected(&*projection, &bytes, &raw));
                work.await.map_err(|_| SourceError::Cancelled)?
            }
        })
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
    ///
    /// # Errors
    /// It cannot be read now.
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
async fn projected_in(project: &Project, path: &RelPath, raw: &Digest) -> Result<Option<Digest>, NodeError> {
    let lenses: Vec<_> = project.lenses().at(path).filter(|projection| !projection.is_blind()).collect();
    if lenses.is_empty() {
        return Ok(None);
    }
    let memo = project.memo();
    let mut bytes: Option<Option<Arc<Vec<u8>>>> = None;
    let mut parts = Vec::with_capacity(lenses.len());
    for lens in lenses {
        if let Some(known) = lens.known(memo, raw)? {
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
            Some(bytes) => lens.left((path, raw), bytes).await?,
        };
        memo.remember(&lens.id, raw, left);
        parts.push(left);
    }
    Ok(Some(together(&parts, raw)))
}

/// Whether a program has to run before it is known what the step sees of a file of its project that is there.
pub(crate) fn is_to_ask(project: &Project, path: &RelPath) -> Result<bool, NodeError> {
    let mut asked = project.lenses().at(path).filter(|lens| matches!(lens.by, By::Asking(_))).peekable();
    if asked.peek().is_none() || project.unmade(path).is_some() {
        return Ok(false);
    }
    let Some(raw) = project.digest_now(path)? else { return Ok(false) };
    for lens in asked {
        if lens.known(project.memo(), &raw)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Has programs asked about all of these looks together, as far as they have to be: who then looks at one finds it known.
pub(crate) async fn ask_ahead<'a>(
    project: &Project,
    looks: impl Iterator<Item = &'a (RelPath, Look)>,
) -> Result<(), NodeError> {
    if project.lenses().projections.iter().all(|(_, lens)| matches!(lens.by, By::Us(_))) {
        return Ok(());
    }
    let mut asking = Vec::new();
    for (path, _) in looks.filter(|(_, look)| *look == Look::Content) {
        let Some(inside) = path.strip_prefix(&project_prefix()) else { continue };
        if is_to_ask(project, &inside)? {
            asking.push(async move {
                match project.digest(&inside).await? {
                    Some(raw) => projected_in(project, &inside, &raw).await.map(drop),
                    None => Ok(()),
                }
            });
        }
    }
    futures::future::try_join_all(asking).await.map(drop)
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
