//! What the last good build of a workspace came to: all of its observations, each once, and which step made which.
//!
//! Most steps of a build see what they saw the last time. A look-up through the index costs some 70 µs a step; with the
//! recall each distinct observation is evaluated once for all steps, and a source whose stamp is that of the last
//! build is not even asked for its digest. It answers only for steps that nothing comes before, or whose whole
//! view is asked; and only "as the last time": whatever differs goes the long way. Losing it costs time, never truth.
//!
//! Form (sealed): format; what the plan promised; the dynamic linker's cache; observations (path, look, seen, stamp or nothing); steps (id, weak key,
//! trace, what was printed, outputs as a tree, numbers of observations).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use node::{Entry, Evaluator, Home, NodeError, Project};
use parking_lot::Mutex;
use protocol::codec::{BadObject, Reader, Writer};
use protocol::{Digest, Look, PathSet, RelPath, Seen, Stamp, StepId, Trace, Tree, WorkspaceId};
use rustc_hash::FxHashMap;

use super::build::Promises;
use super::plan::Plan;
use super::prepare::in_project;
use super::watch::projects;
use super::workspace::{Seal, WorkspaceError};

const LD_CACHE: &[u8] = b"etc/ld.so.cache";
const FORMAT: u8 = 3;
const SEAL: Seal = Seal { magic: *b"CPRC", context: "computepods recall v3", format: FORMAT };

/// An observation of the last build.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Observed {
    path: RelPath,
    look: Look,
    seen: Seen,
    /// Of a source, when it was seen: while it has this stamp, the observation holds.
    stamp: Option<Stamp>,
}

impl Observed {
    fn stamp_now(&self, stamp: impl Fn(&RelPath) -> Option<Stamp>) -> Option<Stamp> {
        let is_of_file = matches!(self.seen, Seen::Content { .. } | Seen::File { .. });
        in_project(&self.path).filter(|_| is_of_file).and_then(|path| stamp(&path))
    }
}

/// A step of the last build.
#[derive(Debug, Clone)]
pub struct Recalled {
    /// Its weak key.
    pub weak: Digest,
    /// The trace that answered for it.
    pub trace: Digest,
    /// What it printed.
    pub printed: Option<Digest>,
    /// What it made.
    pub tree: Arc<Tree>,
    observed: Arc<[u32]>,
}

/// What is recalled of a build.
#[derive(Debug, Default)]
pub struct Recollection {
    /// [`promises`] of its plan.
    promises: Option<Digest>,
    observed: Vec<Observed>,
    steps: FxHashMap<StepId, Recalled>,
    /// The dynamic linker's cache, whole; of which each step saw a part.
    ld_cache: Option<Seen>,
}

/// The last build, as one build asks it.
#[derive(Debug, Default)]
pub struct Recall {
    last: Arc<Recollection>,
    /// For each observation, over the sources alone: 0 not asked, 1 holds, 2 does not, 3 differs from step to step.
    holds: Vec<AtomicU8>,
}

/// What a plan promises, and who is after whom.
pub fn promises(plan: &Plan) -> Digest {
    let mut writer = Writer::with_format(FORMAT);
    for output in plan.outputs() {
        writer.byte(output.is_tree().into()).bytes(output.path().as_bytes());
        writer.bytes(plan.steps[output.step].id.as_str().as_bytes());
    }
    // Steps of one rule share their list, so each list is written once, and then its number.
    let mut lists: FxHashMap<*const usize, u64> = FxHashMap::default();
    for step in &plan.steps {
        let count = lists.len() as u64;
        let number = *lists.entry(step.after.as_ptr()).or_insert_with(|| {
            writer.number(step.after.len() as u64);
            for before in step.after.iter() {
                writer.number(*before as u64);
            }
            count
        });
        writer.bytes(step.id.as_str().as_bytes()).number(number);
    }
    Digest::of(&writer.finish())
}

/// Where a workspace's recall is.
fn place(home: &Path, workspace: WorkspaceId) -> PathBuf {
    Home::workspace(home, workspace).join("recall")
}

/// Takes the recall of a workspace away.
pub fn forget(home: &Path, workspace: WorkspaceId) -> Result<(), WorkspaceError> {
    if let Some(watched) = projects::of(workspace) {
        watched.recollection.lock().take();
    }
    let path = place(home, workspace);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(WorkspaceError::io("written", &path, error))
        }
        _ => Ok(()),
    }
}

