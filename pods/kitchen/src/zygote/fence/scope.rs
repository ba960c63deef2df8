//! Abstract sockets of the machine, for a step with network: they belong to its network namespace, so it would reach a desktop's session by them.

use std::io;

/// From Linux 6.12 on; before, there is nothing that could hold a step off them.
const SCOPE_ABSTRACT_SOCKETS: u64 = 1;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scoped: u64,
}

/// From now on the calling process and all that come of it reach only abstract sockets of their own. `Ok(false)`: the
/// kernel has no such fence. `no_new_privs` must be set.
pub(in super::super) fn leave_abstract_sockets() -> io::Result<bool> {
    let wanted = Ruleset { files: 0, network: 0, scoped: SCOPE_ABSTRACT_SOCKETS };
    // SAFETY: the kernel reads a ruleset of the given size.
    let ruleset = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const wanted, size_of::<Ruleset>(), 0)
    };
    if ruleset < 0 {
        return match io::Error::last_os_error() {
            // Unknown, switched off, or older than scopes.
            error
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::E2BIG | libc::EINVAL)
                ) =>
            {
                Ok(false)
            }
            error => Err(error),
        };
    }
    // SAFETY: no memory is involved; the descriptor is ours, and closed once.
    unsafe {
        let fenced = libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0);
        let error = io::Error::last_os_error();
        libc::close(ruleset as libc::c_int);
        if fenced == 0 { Ok(true) } else { Err(error) }
    }
}
