//! Trees that other pods made, as files of a folder of their own: `--out DIR`, `.uses/NAME`.
//!
//! They are handed over as a project's own outputs are (see [`handover`]): the folder is a workspace, whose manifest says what was brought. So what
//! is the user's is never overwritten, what was brought before and is not in the tree goes, no link is followed, and a crash leaves each file old or
//! new. What arrives was made elsewhere: what no step here could leave is refused before the first byte is written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use larder::{Larder, ObjectKind};
use protocol::mesh::{PROJECT_PREFIX, ProjectName};
use protocol::path::PROJECT_FILE;
use protocol::{Digest, StepId, Tree, TreeEntry};

use super::border;
use super::handover::{self, Delivery, HandOverError, Wanted};
use super::request::Failure;
use super::workspace::{FOLDER, Lock, Made, Manifest, Workspace, WorkspaceError};

/// What is brought into a folder.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Which project made it.
    pub project: ProjectName,
    /// What people call the pod that says so.
    pub owner: String,
    /// What it made.
    pub tree: Digest,
    /// Whether what was edited in the folder is moved aside.
    pub take_back: bool,
}

/// Files of a tree, and their bytes.
pub fn count(tree: &Tree) -> (u64, u64) {
    tree.entries().iter().fold((0, 0), |(files, bytes), (_, entry)| match entry {
        TreeEntry::File { size, .. } => (files + 1, bytes.saturating_add(*size)),
        TreeEntry::Link { .. } => (files + 1, bytes),
        TreeEntry::EmptyDir | TreeEntry::Deleted => (files, bytes),
    })
}

fn read(larder: &Larder, tree: &Digest) -> Result<Tree, Failure> {
    let bytes = larder.get(ObjectKind::Tree, tree).map_err(|error| border::node(&error.into()))?;
    bytes.and_then(|bytes| Tree::decode(&bytes).ok()).ok_or_else(|| {
        border::machine(format!("the larder has lost {}", tree.short())).hint("build it again")
    })
}

/// Looks whether something could be brought to a place, and makes nothing.
///
/// # Errors
/// A file is there, or where a folder above it would be; or it is a project, whose next build would take away what was brought.
pub fn could_be_site(folder: &Path) -> Result<(), Failure> {
    let there = folder.ancestors().find(|place| fs::symlink_metadata(place).is_ok());
    if let Some(file) = there.filter(|place| !place.is_dir()) {
        let what = format!(
            "what was made cannot be written into `{}`: `{}` is no folder",
            folder.display(),
            file.display()
        );
        return Err(border::mistake(what).hint("name a folder: `--out DIR`"));
    }
    if !folder.is_dir() {
        return Ok(());
    }
    let is_of_a_project = |manifest: &Manifest| {
        manifest.entries().iter().any(|(_, output)| !output.step.as_str().starts_with(PROJECT_PREFIX))
    };
    let known = Workspace::open(folder).map_err(|error| border::workspace(&error))?;
    let built = known.and_then(|workspace| Manifest::load(&workspace).ok());
    if folder.join(PROJECT_FILE).exists() || built.as_ref().is_some_and(is_of_a_project) {
        let what =
            format!("`{}` is a project itself: nothing of others is written into it", folder.display());
        return Err(border::mistake(what).hint("name a folder of its own: `--out DIR`"));
    }
    Ok(())
}

/// The folder as a workspace of what is brought; it is made if need be.
///
/// # Errors
/// It is a project, whose next build would take away what was brought; or it cannot be used.
pub fn site(folder: &Path) -> Result<Workspace, Failure> {
    could_be_site(folder)?;
    fs::create_dir_all(folder)
        .map_err(|error| border::workspace(&WorkspaceError::io("written", folder, error)))?;
    Workspace::open_or_create(folder).map_err(|error| border::workspace(&error))
}

/// Makes a folder hold what a project made, whose bytes are in the larder. Blocks.
///
/// # Errors
/// It holds what no step could leave, the bytes are not there, something of the user's is in the way, or the folder cannot be written.
pub fn hand_over(
    larder: &Larder,
    brought: &Brought,
    (site, lock): (&Workspace, &Lock),
) -> Result<(), Failure> {
    let Brought { project, owner, tree, take_back } = brought;
    let tree = read(larder, tree)?;
    if let Err(refusal) = node::could_be_left(&tree) {
        let what = format!("`{owner}` gives for the project `{project}` what no step may leave");
        let mut failure = border::machine(what);
        failure.causes.push(refusal.to_string());
        return Err(failure.hint(format!("nothing was written; `pod ban {owner}` bans a pod that lies")));
    }
    let step = StepId::new(&format!("{PROJECT_PREFIX}{project}"));
    let wanted: Vec<Wanted> = tree
        .entries()
        .iter()
        .filter_map(|(path, entry)| {
            Some(Wanted { path: path.clone(), made: Made::from_entry(entry)?, step: step.clone() })
        })
        .collect();
    let mut manifest = match Manifest::load(site) {
        Err(WorkspaceError::Damaged { .. }) => {
            let known = wanted.iter().map(|wanted| (wanted.path.clone(), wanted.made.clone(), step.clone()));
            Manifest::recover(site, known).map_err(|error| border::workspace(&error))?.manifest
        }
        loaded => loaded.map_err(|error| border::workspace(&error))?,
    };
    let is_wanted: BTreeSet<_> = wanted.iter().map(|wanted| &wanted.path).collect();
    let before = manifest.entries().iter().map(|(path, _)| path);
    let obsolete = before.filter(|path| !is_wanted.contains(path)).cloned().collect();
    let delivery = Delivery { wanted, obsolete };
    let hand_over = |manifest: &mut Manifest| handover::hand_over(site, lock, manifest, larder, &delivery);
    let handed_over = match hand_over(&mut manifest) {
        Err(HandOverError::Conflicts(conflicts)) if *take_back => {
            let paths: Vec<_> = conflicts.into_iter().map(|conflict| conflict.path).collect();
            handover::take_back(site, lock, &mut manifest, &paths).and_then(|_| hand_over(&mut manifest))
        }
        handed_over => handed_over,
    };
    handed_over.map(drop).map_err(|error| {
        let mut failure = border::handover(&error);
        let place = site.project().display();
        failure.message = format!("`{place}` cannot take what `{project}` made: {}", failure.message);
        if let HandOverError::Conflicts(_) = error {
            failure.hints = vec![format!("move them away from `{place}`; nothing was written")];
        }
        failure
    })
}

/// Takes away what was brought into a folder, and the folder; what is the user's stays, and the folder with it. Blocks.
///
/// # Errors
/// It cannot be written.
pub fn take_away(site: &Workspace, lock: &Lock) -> Result<(), Failure> {
    let cleaned = handover::clean(site, lock).map_err(|error| border::handover(&error))?;
    if !cleaned.kept.is_empty() {
        return Ok(());
    }
    let ours = site.project().join(FOLDER);
    fs::remove_dir_all(&ours)
        .map_err(|error| border::workspace(&WorkspaceError::io("removed", &ours, error)))?;
    match fs::remove_dir(site.project()) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {
            Err(border::workspace(&WorkspaceError::io("removed", site.project(), error)))
        }
        _ => Ok(()),
    }
}
