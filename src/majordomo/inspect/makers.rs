//! Who made what a step saw: steps of the plan, and steps that were in it once.

use protocol::{FileKind, RelPath, StepId, Tree, TreeEntry};

use super::Fallible;
use super::looked::Looked;
use crate::majordomo::build::is_kept;

/// Whether something at a path or below it was made.
fn touches(tree: &Tree, path: &RelPath) -> bool {
    tree.get(path).is_some() || tree.entries().iter().any(|(made, _)| made.is_within(path))
}

impl Looked {
    /// The steps that made what a reader saw at a path of the project: of a file the last that is not after the reader, of a
    /// folder all that made something in it.
    pub fn makers(&self, path: &RelPath, reader: usize) -> Vec<usize> {
        let promises = self.made.promises();
        let before = self.in_order(&[reader]).into_iter().filter(|&step| step != reader);
        let makers = before.filter_map(|step| Some((step, self.made.tree(step)?)));
        let makers = makers.filter(|(step, tree)| touches(tree, path) && !promises.is_after(*step, reader));
        let (files, folders): (Vec<_>, Vec<_>) = makers.partition(|(_, tree)| tree.get(path).is_some());
        if let Some((last, _)) = files.iter().max_by_key(|(step, _)| promises.position(*step)) {
            return vec![*last];
        }
        if !folders.is_empty() {
            return folders.into_iter().map(|(step, _)| step).collect();
        }
        if self.sees_own(reader, path) {
            return vec![reader];
        }
        self.plan().producer(path).filter(|&step| step != reader).into_iter().collect()
    }

    /// Whether what stands at a path, or something in that folder, a step left there itself, and sees again.
    pub fn sees_own(&self, step: usize, path: &RelPath) -> bool {
        let is_kept = is_kept(&self.prepared.specs[step].keep);
        let is_here = |made: &RelPath| made.is_within(path) && is_kept(made);
        self.made.tree(step).is_some_and(|tree| tree.entries().iter().any(|(made, _)| is_here(made)))
    }

    /// The step that made something at a path once, and is none of the plan any more: of several the one that ran last.
    pub fn former_maker(&self, path: &RelPath) -> Fallible<Option<StepId>> {
        let mut found: Option<(u64, StepId)> = None;
        for (id, record) in &self.last {
            let ran = record.ran.as_ref().map_or(0, |run| run.at);
            let is_later = found.as_ref().is_none_or(|(other, _)| *other < ran);
            if self.plan().step(id).is_none() && is_later && touches(&self.outputs(&record.trace)?, path) {
                found = Some((ran, id.clone()));
            }
        }
        Ok(found.map(|(_, id)| id))
    }

    /// Names in a folder that steps made which are none of the plan any more. What cannot be read is left out.
    pub fn former_names(&self, folder: &RelPath) -> Vec<(Vec<u8>, FileKind)> {
        let former = self.last.iter().filter(|(id, _)| self.plan().step(id).is_none());
        let trees = former.filter_map(|(_, record)| self.outputs(&record.trace).ok());
        let mut names = Vec::new();
        for tree in trees {
            for (path, entry) in tree.entries() {
                let Some(below) = path.strip_prefix(folder) else { continue };
                let Some(name) = below.parts().next() else { continue };
                let kind = match entry {
                    _ if below.parts().nth(1).is_some() => FileKind::Dir,
                    TreeEntry::File { .. } => FileKind::File,
                    TreeEntry::Link { .. } => FileKind::Link,
                    TreeEntry::EmptyDir => FileKind::Dir,
                    TreeEntry::Deleted => continue,
                };
                names.push((name.to_vec(), kind));
            }
        }
        names
    }
}
