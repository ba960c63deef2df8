//! Process 1 of a step: builds the root, gives up its rights, runs the commands, ends what they left, says how it went.
//!
//! It may be started before its step is known: then it builds the root, and waits for the order.
//!
//! It never executes another program, and its children inherit nothing but their streams. It counts a step as ended
//! only when no other process is left, so that the upper folder is final when the pod hears of it; the mounts go after that, as
//! this process ends.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use protocol::step::{PATH, PROJECT};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::base::Base;
use super::sys::{self, Staged, at};
use super::{NETWORK_UNUSED, NETWORK_USED, fence, rights, rlimits, root};
use crate::limits::cgroups;
use crate::order::Usage;
use crate::packet::{self, Receiver};
use crate::wire::{Outcome, Refusal, Run, Stage, ToPod, ToZygote, Wired};

/// Descriptor numbers of an init: everything above is closed.
const SOCKET: i32 = 3;
const LIFE: i32 = 4;
const NETWORK: i32 = 5;
const USERS: i32 = 6;
const ORDERS: i32 = 7;
const LAST: i32 = ORDERS;
/// First number that is free for a moment while descriptors are put in their places.
const ABOVE: i32 = 64;

/// The descriptors that come with a message.
#[derive(Default)]
pub(super) struct Given {
    /// Standard input if there is one, output and error; none yet if the step is not known.
    streams: Vec<OwnedFd>,
    /// Doors of its control groups.
    doors: Vec<OwnedFd>,
    /// Where it waits for the order of its step, if that is not known yet.
    orders: Option<OwnedFd>,
}

impl Given {
    /// Those of a step; `None` if there are too few.
    pub(super) fn of_run(run: &Run, mut streams: Vec<OwnedFd>) -> Option<Self> {
        let count = run.streams.count();
        let doors = streams.split_off(streams.len().min(count));
        (streams.len() == count).then_some(Self { streams, doors, orders: None })
    }

    /// That of a root that is made ahead; `None` if it is missing.
    pub(super) fn ahead(mut fds: Vec<OwnedFd>) -> Option<Self> {
        Some(Self { orders: Some(fds.pop()?), ..Self::default() })
    }
}

/// What an init takes over from the zygote.
pub(super) struct Inherited<'a> {
    pub(super) given: Given,
    pub(super) socket: BorrowedFd<'a>,
    /// Closes with the zygote.
    pub(super) life: BorrowedFd<'a>,
    /// The network namespace to enter; none: the host's.
    pub(super) network: Option<BorrowedFd<'a>>,
}

/// Runs the step and ends the process.
pub(super) fn main(run: &Run, base: &Base, inherited: Inherited<'_>) -> ! {
    let isolated = inherited.network.is_some();
    let Done { written, command, outcome } = match begin(run, base, inherited) {
        Ok(Some(done)) => done,
        // SAFETY: ends the process at once, without running what is registered for the zygote's end.
        Ok(None) => unsafe { libc::_exit(NETWORK_UNUSED) },
        Err(refusal) => Done { written: None, command: 0, outcome: Outcome::Refused(refusal) },
    };
    sys::kill_all_others();
    // An error could only be that there is no child, which is what is waited for.
    while matches!(sys::wait(true), Ok(Some(_))) {}
    for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: nothing in this process uses its standard streams any more.
        unsafe { libc::close(stream) };
    }
    let unused = isolated && network_is_unused();
    let written = written.map_or(0, |counts| sys::written_by_children(&counts));
    let usage = Usage { written, ..sys::usage_of_children() };
    let ended = ToPod::Ended { step: run.step, command: command as u64, outcome, usage };
    let told = packet::send(super::borrow(SOCKET), &ended.encode(), &[]);
    let code = if unused && told.is_ok() { NETWORK_UNUSED } else { NETWORK_USED };
    // SAFETY: ends the process at once, without running what is registered for the zygote's end.
    unsafe { libc::_exit(code) }
}

/// How a step's commands ended.
struct Done {
    /// Where the kernel says what was written, if that has to be known.
    written: Option<File>,
    /// The place of the last that ran.
    command: usize,
    outcome: Outcome,
}

