//! The pod: what holds a home, and what is started when the first step has to run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kitchen::{ImageRoot, KitchenError, Limits, ZygoteProgram};
use larder::Larder;
use parking_lot::RwLock;
use protocol::{Digest, RelPath, Stamp};
use tokio::runtime::Handle;
use view::{DigestMemo, HostOptions, HostTools};

use crate::failed::Failed;
use crate::kitchens::{Kitchens, PoolOptions, Sandbox, owner};
use crate::run::{StepOrder, StepRun, Visit, Visited, run, visit};
use crate::{Home, NodeError, OtherKitchens, PrintedLine, Slots, Supply};

/// How a pod is started.
#[derive(Debug, Clone)]
pub struct PodOptions {
    /// How to start the zygote.
    pub zygote: ZygoteProgram,
    /// How to run the larder.
    pub larder: larder::Options,
    /// What a step may use of which nobody else says.
    pub limits: Limits,
    /// Folders that steps of other pods may see besides the usual ones.
    pub tool_roots: Vec<PathBuf>,
    /// In what steps run, if nobody says.
    pub sandbox: Sandbox,
    /// How many containers there are, where steps run in podman.
    pub pool: PoolOptions,
}

/// Larder, view and kitchen behind one home. Clones are one pod.
#[derive(Clone)]
pub struct Pod(Arc<Inner>);

/// Fields are dropped in this order: the home is free when nothing of it is used any more.
struct Inner {
    supply: Supply,
    options: PodOptions,
    runtime: Handle,
    /// View and zygotes, from the first step on.
    kitchens: Arc<Kitchens>,
    slots: Slots,
    others: RwLock<Option<Arc<dyn OtherKitchens>>>,
    failed: Failed,
    home: Home,
}

/// What becomes of what is learned on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The larder may remember it.
    Remember,
    /// Nothing on disk changes.
    OnlyLook,
}

/// The larder remembers digests of host files.
struct LarderMemo(Larder, Access);

impl DigestMemo for LarderMemo {
    fn known(&self, of: &Stamp) -> Option<Digest> {
        self.0.known_digest(of).unwrap_or_else(|error| {
            tracing::warn!(%error, "digests of host files cannot be looked up");
            None
        })
    }

    fn remember(&self, of: &Stamp, digest: &Digest) {
        if self.1 == Access::OnlyLook {
            return;
        }
        if let Err(error) = self.0.remember_digest(of, digest) {
            tracing::warn!(%error, "a host file's digest cannot be remembered");
        }
    }
}

