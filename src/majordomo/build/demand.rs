//! Demand through the file system: a step that looks at what is promised and not made yet waits in its look-up.
//!
//! Actors: a [`StepView`] answers for the promises that one step sees, in the threads of the FUSE sessions; what is good
//! it answers itself, anything else it asks the conductor by a [`Hold`], whose answer may come late. While it waits, the
//! step's time stands still. A dropped answer is [`SourceError::Cancelled`].

use std::sync::Arc;

use futures::future::BoxFuture;
use kitchen::Clock;
use node::{Names, Promised, PromisedAt};
use parking_lot::Mutex;
use protocol::{RelPath, Tree};
use rustc_hash::FxHashSet;
use tokio::sync::{mpsc, oneshot};
use view::SourceError;

use super::made::MadeSoFar;

/// Look-ups that wait for the conductor to hear of them.
pub const HOLD_QUEUE: usize = 256;

/// What a held look-up is answered.
pub type Answer = Result<Option<Arc<Tree>>, SourceError>;

/// A look-up that waits.
pub struct Hold {
    /// The step that looks.
    pub step: usize,
    /// Which of its runs.
    pub run: u64,
    /// The step that has to make it.
    pub by: usize,
    /// What was looked at.
    pub path: RelPath,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// How the look-ups of a run reach the conductor.
#[derive(Clone)]
struct Line {
    holds: mpsc::Sender<Hold>,
    run: u64,
    clock: Clock,
}

/// The promises of other steps, as one step sees them.
pub struct StepView {
    made: Arc<MadeSoFar>,
    step: usize,
    /// The steps of its circle that it does not wait for: it sees what they last made, or nothing.
    opened: FxHashSet<usize>,
    line: Mutex<Option<Line>>,
}

impl StepView {
    /// For one step. Nobody waits until [`StepView::hold_by`].
    pub fn new(made: Arc<MadeSoFar>, step: usize, opened: FxHashSet<usize>) -> Self {
        Self { made, step, opened, line: Mutex::default() }
    }

    /// From now on look-ups wait for what is not made yet.
    pub fn hold_by(&self, holds: mpsc::Sender<Hold>, run: u64, clock: Clock) {
        *self.line.lock() = Some(Line { holds, run, clock });
    }

    /// Whether it is a step of a circle, and sees what others of it last made.
    pub fn goes_round(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Nobody waits any more.
    pub fn hang_up(&self) {
        *self.line.lock() = None;
    }
}

impl Promised for StepView {
    fn at(&self, path: &RelPath) -> Option<PromisedAt> {
        self.made.promises().at(self.step, path)
    }

    fn names(&self, folder: &RelPath) -> Names {
        self.made.promises().names(self.step, folder)
    }

    fn made(&self, by: usize) -> Option<Option<Arc<Tree>>> {
        match self.made.good(by) {
            Some(tree) => Some(Some(tree)),
            None if self.opened.contains(&by) => Some(self.made.tree(by)),
            None => None,
        }
    }

    fn make<'a>(&'a self, by: usize, path: &'a RelPath) -> BoxFuture<'a, Answer> {
        let line = self.line.lock().clone();
        Box::pin(async move {
            let Some(Line { holds, run, clock }) = line else {
                return Err(SourceError::NotYet { path: path.clone() });
            };
            let _stands = clock.pause();
            let (answer, answered) = oneshot::channel();
            let hold = Hold { step: self.step, run, by, path: path.clone(), answer };
            holds.send(hold).await.map_err(|_| SourceError::Cancelled)?;
            answered.await.unwrap_or(Err(SourceError::Cancelled))
        })
    }
}
