//! What of this machine is shown in the container: the zygote's program, and the libraries that it needs to start.
//!
//! They are those that this process has loaded, for the zygote is this very program: no list that could go stale, and nothing else of the machine.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::kitchen::ZygoteProgram;

/// Where the program stands in the container.
const PROGRAM: &str = "/zygote";
/// Where its libraries do.
const LIBRARIES: &str = "/libraries";
/// The file name of its dynamic loader.
const LOADER: &str = "/loader";

/// What the container shows, and what is run in it.
pub(super) struct Shown {
    /// Files: where they are here, and where there.
    pub(super) files: Vec<(PathBuf, PathBuf)>,
    /// The command.
    pub(super) words: Vec<OsString>,
}

impl Shown {
    /// Of a zygote's program that uses no library that this process has not loaded.
    pub(super) fn of(zygote: &ZygoteProgram) -> io::Result<Self> {
        let program = fs::canonicalize(&zygote.program)?;
        let (loader, libraries) = loaded(&fs::read_to_string("/proc/self/maps")?, loader_address());
        let mut files = vec![(program, PathBuf::from(PROGRAM))];
        let mut words = Vec::new();
        if let Some(loader) = loader {
            // The loader is called by name, so that neither its usual place nor its cache is needed.
            words.extend([LOADER, "--library-path", LIBRARIES].map(OsString::from));
            files.push((loader, PathBuf::from(LOADER)));
            let name = |path: &Path| path.file_name().map(|name| Path::new(LIBRARIES).join(name));
            files.extend(libraries.into_iter().filter_map(|path| name(&path).map(|there| (path, there))));
        }
        words.push(PROGRAM.into());
        words.extend(zygote.arguments.iter().cloned());
        Ok(Self { files, words })
    }
}

/// The address of this process's dynamic loader; 0 if it is a static program.
fn loader_address() -> u64 {
    // SAFETY: getauxval(3) reads the process's own vector.
    unsafe { libc::getauxval(libc::AT_BASE) }
}

/// The loader and the libraries among what is mapped (proc_pid_maps(5)).
fn loaded(maps: &str, loader: u64) -> (Option<PathBuf>, Vec<PathBuf>) {
    let mut found: Option<PathBuf> = None;
    let mut libraries = Vec::new();
    for line in maps.lines() {
        // address perms offset dev inode pathname; a pathname may hold blanks.
        let Some(at) = line.find('/') else { continue };
        let path = PathBuf::from(&line[at..]);
        let begins = line.split('-').next().and_then(|text| u64::from_str_radix(text, 16).ok());
        if begins == Some(loader) {
            found = Some(path);
        } else if is_library(&path) && !libraries.contains(&path) {
            libraries.push(path);
        }
    }
    libraries.retain(|path| Some(path) != found.as_ref());
    (found, libraries)
}

fn is_library(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".so") || name.contains(".so.")
}

/// An empty folder to be the container's root.
pub(super) fn prepare_root(folder: &Path) -> io::Result<PathBuf> {
    let root = folder.join("root");
    DirBuilder::new().recursive(true).mode(0o755).create(&root)?;
    root.canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loader_is_told_from_libraries() {
        let maps = "\
            555500000000-555500001000 r--p 00000000 fe:00 1 /home/a b/pod\n\
            7f0000000000-7f0000001000 r--p 00000000 fe:00 2 /usr/lib/libc.so.6\n\
            7f0000001000-7f0000002000 r-xp 00001000 fe:00 2 /usr/lib/libc.so.6\n\
            7f0000100000-7f0000101000 rw-p 00000000 00:00 0 \n\
            7f0000200000-7f0000201000 r--p 00000000 fe:00 3 /usr/lib/ld-linux-x86-64.so.2\n\
            7f0000201000-7f0000202000 r--p 00000000 fe:00 3 /usr/lib/ld-linux-x86-64.so.2\n";
        let (loader, libraries) = loaded(maps, 0x7f00_0020_0000);
        assert_eq!(loader.as_deref(), Some(Path::new("/usr/lib/ld-linux-x86-64.so.2")));
        assert_eq!(libraries, [Path::new("/usr/lib/libc.so.6")]);
        assert_eq!(loaded("5-6 r--p 0 0:0 1 /pod\n", 0), (None, vec![]));
    }
}
