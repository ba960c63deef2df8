//! The conductor: brings the steps of one attempt of a build to their ends, in an order that it finds out as it goes.
//!
//! Actors. One [`Conductor`] owns where each step is ([`state`]); look-ups and runs are tasks of their own, whose ends come
//! back to it; held look-ups ([`super::demand`]) ask it from the threads of the view. The way of a step: it waits for what
//! it is `after` and for what the last build saw it read ([`readiness`]); it is looked up; it runs in the next free slot
//! ([`starting`]), or on another pod ([`away`]); what it made is published ([`publishing`]), and held against what all others saw ([`staleness`]); a failure
//! waits until nothing is left that could still have helped ([`failing`]), which may be steps that nobody asked for ([`calling`]); steps that feed
//! each other go round until they settle ([`circles`]). When nothing moves any more, [`unsticking`] opens a circle, or ends what cannot be helped.
//!
//! Errors of the machine end the attempt ([`Stop`]); a step that fails is counted. Everything is bounded: look-ups ahead by
//! [`LOOK_AHEAD`], held steps by [`HELD_PER_SLOT`], passes of a step by its `max_passes`. A crash loses the runs that are under way.

mod away;
mod calling;
mod circles;
mod failing;
mod hazards;
mod holding;
mod labels;
mod pools;
mod publishing;
mod readiness;
mod remembering;
mod staleness;
mod starting;
mod state;
mod unsticking;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use node::{OtherKitchens, Share, Slot};
use protocol::event::{Event, How, Limited};
use rustc_hash::FxHashSet;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use self::calling::Callable;
use self::circles::Circles;
use self::hazards::Hazards;
use self::state::{Phase, Step};
use super::context::{Context, Stop};
use super::demand::{HOLD_QUEUE, Hold};
use super::step::{Looked, Ran};

/// Steps that are looked up ahead while all slots are taken.
const LOOK_AHEAD: usize = 4;

/// Steps that may be held at a time, for each slot; beyond that the newest is ended, and runs again later.
const HELD_PER_SLOT: usize = 4;

/// How the steps of an attempt came to their ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Steps that the wanted targets turned out to need: sorted.
    pub needed: Vec<usize>,
    /// Of them, those that came to a good end: sorted.
    pub good: Vec<usize>,
    /// How many failed, or were skipped because of others.
    pub failed: u64,
    /// The build was cancelled.
    pub cancelled: bool,
}

impl Tally {
    /// How the build ended, as far as steps decide it.
    pub(super) fn outcome(&self) -> protocol::event::Outcome {
        match (self.cancelled, self.failed) {
            (true, _) => protocol::event::Outcome::Cancelled,
            (false, 0) => protocol::event::Outcome::Success,
            _ => protocol::event::Outcome::Failure,
        }
    }
}

/// Who comes first: the lower rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Somebody waits for it.
    Demanded,
    /// It has not come to an end yet.
    First,
    /// Once more.
    Again,
    /// Traces of it are known that others may still make hold.
    Deferred,
}

/// What a task came to.
enum Outcome {
    Looked(Result<Looked, Stop>),
    Ran(u64, Result<Ran, Stop>),
}

type TakingSlot = oneshot::Receiver<Slot>;

/// Brings steps to their ends.
pub(super) struct Conductor {
    context: Arc<Context>,
    share: Share,
    taking: Option<TakingSlot>,
    /// Other pods that run steps, and when they have room.
    others: Option<(Arc<dyn OtherKitchens>, watch::Receiver<u64>)>,
    /// Makes what they are given.
    sharing: Option<Sharing>,
    /// Which steps this pod may run, by its labels.
    for_here: Vec<bool>,
    /// Since when a step waits that only other pods may run.
    room_wanted: labels::RoomWanted,
    steps: Vec<Step>,
    ready: BTreeSet<(Rank, usize)>,
    missed: BTreeSet<(Rank, usize)>,
    /// Steps to be looked at again.
    doubted: BTreeSet<usize>,
    failing: BTreeSet<usize>,
    /// Steps that somebody did not wait for, to open a circle.
    is_opened: FxHashSet<usize>,
    /// Whom to wake when a step comes to an end, good or bad.
    waiters: Vec<Vec<usize>>,
    /// Held runs that have an answer and want a slot.
    resuming: VecDeque<usize>,
    /// Steps of pools that are under way.
    pooled: BTreeSet<usize>,
    /// Steps with look-ups that wait.
    holding: BTreeSet<usize>,
    /// Look-ups under way.
    looking: usize,
    /// Slots of ours that are in use.
    slots_used: usize,
    /// Runs that are not held.
    unheld: usize,
    /// Runs that have given their slots back and are being judged.
    judged: usize,
    tasks: JoinSet<(usize, Outcome)>,
    holds: mpsc::Receiver<Hold>,
    hold_line: mpsc::Sender<Hold>,
    /// Runs whose commands have ended: step and number.
    endings: mpsc::Receiver<(usize, u64)>,
    end_line: mpsc::Sender<(usize, u64)>,
    hazards: Hazards,
    circles: Circles,
    callable: Callable,
    /// Steps in the order in which they came to good ends.
    ended: Vec<usize>,
    /// Steps that failed for good, and how.
    failures: Vec<(usize, String)>,
    skipped: u64,
    last_run: u64,
    /// How many steps are needed, and how many of them were said.
    needed: u64,
    said_steps: u64,
}

