//! The thread that starts the zygote and hears what it and the inits say.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::KitchenError;
use crate::kitchen::{FuseFds, ZygoteProgram};
use crate::steps::{End, Steps};
use crate::wire::{Start, ToPod, ToZygote};
use crate::{packet, requirements};

/// What comes of a start: the numbers for the view, and what it has to serve.
pub(crate) type Started = Result<((u32, u32), FuseFds), KitchenError>;

/// The thread that starts the zygote and hears it. It lives as long as the zygote, which is killed if its parent thread ends.
pub(crate) struct Reader {
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) steps: Arc<Steps>,
    pub(crate) scratch: PathBuf,
    pub(crate) ready: Option<oneshot::Sender<Started>>,
}

impl Reader {
    /// Returns when the zygote has gone.
    pub(crate) fn main(mut self, program: &ZygoteProgram, theirs: OwnedFd) {
        let spawned = Command::new(&program.program)
            .args(&program.arguments)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn();
        let mut zygote = match spawned {
            Ok(zygote) => zygote,
            Err(source) => {
                return self.answer(Err(KitchenError::Spawn { program: program.program.clone(), source }));
            }
        };
        let start =
            Start { scratch: self.scratch.as_os_str().as_bytes().to_vec(), outer: requirements::outer_ids() };
        let heard =
            packet::send(&*self.socket, &ToZygote::Start(start).encode(), &[]).and_then(|()| self.hear());
        if let Err(error) = heard {
            tracing::warn!(%error, "the zygote cannot be understood");
        }
        shut_down(&self.socket);
        reap(&mut zygote);
        self.steps.zygote_gone();
    }

    fn answer(&mut self, answer: Started) {
        if let Some(ready) = self.ready.take()
            && ready.send(answer).is_err()
        {
            tracing::debug!("nobody waits for this kitchen any more");
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut receiver = packet::Receiver::new();
        while let Some((body, fds)) = receiver.receive(&*self.socket)? {
            match ToPod::decode(&body).map_err(io::Error::other)? {
                ToPod::Ready { uid, gid } => {
                    let [tools, project] =
                        <[OwnedFd; 2]>::try_from(fds).map_err(|_| io::ErrorKind::InvalidData)?;
                    self.answer(Ok(((uid, gid), FuseFds { tools, project })));
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

fn reap(zygote: &mut Child) {
    match zygote.wait() {
        Ok(status) if status.success() => {}
        Ok(status) => tracing::warn!(%status, "the zygote has ended badly"),
        Err(error) => tracing::warn!(%error, "the zygote cannot be waited for"),
    }
}
