//! What a client and a pod say to each other while somebody looks into a step's root.

use std::path::PathBuf;

use protocol::{RelPath, StepId};
use serde::{Deserialize, Serialize};

use super::BuildOptions;

/// What is looked into, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellRequest {
    /// The project's folder, absolute.
    pub project: PathBuf,
    /// A step's id, a rule that has one step, or a path that a step promises.
    pub step: String,
    /// What is run; empty: a shell.
    pub command: Vec<String>,
    /// How what it needs is made, and in what all of it runs.
    pub options: BuildOptions,
    /// As the step finds it before it runs, though it has failed.
    pub is_fresh: bool,
    /// The kind of the client's terminal.
    pub term: Option<String>,
    /// The caller's environment, as of a build.
    pub environment: Vec<(String, String)>,
}

/// What happens while somebody looks into a step's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shell", rename_all = "kebab-case")]
pub enum ShellNews {
    /// The root is there.
    Ready {
        /// Where the client has to hand its streams over, once.
        socket: PathBuf,
        /// Whose root it is.
        step: StepId,
        /// What the step runs, as a shell would take it.
        commands: Vec<String>,
        /// The step has failed, and what it had written then is there.
        is_failed: bool,
    },
    /// What was run has ended.
    Ended {
        /// Its exit code, or what a shell would say of its end.
        code: i32,
        /// Why it was ended, or could not begin.
        why: Option<String>,
        /// Something that had changed since the root was made, and so could not be read.
        changed: Option<RelPath>,
    },
}
