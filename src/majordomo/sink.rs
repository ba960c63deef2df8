//! Where replies go, and how a request is cancelled.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use protocol::StepId;
use protocol::event::{Event, How, Stamped};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::watch;

use super::journal::Journal;
use super::request::{Failure, Reply};

/// Replies that wait for whoever reads them. A reader that is slower holds the build back, and the build the steps.
pub const REPLY_QUEUE: usize = 4096;

/// Takes replies to one request. Clones go to the same reader; a reader that has gone is no error, since its going
/// cancels the request.
#[derive(Clone)]
pub struct Sink {
    begun: Instant,
    replies: SyncSender<Reply>,
    steps: Arc<Mutex<Steps>>,
    journal: Option<Journal>,
    /// What is said in the next build, as soon as it has begun.
    ahead: Arc<Mutex<Vec<Event>>>,
}

/// Where the steps of a build are, as its events have said so far.
#[derive(Default)]
struct Steps {
    running: FxHashSet<StepId>,
    ended: FxHashMap<StepId, How>,
}

impl Steps {
    /// Makes an event fit what was said before: a step that starts once more has been restarted, and one that ran in an
    /// earlier attempt is not reused in the next one. `None`: it has been said already.
    fn fit(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::StepStarted { step, pod, reason } => {
                let is_again = self.ended.remove(&step).is_some_and(|how| how != How::Reused);
                match self.running.insert(step.clone()) && !is_again {
                    true => Some(Event::StepStarted { step, pod, reason }),
                    false => Some(Event::StepRestarted { step, why: reason }),
                }
            }
            Event::StepFinished { ref step, how, .. } => {
                self.running.remove(step);
                if how == How::Reused && self.ended.contains_key(step) {
                    return None;
                }
                self.ended.insert(step.clone(), how);
                Some(event)
            }
            // What a step printed is shown again when it is reused, but not to whom it was shown already.
            Event::StepOutput { ref step, .. } if self.ended.contains_key(step) => {
                self.running.contains(step).then_some(event)
            }
            event => Some(event),
        }
    }

    /// The ends of steps that the build left in the middle.
    fn abandoned(&mut self) -> Vec<Event> {
        let mut steps: Vec<StepId> = self.running.drain().collect();
        steps.sort();
        let cancelled = |step| Event::step_finished(step, How::Cancelled);
        steps.into_iter().map(cancelled).collect()
    }
}

impl Sink {
    /// Events are stamped with the time since now.
    pub fn new(replies: SyncSender<Reply>) -> Self {
        Self { begun: Instant::now(), replies, steps: Arc::default(), journal: None, ahead: Arc::default() }
    }

    /// For the next build of the same request: events are stamped with the time since now, and fit none of before.
    pub fn again(&self) -> Self {
        let (journal, ahead) = (self.journal.clone(), Arc::clone(&self.ahead));
        Self { journal, ahead, ..Self::new(self.replies.clone()) }
    }

    /// The same, and what is said is written down as well.
    pub fn written_down(&self, journal: Journal) -> Self {
        Self { journal: Some(journal), ..self.clone() }
    }

    /// Writes down why the build that is under way cannot be carried out; whoever asked for it is told as of any request.
    pub fn refused(&self, failure: &Failure) {
        if let Some(journal) = &self.journal {
            journal.refused(failure);
        }
    }

    /// Seconds since the request began.
    pub fn seconds(&self) -> f64 {
        let micros = self.begun.elapsed().as_micros() as f64;
        micros / 1e6
    }

    /// Sends a reply. Waits while [`REPLY_QUEUE`] replies wait, and lets other tasks of the runtime go on meanwhile.
    pub fn reply(&self, reply: Reply) {
        if let Err(TrySendError::Full(reply)) = self.replies.try_send(reply) {
            aside(|| self.replies.send(reply).ok());
        }
    }