/// Brings the wanted steps, and whatever they turn out to need, to their ends.
pub(super) async fn conduct(context: &Arc<Context>, wanted: &[usize]) -> Result<Tally, Stop> {
    let count = context.plan.steps.len();
    let (hold_line, holds) = mpsc::channel(HOLD_QUEUE);
    let (end_line, endings) = mpsc::channel(HOLD_QUEUE);
    let mut conductor = Conductor {
        context: Arc::clone(context),
        share: context.pod.slots().share(context.jobs),
        taking: None,
        sharing: None,
        for_here: labels::for_here(context),
        room_wanted: labels::RoomWanted::default(),
        others: context.pod.others().map(|others| (Arc::clone(&others), others.changes())),
        steps: (0..count).map(|_| Step::new()).collect(),
        ready: BTreeSet::new(),
        missed: BTreeSet::new(),
        doubted: BTreeSet::new(),
        failing: BTreeSet::new(),
        is_opened: FxHashSet::default(),
        waiters: vec![Vec::new(); count],
        resuming: VecDeque::new(),
        pooled: BTreeSet::new(),
        holding: BTreeSet::new(),
        looking: 0,
        slots_used: 0,
        unheld: 0,
        judged: 0,
        tasks: JoinSet::new(),
        holds,
        hold_line,
        endings,
        end_line,
        hazards: Hazards::default(),
        circles: Circles::default(),
        callable: Callable::default(),
        ended: Vec::new(),
        failures: Vec::new(),
        skipped: 0,
        last_run: 0,
        needed: 0,
        said_steps: 0,
    };
    let conducted = conductor.conduct(wanted).await;
    // After an error steps may still be under way: they have ended, and have said so, before anybody is told.
    conductor.end_all().await;
    conducted?;
    if context.verification.is_none() {
        conductor.remember()?;
    }
    let of_phase = |is: fn(&Phase) -> bool| {
        let steps = conductor.steps.iter().enumerate();
        steps.filter(|(_, step)| is(&step.phase)).map(|(index, _)| index).collect()
    };
    Ok(Tally {
        needed: of_phase(|phase| !matches!(phase, Phase::Unneeded)),
        good: of_phase(|phase| matches!(phase, Phase::Good)),
        failed: conductor.failures.len() as u64 + conductor.skipped,
        cancelled: context.cancel.is_set(),
    })
}

