//! Waiting for stamps that cannot be believed yet.
//!
//! A file that was changed in the very tick of the scan could change again without showing it. A tick is a few
//! milliseconds, so the scan waits for its end and stats such files once more: what is the same then is settled, since
//! nothing but stamps was read of it. Folders and links, of which names and targets were read, are scanned again. File
//! systems that keep whole seconds are not waited for; their young files stay unsettled, and are hashed again next time.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use protocol::{FileKind, RelPath};
use rustix::fs::{AtFlags, statat};

use super::SnapshotError;
use super::nodes::{CLOSED, Index, Nodes, SETTLED};
use super::walk::walk;
use crate::majordomo::workspace::standing::is_exec;
use crate::majordomo::workspace::{Moment, stamp_of};

/// The longest wait for a tick's end: kernels tick every 1 to 10 ms.
pub const LONGEST_WAIT: Duration = Duration::from_millis(12);

/// How often the scan starts again because an unsettled file had changed after the wait.
const ATTEMPTS: u32 = 3;

/// Walks the project, and once more where that is needed for its youngest files.
pub fn scan(root: BorrowedFd<'_>, mut moment: Moment) -> Result<(Nodes, Vec<RelPath>), SnapshotError> {
    let mut attempt = 1;
    loop {
        let walked = walk(root)?;
        let mut nodes = Nodes::new(&walked.folders, moment)?;
        drop(walked.folders);
        match settle(root, &mut nodes, moment) {
            Some(later) if attempt < ATTEMPTS => moment = later,
            _ => return Ok((nodes, walked.special)),
        }
        attempt += 1;
    }
}

/// Settles what a short wait can settle; a later moment if the scan has to start again at it.
fn settle(root: BorrowedFd<'_>, nodes: &mut Nodes, moment: Moment) -> Option<Moment> {
    let waited_for = moment.nanoseconds().saturating_add(LONGEST_WAIT.as_nanos() as i64);
    let unsettled = unsettled(nodes, waited_for);
    let newest = unsettled.iter().map(|index| newest(nodes, *index)).max()?;
    let later = wait_beyond(newest);
    if unsettled.iter().any(|index| nodes.kind(*index) != FileKind::File) {
        return Some(later);
    }
    for (index, path) in paths(nodes, &unsettled) {
        match statat(root, path.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stamp_of(&stat) == nodes.stamp(index) && is_exec(&stat) == nodes.exec(index) => {
                if later.settles(&nodes.stamp(index)) {
                    nodes.set(index, SETTLED);
                }
            }
            _ => return Some(later),
        }
    }
    None
}

/// The later of a node's times.
pub fn newest(nodes: &Nodes, index: Index) -> i64 {
    let stamp = nodes.stamp(index);
    stamp.ctime_ns.max(stamp.mtime_ns)
}

/// Nodes that are not settled but for the tick.
pub fn unsettled(nodes: &Nodes, until: i64) -> Vec<Index> {
    nodes
        .indices()
        .filter(|index| !nodes.has(*index, SETTLED) && newest(nodes, *index) <= until)
        .filter(|index| newest(nodes, *index) % 1_000_000_000 != 0)
        .collect()
}

/// The paths of folders that may not be looked into.
pub fn closed(nodes: &Nodes) -> Vec<RelPath> {
    let closed: Vec<Index> = nodes.indices().filter(|index| nodes.has(*index, CLOSED)).collect();
    match closed.as_slice() {
        [] => Vec::new(),
        closed => paths(nodes, closed).into_iter().map(|(_, path)| path).collect(),
    }
}

/// The paths of nodes.
pub fn paths(nodes: &Nodes, wanted: &[Index]) -> Vec<(Index, RelPath)> {
    let mut parents = vec![0; nodes.len()];
    for index in nodes.indices() {
        for child in nodes.children(index) {
            parents[child as usize] = index;
        }
    }
    let path_of = |index: Index| {
        let mut parts = Vec::new();
        let mut at = index;
        while at != 0 {
            parts.push(nodes.name(at));
            at = parents[at as usize];
        }
        parts.reverse();
        RelPath::new(&parts.join(&b'/')).ok()
    };
    wanted.iter().filter_map(|index| Some((*index, path_of(*index)?))).collect()
}

/// Waits until a change that comes now gets a later time than this, but not for long; the moment after.
pub fn wait_beyond(time_ns: i64) -> Moment {
    let start = std::time::Instant::now();
    loop {
        let now = Moment::now();
        if now.nanoseconds() > time_ns || start.elapsed() > LONGEST_WAIT {
            return now;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
