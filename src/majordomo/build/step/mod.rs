//! One pass of a step: looked up, else run, judged, and put into the larder.
//!
//! Actors: the conductor starts [`look()`] and [`run()`] as tasks of their own and takes what comes of them; nothing here
//! knows the order of steps. Each pass is an ordinary cached run, whoever it is for. Errors of the machine and changes
//! of what the build started from travel as [`Stop`](super::context::Stop); a step that fails is a [`Ran`]. A crash loses the run that is
//! under way: a trace is there once its outputs are.

mod away;
mod look;
mod run;

use std::sync::Arc;

use node::{Outputs, Project};
use protocol::event::Limited;
use protocol::{Digest, Keep, Look, PathSet, RelPath, Seen, Trace, Tree};

pub use self::away::Shared;
pub(super) use self::away::{AwayStart, may_go, run_away, share, wish};
pub(super) use self::look::{is_there, look, outputs_of};
pub(super) use self::run::{run, show_again};
use super::carried::Carried;
use super::context::Context;
use super::demand::StepView;
use super::keep;

/// What a pass starts from.
pub(super) struct Start {
    /// What it sees of promises.
    pub view: Arc<StepView>,
    /// Steps whose outputs it sees though they have not promised them.
    pub producers: Vec<usize>,
    /// What it left when it ran before, if it sees its own outputs.
    pub state: Option<keep::State>,
    /// Which pass of this build it is, from 1.
    pub pass: usize,
    /// Why it is looked at once more, if it was before.
    pub again: Option<String>,
    /// Whether others may be made to run just to find out whether a trace holds.
    pub may_demand: bool,
}

/// A trace that answers for a step, and what it made.
#[derive(Clone)]
pub(super) struct Hit {
    /// The trace's digest.
    pub digest: Digest,
    /// The trace.
    pub trace: Arc<Trace>,
    /// Its questions.
    pub path_set: Arc<PathSet>,
    /// What it made; of a step that sees its own outputs, all that is there after it.
    pub tree: Arc<Tree>,
}

/// A pass that has to run.
pub(super) struct Pass {
    /// What it sees at `/project`.
    pub project: Arc<Project>,
    /// What it sees of promises.
    pub view: Arc<StepView>,
    /// What it left before.
    pub state: Option<keep::State>,
    /// What that stands on.
    pub carried: Option<Carried>,
    /// What it sees over the sources besides promises.
    pub outputs: Outputs,
    /// Why it runs.
    pub reason: String,
    /// What traces looked at that are known, and might still come to hold when others have run: paths in the project.
    pub known: Vec<(RelPath, Look)>,
}

/// What a look-up came to.
pub(super) enum Looked {
    /// A trace answers, or the step sees what it left.
    Answered(Box<Hit>),
    /// It has to run.
    Missed(Box<Pass>),
    /// These steps have to come to their ends first.
    Unmade(Vec<usize>),
    /// What it left is no good any more, and why: it begins from nothing.
    Spoilt(String),
}

/// What a run came to.
pub(super) enum Ran {
    /// Well: what it made is in the larder.
    Made(Box<Hit>),
    /// It failed.
    Failed(Box<Failed>),
    /// It went on from what is no good any more, and did not notice; why.
    Spoilt(String),
    /// It was ended.
    Cancelled,
    /// On another pod, where it looked at what this step has to make first.
    Unmade(usize),
    /// It waited for a slot of another pod, and did not begin.
    NotBegun,
    /// Not to the end on another pod, or to one that does not count here.
    NotAway {
        /// Why.
        why: String,
        /// Whether it has to run at home.
        is_final: bool,
    },
}

/// How a run failed.
#[derive(Default)]
pub(super) struct Failed {
    /// Exit code of the command that ended it.
    pub exit: Option<i32>,
    /// Why.
    pub failure: String,
    /// Which limit it was over.
    pub limit: Option<Limited>,
    /// The command that ended it.
    pub command: Option<String>,
    /// What it printed, as far as that may explain it.
    pub output: String,
    /// What it had seen of the project until then: paths in it.
    pub seen: Vec<(RelPath, Look, Seen)>,
}

impl Failed {
    /// One of which no command is to blame.
    pub(super) fn of(failure: String) -> Self {
        Self { failure, ..Self::default() }
    }
}

/// Whether a step sees what it left before.
pub(super) fn keeps(context: &Context, index: usize) -> bool {
    context.specs[index].keep != Keep::Nothing
}
