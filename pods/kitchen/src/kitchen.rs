//! The pod's side: starts the zygote, orders steps, follows them to their end.
//!
//! Actors: a thread for each kitchen, which starts the zygote, reads what zygote and inits say, and ends with them; the
//! futures of [`Kitchen::run`], which the thread tells how their steps ended. A dropped future leaves its step to the thread: it is
//! killed, and its upper folder goes when nothing is left of it.

use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::Engine;
use crate::error::KitchenError;
use crate::limits::cgroups::{Cgroup, Cgroups};
use crate::limits::room::Room;
use crate::limits::{Limit, Limits, disk};
use crate::order::{Ended, HowEnded, Line, Order};
use crate::output::{Ends, Output};
use crate::prepared::Prepared;
use crate::reader::{Reader, Socket, shut_down};
use crate::remove::remove_tree;
use crate::scratch::{Folder, Scratch};
use crate::steps::{End, Steps};
use crate::upper::{Beneath, UpperDir};
use crate::wire::{ATTEMPT, Outcome, Run, ToZygote};
use crate::{packet, requirements};

/// Settings of this machine that a step with network needs, in `/etc`.
const NETWORK_FILES: [&str; 2] = ["resolv.conf", "hosts"];

/// How long a zygote may take to start; podman's locks may be held by others.
const STARTING: Duration = Duration::from_secs(120);

/// How long the end of a pod waits for podman to remove what a dead one left.
const SWEEPING: Duration = Duration::from_secs(30);

/// How long the end of a pod waits until what steps wrote is removed.
const CLEANING: Duration = Duration::from_secs(10);

/// How the zygote is started: a program that calls [`crate::zygote_main`], with the arguments that make it do so.
#[derive(Debug, Clone)]
pub struct ZygoteProgram {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl ZygoteProgram {
    /// This very program, with one argument.
    pub fn myself(argument: &str) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: vec![argument.into()] }
    }
}

/// What a kitchen needs to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// How to start the zygote.
    pub zygote: ZygoteProgram,
    /// What the zygote runs in.
    pub engine: Engine,
    /// Where upper folders are: a folder that belongs to this kitchen alone, on a local file system. It is made if
    /// it is not there, and emptied if it is.
    pub scratch: PathBuf,
}

/// Both FUSE descriptors, mounted and not served yet. Serve them before the first step.
#[derive(Debug)]
pub struct FuseFds {
    /// What becomes the root of steps.
    pub tools: OwnedFd,
    /// What becomes `/project`.
    pub project: OwnedFd,
    /// `/proc` where they were mounted: it has the process numbers that the kernel's requests name.
    pub processes: OwnedFd,
}

/// A running zygote. Clones are one kitchen; with the last one the zygote ends, and all steps with it.
#[derive(Debug, Clone)]
pub struct Kitchen(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: Socket,
    steps: Arc<Steps>,
    scratch: Arc<Scratch>,
    cgroups: Arc<Cgroups>,
    sweeping: watch::Receiver<()>,
    step_ids: (u32, u32),
}

impl Inner {
    fn send(&self, message: &ToZygote, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let socket = self.socket.lock().clone();
        packet::send(&*socket, &message.encode(), fds)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        shut_down(&self.socket.lock());
    }
}

impl Kitchen {
    /// Starts the zygote, which makes its private namespaces and mounts both FUSE file systems.
    ///
    /// # Errors
    /// [`KitchenError::Missing`] if the machine lacks something, with advice.
    pub async fn start(options: Options) -> Result<(Self, FuseFds), KitchenError> {
        requirements::check()?;
        let scratch = Scratch::open(&options.scratch)
            .map_err(|source| KitchenError::Scratch { path: options.scratch.clone(), source })?;
        let (ours, theirs) = packet::pair().map_err(KitchenError::Talk)?;
        let socket = Arc::new(Mutex::new(Arc::new(ours)));
        let steps = Arc::new(Steps::default());
        let (ready, started) = oneshot::channel();
        let (swept, sweeping) = watch::channel(());
        let thread = Reader {
            socket: socket.clone(),
            steps: steps.clone(),
            scratch: scratch.path().to_owned(),
            ready: Some(ready),
            chosen: None,
            sweeping: Some(swept),
        };
        let spawn_error = |source| KitchenError::Spawn { program: options.zygote.program.clone(), source };
        let (zygote, engine) = (options.zygote.clone(), options.engine);
        std::thread::Builder::new()
            .name("kitchen-reader".to_owned())
            .spawn(move || thread.main(&engine, &zygote, theirs))
            .map_err(spawn_error)?;
        // Ends the zygote if this future is dropped.
        let cgroups = Cgroups::open(&group_name(scratch.path()));
        let mut inner = Inner { socket, steps, scratch, cgroups, sweeping, step_ids: (0, 0) };
        let (step_ids, fuse) = match tokio::time::timeout(STARTING, started).await {
            Ok(started) => started.unwrap_or(Err(KitchenError::ZygoteGone))?,
            Err(_) => {
                let source =
                    io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", STARTING.as_secs()));
                return Err(KitchenError::Start { doing: "waiting for the zygote", source });
            }
        };
        inner.step_ids = step_ids;
        remove_tree(&inner.scratch.path().join(ATTEMPT))
            .map_err(|source| KitchenError::Scratch { path: inner.scratch.path().to_owned(), source })?;
        Ok((Self(Arc::new(inner)), fuse))
    }

