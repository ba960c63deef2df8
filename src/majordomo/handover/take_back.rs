//! Moving the user's things aside, so that outputs can be handed over: `NAME.mine`, `NAME.mine.2` …

use std::os::fd::AsFd;

use protocol::RelPath;
use rustix::fs::{AtFlags, RenameFlags, renameat, renameat_with, statat};
use rustix::io::Errno;

use super::folders::Folders;
use super::{Changes, HandOverError};
use crate::majordomo::workspace::{Lock, Manifest, Workspace};

/// Most names that are tried for one path.
const MOST_NAMES: u32 = 10_000;

/// Moves what stands at these paths aside, whatever it is; where each went. What is not there is left out. The manifest
/// forgets the paths, and is on disk when this returns.
pub fn take_back(
    workspace: &Workspace,
    _lock: &Lock,
    manifest: &mut Manifest,
    paths: &[RelPath],
) -> Result<Vec<(RelPath, RelPath)>, HandOverError> {
    let mut folders = Folders::new(workspace.root());
    let mut moved = Vec::new();
    let mut failure = None;
    for path in paths {
        match aside(&mut folders, path) {
            Ok(Some(to)) => moved.push((path.clone(), to)),
            Ok(None) => {}
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let gone: Changes = moved.iter().map(|(path, _)| (path.clone(), None)).collect();
    manifest.apply(gone);
    manifest.save(workspace)?;
    failure.map_or(Ok(moved), Err)
}

fn aside(folders: &mut Folders<'_>, path: &RelPath) -> Result<Option<RelPath>, HandOverError> {
    let failed = |errno: Errno| HandOverError::io("moved aside", path, errno);
    let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(None) };
    let Some(folder) = folders.get(&parent)? else { return Ok(None) };
    for number in 1..=MOST_NAMES {
        let mut new = [name, b".mine"].concat();
        if number > 1 {
            new.extend_from_slice(format!(".{number}").as_bytes());
        }
        let renamed = match renameat_with(folder, name, folder, &new[..], RenameFlags::NOREPLACE) {
            // A file system that cannot be asked so.
            Err(Errno::INVAL) => match statat(folder, &new[..], AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => renameat(folder.as_fd(), name, folder.as_fd(), &new[..]),
                Ok(_) => Err(Errno::EXIST),
                Err(errno) => Err(errno),
            },
            renamed => renamed,
        };
        match renamed {
            Ok(()) => return Ok(parent.child(&new)),
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(failed(errno)),
        }
    }
    Err(failed(Errno::EXIST))
}