    /// Sends an event. Events of one step are made to fit each other, whatever order attempts and passes say them in:
    /// see `docs/reference/events.md`.
    pub fn event(&self, event: Event) {
        match self.steps.try_lock() {
            Some(steps) => self.say(steps, event),
            None => aside(|| self.say(self.steps.lock(), event)),
        }
    }

    /// Keeps the lock until all is sent, so that times never run backwards.
    fn say(&self, mut steps: MutexGuard<'_, Steps>, event: Event) {
        let mut events = match event {
            Event::BuildFinished { .. } => steps.abandoned(),
            _ => Vec::new(),
        };
        let has_begun = matches!(event, Event::BuildStarted { .. });
        events.extend(steps.fit(event));
        if has_begun {
            events.append(&mut self.ahead.lock());
        }
        for event in events {
            let event = Stamped { at: self.seconds(), event };
            if let Some(journal) = &self.journal {
                journal.note(&event);
            }
            self.reply(Reply::Event(event));
        }
    }

    /// How many steps ended so, by the events that were sent.
    pub fn count(&self, how: How) -> u64 {
        self.steps.lock().ended.values().filter(|ended| **ended == how).count() as u64
    }

    /// Words to the user that belong to no step.
    pub fn note(&self, warning: bool, text: impl Into<String>) {
        self.event(Event::Note { warning, text: text.into() });
    }

    /// Words to the user about the build that is about to begin.
    pub fn note_in_build(&self, warning: bool, text: impl Into<String>) {
        self.ahead.lock().push(Event::Note { warning, text: text.into() });
    }
}

/// Does what may wait for a reader, which must not hold a thread on which others' tasks run.
fn aside<T>(wait: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

/// Set once, when a request is to end. Clones share it.
#[derive(Clone)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Default for Cancel {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Cancel {
    /// Ends the request. May be called from any thread, and more than once.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is set. Safe to cancel.
    pub async fn wait(&self) {
        let mut watched = self.0.subscribe();
        // The sender lives as long as `self`, so an error cannot come before the value.
        watched.wait_for(|set| *set).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use protocol::BuildId;
    use protocol::event::{EVENT_SCHEMA, Outcome};

    use super::*;

    fn finished(step: &str, how: How) -> Event {
        Event::step_finished(StepId::new(step), how)
    }

    #[test]
    fn each_step_starts_once_and_ends_once() {
        let (sender, replies) = sync_channel(REPLY_QUEUE);
        let sink = Sink::new(sender);
        let start = |step: &str| {
            let (pod, reason) = ("local".to_owned(), "why".to_owned());
            sink.event(Event::StepStarted { step: StepId::new(step), pod, reason });
        };
        sink.event(Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(1) });
        start("a");
        sink.event(finished("a", How::Ran));
        start("b");
        // The next attempt.
        sink.event(finished("a", How::Reused));
        start("b");
        start("c");
        sink.event(finished("b", How::Ran));
        assert_eq!((sink.count(How::Ran), sink.count(How::Reused)), (2, 0));
        let (outcome, seconds) = (Outcome::Failure, 0.0);
        sink.event(Event::BuildFinished {
            outcome,
            steps: 3,
            ran: 2,
            reused: 0,
            failed: 0,
            written: 0,
            seconds,
        });
        drop(sink);
        let said = replies.iter().map(|reply| match reply {
            Reply::Event(Stamped { event: Event::StepStarted { step, .. }, .. }) => format!("{step} starts"),
            Reply::Event(Stamped { event: Event::StepRestarted { step, .. }, .. }) => {
                format!("{step} starts again")
            }
            Reply::Event(Stamped { event: Event::StepFinished { step, how, .. }, .. }) => {
                format!("{step} {how:?}")
            }
            _ => "-".to_owned(),
        });
        let expected =
            ["-", "a starts", "a Ran", "b starts", "b starts again", "c starts", "b Ran", "c Cancelled", "-"];
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }
}
