//! What failed steps had written: their upper folders, for whoever looks into them.
//!
//! Layout: `<workspace>/<digest of the step's id>/upper`. One is kept for each step, from its failure until it comes to a good end or fails again; at most
//! [`MOST`] of them, for [`LONGEST`] since they were kept or looked at, none of more than [`LARGEST`] bytes. What is beyond that goes when
//! another one is kept, and when a pod opens its home. Where steps do not write in the home, these are not in it either, for they are moved and not
//! copied. A folder that cannot be kept or removed is no failure of a build. A crash while one is looked at loses it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use kitchen::{ScratchPlace, UpperDir, remove_tree};
use parking_lot::Mutex;
use protocol::{Digest, StepId, WorkspaceId};
use rustc_hash::FxHashSet;

/// Folders that are kept at most.
pub const MOST: usize = 16;
/// For how long.
pub const LONGEST: Duration = Duration::from_secs(3 * 24 * 3600);
/// Bytes of the largest.
pub const LARGEST: u64 = 1 << 30;

/// All of a home's.
pub struct Failed {
    folder: PathBuf,
    /// The folder is not in the home, and goes when nothing is in it.
    is_elsewhere: bool,
    /// Those that are there.
    there: Mutex<FxHashSet<PathBuf>>,
}

impl Failed {
    /// Those in this place, which need not be there.
    pub(crate) fn open(place: ScratchPlace) -> Self {
        let is_elsewhere = place.instead_of.is_some();
        let failed = Self { folder: place.path, is_elsewhere, there: Mutex::default() };
        failed.sweep(SystemTime::now());
        failed
    }

    fn place(&self, workspace: WorkspaceId, step: &StepId) -> PathBuf {
        let step = Digest::of(step.as_str().as_bytes());
        self.folder.join(workspace.to_string()).join(step.hex())
    }

    /// What a step had written when it last failed, if that is there; for [`Visit::beneath`](crate::Visit::beneath).
    pub fn of(&self, workspace: WorkspaceId, step: &StepId) -> Option<PathBuf> {
        let place = self.place(workspace, step);
        let is_there = self.there.lock().contains(&place);
        is_there.then(|| place.join(UPPER)).filter(|upper| upper.is_dir())
    }

    /// Whether there is one of any step of a workspace.
    pub fn is_any_of(&self, workspace: WorkspaceId) -> bool {
        let folder = self.folder.join(workspace.to_string());
        self.there.lock().iter().any(|place| place.starts_with(&folder))
    }

    /// A step failed, and left this. May take a while: the folder is measured.
    pub fn keep(&self, workspace: WorkspaceId, step: &StepId, upper: UpperDir) {
        self.forget(workspace, step);
        let place = self.place(workspace, step);
        let kept = DirBuilder::new().recursive(true).mode(0o700).create(&place);
        match kept.and_then(|()| upper.keep(&place.join(UPPER), LARGEST)) {
            Ok(true) => {
                self.there.lock().insert(place);
                self.sweep(SystemTime::now());
            }
            Ok(false) => remove(&place),
            Err(error) => {
                tracing::debug!(%step, %error, "what a failed step wrote is not kept");
                remove(&place);
            }
        }
    }

    /// A step came to a good end.
    pub fn forget(&self, workspace: WorkspaceId, step: &StepId) {
        let place = {
            let mut there = self.there.lock();
            // Nearly always.
            if there.is_empty() {
                return;
            }
            let place = self.place(workspace, step);
            there.remove(&place).then_some(place)
        };
        if let Some(place) = place {
            remove(&place);
        }
    }

    /// Removes what is beyond the bounds.
    fn sweep(&self, now: SystemTime) {
        let mut all = places(&self.folder);
        all.sort_by_key(|(_, since)| std::cmp::Reverse(*since));
        let is_old = |since: &SystemTime| now.duration_since(*since).is_ok_and(|age| age > LONGEST);
        let (stay, go): (Vec<_>, Vec<_>) =
            all.into_iter().enumerate().partition(|(at, (_, since))| *at < MOST && !is_old(since));
        go.iter().for_each(|(_, (place, _))| remove(place));
        *self.there.lock() = stay.into_iter().map(|(_, (place, _))| place).collect();
    }

    /// Removes the folder where it is outside of the home and nothing is left in it. For the end of a pod: who still holds it then is no reason to leave it.
    pub(crate) fn close(&self) {
        if self.is_elsewhere
            && let Err(error) = fs::remove_dir(&self.folder)
        {
            tracing::debug!(path = %self.folder.display(), %error, "what failed steps wrote stays");
        }
    }
}

const UPPER: &str = "upper";

/// All that are there, and when each was kept or looked at.
fn places(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let steps = entries(folder).flat_map(|workspace| entries(&workspace.path()).collect::<Vec<_>>());
    steps
        .filter_map(|step| Some((step.path(), step.metadata().and_then(|meta| meta.modified()).ok()?)))
        .collect()
}

fn remove(place: &Path) {
    let removed = remove_tree(place).and_then(|()| match place.parent().map(fs::remove_dir) {
        Some(Err(error)) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    });
    if let Err(error) = removed {
        tracing::warn!(path = %place.display(), %error, "what a failed step wrote cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> WorkspaceId {
        WorkspaceId::from_random(7)
    }

    /// As if kept so long ago.
    fn kept(failed: &Failed, step: &str, age: Duration) {
        let place = failed.place(workspace(), &StepId::new(step));
        fs::create_dir_all(place.join(UPPER).join("made")).unwrap();
        let time = fs::FileTimes::new().set_modified(SystemTime::now() - age);
        fs::File::open(&place).unwrap().set_times(time).unwrap();
    }

    #[test]
    fn only_some_are_kept_for_some_time() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("failed");
        let open = || Failed::open(ScratchPlace { path: folder.clone(), instead_of: None });
        let failed = open();
        assert!(!failed.is_any_of(workspace()));
        for step in 0..MOST + 3 {
            kept(&failed, &step.to_string(), Duration::from_secs(step as u64 * 60));
        }
        kept(&failed, "old", LONGEST + Duration::from_secs(60));
        let failed = open();
        let is_there = |step: &str| failed.of(workspace(), &StepId::new(step)).is_some();
        let there = (0..MOST + 3).filter(|step| is_there(&step.to_string())).collect::<Vec<_>>();
        assert_eq!(there, (0..MOST).collect::<Vec<_>>());
        assert!(!is_there("old"));
        assert_eq!(places(&folder).len(), MOST);
        for step in 0..MOST {
            failed.forget(workspace(), &StepId::new(&step.to_string()));
        }
        assert!(!failed.is_any_of(workspace()) && fs::read_dir(&folder).unwrap().next().is_none());
    }
}
