//! The kitchens of a pod, each with its view: started when a step needs one, kept warm, ended when nothing needs them for long.
//!
//! A kitchen serves many steps at once. There is at most one of the engine `native`; of `podman` there may be some more, where many steps run at once:
//! another container is started beside a busy one, and one that stands idle goes. A [`Lease`] is a step's hold on a kitchen.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use kitchen::{Engine, Kitchen, KitchenError, Limits, Podman, ScratchPlace, ZygoteProgram};
use larder::Larder;
use protocol::Digest;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify};
use view::{Flavour, Mount};

use crate::NodeError;
use crate::spares::{self, Spares};

/// In what steps are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sandbox {
    /// Bare Linux namespaces.
    #[default]
    Native,
    /// A podman container.
    Podman,
    /// A podman container where podman can start one, else bare namespaces.
    Auto,
}

/// How many containers there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Containers that stay, once the first step has run in one.
    pub minimum: usize,
    /// Containers at most.
    pub maximum: usize,
    /// Steps in each container at a time, beyond which another one is started beside it.
    pub steps_each: usize,
    /// How long one beyond the minimum stays without a step.
    pub idle: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { minimum: 1, maximum: 4, steps_each: 32, idle: Duration::from_secs(60) }
    }
}

/// What steps need to run.
pub(crate) struct Running {
    pub kitchen: Kitchen,
    pub tools: Mount,
    pub project: Mount,
    pub larder: Larder,
    pub limits: Limits,
    pub spares: Spares,
    last_root: Arc<AtomicU64>,
    steps: AtomicUsize,
    last_used: parking_lot::Mutex<Instant>,
}

impl Running {
    /// Root names are counted up over the pod's life and never used again.
    pub fn next_root(&self) -> u64 {
        self.last_root.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many steps run.
    pub fn steps(&self) -> usize {
        self.steps.load(Ordering::Acquire)
    }

    /// Whether no step has run for so long.
    pub fn is_idle_for(&self, time: Duration) -> bool {
        self.steps() == 0 && self.last_used.lock().elapsed() >= time
    }

    /// Somebody has ended it who is not us: no step runs in it any more.
    pub fn has_ended(&self) -> bool {
        self.kitchen.has_ended() || self.tools.has_ended() || self.project.has_ended()
    }
}

/// A step's hold on a kitchen, which stays as long.
pub(crate) struct Lease {
    running: Arc<Running>,
    pool: Weak<Kitchens>,
}

impl Deref for Lease {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self.running.last_used.lock() = Instant::now();
        self.running.steps.fetch_sub(1, Ordering::AcqRel);
        if let Some(pool) = self.pool.upgrade() {
            spares::watch(&self.running, &pool.runtime);
            pool.rest();
        }
    }
}

/// Which engine, once `auto` is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Native,
    Podman,
}

/// All kitchens of a pod.
pub(crate) struct Kitchens {
    pub zygote: ZygoteProgram,
    pub larder: Larder,
    pub runtime: Handle,
    pub home: PathBuf,
    pub scratch: PathBuf,
    pub limits: Limits,
    pub pool: PoolOptions,
    last_root: Arc<AtomicU64>,
    state: parking_lot::Mutex<State>,
    scratches: Mutex<Scratches>,
    /// Whoever starts the first kitchen of a kind has its turn; others of that kind wait for it, and nobody else does.
    turns: BTreeMap<Kind, Mutex<()>>,
    /// The container beside others has been started, or could not be.
    grown: Notify,
    myself: Weak<Kitchens>,
}

/// Nothing waits while it is locked.
#[derive(Default)]
struct State {
    of: BTreeMap<Kind, Vec<Arc<Running>>>,
    /// Podman was tried for `auto`, and starts no container.
    no_podman: bool,
    /// A container beside others is being started.
    growing: bool,
    /// Somebody waits for idle containers.
    resting: bool,
    /// All ends, and nothing is started any more.
    going: bool,
}

/// Where scratch folders are.
#[derive(Default)]
struct Scratches {
    /// `None`: what a dead pod left is still there.
    place: Option<ScratchPlace>,
    /// Folders in it that were given out.
    count: u64,
}

