//! The zygote: makes the mounts once, then forks an init for each step and reaps it.
//!
//! One thread, no runtime, little memory, so that a fork copies almost nothing. It never looks into the view's mounts:
//! only inits do, so that a look-up that hangs holds one step and nobody else. It reads orders from its standard input, which
//! is the packet socket; the end of that socket is its own end, and by `PR_SET_PDEATHSIG` that of all inits.

mod base;
mod fence;
mod init;
mod namespace;
mod rights;
mod rlimits;
mod root;
mod sys;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

use crate::order::Usage;
use crate::packet::{self, Receiver};
use crate::wire::{Outcome, Refusal, Run, Stage, ToPod, ToZygote};
use base::Base;
use init::Given;
use sys::Staged;

/// The exit code of an init whose network namespace nothing was ever sent in.
const NETWORK_UNUSED: i32 = 0;
/// The exit code of an init whose network namespace must not be used again.
const NETWORK_USED: i32 = 1;
/// The first descriptor after the standard ones.
const HANDED_ON: i32 = 3;
/// Network namespaces that are kept for later steps at most.
const SPARE_NETWORKS: usize = 64;

/// What a program does when it was started as a [`crate::ZygoteProgram`]. Call it before anything else, above all before
/// any thread is started: a process with two threads can make no user namespace.
///
/// Ends the process when the pod has gone.
pub fn zygote_main() -> ! {
    let code = match Zygote::start() {
        Ok(Some(zygote)) => match zygote.serve() {
            Ok(()) => 0,
            // The pod went while something was said to it.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Err(error) => {
                eprintln!("kitchen: the zygote ends: {error}");
                1
            }
        },
        Ok(None) => 0,
        Err(error) => {
            eprintln!("kitchen: the zygote was not started by a pod: {error}");
            2
        }
    };
    std::process::exit(code)
}

struct Zygote {
    socket: OwnedFd,
    orders: Receiver,
    children: SignalFd,
    base: Base,
    /// Nothing is ever written to it. Inits hold the reading end, and see it close when the zygote is gone.
    life: (OwnedFd, OwnedFd),
    steps: Vec<Step>,
    spare_networks: Vec<OwnedFd>,
}

struct Step {
    number: u64,
    init: libc::pid_t,
    network: Option<OwnedFd>,
}

