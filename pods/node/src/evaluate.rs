//! Evaluates path sets against what a step would see: the second phase of a look-up.
//!
//! One [`Evaluator`] serves one build. What the host's tools answer is the same for all steps of it, so it is asked
//! once for each path and look; the project is asked anew for each step, since each sees another one.

use std::sync::Arc;

use larder::Larder;
use parking_lot::RwLock;
use protocol::observation::strong_key;
use protocol::{Digest, Look, PathSet, RelPath, Seen, Trace, WorkspaceId};
use rustc_hash::FxHashMap;
use view::{HostTools, see};

use crate::run::project_prefix;
use crate::{NodeError, Project};

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
    /// None; `tried` path sets were evaluated.
    Miss {
        /// How many.
        tried: usize,
    },
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

    /// What one look sees now.
    pub async fn see(&self, project: &Project, path: &RelPath, look: Look) -> Result<Seen, NodeError> {
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

    /// What a path set's looks see now, in its order.
    pub async fn evaluate(&self, set: &PathSet, project: &Project) -> Result<Vec<Seen>, NodeError> {
        let mut seen = Vec::with_capacity(set.looks().len());
        for (path, look) in set.looks() {
            seen.push(self.see(project, path, *look).await?);
        }
        Ok(seen)
    }

    /// Looks a step up in two phases: weak key → path sets → strong key → trace. The first that holds is taken.
    pub async fn look_up(
        &self,
        weak: &Digest,
        project: &Project,
        workspace: WorkspaceId,
    ) -> Result<Verdict, NodeError> {
        let candidates = self.larder.path_sets(weak, workspace)?;
        let tried = candidates.len();
        for (digest, path_set) in candidates {
            let seen = self.evaluate(&path_set, project).await?;
            let strong = strong_key(weak, &digest, &seen);
            if let Some((digest, trace)) = self.larder.trace(&strong)? {
                return Ok(Verdict::Hit { digest, trace, path_set });
            }
        }
        Ok(Verdict::Miss { tried })
    }

    /// The observations of an older trace that do not hold any more: path, look, what it saw, what is there now.
    pub async fn differences(
        &self,
        trace: &Trace,
        set: &PathSet,
        project: &Project,
        at_most: usize,
    ) -> Result<Vec<(RelPath, Look, Seen, Seen)>, NodeError> {
        let mut found = Vec::new();
        for (path, look, before) in trace.observations(set).into_iter().flatten() {
            let now = self.see(project, path, look).await?;
            if now != *before {
                found.push((path.clone(), look, before.clone(), now));
                if found.len() == at_most {
                    break;
                }
            }
        }
        Ok(found)
    }
}
