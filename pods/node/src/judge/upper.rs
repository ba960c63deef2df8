//! A folder of the upper layer, as it lies on the disk.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::lgetxattr;
use rustix::io::Errno;

/// Where a name of a folder is.
pub(super) fn path_in(folder: &Path, name: &[u8]) -> PathBuf {
    folder.join(OsStr::from_bytes(name))
}

/// The names in a folder, sorted; one whose mode forbids reading is opened up first.
pub(super) fn names_of(folder: &Path) -> io::Result<Vec<Box<[u8]>>> {
    let read = || -> io::Result<Vec<Box<[u8]>>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| Ok(entry?.file_name().into_vec().into_boxed_slice()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let mode = fs::symlink_metadata(folder)?.mode();
    if mode & 0o500 != 0o500 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    read()
}

/// Whether a folder hides what the lower layer has at its place.
///
/// # Errors
/// The disk fails. A file system that has no such attributes has no opaque folders.
pub(super) fn is_opaque(folder: &Path) -> io::Result<bool> {
    for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        let mut value = [0u8; 1];
        match lgetxattr(folder, name, &mut value[..]) {
            Ok(length) if length == 1 && value[0] == b'y' => return Ok(true),
            Ok(_) | Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE | Errno::PERM) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(false)
}