/// Runs the step to the end of its commands; `None` if the root was made ahead, and no step wants it.
fn begin(run: &Run, base: &Base, inherited: Inherited<'_>) -> Staged<Option<Done>> {
    let isolated = inherited.network.is_some();
    let is_ahead = inherited.given.orders.is_some();
    let written = enter(run, base, inherited)?;
    if is_ahead {
        put_up_filter(base)?;
        let Some(run) = await_order()? else { return Ok(None) };
        rlimits::set(&run).map_err(at(Stage::Limits))?;
        let (command, outcome) = commands(&run);
        return Ok(Some(Done { written, command, outcome }));
    }
    rlimits::set(run).map_err(at(Stage::Limits))?;
    if !isolated {
        // On older kernels there is no such fence: docs/security.md says what that means.
        fence::leave_abstract_sockets().map_err(at(Stage::Fence))?;
    }
    put_up_filter(base)?;
    let (command, outcome) = commands(run);
    Ok(Some(Done { written, command, outcome }))
}

fn put_up_filter(base: &Base) -> Staged<()> {
    base.filter().put_up().map_err(at(Stage::Fence))
}

/// Waits for the step that the root was made for, and takes over its streams.
fn await_order() -> Staged<Option<Box<Run>>> {
    let stage = at(Stage::Packet);
    // SAFETY: `arrange` has put it there, and nothing else uses the number.
    let orders = unsafe { OwnedFd::from_raw_fd(ORDERS) };
    let Some((body, streams)) = Receiver::new().receive(&orders).map_err(&stage)? else { return Ok(None) };
    let bad = Refusal { stage: Stage::Packet, errno: libc::EBADMSG };
    let Ok(ToZygote::Run(run)) = ToZygote::decode(&body) else { return Err(bad) };
    let [output, errors] = <[OwnedFd; 2]>::try_from(streams).map_err(|_| bad)?;
    rustix::stdio::dup2_stdout(output).map_err(at(Stage::Packet))?;
    rustix::stdio::dup2_stderr(errors).map_err(at(Stage::Packet))?;
    Ok(Some(run))
}

/// Enters the step's root, without any rights; gives where the kernel says what was written, if that has to be known.
fn enter(run: &Run, base: &Base, mut inherited: Inherited<'_>) -> Staged<Option<File>> {
    // First, so that all that it uses counts.
    for door in std::mem::take(&mut inherited.given.doors) {
        cgroups::enter(door).map_err(at(Stage::Limits))?;
    }
    let isolated = inherited.network.is_some();
    arrange(inherited, base.step_users()).map_err(at(Stage::Rights))?;
    follow_the_zygote()?;
    rustix::process::setsid().map_err(at(Stage::Rights))?;
    if run.streams == Wired::Terminal {
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin()).map_err(at(Stage::Terminal))?;
    }
    if isolated {
        nix::sched::setns(super::borrow(NETWORK), CloneFlags::CLONE_NEWNET).map_err(at(Stage::Network))?;
    }
    root::enter(run, base)?;
    if run.streams == Wired::Pipes {
        // The step's own: the zygote's is the machine's or the container's, and its name would tell.
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        null.and_then(rustix::stdio::dup2_stdin).map_err(at(Stage::Dev))?;
    }
    // It can be opened before rights are given up. A kernel that does not count has no such file.
    let written = run.counted.then(|| File::open("/proc/self/io").ok()).flatten();
    let users = base.step_users().map(|_| super::borrow(USERS));
    rights::give_up(users)?;
    // A change of user clears what was asked for before.
    follow_the_zygote()?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    Ok(written)
}

