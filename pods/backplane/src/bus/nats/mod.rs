//! The bus over a NATS server with JetStream (2.9 and later).
//!
//! The log is a stream whose *name* is its incarnation: `cp-<hash of the root>-<number>-<nonce>`, over `<root>.log.>`. No two streams may cover
//! one subject; a server that is asked for two at once may make both all the same, and then the later one stays. An append names the stream that it
//! means (`Nats-Expected-Stream`), so that the server itself refuses what was meant for an earlier one.

mod follow;
mod log;
mod options;
mod said;

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{ConnectErrorKind, ConnectOptions, Event, StatusCode};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

pub use options::{FirstConnect, MAX_RECONNECT_PAUSE, NatsOptions, PING_INTERVAL, SERVER_TIMEOUT};

use super::{
    Answers, Bus, BusError, Connection, Expect, Follow, Incarnation, Message, Position, Record, ReplyTo,
    SUBSCRIPTION_CAPACITY, Subscription, subject,
};
use log::NatsLog;
use options::Login;

/// A bus on a NATS server, for one root.
#[derive(Clone)]
pub struct NatsBus {
    client: async_nats::Client,
    root: Arc<str>,
    log: Arc<NatsLog>,
    state: Arc<watch::Sender<Connection>>,
}

impl NatsBus {
    /// Connects. With [`FirstConnect::Required`] the server is there when this returns.
    /// Dropping the future connects to nobody.
    ///
    /// # Errors
    /// The server does not let this pod in, has no JetStream, or, where it is required, is not there.
    pub async fn connect(options: &NatsOptions, root: &str) -> Result<Self, BusError> {
        if !subject::is_subject(root) {
            return Err(BusError::BadSubject(root.to_owned()));
        }
        let servers = options.parsed()?;
        let shown = servers.to_string();
        let state = Arc::new(watch::Sender::new(Connection::Down(format!("not connected to {shown} yet"))));
        let (told, name) = (state.clone(), shown.clone());
        let mut connect = ConnectOptions::new()
            .name(&options.name)
            .connection_timeout(SERVER_TIMEOUT)
            .request_timeout(Some(SERVER_TIMEOUT))
            .ping_interval(PING_INTERVAL)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .reconnect_delay_callback(|attempts| {
                let pause = 50u64.saturating_mul(1 << attempts.min(6));
                Duration::from_millis(pause).min(MAX_RECONNECT_PAUSE)
            })
            .event_callback(move |event| {
                note(&told, &name, &event);
                std::future::ready(())
            });
        connect = match servers.login {
            Some(Login::User(user, password)) => connect.user_and_password(user, password),
            Some(Login::Token(token)) => connect.token(token),
            None => connect,
        };
        if let Some(creds) = &options.creds {
            connect = connect.credentials_file(creds).await.map_err(|error| BusError::BadInput {
                what: format!("the credentials file `{}` cannot be used", creds.display()),
                cause: error.to_string(),
            })?;
        }
        if let Some(ca) = &options.tls_ca {
            // The client would tell of a missing file as of a connection that failed.
            std::fs::metadata(ca).map_err(|error| BusError::BadInput {
                what: format!("the certificate file `{}` cannot be read", ca.display()),
                cause: error.to_string(),
            })?;
            connect = connect.add_root_certificates(ca.clone());
        }
        if options.first == FirstConnect::Eventually {
            connect = connect.retry_on_initial_connect();
        }
        let client = connect.connect(servers.addresses).await.map_err(|error| {
            let cause = with_sources(&error);
            match error.kind() {
                ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                    BusError::Refused { server: shown.clone(), cause }
                }
                ConnectErrorKind::ServerParse => {
                    BusError::BadInput { what: "the NATS URL".to_owned(), cause }
                }
                ConnectErrorKind::Tls => BusError::BadInput { what: format!("TLS with {shown}"), cause },
                _ => BusError::Offline(format!("no NATS server answers at {shown}: {cause}")),
            }
        })?;
        if options.first == FirstConnect::Required {
            state.send_if_modified(|state| std::mem::replace(state, Connection::Up) != Connection::Up);
        }
        let log = Arc::new(NatsLog::new(client.clone(), root));
        Ok(Self { client, root: Arc::from(root), log, state })
    }

    fn full(&self, subject: &str) -> String {
        format!("{}.{subject}", self.root)
    }

    fn online(&self) -> Result<(), BusError> {
        match &*self.state.borrow() {
            Connection::Up => Ok(()),
            Connection::Down(why) => Err(BusError::Offline(why.clone())),
        }
    }
}