/// Opens the larder of a home. Its lock may be held for a moment longer than the home's by a pod that has just gone.
fn open_larder(home: &Home, options: &PodOptions) -> Result<Larder, larder::LarderError> {
    let deadline = Instant::now() + LEAVING;
    loop {
        match Larder::open(&home.larder(), options.larder.clone()) {
            Err(larder::LarderError::InUse { .. }) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// In so many kitchens a step is tried, where somebody ends them under it: perhaps it is the step itself that the machine cannot bear.
const KITCHENS: usize = 2;

/// What happens while a step runs.
#[derive(Debug)]
pub enum StepNews<'a> {
    /// It has printed a line.
    Line(&'a PrintedLine),
    /// It begins again, and prints again; why.
    Again(&'a NodeError),
}

/// How long the last of a pod that has just gone may take to go.
const LEAVING: Duration = Duration::from_secs(1);

impl Pod {
    /// Opens the larder of a home that this process holds. Starts neither view nor zygote.
    ///
    /// # Errors
    /// The larder cannot be opened.
    pub fn open(home: Home, options: PodOptions, runtime: Handle) -> Result<Self, NodeError> {
        let larder = open_larder(&home, &options)?;
        let kitchens = Kitchens::new(
            options.zygote.clone(),
            (larder.clone(), runtime.clone()),
            (home.path().to_owned(), home.scratch()),
            options.limits,
            options.pool.clone(),
        );
        Ok(Self(Arc::new(Inner {
            failed: Failed::open(kitchen::scratch_place(
                &home.failed(),
                &format!("{}-failed", owner(home.path())),
            )),
            home,
            supply: larder.into(),
            options,
            runtime,
            kitchens,
            slots: Slots::default(),
            others: RwLock::default(),
        })))
    }

    /// In what steps run, if nobody says.
    pub fn sandbox(&self) -> Sandbox {
        self.0.options.sandbox
    }

    /// What a step may use of which nobody else says; for steps of others the most that it may use.
    pub fn limits(&self) -> Limits {
        self.0.options.limits
    }

    /// Folders that steps of other pods may see besides the usual ones.
    pub fn tool_roots(&self) -> &[PathBuf] {
        &self.0.options.tool_roots
    }

    /// The home.
    pub fn home(&self) -> &Home {
        &self.0.home
    }

    /// The larder.
    pub fn larder(&self) -> &Larder {
        self.0.supply.larder()
    }

    /// The larder, and behind it other pods.
    pub fn supply(&self) -> &Supply {
        &self.0.supply
    }

    /// How many steps may run at once, for all builds together.
    pub fn slots(&self) -> &Slots {
        &self.0.slots
    }

    /// From now on steps may run on other pods; `None`: from now on they may not.
    pub fn lend(&self, others: Option<Arc<dyn OtherKitchens>>) {
        *self.0.others.write() = others;
    }

    /// Other pods that run steps, if there are any.
    pub fn others(&self) -> Option<Arc<dyn OtherKitchens>> {
        self.0.others.read().clone()
    }

    /// The runtime on which the pod's tasks run.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// A new generation of the host's tools, for one build; the pod's own home is never shown.
    ///
    /// # Errors
    /// A root cannot be looked into.
    pub fn tools(&self, extra_roots: Vec<RelPath>, access: Access) -> Result<Arc<HostTools>, NodeError> {
        let home = self.0.home.path();
        let home: PathBuf = std::fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
        let hidden = RelPath::from_absolute(&home).into_iter().collect();
        self.tools_in(HostOptions { extra_roots, hidden, ..HostOptions::default() }, access)
    }

    /// The files of an image in the place of the host's tools, for one build.
    ///
    /// # Errors
    /// The image cannot be looked into.
    pub fn tools_of(&self, image: &ImageRoot, access: Access) -> Result<Arc<HostTools>, NodeError> {
        self.tools_in(HostOptions { base: image.path().to_owned(), ..HostOptions::default() }, access)
    }

    fn tools_in(&self, options: HostOptions, access: Access) -> Result<Arc<HostTools>, NodeError> {
        Ok(Arc::new(HostTools::new(options, Arc::new(LarderMemo(self.larder().clone(), access)))?))
    }

    /// Starts view and zygote, if they do not run.
    /// Safe to cancel.
    ///
    /// # Errors
    /// As a step that runs: they cannot be started on this machine, or this pod is going.
    pub async fn warm_up(&self, sandbox: Sandbox) -> Result<(), NodeError> {
        self.0.kitchens.lease(sandbox).await.map(drop)
    }

    /// Runs one step to its end. `on_news` is called for each line as it is printed, `on_end` when the commands have ended well and
    /// what they made is about to be judged and stored; when `cancel` is done, the step is ended.
    /// If somebody ends the kitchen under it, it runs once more in another one, but for a step with network, which may have been heard elsewhere.
    /// Dropping the future ends it too. Nothing is published: that is the caller's to do with the trace.
    ///
    /// # Errors
    /// It could not be run or judged, or what it made not be stored; how its commands ended is no error.
    pub async fn run(
        &self,
        order: StepOrder,
        on_news: &(dyn Fn(StepNews<'_>) + Send + Sync),
        on_end: impl FnOnce() + Send,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<StepRun, NodeError> {
        tokio::pin!(cancel);
        let on_line = |line: &PrintedLine| on_news(StepNews::Line(line));
        let kitchens = if order.spec.network { 1 } else { KITCHENS };
        let (mut on_end, is_cancelled) = (Some(on_end), AtomicBool::new(false));
        for kitchens_left in (0..kitchens).rev() {
            let running = tokio::select! {
                lease = self.0.kitchens.lease(order.sandbox) => lease?,
                () = &mut cancel => return Ok(StepRun::cancelled()),
            };
            let cancel = async {
                cancel.as_mut().await;
                is_cancelled.store(true, Ordering::Release);
            };
            let end = || {
                if let Some(on_end) = on_end.take() {
                    on_end();
                }
            };
            match run(&running, order.clone(), &on_line, end, cancel).await {
                Err(error)
                    if kitchens_left > 0 && running.has_ended() && !is_cancelled.load(Ordering::Acquire) =>
                {
                    tracing::warn!(%error, "a kitchen was ended from outside: the step runs again in another one");
                    on_news(StepNews::Again(&error));
                }
                ended => return ended,
            }
        }
        Err(KitchenError::ZygoteGone.into())
    }

    /// Lets a visitor into the root that a step would run in, or ran in; see [`Visit`]. Dropping the future sends him away.
    ///
    /// # Errors
    /// The root cannot be made; how the visit ended is no error.
    pub async fn visit(
        &self,
        order: StepOrder,
        visitor: Visit,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<Visited, NodeError> {
        let running = self.0.kitchens.lease(order.sandbox).await?;
        visit(&running, order, visitor, cancel).await
    }

    /// What failed steps have written.
    pub fn failed(&self) -> &Failed {
        &self.0.failed
    }

    /// Waits until nothing of any step is left, and ends view and zygote.
    pub async fn stop(&self) {
        self.0.kitchens.stop().await;
        self.0.failed.close();
    }
}
