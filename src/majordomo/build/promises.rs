//! What the steps of a plan promise, and which of it each step sees.
//!
//! A step sees the declared outputs of every other step: their names at once, what stands there once it is made. Its own
//! are hidden, and so are those of the steps that are `after` it: what they write is later than what it reads (DESIGN §4.3).
//! The folders of promises are always there, but for a step that all who promise something in them are after.

use std::sync::{Arc, OnceLock};

use node::{Names, PromisedAt};
use protocol::plan::SharedPlan;
use protocol::step::Promise;
use protocol::{FileKind, RelPath};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::majordomo::plan::Plan;

/// A name in a folder of promises.
struct Name {
    name: Box<[u8]>,
    kind: FileKind,
    /// Who makes it; empty: a folder on the way to something promised.
    by: Vec<usize>,
}

/// Names in a folder, with kinds and makers.
type NamesBy = FxHashMap<Box<[u8]>, (FileKind, Vec<usize>)>;

/// The promises of a plan.
pub struct Promises {
    /// The steps that come right before each.
    after: Vec<Arc<[usize]>>,
    /// The makers of each promised path, in the order in which they could run.
    makers: FxHashMap<RelPath, Vec<usize>>,
    /// Promised trees.
    trees: FxHashSet<RelPath>,
    folders: FxHashMap<RelPath, Vec<Name>>,
    /// Each step's place in one order in which all could run one by one.
    position: Vec<usize>,
    /// All steps before each, through any number of others.
    before: Vec<OnceLock<FxHashSet<usize>>>,
}

impl Promises {
    /// Those of a plan.
    pub fn new(plan: &Plan) -> Self {
        let mut position = vec![0; plan.steps.len()];
        for (place, step) in plan.one_by_one().into_iter().enumerate() {
            position[step] = place;
        }
        let after = plan.steps.iter().map(|step| Arc::clone(&step.after)).collect();
        Self::of(after, position, plan.outputs().iter().map(|output| (output.step, &output.promise)))
    }

    /// Those of a plan that another pod has.
    pub fn shared(plan: &SharedPlan) -> Self {
        let after = plan.steps.iter().map(|step| Arc::clone(&step.after)).collect();
        let position = plan.steps.iter().map(|step| step.turn).collect();
        let steps = plan.steps.iter().enumerate();
        Self::of(
            after,
            position,
            steps.flat_map(|(place, step)| step.spec.out.iter().map(move |out| (place, out))),
        )
    }

    fn of<'a>(
        after: Vec<Arc<[usize]>>,
        position: Vec<usize>,
        promises: impl Iterator<Item = (usize, &'a Promise)>,
    ) -> Self {
        let mut makers: FxHashMap<RelPath, Vec<usize>> = FxHashMap::default();
        let mut trees = FxHashSet::default();
        let mut folders: FxHashMap<RelPath, NamesBy> = FxHashMap::default();
        for (step, promise) in promises {
            let (path, is_tree) = (promise.path(), matches!(promise, Promise::Tree(_)));
            let at = makers.entry(path.clone()).or_default();
            at.push(step);
            at.sort_by_key(|&step| position[step]);
            if is_tree {
                trees.insert(path.clone());
            }
            let (Some(parent), Some(name)) = (path.parent(), path.name()) else { continue };
            let is_known = folders.contains_key(&parent);
            let kind = if is_tree { FileKind::Dir } else { FileKind::File };
            let names = folders.entry(parent.clone()).or_default();
            names.entry(name.into()).or_insert((kind, Vec::new())).1.push(step);
            if is_known {
                continue;
            }
            let mut folder = parent;
            while let (Some(parent), Some(name)) = (folder.parent(), folder.name()) {
                let is_known = folders.contains_key(&parent);
                let names = folders.entry(parent.clone()).or_default();
                names.entry(name.into()).or_insert((FileKind::Dir, Vec::new()));
                if is_known {
                    break;
                }
                folder = parent;
            }
        }
        let named = |(name, (kind, by))| Name { name, kind, by };
        Self {
            folders: folders
                .into_iter()
                .map(|(folder, names)| (folder, names.into_iter().map(named).collect()))
                .collect(),
            before: after.iter().map(|_| OnceLock::new()).collect(),
            after,
            makers,
            trees,
            position,
        }
    }