/// Keeps the state of the connection.
fn note(state: &watch::Sender<Connection>, server: &str, event: &Event) {
    let now = match event {
        Event::Connected => Connection::Up,
        Event::Disconnected | Event::Closed => Connection::Down(format!("lost the NATS server at {server}")),
        Event::SlowConsumer(_) => {
            tracing::warn!(
                server,
                "messages of the back-plane were lost: they come faster than they are taken"
            );
            return;
        }
        other => {
            tracing::debug!(server, %other, "back-plane");
            return;
        }
    };
    state.send_if_modified(|old| std::mem::replace(old, now.clone()) != now);
}

/// The error with what caused it.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = source.source();
    }
    text
}

fn failed(what: &'static str) -> impl Fn(&dyn std::error::Error) -> BusError {
    move |error| BusError::Failed { what, cause: with_sources(error) }
}

impl Bus for NatsBus {
    fn publish<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let sent = self.client.publish(self.full(subject), payload).await;
            sent.map_err(|error| failed("cannot send over the back-plane")(&error))
        }
        .boxed()
    }

    fn respond<'a>(&'a self, to: &'a ReplyTo, payload: Bytes) -> BoxFuture<'a, Result<(), BusError>> {
        async move {
            subject::check_message("reply", payload.len())?;
            self.online()?;
            let sent = self.client.publish(to.0.clone(), payload).await;
            sent.map_err(|error| failed("cannot answer over the back-plane")(&error))
        }
        .boxed()
    }

    fn subscribe<'a>(&'a self, pattern: &'a str) -> BoxFuture<'a, Result<Subscription, BusError>> {
        async move {
            if !subject::is_pattern(pattern) {
                return Err(BusError::BadSubject(pattern.to_owned()));
            }
            let subscribed = self.client.subscribe(self.full(pattern)).await;
            let messages = subscribed.map_err(|error| failed("cannot listen to the back-plane")(&error))?;
            // What is sent after this returns must arrive, so the server has to know of it now; if it is away it will be told when it is back.
            if self.online().is_ok() {
                self.client
                    .flush()
                    .await
                    .map_err(|error| failed("cannot listen to the back-plane")(&error))?;
            }
            let cut = self.root.len() + 1;
            let messages = messages.map(move |message| Message {
                subject: message.subject.as_str().get(cut..).unwrap_or_default().to_owned(),
                payload: message.payload,
                reply: message.reply.map(|reply| ReplyTo(reply.to_string())),
            });
            Ok(messages.boxed())
        }
        .boxed()
    }

    fn request<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Bytes, BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let request = async_nats::Request::new().payload(payload).timeout(Some(deadline));
            match self.client.send_request(self.full(subject), request).await {
                Ok(answer) => Ok(answer.payload),
                Err(error) => Err(match error.kind() {
                    RequestErrorKind::NoResponders => BusError::Nobody(subject.to_owned()),
                    RequestErrorKind::TimedOut => BusError::Late { subject: subject.to_owned(), deadline },
                    _ => failed("cannot ask over the back-plane")(&error),
                }),
            }
        }
        .boxed()
    }

    fn ask_all<'a>(&'a self, subject: &'a str, payload: Bytes) -> BoxFuture<'a, Result<Answers, BusError>> {
        async move {
            subject::check_message(subject, payload.len())?;
            self.online()?;
            let failed = failed("cannot ask over the back-plane");
            let inbox = self.client.new_inbox();
            let answers = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
            let sent = self.client.publish_with_reply(self.full(subject), inbox, payload).await;
            sent.map_err(|error| failed(&error))?;
            let is_answer = |message: &async_nats::Message| {
                std::future::ready(message.status != Some(StatusCode::NO_RESPONDERS))
            };
            Ok(answers.take_while(is_answer).map(|message| message.payload).boxed())
        }
        .boxed()
    }

    fn log(&self) -> BoxFuture<'_, Result<Incarnation, BusError>> {
        async move {
            self.online()?;
            Ok(self.log.present().await?.incarnation)
        }
        .boxed()
    }

    fn append<'a>(
        &'a self,
        subject: &'a str,
        payload: Bytes,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Position, BusError>> {
        async move {
            subject::check_record(subject, payload.len())?;
            self.online()?;
            self.log.append(subject, payload, expect).await
        }
        .boxed()
    }

    fn last<'a>(&'a self, subject: &'a str) -> BoxFuture<'a, Result<Option<Record>, BusError>> {
        async move {
            subject::check_record(subject, 0)?;
            self.online()?;
            self.log.last(subject).await
        }
        .boxed()
    }

    fn follow(&self, after: Option<Position>) -> Follow {
        follow::follow(self.log.clone(), self.state.subscribe(), after)
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.state.subscribe()
    }
}
