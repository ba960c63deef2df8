//! The order of steps: whoever has nothing left to wait for goes, first come in the plan's order.

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::event::{Event, How};
use tokio::task::JoinSet;

use super::context::{Context, Stop};
use super::step::{StepResult, recalled, step};

/// Steps that are looked up ahead while all slots are taken.
const LOOK_AHEAD: usize = 4;

/// How the steps of an attempt came to their ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Commands ran.
    pub ran: u64,
    /// A trace answered.
    pub reused: u64,
    /// Failed.
    pub failed: u64,
    /// Not brought to an end, because of a failure.
    pub skipped: u64,
    /// The build was cancelled.
    pub cancelled: bool,
}

/// Brings the wanted steps to their ends. The first failure lets nothing more start, unless `keep_going`.
pub async fn all(context: &Arc<Context>, wanted: &[usize]) -> Result<Tally, Stop> {
    let mut tasks = JoinSet::new();
    let ended = in_order(context, wanted, &mut tasks).await;
    // After an error steps may still be under way: they have ended, and have said so, before anybody is told.
    tasks.shutdown().await;
    ended
}

type Tasks = JoinSet<(usize, Result<StepResult, Stop>)>;

async fn in_order(context: &Arc<Context>, wanted: &[usize], tasks: &mut Tasks) -> Result<Tally, Stop> {
    let count = context.plan.steps.len();
    let is_wanted = {
        let mut set = vec![false; count];
        wanted.iter().for_each(|&step| set[step] = true);
        set
    };
    let mut waits_for: Vec<usize> = vec![0; count];
    let mut wakes: Vec<Vec<usize>> = vec![Vec::new(); count];
    for &step in wanted {
        for &before in context.plan.steps[step].after.iter().filter(|&&before| is_wanted[before]) {
            waits_for[step] += 1;
            wakes[before].push(step);
        }
    }
    let mut ready: BTreeSet<usize> = wanted.iter().copied().filter(|&step| waits_for[step] == 0).collect();
    let mut tally = Tally::default();
    let mut blocked = vec![false; count];
    let at_once = context.slots.available_permits() + LOOK_AHEAD;
    loop {
        let go_on = (tally.failed == 0 || context.options.keep_going) && !context.cancel.is_set();
        while go_on && tasks.len() < at_once {
            let Some(next) = ready.pop_first() else { break };
            match recalled(context, next).await? {
                Some(StepResult::Reused) => {
                    tally.reused += 1;
                    wake(&wakes[next], &mut waits_for, &blocked, &mut ready);
                }
                Some(_) => {
                    tally.failed += 1;
                    skip(context, &wakes, next, &mut blocked, &mut tally);
                    break;
                }
                None => {
                    let context = Arc::clone(context);
                    tasks.spawn(async move { (next, step(context, next).await) });
                }
            }
        }
        let Some(joined) = tasks.join_next().await else {
            if go_on && !ready.is_empty() && (tally.failed == 0 || context.options.keep_going) {
                continue;
            }
            break;
        };
        let (index, result) = joined.map_err(|_| Stop::from(node::NodeError::Task("step")))?;
        match result? {
            result @ (StepResult::Ran | StepResult::Reused) => {
                match result {
                    StepResult::Ran => tally.ran += 1,
                    _ => tally.reused += 1,
                }
                wake(&wakes[index], &mut waits_for, &blocked, &mut ready);
            }
            StepResult::Failed => {
                tally.failed += 1;
                skip(context, &wakes, index, &mut blocked, &mut tally);
            }
            StepResult::Cancelled => tally.cancelled = true,
            StepResult::NotStarted => {}
        }
    }
    tally.cancelled |= context.cancel.is_set();
    Ok(tally)
}

/// Whoever waited for nothing else is ready now.
fn wake(wakes: &[usize], waits_for: &mut [usize], blocked: &[bool], ready: &mut BTreeSet<usize>) {
    for &next in wakes {
        waits_for[next] -= 1;
        if waits_for[next] == 0 && !blocked[next] {
            ready.insert(next);
        }
    }
}

/// Whatever needs a step that failed is skipped, and says so.
fn skip(context: &Context, wakes: &[Vec<usize>], failed: usize, blocked: &mut [bool], tally: &mut Tally) {
    let mut todo = wakes[failed].clone();
    while let Some(next) = todo.pop() {
        if std::mem::replace(&mut blocked[next], true) {
            continue;
        }
        tally.skipped += 1;
        context.sink.event(Event::StepFinished {
            step: context.plan.steps[next].id.clone(),
            how: How::Skipped,
            exit: None,
            failure: Some(format!("it needs `{}`, which failed", context.plan.steps[failed].id)),
            command: None,
            seconds: 0.0,
        });
        todo.extend(wakes[next].iter());
    }
}
