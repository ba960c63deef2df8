//! Steps that plan: run before there is a plan, apart from all others.
//!
//! They are ordinary steps, looked up, run, traced and stored like any; but what they make is handed to the caller, and never to
//! the user or to another step.

use std::sync::Arc;

use node::Pod;
use protocol::{Look, RelPath, Tree};
use rustc_hash::FxHashSet;

use super::conductor::{self, Tally};
use super::context::{Context, Stop, Unexplained};
use super::made::MadeSoFar;
use crate::majordomo::prepare::Prepared;
use crate::majordomo::request::BuildOptions;
use crate::majordomo::sink::{Cancel, Sink};

/// What steps that plan came to.
pub struct Planning {
    /// What each of the plan's steps made; `None`: it failed, or nobody needed it.
    pub made: Vec<Option<Arc<Tree>>>,
    /// What those that made something looked at outside of the project.
    pub looks: FxHashSet<(RelPath, Look)>,
    /// The steps that failed.
    pub unexplained: Vec<Unexplained>,
    /// The build was cancelled meanwhile.
    pub is_cancelled: bool,
}

/// Brings these steps of a plan, and whatever they need, to their ends, whoever of them fails.
///
/// # Errors
/// The attempt has to end.
pub async fn run_planning(
    pod: &Pod,
    prepared: &Prepared,
    wanted: &[usize],
    options: &BuildOptions,
    (sink, cancel): (&Sink, &Cancel),
) -> Result<Planning, Stop> {
    let options = BuildOptions { keep_going: true, ..options.clone() };
    let made = MadeSoFar::of(prepared);
    let mut context = Context::new(pod, prepared, (sink, cancel), options, made)?;
    context.is_planning = true;
    let context = Arc::new(context);
    let Tally { good, cancelled, .. } =
        conductor::conduct(&context, &prepared.plan.needed(wanted.iter().copied())).await?;
    let mut made = vec![None; prepared.plan.steps.len()];
    for step in good {
        made[step] = context.made.good(step);
    }
    let unexplained = std::mem::take(&mut *context.unexplained.lock());
    Ok(Planning { made, looks: context.all_host_looks(), unexplained, is_cancelled: cancelled })
}
