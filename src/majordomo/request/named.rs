//! Registered projects: what can be asked of one by its name, wherever in the federation it is, and what is told of them.

use std::path::PathBuf;

use protocol::mesh::ProjectName;
use protocol::{BuildId, Digest, PodId, StepId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::BuildOptions;

/// What can be done with the federation's list of projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "projects", rename_all = "kebab-case")]
pub enum ProjectsRequest {
    /// Register a project of this pod's machine.
    Add {
        /// Its folder, absolute.
        project: PathBuf,
        /// What it is to be called; `None`: as its folder is.
        name: Option<String>,
    },
    /// Only the list.
    List,
    /// Give a name up.
    Remove {
        /// Which.
        name: ProjectName,
    },
}

/// Something that is asked of a registered project, of the pod that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Which project.
    pub name: ProjectName,
    /// What.
    pub what: OfProject,
    /// A folder of the caller's machine into which what was built is to be written.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// What can be asked of a registered project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of-project", rename_all = "kebab-case")]
pub enum OfProject {
    /// Build it. Answers: as of a build, and a [`BuiltReport`] when it is good.
    Build {
        /// As of a build.
        targets: Vec<String>,
        /// How.
        options: BuildOptions,
    },
    /// Build it for a project that uses it. Answers: as of a build.
    Use {
        /// As of a build.
        targets: Vec<String>,
        /// For which projects, each of which uses the next; the last uses this one.
        used_by: Vec<UsedBy>,
        /// The build of the first of them: what it has already been built for is not built for it again.
        #[serde(default)]
        build: Option<BuildId>,
        /// Build nothing: what was made last is wanted.
        #[serde(default)]
        as_it_is: bool,
    },
    /// What can be built. Answer: [`TargetsReport`].
    Targets,
    /// What its last build said, and what the next ones say. Answers: as of [`super::Request::Monitor`].
    Monitor {
        /// Only what is about this step, or the steps of this rule.
        step: Option<String>,
        /// End with the build that is said first.
        once: bool,
    },
}

/// A project that uses another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedBy {
    /// Which workspace.
    pub workspace: WorkspaceId,
    /// What people call it.
    pub name: String,
}

/// A registered project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectReport {
    /// What it is called.
    pub name: ProjectName,
    /// Which workspace it is.
    pub workspace: WorkspaceId,
    /// The pod that has it, and builds it.
    pub owner: Option<PodId>,
    /// What people call that pod.
    pub owner_name: String,
    /// Whether it is the pod that was asked.
    pub is_mine: bool,
    /// Whether that pod is there.
    pub is_there: bool,
    /// When it last said so.
    pub heard_seconds_ago: Option<u64>,
    /// Where the project is on that pod's machine.
    pub folder: String,
}

/// Registered projects, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectsReport {
    /// All of them; of a change the one that it was about.
    pub projects: Vec<ProjectReport>,
}

/// What can be named as a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetKind {
    /// A name of the project file for several targets.
    Alias,
    /// A step.
    Step,
    /// What a step says that it makes.
    Output,
}

/// A target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetReport {
    /// As it is typed.
    pub target: String,
    /// What it is.
    pub kind: TargetKind,
    /// The step that makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
}

/// What can be built of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetsReport {
    /// What it is called.
    pub project: String,
    /// What a bare build wants; empty: everything.
    pub default: Vec<String>,
    /// Aliases, then each step with what it makes.
    pub targets: Vec<TargetReport>,
}

/// What a build of a registered project has made, as far as it was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltReport {
    /// Which project.
    pub name: ProjectName,
    /// The pod that has it.
    pub owner: PodId,
    /// What people call that pod.
    pub owner_name: String,
    /// Where it is on that pod's machine.
    pub folder: String,
    /// The tree of what is wanted.
    pub tree: Digest,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Steps with secrets, whose outputs stay where they were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_back: Vec<StepId>,
    /// Where they were written, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
}
