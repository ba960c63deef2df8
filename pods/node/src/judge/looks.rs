//! Which looks of a step count as observations.

use protocol::{Look, RelPath, Tree, TreeEntry};
use rustc_hash::FxHashSet;

use crate::Project;

/// Looks that count: those at what the step itself made do not, as far as nothing was there before.
///
/// overlayfs looks a name up in the lower before each create, which cannot be told from a question of the step.
pub(super) fn without_own(
    looks: Vec<(RelPath, Look)>,
    outputs: &Tree,
    project: &Project,
    keeps: bool,
) -> Vec<(RelPath, Look)> {
    let mut made: FxHashSet<RelPath> = FxHashSet::default();
    let mut written: FxHashSet<&RelPath> = FxHashSet::default();
    for (path, entry) in outputs.entries() {
        if *entry == TreeEntry::Deleted {
            continue;
        }
        written.insert(path);
        for place in std::iter::once(path.clone()).chain(path.ancestors()) {
            if project.entry(&place).is_some() || !made.insert(place) {
                break;
            }
        }
    }
    let read: FxHashSet<RelPath> =
        looks.iter().filter(|(_, look)| *look == Look::Content).map(|(path, _)| path.clone()).collect();
    looks
        .into_iter()
        .filter_map(|(path, look)| {
            if made.contains(&path) {
                // With `keep` the absence of an own output is seen. So is that of a folder: what others put into it would have
                // been seen there, and was not, since it was the step's own.
                let is_folder = outputs.get(&path).is_none_or(|entry| *entry == TreeEntry::EmptyDir);
                return (keeps || is_folder).then_some((path, Look::Kind));
            }
            if look == Look::Probe && written.contains(&path) && !read.contains(&path) {
                return Some((path, Look::Kind));
            }
            Some((path, look))
        })
        .collect()
}
