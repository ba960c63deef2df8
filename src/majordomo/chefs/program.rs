//! A chef's program, as content that a step can see.
//!
//! The built-in ones are this program itself, by its hidden argument. Any other is a folder with a `chef.toml`, or a single
//! file, whose content is all taken in: from the project that names it, or from the larder where it is registered. A chef sees
//! its files below [`folder`], where no source can stand. It is keyed by what it opens of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::{Larder, LarderError};
use protocol::{Digest, RelPath, Stamp, Tree, TreeEntry};
use serde_json::{Map, Value};

use super::about::{About, BadAbout, CHEF_FILE, MAX_TIMEOUT};
use crate::majordomo::snapshot::HostFile;
use crate::majordomo::workspace::{FOLDER, stamp_of};
use crate::myself::chef::BUILT_IN;

/// So many files and folders a chef may have.
const MAX_FILES: usize = 4096;
/// The longest file that says something of a chef, in bytes.
const MAX_TEXT: u64 = 1 << 20;

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
    /// It came with ComputePods.
    pub is_built_in: bool,
    /// Another pod of the federation lends it.
    pub is_lent: bool,
    /// When it is ended.
    pub timeout: Duration,
    /// Keys of every step that it plans, where the plan does not say them.
    pub defaults: Map<String, Value>,
    /// Its projections.
    pub projections: Vec<String>,
    /// Its normalisers, and what each is for.
    pub normalisers: BTreeMap<String, Vec<String>>,
    /// The digest of all its content.
    pub tree: Digest,
    /// Its files.
    pub entries: Vec<(RelPath, TreeEntry)>,
    /// Where they are on this machine.
    pub files: Vec<HostFile>,
}

