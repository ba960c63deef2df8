//! The thread that starts the zygote and hears what it and the inits say.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use parking_lot::Mutex;

use tokio::sync::{oneshot, watch};

use crate::engine::podman::sweep::sweep;
use crate::engine::{Engine, Podman, Runtime, Started};
use crate::error::KitchenError;
use crate::kitchen::{FuseFds, ZygoteProgram};
use crate::steps::{End, Steps};
use crate::wire::{Start, ToPod, ToZygote};
use crate::{packet, requirements};

/// The kitchen's end of the packet socket; another one with each try to start a container.
pub(crate) type Socket = Arc<Mutex<Arc<OwnedFd>>>;

/// What comes of a start: the numbers for the view, and what it has to serve.
pub(crate) type Answer = Result<((u32, u32), FuseFds), KitchenError>;

/// The thread that starts the zygote and hears it. It lives as long as the zygote, which is killed if its parent thread ends.
pub(crate) struct Reader {
    pub(crate) socket: Socket,
    pub(crate) steps: Arc<Steps>,
    pub(crate) scratch: PathBuf,
    pub(crate) ready: Option<oneshot::Sender<Answer>>,
    /// The container that is starting or runs.
    pub(crate) chosen: Option<(Podman, Runtime)>,
    /// Dropped when what a dead pod left in podman has been removed, or when there is nothing to remove.
    pub(crate) sweeping: Option<watch::Sender<()>>,
}

impl Reader {
    /// Returns when the zygote has gone.
    pub(crate) fn main(mut self, engine: &Engine, program: &ZygoteProgram, theirs: OwnedFd) {
        match engine {
            Engine::Native => {
                self.sweeping = None;
                match Started::natively(program, theirs) {
                    Ok(started) => {
                        self.follow(started);
                    }
                    Err(error) => self.answer(Err(error)),
                }
            }
            Engine::Podman(podman) => self.in_a_container(podman, program, theirs),
        }
        shut_down(&self.socket());
        self.steps.zygote_gone();
    }

    /// Tries one runtime after the other.
    fn in_a_container(&mut self, podman: &Podman, program: &ZygoteProgram, theirs: OwnedFd) {
        let mut theirs = Some(theirs);
        let mut said = Vec::new();
        for runtime in podman.runtimes() {
            let socket = match theirs.take().map_or_else(|| self.renew_socket(), Ok) {
                Ok(socket) => socket,
                Err(error) => return self.answer(Err(KitchenError::Talk(error))),
            };
            let started = match podman.start(runtime, program, &self.scratch, socket) {
                Ok(started) => started,
                Err(error) => return self.answer(Err(error)),
            };
            self.chosen = Some((podman.clone(), runtime));
            let Some((status, why)) = self.follow(started) else { return };
            if self.ready.is_none() {
                return;
            }
            tracing::debug!(runtime = runtime.name(), %status, why, "podman has started no zygote");
            said.push((runtime, why));
        }
        self.answer(Err(Podman::refused(&said)));
    }

    /// Orders the start and hears the zygote to its end; gives how what started it has ended.
    fn follow(&mut self, mut started: Started) -> Option<(ExitStatus, String)> {
        let start =
            Start { scratch: self.scratch.as_os_str().as_bytes().to_vec(), outer: requirements::outer_ids() };
        let heard = packet::send(&*self.socket(), &ToZygote::Start(start).encode(), &[])
            .and_then(|()| self.hear(&mut started));
        match heard {
            // What reads the order has already gone.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => tracing::warn!(%error, "the zygote cannot be understood"),
            Ok(()) => {}
        }
        shut_down(&self.socket());
        match started.end() {
            Ok((status, said)) => {
                if !status.success() && self.ready.is_none() {
                    tracing::warn!(%status, "the zygote has ended badly");
                }
                Some((status, said))
            }
            Err(error) => {
                tracing::warn!(%error, "the zygote cannot be waited for");
                None
            }
        }
    }

    fn socket(&self) -> Arc<OwnedFd> {
        self.socket.lock().clone()
    }

    /// A new pair of sockets, for another try: the kitchen's end is put in place, the zygote's given.
    fn renew_socket(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = packet::pair()?;
        *self.socket.lock() = Arc::new(ours);
        Ok(theirs)
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(ready) = self.ready.take()
            && ready.send(answer).is_err()
        {
            tracing::debug!("nobody waits for this kitchen any more");
            shut_down(&self.socket());
        }
    }

    /// Once a container runs: keeps in mind how, and removes what a dead pod of this home left, while steps may already run.
    fn tend(&mut self) {
        let Some((podman, runtime)) = self.chosen.clone() else { return };
        podman.works(runtime);
        let sweeping = self.sweeping.take();
        let swept = move || {
            match sweep(&podman.owner) {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "containers of a dead pod were removed"),
                Err(error) => tracing::warn!(%error, "containers of a dead pod cannot be looked for"),
            }
            drop(sweeping);
        };
        if let Err(error) = std::thread::Builder::new().name("kitchen-podman".to_owned()).spawn(swept) {
            tracing::warn!(%error, "containers of a dead pod cannot be looked for");
        }
    }

    fn hear(&mut self, started: &mut Started) -> io::Result<()> {
        let mut receiver = packet::Receiver::new();
        let socket = self.socket();
        while let Some((body, fds)) = receiver.receive(&*socket)? {
            started.look_after();
            match ToPod::decode(&body).map_err(io::Error::other)? {
                ToPod::Ready { uid, gid } => {
                    let [tools, project, processes] =
                        <[OwnedFd; 3]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidData)?;
                    self.answer(Ok(((uid, gid), FuseFds { tools, project, processes })));
                    self.tend();
                }
                ToPod::Refused(refusal) => {
                    let error = requirements::explain(refusal, &self.scratch);
                    self.answer(Err(error));
                }
                ToPod::Ended { step, command, outcome, usage } => {
                    self.steps.end(step, End::Ended { command, outcome, usage });
                }
                ToPod::Gone { step, usage } => {
                    self.steps.end(step, End::Killed { usage });
                    self.steps.gone(step);
                }
            }
        }
        Ok(())
    }
}

/// Asks the zygote to go; it kills its steps.
pub(crate) fn shut_down(socket: &OwnedFd) {
    // The zygote reads the end of the socket and goes. ENOTCONN: it has gone.
    if let Err(error) = nix::sys::socket::shutdown(socket.as_raw_fd(), nix::sys::socket::Shutdown::Both) {
        tracing::trace!(%error, "the zygote has gone already");
    }
}
