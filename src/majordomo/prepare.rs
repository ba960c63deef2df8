//! What every request about a project starts from: workspace, snapshot, project file, plan, tools.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::{Access, AskedLenses, Evaluator, Pod, SourceFiles};
use protocol::{RelPath, StepId, StepSpec, Tree};
use rustc_hash::FxHashSet;
use view::HostTools;

use super::chefs::ByChefs;
use super::chefs::lenses::{Asking, Lenses};
use super::images::Images;
use super::plan::{Plan, PlannedStep};
use super::project_file::ProjectFile;
use super::request::Failure;
use super::snapshot::Snapshot;
use super::tool_roots::{self, ToolRoot};
use super::workspace::{FOLDER, Manifest, Moment, Workspace};
use super::{border, sources};

/// A project as it is now, and its plan.
#[derive(Clone)]
pub struct Planned {
    /// Its workspace.
    pub workspace: Workspace,
    /// What was handed over.
    pub manifest: Manifest,
    /// What the scan found.
    pub snapshot: Snapshot,
    /// The plan over it.
    pub plan: Plan,
    /// The names of variables that steps pass on from the caller.
    passed_on: Vec<String>,
    /// Folders of tools besides the usual ones.
    tool_roots: Vec<ToolRoot>,
    /// The lenses of chefs that its steps name.
    lenses: Arc<Lenses>,
}

/// A project as a scan found it.
#[derive(Clone)]
pub struct Scanned {
    /// Its workspace.
    pub workspace: Workspace,
    /// What was handed over.
    pub manifest: Manifest,
    /// What the scan found.
    pub snapshot: Snapshot,
}

/// What some steps of a plan see over the sources.
#[derive(Default, Clone)]
pub struct Given {
    /// It.
    pub tree: Arc<Tree>,
    /// The first of the steps that see it; all behind that one do.
    pub to: usize,
}

/// A project as it is now, ready to be built or looked at.
pub struct Prepared {
    /// Its workspace.
    pub workspace: Workspace,
    /// What was handed over.
    pub manifest: Manifest,
    /// What the scan found.
    pub snapshot: Snapshot,
    /// The plan over it.
    pub plan: Arc<Plan>,
    /// Folders of tools beyond the usual ones.
    pub tool_roots: Vec<ToolRoot>,
    /// Each step's spec, with the `PATH` of extra tool roots.
    pub specs: Vec<Arc<StepSpec>>,
    /// The sources as steps see them.
    pub sources: Arc<dyn node::Sources>,
    /// Their bytes.
    pub files: Arc<SourceFiles>,
    /// The names of variables that steps pass on from the caller.
    pub passed_on: Vec<String>,
    /// The host's tools from now on.
    pub tools: Arc<HostTools>,
    /// What some steps see instead.
    pub images: Images,
    /// The lenses of chefs that its steps name.
    pub lenses: Arc<Lenses>,
    /// Who asks them.
    pub asking: Option<Arc<Asking>>,
    /// What steps that plan see over the sources, and none of them made.
    pub given: Given,
    /// Steps that came to a good end while it was planned.
    pub made_by_now: Arc<FxHashSet<StepId>>,
    /// What the chefs that planned it looked at; `None`: the project file says the steps.
    pub by_chefs: Option<Arc<ByChefs>>,
}

type Fallible<T> = Result<T, Box<Failure>>;

/// Turns an error into a boxed failure by one of [`border`]'s words.
fn boxed<E>(words: fn(&E) -> Failure) -> impl Fn(E) -> Box<Failure> {
    move |error| Box::new(words(&error))
}

impl Scanned {
    /// Scans; `moment` is from before. Changes nothing.
    pub fn new(workspace: Workspace, manifest: Manifest, moment: Moment) -> Fallible<Self> {
        let snapshot = Snapshot::scan(&workspace, &manifest, moment).map_err(boxed(border::snapshot))?;
        Ok(Self { workspace, manifest, snapshot })
    }

    /// [`new`](Self::new), on a thread that may wait for the disk.
    pub async fn aside(workspace: Workspace, manifest: Manifest, moment: Moment) -> Fallible<Self> {
        let scanning = tokio::task::spawn_blocking(move || Self::new(workspace, manifest, moment));
        scanning.await.map_err(|_| Box::new(border::machine("scanning the project ended in the middle")))?
    }
}

impl Planned {
    /// Plans. Changes nothing. The environment answers for variables that steps pass on; the lenses of chefs that the file names
    /// have been found.
    pub fn new(
        (file, lenses): (&ProjectFile, Arc<Lenses>),
        scanned: Scanned,
        environment: &HashMap<String, String>,
    ) -> Fallible<Self> {
        let Scanned { workspace, manifest, snapshot } = scanned;
        let names = sources::Names::of(&snapshot);
        let passed_on = std::cell::RefCell::new(std::collections::BTreeSet::new());
        let lookup = |name: &str| {
            passed_on.borrow_mut().insert(name.to_owned());
            environment.get(name).map(|value| value.clone().into_bytes())
        };
        let plan = Plan::new(file, &names, &lookup).map_err(boxed(border::plan))?;
        let tool_roots = tool_roots::find(&plan.tool_roots, workspace.project(), environment)?;
        let passed_on = passed_on.into_inner().into_iter().collect();
        Ok(Self { workspace, manifest, snapshot, plan, passed_on, tool_roots, lenses })
    }

