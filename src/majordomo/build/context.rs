//! What all steps of one attempt of a build share.

use std::sync::{Arc, OnceLock};

use node::{Evaluator, NodeError, Outputs, Pod, Project, Promised, SourceFiles, Sources, project_prefix};
use parking_lot::Mutex;
use protocol::{Digest, Look, PathSet, RelPath, StepId, StepSpec, Trace, Tree, WorkspaceId};
use rustc_hash::{FxHashMap, FxHashSet};
use view::HostTools;

use super::demand::StepView;
use super::made::MadeSoFar;
use super::step::Shared;
use super::verify::Verification;
use super::visit::Visitor;
use crate::majordomo::images::Images;
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::{Given, Prepared};
use crate::majordomo::recall::Recall;
use crate::majordomo::records::{self, Edges, Record};
use crate::majordomo::request::{BuildOptions, Failure};
use crate::majordomo::sink::{Cancel, Sink};

/// What changed under an attempt, and so whose turn it is if it goes on changing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// A source: the user's.
    Source,
    /// A tool of this machine.
    Tool,
}

/// Why an attempt ends before its steps do.
#[derive(Debug)]
pub enum Stop {
    /// What it started from is no longer so: a new snapshot is needed.
    Restart {
        /// One line of why.
        why: String,
        /// What it was that changed.
        changed: Changed,
    },
    /// The larder no longer has bytes of this path: whoever made them has to do so again.
    Lost(RelPath),
    /// Something that is promised has to be made first; the path in the project.
    NotYet(RelPath),
    /// A target that nobody declares is not made any more by those who made it before: others have to be asked.
    Wider,
    /// It cannot go on.
    Fatal(Box<Failure>),
}

impl From<NodeError> for Stop {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Source(view::SourceError::Changed { path }) => {
                Stop::Restart { why: format!("`{path}` changed"), changed: Changed::Source }
            }
            NodeError::Source(view::SourceError::NotYet { path }) => Stop::NotYet(path),
            error => Stop::Fatal(Box::new(crate::majordomo::border::node(&error))),
        }
    }
}

impl From<larder::LarderError> for Stop {
    fn from(error: larder::LarderError) -> Self {
        NodeError::from(error).into()
    }
}

/// How a step that is done will be recalled.
pub enum Done {
    /// As it was.
    AsRecalled,
    /// By a trace.
    By {
        /// Its digest.
        digest: Digest,
        /// The trace.
        trace: Arc<Trace>,
        /// Its questions.
        path_set: Arc<PathSet>,
    },
}

/// A step that failed for good, and what may explain it.
pub struct Unexplained {
    /// The step.
    pub step: StepId,
    /// Its exit code, if it ended by itself.
    pub exit: Option<i32>,
    /// The folder in which its commands started.
    pub cwd: RelPath,
    /// What it printed; of much the beginning and the end.
    pub output: String,
}

/// What all steps of one attempt share.
pub struct Context {
    /// Where steps run.
    pub pod: Pod,
    /// Where events go.
    pub sink: Sink,
    /// Set when the build is to end.
    pub cancel: Cancel,
    /// How the build is to be made.
    pub options: BuildOptions,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What each step is keyed by and run with; the plan's, with the `PATH` of extra tool roots.
    pub specs: Vec<Arc<StepSpec>>,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// What people call it.
    pub project: String,
    /// The sources of the snapshot.
    pub sources: Arc<dyn Sources>,
    /// Their bytes.
    pub files: Arc<SourceFiles>,
    /// The host's tools, as of this attempt.
    pub tools: Arc<HostTools>,
    /// Evaluates path sets over them.
    pub evaluator: Evaluator,
    /// What some steps see instead of the host's tools.
    pub images: Images,
    /// What has been made.
    pub made: Arc<MadeSoFar>,
    /// What is remembered of each step.
    pub last: FxHashMap<StepId, Record>,
    /// Who fed whom in the last build.
    pub last_edges: Edges,
    /// Who had only folders in common with whom.
    pub last_edges_if_there: Edges,
    /// Steps that came to a good end while this build was planned.
    pub made_by_now: Arc<FxHashSet<StepId>>,
    /// It is what comes before the plan is whole: steps that are no question of a chef are for later.
    pub is_planning: bool,
    /// Their weak keys.
    pub weak_keys: Vec<Digest>,
    /// What the last good build came to.
    pub recall: Recall,
    /// Which of its observations outside of the project count for this one.
    pub recalled_looks: Mutex<FxHashSet<u32>>,
    /// The steps that are done: those that are as recalled, and the traces of the others.
    pub done: Mutex<Vec<(usize, Done)>>,
    /// The caller's environment, from which secrets are taken.
    pub caller: Vec<(String, String)>,
    /// How many steps may run at once.
    pub jobs: usize,
    /// What the steps of this attempt looked at outside of the project, whether they ran or were answered for.
    pub host_looks: Mutex<FxHashSet<(RelPath, Look)>>,
    /// The step whose root somebody looks into, and who.
    pub visitor: Option<(usize, Arc<Visitor>)>,
    /// What differed, if this attempt verifies: nothing is published, remembered or handed over then.
    pub verification: Option<Verification>,
    /// What the steps printed, in the order in which they ended.
    pub printed: Mutex<Vec<(usize, Digest)>>,
    /// The steps that failed, in the order in which that was final.
    pub unexplained: Mutex<Vec<Unexplained>>,
    /// What other pods that run its steps are given, once one is to; `None`: they are given none.
    pub shared: OnceLock<Option<Shared>>,
    /// Bytes of memory that the largest process of each step has used that ran.
    pub used: Mutex<FxHashMap<usize, u64>>,
    /// Trees that were put into the larder for other pods, by their addresses.
    pub trees_put: Mutex<FxHashMap<usize, (Arc<Tree>, Digest)>>,
    /// What some steps see over the sources, and none of them made.
    pub given: Given,
    /// Folders of tools beyond the usual ones.
    pub tool_roots: Vec<RelPath>,
}

