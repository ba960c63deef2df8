//! Removal of trees that a step has left: any depth, any modes, any names.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, chmodat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Folders inside folders that are followed; deeper ones are moved up to the top first, so that few descriptors do for any depth.
const DEEPEST: usize = 32;

/// Removes a folder and all that is in it, whatever modes it has, never following a link. What is not there, or no longer, is no error.
///
/// # Errors
/// Something in it cannot be removed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let top = match open(CWD, path) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    empty_top(&top)?;
    Ok(unless_gone(unlinkat(CWD, path, AtFlags::REMOVEDIR))?)
}

/// Somebody else may be removing the same tree.
fn unless_gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    if removed == Err(Errno::NOENT) { Ok(()) } else { removed }
}

/// Removes all that is in a folder.
pub(crate) fn empty_folder(path: &Path) -> io::Result<()> {
    empty_top(&open(CWD, path)?)
}

fn empty_top(top: &OwnedFd) -> io::Result<()> {
    let mut moved_up = VecDeque::new();
    let mut next_name = 0;
    empty(top.as_fd(), top.as_fd(), 0, &mut moved_up, &mut next_name)?;
    while let Some(name) = moved_up.pop_front() {
        let folder = open(top.as_fd(), name.as_str())?;
        empty(folder.as_fd(), top.as_fd(), 1, &mut moved_up, &mut next_name)?;
        unlinkat(top, name.as_str(), AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn empty(
    folder: BorrowedFd<'_>,
    top: BorrowedFd<'_>,
    depth: usize,
    moved_up: &mut VecDeque<String>,
    next_name: &mut u64,
) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || (depth == 0 && is_moved(name.to_bytes(), moved_up)) {
            continue;
        }
        if entry.file_type() != FileType::Directory {
            match unlinkat(folder, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {}
                removed => {
                    unless_gone(removed)?;
                    continue;
                }
            }
        }
        if unless_gone(unlinkat(folder, name, AtFlags::REMOVEDIR)).is_ok() {
            continue;
        }
        let inside = match open(folder, name) {
            Err(Errno::NOENT) => continue,
            inside => inside?,
        };
        if depth < DEEPEST {
            empty(inside.as_fd(), top, depth + 1, moved_up, next_name)?;
            unless_gone(unlinkat(folder, name, AtFlags::REMOVEDIR))?;
        } else {
            move_up(folder, name, top, moved_up, next_name)?;
        }
    }
    Ok(())
}

fn is_moved(name: &[u8], moved_up: &VecDeque<String>) -> bool {
    name.starts_with(MOVED) && moved_up.iter().any(|moved| moved.as_bytes() == name)
}

const MOVED: &[u8] = b".moved-up-";

fn move_up(
    folder: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    top: BorrowedFd<'_>,
    moved_up: &mut VecDeque<String>,
    next_name: &mut u64,
) -> io::Result<()> {
    loop {
        let new = format!(".moved-up-{next_name}");
        *next_name += 1;
        match rustix::fs::renameat_with(folder, name, top, new.as_str(), rustix::fs::RenameFlags::NOREPLACE) {
            Ok(()) => {
                moved_up.push_back(new);
                return Ok(());
            }
            Err(Errno::EXIST) => {}
            // A file system without this flag: names that begin like ours are not to be expected there either.
            Err(Errno::INVAL) => {
                renameat(folder, name, top, new.as_str())?;
                moved_up.push_back(new);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens a folder that can be listed and emptied, whatever its mode was.
fn open<P: rustix::path::Arg + Copy>(parent: BorrowedFd<'_>, name: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let usable = Mode::RWXU;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(parent, name, usable, AtFlags::empty())?;
            openat(parent, name, flags, Mode::empty())
        }
        Ok(folder) => {
            let stat = rustix::fs::fstat(&folder)?;
            if stat.st_mode & 0o700 != 0o700 {
                rustix::fs::fchmod(&folder, usable)?;
            }
            Ok(folder)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn any_tree_goes() {
        let home = tempfile::tempdir().unwrap();
        let kept = home.path().join("kept");
        fs::write(&kept, "x").unwrap();
        let top = home.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        symlink(home.path(), top.join("a/link")).unwrap();
        // A name of the kind that the removal itself makes.
        fs::create_dir_all(top.join(".moved-up-0/x")).unwrap();
        fs::set_permissions(top.join("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
        // Deeper than any path can be long.
        let mut folder = open(CWD, &*top).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&folder, "deep", Mode::RWXU).unwrap();
            folder = open(folder.as_fd(), "deep").unwrap();
        }
        drop(folder);
        remove_tree(&top).unwrap();
        assert!(!top.exists() && kept.exists());
        remove_tree(&top).unwrap();
    }
}
