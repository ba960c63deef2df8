//! Orders for registered projects: what one pod asks of another's, and what that one says to it.
//!
//! The pod that wants something sends a [`ProjectOrder`] to the owner; from then on the owner says [`ProjectNews`], each answered by a
//! [`NewsAnswer`](super::NewsAnswer), until the last reply, or a [`ProjectCancel`]. Replies that a pod does not know are passed over, as events are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ProjectName;
use crate::event::{Outcome, Stamped};
use crate::failure::Failure;
use crate::report::{StatusReport, TargetsReport, VerifyReport};
use crate::{BuildId, Digest, StepId, WorkspaceId};

/// The matter of a [`ProjectOrder`].
pub const ORDER: &str = "project";
/// The matter of [`ProjectNews`].
pub const ORDER_NEWS: &str = "project-news";
/// The matter of a [`ProjectCancel`].
pub const ORDER_CANCEL: &str = "project-cancel";

/// Question to the owner of a project: do this, and tell me.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectOrder {
    /// A number that the asking pod gives no other order.
    pub run: u64,
    /// Which project.
    pub name: ProjectName,
    /// What.
    pub what: OfProject,
}

/// What can be asked of a registered project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of-project", rename_all = "kebab-case")]
pub enum OfProject {
    /// Build it. Answers: as of a build, and what it has made when it is good.
    Build {
        /// As of a build.
        targets: Vec<String>,
        /// How.
        options: OrderOptions,
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
    /// What its last build said, and what the next ones say. Answers: their events.
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

/// How another pod's project is to be built; what else there is to say is its owner's matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderOptions {
    /// Say what would run, and run nothing.
    pub dry_run: bool,
    /// Adopt no trace: run every wanted step.
    pub cold: bool,
    /// After a failure go on with what does not need the failed step.
    pub keep_going: bool,
    /// Say for every step, reused ones too, why.
    pub explain: bool,
    /// After a good build run all that is wanted again, and say what differs.
    pub verify: bool,
}

/// Question to whoever ordered: the next replies. Answered by a [`NewsAnswer`](super::NewsAnswer).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectNews {
    /// Which order.
    pub run: u64,
    /// Counted from 1: what comes twice is taken once.
    pub number: u64,
    /// [`ProjectReply`]s; of those of a later program the ones that are not known are ignored.
    pub replies: Vec<Value>,
}

/// What the owner says of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", content = "with", rename_all = "kebab-case")]
pub enum ProjectReply {
    /// Something happened in the build.
    Event(Stamped),
    /// The build waits for another one: one line for people.
    Waiting(String),
    /// A build that is followed could not be carried out; the next one is waited for.
    Refused(Failure),
    /// To [`OfProject::Targets`].
    Targets(TargetsReport),
    /// To [`OfProject::Build`] with [`OrderOptions::dry_run`].
    Status(StatusReport),
    /// To [`OfProject::Build`] with [`OrderOptions::verify`].
    Verify(VerifyReport),
    /// To [`OfProject::Build`] and [`OfProject::Use`].
    Made(ProjectMade),
    /// The end of what was asked; for a build, how it ended.
    Done {
        /// `Some` for builds.
        outcome: Option<Outcome>,
    },
    /// What was asked could not be carried out.
    Failed(Failure),
}

/// What a build of a registered project has made, as far as it was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectMade {
    /// Which project.
    pub name: ProjectName,
    /// Where it is on its owner's machine.
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
}

/// Question to the owner: end it. Answered by whether there was such an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectCancel {
    /// Which order.
    pub run: u64,
}
