//! The folder of a program as its calls see it, looked at as they ask.
//!
//! A program may stand in a folder with a million other files, so nothing is listed beforehand. What was seen of a path once stays so
//! for the whole launch; a file whose bytes are wanted after it has changed is an error, as in a build.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use node::{Entry, Names, Sources};
use parking_lot::Mutex;
use protocol::path::reserved;
use protocol::{FileKind, RelPath, Stamp};
use rustc_hash::FxHashMap;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, openat2};

/// Names that no call sees, wherever they stand: what others keep about the folder, and what the interpreter of the
/// program itself writes while it runs.
fn is_unseen(name: &[u8]) -> bool {
    reserved(name).is_some() || name == b"__pycache__"
}

/// A folder, as it is when it is asked for the first time.
pub struct Folder {
    root: OwnedFd,
    /// A path that no call sees: the pod's home, if it is in there.
    hidden: Option<RelPath>,
    known: Mutex<FxHashMap<RelPath, Option<Entry>>>,
    listed: Mutex<FxHashMap<RelPath, Option<Names>>>,
}

impl Folder {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path, home: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        let real = (path.canonicalize()?, home.canonicalize()?);
        let hidden = real.1.strip_prefix(&real.0).ok().and_then(|inside| {
            // A folder in the home itself is nobody's program.
            RelPath::new(inside.as_os_str().as_bytes()).ok().filter(|inside| !inside.is_root())
        });
        Ok(Self { root, hidden, known: Mutex::default(), listed: Mutex::default() })
    }

    fn is_left_out(&self, path: &RelPath) -> bool {
        path.parts().any(is_unseen) || self.hidden.as_ref().is_some_and(|hidden| path.is_within(hidden))
    }

    fn opened(&self, path: &RelPath, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_root() { Path::new(".") } else { path.as_path() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    fn look(&self, path: &RelPath) -> Option<Entry> {
        let fd = self.opened(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let file = File::from(fd);
        let meta = file.metadata().ok()?;
        let kind = meta.file_type();
        if kind.is_symlink() {
            let target = rustix::fs::readlinkat(&file, "", Vec::new()).ok()?;
            return Some(Entry::Link { target: target.to_bytes().into() });
        }
        match (kind.is_dir(), kind.is_file()) {
            (true, _) => Some(Entry::Dir),
            (_, true) => {
                let exec = meta.permissions().mode() & 0o111 != 0;
                Some(Entry::Source { exec, stamp: Stamp::from(&meta) })
            }
            _ => None,
        }
    }

    fn names(&self, path: &RelPath) -> Option<Names> {
        let fd = self.opened(path, OFlags::RDONLY | OFlags::DIRECTORY).ok()?;
        let mut names = Names::new();
        for entry in Dir::new(fd).ok()? {
            let entry = entry.ok()?;
            let name = entry.file_name().to_bytes();
            let Some(child) = path.child(name) else { continue };
            if self.is_left_out(&child) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Dir,
                FileType::Symlink => FileKind::Link,
                FileType::Unknown => match self.get(&child) {
                    Some(Entry::Dir) => FileKind::Dir,
                    Some(Entry::Link { .. }) => FileKind::Link,
                    Some(_) => FileKind::File,
                    None => continue,
                },
                _ => continue,
            };
            names.push((name.into(), kind));
        }
        names.sort();
        Some(names)
    }
}

impl Sources for Folder {
    fn get(&self, path: &RelPath) -> Option<Entry> {
        if path.is_root() {
            return Some(Entry::Dir);
        }
        if self.is_left_out(path) {
            return None;
        }
        if let Some(known) = self.known.lock().get(path) {
            return known.clone();
        }
        let found = self.look(path);
        self.known.lock().entry(path.clone()).or_insert(found).clone()
    }

    fn list(&self, path: &RelPath) -> Option<Names> {
        if self.is_left_out(path) {
            return None;
        }
        if let Some(known) = self.listed.lock().get(path) {
            return known.clone();
        }
        let found = self.names(path);
        self.listed.lock().entry(path.clone()).or_insert(found).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;

    use super::*;

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn it_is_seen_as_it_was_when_it_was_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        for folder in ["home/larder", "__pycache__", "sub/.git"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("a.py"), "1").unwrap();
        fs::write(at("home/larder/secret"), "1").unwrap();
        fs::write(at("__pycache__/a.pyc"), "1").unwrap();
        std::os::unix::fs::symlink("a.py", at("link")).unwrap();
        let folder = Folder::open(scratch.path(), &at("home")).unwrap();
        let names = |folder: &Folder, at: &str| {
            let at = if at.is_empty() { RelPath::root() } else { path(at) };
            let names = folder.list(&at).unwrap().into_iter();
            names
                .map(|(name, kind)| format!("{kind:?} {}", OsStr::from_bytes(&name).display()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&folder, ""), ["File a.py", "Link link", "Dir sub"]);
        assert_eq!(names(&folder, "sub"), [] as [&str; 0]);
        for hidden in ["home", "home/larder/secret", "__pycache__/a.pyc", "sub/.git", "nowhere"] {
            assert_eq!(folder.get(&path(hidden)), None, "{hidden}");
        }
        assert!(matches!(folder.get(&path("a.py")), Some(Entry::Source { exec: false, .. })));
        assert_eq!(folder.get(&path("link")), Some(Entry::Link { target: b"a.py".as_slice().into() }));
        assert_eq!(folder.get(&path("link/x")), None);

        let before = folder.get(&path("a.py"));
        fs::write(at("a.py"), "another").unwrap();
        fs::write(at("b.py"), "1").unwrap();
        assert_eq!(folder.get(&path("a.py")), before);
        assert_eq!(names(&folder, ""), ["File a.py", "Link link", "Dir sub"]);
    }
}
