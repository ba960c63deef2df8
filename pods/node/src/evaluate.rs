//! Evaluates path sets against what a step would see: the second phase of a look-up.
//!
//! One [`Evaluator`] serves one build. What the host's tools answer is the same for all steps of it, so it is asked
//! once for each path and look; the project is asked anew for each step, since each sees another one.

use std::sync::Arc;

use larder::Larder;
use lens::ld_cache;
use parking_lot::RwLock;
use protocol::observation::strong_key;
use protocol::{Digest, Look, PathSet, RelPath, Seen, Trace, WorkspaceId};
use rustc_hash::FxHashMap;
use view::{HostTools, SourceError, see};

use crate::lenses::{Sight, ask_ahead, is_to_ask, through};
use crate::run::project_prefix;
use crate::{NodeError, Project};

/// Traces of one weak key and path set that are held against what is seen before an answer is paid for.
pub const ASKED_TRACES: usize = 16;

/// Path sets that a miss gives back.
const KNOWN: usize = 4;

/// What a look-up found.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A trace whose observations all hold.
    Hit {
        /// Its digest.
        digest: Digest,
        /// The trace.
        trace: Arc<Trace>,
        /// Its questions.
        path_set: Arc<PathSet>,
    },
    /// None.
    Miss {
        /// The path sets that did not hold, as far as they are worth a second try: at most [`KNOWN`].
        known: Vec<Arc<PathSet>>,
        /// The first of them that looks at something that is promised and not made yet, and may still hold; if none
        /// may, the first that does so at all.
        unmade: Option<Arc<PathSet>>,
    },
}

/// What became of the evaluation of a path set.
enum Answers {
    /// All looks are answered.
    All(Vec<Seen>),
    /// No trace has the answers that there are. `is_unmade`: some would come from what is not made yet.
    NoTrace { is_unmade: bool },
    /// Some would come from what is not made yet, and a trace may have them.
    Unmade,
}

/// A change that a step did not see, for all of it is in what its projections leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// In the step's root.
    pub path: RelPath,
    /// The digest of the whole content when the step ran.
    pub before: Digest,
    /// The digest that it has now.
    pub now: Digest,
    /// The names of the projections.
    pub by: Vec<String>,
}

/// An observation that does not hold any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In the step's root.
    pub path: RelPath,
    /// What was asked.
    pub look: Look,
    /// What the step saw.
    pub before: Seen,
    /// The digest of the whole content then, if projections left a part of it out.
    pub raw_before: Option<Digest>,
    /// What it would see; `None`: it is promised, and has to be made first.
    pub now: Option<Seen>,
    /// The digest of the whole content now, if projections leave a part of it out.
    pub raw_now: Option<Digest>,
    /// The names of the projections.
    pub by: Vec<String>,
}

/// Evaluates looks for one build.
pub struct Evaluator {
    larder: Larder,
    tools: Arc<HostTools>,
    seen: RwLock<FxHashMap<(RelPath, Look), Seen>>,
}

impl Evaluator {
    /// For one generation of the host's tools.
    pub fn new(larder: Larder, tools: Arc<HostTools>) -> Self {
        Self { larder, tools, seen: RwLock::default() }
    }

    /// What one look sees now, through the projections of the step whose project this is. The dynamic linker's cache is seen whole:
    /// which part of it matters depends on the other looks of a path set.
    /// Safe to cancel, as all that is asked here.
    ///
    /// # Errors
    /// It cannot be seen now: it has changed since the build began, or has to be made first.
    pub async fn see(&self, project: &Project, path: &RelPath, look: Look) -> Result<Seen, NodeError> {
        let seen = self.stands(project, path, look).await?;
        if path.as_bytes() == ld_cache::PATH {
            return Ok(seen);
        }
        Ok(through(project, &*self.tools, &PathSet::default(), (path, look), seen).await?.seen)
    }