    /// A step's place in one order in which all could run one by one.
    pub fn position(&self, step: usize) -> usize {
        self.position[step]
    }

    /// Whether a step is `after` another one, through any number of others.
    pub fn is_after(&self, later: usize, earlier: usize) -> bool {
        if self.after[later].is_empty() || self.position[later] <= self.position[earlier] {
            return false;
        }
        self.before_set(later).contains(&earlier)
    }

    fn before_set(&self, step: usize) -> &FxHashSet<usize> {
        self.before[step].get_or_init(|| {
            let mut seen = FxHashSet::default();
            let mut todo: Vec<usize> = self.after[step].to_vec();
            while let Some(next) = todo.pop() {
                if seen.insert(next) {
                    todo.extend(self.after[next].iter());
                }
            }
            seen
        })
    }

    /// All steps that come before this one, in an order in which they could run one by one.
    pub fn before(&self, step: usize) -> Vec<usize> {
        if self.after[step].is_empty() {
            return Vec::new();
        }
        let mut before: Vec<usize> = self.before_set(step).iter().copied().collect();
        before.sort_by_key(|&step| self.position[step]);
        before
    }

    /// Whether a step sees what another one promises.
    fn sees(&self, step: usize, by: usize) -> bool {
        step != by && !self.is_after(by, step)
    }

    /// The steps that promise a path, as itself or in a tree.
    pub fn makers_of(&self, path: &RelPath) -> impl Iterator<Item = usize> {
        let here = self.makers.get(path).into_iter().flatten();
        let above = (!self.trees.is_empty()).then(|| path.ancestors()).into_iter().flatten();
        let in_trees = above.filter(|folder| self.trees.contains(folder));
        here.chain(in_trees.flat_map(|folder| self.makers.get(&folder).into_iter().flatten())).copied()
    }

    /// How a path stands to the promises that a step sees.
    pub fn at(&self, step: usize, path: &RelPath) -> Option<PromisedAt> {
        let by = self.makers_of(path).filter(|&by| self.sees(step, by)).max_by_key(|&by| self.position[by]);
        match by {
            Some(by) => Some(PromisedAt::By(by)),
            None => self.sees_folder(step, path).then_some(PromisedAt::Folder),
        }
    }

    /// The promised names in a folder that a step sees.
    pub fn names(&self, step: usize, folder: &RelPath) -> Names {
        let names = self.folders.get(folder).into_iter().flatten();
        let is_seen = |name: &&Name| {
            name.by.iter().any(|&by| self.sees(step, by))
                || name.by.is_empty()
                    && folder.child(&name.name).is_some_and(|path| self.sees_folder(step, &path))
        };
        names.filter(is_seen).map(|name| (name.name.clone(), name.kind)).collect()
    }

    /// Whether a folder leads to something that is not later than a step.
    fn sees_folder(&self, step: usize, folder: &RelPath) -> bool {
        self.any_below(folder, &|by| !self.is_after(by, step))
    }

    /// Whether this is so of one of those that promise something in a folder.
    fn any_below(&self, folder: &RelPath, is_so: &dyn Fn(usize) -> bool) -> bool {
        self.folders.get(folder).into_iter().flatten().any(|name| {
            name.by.iter().any(|&by| is_so(by))
                || name.by.is_empty()
                    && folder.child(&name.name).is_some_and(|path| self.any_below(&path, is_so))
        })
    }

    /// Whether a folder leads to something promised, and so is always there for all whom a step is not after.
    pub fn leads(&self, folder: &RelPath, step: usize) -> bool {
        // Who is not before this one is not before that one, and sees the folder for what it promises.
        self.any_below(folder, &|by| by == step || self.before_set(by).is_subset(self.before_set(step)))
    }

