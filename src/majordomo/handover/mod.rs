//! The hand-over: what a build made, put into the user's project.
//!
//! Actors: one caller, which holds the workspace's [`Lock`]; a few threads of its own for the copying. Outputs come from
//! [`Blobs`] (the larder), are written to `.majordomo/tmp` and renamed into place, and only where they differ. They are
//! copies or reflinks, never links into the larder.
//! Nothing of the user's is overwritten, whatever it is: all paths are looked at before the first is written
//! ([`HandOverError::Conflicts`] names them all), and what is replaced is swapped out and looked at once more before it is
//! removed. No link of the project is followed.
//! Crash: see [`intents`]. At any instant a path holds the old output or the new one, whole,
//! and the next [`Manifest::load`] knows which. A failure (a full disk) keeps what was handed over until then.
//!
//! | file | what |
//! |---|---|
//! | `check` | what has to be done, and what is in the way |
//! | `write`, `copy`, `staging` | one output, from temp file to rename |
//! | `remove` | outputs that no step makes any more; `clean` |
//! | `take_back` | moving the user's things aside |
//! | `folders` | open folders of the project |

mod check;
pub mod copy;
mod error;
mod fault;
mod folders;
mod remove;
mod staging;
mod take_back;
mod write;

use std::os::fd::{AsFd, OwnedFd};

use larder::Content;
use protocol::{Digest, RelPath, StepId};

pub use error::{Conflict, HandOverError, InTheWay};
pub use remove::{Cleaned, clean};
pub use take_back::take_back;

use crate::majordomo::workspace::crew::{in_parallel, threads_for};
use crate::majordomo::workspace::{
    Lock, Made, Manifest, Output, Workspace, WorkspaceError, beneath, intents,
};
use check::{Checked, check};
use fault::Fault;
use folders::Folders;
use staging::Staging;

/// Where the bytes of outputs come from.
pub trait Blobs: Sync {
    /// A blob, verified; `None` if it is not there any more.
    fn open_blob(&self, digest: &Digest)
    -> Result<Option<Content>, Box<dyn std::error::Error + Send + Sync>>;

    /// These are going to be opened; whoever can find them quicker all at once may do so now.
    fn expect(&self, _digests: &[Digest]) {}
}

impl Blobs for larder::Larder {
    fn open_blob(
        &self,
        digest: &Digest,
    ) -> Result<Option<Content>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(larder::Larder::open_blob(self, digest)?)
    }

    fn expect(&self, digests: &[Digest]) {
        // Whatever is wrong will be met again, and told, when the blob is opened.
        if let Err(error) = larder::Larder::expect(self, digests) {
            tracing::debug!(%error, "blobs are not looked up ahead");
        }
    }
}

/// An output to be in the project after the hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub path: RelPath,
    /// What.
    pub made: Made,
    /// Who made it.
    pub step: StepId,
}

/// What a build hands over.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// Outputs that have to be there; each path once.
    pub wanted: Vec<Wanted>,
    /// Paths of the manifest that no step makes any more. They are removed where unmodified, and forgotten where edited:
    /// then they are the user's. Folders that we made and that become empty go, too.
    pub obsolete: Vec<RelPath>,
}

/// What a hand-over did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Files, links and empty folders written.
    pub written: usize,
    /// Outputs that were there already, as they should be.
    pub untouched: usize,
    /// Files and links removed.
    pub removed: usize,
    /// Obsolete outputs that were edited, and are the user's from now on. Sorted.
    pub left: Vec<RelPath>,
    /// The user's own files that are equal to outputs, and stay the user's. Sorted.
    pub own: Vec<RelPath>,
}

/// Hands over. The manifest is up to date and on disk when this returns, whatever it returns.
pub fn hand_over(
    workspace: &Workspace,
    _lock: &Lock,
    manifest: &mut Manifest,
    blobs: &dyn Blobs,
    delivery: &Delivery,
) -> Result<Report, HandOverError> {
    Site::new(workspace, Fault::default())?.deliver(manifest, blobs, delivery)
}

/// Hand-overs of at least as many files get a folder for their temp files.
const STAGING_FROM: usize = 32;

/// Where a hand-over works.
struct Site<'a> {
    workspace: &'a Workspace,
    tmp: OwnedFd,
    fault: Fault,
}

/// Changes of the manifest.
type Changes = Vec<(RelPath, Option<Output>)>;

impl<'a> Site<'a> {
    fn new(workspace: &'a Workspace, fault: Fault) -> Result<Self, HandOverError> {
        let path = workspace.tmp();
        let tmp = beneath::root(&path).map_err(|source| WorkspaceError::io("opened", &path, source))?;
        Ok(Self { workspace, tmp, fault })
    }

    fn folders(&self) -> Folders<'a> {
        Folders::new(self.workspace.root())
    }

    fn deliver(
        &self,
        manifest: &mut Manifest,
        blobs: &dyn Blobs,
        delivery: &Delivery,
    ) -> Result<Report, HandOverError> {
        if manifest.is_unsaved() {
            manifest.save(self.workspace)?;
        }
        let checked = check(self, manifest, delivery)?;
        let mut report = checked.report.clone();
        let mut changes = checked.changes.clone();
        let mut failure = None;
        if checked.touches_the_project() {
            intents::write(self.workspace, manifest, &checked.intents())?;
            self.fault.point()?;
            failure = self.carry_out(manifest, blobs, &checked, &mut changes, &mut report).err();
            #[cfg(test)]
            if matches!(failure, Some(HandOverError::Crashed)) {
                return Err(HandOverError::Crashed);
            }
        }
        if !changes.is_empty() {
            manifest.apply(changes);
            self.fault.point()?;
            manifest.save(self.workspace)?;
        } else if checked.touches_the_project() {
            intents::clear(self.workspace)?;
        }
        match failure {
            None => Ok(report),
            Some(error) => Err(error),
        }
    }

    /// Removes, makes folders, writes. What was done is in `changes`, also after a failure.
    fn carry_out(
        &self,
        manifest: &Manifest,
        blobs: &dyn Blobs,
        checked: &Checked,
        changes: &mut Changes,
        report: &mut Report,
    ) -> Result<(), HandOverError> {
        self.remove_obsolete(manifest, checked, changes, report)?;
        let mut folders = self.folders();
        for (path, output) in &checked.folders {
            folders.make(path)?;
            changes.push((path.clone(), Some(output.clone())));
            self.fault.point()?;
        }
        report.written += checked.folders.iter().filter(|(path, _)| checked.wants_folder(path)).count();
        drop(folders);
        let writes = &checked.writes;
        let staging = if writes.len() >= STAGING_FROM { Some(Staging::new(self.workspace)?) } else { None };
        let tmp = staging.as_ref().map_or(self.tmp.as_fd(), Staging::folder);
        blobs.expect(&writes.iter().filter_map(check::Write::digest).collect::<Vec<_>>());
        let state = |thread| write::Writer::new(self, tmp, thread);
        let (written, failure) =
            in_parallel(writes, threads_for(writes.len()), state, |writer, item| writer.write(item, blobs));
        report.written += written.len();
        changes.extend(written.into_iter().map(|(path, output)| (path, Some(output))));
        failure.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