    /// What one look of a path set sees now.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub async fn see_of(
        &self,
        project: &Project,
        set: &PathSet,
        (path, look): (&RelPath, Look),
    ) -> Result<Seen, NodeError> {
        Ok(self.sight(project, set, path, look).await?.seen)
    }

    async fn sight(
        &self,
        project: &Project,
        set: &PathSet,
        path: &RelPath,
        look: Look,
    ) -> Result<Sight, NodeError> {
        let seen = self.stands(project, path, look).await?;
        through(project, &*self.tools, set, (path, look), seen).await
    }

    /// What the dynamic linker's cache was seen as, whole, if it was asked for.
    pub fn ld_cache(&self) -> Option<Seen> {
        let path = RelPath::new(ld_cache::PATH).ok()?;
        self.seen.read().get(&(path, Look::Content)).cloned()
    }

    /// What one look would see if nothing stood between.
    async fn stands(&self, project: &Project, path: &RelPath, look: Look) -> Result<Seen, NodeError> {
        if let Some(inside) = path.strip_prefix(&project_prefix()) {
            return Ok(see(project, &inside, look).await?);
        }
        let key = (path.clone(), look);
        if let Some(seen) = self.seen.read().get(&key) {
            return Ok(seen.clone());
        }
        let seen = see(&*self.tools, path, look).await?;
        self.seen.write().insert(key, seen.clone());
        Ok(seen)
    }

    /// Looks a step up in two phases: weak key → path sets → strong key → trace. The first that holds is taken.
    /// Safe to cancel: nothing is noted before the answer.
    ///
    /// # Errors
    /// Of the larder, or something that decides cannot be seen now.
    pub async fn look_up(
        &self,
        weak: &Digest,
        project: &Project,
        workspace: WorkspaceId,
    ) -> Result<Verdict, NodeError> {
        let candidates = self.larder.path_sets(weak, workspace)?;
        let known = candidates.iter().take(KNOWN).map(|(_, set)| Arc::clone(set)).collect();
        let (mut unmade, mut hopeless) = (None, None);
        for (digest, path_set) in candidates {
            match self.answers(weak, &digest, &path_set, project).await? {
                Answers::All(seen) => {
                    let strong = strong_key(weak, &digest, &seen);
                    if let Some((digest, trace)) = self.larder.trace(&strong)? {
                        return Ok(Verdict::Hit { digest, trace, path_set });
                    }
                }
                Answers::NoTrace { is_unmade: false } => {}
                Answers::NoTrace { is_unmade: true } => {
                    hopeless.get_or_insert(path_set);
                }
                // Candidates that force no run are tried first.
                Answers::Unmade => {
                    unmade.get_or_insert(path_set);
                }
            }
        }
        Ok(Verdict::Miss { known, unmade: unmade.or(hopeless) })
    }

    /// What a path set's looks see now, those that cost nothing first. As soon as an answer costs something – a long file has to be read, a step
    /// or a lens has to run – the traces that there are say whether it could matter.
    async fn answers(
        &self,
        weak: &Digest,
        digest: &Digest,
        set: &PathSet,
        project: &Project,
    ) -> Result<Answers, NodeError> {
        let mut seen: Vec<Option<Seen>> = Vec::with_capacity(set.looks().len());
        let (mut costly, mut is_unmade) = (Vec::new(), false);
        for (place, (path, look)) in set.looks().iter().enumerate() {
            let inside = path.strip_prefix(&project_prefix()).filter(|_| *look == Look::Content);
            seen.push(match inside {
                Some(inside) if project.is_costly(&inside)? || is_to_ask(project, &inside)? => {
                    costly.push(place);
                    None
                }
                _ => match self.sight(project, set, path, *look).await {
                    Ok(sight) => Some(sight.seen),
                    Err(NodeError::Source(SourceError::NotYet { .. })) => {
                        is_unmade = true;
                        None
                    }
                    Err(error) => return Err(error),
                },
            });
        }
        if is_unmade || !costly.is_empty() {
            let mut traces = self.larder.traces_with(weak, digest, ASKED_TRACES + 1)?;
            // Of those beyond nothing is known.
            let are_all = traces.len() <= ASKED_TRACES;
            let agrees = |trace: &Trace, place: usize, now: &Option<Seen>| {
                now.is_none() || trace.seen.get(place) == now.as_ref()
            };
            traces.retain(|(_, trace)| seen.iter().enumerate().all(|(place, now)| agrees(trace, place, now)));
            if !(are_all && traces.is_empty()) {
                ask_ahead(project, costly.iter().map(|place| &set.looks()[*place])).await?;
            }
            for place in costly {
                if are_all && traces.is_empty() {
                    break;
                }
                let (path, look) = &set.looks()[place];
                seen[place] = Some(self.sight(project, set, path, *look).await?.seen);
                traces.retain(|(_, trace)| agrees(trace, place, &seen[place]));
            }
            if are_all && traces.is_empty() {
                return Ok(Answers::NoTrace { is_unmade });
            }
        }
        Ok(match seen.into_iter().collect() {
            Some(all) => Answers::All(all),
            None => Answers::Unmade,
        })
    }

    /// The observations of an older trace that do not hold any more: path, look, what it saw, what is there now.
    /// At most `at_most`.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub async fn differences(
        &self,
        trace: &Trace,
        set: &PathSet,
        project: &Project,
        at_most: usize,
    ) -> Result<Vec<(RelPath, Look, Seen, Seen)>, NodeError> {
        let mut found = Vec::new();
        for (path, look, before) in trace.observations(set).into_iter().flatten() {
            let now = self.sight(project, set, path, look).await?.seen;
            if now != *before {
                found.push((path.clone(), look, before.clone(), now));
                if found.len() == at_most {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// All observations of an older trace that do not hold any more, raw and projected.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub async fn compare(
        &self,
        trace: &Trace,
        set: &PathSet,
        project: &Project,
    ) -> Result<Vec<Difference>, NodeError> {
        let mut found = Vec::new();
        for (place, (path, look, before)) in trace.observations(set).into_iter().flatten().enumerate() {
            let (now, raw_now) = match self.sight(project, set, path, look).await {
                Ok(Sight { seen, .. }) if seen == *before => continue,
                Ok(Sight { seen, raw }) => (Some(seen), raw),
                Err(NodeError::Source(SourceError::NotYet { .. })) => (None, None),
                Err(error) => return Err(error),
            };
            found.push(Difference {
                path: path.clone(),
                look,
                before: before.clone(),
                raw_before: trace.raw_at(place).copied(),
                now,
                raw_now,
                by: if raw_now.is_some() { projections(project, path) } else { Vec::new() },
            });
        }
        Ok(found)
    }

    /// The changes since a trace was made that the step's projections hide: what it saw holds, and the whole content differs.
    ///
    /// # Errors
    /// As [`see`](Self::see).
    pub async fn hidden(
        &self,
        trace: &Trace,
        set: &PathSet,
        project: &Project,
        at_most: usize,
    ) -> Result<Vec<Hidden>, NodeError> {
        let mut found = Vec::new();
        for (place, (path, look, before)) in trace.observations(set).into_iter().flatten().enumerate() {
            let Some(raw) = trace.raw_at(place) else { continue };
            if found.len() == at_most {
                break;
            }
            if self.sight(project, set, path, look).await?.seen != *before {
                continue;
            }
            let Seen::Content { digest: now, .. } = self.stands(project, path, Look::Content).await? else {
                continue;
            };
            if now == *raw {
                continue;
            }
            found.push(Hidden { path: path.clone(), before: *raw, now, by: projections(project, path) });
        }
        Ok(found)
    }
}

/// The names of the projections through which a path is seen that is seen through some.
pub fn projections(project: &Project, path: &RelPath) -> Vec<String> {
    match path.strip_prefix(&project_prefix()) {
        Some(inside) => project.lenses().names_at(&inside),
        None => vec!["ld.so.cache".to_owned()],
    }
}

#[cfg(test)]
mod tests;
