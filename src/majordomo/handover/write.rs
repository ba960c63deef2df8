//! Writing one output: a temp file, its times, a rename, its stamp.
//!
//! The times. A file's stamp is believed at the next build if a later change must change it. Kernels stamp changes with
//! the time of their last tick; a modification time that was set to the nanosecond, between two ticks, differs from
//! that of any later write, so the stamp can be believed at once, without waiting for a tick.
//! The rename. Where nothing stood nothing may stand; else the two are exchanged, and what comes out must be what was
//! looked at before: if the user was quicker, they are exchanged back.
//! A new file is written without any name, where the file system can do that, and then linked to its place: a rename from
//! one folder to another takes a lock that the whole file system shares, and a crash leaves nothing to be swept.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use protocol::RelPath;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, fchmod, fstat, futimens, linkat, openat,
    renameat, renameat_with, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::check::Write;
use super::copy::{Ways, copy};
use super::error::InTheWay;
use super::fault::Fault;
use super::folders::Folders;
use super::{Blobs, HandOverError, Site};
use crate::majordomo::workspace::{Made, Moment, Output, Stamp, stamp_of};

/// What one thread needs to write outputs.
pub struct Writer<'a> {
    site: &'a Site<'a>,
    tmp: BorrowedFd<'a>,
    folders: Folders<'a>,
    thread: usize,
    count: usize,
    ways: Ways,
    /// The file system, or a system without `/proc`, was found to want a name.
    wants_names: bool,
}

/// A file that has a temporary name, or none yet.
enum Filled {
    Named(File),
    Unnamed(File),
}

impl<'a> Writer<'a> {
    pub fn new(site: &'a Site<'a>, tmp: BorrowedFd<'a>, thread: usize) -> Self {
        Self {
            site,
            tmp,
            folders: site.folders(),
            thread,
            count: 0,
            ways: Ways::default(),
            wants_names: false,
        }
    }

    /// Writes one output; its line for the manifest.
    pub fn write(&mut self, item: &Write, blobs: &dyn Blobs) -> Result<(RelPath, Output), HandOverError> {
        let temp = format!("h{}-{}", self.thread, self.count);
        self.count += 1;
        let written = self.write_by(&temp, item, blobs);
        #[cfg(test)]
        if matches!(written, Err(HandOverError::Crashed)) {
            return Err(HandOverError::Crashed);
        }
        if written.is_err() {
            discard(self.tmp, &temp);
        }
        let stamp = match written? {
            Some(written) => written,
            None => {
                self.wants_names = true;
                return self.write(item, blobs);
            }
        };
        Ok((item.path.clone(), Output { stamp, ..item.output.clone() }))
    }

    /// The stamp, if it can be believed. `None` outside: it has to be done again, with a name.
    fn write_by(
        &mut self,
        temp: &str,
        item: &Write,
        blobs: &dyn Blobs,
    ) -> Result<Option<Option<Stamp>>, HandOverError> {
        let path = &item.path;
        let failed = |errno: Errno| HandOverError::io("written", path, errno);
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else {
            return Err(failed(Errno::INVAL));
        };
        let tmp = self.tmp;
        let fault = &self.site.fault;
        let time = time_between_ticks();
        let times = Timestamps { last_access: time, last_modification: time };
        let file = match &item.output.made {
            Made::File { size, exec, .. } => {
                let filled = self.fill(temp, *size, item, blobs)?;
                fault.point()?;
                let (Filled::Named(file) | Filled::Unnamed(file)) = &filled;
                fchmod(file, Mode::from_raw_mode(if *exec { 0o755 } else { 0o644 })).map_err(failed)?;
                futimens(file, &times).map_err(failed)?;
                Some(filled)
            }
            Made::Link(target) => {
                symlinkat(&**target, tmp, temp).map_err(failed)?;
                utimensat(tmp, temp, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                None
            }
            Made::Folder => return Err(failed(Errno::ISDIR)),
        };
        fault.point()?;
        let Some(folder) = self.folders.get(&parent)? else { return Err(failed(Errno::NOENT)) };
        match &file {
            Some(Filled::Unnamed(file)) => {
                if !link_new(file, (folder, name), path)? {
                    return Ok(None);
                }
            }
            Some(Filled::Named(_)) | None => put(fault, (tmp, temp), (folder, name), item)?,
        }
        fault.point()?;
        let stat = match &file {
            Some(Filled::Named(file) | Filled::Unnamed(file)) => fstat(file),
            None => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        let stamp = stamp_of(&stat.map_err(failed)?);
        // A file system that rounds times gives back another one.
        let kept = stamp.mtime_ns == nanoseconds(time);
        Ok(Some(kept.then_some(stamp)))
    }

    fn fill(
        &mut self,
        temp: &str,
        size: u64,
        item: &Write,
        blobs: &dyn Blobs,
    ) -> Result<Filled, HandOverError> {
        let path = &item.path;
        let Made::File { digest, .. } = &item.output.made else {
            return Err(HandOverError::io("written", path, Errno::INVAL));
        };
        let content = blobs
            .open_blob(digest)
            .map_err(|source| HandOverError::Bytes { path: path.clone(), source })?
            .ok_or_else(|| HandOverError::Gone { path: path.clone(), digest: *digest })?;
        let mut filled = match self.open_unnamed(item)? {
            Some(file) => Filled::Unnamed(file),
            None => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = openat(self.tmp, temp, flags, Mode::from_raw_mode(0o600));
                Filled::Named(File::from(file.map_err(|errno| HandOverError::io("written", path, errno))?))
            }
        };
        self.site.fault.point()?;
        let (Filled::Named(file) | Filled::Unnamed(file)) = &mut filled;
        let written =
            copy(&content, file, &self.ways).map_err(|error| HandOverError::io("written", path, error))?;
        if written != size {
            let source = io::Error::other(format!("{written} bytes instead of {size}"));
            return Err(HandOverError::Bytes { path: path.clone(), source: source.into() });
        }
        Ok(filled)
    }

    /// A file without a name, for where nothing may stand; `None` where it needs one.
    fn open_unnamed(&mut self, item: &Write) -> Result<Option<File>, HandOverError> {
        if item.replaces.is_some() || self.wants_names {
            return Ok(None);
        }
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        match openat(self.tmp, ".", flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => Ok(Some(File::from(file))),
            // The file system cannot, the kernel does not know it, or something between does not.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {
                self.wants_names = true;
                Ok(None)
            }
            Err(errno) => Err(HandOverError::io("written", &item.path, errno)),
        }
    }
}

