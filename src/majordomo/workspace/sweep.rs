//! Clearing `.majordomo/tmp` of what an interrupted hand-over left there.

use std::fs;
use std::io;

use super::{Workspace, WorkspaceError};

impl Workspace {
    /// Removes everything in `tmp`. Only the lock's holder may: another build's files are there otherwise.
    pub(super) fn sweep(&self) -> Result<(), WorkspaceError> {
        let tmp = self.tmp();
        let failed = |e| WorkspaceError::io("written", &tmp, e);
        let entries = match fs::read_dir(&tmp) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return fs::create_dir(&tmp).map_err(failed);
            }
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
                _ => fs::remove_file(entry.path()),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_the_lock_sweeps() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open_or_create(dir.path()).unwrap();
        fs::write(workspace.tmp().join("file"), "x").unwrap();
        fs::create_dir_all(workspace.tmp().join("a/b")).unwrap();
        let _lock = workspace.try_lock().unwrap().unwrap();
        assert_eq!(fs::read_dir(workspace.tmp()).unwrap().count(), 0);
        fs::remove_dir(workspace.tmp()).unwrap();
        workspace.sweep().unwrap();
        assert!(workspace.tmp().is_dir());
    }
}