impl Kitchens {
    pub fn new(
        zygote: ZygoteProgram,
        (larder, runtime): (Larder, Handle),
        (home, scratch): (PathBuf, PathBuf),
        limits: Limits,
        pool: PoolOptions,
    ) -> Arc<Self> {
        Arc::new_cyclic(|myself| Self {
            zygote,
            larder,
            runtime,
            home,
            scratch,
            limits,
            pool,
            last_root: Arc::default(),
            state: parking_lot::Mutex::default(),
            scratches: Mutex::default(),
            turns: [Kind::Native, Kind::Podman].into_iter().map(|kind| (kind, Mutex::default())).collect(),
            grown: Notify::new(),
            myself: myself.clone(),
        })
    }

    /// A kitchen for one step, started if there is none. Cancel safe: one that is starting ends.
    ///
    /// # Errors
    /// It cannot be started on this machine, or this pod is going.
    pub async fn lease(&self, sandbox: Sandbox) -> Result<Lease, NodeError> {
        match sandbox {
            Sandbox::Native => self.of(Kind::Native).await,
            Sandbox::Podman => self.of(Kind::Podman).await,
            Sandbox::Auto if self.state.lock().no_podman => self.of(Kind::Native).await,
            Sandbox::Auto => match self.of(Kind::Podman).await {
                Err(NodeError::Kitchen(error)) if error.missing().is_some() => {
                    tracing::info!(%error, "podman is not usable here: steps run in bare namespaces");
                    self.state.lock().no_podman = true;
                    self.of(Kind::Native).await
                }
                lease => lease,
            },
        }
    }

