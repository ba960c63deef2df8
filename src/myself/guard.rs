//! The hidden first argument `guard`: this program once more, as the process that ends a user's program with all that it has started.
//!
//! It stands between both because the kernel tells only children that their parent has died: what the program starts becomes the guard's when the
//! program ends, whatever group or session it is in, and the end of its standard input is the end of whoever asked for the program, however
//! that came. Where the guard itself is killed the program ends, and its offspring is ended by whoever asked for it.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use signal_hook::consts::{SIGCHLD, SIGTERM};

/// The hidden argument; the next one is what `sh` is to run.
pub const GUARD: &str = "guard";

/// How long the program may take to end when it is asked to; then it is ended.
const GRACE: Duration = Duration::from_millis(400);

/// Becomes the guard if the first argument says so, and then never returns.
pub fn become_it_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == GUARD)
        && let Some(command) = arguments.next()
    {
        let guarded = Guard::start(Command::new("sh").arg("-c").arg(command)).and_then(Guard::serve);
        if let Err(error) = &guarded {
            eprintln!("error: a program is not guarded any more: {error}");
        }
        std::process::exit(i32::from(guarded.is_err()));
    }
}

/// A program at work, and what else is this process's child.
struct Guard {
    program: Child,
    has_ended: bool,
    /// Readable when a child has ended.
    deaths: UnixStream,
}

impl Guard {
    fn start(command: &mut Command) -> io::Result<Self> {
        // The group is asked to end, and this process is in it, so that the group's number stays its own.
        signal_hook::flag::register(SIGTERM, Arc::new(AtomicBool::new(false)))?;
        let (deaths, told) = UnixStream::pair()?;
        deaths.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, told)?;
        set_child_subreaper(Some(getpid()))?;
        command.stdin(Stdio::null());
        // SAFETY: the closure makes one system call, and allocates nothing.
        unsafe {
            command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        Ok(Self { program: command.spawn()?, has_ended: false, deaths })
    }

    /// Until nobody is left for whom the program runs.
    fn serve(mut self) -> io::Result<()> {
        let asked = io::stdin();
        loop {
            let mut ready = [PollFd::new(&asked, PollFlags::IN), PollFd::new(&self.deaths, PollFlags::IN)];
            match poll(&mut ready, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let is_over = !ready[0].revents().is_empty();
            self.reap()?;
            if is_over {
                return self.end();
            }
        }
    }

    /// Takes note of all children that have ended.
    fn reap(&mut self) -> io::Result<()> {
        while matches!(self.deaths.read(&mut [0; 64]), Ok(count) if count > 0) {}
        while self.wait(WaitOptions::NOHANG)? {}
        Ok(())
    }

    /// Whether a child has ended that nobody knew of.
    fn wait(&mut self, options: WaitOptions) -> io::Result<bool> {
        loop {
            match wait(options) {
                Ok(Some((pid, _))) => {
                    self.has_ended |= pid == Pid::from_child(&self.program);
                    return Ok(true);
                }
                Ok(None) | Err(Errno::CHILD) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Asks the group to end, and ends what does not, and all that left the group.
    fn end(mut self) -> io::Result<()> {
        kill_process_group(getpid(), Signal::TERM)?;
        let deadline = Instant::now() + GRACE;
        while !self.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.deaths, PollFlags::IN)], Some(&limit)) {
                Ok(0) => break,
                _ => self.reap()?,
            }
        }
        // Whose parent has ended is ours by then. None is waited for between the look and the kill, so each number is still its own.
        loop {
            for child in children()? {
                kill_process(child, Signal::KILL)?;
            }
            if !self.wait(WaitOptions::empty())? {
                return Ok(());
            }
        }
    }
}

/// This process's children, as proc(5) has them: of a process with one thread.
fn children() -> io::Result<Vec<Pid>> {
    let text = std::fs::read_to_string("/proc/thread-self/children")?;
    Ok(text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect())
}