impl Conductor {
    async fn conduct(&mut self, wanted: &[usize]) -> Result<(), Stop> {
        self.recall_edges(wanted).await?;
        self.need(wanted);
        self.find_callable(wanted);
        loop {
            self.say_needed();
            self.start_look_ups().await?;
            if self.release_doubted() {
                continue;
            }
            self.fail_placeless();
            self.start_taking();
            self.place_away();
            if self.is_ending() {
                self.end_held();
                if self.tasks.is_empty() {
                    return Ok(());
                }
            } else if self.is_stuck() {
                if self.unstick()? {
                    continue;
                }
                if self.tasks.is_empty() {
                    return Ok(());
                }
            }
            let is_ending = self.is_ending();
            let cancel = self.context.cancel.clone();
            tokio::select! {
                biased;
                Some(joined) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    let (index, outcome) = joined.map_err(|_| Stop::from(node::NodeError::Task("step")))?;
                    match outcome {
                        Outcome::Looked(looked) => self.looked(index, looked?).await?,
                        Outcome::Ran(run, ran) => self.ran(index, run, ran?).await?,
                    }
                }
                Some(hold) = self.holds.recv() => self.held(hold),
                Some((index, run)) = self.endings.recv() => self.commands_ended(index, run),
                shared = shared(&mut self.sharing), if self.sharing.is_some() => {
                    self.sharing = None;
                    shared?;
                }
                () = room(&mut self.others), if !is_ending && !self.missed.is_empty() => {}
                slot = taken(&mut self.taking), if self.taking.is_some() => {
                    self.taking = None;
                    if let Some(slot) = slot {
                        self.use_slot(slot);
                    }
                }
                () = cancel.wait(), if !is_ending => {}
            }
        }
    }

    /// Whether nothing more starts.
    fn is_ending(&self) -> bool {
        self.context.cancel.is_set() || !self.failures.is_empty() && !self.context.options.keep_going
    }

    /// Whether nothing moves by itself any more.
    fn is_stuck(&self) -> bool {
        self.looking == 0
            && self.unheld == 0
            && self.taking.is_none()
            && self.ready.is_empty()
            && self.resuming.is_empty()
            && self.missed.iter().all(|(rank, _)| *rank == Rank::Deferred)
    }

    /// Ends all tasks, and waits until they have ended.
    async fn end_all(&mut self) {
        self.taking = None;
        self.tasks.shutdown().await;
    }

    /// Says how many steps are needed, when that has become more.
    fn say_needed(&mut self) {
        if self.needed > self.said_steps {
            self.said_steps = self.needed;
            self.context.sink.event(Event::Planned { steps: self.needed });
        }
    }

    fn say_finished(&self, index: usize, how: How, ending: Ending) {
        let step = &self.steps[index];
        let is_bad = matches!(how, How::Failed | How::Skipped);
        if matches!(how, How::Ran | How::Reused) {
            let id = &self.context.plan.steps[index].id;
            self.context.pod.failed().forget(self.context.workspace, id);
        }
        if is_bad && step.is_said {
            // Its end had been good, until others showed that it was none.
            self.context.sink.event(Event::StepRestarted {
                step: self.context.plan.steps[index].id.clone(),
                why: "what it saw does not last".to_owned(),
            });
        }
        self.context.sink.event(Event::StepFinished {
            step: self.context.plan.steps[index].id.clone(),
            how,
            exit: ending.exit,
            failure: ending.failure,
            reason: ending.reason.or_else(|| step.ran.clone()),
            limit: ending.limit,
            command: ending.command,
            seconds: step.begun.map_or(0.0, |begun| begun.elapsed().as_secs_f64()),
        });
    }

    /// All steps that a step depends on, as far as is known: through `after` and through what they look at.
    fn needs(&self, index: usize) -> FxHashSet<usize> {
        let mut seen = FxHashSet::default();
        let mut todo = vec![index];
        while let Some(next) = todo.pop() {
            let step = &self.steps[next];
            for &other in self.context.plan.steps[next].after.iter().chain(&step.producers) {
                if seen.insert(other) {
                    todo.push(other);
                }
            }
        }
        seen
    }
}

/// What an end is said with.
#[derive(Default)]
struct Ending {
    exit: Option<i32>,
    failure: Option<String>,
    /// Why it did not have to run, where that is asked for.
    reason: Option<String>,
    limit: Option<Limited>,
    command: Option<String>,
}

/// Dropped, it is ended.
struct Sharing(JoinHandle<Result<(), Stop>>);

impl Drop for Sharing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn shared(sharing: &mut Option<Sharing>) -> Result<(), Stop> {
    match sharing {
        Some(sharing) => (&mut sharing.0).await.map_err(|_| node::NodeError::Task("share the sources"))?,
        None => std::future::pending().await,
    }
}

async fn room(others: &mut Option<(Arc<dyn OtherKitchens>, watch::Receiver<u64>)>) {
    // Whoever has gone has no room any more.
    if let Some((_, changes)) = others
        && changes.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn taken(taking: &mut Option<TakingSlot>) -> Option<Slot> {
    match taking {
        Some(taking) => taking.await.ok(),
        None => std::future::pending().await,
    }
}
