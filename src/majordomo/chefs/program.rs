//! A chef's program, as content that a step can see.
//!
//! The built-in ones are this program itself, by its hidden argument; any other is a folder with a `chef.toml`, whose files are
//! all taken in. A chef sees them below [`folder`], where no source can stand. It is keyed by what it opens of them.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::{Larder, LarderError};
use protocol::chef::PROTOCOL;
use protocol::{Digest, RelPath, Stamp, TreeEntry};
use serde::Deserialize;

use crate::cli::chef::BUILT_IN;
use crate::majordomo::snapshot::HostFile;
use crate::majordomo::workspace::{FOLDER, stamp_of};

/// The file that makes a folder a chef.
pub const CHEF_FILE: &str = "chef.toml";
/// So many files and folders a chef may have.
const MAX_FILES: usize = 4096;
/// A chef that has not answered by then is ended; its `chef.toml` may say fewer seconds.
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest name of a chef, in bytes.
const MAX_NAME: usize = 64;

/// A chef that can be asked.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// What it was asked for by: its name, or its folder.
    pub said: String,
    /// Where its own things stand in the project.
    pub folder: RelPath,
    /// How it is started in the project's folder.
    pub words: Vec<Vec<u8>>,
    /// When it is ended.
    pub timeout: Duration,
    /// Its files.
    pub entries: Vec<(RelPath, TreeEntry)>,
    /// Where they are on this machine.
    pub files: Vec<HostFile>,
}

