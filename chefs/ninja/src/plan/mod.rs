//! The edges of a manifest as steps of a project.
//!
//! Each edge that runs something is a step; `phony` edges are none, and whoever needs one needs the steps behind it.
//!
//! What of ninja is not needed here, and why: `restat`, since outputs are compared by their bytes anyway; `depfile` and `deps`,
//! since what a step reads is seen – the depfile is left as an ordinary file that nobody promised; mtimes. What stays for
//! whoever builds: the order; pools; `generator` (what such a step makes are ninja files: plan again when it has run);
//! `dyndep` (its undeclared outputs become known from that file: [`Manifest::with_dyndep`], then plan again).
//!
//! ninja never looks whether a command has made its outputs. Edges that make none of theirs are usual (CMake's
//! `CMakeFiles/test.util`), and nothing in the file tells them from others.

mod commands;
mod layout;
mod order;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use protocol::{RelPath, StepId};

use crate::error::Place;
use crate::manifest::{Edge, Manifest, PoolName};
use crate::path::BuildPath;

pub use layout::Layout;

use order::Behind;

/// The longest argument in bytes: what Linux takes in one string of an `execve` (32 pages), less its NUL.
const MAX_WORD: usize = 32 * 4096 - 1;

/// The most entries of all lists of steps together ([`Step::needs`], [`Step::order_only`], targets); equal lists that come from
/// one `phony` edge count once.
const MAX_LINKS: usize = 1 << 25;

/// Why a manifest is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// An output is not below the project.
    #[error("{place}: the output `{path}` is not inside of the project")]
    Outside {
        /// The edge.
        place: Place,
        /// The output.
        path: BuildPath,
    },
    /// Two edges make one file, under different names.
    #[error("{place}: the output `{path}` a second time, under another name: first at {first}")]
    Twice {
        /// The second edge.
        place: Place,
        /// The file.
        path: RelPath,
        /// The first edge.
        first: Place,
    },
    /// A command that the system would not take.
    #[error("{place}: the command has {bytes} bytes, and the system takes {MAX_WORD} at most; use `rspfile`")]
    LongCommand {
        /// The edge.
        place: Place,
        /// Its length.
        bytes: usize,
    },
    /// Phony edges that stand for too much.
    #[error("{place}: more than {MAX_LINKS} dependencies, with those behind `phony`")]
    Links {
        /// The edge that was one too many.
        place: Place,
    },
}

/// An edge that runs something.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its first output as a path of the project: unique, and stable as long as that output is.
    pub id: StepId,
    /// The index of its edge in the manifest.
    pub edge: usize,
    /// The commands, one after the other; the first that fails ends the step. One is `/bin/sh -c` and the edge's command;
    /// before it may come what writes its response file, behind it what removes that.
    pub commands: Vec<Vec<Vec<u8>>>,
    /// Where they start: the folder of the build.
    pub cwd: RelPath,
    /// What the edge declares to make; sorted, each once.
    pub out: Vec<RelPath>,
    /// The steps that make its explicit and implicit inputs; indexes, sorted, each once.
    pub needs: Arc<[usize]>,
    /// The steps that make its order-only inputs; indexes, sorted, each once. May overlap with `needs`.
    pub order_only: Arc<[usize]>,
    /// The steps that are wanted, too, whenever this one is; indexes, sorted, each once.
    pub validations: Arc<[usize]>,
    /// Files of the project that the command may leave besides its outputs, and that nobody should count on: its depfile.
    pub scratch: Vec<RelPath>,
    /// The pool that it counts in.
    pub pool: Option<PoolName>,
    /// It makes the ninja files themselves.
    pub generator: bool,
    /// The input that says more about its inputs and outputs.
    pub dyndep: Option<BuildPath>,
    /// For people; may be empty.
    pub description: Vec<u8>,
}

/// What a path of the ninja file stands for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The step that makes it; for `phony`, the steps behind it. Indexes, sorted, each once. None for a name of sources.
    pub steps: Arc<[usize]>,
    /// The steps that are wanted with it, for validation; those that its steps want are with them.
    pub validations: Arc<[usize]>,
}

/// All steps of a manifest.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The steps, in the order of the files.
    pub steps: Vec<Step>,
    /// What is built when nobody says.
    pub wanted: Target,
    targets: HashMap<BuildPath, Target>,
}

impl Plan {
    /// Makes steps of the edges of a manifest.
    pub fn new(manifest: &Manifest, layout: &Layout) -> Result<Self, PlanError> {
        let behind = Behind::new(manifest)?;
        let mut makers: HashMap<RelPath, usize> = HashMap::new();
        let mut steps = Vec::new();
        for (index, edge) in manifest.edges().iter().enumerate() {
            let Some(command) = edge.command() else { continue };
            let out = outputs(index, edge, manifest, layout, &mut makers)?;
            let first = edge.outputs.all().find_map(|path| layout.inside(path));
            let links = behind.links(edge);
            steps.push(Step {
                id: StepId::new(&first.unwrap_or_else(RelPath::root).to_string()),
                edge: index,
                commands: commands::commands(edge, command, layout, &out)?,
                cwd: layout.build.clone(),
                out: out.into_iter().collect(),
                needs: links.needs,
                order_only: links.order_only,
                validations: links.validations,
                scratch: command.depfile.iter().filter_map(|path| layout.inside(path)).collect(),
                pool: command.pool.clone(),
                generator: command.generator,
                dyndep: command.dyndep.clone(),
                description: command.description.clone(),
            });
        }
        let wanted = behind.target(&manifest.wanted());
        Ok(Self { steps, wanted, targets: behind.targets(manifest) })
    }

    /// What a path means as a target; `None` if no edge has it as output.
    pub fn target(&self, path: &BuildPath) -> Option<&Target> {
        self.targets.get(path)
    }
}

/// The outputs of an edge in the project. One edge may name a file twice (CMake does: relative and absolute).
fn outputs(
    index: usize,
    edge: &Edge,
    manifest: &Manifest,
    layout: &Layout,
    makers: &mut HashMap<RelPath, usize>,
) -> Result<BTreeSet<RelPath>, PlanError> {
    let mut out = BTreeSet::new();
    for path in edge.outputs.all() {
        let Some(inside) = layout.inside(path) else {
            return Err(PlanError::Outside { place: edge.place.clone(), path: path.clone() });
        };
        if let Some(&first) = makers.get(&inside).filter(|&&first| first != index) {
            let first = manifest.edges()[first].place.clone();
            return Err(PlanError::Twice { place: edge.place.clone(), path: inside, first });
        }
        makers.insert(inside.clone(), index);
        out.insert(inside);
    }
    Ok(out)
}