    /// Whether what steps see at a path may depend on which step looks.
    pub fn touch(&self, path: &RelPath) -> bool {
        self.folders.contains_key(path) || self.makers_of(path).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::majordomo::project_file::ProjectFile;

    fn promises(text: &str) -> (Arc<Plan>, Promises) {
        let file = ProjectFile::parse(Path::new("p/majordomo.toml"), text.as_bytes()).unwrap();
        let plan = Arc::new(Plan::new(&file, &Vec::<RelPath>::new(), &|_| None).unwrap());
        (Arc::clone(&plan), Promises::new(&plan))
    }

    fn path(text: &str) -> RelPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_step_sees_what_others_promise_and_not_what_comes_after_it() {
        let (plan, promises) = promises(
            "[step.first]\nrun = 'x'\nout = 'out/a'\n[step.later]\nrun = 'x'\nout = ['out/b', 'out/a']\nafter = 'first'\n\
             [step.apart]\nrun = 'x'\nout = 'tree/'\n",
        );
        let step = |name: &str| plan.steps_named(name).start;
        let (first, later, apart) = (step("first"), step("later"), step("apart"));
        let names = |step: usize, folder: &str| {
            let folder = if folder.is_empty() { RelPath::root() } else { path(folder) };
            let mut names: Vec<String> = promises
                .names(step, &folder)
                .iter()
                .map(|(name, kind)| format!("{}:{}", String::from_utf8_lossy(name), kind.word()))
                .collect();
            names.sort();
            names.join(" ")
        };
        // The folder of own promises is there, too; in it are those of others that do not come later.
        assert_eq!((names(first, ""), names(first, "out")), ("out:folder tree:folder".into(), String::new()));
        assert_eq!(names(later, "out"), "a:file");
        assert_eq!(names(apart, "out"), "a:file b:file");
        assert_eq!(promises.at(first, &path("out")), Some(PromisedAt::Folder));
        assert_eq!(promises.at(first, &path("out/b")), None);
        assert_eq!(promises.at(later, &path("out/a")), Some(PromisedAt::By(first)));
        // Who is not ordered sees the last version.
        assert_eq!(promises.at(apart, &path("out/a")), Some(PromisedAt::By(later)));
        assert_eq!(promises.at(first, &path("tree/deep/x")), Some(PromisedAt::By(apart)));
        assert_eq!(promises.at(apart, &path("tree/deep/x")), None);
        assert!(promises.is_after(later, first) && !promises.is_after(first, later));
        assert!(promises.leads(&path("out"), later) && promises.leads(&path("out"), apart));
        assert!(promises.touch(&path("out")) && !promises.touch(&path("elsewhere")));
    }

    #[test]
    fn a_folder_of_what_comes_later_is_not_there_yet() {
        let (plan, promises) = promises(
            "[step.first]\nrun = 'x'\n[step.later]\nrun = 'x'\nout = 'out/deep/b'\nafter = 'first'\n\
             [step.other]\nrun = 'x'\nout = 'out/c'\nafter = 'first'\n[step.apart]\nrun = 'x'\n",
        );
        let step = |name: &str| plan.steps_named(name).start;
        let (first, later, other, apart) = (step("first"), step("later"), step("other"), step("apart"));
        for folder in ["out", "out/deep"] {
            let at = |step: usize| promises.at(step, &path(folder));
            assert_eq!(at(first), None);
            assert_eq!([later, other, apart].map(at), [(); 3].map(|()| Some(PromisedAt::Folder)));
        }
        assert!(promises.names(first, &RelPath::root()).is_empty());
        assert_eq!(promises.names(apart, &path("out")).len(), 2);
        // Whoever is after `first` makes no folder anew for anybody else; others may make it for `first`.
        assert!(promises.leads(&path("out"), later) && promises.leads(&path("out/deep"), other));
        assert!(!promises.leads(&path("out"), apart));
    }
}
