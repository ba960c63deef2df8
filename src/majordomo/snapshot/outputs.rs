//! Which nodes of a scan are our own handed-over outputs.

use std::os::fd::BorrowedFd;

use protocol::{FileKind, RelPath};

use super::nodes::{Index, Nodes, OURS, OUTPUT};
use super::{ScanReport, SnapshotError};
use crate::majordomo::workspace::crew::{in_parallel, threads_for};
use crate::majordomo::workspace::standing::{Standing, stands};
use crate::majordomo::workspace::{Made, Manifest, Output};

/// Marks as outputs what the manifest has and what still agrees with it, and the folders that hold nothing else.
pub fn mark(
    root: BorrowedFd<'_>,
    nodes: &mut Nodes,
    manifest: &Manifest,
) -> Result<ScanReport, SnapshotError> {
    let mut report = ScanReport::default();
    let mut doubtful: Vec<(Index, &RelPath, &Output)> = Vec::new();
    for (path, output) in manifest.entries() {
        let Some(index) = nodes.find(path) else {
            report.missing.push(path.clone());
            continue;
        };
        match (&output.made, nodes.kind(index)) {
            (Made::Folder, FileKind::Dir) => nodes.set(index, OURS),
            // A folder that the user made something else of holds no bytes of ours.
            (Made::Folder, _) => {}
            (Made::File { .. }, FileKind::File) | (Made::Link(_), FileKind::Link)
                if output.stamp == Some(nodes.stamp(index)) =>
            {
                nodes.set(index, OUTPUT);
            }
            _ => doubtful.push((index, path, output)),
        }
    }
    compare(root, nodes, &doubtful, &mut report)?;
    hide_folders(nodes);
    Ok(report)
}

fn compare(
    root: BorrowedFd<'_>,
    nodes: &mut Nodes,
    doubtful: &[(Index, &RelPath, &Output)],
    report: &mut ScanReport,
) -> Result<(), SnapshotError> {
    let (compared, failure) = in_parallel(
        doubtful,
        threads_for(doubtful.len()),
        |_| (),
        |(), item| {
            let (index, path, output) = *item;
            match stands(root, path, Some(output)) {
                Ok(standing) => Ok((index, path, output.stamp, standing)),
                Err(source) => Err(SnapshotError::UnreadableOutput { path: path.clone(), source }),
            }
        },
    );
    if let Some(error) = failure {
        return Err(error);
    }
    for (index, path, known, standing) in compared {
        match standing {
            Standing::Agrees { stamp, believed, .. } => {
                nodes.set(index, OUTPUT);
                if believed && Some(stamp) != known {
                    report.restamped.push((path.clone(), stamp));
                }
            }
            Standing::Torn(_) | Standing::Absent | Standing::Beyond(_) => {
                nodes.set(index, OUTPUT);
                report.missing.push(path.clone());
            }
            Standing::Differs(..) => report.edited.push(path.clone()),
        }
    }
    report.edited.sort_unstable();
    report.missing.sort_unstable();
    report.restamped.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(())
}

/// A folder that we made and in which there is nothing of the user's is no source.
fn hide_folders(nodes: &mut Nodes) {
    for index in nodes.indices().rev() {
        if nodes.has(index, OURS) && nodes.children(index).all(|child| nodes.has(child, OUTPUT)) {
            nodes.set(index, OUTPUT);
        }
    }
}