    /// The uid and gid that the view must report as owner, so that a step reads 1000. Not what is seen outside.
    pub fn step_uid(&self) -> (u32, u32) {
        self.0.step_ids
    }

    /// Whether the zygote has gone: no step runs here any more.
    pub fn has_ended(&self) -> bool {
        self.0.steps.has_no_zygote()
    }

    /// Runs a step to its end, however that comes, and hands on its output while it runs.
    ///
    /// When `cancel` is done everything in the step is killed. So it is when this future is dropped. Output that cannot be handed on
    /// holds the step, but neither time-out nor cancel; if `lines` is closed output is dropped. When this returns no
    /// process of the step is left, all of its output has been handed on, and the upper folder is final; its mounts may take another
    /// moment ([`Kitchen::settled`]). A step that was killed while it waited for an answer of the view ends when it is answered.
    ///
    /// # Errors
    /// Whatever kept the step from running, or from being followed to its end; [`KitchenError::Full`] if the disk may have been full meanwhile.
    pub async fn run(
        &self,
        order: Order,
        lines: mpsc::Sender<Line>,
        cancel: impl Future<Output = ()>,
    ) -> Result<Ended, KitchenError> {
        self.run_in(None, order, lines, cancel).await
    }

    /// The same, in a root that was prepared, if the step would have got such a one; else in a new one of the same name.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_in(
        &self,
        prepared: Option<Prepared>,
        mut order: Order,
        lines: mpsc::Sender<Line>,
        cancel: impl Future<Output = ()>,
    ) -> Result<Ended, KitchenError> {
        let begun = Instant::now();
        check(&order)?;
        // Who looks into a step may do so on a full disk.
        let room = order.streams.is_none().then(|| Room::before(self.0.scratch.path())).transpose()?;
        let limits = order.limits.or(Limits::bounds());
        let counted = room.as_ref().is_some_and(Room::is_little);
        let is_plain = order.is_plain(&limits) && !counted;
        let (theirs, mut output) = match order.streams.take() {
            Some(streams) => (Ends::Given(streams), None),
            None => Output::with_pipes(lines)
                .map(|(output, pipes)| (Ends::Pipes(pipes), Some(output)))
                .map_err(KitchenError::Talk)?,
        };
        let network = if order.network { Some(network_files(Path::new("/etc"))) } else { None };
        let group = self.0.cgroups.take(&limits).map_err(KitchenError::Limits)?.map(Arc::new);
        let doors = group.as_ref().map(|group| group.doors()).transpose().map_err(KitchenError::Limits)?;
        let prepared = prepared.filter(|prepared| group.is_none() && prepared.root == order.root && is_plain);
        let (mut running, mut ended, orders) = match prepared {
            Some(Prepared { running, ended, orders, .. }) => (running, ended, Some(orders)),
            None => {
                let (running, ended) = self.register(group)?;
                (running, ended, None)
            }
        };
        let beneath =
            order.beneath.take().map(|kept| Beneath::lend(kept, running.folder.clone())).transpose();
        let beneath = beneath
            .map_err(|source| KitchenError::Scratch { path: self.0.scratch.path().to_owned(), source })?;
        let names = order.commands.iter().map(|command| command[0].clone()).collect::<Vec<_>>();
        let run = Box::new(Run {
            step: running.step,
            root: order.root,
            folder: running.folder.number,
            commands: order.commands,
            cwd: order.cwd,
            env: order.env.into_iter().map(|(name, value)| [name, b"=".to_vec(), value].concat()).collect(),
            make_dirs: order.make_dirs,
            secrets: order.secrets,
            limits: self.0.cgroups.leave(&limits, running.group.is_some()),
            streams: theirs.wired(),
            counted,
            beneath: beneath.is_some(),
            network,
        });
        let streams: Vec<_> =
            theirs.fds().into_iter().chain(doors.iter().flatten().map(AsFd::as_fd)).collect();
        let message = ToZygote::Run(run);
        match &orders {
            Some(orders) if packet::send(orders, &message.encode(), &streams).is_ok() => {}
            // The root has come to nothing: a new one says why.
            Some(_) => {
                (running, ended) = self.register(None)?;
                let message = message.of_step(running.step, running.folder.number);
                self.order(&mut running, &message, &streams)?;
            }
            None => self.order(&mut running, &message, &streams)?,
        }
        drop((theirs, doors));
        order.clock.start();

        let (mut forced, mut is_full) = (None, false);
        let end = {
            // The step's output, then its end: both are awaited even after it was killed, so that nothing of it is lost.
            let finished = async {
                if let Some(output) = &mut output {
                    output.pump().await.map_err(KitchenError::Talk)?;
                }
                ended.await.map_err(|_| KitchenError::ZygoteGone)
            };
            let full = disk::exceeds(running.folder.upper(), limits.disk);
            let no_room = async {
                match &room {
                    Some(room) => room.runs_out().await,
                    None => std::future::pending().await,
                }
            };
            tokio::pin!(finished, cancel, full, no_room);
            loop {
                tokio::select! {
                    end = &mut finished => break end?,
                    () = &mut cancel, if forced.is_none() => forced = Some(HowEnded::Cancelled),
                    () = order.clock.reaches(order.timeout), if forced.is_none() => forced = Some(HowEnded::TimedOut),
                    () = &mut no_room, if forced.is_none() && !is_full => is_full = true,
                    () = &mut full, if forced.is_none() => forced = limits.disk.map(|most| HowEnded::OverLimit(Limit::Disk(most))),
                }
                running.kill();
            }
        };
        running.over = true;
        let (command, mut how, mut usage) = match end {
            End::Killed { usage } => (0, forced.unwrap_or(HowEnded::Killed), usage),
            End::Ended { command, outcome, usage } => {
                let command = command as usize;
                let name = names.get(command).cloned().unwrap_or_default();
                (command, how_ended(outcome, name)?, usage)
            }
        };
        if let Some(limit) = reached(&how, &limits, &running).await {
            how = HowEnded::OverLimit(limit);
        }
        let by_others = matches!(how, HowEnded::Cancelled | HowEnded::TimedOut | HowEnded::OverLimit(_));
        if let Some(room) = room.filter(|room| !by_others && (is_full || room.was_full(usage.written))) {
            return Err(room.full());
        }
        usage.wall = begun.elapsed();
        Ok(Ended { how, command, upper: UpperDir::new(running.folder.clone()), usage })
    }

    /// Waits until nothing is left of any step: no process, no mount; and no container of a dead pod. For tests and for the end of a pod.
    pub async fn settled(&self) {
        self.0.steps.settled().await;
        let mut sweeping = self.0.sweeping.clone();
        let swept = async { while sweeping.changed().await.is_ok() {} };
        if tokio::time::timeout(SWEEPING, swept).await.is_err() {
            tracing::warn!("podman is still removing what a dead pod left; the next start tries again");
        }
    }

    /// Ends the kitchen, if this is its last clone and nothing of any step is used any more: returns when its scratch folder is gone. For the
    /// end of a pod, after [`settled`](Self::settled).
    pub async fn close(self) {
        let mut scratch = self.0.scratch.gone();
        drop(self);
        let gone = async { while scratch.changed().await.is_ok() {} };
        if tokio::time::timeout(CLEANING, gone).await.is_err() {
            tracing::debug!("what a step wrote is still in use; the next start removes it");
        }
    }

    /// Sends the message with which a step begins.
    pub(crate) fn order(
        &self,
        running: &mut Running,
        message: &ToZygote,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), KitchenError> {
        self.0.send(message, fds).map_err(|error| {
            running.over = true;
            self.0.steps.gone(running.step);
            KitchenError::Talk(error)
        })
    }

    pub(crate) fn register(
        &self,
        group: Option<Arc<Cgroup>>,
    ) -> Result<(Running, oneshot::Receiver<End>), KitchenError> {
        let scratch = &self.0.scratch;
        let bad_scratch = |source| KitchenError::Scratch { path: scratch.path().to_owned(), source };
        let folder = Arc::new(scratch.take().map_err(bad_scratch)?);
        let (step, ended) =
            self.0.steps.add(folder.clone(), group.clone()).ok_or(KitchenError::ZygoteGone)?;
        Ok((Running { kitchen: self.0.clone(), step, folder, group, over: false }, ended))
    }
}

