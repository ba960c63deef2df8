//! Chefs: who plans a project whose file says no steps, or that has no file.
//!
//! Actors. Each chef that is asked is a step of its own in the kitchen ([`mod@ask`]): it sees the sources of the snapshot, itself and
//! its question below `.majordomo/chef/NAME/`, and leaves its answer there. So asking is traced, keyed and stored like all work:
//! it costs nothing until something that a chef looked at changes. The surest one is taken ([`pick`]), its plan is read
//! by the rules of project files ([`written`]), and the build goes on with that as with any other.
//!
//! A chef that fails is named with its first words; where others know the project the build goes on without it. What a chef
//! says is foreign: bounded, and checked before it is believed. A crash loses nothing that asking again would not find.
//!
//! - `about`: what a chef says of itself; `program`: its files, as content; `find`: who may be asked;
//! - `registry`: the list of a home; `register`: changes of it; `examples`: a chef held against its own;
//! - `lent`: those that other pods lend;
//! - `question`: a question as a step; `asker`: a round of them; `heard`: what is heard meanwhile;
//! - `ask`: who is asked; `pick`: who is taken; `stages`: asking again for what steps make;
//! - `explain`: why a step failed; `lenses`: projections and normalisers that chefs bring;
//! - `foreign`: their words, fit to be shown; `written`: an answer as a project file; `init`: that file, for the user to edit;
//! - `last`: what the last build was planned by, for who only looks.

mod about;
mod ask;
mod asker;
mod examples;
mod explain;
mod find;
mod foreign;
mod heard;
mod init;
mod last;
pub mod lenses;
mod lent;
mod pick;
mod program;
mod question;
mod register;
mod registry;
mod stages;
mod written;

use std::path::Path;
use std::sync::Arc;

use protocol::{Look, RelPath, StepId};
use rustc_hash::FxHashSet;
use view::HostTools;

use super::border;
use super::build::Unexplained;
use super::project_file::{ProjectFile, ProjectFileError};
use super::request::Failure;
use super::snapshot::record::HostFile;

pub use ask::ask;
pub use explain::explain;
pub use find::may_know;
pub use init::init;
pub use last::file as last_file;
pub use lent::{adopt, is_lent, lacking, lends};
pub use register::{carry_out, without_a_home};

type Fallible<T> = Result<T, Box<Failure>>;

/// Where the steps of a project come from.
pub enum Recipe {
    /// From its file.
    Steps(Box<ProjectFile>),
    /// From chefs: those that its file names, or, if it has none, all.
    Chefs(Option<Box<ProjectFile>>),
}

/// The stamp of the list of chefs of a home, which changes with it; none: there is no list.
pub fn list_of(home: &Path) -> Option<protocol::Stamp> {
    std::fs::metadata(registry::path(home)).ok().map(|meta| protocol::Stamp::from(&meta))
}

/// Where the steps of a project come from.
///
/// # Errors
/// It has a file that cannot be read.
pub fn recipe(project: &Path) -> Fallible<Recipe> {
    match ProjectFile::load(project) {
        Ok(file) if file.chefs.is_empty() => Ok(Recipe::Steps(Box::new(file))),
        Ok(file) => Ok(Recipe::Chefs(Some(Box::new(file)))),
        Err(ProjectFileError::Missing { .. }) => Ok(Recipe::Chefs(None)),
        Err(error) => Err(Box::new(border::project_file(&error))),
    }
}

/// Whom a project's own file leaves its plan to.
pub fn said(own: Option<&ProjectFile>) -> Vec<String> {
    own.map(|file| file.chefs.iter().map(|chef| chef.value.clone()).collect()).unwrap_or_default()
}

/// Paths in a step's root, and how they were looked at.
type Looks = FxHashSet<(RelPath, Look)>;

/// What a plan depends on that chefs made.
#[derive(Default)]
pub struct ByChefs {
    /// Whose plan it is.
    pub chef: String,
    /// The same as the project's file says it: a name or a folder.
    pub said: String,
    /// What that chef found, for people.
    pub found: String,
    /// The plan that it began with, as the text of a project file, if more of it follows from what its steps make.
    pub first_stage: Option<String>,
    /// How many steps asked.
    pub steps: u64,
    /// Steps that came to a good end meanwhile.
    pub made: FxHashSet<StepId>,
    /// Steps of the plan that failed meanwhile.
    pub unexplained: Vec<Unexplained>,
    /// What they looked at outside of the project, round by round, and the tools that they saw.
    pub rounds: Vec<(Arc<HostTools>, Looks)>,
    /// Their programs on this machine, as they were taken in.
    pub files: Vec<HostFile>,
    /// Whether all that were asked have answered.
    pub is_whole: bool,
}
