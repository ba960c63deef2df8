//! Opening paths of the project without ever following a symbolic link.
//!
//! A user may replace a folder by a link that leads out of the project at any time; nothing of ours may be read or
//! written through it. Every open starts at a descriptor of the project's root.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::{Digest, RelPath};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// How many bytes of a file are read at a time.
const READ_SIZE: usize = 128 << 10;

/// Opens a folder of the operating system as the root for [`open`].
pub fn root(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens `path` below `root`. No part of it may be a link: that is `ELOOP` or `ENOTDIR`.
pub fn open(root: BorrowedFd<'_>, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if path.is_root() {
        return Ok(openat(root, ".", flags, Mode::empty())?);
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path.as_bytes(), flags, Mode::empty(), resolve) {
        // Older kernels lack it, and some container profiles refuse it.
        Err(Errno::NOSYS | Errno::PERM) => open_by_parts(root, path, flags),
        // It was raced by a rename elsewhere.
        Err(Errno::AGAIN) => open_by_parts(root, path, flags),
        opened => Ok(opened?),
    }
}

fn open_by_parts(root: BorrowedFd<'_>, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
    let folder_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder: Option<OwnedFd> = None;
    let mut parts = path.parts().peekable();
    while let Some(part) = parts.next() {
        let at = folder.as_ref().map_or(root, |fd| fd.as_fd());
        if parts.peek().is_none() {
            return Ok(openat(at, part, flags, Mode::empty())?);
        }
        folder = Some(openat(at, part, folder_flags, Mode::empty())?);
    }
    Err(io::Error::from(io::ErrorKind::InvalidInput))
}

/// Opens a folder for use as a base of `*at` calls.
pub fn open_folder(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<OwnedFd> {
    open(root, path, OFlags::PATH | OFlags::DIRECTORY)
}

/// Opens a regular file for reading; a FIFO that was put there meanwhile does not block.
pub fn open_file(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<File> {
    let file = File::from(open(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::from(Errno::LOOP)) }
}

/// The digest of all that can be read from here on.
pub fn digest(reader: &mut impl Read) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from(hasher.finalize())),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

/// Whether an error of [`open`] means that nothing stands at the path, or that a part above it is no folder.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Whether an error means that this user may not look there.
pub fn is_denied(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn links_are_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/f"), "text").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("l")).unwrap();
        std::os::unix::fs::symlink("a/b/f", dir.path().join("lf")).unwrap();
        let root = root(dir.path()).unwrap();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for (name, wanted) in
            [("a/b/f", true), ("l/b/f", false), ("lf", false), ("a/b/f/x", false), ("a/x", false)]
        {
            let opened = open_file(root.as_fd(), &path(name));
            assert_eq!(opened.is_ok(), wanted, "{name}");
            assert_eq!(open_by_parts(root.as_fd(), &path(name), flags).is_ok(), wanted, "{name}");
            assert!(opened.err().is_none_or(|error| is_absent(&error)), "{name}");
        }
        assert!(open_folder(root.as_fd(), &RelPath::root()).is_ok());
        assert!(open_folder(root.as_fd(), &path("l")).is_err());
    }

    #[test]
    fn digests_are_those_of_the_bytes() {
        let bytes = vec![7u8; READ_SIZE * 2 + 5];
        assert_eq!(digest(&mut &bytes[..]).unwrap(), Digest::of(&bytes));
    }
}
