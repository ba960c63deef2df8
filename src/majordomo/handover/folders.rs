//! Open folders of the project, by path. No link is followed on the way to one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use protocol::RelPath;
use rustc_hash::FxHashMap;
use rustix::fs::{Mode, chmodat, mkdirat};
use rustix::io::Errno;

use super::HandOverError;
use crate::majordomo::workspace::beneath;
use crate::majordomo::workspace::standing::first_non_folder;

/// Folders that are kept open at a time.
const MOST_OPEN: usize = 64;

/// Modes of folders that we make, whatever the user's mask.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// Open folders below a root.
pub struct Folders<'a> {
    root: BorrowedFd<'a>,
    open: FxHashMap<RelPath, OwnedFd>,
}

impl<'a> Folders<'a> {
    pub fn new(root: BorrowedFd<'a>) -> Self {
        Self { root, open: FxHashMap::default() }
    }

    /// A folder; `None` if it is not there.
    pub fn get(&mut self, path: &RelPath) -> Result<Option<BorrowedFd<'_>>, HandOverError> {
        if !self.open.contains_key(path) {
            if self.open.len() >= MOST_OPEN {
                self.open.clear();
            }
            match beneath::open_folder(self.root, path) {
                Ok(fd) => self.open.insert(path.clone(), fd),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) if beneath::is_absent(&error) => {
                    let below = path.child(b"x").unwrap_or_else(|| path.clone());
                    let part = first_non_folder(self.root, &below)
                        .map_err(|source| HandOverError::io("opened", path, source))?;
                    return Err(HandOverError::NoFolder { path: path.clone(), part });
                }
                Err(error) => return Err(HandOverError::io("opened", path, error)),
            };
        }
        Ok(self.open.get(path).map(|fd| fd.as_fd()))
    }

    /// Makes a folder in one that is there; one that is there already is fine.
    pub fn make(&mut self, path: &RelPath) -> Result<(), HandOverError> {
        let (Some(parent), Some(name)) = (path.parent(), path.name()) else { return Ok(()) };
        let Some(at) = self.get(&parent)? else {
            return Err(HandOverError::io("written", path, Errno::NOENT));
        };
        match mkdirat(at, name, FOLDER_MODE) {
            Ok(()) => chmodat(at, name, FOLDER_MODE, rustix::fs::AtFlags::empty())
                .map_err(|errno| HandOverError::io("written", path, errno)),
            // It must be a folder, and no link to one.
            Err(Errno::EXIST) => self.get(path).map(|_| ()),
            Err(errno) => Err(HandOverError::io("written", path, errno)),
        }
    }

    /// Forgets what is open: folders were removed.
    pub fn clear(&mut self) {
        self.open.clear();
    }
}
