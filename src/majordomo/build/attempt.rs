//! Attempts of a build: each starts from a snapshot of its own, and what changes under it ends it.

use std::ops::ControlFlow;
use std::sync::Arc;

use node::Pod;
use protocol::RelPath;
use protocol::event::{Event, Outcome};

use super::conductor::{self, Tally};
use super::context::{Changed, Context, Stop};
use super::visit::Visitor;
use super::{Asked, Fallible, MadeSoFar, finish, preparing, verify};
use crate::majordomo::plan::Wanted;
use crate::majordomo::prepare::{Prepared, Scanned};
use crate::majordomo::recall::{self, Recall};
use crate::majordomo::request::{BuildOptions, Failure, Reply, Report};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::workspace::{Lock, Workspace};
use crate::majordomo::{border, chefs, inspect, records};

/// How often a build starts from a new snapshot because something changed under it.
pub const MAX_ATTEMPTS: usize = 3;

/// How often bytes may be gone from the larder in one build.
const MAX_LOSSES: usize = 10;
/// How many losses go by before the whole larder is checked.
const LOSSES_BEFORE_CHECK: usize = 2;

/// What attempts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Outputs in the user's folder.
    Make,
    /// A report of what comes out differently when all is run again.
    Verify,
}

/// Who is taken to make a target that nobody declares: each time that it was not made, more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Whoever made it the last time, or promises the tree that it is in.
    Known,
    /// Steps that promise nothing, and come after none of these: a Makefile's default goal, and none of its others.
    First,
    /// All that promise nothing.
    All,
}

impl Reach {
    fn wider(self) -> Self {
        match self {
            Reach::Known => Reach::First,
            Reach::First | Reach::All => Reach::All,
        }
    }
}

/// How an attempt came to its end.
pub(super) struct Done {
    /// How the build ended.
    pub outcome: Outcome,
    /// Steps that were needed.
    pub steps: u64,
    /// Outputs that were written into the project, or removed from it.
    pub written: u64,
}

/// A series of attempts.
#[derive(Clone, Copy)]
pub(super) struct Attempts<'a> {
    /// Where steps run.
    pub pod: &'a Pod,
    /// Of which project.
    pub workspace: &'a Workspace,
    /// Held until the last attempt has ended.
    pub lock: &'a Arc<Lock>,
    /// What was asked for.
    pub asked: &'a Asked,
    /// Who wants to look into a step's root; nothing is handed over then.
    pub visitor: Option<&'a Arc<Visitor>>,
    /// Where events go.
    pub sink: &'a Sink,
    /// Ends the attempt that is under way.
    pub cancel: &'a Cancel,
    /// What for.
    pub aim: Aim,
}

