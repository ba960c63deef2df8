//! What can go wrong on a bus.

use std::time::Duration;

use super::Incarnation;

/// Why a bus did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// Not connected now. Nothing was sent.
    #[error("the back-plane is not connected: {0}")]
    Offline(String),
    /// Nobody listens to the subject.
    #[error("nobody answers to `{0}`")]
    Nobody(String),
    /// Somebody may have got it, but did not answer in time.
    #[error("no answer to `{subject}` within {} ms", .deadline.as_millis())]
    Late {
        /// What was asked.
        subject: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// Another record of this subject came first.
    #[error("`{0}` was changed by another pod meanwhile")]
    Conflict(String),
    /// The log is not the one that the append was meant for.
    #[error("the log that was meant ({meant}) is not there any more")]
    OtherIncarnation {
        /// The one that was expected.
        meant: Incarnation,
    },
    /// It may have been appended, may be appended later, or may be lost.
    #[error("whether `{subject}` was appended is not known: {cause}")]
    Unknown {
        /// Where to.
        subject: String,
        /// What happened.
        cause: String,
    },
    /// The payload is beyond the bound.
    #[error("{size} bytes are too many for `{subject}`, which takes {bound}")]
    TooLarge {
        /// Where to.
        subject: String,
        /// How many there were.
        size: usize,
        /// How many there may be.
        bound: usize,
    },
    /// The subject or pattern is none, or an append's is not below `log.`.
    #[error("`{0}` is no subject here")]
    BadSubject(String),
    /// The server has no JetStream.
    #[error(
        "the NATS server has JetStream switched off, so it cannot keep the federation's log: start it as `nats-server -js`, \
         or put `jetstream {{ store_dir: \"/var/lib/nats\" }}` into its configuration (and into the account's, if it has accounts)"
    )]
    NoJetStream,
    /// The server has no room for the log.
    #[error(
        "the NATS server has no room for the federation's log: {0}; free its disk, or raise `max_file_store` in its configuration"
    )]
    LogFull(String),
    /// The server let nobody in.
    #[error("the NATS server at {server} refuses these credentials: {cause}")]
    Refused {
        /// Without user and password.
        server: String,
        /// What it said.
        cause: String,
    },
    /// The URL, the credentials or the certificates could not be used.
    #[error("{what}: {cause}")]
    BadInput {
        /// Which of them.
        what: String,
        /// Why.
        cause: String,
    },
    /// Anything else that the server or the connection said.
    #[error("{what}: {cause}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// What was said.
        cause: String,
    },
}

impl BusError {
    /// Whether the same may succeed later, with nothing done about it: the server or the way there is not as it should be *now*. The others say that what was
    /// asked for, or how, can never be done.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Offline(_)
            | Self::Nobody(_)
            | Self::Late { .. }
            | Self::Conflict(_)
            | Self::OtherIncarnation { .. }
            | Self::Unknown { .. }
            | Self::NoJetStream
            | Self::LogFull(_)
            | Self::Failed { .. } => true,
            Self::TooLarge { .. } | Self::BadSubject(_) | Self::Refused { .. } | Self::BadInput { .. } => {
                false
            }
        }
    }
}