/// A step that was ordered. Dropped before it is over, it is killed.
#[derive(Debug)]
pub(crate) struct Running {
    kitchen: Arc<Inner>,
    pub(crate) step: u64,
    pub(crate) folder: Arc<Folder>,
    group: Option<Arc<Cgroup>>,
    over: bool,
}

impl Running {
    fn kill(&self) {
        let message = ToZygote::Kill { step: self.step };
        if let Err(error) = self.kitchen.send(&message, &[]) {
            tracing::debug!(%error, "a step is not killed: the zygote has gone, and so has it");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
        }
    }
}

/// The limit that a step has reached that ended by itself or was killed from outside; one that was ended by us has its reason.
///
/// Also of a step that ended well: limits are in no key, so what it made of one must not be taken for the truth.
async fn reached(how: &HowEnded, limits: &Limits, running: &Running) -> Option<Limit> {
    if matches!(how, HowEnded::Cancelled | HowEnded::TimedOut | HowEnded::OverLimit(_)) {
        return None;
    }
    if let Some(limit) = running.group.as_ref().and_then(|group| group.reached()) {
        return Some(limit);
    }
    let most = limits.disk?;
    let full = match how {
        HowEnded::Signal(libc::SIGXFSZ) => true,
        // As a shell tells it.
        HowEnded::Exit(code) if *code == 128 + libc::SIGXFSZ => true,
        HowEnded::Exit(0) => disk::is_over(running.folder.upper(), most).await,
        _ => false,
    };
    full.then_some(Limit::Disk(most))
}

