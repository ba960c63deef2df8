//! Whether configuring asks how big files are. CMake, Meson and Autoconf's scripts look for each source, and what they are told of it has its size;
//! if that counted, each edit would configure again. So it counts only where the project's own files may ask for it.
//!
//! They may where they say so, and where they run a program that could; what is not understood counts as asking, which is slow and right. Not
//! looked at is what feature tests (`try_run`) do that are compiled while configuring.

mod calls;
mod shell;

use std::path::Path;

use self::calls::Taken;
use crate::{ChefError, read};

/// How many entries are looked at, and how deep. Beyond that sizes count.
const MAX_ENTRIES: usize = 200_000;
const MAX_DEPTH: usize = 32;
/// So much is read of a file, in bytes. More counts as asking.
const MAX_FILE: u64 = 4 << 20;

/// Whether what says how CMake configures a project may ask.
///
/// # Errors
/// A folder, or one of those files, cannot be read.
pub(crate) fn by_cmake(project: &Path) -> Result<bool, ChefError> {
    let is_said = |name: &str| {
        name == "CMakeLists.txt" || [".cmake", ".cmake.in"].iter().any(|end| name.ends_with(end))
    };
    // Projects of their own, as tests have them, count only where one is taken in.
    let (mut own, mut taken) = (Vec::new(), Taken::default());
    let is_asked = any(project, |path, name| {
        if !is_said(name) {
            return Ok(false);
        }
        let text = read(path, MAX_FILE)?;
        let asks = text.len() as u64 >= MAX_FILE || calls::ask_in_cmake(&text);
        let folder = path.parent().filter(|folder| *folder != project && name == "CMakeLists.txt");
        match folder.and_then(Path::file_name).filter(|_| calls::is_cmake_project(&text)) {
            Some(folder) => {
                let mut takes = Taken::default();
                takes.by(&text);
                own.push((folder.to_string_lossy().to_ascii_lowercase(), asks, takes));
                Ok(false)
            }
            None => {
                taken.by(&text);
                Ok(asks)
            }
        }
    })?;
    if is_asked {
        return Ok(true);
    }
    loop {
        let (now, later): (Vec<_>, Vec<_>) = own.into_iter().partition(|(folder, ..)| taken.has(folder));
        if now.is_empty() || now.iter().any(|(_, asks, _)| *asks) {
            return Ok(!now.is_empty());
        }
        now.into_iter().for_each(|(.., takes)| taken.join(takes));
        own = later;
    }
}

/// The same for Meson.
///
/// # Errors
/// As [`by_cmake`].
pub(crate) fn by_meson(project: &Path) -> Result<bool, ChefError> {
    any(project, |path, name| Ok(name == "meson.build" && says(path, calls::ask_in_meson)?))
}

/// The same for a `configure` of Autoconf, and all others that it may call.
///
/// # Errors
/// As [`by_cmake`].
pub(crate) fn by_autoconf(project: &Path) -> Result<bool, ChefError> {
    let script = project.join("configure");
    if says(&script, shell::asks)? {
        return Ok(true);
    }
    let text = read(&script, MAX_FILE)?;
    let named = shell::names(&text);
    any(project, |path, name| {
        let is_other = name == "configure" && path != script;
        // A source is named, too, and is not to be read: each edit of it would ask this chef again.
        let may_be = named.contains(name) && !shell::is_source(name);
        Ok(is_other || may_be && shell::is_script(name, &read(path, 2)?))
    })
}

fn says(path: &Path, asks: fn(&str) -> bool) -> Result<bool, ChefError> {
    let text = read(path, MAX_FILE)?;
    Ok(text.len() as u64 >= MAX_FILE || asks(&text))
}

/// Whether this is so for a file of the project, by its path and its name.
fn any(
    project: &Path,
    mut is_so: impl FnMut(&Path, &str) -> Result<bool, ChefError>,
) -> Result<bool, ChefError> {
    let mut folders = vec![(project.to_owned(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in crate::entries(&folder)? {
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Ok(true);
            }
            let kind = entry.file_type().map_err(ChefError::unreadable(&folder))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if kind.is_dir() && !matches!(name, ".git" | ".majordomo") {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && is_so(&entry.path(), name)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whoever_asks_is_found_in_any_folder() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        write("CMakeLists.txt", "project(p C)\nfile(GLOB sources *.c)\n");
        write("file(SIZE", "file(SIZE a b)\n");
        assert!(!by_cmake(folder.path()).unwrap());
        fs::create_dir_all(folder.path().join(".ci/b")).unwrap();
        for name in ["CMakeLists.txt", "sizes.cmake", "sizes.cmake.in"] {
            let path = format!(".ci/b/{name}");
            write(&path, "FILE( SIZE data.bin N)\n");
            assert!(by_cmake(folder.path()).unwrap(), "{name}");
            fs::remove_file(folder.path().join(path)).unwrap();
        }
    }

    #[test]
    fn a_cmake_project_of_its_own_counts_where_it_is_taken_in() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        fs::create_dir_all(folder.path().join("test/Other")).unwrap();
        write("test/Other/CMakeLists.txt", "project(other)\nexecute_process(COMMAND ${CMAKE_COMMAND} .)\n");
        let asked = |text: &str| {
            write("CMakeLists.txt", text);
            by_cmake(folder.path()).unwrap()
        };
        assert!(!asked(
            "project(p)\nadd_subdirectory(test)\nadd_test(NAME other COMMAND ctest test/Other)\n"
        ));
        assert!(asked("project(p)\nadd_subdirectory(test/Other)\n"));
        assert!(asked("project(p)\nadd_subdirectory(\"test/Other/\" out)\n"));
        assert!(asked("project(p)\nforeach(d a b)\nadd_subdirectory(${d})\nendforeach()\n"));
        assert!(!asked("project(p)\ntry_compile(works ${CMAKE_BINARY_DIR} SOURCES a.c)\n"));
        assert!(asked("project(p)\ntry_compile(works ${CMAKE_BINARY_DIR}/x test/Other other)\n"));
        // One that is taken in takes in another one.
        fs::create_dir(folder.path().join("more")).unwrap();
        write("more/CMakeLists.txt", "project(more)\nadd_subdirectory(../test/Other other)\n");
        assert!(asked("project(p)\nadd_subdirectory(more)\n"));
        assert!(!asked("project(p)\n"));
        write("test/Other/CMakeLists.txt", "execute_process(COMMAND ${CMAKE_COMMAND} .)\n");
        assert!(asked("project(p)\n"));
    }

    #[test]
    fn scripts_that_configure_may_run_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
        write(
            "configure",
            "#! /bin/sh\n# gen.sh is of us\ntest -r \"$srcdir/main.c\" && sh $ac_aux_dir/missing x\n",
        );
        write("missing", "#!/bin/sh\n");
        write("gen.sh", "#!/bin/sh\n");
        write("main.c", "int main;\n");
        assert!(!by_autoconf(folder.path()).unwrap());
        write("configure", "#! /bin/sh\nV=`sh $srcdir/gen.sh`\n");
        assert!(by_autoconf(folder.path()).unwrap());
        write("configure", "#! /bin/sh\nN=`stat -c %s data.bin`\n");
        assert!(by_autoconf(folder.path()).unwrap());
        write("configure", "#! /bin/sh\n");
        fs::create_dir(folder.path().join("lib")).unwrap();
        assert!(!by_autoconf(folder.path()).unwrap());
        write("lib/configure", "#! /bin/sh\n");
        assert!(by_autoconf(folder.path()).unwrap());
    }
}
