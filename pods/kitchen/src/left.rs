//! What a dead pod left: counted for whoever asks, touched by nobody.

use std::fs;
use std::io;
use std::path::Path;

use crate::engine::podman::sweep;
use crate::kitchen::group_prefix;
use crate::limits::cgroups;
use crate::scratch_place::elsewhere;

/// What is there of kitchens of one home. It is a dead pod's, if nobody holds the home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Upper folders: what so many steps wrote.
    pub uppers: usize,
    /// Control groups of kitchens.
    pub groups: usize,
    /// Containers in podman's storage of this user.
    pub containers: usize,
}

/// Counts what is there. `scratch`: what [`scratch_place`](crate::scratch_place()) is asked for; `owner`: as in [`Podman`](crate::Podman).
///
/// # Errors
/// Podman is there and cannot be asked.
pub fn left(scratch: &Path, owner: &str) -> io::Result<Left> {
    let below =
        |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (mut uppers, mut groups) = (0, 0);
    for scratch in std::iter::once(scratch.to_owned()).chain(elsewhere(owner)) {
        let Ok(scratch) = scratch.canonicalize() else { continue };
        let steps = below(&scratch).flat_map(|kitchen| below(&kitchen).collect::<Vec<_>>());
        uppers += steps.filter(|step| step.join("upper").exists()).count();
        groups += cgroups::count(&group_prefix(&scratch));
    }
    let containers = match sweep::containers(owner) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        containers => containers?.len(),
    };
    Ok(Left { uppers, groups, containers })
}
