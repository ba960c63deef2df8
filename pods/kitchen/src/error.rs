//! What can go wrong in a kitchen, in words that a person can act on.

use std::io;
use std::path::PathBuf;

/// Why a kitchen could not be started or a step could not be run. A step that fails by itself is no error.
#[derive(Debug, thiserror::Error)]
pub enum KitchenError {
    /// This machine lacks something that a person can mend.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The zygote's program could not be executed.
    #[error("cannot start the zygote `{program}`")]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The scratch folder cannot be used.
    #[error("cannot use the scratch folder `{path}`")]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused something while the kitchen was started.
    #[error("cannot start the kitchen: {doing} failed")]
    Start {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused something while a step's sandbox was made. The step has not run.
    #[error("cannot make a step's sandbox: {doing} failed")]
    Sandbox {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Steps have nowhere to write; what one made of that is not to be taken.
    #[error("the disk of `{disk}`, where steps write, is full")]
    Full {
        /// A folder on it.
        disk: PathBuf,
    },
    /// A step's limits cannot be set.
    #[error("cannot set a step's limits by control groups")]
    Limits(#[source] io::Error),
    /// An order that no process can be made of.
    #[error("bad order: {0}")]
    Order(&'static str),
    /// The zygote has gone, and all steps with it. Start a new kitchen.
    #[error("the zygote has gone")]
    ZygoteGone,
    /// Talking to the zygote or to a step failed.
    #[error("cannot talk to the zygote")]
    Talk(#[source] io::Error),
}

/// Something that this machine must have and has not: what, why it matters, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What mends it: a command, or a sentence.
    pub mend: String,
}

impl KitchenError {
    /// What is missing, if a person can mend it.
    pub fn missing(&self) -> Option<&Missing> {
        match self {
            KitchenError::Missing(missing) => Some(missing),
            _ => None,
        }
    }
}
