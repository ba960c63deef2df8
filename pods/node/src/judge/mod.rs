//! Judges what a step did, from its upper folder and from what it looked at.
//!
//! overlayfs leaves in the upper folder whatever was opened for writing, whether or not it was changed; deletions are
//! whiteouts (character devices 0/0), replaced folders are opaque. What remains after comparing with the lower is
//! what the step made. Bytes go into the larder here; nothing refers to them until the trace is published.

mod arrived;
mod links;
mod looks;
mod refusal;
mod upper;

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use larder::{Larder, ObjectKind};
use protocol::step::Promise;
use protocol::{Keep, Look, RelPath, StepSpec, Tree, TreeEntry};
use rustc_hash::FxHashMap;
use view::HostTools;

pub use self::arrived::could_be_left;
use self::looks::without_own;
pub use self::refusal::Refusal;
use self::upper::{is_opaque, names_of, path_in};
use crate::{Entry, NodeError, Project};

/// What a step made, and which looks at the project count as observations.
#[derive(Debug)]
pub(crate) struct Judged {
    pub outputs: Tree,
    pub looks: Vec<(RelPath, Look)>,
}

struct Walk<'a> {
    larder: &'a Larder,
    project: &'a Project,
    tools: &'a HostTools,
    /// The project's root on the disk.
    root: &'a Path,
    spec: &'a StepSpec,
    entries: Vec<(RelPath, TreeEntry)>,
    /// What stands in the upper folder, changed or not; `false` for whiteouts.
    upper: FxHashMap<RelPath, bool>,
}

/// Walks the upper folder. Blocks; the outer error is the pod's, the inner one the step's.
pub(crate) fn judge(
    larder: &Larder,
    (project, tools): (&Project, &HostTools),
    upper: &Path,
    looks: Vec<(RelPath, Look)>,
    spec: &StepSpec,
) -> Result<Result<Judged, Refusal>, NodeError> {
    let mut walk =
        Walk { larder, project, tools, root: upper, spec, entries: Vec::new(), upper: FxHashMap::default() };
    if let Err(refusal) = walk.folder(upper, &RelPath::root())? {
        return Ok(Err(refusal));
    }
    for (path, _) in walk.entries.iter().filter(|_| !spec.alters) {
        if is_source(project, path) {
            return Ok(Err(Refusal::ChangesSource { path: path.clone() }));
        }
        // A source that a folder took the place of.
        if let Some(source) = path.ancestors().find(|above| is_source(project, above)) {
            return Ok(Err(Refusal::ChangesSource { path: source }));
        }
        // A folder of sources that went as a whole.
        if matches!(project.sources().get(path), Some(Entry::Dir))
            && let Some(source) = first_source(project, path)
            && !walk.entries.iter().any(|(p, entry)| p == path && *entry == TreeEntry::EmptyDir)
        {
            return Ok(Err(Refusal::ChangesSource { path: source }));
        }
    }
    if let Some((path, part)) = walk.entries.iter().find_map(|(path, _)| forbidden(project, path)) {
        return Ok(Err(Refusal::Reserved { path: path.clone(), part }));
    }
    for promise in &spec.out {
        if !walk.is_kept(promise) {
            return Ok(Err(Refusal::Missing { path: promise.path().clone() }));
        }
    }
    let outputs = match Tree::new(walk.entries) {
        Ok(tree) => tree,
        Err(error) => return Ok(Err(Refusal::BadTree(error))),
    };
    let looks = without_own(looks, &outputs, project, spec.keep != Keep::Nothing);
    Ok(Ok(Judged { outputs, looks }))
}

/// What no step may write. The majordomo's own steps see a folder of its own, of which nothing is handed over; no others do.
fn forbidden<'p>(project: &Project, path: &'p RelPath) -> Option<(&'p RelPath, &'static str)> {
    let part = path.reserved()?;
    let mut at = std::iter::once(path.clone()).chain(path.ancestors());
    let reserved = at.find(|above| above.parts().last() == Some(part.as_bytes()))?;
    project.entry(&reserved).is_none().then_some((path, part))
}

fn is_source(project: &Project, path: &RelPath) -> bool {
    matches!(
        project.sources().get(path),
        Some(Entry::Source { .. } | Entry::Output { .. } | Entry::Link { .. })
    )
}

/// A source in a folder or below it.
fn first_source(project: &Project, folder: &RelPath) -> Option<RelPath> {
    for (name, _) in project.sources().list(folder)? {
        let path = folder.child(&name)?;
        match project.sources().get(&path) {
            Some(Entry::Dir) => {
                if let Some(found) = first_source(project, &path) {
                    return Some(found);
                }
            }
            Some(_) => return Some(path),
            None => {}
        }
    }
    None
}

