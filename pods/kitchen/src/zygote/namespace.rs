//! Namespaces without a process in them, held by a descriptor.
//!
//! Each is made by a child that lives just long enough for its namespace to be opened. Making it here and going back would
//! need rights over the host's namespaces, which an ordinary user has not.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};

use super::sys;

/// The host's /proc, still open when it cannot be reached by a path any more.
pub(super) struct HostProc(OwnedFd);

impl HostProc {
    pub(super) fn open() -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open("/proc", flags, Mode::empty())?))
    }

    /// Another descriptor of it.
    pub(super) fn fd(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Makes a namespace by a clone flag, and opens it by its name in `/proc/<pid>/ns`. `furnish` is called inside, in a
    /// child; `map` with the child's number here.
    pub(super) fn make(
        &self,
        flag: libc::c_int,
        name: &str,
        furnish: impl FnOnce() -> io::Result<()>,
        map: impl FnOnce(libc::pid_t) -> io::Result<()>,
    ) -> io::Result<OwnedFd> {
        let (wait, go) = io::pipe()?;
        let Some(child) = sys::fork_into(flag)? else {
            drop(go);
            let furnished = furnish();
            // The end of the pipe is the sign to go; nothing is ever written to it.
            let waited = io::copy(&mut { wait }, &mut io::sink());
            let code = furnished
                .and(waited.map(drop))
                .err()
                .map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
            // SAFETY: ends the child at once, without running what is registered for the parent's end.
            unsafe { libc::_exit(code) }
        };
        drop(wait);
        let path = format!("{child}/ns/{name}");
        let made = map(child).and_then(|()| {
            Ok(rustix::fs::openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
        });
        drop(go);
        match sys::wait_for(child)? {
            0 => made,
            // The exit code is the child's error number.
            status if libc::WIFEXITED(status) => Err(io::Error::from_raw_os_error(libc::WEXITSTATUS(status))),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}
