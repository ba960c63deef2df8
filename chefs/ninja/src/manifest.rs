//! What was read: edges, pools, defaults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use protocol::path::escape;

use crate::circle;
use crate::error::{Error, Place, Wrong};
use crate::path::BuildPath;

/// The name of a pool.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolName(Arc<[u8]>);

impl PoolName {
    pub(crate) fn new(name: &[u8]) -> Self {
        Self(Arc::from(name))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether its edges want the terminal: `console`, which has depth 1 and need not be defined.
    pub fn is_console(&self) -> bool {
        *self.0 == *crate::parser::CONSOLE
    }
}

impl fmt::Display for PoolName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.0))
    }
}

/// What an edge makes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outputs {
    /// Those of `$out`.
    pub explicit: Vec<BuildPath>,
    /// The others.
    pub implicit: Vec<BuildPath>,
}

impl Outputs {
    /// All of them, explicit ones first. Never empty in an edge of a manifest.
    pub fn all(&self) -> impl Iterator<Item = &BuildPath> {
        self.explicit.iter().chain(&self.implicit)
    }
}

/// What an edge needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// Those of `$in`.
    pub explicit: Vec<BuildPath>,
    /// The others that it is made from.
    pub implicit: Vec<BuildPath>,
    /// Those that only have to be made before.
    pub order_only: Vec<BuildPath>,
}

impl Inputs {
    /// All of them, in the order explicit, implicit, order-only.
    pub fn all(&self) -> impl Iterator<Item = &BuildPath> {
        self.explicit.iter().chain(&self.implicit).chain(&self.order_only)
    }
}

/// Who understands the dependencies that a command finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deps {
    /// The depfile is one of make's kind; ninja removes it when it has read it.
    Gcc,
    /// Lines of the output that start with this prefix (empty: the English one).
    Msvc {
        /// `msvc_deps_prefix`.
        prefix: Vec<u8>,
    },
}

/// A file that is written before a command runs, and removed when it has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseFile {
    /// Where.
    pub path: BuildPath,
    /// What is in it.
    pub content: Vec<u8>,
}

/// What an edge runs, all variables expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The name of its rule.
    pub rule: Arc<[u8]>,
    /// For `/bin/sh -c`, in the folder of the build.
    pub text: Vec<u8>,
    /// For people; may be empty.
    pub description: Vec<u8>,
    /// `rspfile` and `rspfile_content`.
    pub response_file: Option<ResponseFile>,
    /// The file into which the command writes what it read.
    pub depfile: Option<BuildPath>,
    /// What kind of dependencies it tells.
    pub deps: Option<Deps>,
    /// The file that says more about inputs and outputs, one of the edge's inputs.
    pub dyndep: Option<BuildPath>,
    /// The pool that it counts in.
    pub pool: Option<PoolName>,
    /// Outputs that did not change make nobody run.
    pub restat: bool,
    /// It makes the ninja files themselves.
    pub generator: bool,
}

/// What an edge does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: its outputs are names for its inputs.
    Phony,
    /// It runs a command.
    Run(Box<Command>),
}

/// One `build` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// What it makes; at least one path, and no other edge makes any of them.
    pub outputs: Outputs,
    /// What it needs.
    pub inputs: Inputs,
    /// What is wanted, too, whenever this edge is; not needed by it.
    pub validations: Vec<BuildPath>,
    /// What it does.
    pub action: Action,
    /// Where it stands.
    pub place: Place,
}

impl Edge {
    /// The command, if it is not `phony`.
    pub fn command(&self) -> Option<&Command> {
        match &self.action {
            Action::Run(command) => Some(command),
            Action::Phony => None,
        }
    }
}

/// Something odd that is no mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {kind}")]
pub struct Warning {
    /// Where.
    pub place: Place,
    /// What.
    pub kind: WarningKind,
}

