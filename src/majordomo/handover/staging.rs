//! The folder in which a hand-over's files are written before they are renamed.
//!
//! ext4 takes a new file's inode from the block group of its folder, and there it looks, for minutes, at each inode that
//! was freed since before it takes another: restoring a thousand outputs right after they were deleted took 600 ms
//! instead of 30. So `tmp` is marked as a folder whose subfolders have nothing to do with each other (`chattr +T`, which
//! other file systems refuse or ignore), and each bigger hand-over writes in a subfolder of its own, elsewhere on the disk.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, IFlags, Mode, OFlags, ioctl_getflags, ioctl_setflags, openat};

use crate::majordomo::workspace::{Workspace, WorkspaceError, beneath};

/// `FS_TOPDIR_FL` of `linux/fs.h`.
const TOPDIR: IFlags = IFlags::from_bits_retain(0x0002_0000);

/// A folder for temp files, which goes when this is dropped. What a crash leaves is swept at the next start.
pub struct Staging {
    path: PathBuf,
    folder: OwnedFd,
}

impl Staging {
    pub fn new(workspace: &Workspace) -> Result<Self, WorkspaceError> {
        let tmp = workspace.tmp();
        spread(&tmp);
        // The name decides where on the disk it is.
        let mut bits = [0; 8];
        getrandom::fill(&mut bits)
            .map_err(|e| WorkspaceError::io("written", &tmp, std::io::Error::other(e.to_string())))?;
        let path = tmp.join(format!("{:016x}", u64::from_ne_bytes(bits)));
        let made = fs::create_dir(&path).and_then(|()| beneath::root(&path));
        match made {
            Ok(folder) => Ok(Self { path, folder }),
            Err(source) => Err(WorkspaceError::io("written", &path, source)),
        }
    }

    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Only a hint to the file system, so it may fail.
fn spread(tmp: &std::path::Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let marked = openat(CWD, tmp, flags, Mode::empty()).and_then(|fd| {
        let flags = ioctl_getflags(&fd)?;
        if flags.contains(TOPDIR) { Ok(()) } else { ioctl_setflags(&fd, flags | TOPDIR) }
    });
    if let Err(error) = marked {
        tracing::debug!(%error, "the file system does not spread temp files");
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::debug!(%error, "a folder in tmp stays until the next sweep");
        }
    }
}