impl Context {
    /// What a step sees outside of the project.
    pub fn tools_of(&self, step: usize) -> Arc<HostTools> {
        Arc::clone(self.images.get(step).map_or(&self.tools, |image| &image.tools))
    }

    /// Evaluates path sets over what a step sees.
    pub fn evaluator_of(&self, step: usize) -> &Evaluator {
        self.images.get(step).map_or(&self.evaluator, |image| &image.evaluator)
    }

    /// In what its steps run.
    pub fn sandbox(&self) -> node::Sandbox {
        self.options.sandbox.map_or_else(|| self.pod.sandbox(), Into::into)
    }

    /// For steps that were prepared; nothing is recalled or verified.
    pub fn new(
        pod: &Pod,
        prepared: &Prepared,
        (sink, cancel): (&Sink, &Cancel),
        options: BuildOptions,
        made: MadeSoFar,
    ) -> Result<Self, Stop> {
        let (larder, workspace) = (pod.larder(), prepared.workspace.id());
        if let Some(asking) = &prepared.asking {
            asking.heard_by(sink, cancel, options.sandbox.map_or_else(|| pod.sandbox(), Into::into));
        }
        Ok(Self {
            pod: pod.clone(),
            sink: sink.clone(),
            cancel: cancel.clone(),
            evaluator: prepared.evaluator(pod),
            plan: Arc::clone(&prepared.plan),
            specs: prepared.specs.clone(),
            workspace,
            project: prepared.workspace.name(),
            sources: Arc::clone(&prepared.sources),
            files: Arc::clone(&prepared.files),
            tools: Arc::clone(&prepared.tools),
            images: prepared.images.clone(),
            last: records::all(larder, workspace)?,
            last_edges: records::edges(larder, workspace)?,
            last_edges_if_there: records::edges_if_there(larder, workspace)?,
            made_by_now: Arc::clone(&prepared.made_by_now),
            is_planning: false,
            weak_keys: prepared.specs.iter().map(|spec| spec.weak_key()).collect(),
            jobs: options.jobs.unwrap_or_else(super::default_jobs).max(1),
            options,
            made: Arc::new(made),
            recall: Recall::default(),
            visitor: None,
            verification: None,
            recalled_looks: Default::default(),
            done: Default::default(),
            host_looks: Default::default(),
            caller: Vec::new(),
            printed: Default::default(),
            unexplained: Default::default(),
            shared: OnceLock::new(),
            used: Default::default(),
            trees_put: Default::default(),
            given: prepared.given.clone(),
            tool_roots: prepared.tool_roots.iter().map(|root| root.path.clone()).collect(),
        })
    }

    /// What a step sees at `/project`: sources, outputs over them, and what other steps promise.
    pub fn project(&self, step: usize, view: &Arc<StepView>, outputs: Outputs) -> Project {
        let promised: Arc<dyn Promised> = Arc::clone(view) as Arc<dyn Promised>;
        Project::new(Arc::clone(&self.sources), Arc::clone(&self.files), outputs)
            .with_promises(promised)
            .seen_by(&self.specs[step])
    }

    /// Whether a step is not to be answered for by what was made before this build.
    pub fn is_cold(&self, step: usize) -> bool {
        self.options.cold && !self.made_by_now.contains(&self.plan.steps[step].id)
    }

    /// Bytes of memory that have to be free for a step: its limit, or what it used when it last ran.
    pub fn memory_of(&self, step: usize) -> Option<u64> {
        let planned = &self.plan.steps[step];
        let last = || self.last.get(&planned.id)?.ran.as_ref()?.memory;
        planned.limits.memory.or_else(last)
    }

    /// Whether a step's root is looked into: its commands do not run, and nothing answers for it.
    pub fn is_visited(&self, step: usize) -> bool {
        self.visitor.as_ref().is_some_and(|(visited, _)| *visited == step)
    }

    /// Notes what a step printed, if anything.
    pub fn note_printed(&self, step: usize, printed: Option<Digest>) {
        if let Some(digest) = printed {
            self.printed.lock().push((step, digest));
        }
    }

    /// All that the steps looked at outside of the project.
    pub fn all_host_looks(&self) -> FxHashSet<(RelPath, Look)> {
        let mut looks = self.host_looks.lock().clone();
        looks.extend(self.recalled_looks.lock().iter().map(|number| self.recall.look(*number)));
        looks
    }

    /// Notes what a step looked at outside of the project.
    pub fn note_host_looks(&self, step: usize, set: &PathSet) {
        if self.images.get(step).is_some() {
            return;
        }
        let mut noted = self.host_looks.lock();
        for look in set.looks() {
            if !look.0.is_within(&project_prefix()) && !noted.contains(look) {
                noted.insert(look.clone());
            }
        }
    }
}
