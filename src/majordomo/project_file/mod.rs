//! The project file `majordomo.toml`: what a person typed, checked for form and kept with its places.
//!
//! Reading is strict: an unknown key, a value of a wrong type or a command that can be read in two ways is an error with
//! file, line and column. What patterns, outputs and names *mean* is not known here: [`crate::majordomo::plan`] holds
//! them against the sources, and finds the places for its own errors through [`Spot`] and [`ProjectFile::locate`].
//!
//! - [`load`]: bytes from disk, bounded, UTF-8;
//! - `read`: the tables; `value`, `run`: single values;
//! - [`keys`]: the known keys, from which the reference page is made ([`mod@reference`]);
//! - `pods_file`: the file of a pod's owner;
//! - `beside`: a chef's plan and the file, as one;
//! - [`locate`]: places and excerpts; - [`error`]: what can be wrong, and what to do about it.

mod beside;
pub mod error;
pub mod keys;
mod lenses;
mod limits;
pub mod load;
pub mod locate;
pub mod nearest;
mod pods_file;
mod read;
pub mod reference;
mod run;
mod secrets;
mod uses;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kitchen::Limits;
use protocol::Digest;

use super::secrets::SecretRule;

pub use error::{MEND_THE_CHEF, ProjectFileError, Wrong};
pub use lenses::of_chef;
pub use locate::{Located, Spot, Text};
pub use pods_file::{PODS_FILE, PodsFile, pods_file};
pub use uses::UseRule;
pub use value::{MAX_TIMEOUT, size};

/// The name of the project file in the project's folder.
pub use protocol::path::PROJECT_FILE;

/// A project file that was read: all values have the right form, and nothing was resolved.
#[derive(Debug, Clone)]
pub struct ProjectFile {
    /// The file's text, for the places of errors.
    pub text: Text,
    /// A label for people: `[project] name`, else the name of the project's folder.
    pub name: String,
    /// `[project] targets`: what a bare build wants; empty: everything.
    pub targets: Vec<Spot<String>>,
    /// `[project] chef`: who plans more steps; empty: all are written here.
    pub chefs: Vec<Spot<String>>,
    /// The rules in the order in which they are written; at least one, unless there are chefs.
    pub steps: Vec<StepRule>,
    /// `[project] limits`: for steps that say nothing else.
    pub limits: Limits,
    /// `[alias]`: names for targets.
    pub aliases: Vec<(Spot<String>, Vec<Spot<String>>)>,
    /// `[project] image`: for steps that name none.
    pub image: Option<String>,
    /// `[uses]`: what it takes of other projects, by name.
    pub uses: Vec<UseRule>,
    /// `[pools]`: how many of their steps may run at once.
    pub pools: Vec<(Spot<String>, usize)>,
    /// `[tools] roots`: absolute folders that steps see besides the usual ones.
    pub tool_roots: Vec<PathBuf>,
}

/// One `[step.NAME]`. Texts are as typed: placeholders and patterns are not looked at yet.
#[derive(Debug, Clone)]
pub struct StepRule {
    /// NAME.
    pub name: Spot<String>,
    /// `run`: at least one command.
    pub run: Vec<Command>,
    /// `each`: patterns; empty: the rule is one step.
    pub each: Vec<Spot<String>>,
    /// `out`: paths; one with a final `/` is a whole tree.
    pub out: Vec<Spot<String>>,
    /// `in`: patterns.
    pub inputs: Vec<Spot<String>>,
    /// `after`: names of rules or ids of steps.
    pub after: Vec<Spot<String>>,
    /// `env`, each name once, in the order in which they are written.
    pub env: Vec<Variable>,
    /// `cwd`: a folder of the project.
    pub cwd: Option<Spot<String>>,
    /// `timeout`, above zero and at most [`MAX_TIMEOUT`].
    pub timeout: Option<Duration>,
    /// `secrets`: in no key.
    pub secrets: Vec<SecretRule>,
    /// `cache`: whether what it made is used again; `None`: unless it has secrets.
    pub cache: Option<bool>,
    /// `limits`.
    pub limits: Limits,
    /// `image`.
    pub image: Option<String>,
    /// `pool`: one of `[pools]`.
    pub pool: Option<Spot<String>>,
    /// `on`: labels of the pods that may run it; in no key.
    pub on: BTreeMap<String, String>,
    /// `network`.
    pub network: bool,
    /// `scratch`: paths of files that nobody wants.
    pub scratch: Vec<Spot<String>>,
    /// `alters`: it may change sources, for the steps after it.
    pub alters: bool,
    /// `sizes`: those of files that it only looks for matter.
    pub sizes: bool,
    /// `verbatim`: no placeholders are looked for.
    pub verbatim: bool,
    /// `keep`.
    pub keep: KeepRule,
    /// `anew`: patterns of files a change of which makes it run from nothing.
    pub anew: Vec<Spot<String>>,
    /// `notices`: patterns of files of which its tool knows what a change spoils.
    pub notices: Vec<Spot<String>>,
    /// `max_passes`: after how many passes a step that has not settled fails.
    pub max_passes: Option<usize>,
    /// `project`, in the order in which it is written.
    pub projections: Vec<LensRule>,
    /// `normalise`, in the order in which it is written.
    pub normalisers: Vec<LensRule>,
    /// `volatile`: never adopt a trace.
    pub volatile: bool,
    /// `strict`: undeclared reads of project files and undeclared outputs are errors.
    pub strict: bool,
}

/// A projection or a normaliser, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LensRule {
    /// The pattern; for a normaliser without one, its own. Empty where a chef has still to say it.
    pub pattern: Spot<String>,
    /// Its name and parameters; `CHEF:NAME`, if a chef brings it.
    pub lens: Spot<String>,
    /// The digest of its name, version and parameters; `None`: a chef brings it, and nobody has looked for that yet.
    pub id: Option<Digest>,
}

/// One command of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for `/bin/sh -eu -c`; not blank.
    Shell(Spot<String>),
    /// Words; at least one, and the first is not empty.
    Argv(Vec<Spot<String>>),
}

/// One variable of a step's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// Set to this value.
    Set(Spot<String>, Spot<String>),
    /// Passed on from the caller's environment, if it is set there.
    Pass(Spot<String>),
}

impl Variable {
    /// Its name.
    pub fn name(&self) -> &Spot<String> {
        match self {
            Variable::Set(name, _) | Variable::Pass(name) => name,
        }
    }
}

/// Which of its own earlier outputs a step sees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeepRule {
    /// None.
    #[default]
    Nothing,
    /// All.
    Everything,
    /// Those that match one of these patterns; at least one.
    Matching(Vec<Spot<String>>),
}

impl ProjectFile {
    /// An error at a place in this file.
    pub fn locate<E>(&self, at: std::ops::Range<usize>, what: E) -> Box<Located<E>> {
        self.text.locate(at, what)
    }
}
