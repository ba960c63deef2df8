//! Trees of the larder as files of a folder: written only where they differ, each beside its place and renamed.
//!
//! Nothing is written through a link: a folder of the tree that is one is an error. A crash leaves at most a file that is named `.new-…`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::{Larder, ObjectKind};
use protocol::{Digest, RelPath, Tree, TreeEntry};

use super::border;
use super::handover::copy::{Ways, copy};
use super::request::Failure;
use super::workspace::beneath;

/// Files of a tree, and their bytes.
pub fn count(tree: &Tree) -> (u64, u64) {
    tree.entries().iter().fold((0, 0), |(files, bytes), (_, entry)| match entry {
        TreeEntry::File { size, .. } => (files + 1, bytes + size),
        TreeEntry::Link { .. } => (files + 1, bytes),
        TreeEntry::EmptyDir | TreeEntry::Deleted => (files, bytes),
    })
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure {
    let what = format!("cannot write `{}`", path.display());
    move |error| {
        let mut failure = border::machine(what.clone());
        failure.causes.push(error.to_string());
        failure
    }
}

fn gone(digest: &Digest) -> Failure {
    border::machine(format!("the larder has lost {}", digest.short())).hint("build it again")
}

fn read(larder: &Larder, tree: &Digest) -> Result<Tree, Failure> {
    let bytes = larder.get(ObjectKind::Tree, tree).map_err(|error| border::node(&error.into()))?;
    bytes.and_then(|bytes| Tree::decode(&bytes).ok()).ok_or_else(|| gone(tree))
}

/// Writes a tree, whose bytes are in the larder, below a folder, which is made if need be. How many files were written.
/// `staging` is a folder on the same file system, in which files are before they are in their places.
///
/// # Errors
/// The bytes are not there, or the folder cannot be written.
pub fn write(larder: &Larder, tree: &Digest, folder: &Path, staging: &Path) -> Result<u64, Failure> {
    let tree = read(larder, tree)?;
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let folder = folder.canonicalize().map_err(failed(folder))?;
    let mut made = BTreeSet::new();
    let (mut written, ways) = (0, Ways::default());
    for (path, entry) in tree.entries() {
        let at = path.under(&folder);
        for above in path.ancestors().filter(|above| !above.is_root()).collect::<BTreeSet<_>>() {
            if made.insert(above.clone()) {
                let above = above.under(&folder);
                folder_at(&above).map_err(failed(&above))?;
            }
        }
        written += u64::from(match entry {
            TreeEntry::File { digest, exec, .. } => {
                let is_there = is_file(&folder, path, digest, *exec);
                if !is_there {
                    let content = larder.open_blob(digest).map_err(|error| border::node(&error.into()))?;
                    let content = content.ok_or_else(|| gone(digest))?;
                    put(&at, staging, |beside| {
                        let mut file = File::create_new(beside)?;
                        copy(&content, &mut file, &ways)?;
                        file.set_permissions(fs::Permissions::from_mode(if *exec { 0o755 } else { 0o644 }))
                    })
                    .map_err(failed(&at))?;
                }
                !is_there
            }
            TreeEntry::Link { target } => {
                let target = Path::new(std::ffi::OsStr::from_bytes(target));
                let is_there = fs::read_link(&at).is_ok_and(|there| there == target);
                if !is_there {
                    put(&at, staging, |beside| symlink(target, beside)).map_err(failed(&at))?;
                }
                !is_there
            }
            TreeEntry::EmptyDir => {
                folder_at(&at).map_err(failed(&at))?;
                false
            }
            TreeEntry::Deleted => false,
        });
    }
    Ok(written)
}

/// Removes what is below a folder and not in a tree.
///
/// # Errors
/// The larder has lost the tree, or the folder cannot be written.
pub fn sweep(larder: &Larder, tree: &Digest, folder: &Path) -> Result<(), Failure> {
    let tree = read(larder, tree)?;
    let mut known: BTreeSet<RelPath> = BTreeSet::new();
    for (path, _) in tree.entries() {
        known.extend(path.ancestors());
        known.insert(path.clone());
    }
    sweep_below(folder, &RelPath::root(), &known).map_err(failed(folder))
}

fn sweep_below(folder: &Path, at: &RelPath, known: &BTreeSet<RelPath>) -> io::Result<()> {
    for entry in fs::read_dir(at.under(folder))? {
        let entry = entry?;
        let Some(path) = at.child(entry.file_name().as_bytes()) else { continue };
        let is_folder = entry.file_type()?.is_dir();
        match (known.contains(&path), is_folder) {
            (true, true) => sweep_below(folder, &path, known)?,
            (true, false) => {}
            (false, true) => fs::remove_dir_all(entry.path())?,
            (false, false) => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

/// A folder, and no link to one.
fn folder_at(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::ErrorKind::NotADirectory.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(path),
        Err(error) => Err(error),
    }
}

fn is_file(folder: &Path, path: &RelPath, digest: &Digest, exec: bool) -> bool {
    let Ok(root) = beneath::root(folder) else { return false };
    let Ok(mut file) = beneath::open_file(root.as_fd(), path) else { return false };
    let is_exec = file.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o111 != 0);
    is_exec == exec && beneath::digest(&mut file).is_ok_and(|there| there == *digest)
}

/// Puts something in its place at once.
fn put(at: &Path, staging: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let beside = staging.join(format!(".new-{}-{count}", std::process::id()));
    let put = make(&beside).and_then(|()| fs::rename(&beside, at));
    if put.is_err() {
        fs::remove_file(&beside).ok();
    }
    put
}
