//! A larder, a host and projects for the tests of what is seen of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::{Larder, ObjectKind};
use protocol::step::Lensed;
use protocol::{Keep, Look, PathSet, RelPath, StepSpec, Trace, Tree, TreeEntry, WorkspaceId};
use tokio::runtime::{Builder, Runtime};
use view::{HostOptions, HostTools, NoMemo};

use crate::lenses::Counted;
use crate::{Evaluator, NoSources, OutputsBuilder, Project, SourceFiles, Supply, Verdict};

/// A larder, and a host of which nothing is seen but what is written to it.
pub(crate) struct Place {
    pub dir: tempfile::TempDir,
    pub larder: Larder,
    pub runtime: Runtime,
}

/// A step that does nothing through these lenses.
pub(crate) fn spec(projections: &[(&str, &str)], normalisers: &[(&str, &str)]) -> StepSpec {
    let lensed = |glob: &str, text: &str, id| Lensed { glob: glob.into(), lens: text.into(), id };
    StepSpec {
        commands: vec![vec![b"true".to_vec()]],
        cwd: RelPath::root(),
        env: vec![],
        out: vec![],
        keep: Keep::Nothing,
        network: false,
        secrets: vec![],
        alters: false,
        sizes: true,
        scratch: vec![],
        declared_in: vec![],
        projections: projections
            .iter()
            .map(|(glob, text)| lensed(glob, text, lens::builtin().projection(text).unwrap().id().digest()))
            .collect(),
        normalisers: normalisers
            .iter()
            .map(|(glob, text)| lensed(glob, text, lens::builtin().normaliser(text).unwrap().id().digest()))
            .collect(),
    }
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let larder = Larder::open(&dir.path().join("larder"), larder::Options::default()).unwrap();
        std::fs::create_dir_all(dir.path().join("host/etc")).unwrap();
        std::fs::create_dir_all(dir.path().join("host/usr/lib")).unwrap();
        Self { dir, larder, runtime: Builder::new_current_thread().build().unwrap() }
    }

    pub fn host(&self) -> PathBuf {
        self.dir.path().join("host")
    }

    pub fn tools(&self) -> Arc<HostTools> {
        let options = HostOptions { base: self.host(), ..HostOptions::default() };
        Arc::new(HostTools::new(options, Arc::new(NoMemo)).unwrap())
    }

    /// A project of these files, seen by a step.
    pub fn project(&self, spec: &StepSpec, files: &[(&str, &str)]) -> Project {
        let entries = files.iter().map(|(path, text)| {
            let digest = self.larder.put(ObjectKind::Blob, text.as_bytes()).unwrap();
            (path.parse().unwrap(), TreeEntry::File { digest, size: text.len() as u64, exec: false })
        });
        let mut outputs = OutputsBuilder::default();
        outputs.apply(&Tree::new(entries.collect()).unwrap());
        let project = Path::new(self.dir.path());
        let files = SourceFiles::new(project, self.larder.clone(), self.runtime.handle().clone()).unwrap();
        Project::new(Arc::new(NoSources), Arc::new(files), outputs.finish()).seen_by(spec)
    }

    /// A project of a tree whose bytes may be elsewhere.
    pub fn project_of(&self, tree: &Tree, supply: Supply) -> Project {
        let mut outputs = OutputsBuilder::default();
        outputs.apply(tree);
        let files = SourceFiles::new(self.dir.path(), supply, self.runtime.handle().clone()).unwrap();
        Project::new(Arc::new(NoSources), Arc::new(files), outputs.finish())
    }

    /// The trace of a run over a project, as the pod makes it.
    pub fn trace(&self, spec: &StepSpec, project: &Project, looks: &[(&str, Look)]) -> (Trace, PathSet) {
        let looks = looks.iter().map(|(path, look)| (path.parse().unwrap(), *look));
        let counted = Counted::new(project.lenses(), looks);
        let tools = self.tools();
        let (seen, raw) = self.runtime.block_on(crate::run::observe(&counted, project, &tools)).unwrap();
        let (weak, path_set) = (spec.weak_key(), counted.set.digest());
        let outputs = Tree::default().digest();
        (
            Trace { weak, path_set, seen, raw, readings: vec![], outputs, printed: None, millis: 1 },
            counted.set,
        )
    }

    pub fn evaluator(&self) -> Evaluator {
        Evaluator::new(self.larder.clone(), self.tools())
    }

    pub fn hits(&self, spec: &StepSpec, project: &Project) -> bool {
        let (evaluator, ours) = (self.evaluator(), WorkspaceId::from_random(1));
        let verdict = self.runtime.block_on(evaluator.look_up(&spec.weak_key(), project, ours)).unwrap();
        matches!(verdict, Verdict::Hit { .. })
    }
}