    async fn of(&self, kind: Kind) -> Result<Lease, NodeError> {
        if let Some(lease) = self.there(kind)? {
            return Ok(lease);
        }
        let _turn = match self.turns.get(&kind) {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if let Some(lease) = self.there(kind)? {
            return Ok(lease);
        }
        let started = self.open(kind, self.next_scratch().await?).await?;
        let mut state = self.state.lock();
        state.of.entry(kind).or_default().push(Arc::clone(&started));
        Ok(self.leased(started))
    }

    /// The one with the fewest steps.
    fn there(&self, kind: Kind) -> Result<Option<Lease>, NodeError> {
        // What ends with them takes its time: they are dropped when the state is free again.
        let mut ended = Vec::new();
        let mut state = self.state.lock();
        if state.going {
            return Err(NodeError::Going);
        }
        let there = state.of.entry(kind).or_default();
        ended.extend(there.extract_if(.., |running| running.has_ended()));
        let count = there.len();
        let Some(least) = there.iter().min_by_key(|running| running.steps()).cloned() else {
            return Ok(None);
        };
        let is_full = least.steps() >= self.pool.steps_each && count < self.pool.maximum;
        if kind == Kind::Podman && is_full && !state.growing {
            state.growing = true;
            self.grow();
        }
        Ok(Some(self.leased(least)))
    }

    /// To be called while the state is locked, so that the kitchen does not count as idle.
    fn leased(&self, running: Arc<Running>) -> Lease {
        running.steps.fetch_add(1, Ordering::AcqRel);
        Lease { running, pool: self.myself.clone() }
    }

    /// A folder that no other process ever has: a container that a dead pod has still begun to start may live for a moment.
    async fn next_scratch(&self) -> Result<PathBuf, NodeError> {
        let mut scratches = self.scratches.lock().await;
        let place = match &scratches.place {
            Some(place) => place.clone(),
            None => {
                let (scratch, owner) = (self.scratch.clone(), owner(&self.home));
                let sweeping = tokio::task::spawn_blocking(move || {
                    let place = kitchen::scratch_place(&scratch, &owner);
                    if let Some(unfit) = place.instead_of {
                        tracing::info!(at = %place.path.display(), "the home is on {unfit}: steps write elsewhere");
                    }
                    match kitchen::sweep(&place.path) {
                        Ok(()) => Ok(place),
                        Err(source) => Err(KitchenError::Scratch { path: place.path, source }),
                    }
                });
                let place = sweeping.await.map_err(|_| NodeError::Task("sweep"))??;
                scratches.place.insert(place).clone()
            }
        };
        scratches.count += 1;
        Ok(place.path.join(format!("{}-{}", std::process::id(), scratches.count)))
    }

    async fn open(&self, kind: Kind, scratch: PathBuf) -> Result<Arc<Running>, NodeError> {
        let engine = match kind {
            Kind::Native => Engine::Native,
            Kind::Podman => {
                Engine::Podman(Podman { owner: owner(&self.home), folder: self.home.join("container") })
            }
        };
        let options = kitchen::Options { zygote: self.zygote.clone(), engine, scratch };
        let (kitchen, fds) = Kitchen::start(options).await?;
        let (uid, gid) = kitchen.step_uid();
        let runtime = self.runtime.clone();
        let served = tokio::task::spawn_blocking(move || {
            let processes = Some(Arc::new(fds.processes));
            let options = view::Options { uid, gid, processes, ..view::Options::default() };
            let tools = Mount::serve(fds.tools, Flavour::Tools, options.clone(), runtime.clone())?;
            let project = Mount::serve(fds.project, Flavour::Project, options, runtime)?;
            Ok::<_, NodeError>((tools, project))
        });
        let (tools, project) = served.await.map_err(|_| NodeError::Task("serve the view"))??;
        Ok(Arc::new(Running {
            kitchen,
            tools,
            project,
            larder: self.larder.clone(),
            limits: self.limits,
            spares: Spares::default(),
            last_root: Arc::clone(&self.last_root),
            steps: AtomicUsize::new(0),
            last_used: parking_lot::Mutex::new(Instant::now()),
        }))
    }

    /// Starts a container beside those that are full; steps go on meanwhile.
    fn grow(&self) {
        let Some(myself) = self.myself.upgrade() else { return };
        self.runtime.spawn(async move {
            let opened = match myself.next_scratch().await {
                Ok(scratch) => myself.open(Kind::Podman, scratch).await,
                Err(error) => Err(error),
            };
            {
                let mut state = myself.state.lock();
                state.growing = false;
                match opened {
                    Ok(running) => state.of.entry(Kind::Podman).or_default().push(running),
                    Err(error) => tracing::warn!(%error, "no other container could be started"),
                }
            }
            myself.grown.notify_one();
            // Those for whom it was started may all have ended meanwhile.
            myself.rest();
        });
    }

    /// Sees to it that containers beyond the minimum go when they have been idle.
    fn rest(&self) {
        let Some(myself) = self.myself.upgrade() else { return };
        {
            let mut state = self.state.lock();
            let containers = state.of.get(&Kind::Podman).map_or(0, Vec::len);
            if state.resting || containers <= self.pool.minimum {
                return;
            }
            state.resting = true;
        }
        self.runtime.spawn(async move {
            while myself.shrink() {
                tokio::time::sleep(myself.pool.idle).await;
            }
        });
    }

    /// Ends what has been idle for long; whether there is still one that might become so.
    fn shrink(&self) -> bool {
        let (minimum, idle) = (self.pool.minimum, self.pool.idle);
        let mut goes = Vec::new();
        let mut state = self.state.lock();
        let all = state.of.entry(Kind::Podman).or_default();
        let mut spare = all.len().saturating_sub(minimum);
        all.retain(|running| {
            let stays = spare == 0 || !running.is_idle_for(idle);
            if !stays {
                spare -= 1;
                goes.push(Arc::clone(running));
            }
            stays
        });
        state.resting = spare > 0;
        let is_resting = state.resting;
        // What ends with them takes its time.
        drop(state);
        drop(goes);
        is_resting
    }

    /// Waits until nothing of any step is left, and ends all, for good. What a dead pod left is swept here if no step ran before.
    pub async fn stop(&self) {
        self.state.lock().going = true;
        // What is being started just now is ended as well, and so has to be there first.
        for turn in self.turns.values() {
            drop(turn.lock().await);
        }
        while self.state.lock().growing {
            self.grown.notified().await;
        }
        let all = std::mem::take(&mut self.state.lock().of);
        let scratch = self.scratches.lock().await.place.take();
        let place = kitchen::scratch_place(&self.scratch, &owner(&self.home)).path;
        if scratch.is_none() && place.exists() {
            match tokio::task::spawn_blocking(move || kitchen::sweep(&place)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "what steps of a dead pod left stays"),
                Err(error) => tracing::warn!(%error, "the task `sweep` ended early"),
            }
        }
        for running in all.into_values().flatten() {
            let kitchen = running.kitchen.clone();
            running.spares.clear();
            kitchen.settled().await;
            drop(running);
            kitchen.close().await;
        }
        if let Some(ScratchPlace { path, instead_of: Some(_) }) = scratch
            && let Err(error) = std::fs::remove_dir(&path)
        {
            tracing::debug!(path = %path.display(), %error, "the folder in which steps wrote stays");
        }
    }
}

/// What a home is called in the labels of its containers.
pub fn owner(home: &std::path::Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let home = std::fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    Digest::of(home.as_os_str().as_bytes()).to_string().trim_start_matches("b3:").chars().take(16).collect()
}