/// What is odd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarningKind {
    /// A `phony` edge that is its own input; that input is left out.
    #[error("the phony target `{path}` needs itself, which is ignored")]
    PhonyNeedsItself {
        /// Its output.
        path: BuildPath,
    },
    /// `ninja_required_version` is of an earlier major version.
    #[error("the file was written for ninja {version}, an earlier language")]
    OldVersion {
        /// What it says.
        version: String,
    },
}

/// A ninja file with all that it includes.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub(crate) edges: Vec<Edge>,
    pub(crate) pools: BTreeMap<PoolName, u32>,
    pub(crate) defaults: Vec<BuildPath>,
    pub(crate) builddir: Option<Vec<u8>>,
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) warnings: Vec<Warning>,
    producers: HashMap<BuildPath, usize>,
    paths: HashSet<BuildPath>,
    order: Vec<usize>,
}

impl Manifest {
    pub(crate) fn new() -> Self {
        Self {
            edges: vec![],
            pools: BTreeMap::new(),
            defaults: vec![],
            builddir: None,
            files: vec![],
            warnings: vec![],
            producers: HashMap::new(),
            paths: HashSet::new(),
            order: vec![],
        }
    }

    /// All edges, in the order of the files.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The pools with their depths (0: no limit), without `console`.
    pub fn pools(&self) -> &BTreeMap<PoolName, u32> {
        &self.pools
    }

    /// What `default` statements name; empty if there are none ([`Manifest::wanted`]).
    pub fn defaults(&self) -> &[BuildPath] {
        &self.defaults
    }

    /// Where ninja would keep its own files.
    pub fn builddir(&self) -> Option<&[u8]> {
        self.builddir.as_deref()
    }

    /// The files that were read, in that order, as the including files name them; one that is included twice is there twice.
    pub fn files(&self) -> &[Vec<u8>] {
        &self.files
    }

    /// What is odd.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The index of the edge that makes a path; `None` for a source.
    pub fn producer(&self, path: &BuildPath) -> Option<usize> {
        self.producers.get(path).copied()
    }

    /// An order of the edges (indexes) in which each comes behind those that make its inputs.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// What is built when nobody says: the defaults, else every output that is no input.
    pub fn wanted(&self) -> Vec<BuildPath> {
        if !self.defaults.is_empty() {
            return self.defaults.clone();
        }
        let inputs: HashSet<&BuildPath> = self.edges.iter().flat_map(|edge| edge.inputs.all()).collect();
        let outputs = self.edges.iter().flat_map(|edge| edge.outputs.all());
        outputs.filter(|path| !inputs.contains(path)).cloned().collect()
    }

    /// One copy of each path.
    pub(crate) fn share(&mut self, path: BuildPath) -> BuildPath {
        if let Some(known) = self.paths.get(&path) {
            return known.clone();
        }
        self.paths.insert(path.clone());
        path
    }

    /// A path that some edge makes or needs.
    pub(crate) fn known(&self, path: &BuildPath) -> Option<BuildPath> {
        self.paths.get(path).cloned()
    }

    pub(crate) fn push(&mut self, edge: Edge) -> Result<(), Error> {
        let index = self.edges.len();
        for path in edge.outputs.all() {
            self.claim(path, index, &edge.place)?;
        }
        self.edges.push(edge);
        Ok(())
    }

    /// Notes that an edge makes a path.
    pub(crate) fn claim(&mut self, path: &BuildPath, edge: usize, place: &Place) -> Result<(), Error> {
        if let Some(other) = self.producers.insert(path.clone(), edge) {
            let first = self.edges.get(other).map_or(place, |edge| &edge.place).clone();
            return Err(Wrong::Twice { kind: "output", name: path.to_string(), first }.at(place.clone()));
        }
        Ok(())
    }

    /// Finds the order, or the circle that forbids one.
    pub(crate) fn arrange(&mut self) -> Result<(), Error> {
        self.order = circle::order(self)?;
        Ok(())
    }
}