impl Recall {
    /// Reads the recall of a workspace; an empty one if there is none that can be used.
    ///
    /// `promises` is [`promises`] of the plan: a recall of another one is none, since what a step may look for depends on it.
    pub fn load(home: &Path, workspace: WorkspaceId, promises: &Digest) -> Self {
        let in_memory = projects::of(workspace).and_then(|watched| watched.recollection.lock().clone());
        if let Some(last) = in_memory.filter(|last| last.promises.as_ref() == Some(promises)) {
            return Self::of(last);
        }
        let read = SEAL.read(&place(home, workspace)).map_err(|error| error.to_string());
        let decoded = read.and_then(|sealed| match sealed {
            Some(sealed) => Recollection::decode(sealed.body(), promises).map_err(|bad| bad.to_string()),
            None => Ok(Recollection::default()),
        });
        Self::of(Arc::new(decoded.unwrap_or_else(|why| {
            tracing::debug!(why, "the recall is not used");
            Recollection::default()
        })))
    }

    fn of(last: Arc<Recollection>) -> Self {
        let holds = last.observed.iter().map(|_| AtomicU8::new(0)).collect();
        Self { last, holds }
    }

    /// What the step came to, if all that it saw then is so now. `first`: nothing comes before it, so that it sees the
    /// sources, and these promises.
    pub async fn find(
        &self,
        step: &StepId,
        weak: &Digest,
        evaluator: &Evaluator,
        project: &Project,
        first: Option<&Promises>,
    ) -> Result<Option<&Recalled>, NodeError> {
        let Some(recalled) = self.last.steps.get(step).filter(|recalled| recalled.weak == *weak) else {
            return Ok(None);
        };
        for &number in recalled.observed.iter() {
            if !self.still_holds(number as usize, evaluator, project, first).await? {
                return Ok(None);
            }
        }
        Ok(Some(recalled))
    }

    async fn still_holds(
        &self,
        number: usize,
        evaluator: &Evaluator,
        project: &Project,
        first: Option<&Promises>,
    ) -> Result<bool, NodeError> {
        let observed = &self.last.observed[number];
        let inside = in_project(&observed.path);
        // What the sources show is the same for all steps that nothing comes before, but where something is promised;
        // tools are the same for all steps.
        let is_outside = inside.is_none() && !observed.path.as_bytes().starts_with(b"project");
        let mut is_shared = first.is_some() || is_outside;
        if is_shared {
            match self.holds[number].load(Ordering::Relaxed) {
                0 if !is_outside => {
                    let inside = inside.clone().unwrap_or_else(RelPath::root);
                    is_shared = first.is_some_and(|promises| !promises.touch(&inside));
                    if !is_shared {
                        self.holds[number].store(3, Ordering::Relaxed);
                    }
                }
                0 => {}
                3 => is_shared = false,
                known => return Ok(known == 1),
            }
        }
        let same_source = match (&inside, &observed.stamp) {
            (Some(inside), Some(stamp)) => {
                matches!(project.entry(inside), Some(Entry::Source { stamp: now, .. }) if now == *stamp)
            }
            _ => false,
        };
        // While the whole cache is what it was, so are all parts of it.
        let is_part = observed.path.as_bytes() == LD_CACHE && observed.look == Look::Content;
        let wanted = self.last.ld_cache.as_ref().filter(|_| is_part).unwrap_or(&observed.seen);
        let holds = same_source || evaluator.see(project, &observed.path, observed.look).await? == *wanted;
        if is_shared {
            self.holds[number].store(if holds { 1 } else { 2 }, Ordering::Relaxed);
        }
        Ok(holds)
    }

    /// What a step saw of the project: paths in it.
    pub fn in_project(&self, step: &StepId) -> Vec<(RelPath, Look, Seen)> {
        let Some(recalled) = self.last.steps.get(step) else { return Vec::new() };
        let observed = recalled.observed.iter().map(|number| &self.last.observed[*number as usize]);
        let inside = observed.filter_map(|observed| {
            let inside = match observed.path.as_bytes() {
                b"project" => RelPath::root(),
                _ => in_project(&observed.path)?,
            };
            Some((inside, observed.look, observed.seen.clone()))
        });
        inside.collect()
    }

    /// What a step came to, whether it would still or not.
    pub fn step(&self, step: &StepId) -> Option<&Recalled> {
        self.last.steps.get(step)
    }