/// The name of the group above those of a kitchen's steps: one for each scratch folder, which belongs to one pod alone.
fn group_name(scratch: &Path) -> String {
    let above = group_prefix(scratch.parent().unwrap_or(scratch));
    let name = scratch.file_name().unwrap_or_default();
    format!("{above}{}", name.to_string_lossy())
}

/// How the names of groups begin whose scratch folders are in this folder.
pub(crate) fn group_prefix(folder: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let digest = protocol::Digest::of(folder.as_os_str().as_bytes());
    format!("computepods-{}-", digest.short().trim_start_matches("b3:"))
}

fn check(order: &Order) -> Result<(), KitchenError> {
    let nul = |bytes: &[u8]| bytes.contains(&0);
    if order.commands.is_empty() || order.commands.iter().any(Vec::is_empty) {
        return Err(KitchenError::Order("a command has no words"));
    }
    if order.commands.iter().flatten().any(|word| nul(word)) {
        return Err(KitchenError::Order("a word of a command has a NUL byte"));
    }
    if order
        .env
        .iter()
        .any(|(name, value)| name.is_empty() || name.contains(&b'=') || nul(name) || nul(value))
    {
        return Err(KitchenError::Order(
            "a variable's name is empty or has a `=`, or there is a NUL byte in one",
        ));
    }
    Ok(())
}

fn network_files(etc: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let read = |name: &&str| Some((name.as_bytes().to_vec(), fs::read(etc.join(name)).ok()?));
    NETWORK_FILES.iter().filter_map(read).collect()
}

fn how_ended(outcome: Outcome, command: Vec<u8>) -> Result<HowEnded, KitchenError> {
    Ok(match outcome {
        Outcome::Exit(code) => HowEnded::Exit(code),
        Outcome::Signal(signal) => HowEnded::Signal(signal),
        Outcome::NotFound => HowEnded::NotFound { command },
        Outcome::CannotExecute(errno) => HowEnded::CannotExecute { command, errno },
        Outcome::BadCwd(errno) => HowEnded::BadCwd { errno },
        Outcome::Refused(refusal) => {
            return Err(KitchenError::Sandbox {
                doing: refusal.stage.doing(),
                source: io::Error::from_raw_os_error(refusal.errno),
            });
        }
    })
}
