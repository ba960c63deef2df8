//! Roots that are laid ahead: while steps run, the kitchen makes roots for those that come next, so that these start at once.
//!
//! All of a root but what stands at `/project` is the same for each step over the same tools; what stands there is asked for
//! when the step is known. A root is for one step and has names of its own, so that it sees all that its step looks at. Those that no step
//! has wanted for [`STAYS`] go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use kitchen::Prepared;
use parking_lot::Mutex;
use protocol::{Digest, RelPath};
use tokio::runtime::Handle;
use tokio::sync::SetOnce;
use view::{Body, HostTools, Listing, Node, Source, SourceError};

use crate::kitchens::Running;
use crate::{NodeError, Project};

/// Spare roots of one kitchen at most; there are never more than steps that run.
const MOST: usize = 32;

/// How long they stay while no step runs.
const STAYS: Duration = Duration::from_millis(500);

/// A root that waits for its step.
pub(crate) struct Spare {
    pub name: u64,
    pub tools: view::Root,
    pub project: view::Root,
    /// Where the step's project is named.
    pub later: Arc<Later>,
    pub prepared: Prepared,
    of: Arc<HostTools>,
}

/// The spare roots of a kitchen.
#[derive(Default)]
pub(crate) struct Spares {
    all: Mutex<Vec<Spare>>,
    /// Somebody sees to it that they go.
    is_watched: AtomicBool,
}

impl Spares {
    /// One over these tools.
    pub fn take(&self, tools: &Arc<HostTools>) -> Option<Spare> {
        let mut all = self.all.lock();
        let at = all.iter().position(|spare| Arc::ptr_eq(&spare.of, tools))?;
        Some(all.swap_remove(at))
    }

    /// Begins to make another one, if there are fewer than steps that run. If it cannot be made, the next step will say why.
    pub fn lay(&self, running: &Running, tools: &Arc<HostTools>) {
        let mut all = self.all.lock();
        if all.len() >= running.steps().min(MOST) {
            return;
        }
        match lay(running, tools) {
            Ok(spare) => all.push(spare),
            Err(error) => tracing::debug!(%error, "no root is laid ahead"),
        }
    }

    /// Lets all go.
    pub fn clear(&self) {
        let all = std::mem::take(&mut *self.all.lock());
        drop(all);
    }

    fn is_empty(&self) -> bool {
        self.all.lock().is_empty()
    }
}

fn lay(running: &Running, tools: &Arc<HostTools>) -> Result<Spare, NodeError> {
    let name = running.next_root();
    let later = Arc::new(Later(SetOnce::new()));
    let project = running.project.add_root(name, Arc::clone(&later) as Arc<dyn Source>)?;
    let of = Arc::clone(tools);
    let tools = running.tools.add_root(name, Arc::clone(tools) as Arc<dyn Source>)?;
    let prepared = running.kitchen.prepare(name)?;
    Ok(Spare { name, tools, project, later, prepared, of })
}

/// Lets a kitchen's spare roots go when it has been idle.
pub(crate) fn watch(running: &Arc<Running>, runtime: &Handle) {
    if running.spares.is_empty() || running.spares.is_watched.swap(true, Ordering::AcqRel) {
        return;
    }
    let running = Arc::downgrade(running);
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(STAYS).await;
            let Some(running) = running.upgrade() else { return };
            if running.is_idle_for(STAYS) {
                running.spares.clear();
            }
            let spares = &running.spares;
            if spares.is_empty() {
                spares.is_watched.store(false, Ordering::Release);
                // One may have been laid meanwhile.
                if spares.is_empty() || spares.is_watched.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        }
    });
}

/// The project of a step that is not known yet: questions wait until it is.
pub(crate) struct Later(SetOnce<Arc<Project>>);

impl Later {
    /// It is known now.
    pub fn name(&self, project: &Arc<Project>) {
        // A spare root is taken once.
        self.0.set(Arc::clone(project)).ok();
    }

    fn ask<'a, T: Send>(
        &'a self,
        ask: impl FnOnce(&'a Project) -> BoxFuture<'a, Result<T, SourceError>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, SourceError>> {
        match self.0.get() {
            Some(project) => ask(project),
            None => Box::pin(async { ask(self.0.wait().await).await }),
        }
    }
}

impl Source for Later {
    fn lookup<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Node>, SourceError>> {
        self.ask(|project| project.lookup(path))
    }

    fn list<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Listing>, SourceError>> {
        self.ask(|project| project.list(path))
    }

    fn readlink<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Bytes>, SourceError>> {
        self.ask(|project| project.readlink(path))
    }

    fn open<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Body>, SourceError>> {
        self.ask(|project| project.open(path))
    }

    fn digest<'a>(&'a self, path: &'a RelPath) -> BoxFuture<'a, Result<Option<Digest>, SourceError>> {
        self.ask(|project| project.digest(path))
    }
}