    /// The numbers of what a step looked at outside of the project.
    pub fn host_looks<'a>(&'a self, step: &'a Recalled) -> impl Iterator<Item = u32> + 'a {
        let is_outside =
            |number: &u32| !self.last.observed[*number as usize].path.as_bytes().starts_with(b"project");
        step.observed.iter().copied().filter(is_outside)
    }

    /// The look of this number.
    pub fn look(&self, number: u32) -> (RelPath, Look) {
        let observed = &self.last.observed[number as usize];
        (observed.path.clone(), observed.look)
    }

    /// How many observations a step made.
    pub fn count(&self, step: &Recalled) -> usize {
        step.observed.len()
    }

    /// Whether a build that came to as many steps, all of them as recalled, would write this again.
    pub fn is_still(
        &self,
        steps: usize,
        evaluator: &Evaluator,
        stamp: impl Fn(&RelPath) -> Option<Stamp>,
    ) -> bool {
        self.last.steps.len() == steps
            && self.last.ld_cache == evaluator.ld_cache()
            && self.last.observed.iter().all(|observed| observed.stamp_now(&stamp) == observed.stamp)
    }
}

impl Recollection {
    fn decode(bytes: &[u8], promises: &Digest) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, FORMAT)?;
        if reader.digest()? != *promises {
            return Ok(Self::default());
        }
        let ld_cache = if reader.byte()? == 0 { None } else { Some(Seen::read(&mut reader)?) };
        let count = reader.count()?;
        let mut observed = Vec::with_capacity(count);
        for _ in 0..count {
            let path = reader.path()?;
            let look = Look::from_byte(reader.byte()?)?;
            let seen = Seen::read(&mut reader)?;
            let stamp = match reader.byte()? {
                0 => None,
                _ => Some(Stamp {
                    dev: reader.number()?,
                    ino: reader.number()?,
                    size: reader.number()?,
                    mtime_ns: reader.number()? as i64,
                    ctime_ns: reader.number()? as i64,
                }),
            };
            observed.push(Observed { path, look, seen, stamp });
        }
        let count = reader.count()?;
        let mut steps = FxHashMap::default();
        for _ in 0..count {
            let id = std::str::from_utf8(reader.bytes()?).map_err(|_| BadObject::Field("a step id"))?;
            let id = StepId::new(id);
            let (weak, trace) = (reader.digest()?, reader.digest()?);
            let printed = if reader.byte()? == 0 { None } else { Some(reader.digest()?) };
            let tree = Arc::new(Tree::decode(reader.bytes()?)?);
            let looks = reader.count()?;
            let mut numbers = Vec::with_capacity(looks);
            for _ in 0..looks {
                let number = reader.number()?;
                if number >= observed.len() as u64 {
                    return Err(BadObject::Field("the number of an observation"));
                }
                numbers.push(number as u32);
            }
            steps.insert(id, Recalled { weak, trace, printed, tree, observed: numbers.into() });
        }
        reader.finish()?;
        Ok(Self { promises: Some(*promises), observed, steps, ld_cache })
    }

    fn write(&self, home: &Path, workspace: WorkspaceId) -> Result<(), WorkspaceError> {
        let path = place(home, workspace);
        let folder = Home::workspace(home, workspace);
        let tmp = folder.join("tmp");
        std::fs::create_dir_all(&tmp).map_err(|error| WorkspaceError::io("written", &tmp, error))?;
        SEAL.write(&path, &tmp, &self.encode()).map(drop)
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        writer.digest(&self.promises.unwrap_or_else(|| Digest::of(b"")));
        match &self.ld_cache {
            Some(seen) => seen.write(writer.byte(1)),
            None => drop(writer.byte(0)),
        }
        writer.number(self.observed.len() as u64);
        for observed in &self.observed {
            writer.bytes(observed.path.as_bytes()).byte(observed.look as u8);
            observed.seen.write(&mut writer);
            match &observed.stamp {
                Some(Stamp { dev, ino, size, mtime_ns, ctime_ns }) => {
                    writer.byte(1).number(*dev).number(*ino).number(*size);
                    writer.number(*mtime_ns as u64).number(*ctime_ns as u64)
                }
                None => writer.byte(0),
            };
        }
        writer.number(self.steps.len() as u64);
        for (id, step) in &self.steps {
            writer.bytes(id.as_str().as_bytes()).digest(&step.weak).digest(&step.trace);
            match &step.printed {
                Some(printed) => writer.byte(1).digest(printed),
                None => writer.byte(0),
            };
            writer.bytes(&step.tree.encode()).number(step.observed.len() as u64);
            for number in step.observed.iter() {
                writer.number(u64::from(*number));
            }
        }
        writer.finish()
    }
}