    /// With a plan that is there already.
    pub fn with(plan: Plan, scanned: Scanned, environment: &HashMap<String, String>) -> Fallible<Self> {
        let Scanned { workspace, manifest, snapshot } = scanned;
        let tool_roots = tool_roots::find(&plan.tool_roots, workspace.project(), environment)?;
        let (passed_on, lenses) = (Vec::new(), Arc::default());
        Ok(Self { workspace, manifest, snapshot, plan, passed_on, tool_roots, lenses })
    }

    /// And these steps, each after steps of the plan alone.
    pub fn and(self, steps: Vec<PlannedStep>) -> Self {
        Self { plan: self.plan.and(steps), ..self }
    }
}

impl Prepared {
    /// What a pod needs to build the plan, or to look at it.
    pub fn of(planned: Planned, pod: &Pod, access: Access) -> Fallible<Self> {
        let Planned { workspace, manifest, snapshot, plan, passed_on, tool_roots, lenses } = planned;
        let specs = plan.steps.iter().map(|step| Arc::new(with_path(&step.spec, &tool_roots))).collect();
        let files = || {
            SourceFiles::new(workspace.project(), pod.supply().clone(), pod.runtime().clone())
                .map_err(|e| Box::new(border::machine(format!("the project cannot be opened: {e}"))))
        };
        let extra = tool_roots.iter().map(|root| root.path.clone()).collect();
        let tools = pod.tools(extra, access).map_err(boxed(border::node))?;
        let asking = match lenses.is_empty() {
            true => None,
            false => Some(Arc::new(Asking::new(Arc::clone(&lenses), pod, Arc::clone(&tools), files()?))),
        };
        let files = match &asking {
            Some(asking) => files()?.with_lenses(Arc::clone(asking) as Arc<dyn AskedLenses>),
            None => files()?,
        };
        let files = match access {
            Access::Remember => files,
            Access::OnlyLook => files.only_looking(),
        };
        Ok(Self {
            lenses,
            asking,
            tools,
            given: Given::default(),
            by_chefs: None,
            made_by_now: Arc::default(),
            images: Images::of(&plan, pod, access).map_err(boxed(border::node))?,
            sources: Arc::new(sources::SnapshotSources(snapshot.clone())),
            files: Arc::new(files),
            plan: Arc::new(plan),
            passed_on,
            tool_roots,
            specs,
            workspace,
            manifest,
            snapshot,
        })
    }

    /// An evaluator over the host's tools as of this preparation.
    pub fn evaluator(&self, pod: &Pod) -> Evaluator {
        Evaluator::new(pod.larder().clone(), Arc::clone(&self.tools))
    }
}

/// A home in the project would be a source: each build would change what the next one starts from, and steps could read
/// the larder. Asked before there is a home, so that none is begun there.
pub fn outside(home: &Path, project: &Path) -> Fallible<()> {
    let found = resolved(home).and_then(|home| Ok((home, project.canonicalize()?)));
    let (real, project) = match found {
        Ok(found) => found,
        // Whoever needs them says what is wrong with them.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("where the home `{}` is cannot be found out", home.display());
            let mut failure = border::machine(message);
            failure.causes.push(error.to_string());
            return Err(Box::new(failure));
        }
    };
    // What stands below such a name is no source.
    let is_left_out = |inside: &Path| inside.iter().any(|part| part == FOLDER || part == ".git");
    match real.strip_prefix(project) {
        Ok(inside) if !is_left_out(inside) => {
            let message = format!("the pod's home `{}` is inside of the project", home.display());
            let failure = border::mistake(message);
            Err(Box::new(failure.hint("what is in the project is a source: name a folder outside of it, by `--home DIR` or `COMPUTEPODS_HOME`")))
        }
        _ => Ok(()),
    }
}

/// A path without links, of which the last parts need not be there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            Ok(resolved(parent)?.join(name))
        }
        (found, ..) => found,
    }
}

/// The spec with a `PATH` that leads to the programs of extra tool roots, if there are any and the step sets none.
fn with_path(spec: &StepSpec, roots: &[ToolRoot]) -> StepSpec {
    let mut spec = spec.clone();
    let folders: Vec<&PathBuf> = roots.iter().filter_map(|root| root.programs.as_ref()).collect();
    if folders.is_empty() || spec.env.iter().any(|(name, _)| name == b"PATH") {
        return spec;
    }
    let mut path = protocol::step::PATH.as_bytes().to_vec();
    for folder in folders {
        path.push(b':');
        path.extend_from_slice(std::os::unix::ffi::OsStrExt::as_bytes(folder.as_os_str()));
    }
    spec.env.push((b"PATH".to_vec(), path));
    spec.env.sort();
    spec
}

/// The caller's environment as a map.
pub fn environment(pairs: &[(String, String)]) -> HashMap<String, String> {
    pairs.iter().cloned().collect()
}

/// Opens a workspace of a project that may never have been built, for requests that only read: `None` if it was not.
pub fn open(project: &Path) -> Fallible<Option<Workspace>> {
    Workspace::open(project).map_err(boxed(border::workspace))
}

/// Whether a path of a step's root is in the project.
pub fn in_project(path: &RelPath) -> Option<RelPath> {
    path.as_bytes().strip_prefix(b"project/").and_then(|inside| RelPath::new(inside).ok())
}
