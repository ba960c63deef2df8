//! The home: its disk, its file system, and what a dead pod has left.

use std::fs;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::{Finding, State};
use crate::cli::words::bytes;

/// Room below which a build is likely to fail, and below which it may.
const TOO_LITTLE: u64 = 256 << 20;
const LITTLE: u64 = 5 << 30;

pub(super) fn all(home: &Path) -> Vec<Finding> {
    [disk(home), left(home)].into_iter().flatten().collect()
}

fn disk(home: &Path) -> Option<Finding> {
    let why = "the larder keeps sources and outputs, and steps write there";
    let folder = home.ancestors().find(|folder| folder.is_dir())?;
    let room = rustix::fs::statvfs(folder).ok()?;
    let free = room.f_bavail * room.f_frsize;
    let finding =
        Finding::fine("disk", format!("{} free at `{}`", bytes(free), home.display()), why).needed();
    let mend = "make room, or name a home on another disk: `--home DIR`";
    Some(if free < TOO_LITTLE || (room.f_files > 0 && room.f_favail < 1000) {
        finding.is(State::Missing, mend)
    } else if free < LITTLE {
        finding.is(State::Slower, mend)
    } else {
        finding
    })
}

/// What is there though nobody holds the home.
fn left(home: &Path) -> Option<Finding> {
    let why = "what a pod that was killed has left takes room until the next one starts";
    let name = "leftovers";
    let lock = fs::File::open(home.join("lock")).ok()?;
    if flock(&lock, FlockOperation::NonBlockingLockShared).is_err() {
        return Some(Finding::fine(name, "none: a pod holds the home", why));
    }
    let is_filled = |folder: fs::DirEntry| folder.path().join("upper").exists();
    let uppers = fs::read_dir(home.join("scratch"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|folder| is_filled(folder).then_some(()))
        .count();
    let socket = home.join("pod.sock").exists();
    let mut found = Vec::new();
    if uppers > 0 {
        found.push(format!("what {uppers} steps wrote"));
    }
    if socket {
        found.push("a socket".to_owned());
    }
    Some(match found.is_empty() {
        true => Finding::fine(name, "none", why),
        false => Finding::fine(name, found.join(", "), why)
            .is(State::Slower, "start a pod, or build anything: it is swept then"),
    })
}