/// Puts a new recall together.
pub struct RecallBuilder<'a> {
    old: &'a Recollection,
    ld_cache: Option<Seen>,
    renumbered: Vec<u32>,
    observed: Vec<Observed>,
    known: FxHashMap<(RelPath, Look, Seen), u32>,
    steps: Vec<(StepId, Recalled)>,
}

impl<'a> RecallBuilder<'a> {
    /// Some steps will be as in the old one; the evaluator is that of the build.
    pub fn new(old: &'a Recall, evaluator: &Evaluator) -> Self {
        let old = &*old.last;
        Self {
            old,
            ld_cache: evaluator.ld_cache(),
            renumbered: vec![u32::MAX; old.observed.len()],
            observed: Vec::new(),
            known: FxHashMap::default(),
            steps: Vec::new(),
        }
    }

    fn number(&mut self, path: &RelPath, look: Look, seen: &Seen) -> u32 {
        let key = (path.clone(), look, seen.clone());
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        let number = self.observed.len() as u32;
        self.observed.push(Observed { path: key.0.clone(), look, seen: key.2.clone(), stamp: None });
        self.known.insert(key, number);
        number
    }

    /// A step that was recalled.
    pub fn again(&mut self, id: &StepId) {
        let old = self.old;
        let Some(recalled) = old.steps.get(id) else { return };
        let mut numbers = Vec::with_capacity(recalled.observed.len());
        for &number in recalled.observed.iter() {
            let at = number as usize;
            if self.renumbered[at] == u32::MAX {
                let observed = &old.observed[at];
                self.renumbered[at] = self.number(&observed.path, observed.look, &observed.seen);
            }
            numbers.push(self.renumbered[at]);
        }
        self.steps.push((id.clone(), Recalled { observed: numbers.into(), ..recalled.clone() }));
    }

    /// A step that a trace answered for, or that ran.
    pub fn add(&mut self, id: &StepId, digest: Digest, trace: &Trace, set: &PathSet, tree: Arc<Tree>) {
        let observations = trace.observations(set).into_iter().flatten();
        let mut observed = Vec::with_capacity(trace.seen.len());
        for (place, (path, look, seen)) in observations.enumerate() {
            // Where nothing was looked up, all traces are of this build.
            if self.ld_cache.is_none()
                && path.as_bytes() == LD_CACHE
                && let (Some(raw), Seen::Content { exec, .. }) = (trace.raw_at(place), seen)
            {
                self.ld_cache = Some(Seen::Content { digest: *raw, exec: *exec });
            }
            observed.push(self.number(path, look, seen));
        }
        let recalled = Recalled {
            weak: trace.weak,
            trace: digest,
            printed: trace.printed,
            tree,
            observed: observed.into(),
        };
        self.steps.push((id.clone(), recalled));
    }

    /// Writes it. `stamp` answers for sources whose stamp can be believed.
    pub fn save(
        mut self,
        home: &Path,
        workspace: WorkspaceId,
        promises: &Digest,
        stamp: impl Fn(&RelPath) -> Option<Stamp>,
    ) -> Result<(), WorkspaceError> {
        for observed in &mut self.observed {
            observed.stamp = observed.stamp_now(&stamp);
        }
        let new = Arc::new(Recollection {
            promises: Some(*promises),
            observed: self.observed,
            steps: self.steps.into_iter().collect(),
            ld_cache: self.ld_cache,
        });
        let Some(watched) = projects::of(workspace) else { return new.write(home, workspace) };
        // The next build finds it in memory, and does not wait until it is written.
        *watched.recollection.lock() = Some(Arc::clone(&new));
        let (home, latest) = (home.to_owned(), Arc::downgrade(&watched));
        let write = move || {
            static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
            let _turn = ONE_AT_A_TIME.lock();
            let latest = latest.upgrade().and_then(|watched| watched.recollection.lock().clone());
            if latest.is_some_and(|latest| !Arc::ptr_eq(&latest, &new)) {
                return;
            }
            if let Err(error) = new.write(&home, workspace) {
                tracing::debug!(%error, "the build could not be remembered");
            }
        };
        std::thread::Builder::new()
            .name("recall".to_owned())
            .spawn(write)
            .map(drop)
            .map_err(|error| WorkspaceError::io("written", &place(Path::new(""), workspace), error))
    }
}
