//! Whether configuring asks how big files are. CMake and Meson look for each source, and what they are told of it has its size; if that counted,
//! each edit would configure again. So it counts only where the project's own files ask for it.

use std::fs;
use std::path::Path;

use crate::{ChefError, read};

/// What programs are asked with that configuring may run.
const PROGRAMS: [&str; 12] = [
    " stat ",
    "\"stat\"",
    "'stat'",
    "stat -",
    "test -s",
    "[ -s",
    " -size ",
    "\"-size\"",
    "'-size'",
    "getsize",
    "st_size",
    "ls -l",
];

/// How many entries are looked at, and how deep. Beyond that sizes count: what is slow is still right.
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 32;
/// So much is read of a file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Whether one of the files that say how a project is configured has one of these words, or starts a program that looks for sizes.
///
/// # Errors
/// A folder or one of those files cannot be read.
pub(crate) fn are_asked_for(
    project: &Path,
    is_said: fn(&str) -> bool,
    asking: &[&str],
) -> Result<bool, ChefError> {
    let mut folders = vec![(project.to_owned(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ChefError::unreadable(&folder))? {
            let entry = entry.map_err(ChefError::unreadable(&folder))?;
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Ok(true);
            }
            let kind = entry.file_type().map_err(ChefError::unreadable(&folder))?;
            let name = entry.file_name();
            if kind.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && name.to_str().is_some_and(is_said) {
                // As it may stand: `file (SIZE`.
                let text =
                    read(&entry.path(), MAX_FILE)?.to_lowercase().replace(" (", "(").replace("( ", "(");
                if asking.iter().chain(&PROGRAMS).any(|word| text.contains(word)) {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_is_found_in_any_folder() {
        let folder = tempfile::tempdir().unwrap();
        let is_said: fn(&str) -> bool = |name| name == "CMakeLists.txt";
        let asked = || are_asked_for(folder.path(), is_said, &["file(size"]).unwrap();
        fs::write(folder.path().join("CMakeLists.txt"), "project(p C)\nfile(GLOB sources *.c)\n").unwrap();
        fs::write(folder.path().join("file(SIZE"), "file(SIZE a b)\n").unwrap();
        fs::write(folder.path().join("warn.txt"), "-Walloc-size-larger-than=1").unwrap();
        assert!(!asked());
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/CMakeLists.txt"), "FILE( SIZE data.bin N)\n").unwrap();
        assert!(asked());
        fs::write(folder.path().join("a/b/CMakeLists.txt"), "execute_process(COMMAND sh -c \"test -s x\")\n")
            .unwrap();
        assert!(asked());
    }
}