impl Walk<'_> {
    fn folder(&mut self, on_disk: &Path, folder: &RelPath) -> Result<Result<(), Refusal>, NodeError> {
        let upper_error = |path: &RelPath| {
            let path = path.clone();
            move |source| NodeError::Upper { path, source }
        };
        let names = names_of(on_disk).map_err(upper_error(folder))?;
        if !folder.is_root() && is_opaque(on_disk).map_err(upper_error(folder))? {
            for (name, _) in self.project.names(folder).unwrap_or_default() {
                if let Some(path) = folder.child(&name)
                    && names.binary_search(&name).is_err()
                {
                    self.upper.insert(path.clone(), false);
                    self.entries.push((path, TreeEntry::Deleted));
                }
            }
        }
        let is_new = !matches!(self.project.entry(folder), Some(Entry::Dir));
        if names.is_empty() && is_new {
            self.entries.push((folder.clone(), TreeEntry::EmptyDir));
        }
        for name in names {
            let Some(path) = folder.child(&name) else {
                return Ok(Err(Refusal::BadName { folder: folder.clone() }));
            };
            let place = path_in(on_disk, &name);
            let meta = fs::symlink_metadata(&place).map_err(upper_error(&path))?;
            let kind = meta.file_type();
            if kind.is_char_device() && meta.rdev() == 0 {
                self.upper.insert(path.clone(), false);
                if self.project.entry(&path).is_some() {
                    self.entries.push((path, TreeEntry::Deleted));
                }
                continue;
            }
            self.upper.insert(path.clone(), true);
            let is_scratch = self.spec.scratch.binary_search(&path).is_ok() && !self.spec.is_mark(&path);
            if !kind.is_dir() && is_scratch {
                continue;
            }
            if kind.is_dir() {
                if let Err(refusal) = self.folder(&place, &path)? {
                    return Ok(Err(refusal));
                }
            } else if kind.is_symlink() {
                let target = fs::read_link(&place).map_err(upper_error(&path))?;
                if let Err(refusal) = self.link(path, target.into_os_string().into_vec()) {
                    return Ok(Err(refusal));
                }
            } else if kind.is_file() {
                if let Err(refusal) = self.file(&place, path, &meta)? {
                    return Ok(Err(refusal));
                }
            } else {
                let what = if kind.is_fifo() {
                    "a FIFO"
                } else if kind.is_socket() {
                    "a socket"
                } else {
                    "a device"
                };
                return Ok(Err(Refusal::Special { path, what }));
            }
        }
        Ok(Ok(()))
    }

    fn file(
        &mut self,
        place: &Path,
        path: RelPath,
        meta: &Metadata,
    ) -> Result<Result<(), Refusal>, NodeError> {
        if meta.mode() & 0o6000 != 0 {
            return Ok(Err(Refusal::Special { path, what: "a set-id file" }));
        }
        let exec = meta.mode() & 0o111 != 0;
        if meta.mode() & 0o400 == 0 {
            // As an ordinary user we own the file, and may read it only if its mode says so.
            let upper_error = |source| NodeError::Upper { path: path.clone(), source };
            fs::set_permissions(place, fs::Permissions::from_mode(0o600)).map_err(upper_error)?;
        }
        let upper_error = |source| NodeError::Upper { path: path.clone(), source };
        let lenses = self.project.lenses();
        let read = || fs::read(place).map_err(upper_error);
        let normal = match lenses.normalised(&path, meta.len(), read, self.project.runtime())? {
            Ok(normal) => normal,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (digest, size) = match normal {
            Some(normal) => (self.larder.put(ObjectKind::Blob, &normal)?, normal.len() as u64),
            None => self.larder.adopt(place)?,
        };
        let unchanged = match self.project.entry(&path) {
            Some(Entry::Output { exec: e, digest: d, .. }) => e == exec && d == digest,
            Some(Entry::Source { exec: e, stamp }) => {
                e == exec && stamp.size == size && self.project.digest_now(&path)? == Some(digest)
            }
            _ => false,
        };
        if !unchanged {
            self.entries.push((path, TreeEntry::File { digest, size, exec }));
        }
        Ok(Ok(()))
    }

    fn link(&mut self, path: RelPath, target: Vec<u8>) -> Result<(), Refusal> {
        let before = match self.project.entry(&path) {
            Some(Entry::Link { target }) => Some(target),
            _ => None,
        };
        let is_unchanged = |target: &[u8]| before.as_ref().is_some_and(|before| **before == *target);
        if is_unchanged(&target) {
            return Ok(());
        }
        let link_at = |path: &RelPath| {
            let place = path.under(self.root);
            match (fs::symlink_metadata(&place), self.project.entry(path)) {
                (Ok(meta), _) if meta.is_symlink() => {
                    Some(fs::read_link(place).ok()?.into_os_string().into_vec())
                }
                (Err(_), Some(Entry::Link { target })) => Some(target.to_vec()),
                _ => None,
            }
        };
        match links::stored(&path, &target, link_at, |path| self.tools.is_shown(path)) {
            Some(target) if is_unchanged(&target) => Ok(()),
            Some(target) => {
                self.entries.push((path, TreeEntry::Link { target }));
                Ok(())
            }
            None => Err(Refusal::LeadsOut { path, target: protocol::path::escape(&target) }),
        }
    }

    /// Whether what was promised stands there after the step.
    fn is_kept(&self, promise: &Promise) -> bool {
        let path = promise.path();
        if let Some(there) = self.upper.get(path) {
            return *there;
        }
        if path.ancestors().any(|above| self.upper.get(&above) == Some(&false)) {
            return false;
        }
        matches!(
            (promise, self.project.entry(path)),
            (Promise::Tree(_), Some(Entry::Dir))
                | (Promise::File(_), Some(Entry::Output { .. } | Entry::Link { .. }))
        )
    }
}