/// Why a chef cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Nothing that could be one is there.
    #[error("there is no such chef: the built-in ones are {}", names())]
    Unknown,
    /// Its folder or a file in it cannot be read.
    #[error("`{}` cannot be read", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its `chef.toml` cannot be read as one.
    #[error("its `{CHEF_FILE}` is none")]
    Form(#[source] toml::de::Error),
    /// A name that is none.
    #[error("`{0}` is no name for a chef: it has letters, digits, `_` and `-`, and starts with a letter")]
    Name(String),
    /// It speaks another version.
    #[error("it speaks version {0} of the chefs' protocol, and version {PROTOCOL} is understood")]
    Version(u32),
    /// No program where it says.
    #[error("`{0}` in its folder is no program: make it executable")]
    NoProgram(String),
    /// Something in its folder that is neither file nor folder, or has a name that no path can have.
    #[error("`{}` is neither a file nor a folder", .0.display())]
    Kind(PathBuf),
    /// Too much.
    #[error("its folder has more than {MAX_FILES} files")]
    TooMany,
    /// It could not be stored.
    #[error("it cannot be stored")]
    Larder(#[from] LarderError),
}

fn names() -> String {
    let names: Vec<String> = chef_builtin::ALL.iter().map(|chef| format!("`{}`", chef.name)).collect();
    names.join(", ")
}

/// `chef.toml`.
#[derive(Debug, Deserialize)]
struct About {
    name: String,
    protocol: u32,
    /// The program in the folder.
    program: String,
    /// Seconds.
    timeout: Option<u64>,
}

/// Where a chef's own things stand in the project: `.majordomo/chef/NAME`.
pub fn folder(name: &str) -> Option<RelPath> {
    [FOLDER, "chef", name].iter().try_fold(RelPath::root(), |path, part| path.child(part.as_bytes()))
}

/// The chef of a name, or, if there is a `/` in it, in the folder that it says, as seen from the project.
///
/// # Errors
/// It cannot be asked.
pub fn program(larder: &Larder, project: &Path, said: &str) -> Result<Program, ProgramError> {
    match said.contains('/') {
        true => in_folder(larder, said, &project.join(said)),
        false => built_in(larder, said),
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

fn built_in(larder: &Larder, name: &str) -> Result<Program, ProgramError> {
    let all = chef_builtin::ALL.iter().chain([&chef_builtin::SHELL]);
    let chef = all.into_iter().find(|chef| chef.name == name).ok_or(ProgramError::Unknown)?;
    let path = std::env::current_exe().map_err(unreadable(Path::new("/proc/self/exe")))?;
    // What runs now, whatever stands at its path by now.
    let file = File::open("/proc/self/exe").map_err(unreadable(&path))?;
    let host = host_file(&path)?;
    let (digest, size) = take_in(larder, &file, &path)?;
    let folder = folder(chef.name).ok_or(ProgramError::Unknown)?;
    let own = folder.child(b"majordomo").ok_or(ProgramError::Unknown)?;
    let words = [own.as_bytes(), BUILT_IN.as_bytes(), chef.name.as_bytes()].map(<[u8]>::to_vec).into();
    let entries = vec![(own, TreeEntry::File { digest, size, exec: true })];
    Ok(Program {
        name: chef.name.to_owned(),
        said: chef.name.to_owned(),
        folder,
        words,
        timeout: MAX_TIMEOUT,
        entries,
        files: vec![host],
    })
}

fn in_folder(larder: &Larder, said: &str, from: &Path) -> Result<Program, ProgramError> {
    let about = from.join(CHEF_FILE);
    let text = fs::read_to_string(&about).map_err(unreadable(&about))?;
    let About { name, protocol, program, timeout } = toml::from_str(&text).map_err(ProgramError::Form)?;
    if protocol != PROTOCOL {
        return Err(ProgramError::Version(protocol));
    }
    if !is_name(&name) {
        return Err(ProgramError::Name(name));
    }
    let folder = folder(&name).ok_or_else(|| ProgramError::Name(name.clone()))?;
    let own = folder.child(b"chef").ok_or_else(|| ProgramError::Name(name.clone()))?;
    let mut taken = Taken { larder, entries: Vec::new(), files: vec![host_file(from)?] };
    taken.folder(from, &own)?;
    let Taken { entries, files, .. } = taken;
    let timeout = timeout.map_or(MAX_TIMEOUT, |seconds| Duration::from_secs(seconds.max(1)).min(MAX_TIMEOUT));
    let start = program.parse::<RelPath>().ok().map(|path| own.join(&path));
    let is_program = |(path, entry): &(RelPath, TreeEntry)| {
        start.as_ref() == Some(path) && matches!(entry, TreeEntry::File { exec: true, .. })
    };
    match entries.iter().find(|entry| is_program(entry)) {
        Some((path, _)) => {
            let words = vec![path.as_bytes().to_vec()];
            Ok(Program { name, said: said.to_owned(), folder, words, timeout, entries, files })
        }
        None => Err(ProgramError::NoProgram(program)),
    }
}

/// What was taken in of a folder.
struct Taken<'a> {
    larder: &'a Larder,
    entries: Vec<(RelPath, TreeEntry)>,
    files: Vec<HostFile>,
}

impl Taken<'_> {
    fn folder(&mut self, from: &Path, to: &RelPath) -> Result<(), ProgramError> {
        for entry in fs::read_dir(from).map_err(unreadable(from))? {
            let entry = entry.map_err(unreadable(from))?;
            let path = entry.path();
            let to =
                to.child(entry.file_name().as_bytes()).ok_or_else(|| ProgramError::Kind(path.clone()))?;
            let kind = entry.file_type().map_err(unreadable(&path))?;
            self.files.push(host_file(&path)?);
            if self.files.len() > MAX_FILES {
                return Err(ProgramError::TooMany);
            }
            if kind.is_dir() {
                self.folder(&path, &to)?;
            } else if kind.is_file() {
                let file = File::open(&path).map_err(unreadable(&path))?;
                let mode = file.metadata().map_err(unreadable(&path))?.permissions().mode();
                let (digest, size) = take_in(self.larder, &file, &path)?;
                self.entries.push((to, TreeEntry::File { digest, size, exec: mode & 0o111 != 0 }));
            } else {
                return Err(ProgramError::Kind(path));
            }
        }
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ProgramError {
    move |source| ProgramError::Unreadable { path: path.to_owned(), source }
}

/// The file's stamp, from before it is read.
fn host_file(path: &Path) -> Result<HostFile, ProgramError> {
    let stamp = match rustix::fs::lstat(path) {
        Ok(stat) => Some(stamp_of(&stat)),
        // A program that was replaced while it ran.
        Err(rustix::io::Errno::NOENT) => None,
        Err(errno) => return Err(unreadable(path)(errno.into())),
    };
    Ok(HostFile { path: path.as_os_str().as_bytes().into(), stamp })
}

/// The file's digest and size; its bytes are in the larder then. They are read once for as long as the file stays as it is.
fn take_in(larder: &Larder, file: &File, path: &Path) -> Result<(Digest, u64), ProgramError> {
    let stamp = || file.metadata().map(|meta| Stamp::from(&meta)).map_err(unreadable(path));
    let before = stamp()?;
    if let Some(digest) = larder.known_digest(&before)?
        && larder.contains(&digest)?
    {
        return Ok((digest, before.size));
    }
    let begun = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as i64);
    let (digest, size) = larder.put_file(file)?;
    if before.is_settled_by_wall_clock(begun) && stamp()? == before {
        larder.remember_digest(&before, &digest)?;
    }
    Ok((digest, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_stand_in_paths_and_ids() {
        assert!(["a", "cmake", "my_chef-2"].iter().all(|name| is_name(name)));
        let long = "a".repeat(MAX_NAME + 1);
        assert!(["", "-a", "1", "a/b", "..", "a:b", "é", &long].iter().all(|name| !is_name(name)));
        assert_eq!(folder("make").unwrap().to_string(), ".majordomo/chef/make");
    }
}
