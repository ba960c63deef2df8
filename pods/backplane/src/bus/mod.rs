//! The seam to the back-plane: messages that may be lost, and a log that is kept.
//!
//! **Root.** A bus is opened for one root (`cp.<federation>`), and every subject here is relative to it: tokens of
//! `[a-zA-Z0-9_-]`, joined by `.`; a *pattern* may have `*` for one token, and `>` as its last for one or more. What other
//! users of the same server send is never seen.
//!
//! **Messages** go to whoever listens at this moment: at most once, in order for each sender and receiver, never stored. A subscriber that
//! is slower than [`SUBSCRIPTION_CAPACITY`] loses messages. A sender hears its own.
//!
//! **The log** is one stream below `log.`: it keeps the *last* record of each subject. Its *incarnation* is made anew
//! when the server has none (lost, deleted), has an older one than this bus has already seen, or has lost the end of it (a backup put back, a
//! power cut): sequences never repeat within an incarnation, and a later incarnation has a greater number. So a
//! [`Position`] is an epoch: of two records of a subject the one with the greater position is the later.
//!
//! **Compare-and-set**: an append with [`Expect::At`] or [`Expect::Nothing`] succeeds for exactly one of any number of rivals, in the incarnation
//! that it names and no other. [`BusError::Unknown`] means that nobody can say whether it was, or still will be, appended: read
//! [`Bus::last`] before you act, and again when you were too early.
//!
//! **Errors** are values for the caller to act upon; a follower never ends by one, it tells of it and goes on.
//! **A crash** of this process loses what was sent and not acknowledged. **Not here**: what messages mean, who may send them,
//! keys; a bus believes everybody.

mod error;
pub mod memory;
pub mod nats;
mod position;
pub mod subject;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;

pub use error::BusError;
pub use position::{Expect, Incarnation, Position};

/// The longest payload of a message; NATS's own default bound is 1 MiB.
pub const MAX_MESSAGE: usize = 512 * 1024;
/// The longest payload of a record.
pub const MAX_RECORD: usize = 64 * 1024;
/// How many messages may wait for one subscriber; more are lost.
pub const SUBSCRIPTION_CAPACITY: usize = 4096;
/// All records are below this subject.
pub const LOG: &str = "log";

/// A message as it arrives.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it was sent to, below the bus's root.
    pub subject: String,
    /// What it says.
    pub payload: Bytes,
    /// Where an answer goes, if one is wanted.
    pub reply: Option<ReplyTo>,
}

/// The address of one asker. Opaque; good for one answer of each who was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplyTo(pub(crate) String);

/// What the log keeps of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it was appended, below the bus's root (`log.…`).
    pub subject: String,
    /// Its epoch.
    pub position: Position,
    /// What it says.
    pub payload: Bytes,
}

/// What a follower is told, in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The log that is now followed, first of all. If it is not the one that was followed before, nothing of that one is in it.
    Incarnation(Incarnation),
    /// The next record. Records that a later one of their subject has replaced may be left out.
    Record(Record),
    /// All that was appended up to here has been told. Comes again after each interruption, not after each record.
    CaughtUp(Position),
    /// The log cannot be followed for now, so what is known may be old.
    Interrupted(String),
}

/// Whether the server is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// It is.
    Up,
    /// It is not, in words; the bus goes on trying.
    Down(String),
}

/// An endless stream of what the log says. Dropping it ends the work behind it.
pub type Follow = BoxStream<'static, Followed>;
/// Messages of a pattern, until the bus is closed. Dropping it unsubscribes.
pub type Subscription = BoxStream<'static, Message>;

/// Answers of many. Dropping it stops listening to them.
pub type Answers = BoxStream<'static, Bytes>;

/// A connection to the back-plane. All futures are safe to drop; a dropped append is one whose outcome is unknown.
pub trait Bus: Send + Sync + 'static {
    /// Sends to whoever listens. `Ok` says that it was handed to the connection, no more.
    fn publish<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>>;

    /// Answers a message.
    fn respond<'a>(&'a self, to: &'a ReplyTo, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>>;

    /// Listens. When this returns, messages sent from now on arrive. Outlives reconnections; what is sent during them is lost.
    fn subscribe<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Subscription, BusError>>;

    /// Asks, and takes the first answer. [`BusError::Nobody`] if nobody listens, [`BusError::Late`] after the deadline.
    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, BusError>>;

    /// Asks all who listen, and hears their answers as they come. The stream ends when nobody listens, and else never: whoever asks sets a deadline.
    fn ask_all<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Answers, BusError>>;

    /// The log as it is now; made if there is none.
    fn log(&self) -> BoxFuture<'_, Result<Incarnation, BusError>>;

    /// Appends to a subject below `log.`, and is durable when it returns its position.
    fn append<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Position, BusError>>;

    /// The last record of a subject; none if it has none in the present incarnation.
    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<Record>, BusError>>;

    /// Follows the log from the record after `after`, or from its beginning if that is none or of another incarnation.
    fn follow(&self, after: Option<Position>) -> Follow;

    /// Whether the server is there, as it changes.
    fn connection(&self) -> watch::Receiver<Connection>;
}