/// Puts the descriptors at their places and closes all others: those of other steps above all.
fn arrange(inherited: Inherited<'_>, users: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
    let others = [
        (Some(inherited.socket), SOCKET),
        (Some(inherited.life), LIFE),
        (inherited.network, NETWORK),
        (users, USERS),
        (inherited.given.orders.as_ref().map(AsFd::as_fd), ORDERS),
    ];
    // Standard error is the last of them, whether or not there is an input.
    let last_streams =
        inherited.given.streams.iter().rev().zip((libc::STDIN_FILENO..=libc::STDERR_FILENO).rev());
    let wanted = last_streams.map(|(stream, place)| (Some(stream.as_fd()), place)).chain(others);
    // First all out of the way, then each to its place: a place may be the present number of another one.
    let mut moved = Vec::with_capacity(LAST as usize + 1);
    for (fd, place) in wanted {
        if let Some(fd) = fd {
            moved.push((rustix::io::fcntl_dupfd_cloexec(fd, ABOVE)?, place));
        }
    }
    for (fd, place) in &moved {
        let flags = if *place <= libc::STDERR_FILENO { 0 } else { libc::O_CLOEXEC };
        // SAFETY: dup3 closes what was at `place`, which nothing here uses any more.
        if unsafe { libc::dup3(fd.as_raw_fd(), *place, flags) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
    }
    std::mem::forget((moved, inherited.given));
    // SAFETY: what is closed is owned by values that this process never drops: it ends by `_exit`.
    match unsafe { libc::syscall(libc::SYS_close_range, LAST + 1, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Asks to be killed with the zygote, which may already have gone before that was asked.
fn follow_the_zygote() -> Staged<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(at(Stage::Life))?;
    let life = super::borrow(LIFE);
    let mut ends = [PollFd::from_borrowed_fd(life, PollFlags::IN)];
    let gone = poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).map_err(at(Stage::Life))? > 0;
    if gone { Err(Refusal { stage: Stage::Life, errno: libc::EOWNERDEAD }) } else { Ok(()) }
}

/// Runs the commands; gives the place of the last that ran, and how it ended.
fn commands(run: &Run) -> (usize, Outcome) {
    let cwd = run.cwd.under(&Path::new("/").join(PROJECT));
    if let Err(error) = rustix::process::chdir(&cwd) {
        return (0, Outcome::BadCwd(error.raw_os_error()));
    }
    let last = run.commands.len().saturating_sub(1);
    let mut outcome = Outcome::Exit(0);
    for (place, command) in run.commands.iter().enumerate() {
        let group = if run.streams == Wired::Terminal { Group::OfInit } else { Group::Own };
        outcome = match Program::new(command, &run.env).and_then(|program| program.spawn(group)) {
            Ok(pid) => wait_for(pid),
            Err(outcome) => outcome,
        };
        if outcome != Outcome::Exit(0) {
            return (place, outcome);
        }
    }
    (last, outcome)
}

/// Reaps until this child has ended.
fn wait_for(pid: libc::pid_t) -> Outcome {
    loop {
        match sys::wait(true) {
            Ok(Some((ended, status, _))) if ended == pid => {
                return match libc::WIFSIGNALED(status) {
                    true => Outcome::Signal(libc::WTERMSIG(status)),
                    false => Outcome::Exit(libc::WEXITSTATUS(status)),
                };
            }
            Ok(Some(_)) => {}
            // It is our child and was not waited for: this cannot be.
            Ok(None) | Err(_) => return Outcome::Signal(libc::SIGKILL),
        }
    }
}

/// The process group of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    /// A new one.
    Own,
    /// This process's: the one in the foreground of its terminal. Its signals do not reach this process, which is process 1.
    OfInit,
}

/// A command as the kernel wants it.
struct Program<'a> {
    name: &'a [u8],
    argv: Vec<CString>,
    env: Vec<CString>,
    path: &'a [u8],
}

impl<'a> Program<'a> {
    fn new(command: &'a [Vec<u8>], env: &'a [Vec<u8>]) -> Result<Self, Outcome> {
        let strings = |words: &[Vec<u8>]| {
            words.iter().map(|word| CString::new(word.as_slice())).collect::<Result<Vec<_>, _>>()
        };
        let name = command.first().ok_or(Outcome::NotFound)?;
        let path = env.iter().find_map(|pair| pair.strip_prefix(b"PATH=")).unwrap_or(PATH.as_bytes());
        let argv = strings(command).map_err(|_| Outcome::CannotExecute(libc::EINVAL))?;
        let env = strings(env).map_err(|_| Outcome::CannotExecute(libc::EINVAL))?;
        Ok(Self { name, argv, env, path })
    }

