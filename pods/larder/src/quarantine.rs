//! Where damaged things go, so that a person can look at them: `quarantine/`, bounded in the number of files.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use protocol::Digest;

use crate::LarderError;
use crate::fault::{Effect, Faults};
use crate::options::QUARANTINE_FILES;
use crate::packs::Spot;
use crate::record::HEADER;

#[derive(Clone)]
pub(crate) struct Quarantine {
    folder: PathBuf,
    faults: Faults,
}

impl Quarantine {
    pub(crate) fn new(folder: PathBuf, faults: Faults) -> Self {
        Self { folder, faults }
    }

    /// Moves a blob's file away.
    pub(crate) fn take_blob(&self, path: &Path, digest: &Digest) -> Result<(), LarderError> {
        let to = self.free_name(&format!("{}.blob", digest.hex()))?;
        self.rename(path, &to)
    }

    /// Copies a record out of its pack; its bytes there are dead from now on.
    pub(crate) fn take_record(&self, pack: &File, spot: Spot, digest: &Digest) -> Result<(), LarderError> {
        let to = self.free_name(&format!("{}.{:08}-{}.record", digest.hex(), spot.pack, spot.offset))?;
        let copy = || -> std::io::Result<()> {
            self.faults.before(Effect::Quarantine)?;
            let mut bytes = vec![0; HEADER + spot.length as usize];
            let count = pack.read_at(&mut bytes, u64::from(spot.offset))?;
            std::fs::write(&to, &bytes[..count])
        };
        copy().map_err(|error| LarderError::io("write", &to, error))
    }

    /// Moves the database away, with what SQLite keeps beside it.
    pub(crate) fn take_index(&self, path: &Path) -> Result<(), LarderError> {
        let to = self.free_name("index.sqlite")?;
        for suffix in ["-wal", "-shm", ""] {
            let with = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                PathBuf::from(name)
            };
            if with(path).exists() {
                self.rename(&with(path), &with(&to))?;
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), LarderError> {
        self.faults
            .before(Effect::Quarantine)
            .and_then(|()| std::fs::rename(from, to))
            .map_err(|error| LarderError::io("move to the quarantine", from, error))
    }

    /// A name that is not taken; makes room first.
    fn free_name(&self, name: &str) -> Result<PathBuf, LarderError> {
        let failed = |error| LarderError::io("list", &self.folder, error);
        let mut there = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let changed = entry.metadata().and_then(|meta| meta.modified()).map_err(failed)?;
            there.push((changed, entry.path()));
        }
        there.sort();
        for (_, path) in there.iter().take((there.len() + 1).saturating_sub(QUARANTINE_FILES)) {
            std::fs::remove_file(path).map_err(|error| LarderError::io("remove", path, error))?;
        }
        let free = (0u32..)
            .map(|n| if n == 0 { name.to_owned() } else { format!("{n}-{name}") })
            .map(|name| self.folder.join(name))
            .find(|path| !path.exists());
        Ok(free.unwrap_or_else(|| self.folder.join(name)))
    }
}