impl Zygote {
    /// `None`: the pod went away, or was told why it cannot be.
    fn start() -> io::Result<Option<Self>> {
        let socket = take_socket()?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        nix::sys::prctl::set_name(c"kitchen-zygote")?;
        sys::default_signals();
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        mask.thread_block()?;
        let children = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        // Ctrl-C in the pod's terminal is the pod's business: it may want its steps to end in good order.
        match rustix::process::setsid() {
            // Process 1 of a container leads one already.
            Ok(_) | Err(rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let mut receiver = Receiver::new();
        let Some((body, _)) = receiver.receive(&socket)? else { return Ok(None) };
        let ToZygote::Start(start) = ToZygote::decode(&body).map_err(io::Error::other)? else {
            return Err(io::Error::other("the first message is no start"));
        };
        let (base, fuse) = match Base::make(&start) {
            Ok(made) => made,
            Err(refusal) => {
                packet::send(&socket, &ToPod::Refused(refusal).encode(), &[])?;
                return Ok(None);
            }
        };
        let (uid, gid) = base.view_ids();
        packet::send(&socket, &ToPod::Ready { uid, gid }.encode(), &fuse.each_ref().map(AsFd::as_fd))?;
        let life = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(Some(Self {
            socket,
            orders: receiver,
            children,
            base,
            life,
            steps: Vec::new(),
            spare_networks: Vec::new(),
        }))
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            let (orders, deaths) = {
                let mut ready = [
                    PollFd::new(&self.socket, PollFlags::IN),
                    PollFd::from_borrowed_fd(self.children.as_fd(), PollFlags::IN),
                ];
                match poll(&mut ready, None) {
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
                (!ready[0].revents().is_empty(), !ready[1].revents().is_empty())
            };
            if deaths {
                while self.children.read_signal()?.is_some() {}
                self.reap()?;
            }
            if orders {
                let Some((body, streams)) = self.orders.receive(&self.socket)? else { return Ok(()) };
                match ToZygote::decode(&body).map_err(io::Error::other)? {
                    ToZygote::Run(run) => {
                        let given = Given::of_run(&run, streams);
                        self.begin(&run, given)?;
                    }
                    ToZygote::Prepare { step, root, folder } => {
                        self.begin(&Run::ahead(step, root, folder), Given::ahead(streams))?;
                    }
                    ToZygote::Kill { step } => self.kill(step),
                    ToZygote::Start(_) => return Err(io::Error::other("started twice")),
                }
            }
        }
    }

    fn begin(&mut self, run: &Run, given: Option<Given>) -> io::Result<()> {
        let given = given.ok_or(Refusal { stage: Stage::Packet, errno: libc::EBADMSG });
        match given.and_then(|given| self.fork(run, given)) {
            Ok(step) => {
                self.steps.push(step);
                Ok(())
            }
            Err(refusal) => {
                let (step, usage) = (run.step, Usage::default());
                let ended = ToPod::Ended { step, command: 0, outcome: Outcome::Refused(refusal), usage };
                packet::send(&self.socket, &ended.encode(), &[])?;
                packet::send(&self.socket, &ToPod::Gone { step, usage }.encode(), &[])
            }
        }
    }

    fn fork(&mut self, run: &Run, given: Given) -> Staged<Step> {
        let network = match &run.network {
            Some(_) => None,
            None => Some(match self.spare_networks.pop() {
                Some(spare) => spare,
                None => self.base.make_network()?,
            }),
        };
        let namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
        match sys::fork_into(namespaces).map_err(sys::at(Stage::Fork))? {
            Some(init) => Ok(Step { number: run.step, init, network }),
            None => {
                let inherited = init::Inherited {
                    given,
                    socket: self.socket.as_fd(),
                    life: self.life.0.as_fd(),
                    network: network.as_ref().map(AsFd::as_fd),
                };
                init::main(run, &self.base, inherited)
            }
        }
    }

    fn kill(&mut self, number: u64) {
        if let Some(step) = self.steps.iter().find(|step| step.number == number) {
            // It is not reaped yet, so the number is still its own; ESRCH cannot be, and would be no harm.
            sys::kill_process(step.init);
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        while let Some((pid, status, usage)) = sys::wait(false)? {
            let Some(at) = self.steps.iter().position(|step| step.init == pid) else { continue };
            let step = self.steps.swap_remove(at);
            let unused = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == NETWORK_UNUSED;
            if unused && self.spare_networks.len() < SPARE_NETWORKS {
                self.spare_networks.extend(step.network);
            }
            packet::send(&self.socket, &ToPod::Gone { step: step.number, usage }.encode(), &[])?;
        }
        Ok(())
    }
}

/// Makes the socket a descriptor of our own that no other program inherits. It is the standard input, or in a container, where podman
/// takes that for itself, the first descriptor after the standard ones.
fn take_socket() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    if rustix::net::sockopt::socket_type(stdin).is_ok() {
        let socket = rustix::io::fcntl_dupfd_cloexec(stdin, HANDED_ON + 1)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        return Ok(socket);
    }
    // SAFETY: this is the start of the program, which has opened nothing: whatever has this number was handed on to us.
    let handed_on = unsafe { BorrowedFd::borrow_raw(HANDED_ON) };
    rustix::net::sockopt::socket_type(handed_on)?;
    let socket = rustix::io::fcntl_dupfd_cloexec(handed_on, HANDED_ON + 1)?;
    // SAFETY: as above; nothing uses the number any more.
    unsafe { libc::close(HANDED_ON) };
    Ok(socket)
}

fn duration(time: libc::timeval) -> Duration {
    Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
}

fn usage(raw: &libc::rusage) -> Usage {
    Usage {
        user: duration(raw.ru_utime),
        system: duration(raw.ru_stime),
        max_rss: raw.ru_maxrss.unsigned_abs() * 1024,
        wall: Duration::ZERO,
        written: 0,
    }
}

/// Descriptors as init's own numbers.
fn borrow(fd: i32) -> BorrowedFd<'static> {
    // SAFETY: only called with numbers that init itself has just put there and never closes before its end.
    unsafe { BorrowedFd::borrow_raw(fd) }
}