impl Attempts<'_> {
    /// Attempts until one comes to its end.
    pub async fn run(&self) -> Fallible<Done> {
        let (mut changes, mut losses, mut reach) = (0, 0, Reach::Known);
        loop {
            // What was recalled may be what failed the attempt before.
            let recalls = changes + losses == 0 && !self.asked.options.cold && self.aim == Aim::Make;
            let (why, giving_up, is_to_check) = match self.one(recalls, reach).await {
                Ok(done) => return Ok(done),
                Err(Stop::Fatal(failure)) => return Err(failure),
                Err(Stop::Wider) => {
                    reach = reach.wider();
                    continue;
                }
                Err(Stop::NotYet(path)) => {
                    let words = format!("`{path}` was not made, and nobody waited for it");
                    return Err(Box::new(border::machine(words)));
                }
                Err(Stop::Restart { why, changed }) => {
                    changes += 1;
                    let giving_up = (changes == MAX_ATTEMPTS).then(|| always_changed(&why, changed));
                    (why, giving_up, false)
                }
                Err(Stop::Lost(path)) => {
                    losses += 1;
                    let why = format!("the bytes of `{path}` are gone from the larder");
                    let giving_up = (losses == MAX_LOSSES).then(|| always_lost(&why));
                    (why, giving_up, losses == LOSSES_BEFORE_CHECK)
                }
            };
            if let Some(failure) = giving_up {
                return Err(Box::new(failure));
            }
            self.sink.note(false, format!("{why}: starting again on what is there now"));
            if is_to_check {
                // Whoever loses so much will lose more: all that is wrong is found at once.
                check(self.pod, self.sink).await?;
            }
        }
    }

    /// One attempt. `recalls`: what was recalled of the last build may answer. `reach`: who is taken to make a target that nobody
    /// declares.
    async fn one(&self, recalls: bool, reach: Reach) -> Result<Done, Stop> {
        let Self { pod, workspace, lock, asked, visitor, sink, cancel, aim } = *self;
        let fatal = |failure: Box<Failure>| Stop::Fatal(failure);
        let moment = lock.moment().map_err(|e| {
            Box::new(border::machine(format!("the clock of the project's disk cannot be read: {e}")))
        });
        let moment = moment.map_err(fatal)?;
        let prepared = preparing::prepared(pod, workspace, (lock, moment), asked, (sink, cancel)).await?;
        let prepared = match prepared {
            ControlFlow::Continue(prepared) => prepared,
            ControlFlow::Break(done) => return Ok(done),
        };
        if let Some(visitor) = visitor {
            return self.visit(&prepared, visitor).await;
        }
        let wanted = prepared.plan.wanted(&asked.targets).map_err(|e| fatal(Box::new(border::target(&e))))?;
        let (steps, is_whole) = needed(pod, &prepared, &wanted, reach)?;
        sink.event(Event::Planned { steps: steps.len() as u64 });
        if asked.options.dry_run {
            let report = inspect::status_of(pod, prepared, (&wanted.targets, &steps), asked.options.cold)
                .await
                .map_err(fatal)?;
            sink.reply(Reply::Report(Report::Status(report)));
            return Ok(Done { outcome: Outcome::Success, steps: steps.len() as u64, written: 0 });
        }
        let options =
            BuildOptions { cold: asked.options.cold || aim == Aim::Verify, ..asked.options.clone() };
        let made = MadeSoFar::of(&prepared);
        let mut context = Context::new(pod, &prepared, (sink, cancel), options, made)?;
        context.caller = asked.environment.clone();
        context.verification = (aim == Aim::Verify).then(Default::default);
        if recalls {
            let promises = recall::promises(&prepared.plan);
            context.recall = Recall::load(pod.home().path(), prepared.workspace.id(), &promises);
        }
        let context = Arc::new(context);
        let tally = conductor::conduct(&context, &steps).await?;
        let outcome = tally.outcome();
        let Tally { needed: steps, good, .. } = tally;
        let count = steps.len() as u64 + prepared.by_chefs.as_ref().map_or(0, |chefs| chefs.steps);
        if outcome == Outcome::Failure {
            self.explain(&context, &prepared).await;
        }
        if let Some(verification) = context.verification.as_ref().filter(|_| outcome == Outcome::Success) {
            verify::with_own_at_last(&context, verification).await?;
            verify::compare_ends(&context, verification, &good).await?;
            let report = verification.report(good.len());
            let outcome = if report.differences.is_empty() { Outcome::Success } else { Outcome::Failure };
            sink.reply(Reply::Report(Report::Verify(report)));
            return Ok(Done { outcome, steps: count, written: 0 });
        }
        if outcome == Outcome::Success && !is_whole && finish::missing(&context, &wanted, &good).is_some() {
            return Err(Stop::Wider);
        }
        let written = match outcome {
            Outcome::Success => {
                finish::hand_over(&context, prepared, wanted, steps, asked, Arc::clone(lock)).await?
            }
            // As with other build tools: what could be made is there.
            Outcome::Failure if asked.options.keep_going => {
                finish::hand_over_the_rest(&context, prepared, wanted, (steps, good), Arc::clone(lock))
                    .await?
            }
            _ => 0,
        };
        Ok(Done { outcome, steps: count, written })
    }
}

