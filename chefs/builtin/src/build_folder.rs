//! The folder for the outputs of projects that are built beside their sources.

use std::fs;
use std::io;
use std::path::Path;

use crate::ChefError;

/// What it is called: the first of these that the project does not use itself.
const NAMES: [&str; 6] = ["build", "_build", "build.1", "build.2", "build.3", "build.4"];

/// How deep a folder is looked into for whether something is in it, and how many entries.
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 10_000;

/// Chooses it: a name at which the project has nothing, or folders alone.
///
/// # Errors
/// A folder cannot be read, or the project uses all names.
pub fn choose(project: &Path) -> Result<String, ChefError> {
    for name in NAMES {
        let mut entries = MAX_ENTRIES;
        if is_free(&project.join(name), MAX_DEPTH, &mut entries)? {
            return Ok(name.to_owned());
        }
    }
    Err(ChefError::NoFolder { names: NAMES.join("`, `") })
}

fn is_free(path: &Path, depth: usize, entries: &mut usize) -> Result<bool, ChefError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(ChefError::unreadable(path)(error)),
    };
    if !kind.is_dir() || depth == 0 {
        return Ok(false);
    }
    for entry in fs::read_dir(path).map_err(ChefError::unreadable(path))? {
        let entry = entry.map_err(ChefError::unreadable(path))?;
        *entries = entries.saturating_sub(1);
        if *entries == 0 || !is_free(&entry.path(), depth - 1, entries)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_project_uses_itself_is_left_alone() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path();
        assert_eq!(choose(path).unwrap(), "build");
        fs::create_dir_all(path.join("build/a/b")).unwrap();
        assert_eq!(choose(path).unwrap(), "build");
        fs::write(path.join("build/a/b/c"), "").unwrap();
        assert_eq!(choose(path).unwrap(), "_build");
        std::os::unix::fs::symlink("nowhere", path.join("_build")).unwrap();
        assert_eq!(choose(path).unwrap(), "build.1");
        for name in NAMES.iter().skip(2) {
            fs::write(path.join(name), "").unwrap();
        }
        assert!(choose(path).unwrap_err().to_string().contains("`build.4`"));
    }
}
