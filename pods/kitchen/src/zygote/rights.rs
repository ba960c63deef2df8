//! User namespaces, and giving up rights.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sched::CloneFlags;
use protocol::step::STEP_UID;

use super::namespace::HostProc;
use super::sys::{Staged, at};
use crate::wire::Stage;

/// Forbids user namespaces below the present one. A file of the present namespace: only it is concerned.
const NESTED: &str = "/proc/sys/user/max_user_namespaces";
/// One more than the highest capability number that there can be.
const CAPABILITIES: libc::c_ulong = 64;

/// Enters a user namespace in which the pod's user is the step's.
pub(super) fn enter_own_user_namespace() -> Staged<()> {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).map_err(at(Stage::Namespaces))?;
    let map = || {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{STEP_UID} {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("{STEP_UID} {gid} 1"))?;
        fs::write(NESTED, "0")
    };
    map().map_err(at(Stage::IdMap))
}

/// Makes the user namespace of steps, in which only 1000 exists and is an outer number that nobody else has.
pub(super) fn make_step_users(proc: &HostProc, outer: (u32, u32)) -> Staged<OwnedFd> {
    let map = |child: libc::pid_t| {
        fs::write(format!("/proc/{child}/uid_map"), format!("{STEP_UID} {} 1", outer.0))?;
        fs::write(format!("/proc/{child}/gid_map"), format!("{STEP_UID} {} 1", outer.1))
    };
    proc.make(libc::CLONE_NEWUSER, "user", || fs::write(NESTED, "0"), map).map_err(at(Stage::StepUsers))
}

/// Makes the calling process an ordinary one of the step, for good.
pub(super) fn give_up(step_users: Option<BorrowedFd<'_>>) -> Staged<()> {
    let stage = at(Stage::Rights);
    if let Some(users) = step_users {
        nix::unistd::setgroups(&[]).map_err(&stage)?;
        nix::sched::setns(users.as_fd(), CloneFlags::CLONE_NEWUSER).map_err(&stage)?;
        let (uid, gid) = (STEP_UID.into(), STEP_UID.into());
        nix::unistd::setresgid(gid, gid, gid).map_err(&stage)?;
        nix::unistd::setresuid(uid, uid, uid).map_err(&stage)?;
    }
    give_up_capabilities().map_err(at(Stage::Rights))?;
    nix::sys::prctl::set_no_new_privs().map_err(&stage)?;
    // Steps have the same uid: they must not trace this process or open its descriptors.
    nix::sys::prctl::set_dumpable(false).map_err(&stage)
}

fn give_up_capabilities() -> io::Result<()> {
    for capability in 0..CAPABILITIES {
        // SAFETY: no memory is involved.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EINVAL) => break,
                error => return Err(error),
            }
        }
    }
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0u32; 6];
    // SAFETY: capset(2) reads a header and, for version 3, two triples of words.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