impl Attempts<'_> {
    /// Makes what a step needs; in the step's own turn the visitor is there.
    async fn visit(&self, prepared: &Prepared, visitor: &Arc<Visitor>) -> Result<Done, Stop> {
        let Self { pod, asked, sink, cancel, .. } = *self;
        let index = visitor.step(&prepared.plan).map_err(Stop::Fatal)?;
        let made = MadeSoFar::of(prepared);
        let mut context = Context::new(pod, prepared, (sink, cancel), asked.options.clone(), made)?;
        context.caller = asked.environment.clone();
        context.recall =
            Recall::load(pod.home().path(), prepared.workspace.id(), &recall::promises(&prepared.plan));
        context.visitor = Some((index, Arc::clone(visitor)));
        let context = Arc::new(context);
        let tally = conductor::conduct(&context, &prepared.plan.needed([index])).await?;
        if tally.outcome() == Outcome::Failure {
            self.explain(&context, prepared).await;
        }
        Ok(Done { outcome: tally.outcome(), steps: tally.needed.len() as u64, written: 0 })
    }

    /// Says why steps failed, as far as a chef can tell. Who cannot be asked leaves it at what the steps printed.
    async fn explain(&self, context: &Context, prepared: &Prepared) {
        let failed = std::mem::take(&mut *context.unexplained.lock());
        let scanned = Scanned {
            workspace: prepared.workspace.clone(),
            manifest: prepared.manifest.clone(),
            snapshot: prepared.snapshot.clone(),
        };
        let by_chefs = prepared.by_chefs.as_deref();
        let hearing = (self.sink, self.cancel);
        if let Err(stop) = chefs::explain(self.pod, &scanned, by_chefs, &failed, self.asked, hearing).await {
            tracing::debug!(?stop, "nobody explains the failure");
        }
    }
}

/// Something changed in every attempt: what changed last says whose turn it is.
fn always_changed(why: &str, changed: Changed) -> Failure {
    let message = format!("{why}, in each of {MAX_ATTEMPTS} attempts");
    match changed {
        Changed::Source => border::mistake(message).hint("build again when nothing writes to it any more"),
        Changed::Tool => border::machine(message).hint(
            "something on this machine goes on changing what steps use, such as an upgrade: build again when it is done",
        ),
    }
}

fn always_lost(why: &str) -> Failure {
    border::machine(format!("{why}, and so were those of others before"))
        .hint("`pod fsck` checks the larder; is its disk in good health?")
}

/// Checks every object of the larder, so that nothing is promised any more that is not there.
async fn check(pod: &Pod, sink: &Sink) -> Fallible<()> {
    sink.note(true, "the larder is damaged: all of it is checked, and what is wrong is made again");
    let larder = pod.larder().clone();
    let checking = tokio::task::spawn_blocking(move || larder.fsck(&mut |_| {}));
    let checked = checking.await.map_err(|_| Box::new(border::machine("the check ended in the middle")))?;
    checked.map(drop).map_err(|error| Box::new(border::node(&error.into())))
}

/// The steps that targets need, and whether these are all that could make them. A path that nobody declares is made by
/// whoever made it the last time, else perhaps by any step that declares nothing (DESIGN §4.4), those first that come before others. One in a
/// declared tree is made by whoever promises that, else by whoever made it the last time, else perhaps by whatever is wanted when nobody says.
fn needed(pod: &Pod, prepared: &Prepared, wanted: &Wanted, reach: Reach) -> Result<(Vec<usize>, bool), Stop> {
    let plan = &prepared.plan;
    let loose: Vec<&RelPath> = wanted.targets.iter().flat_map(|target| target.meaning.loose(plan)).collect();
    if loose.is_empty() {
        return Ok((wanted.steps.clone(), true));
    }
    if reach == Reach::Known {
        let made = records::outputs(pod.larder(), prepared.workspace.id())?;
        let (mut makers, mut are_known) = (Vec::new(), true);
        for path in &loose {
            let before = makers.len();
            let made = made.iter().filter(|(made, ..)| made.is_within(path));
            makers.extend(made.filter_map(|(_, _, step)| plan.step(step)));
            are_known &= makers.len() > before || plan.is_below_a_tree(path);
        }
        if are_known {
            return Ok((plan.needed(wanted.steps.iter().copied().chain(makers)), false));
        }
    }
    let is_silent = |&step: &usize| plan.steps[step].spec.out.is_empty();
    let silent: Vec<usize> = (0..plan.steps.len()).filter(is_silent).collect();
    let comes_first = |&step: &usize| !plan.steps[step].after.iter().any(is_silent);
    let first: Vec<usize> = silent.iter().copied().filter(comes_first).collect();
    let is_whole = reach == Reach::All || first.len() == silent.len();
    let mut all = wanted.steps.clone();
    all.extend(if is_whole { silent } else { first });
    if loose.iter().any(|path| plan.is_below_a_tree(path)) {
        let usual = plan.wanted(&[]).map_err(|error| Stop::Fatal(Box::new(border::target(&error))))?;
        all.extend(usual.steps);
    }
    Ok((plan.needed(all), is_whole))
}