/// Gives a file its name where nothing may stand. Whether it could be done; it cannot without `/proc`.
fn link_new(
    file: &File,
    (folder, name): (BorrowedFd<'_>, &[u8]),
    path: &RelPath,
) -> Result<bool, HandOverError> {
    let this = format!("/proc/self/fd/{}", file.as_raw_fd());
    match linkat(CWD, this, folder, name, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Err(HandOverError::conflict(path, InTheWay::Own)),
        Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::ROFS)) => {
            Err(HandOverError::io("written", path, errno))
        }
        // Whatever else it is, a rename does it or tells it better.
        Err(_) => Ok(false),
    }
}

/// Renames a finished temp file to its place; both are names in open folders.
fn put(
    fault: &Fault,
    (tmp, temp): (BorrowedFd<'_>, &str),
    (folder, name): (BorrowedFd<'_>, &[u8]),
    item: &Write,
) -> Result<(), HandOverError> {
    let failed = |errno: Errno| HandOverError::io("written", &item.path, errno);
    let conflict = || HandOverError::conflict(&item.path, InTheWay::Edited);
    let put_new = || put_new((tmp, temp), (folder, name), &item.path);
    let Some(before) = item.replaces else { return put_new() };
    match renameat_with(tmp, temp, folder, name, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // It was removed meanwhile.
        Err(Errno::NOENT) => return put_new(),
        // A file system that cannot exchange: look, then rename.
        Err(Errno::INVAL) => {
            return match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if stamp_of(&stat) == before => renameat(tmp, temp, folder, name).map_err(failed),
                Ok(_) => Err(conflict()),
                Err(Errno::NOENT) => put_new(),
                Err(errno) => Err(failed(errno)),
            };
        }
        Err(errno) => return Err(failed(errno)),
    }
    fault.point()?;
    let out = stamp_of(&statat(tmp, temp, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?);
    if !is_same_but_renamed(&out, &before) {
        renameat_with(tmp, temp, folder, name, RenameFlags::EXCHANGE).map_err(failed)?;
        return Err(conflict());
    }
    unlinkat(tmp, temp, AtFlags::empty()).map_err(failed)
}

/// Renames to where nothing may stand.
fn put_new(
    (tmp, temp): (BorrowedFd<'_>, &str),
    (folder, name): (BorrowedFd<'_>, &[u8]),
    path: &RelPath,
) -> Result<(), HandOverError> {
    let failed = |errno: Errno| HandOverError::io("written", path, errno);
    let conflict = || HandOverError::conflict(path, InTheWay::Own);
    match renameat_with(tmp, temp, folder, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(conflict()),
        Err(Errno::INVAL) => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => renameat(tmp, temp, folder, name).map_err(failed),
            Ok(_) => Err(conflict()),
            Err(errno) => Err(failed(errno)),
        },
        Err(errno) => Err(failed(errno)),
    }
}

/// Whether a file is the one that was stamped; renaming it has changed its change time.
pub fn is_same_but_renamed(now: &Stamp, before: &Stamp) -> bool {
    *now == Stamp { ctime_ns: now.ctime_ns, ..*before }
}

/// Removes a temp file that is of no use; the next sweep takes it if this does not.
pub fn discard(tmp: BorrowedFd<'_>, temp: &str) {
    match unlinkat(tmp, temp, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => tracing::debug!(%error, "a file in tmp stays until the next sweep"),
    }
}

/// Now, to the nanosecond, and never the time of a tick.
fn time_between_ticks() -> Timespec {
    let tick = Moment::now().nanoseconds();
    let mut now = clock_gettime(ClockId::Realtime);
    if nanoseconds(now) == tick || now.tv_nsec == 0 {
        now.tv_nsec = now.tv_nsec % 999_999_999 + 1;
    }
    now
}

fn nanoseconds(time: Timespec) -> i64 {
    protocol::stamp::nanoseconds(time.tv_sec, time.tv_nsec)
}
