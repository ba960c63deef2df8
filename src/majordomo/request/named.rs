//! Registered projects: what can be asked of the federation's list of them, and what is told of them. What is asked of one of them is in
//! [`protocol::mesh::order`].

use std::path::PathBuf;

use protocol::mesh::ProjectName;
use protocol::mesh::order::{OfProject, OrderOptions, ProjectMade};
use protocol::{PodId, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::{BuildOptions, Sandbox};

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
    /// How it is built where it is this pod's own; another pod is asked for nothing of it.
    #[serde(default)]
    pub own: OwnOptions,
    /// A folder of the caller's machine into which what was built is to be written.
    #[serde(default)]
    pub out: Option<PathBuf>,
}

/// Of [`BuildOptions`] what is the matter of whoever has the project alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnOptions {
    /// [`BuildOptions::jobs`].
    pub jobs: Option<usize>,
    /// [`BuildOptions::sandbox`].
    pub sandbox: Option<Sandbox>,
    /// [`BuildOptions::take_back`].
    pub take_back: bool,
}

impl OwnOptions {
    /// How a build is to be made of which the other options are these.
    pub fn with(self, others: OrderOptions) -> BuildOptions {
        let Self { jobs, sandbox, take_back } = self;
        let OrderOptions { dry_run, cold, keep_going, explain, verify } = others;
        BuildOptions { jobs, dry_run, cold, keep_going, explain, sandbox, take_back, verify }
    }
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

/// What a build of a registered project has made, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltReport {
    /// What.
    #[serde(flatten)]
    pub made: ProjectMade,
    /// The pod that has it.
    pub owner: PodId,
    /// What people call that pod.
    pub owner_name: String,
    /// Where it was written, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<PathBuf>,
}
