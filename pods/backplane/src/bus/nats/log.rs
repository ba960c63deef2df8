//! The stream that is the log: finding, making, appending, reading the last record.

use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::jetstream::context::{CreateStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{
    Config, Info, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode, context::ContextBuilder};
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;

use super::said::{jetstream_error, not_as_it_should, said_by_jetstream};
use super::{SERVER_TIMEOUT, with_sources};
use crate::bus::{BusError, Expect, Incarnation, LOG, MAX_RECORD, Position, Record};

/// The most records that the log keeps; the oldest go first. What goes is still with the pods.
pub const MAX_RECORDS: i64 = 2_000_000;
/// How many bytes the log asks of the server; halved while it has not got that much, down to the least.
pub const LOG_BYTES: i64 = 1 << 30;
/// A server that cannot give so much has no room.
pub const LEAST_LOG_BYTES: i64 = 16 << 20;
/// How often the log is looked for, or made, before its loss is told.
const ATTEMPTS: usize = 5;

/// The log of one root.
pub(super) struct NatsLog {
    context: Context,
    root: String,
    prefix: String,
    /// The highest incarnation number that was met.
    seen: AtomicU64,
    making: tokio::sync::Mutex<()>,
    /// The one that was there when last looked.
    present: Mutex<Option<Incarnation>>,
}

/// What there is, as looked at now.
pub(super) struct Present {
    pub(super) incarnation: Incarnation,
    pub(super) last_sequence: u64,
    pub(super) stream: Stream<Info>,
}

impl NatsLog {
    pub(super) fn new(client: async_nats::Client, root: &str) -> Self {
        let hash = blake3::hash(root.as_bytes()).to_hex();
        Self {
            context: ContextBuilder::new().timeout(SERVER_TIMEOUT).build(client),
            root: root.to_owned(),
            prefix: format!("cp-{}", &hash[..16]),
            seen: AtomicU64::new(0),
            making: tokio::sync::Mutex::new(()),
            present: Mutex::new(None),
        }
    }

    /// A new subject for the server to deliver to.
    pub(super) fn inbox(&self) -> String {
        self.context.client().new_inbox()
    }

    pub(super) fn saw(&self, incarnation: Incarnation) {
        self.seen.fetch_max(incarnation.number, Ordering::SeqCst);
    }

    fn subjects(&self) -> String {
        format!("{}.{LOG}.>", self.root)
    }

    fn name(&self, incarnation: Incarnation) -> String {
        format!("{}-{incarnation}", self.prefix)
    }

    fn incarnation(&self, name: &str) -> Option<Incarnation> {
        name.strip_prefix(&self.prefix)?.strip_prefix('-')?.parse().ok()
    }

    pub(super) fn relative<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.root)?.strip_prefix('.')
    }

    /// Looks at the server: the log that is there, or a new one if there is none or only one that is older than what was seen.
    pub(super) async fn present(&self) -> Result<Present, BusError> {
        let mut cause = "it comes and goes".to_owned();
        // Within one process nobody races with itself.
        let _alone = self.making.lock().await;
        for _ in 0..ATTEMPTS {
            let found = match self.find().await? {
                Some(name) => name,
                None => match self.make().await? {
                    Some(name) => name,
                    // Somebody else was faster.
                    None => {
                        if let Some(name) = self.in_the_way().await {
                            cause = format!(
                                "the NATS stream `{name}` covers its subjects; delete that stream, it is not ours"
                            );
                        }
                        continue;
                    }
                },
            };
            let incarnation = found;
            let found = self.name(incarnation);
            if incarnation.number < self.seen.load(Ordering::SeqCst) {
                tracing::warn!(%incarnation, "the log on the NATS server is an old one: it is made anew");
                self.drop_log(incarnation).await?;
                continue;
            }
            match self.context.get_stream(&found).await {
                Ok(stream) => {
                    self.saw(incarnation);
                    *self.present.lock() = Some(incarnation);
                    let last_sequence = stream.cached_info().state.last_sequence;
                    return Ok(Present { incarnation, last_sequence, stream });
                }
                Err(error) => cause = with_sources(&error),
            }
        }
        Err(BusError::Failed { what: "the federation's log cannot be found", cause })
    }

    /// Deletes a log whose end is lost, or that is old. Whoever asks next makes a new one.
    pub(super) async fn drop_log(&self, incarnation: Incarnation) -> Result<(), BusError> {
        self.saw(incarnation);
        // It may be gone already, by another pod that has noticed too.
        match self.context.delete_stream(self.name(incarnation)).await {
            Ok(_) => Ok(()),
            Err(error) if self.find().await? != Some(incarnation) => {
                tracing::debug!(%error, "the old log is gone already");
                Ok(())
            }
            Err(error) => {
                Err(BusError::Failed { what: "the old log cannot be deleted", cause: with_sources(&error) })
            }
        }
    }

    /// The log that there is. The server has been seen to let two be made at once; then the later one stays, and whoever used the other is told of another log.
    async fn find(&self) -> Result<Option<Incarnation>, BusError> {
        let mut found: Vec<Incarnation> = Vec::new();
        let mut names = self.context.stream_names();
        while let Some(name) = names.next().await {
            let name = name.map_err(|error| not_as_it_should(&error))?;
            found.extend(self.incarnation(&name));
        }
        found.sort_unstable();
        let last = found.pop();
        for rival in found {
            tracing::warn!(%rival, "there are two logs: the earlier one is deleted");
            // Another pod may have done it, and whoever looks next does it if not.
            if let Err(error) = self.context.delete_stream(self.name(rival)).await {
                tracing::debug!(%rival, %error, "not deleted");
            }
        }
        Ok(last)
    }

    /// The stream of somebody else that is in the way, if there is one.
    async fn in_the_way(&self) -> Option<String> {
        self.context
            .stream_by_subject(self.subjects())
            .await
            .ok()
            .filter(|name| self.incarnation(name).is_none())
    }

    /// Makes a new log; none if somebody else has made one meanwhile.
    async fn make(&self) -> Result<Option<Incarnation>, BusError> {
        let incarnation = Incarnation::after(self.seen.load(Ordering::SeqCst));
        let mut bytes = LOG_BYTES;
        loop {
            match self.context.create_stream(self.config(incarnation, bytes)).await {
                Ok(_) => return Ok(Some(incarnation)),
                Err(error) => match error.kind() {
                    CreateStreamErrorKind::JetStream(said) => match said.error_code() {
                        ErrorCode::STREAM_SUBJECT_OVERLAP | ErrorCode::STREAM_NAME_EXIST => return Ok(None),
                        ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES
                            if bytes / 2 >= LEAST_LOG_BYTES =>
                        {
                            bytes /= 2;
                        }
                        _ => return Err(said_by_jetstream(&said)),
                    },
                    CreateStreamErrorKind::JetStreamUnavailable => return Err(BusError::NoJetStream),
                    _ => return Err(not_as_it_should(&error)),
                },
            }
        }
    }

    fn config(&self, incarnation: Incarnation, bytes: i64) -> Config {
        Config {
            name: self.name(incarnation),
            subjects: vec![self.subjects()],
            description: Some("the log of a ComputePods federation".to_owned()),
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            max_messages_per_subject: 1,
            max_messages: MAX_RECORDS,
            max_bytes: bytes,
            // The server counts the headers too.
            max_message_size: i32::try_from(MAX_RECORD + 4096).unwrap_or(i32::MAX),
            num_replicas: 1,
            ..Config::default()
        }
    }

    pub(super) async fn append(
        &self,
        subject: &str,
        payload: Bytes,
        expect: Expect,
    ) -> Result<Position, BusError> {
        let condition = expect.condition();
        for attempt in 0..ATTEMPTS {
            let mut message = PublishMessage::build().payload(payload.clone());
            if let Some((incarnation, sequence)) = condition {
                message =
                    message.expected_stream(self.name(incarnation)).expected_last_subject_sequence(sequence);
            }
            let too_large =
                || BusError::TooLarge { subject: subject.to_owned(), size: payload.len(), bound: MAX_RECORD };
            let unknown = |cause: String| BusError::Unknown { subject: subject.to_owned(), cause };
            let sent = match self.context.send_publish(format!("{}.{subject}", self.root), message).await {
                Ok(ack) => ack.await,
                Err(error) => Err(error),
            };
            let error = match sent {
                Ok(ack) => {
                    let incarnation = self.incarnation(&ack.stream);
                    let incarnation =
                        incarnation.ok_or_else(|| unknown(format!("`{}` took it", ack.stream)))?;
                    self.saw(incarnation);
                    return Ok(Position { incarnation, sequence: ack.sequence });
                }
                Err(error) => error,
            };
            match error.kind() {
                PublishErrorKind::WrongLastSequence => return Err(BusError::Conflict(subject.to_owned())),
                // No stream listens to the subject.
                PublishErrorKind::StreamNotFound => match condition {
                    Some((meant, _)) => {
                        // It may have been stored by a stream that is gone by now.
                        if self.present().await?.incarnation == meant {
                            return Err(unknown(
                                "the server says that there is no such stream, and there is".to_owned(),
                            ));
                        }
                        return Err(BusError::OtherIncarnation { meant });
                    }
                    None if attempt + 1 < ATTEMPTS => {
                        self.present().await?;
                    }
                    None => return Err(not_as_it_should(&error)),
                },
                PublishErrorKind::MaxPayloadExceeded => return Err(too_large()),
                _ => {
                    return Err(match (jetstream_error(&error), condition) {
                        (Some(said), Some((meant, _)))
                            if said.error_code() == ErrorCode::STREAM_NOT_MATCH =>
                        {
                            BusError::OtherIncarnation { meant }
                        }
                        (Some(said), _) if said.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => {
                            too_large()
                        }
                        (Some(said), _) => said_by_jetstream(said),
                        (None, _) => unknown(with_sources(&error)),
                    });
                }
            }
        }
        Err(BusError::Failed {
            what: "the federation's log cannot be found",
            cause: "it comes and goes".to_owned(),
        })
    }

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Record>, BusError> {
        for _ in 0..ATTEMPTS {
            let known = *self.present.lock();
            let incarnation = match known {
                Some(incarnation) => incarnation,
                None => self.present().await?.incarnation,
            };
            let stream = self.context.get_stream_no_info(self.name(incarnation)).await;
            let stream = stream.map_err(|error| not_as_it_should(&error))?;
            match stream.get_last_raw_message_by_subject(&format!("{}.{subject}", self.root)).await {
                Ok(message) => {
                    let position = Position { incarnation, sequence: message.sequence };
                    return Ok(Some(Record {
                        subject: subject.to_owned(),
                        position,
                        payload: message.payload,
                    }));
                }
                Err(error) => match error.kind() {
                    LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                    LastRawMessageErrorKind::JetStream(said)
                        if said.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                    {
                        *self.present.lock() = None;
                    }
                    LastRawMessageErrorKind::JetStream(said) => return Err(said_by_jetstream(&said)),
                    _ => return Err(not_as_it_should(&error)),
                },
            }
        }
        Err(BusError::Failed {
            what: "the federation's log cannot be found",
            cause: "it comes and goes".to_owned(),
        })
    }
}