    /// Starts it from the first folder of the path where it can be, by execvp(3)'s rules.
    fn spawn(&self, group: Group) -> Result<libc::pid_t, Outcome> {
        if self.name.is_empty() {
            return Err(Outcome::NotFound);
        }
        if self.name.contains(&b'/') {
            return self.try_file(self.name.to_vec(), group);
        }
        let mut worst = Outcome::NotFound;
        for folder in self.path.split(|&byte| byte == b':') {
            let file =
                if folder.is_empty() { self.name.to_vec() } else { [folder, b"/", self.name].concat() };
            match self.try_file(file, group) {
                Err(Outcome::NotFound) => {}
                Err(refused @ Outcome::CannotExecute(libc::EACCES)) => worst = refused,
                done => return done,
            }
        }
        Err(worst)
    }

    /// Looks before it forks, for a failed fork costs far more; and a script whose interpreter is missing would give the same
    /// error as a missing script.
    fn try_file(&self, file: Vec<u8>, group: Group) -> Result<libc::pid_t, Outcome> {
        let file = CString::new(file).map_err(|_| Outcome::CannotExecute(libc::EINVAL))?;
        match rustix::fs::access(&file, rustix::fs::Access::EXISTS) {
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Err(Outcome::NotFound),
            Err(error) => Err(Outcome::CannotExecute(error.raw_os_error())),
            Ok(()) => self.spawn_file(&file, group).map_err(Outcome::CannotExecute),
        }
    }

    fn spawn_file(&self, file: &CStr, group: Group) -> Result<libc::pid_t, i32> {
        let mut argv: Vec<&CStr> = self.argv.iter().map(CString::as_c_str).collect();
        match spawn(file, &argv, &self.env, group) {
            // What is no program is a shell script without a first line that says so.
            Err(libc::ENOEXEC) => {
                argv.splice(0..1, [c"/bin/sh", file]);
                spawn(c"/bin/sh", &argv, &self.env, group)
            }
            spawned => spawned,
        }
    }
}

/// vfork and exec, with no signal blocked.
fn spawn(file: &CStr, argv: &[&CStr], env: &[CString], group: Group) -> Result<libc::pid_t, i32> {
    let mut argv: Vec<*mut libc::c_char> = argv.iter().map(|word| word.as_ptr().cast_mut()).collect();
    let mut env: Vec<*mut libc::c_char> = env.iter().map(|pair| pair.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    env.push(std::ptr::null_mut());
    let own_group = if group == Group::Own { libc::POSIX_SPAWN_SETPGROUP } else { 0 };
    let flags = libc::POSIX_SPAWN_SETSIGMASK | own_group;
    let mut pid = 0;
    // SAFETY: the attributes are initialised before use and destroyed after; both lists are null-terminated and point to
    // strings that outlive the call; nothing is written through them.
    let errno = unsafe {
        let mut attributes = std::mem::MaybeUninit::<libc::posix_spawnattr_t>::uninit();
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::posix_spawnattr_init(attributes.as_mut_ptr());
        libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), none.as_ptr());
        libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags as libc::c_short);
        let actions = std::ptr::null();
        let errno = libc::posix_spawn(
            &raw mut pid,
            file.as_ptr(),
            actions,
            attributes.as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
        );
        libc::posix_spawnattr_destroy(attributes.as_mut_ptr());
        errno
    };
    if errno == 0 { Ok(pid) } else { Err(errno) }
}

/// Whether nothing was ever sent over the loopback interface: then the namespace is as good as new. (A socket that was used
/// would stay behind for a minute, and keep its port.)
fn network_is_unused() -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/self/net/dev") else { return false };
    table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .all(|(_, counts)| counts.split_ascii_whitespace().all(|count| count == "0"))
}