/// Why a chef cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// Nothing that could be one is there.
    #[error("there is no such chef: {0}")]
    Unknown(String),
    /// It was disabled.
    #[error("it is disabled: `pod chef enable {0}` lets it be asked")]
    Disabled(String),
    /// Something that it wants is not on this machine.
    #[error("it wants `{0}`, which is not on this machine")]
    NoTool(String),
    /// Its content is gone.
    #[error("its files are not in the larder any more: `pod chef add` brings them back")]
    Gone,
    /// Its folder or a file in it cannot be read.
    #[error("`{}` cannot be read", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says of itself.
    #[error(transparent)]
    About(#[from] BadAbout),
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

/// Where a chef's own things stand in the project: `.majordomo/chef/NAME`. The name is one.
pub fn folder(name: &str) -> RelPath {
    let parts = [FOLDER, "chef", name];
    parts.iter().fold(RelPath::root(), |path, part| path.child(part.as_bytes()).unwrap_or(path))
}

/// A built-in chef; `None`: there is none of this name.
///
/// # Errors
/// This program cannot be read, or taken in.
pub fn built_in(larder: &Larder, name: &str) -> Result<Option<Program>, ProgramError> {
    let mut all = chef_builtin::ALL.iter().chain([&chef_builtin::SHELL]);
    let Some(chef) = all.find(|chef| chef.name == name) else { return Ok(None) };
    let path = std::env::current_exe().map_err(unreadable(Path::new("/proc/self/exe")))?;
    // What runs now, whatever stands at its path by now.
    let file = File::open("/proc/self/exe").map_err(unreadable(&path))?;
    let host = host_file(&path)?;
    let (digest, size) = take_in(larder, &file, &path)?;
    let folder = folder(chef.name);
    let own = folder.join(&RelPath::root().child(b"majordomo").unwrap_or_else(RelPath::root));
    let words = [own.as_bytes(), BUILT_IN.as_bytes(), chef.name.as_bytes()].map(<[u8]>::to_vec).into();
    Ok(Some(Program {
        name: chef.name.to_owned(),
        said: chef.name.to_owned(),
        folder,
        words,
        is_built_in: true,
        is_lent: false,
        timeout: MAX_TIMEOUT,
        defaults: Map::new(),
        projections: Vec::new(),
        normalisers: BTreeMap::new(),
        tree: digest,
        entries: vec![(own, TreeEntry::File { digest, size, exec: true })],
        files: vec![host],
    }))
}

/// A chef of which all is known: what it says of itself, and its files as seen from its own folder.
pub fn of_content(about: &About, tree: &Tree, files: Vec<HostFile>) -> Program {
    let folder = folder(&about.name);
    let own = folder.child(b"chef").unwrap_or_else(|| folder.clone());
    let program = about.program.parse::<RelPath>().map_or_else(|_| own.clone(), |path| own.join(&path));
    Program {
        name: about.name.clone(),
        said: about.name.clone(),
        folder,
        words: vec![program.as_bytes().to_vec()],
        is_built_in: false,
        is_lent: false,
        timeout: about.patience(),
        defaults: about.defaults.clone(),
        projections: about.projections.clone(),
        normalisers: about.normalisers.clone(),
        tree: tree.digest(),
        entries: tree.entries().iter().map(|(path, entry)| (own.join(path), entry.clone())).collect(),
        files,
    }
}

/// What a chef in a folder, or in a single file, says of itself, and its files; their bytes are in the larder then.
///
/// # Errors
/// It is no chef, or cannot be read or stored.
pub fn taken_in(larder: &Larder, from: &Path) -> Result<(About, Tree, Vec<HostFile>), ProgramError> {
    let mut taken = Taken { larder, entries: Vec::new(), files: vec![host_file(from)?] };
    let about = match from.is_dir() {
        true => {
            taken.folder(from, &RelPath::root())?;
            About::read(&text(&from.join(CHEF_FILE))?)?
        }
        false => {
            let name = from.file_name().unwrap_or_default();
            let to =
                RelPath::root().child(name.as_bytes()).ok_or_else(|| ProgramError::Kind(from.to_owned()))?;
            taken.file(from, to)?;
            About::read_inside(&text(from)?, &name.to_string_lossy())?
        }
    };
    let start = about.program.parse::<RelPath>().ok();
    let is_program = |(path, entry): &(RelPath, TreeEntry)| {
        start.as_ref() == Some(path) && matches!(entry, TreeEntry::File { exec: true, .. })
    };
    let Taken { entries, files, .. } = taken;
    if !entries.iter().any(is_program) {
        return Err(ProgramError::NoProgram(about.program));
    }
    // The names of a folder are all different.
    let tree = Tree::new(entries).map_err(|_| ProgramError::Kind(from.to_owned()))?;
    Ok((about, tree, files))
}

fn text(path: &Path) -> Result<String, ProgramError> {
    let size = fs::metadata(path).map_err(unreadable(path))?.len();
    if size > MAX_TEXT {
        let why = io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {MAX_TEXT} bytes"));
        return Err(unreadable(path)(why));
    }
    fs::read_to_string(path).map_err(unreadable(path))
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
                self.file(&path, to)?;
            } else {
                return Err(ProgramError::Kind(path));
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: RelPath) -> Result<(), ProgramError> {
        // What is no file might never be opened, or come to its end.
        let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(from);
        let file = opened.map_err(unreadable(from))?;
        let meta = file.metadata().map_err(unreadable(from))?;
        if !meta.is_file() {
            return Err(ProgramError::Kind(from.to_owned()));
        }
        let mode = meta.permissions().mode();
        let (digest, size) = take_in(self.larder, &file, from)?;
        self.entries.push((to, TreeEntry::File { digest, size, exec: mode & 0o111 != 0 }));
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ProgramError {
    move |source| ProgramError::Unreadable { path: path.to_owned(), source }
}

/// The file's stamp, from before it is read.
///
/// # Errors
/// It cannot be looked at.
pub fn host_file(path: &Path) -> Result<HostFile, ProgramError> {
    let stamp = match rustix::fs::lstat(path) {
        Ok(stat) => Some(stamp_of(&stat)),
        // Nothing yet; or a program that was replaced while it ran.
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
