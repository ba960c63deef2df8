//! Where replies go, and how a request is cancelled.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use protocol::event::{Event, Stamped};
use tokio::sync::watch;

use super::request::Reply;

/// Replies that wait for whoever reads them. A reader that is slower holds the build back, and the build the steps.
pub const REPLY_QUEUE: usize = 4096;

/// Takes replies to one request. Clones go to the same reader; a reader that has gone is no error, since its going
/// cancels the request.
#[derive(Clone)]
pub struct Sink {
    begun: Instant,
    replies: SyncSender<Reply>,
}

impl Sink {
    /// Events are stamped with the time since now.
    pub fn new(replies: SyncSender<Reply>) -> Self {
        Self { begun: Instant::now(), replies }
    }

    /// Seconds since the request began.
    pub fn seconds(&self) -> f64 {
        let micros = self.begun.elapsed().as_micros() as f64;
        micros / 1e6
    }

    /// Sends a reply. Blocks while [`REPLY_QUEUE`] replies wait.
    pub fn reply(&self, reply: Reply) {
        self.replies.send(reply).ok();
    }

    /// Sends an event.
    pub fn event(&self, event: Event) {
        self.reply(Reply::Event(Stamped { at: self.seconds(), event }));
    }

    /// Words to the user that belong to no step.
    pub fn note(&self, warning: bool, text: impl Into<String>) {
        self.event(Event::Note { warning, text: text.into() });
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
