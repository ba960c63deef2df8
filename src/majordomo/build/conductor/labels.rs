//! Steps that only pods with certain labels run: this pod, if it has them, else others; and what becomes of those that none can run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kitchen::Limit;

use super::super::context::Context;
use super::super::step::{self, Failed};
use super::state::Phase;
use super::{Conductor, Rank};

/// How long nothing must have begun that only others may run until it is said what the build waits for.
const SAID_AFTER: Duration = Duration::from_secs(5);

fn labels(on: &BTreeMap<String, String>) -> String {
    let labels: Vec<String> = on.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
    labels.join(", ")
}

/// Which steps this pod may run.
pub(super) fn for_here(context: &Context) -> Vec<bool> {
    let others = context.pod.others();
    let alone = node::machine_labels();
    let is_here = |on: &BTreeMap<String, String>| match &others {
        Some(others) => others.is_here(on),
        None => node::has_labels(&alone, on),
    };
    context.plan.steps.iter().map(|step| step.on.is_empty() || is_here(&step.on)).collect()
}

/// Since when steps wait for room on other pods that may run nowhere else, and whether that was said.
#[derive(Default)]
pub(super) struct RoomWanted {
    since: Option<Instant>,
    is_said: bool,
}

impl RoomWanted {
    /// A step has begun elsewhere.
    pub(super) fn begun(&mut self) {
        self.since = None;
    }
}

impl Conductor {
    /// Whether this pod may run a step.
    pub(super) fn is_for_here(&self, index: usize) -> bool {
        self.for_here[index]
    }

    /// The steps that have to run and may begin now on this pod, those first that come first.
    pub(super) fn may_begin_here(&self) -> impl Iterator<Item = (Rank, usize)> {
        self.may_begin().filter(|(_, index)| self.is_for_here(*index))
    }

    /// Steps fail that have to run, and that neither this pod nor another one can run.
    pub(super) fn fail_placeless(&mut self) {
        if self.is_ending() {
            return;
        }
        let away: Vec<(Rank, usize)> =
            self.may_begin().filter(|(_, index)| !self.is_for_here(*index)).collect();
        self.say_what_waits(away.first().map(|(_, index)| *index));
        for (rank, index) in away {
            if let Some(why) = self.placeless(index) {
                self.missed.remove(&(rank, index));
                self.fail_for_good(index, Failed::of(why));
            }
        }
    }

    /// Says once what a build waits for, when nothing that only others may run has begun for a while.
    fn say_what_waits(&mut self, first: Option<usize>) {
        let wanted = &mut self.room_wanted;
        let Some(first) = first else {
            wanted.since = None;
            return;
        };
        let since = wanted.since.get_or_insert_with(Instant::now);
        if wanted.is_said || since.elapsed() < SAID_AFTER {
            return;
        }
        wanted.is_said = true;
        let step = &self.context.plan.steps[first];
        let memory = step
            .limits
            .memory
            .map(|memory| format!(", and as much free memory as {}", Limit::Memory(memory)));
        self.context.sink.note(
            false,
            format!(
                "`{}` waits for room on a pod with {}{}: `pod pods --json` says what each has free",
                step.id,
                labels(&step.on),
                memory.unwrap_or_default()
            ),
        );
    }

    /// Why no pod can run a step that this one may not run.
    fn placeless(&self, index: usize) -> Option<String> {
        let Phase::Missed { pass, .. } = &self.steps[index].phase else { return None };
        let context = &self.context;
        let on = &context.plan.steps[index].on;
        let labels = labels(on);
        let is_elsewhere =
            |memory| self.others.as_ref().is_some_and(|(others, _)| others.is_elsewhere(on, memory));
        let memory = context.plan.steps[index].limits.memory;
        if let Some(memory) = memory
            && is_elsewhere(None)
            && !is_elsewhere(Some(memory))
        {
            return Some(format!(
                "it runs only on a pod with {labels}, and none of those offers steps as much as {}: \
                 `pod join --memory` says how much a pod offers",
                Limit::Memory(memory)
            ));
        }
        if !is_elsewhere(None) {
            return Some(format!(
                "it runs only on a pod with {labels}, and none is there that runs steps: `pod join --label` gives a pod its labels"
            ));
        }
        if !step::may_go(context, index, pass) || matches!(context.shared.get(), Some(None)) {
            return Some(format!(
                "it runs only on a pod with {labels}, which this one has not, and it cannot go to another one: \
                 steps with secrets, `network`, `keep` or an image stay where they are built"
            ));
        }
        let is_in_vain = self.steps[index].stays_home;
        is_in_vain.then(|| {
            format!("it runs only on a pod with {labels}, and what it saw there is not so here, or it could not be run there")
        })
    }
}
