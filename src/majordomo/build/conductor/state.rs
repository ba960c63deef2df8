//! Where each step of a build is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use node::Slot;
use protocol::{Look, RelPath, Seen, Tree};
use rustc_hash::FxHashSet;
use tokio::sync::oneshot;

use super::super::demand::Answer;
use super::super::keep;
use super::super::step::{Failed, Hit, Pass};
use crate::majordomo::sink::Cancel;

/// A look-up that waits in a run.
pub struct Held {
    /// Who has to make what it looked at.
    pub by: usize,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// A run that is under way.
pub struct Running {
    /// Its number; late messages of other runs are known by it.
    pub run: u64,
    /// Its slot; `None` while it is held, and while it is judged.
    pub slot: Option<Slot>,
    /// Whether it runs on another pod.
    pub is_away: bool,
    /// Whether its commands have ended and its slot has gone back.
    pub is_judged: bool,
    /// Ends it.
    pub cancel: Cancel,
    /// Look-ups that wait.
    pub held: Vec<Held>,
    /// Answers that wait for a slot.
    pub answers: Vec<(Held, Answer)>,
    /// Why it was ended, if it was.
    pub ended: Option<EndedRun>,
    /// How often something was published that others had not promised, when its view was made.
    pub epoch: u64,
}

/// Why a run was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedRun {
    /// Too many steps were held: it runs again when this step is done.
    TooManyHeld(usize),
    /// This step will not make what it looked at.
    Needs(usize),
}

/// Where a step is.
pub enum Phase {
    /// Nobody needs it.
    Unneeded,
    /// It waits for other steps; how many times it will be woken before it looks again.
    Waiting(usize),
    /// It may be looked up.
    Ready,
    /// It is being looked up.
    Looking {
        /// As [`Running::epoch`].
        epoch: u64,
    },
    /// It has to run.
    Missed {
        /// What it starts from.
        pass: Box<Pass>,
        /// As [`Running::epoch`].
        epoch: u64,
    },
    /// It runs.
    Running(Box<Running>),
    /// It came to its end, and nothing is known against it.
    Good,
    /// It came to an end that no longer stands, or sees what it left itself: it has to be looked at again.
    Doubted,
    /// It failed, and might not have if it had run later.
    Failing(Box<Failed>),
    /// It is over: it failed, was skipped or cancelled.
    Over,
}

/// What a step last came to in this build.
pub enum Standing {
    /// As the last build did.
    Recalled,
    /// By a trace.
    By(Box<Hit>),
}

/// One step.
pub struct Step {
    /// Where it is.
    pub phase: Phase,
    /// When it first had something to do.
    pub begun: Option<Instant>,
    /// Steps whose outputs it looks at, besides those that it is `after`: from the last build, and found in this one.
    pub producers: BTreeSet<usize>,
    /// Steps of its circle that it does not wait for.
    pub opened: FxHashSet<usize>,
    /// What it last came to.
    pub standing: Option<Standing>,
    /// What it had made before it made what it last made in this build.
    pub made_before: Option<Arc<Tree>>,
    /// What it left, if it sees that.
    pub state: Option<keep::State>,
    /// Why its commands first ran.
    pub ran: Option<String>,
    /// Whether its good end was said.
    pub is_said: bool,
    /// How often it came to an end.
    pub passes: usize,
    /// Of these, the ones before its round began: it had settled with itself, or was moved from outside of its circle.
    pub passes_before: usize,
    /// How often it has settled with itself since it was last moved from outside of its circle.
    pub settled: usize,
    /// How often it was moved from outside of its circle.
    pub moved: usize,
    /// How often its commands ran.
    pub runs: usize,
    /// Why it is doubted.
    pub doubt: Option<String>,
    /// Whether others were made to run to find out whether a trace of it holds.
    pub has_demanded: bool,
    /// Whether somebody waits for it.
    pub is_demanded: bool,
    /// The number of its last run.
    pub run: u64,
    /// How often it ran on another pod in vain.
    pub in_vain: usize,
    /// Whether it has to run at home.
    pub stays_home: bool,
}

impl Step {
    /// One that nobody needs yet.
    pub fn new() -> Self {
        Self {
            phase: Phase::Unneeded,
            begun: None,
            producers: BTreeSet::new(),
            opened: FxHashSet::default(),
            standing: None,
            made_before: None,
            state: None,
            ran: None,
            is_said: false,
            passes: 0,
            passes_before: 0,
            settled: 0,
            moved: 0,
            runs: 0,
            doubt: None,
            has_demanded: false,
            is_demanded: false,
            run: 0,
            in_vain: 0,
            stays_home: false,
        }
    }

    /// Passes of its round: those that have to lead to an end.
    pub fn passes_of_round(&self) -> usize {
        self.passes - self.passes_before
    }

    /// Whether something is still to come of it.
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Unneeded | Phase::Good | Phase::Over)
    }

    /// Whether it is on its way: looked up, running, or about to.
    pub fn is_active(&self) -> bool {
        matches!(
            self.phase,
            Phase::Waiting(_)
                | Phase::Ready
                | Phase::Looking { .. }
                | Phase::Missed { .. }
                | Phase::Running(_)
        )
    }
}

/// What steps saw of a project: path, look, answer.
pub type SeenInside = Vec<(RelPath, Look, Seen)>;
