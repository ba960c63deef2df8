//! System calls that no crate wraps the way that a zygote needs them.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt;

use crate::order::Usage;
use crate::wire::{Refusal, Stage};

/// A result whose error says what was refused.
pub(super) type Staged<T> = Result<T, Refusal>;

/// Errors that carry an error number.
pub(super) trait Errno {
    fn errno(&self) -> i32;
}

impl Errno for rustix::io::Errno {
    fn errno(&self) -> i32 {
        self.raw_os_error()
    }
}

impl Errno for nix::errno::Errno {
    fn errno(&self) -> i32 {
        *self as i32
    }
}

impl Errno for io::Error {
    fn errno(&self) -> i32 {
        self.raw_os_error().unwrap_or(libc::EIO)
    }
}

/// Says what was being done when the error came.
pub(super) fn at<E: Errno>(stage: Stage) -> impl Fn(E) -> Refusal {
    move |error| Refusal { stage, errno: error.errno() }
}

/// Forks into new namespaces; `None` in the child, which is the only thread there. Descriptors are copied.
pub(super) fn fork_into(namespaces: libc::c_int) -> io::Result<Option<libc::pid_t>> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut args: libc::clone_args = unsafe { MaybeUninit::zeroed().assume_init() };
    args.flags = namespaces as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: without CLONE_VM and without a stack this is fork(2): the child has a copy of everything. The process has one
    // thread, so no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid as libc::pid_t)),
    }
}

/// Waits for any child; `None` if there is none (left), or with `block` unset if none has ended.
pub(super) fn wait(block: bool) -> io::Result<Option<(libc::pid_t, libc::c_int, Usage)>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let options = if block { libc::__WALL } else { libc::__WALL | libc::WNOHANG };
    loop {
        // SAFETY: both pointers are to live places of the right types.
        let pid = unsafe { libc::wait4(-1, &raw mut status, options, usage.as_mut_ptr()) };
        match pid {
            0 => return Ok(None),
            -1 => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
            // SAFETY: zeroed, and then filled in by the kernel.
            pid => return Ok(Some((pid, status, super::usage(unsafe { usage.assume_init_ref() })))),
        }
    }
}

/// Waits for one child; gives its status.
pub(super) fn wait_for(pid: libc::pid_t) -> io::Result<libc::c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the pointer is to a live place of the right type.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } == pid {
            return Ok(status);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// What all children that were waited for have used.
pub(super) fn usage_of_children() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a live place of the right type, which is valid even if the call fails.
    unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        super::usage(usage.assume_init_ref())
    }
}

/// Bytes that children wrote which were waited for, as proc(5) `/proc/pid/io` says of this process, which writes nothing.
/// Small writes count as blocks: each may have been a file of its own. 0 if it cannot be read.
pub(super) fn written_by_children(counts: &File) -> u64 {
    const BLOCK: u64 = 4096;
    let mut text = [0; 512];
    let Ok(length) = counts.read_at(&mut text, 0) else { return 0 };
    let text = String::from_utf8_lossy(&text[..length]);
    let count = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    count("wchar").max(count("syscw").saturating_mul(BLOCK))
}

/// Signals as a new session has them, whatever the pod's parents had ignored; programs inherit it.
pub(super) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the default action runs no code of ours. SIGKILL, SIGSTOP and glibc's own refuse, rightly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// SIGKILL to one process.
pub(super) fn kill_process(pid: libc::pid_t) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// SIGKILL to all other processes of this PID namespace, by its process 1.
pub(super) fn kill_all_others() {
    // SAFETY: no memory is involved; process 1 is never among the targets.
    unsafe { libc::kill(-1, libc::SIGKILL) };
}

/// A session keyring of our own, so that nobody here possesses the user's keys. A kernel without keys has none to protect.
pub(super) fn leave_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
}

/// Switches the loopback interface on in the present network namespace.
pub(super) fn loopback_up() -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
