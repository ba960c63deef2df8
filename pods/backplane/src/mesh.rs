//! One pod in its federation: everything of this crate put together.
//!
//! A [`Mesh`] holds bus, ledger, members, beats and envelopes; [`Mesh::start`] starts what goes on by itself: following the log, beating, listening, answering
//! other pods' questions and newcomers, comparing with others, mending what a dead pod left half done. What others build upon it is three calls:
//! [`ask`](Mesh::ask) one pod, [`serve`](Mesh::serve) such questions, [`tell`](Mesh::tell) all.
//!
//! **A crash** loses messages, nothing else. **Bounds**: [`MAX_SERVING`] questions are served at a time, each for [`SERVING`]; one comparison each [`COMPARE_EVERY`].

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::{Mutex, RwLock};
use protocol::PodId;
use protocol::mesh::{Beat, subject};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::beats::{Beats, EVERY};
use crate::bus::{Bus, BusError, Connection, Message, Subscription};
use crate::clock::Clock;
use crate::federation::{Answerer, Federation, Kept, KeptError, Members};
use crate::keys::{Envelope, EnvelopeError, Identity, Opened};
use crate::ledger::{Ledger, LedgerParts, StoreError, sync};

/// How many questions are served at a time.
pub const MAX_SERVING: usize = 64;
/// How long one question is served at most, unless told otherwise.
pub const SERVING: Duration = Duration::from_secs(30);
/// How often this pod compares what it knows with another's, at most.
pub const COMPARE_EVERY: Duration = Duration::from_secs(10);
/// How long another pod may take to answer a comparison.
const SYNC_DEADLINE: Duration = Duration::from_secs(10);
/// The ledger's file in the home.
pub const LEDGER_FILE: &str = "ledger.sqlite";
/// How soon the log is followed again after an error of the database.
const FOLLOW_AGAIN: Duration = Duration::from_secs(5);
/// How soon a subscription is tried again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// What a mesh is made of.
pub struct MeshParts {
    /// The back-plane, for the federation's root.
    pub bus: Arc<dyn Bus>,
    /// Who we are.
    pub identity: Arc<Identity>,
    /// The time.
    pub clock: Clock,
    /// Which federation, and with which keys.
    pub kept: Kept,
    /// Where the ledger and new keys are kept; none: in memory.
    pub home: Option<PathBuf>,
    /// How often it beats.
    pub beat_every: Duration,
    /// How long one question is served at most: nobody waits longer, and what it has begun goes on when it is asked again.
    pub serving: Duration,
}

impl MeshParts {
    /// With the usual beat, and nothing kept.
    pub fn new(bus: Arc<dyn Bus>, identity: Arc<Identity>, kept: Kept) -> Self {
        Self { bus, identity, clock: Clock::system(), kept, home: None, beat_every: EVERY, serving: SERVING }
    }
}

/// What a mesh cannot begin with.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the home keeps.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The back-plane, or the pod is not there.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The answer is not from that pod.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// The pod answered that it cannot.
    #[error("{0}")]
    Refused(String),
    /// The answer has another form.
    #[error("the answer is not in a form that is known: {0}")]
    Form(#[from] serde_json::Error),
}

/// Answers a pod's question.
pub type Handler = Arc<dyn Fn(PodId, Value) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;

/// How a matter is served.
#[derive(Clone)]
struct Served {
    handler: Handler,
    /// A question that came before a restart does nothing when it is said again after it.
    is_repeatable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok(Value),
    Error(String),
}

/// One pod in its federation.
pub struct Mesh {
    federation: Federation,
    bus: Arc<dyn Bus>,
    envelope: Envelope,
    beats: Beats,
    handlers: RwLock<HashMap<String, Served>>,
    load: RwLock<Arc<dyn Fn() -> Beat + Send + Sync>>,
    kept: Mutex<Kept>,
    home: Option<PathBuf>,
    compared: Mutex<Option<Instant>>,
    serving: Duration,
    /// Members of another version, of which that was said.
    foreign: Mutex<HashSet<PodId>>,
}

/// What goes on by itself. Dropping it ends that.
#[must_use]
pub struct Running(Vec<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Mesh {
    /// Opens the ledger; nothing goes on yet.
    ///
    /// # Errors
    /// The database cannot be opened, or no random bytes.
    pub fn open(parts: MeshParts) -> Result<Arc<Self>, MeshError> {
        let MeshParts { bus, identity, clock, mut kept, home, beat_every, serving } = parts;
        kept.life = kept.next_life(clock.now());
        if let Some(home) = &home {
            // Before the first message of this life: no number is used twice.
            kept.write(home)?;
        }
        let id = kept.federation;
        let ring = Arc::new(RwLock::new(kept.ring.clone()));
        let ledger = Ledger::open(
            LedgerParts {
                federation: id,
                identity: identity.clone(),
                ring: ring.clone(),
                clock: clock.clone(),
                bus: bus.clone(),
            },
            home.as_ref().map(|home| home.join(LEDGER_FILE)).as_deref(),
        )?;
        let members = Members::new(id, identity.clone(), ring.clone());
        ledger.set_policy(members.clone());
        ledger.add_view(members.clone())?;
        ledger.drop_outcasts()?;
        let envelope = Envelope::new(id, identity.clone(), ring.clone(), clock.clone(), kept.life);
        envelope.resume(ledger.heard()?);
        Ok(Arc::new(Self {
            federation: Federation { id, identity, ring, clock, ledger, members },
            bus,
            envelope,
            beats: Beats::new(beat_every),
            handlers: RwLock::default(),
            load: RwLock::new(Arc::new(Beat::default)),
            kept: Mutex::new(kept),
            home,
            compared: Mutex::default(),
            serving,
            foreign: Mutex::default(),
        }))
    }

    /// Who we are.
    pub fn pod(&self) -> PodId {
        self.federation.identity.pod()
    }

    /// Membership, and acts upon it.
    pub fn federation(&self) -> &Federation {
        &self.federation
    }

    /// Who belongs to it.
    pub fn members(&self) -> &Arc<Members> {
        &self.federation.members
    }

    /// By how many milliseconds a member's clock is ahead of ours (negative: behind), if that is why what it says is not heard.
    pub fn clock_ahead(&self, pod: &PodId) -> Option<i64> {
        self.envelope.ahead(pod)
    }

    /// What is known.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.federation.ledger
    }

    /// The back-plane.
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Who is heard.
    pub fn beats(&self) -> &Beats {
        &self.beats
    }

    /// Sets what the beats tell of this pod's load.
    pub fn set_load(&self, load: impl Fn() -> Beat + Send + Sync + 'static) {
        *self.load.write() = Arc::new(load);
    }

    /// What a beat would tell now.
    pub fn load(&self) -> Beat {
        (self.load.read().clone())()
    }

    /// Serves questions on a matter, in place of what served them before.
    pub fn serve(&self, matter: &str, handler: Handler) {
        self.handlers.write().insert(matter.to_owned(), Served { handler, is_repeatable: false });
    }

    /// As [`Mesh::serve`], for questions that do nothing if they come again after a restart: that they came need not be written down, which takes a while.
    pub fn serve_repeatable(&self, matter: &str, handler: Handler) {
        self.handlers.write().insert(matter.to_owned(), Served { handler, is_repeatable: true });
    }

    /// Writes down, before a question is carried out, that it came: so that it is not carried out once more after a restart.
    async fn keep_heard(&self, from: PodId) {
        let Some(highest) = self.envelope.highest(&from) else { return };
        let ledger = self.ledger().clone();
        let kept = tokio::task::spawn_blocking(move || ledger.set_heard(&from, highest)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "what was asked is not remembered");
        }
    }

    /// Asks one pod. Only its own answer to this very question counts.
    /// Dropping the future withdraws nothing: the other pod may have heard it.
    ///
    /// # Errors
    /// Nobody hears it, no answer of that pod came within `deadline`, it refuses, or the bus; a question of more than the bus takes is not sent.
    pub async fn ask<Q: Serialize + Sync, A: DeserializeOwned>(
        &self,
        pod: &PodId,
        matter: &str,
        question: &Q,
        deadline: Duration,
    ) -> Result<A, AskError> {
        let name = subject::ask(pod, matter);
        let (sealed, id) = self.envelope.wrap(&name, question)?;
        let answer = self.bus.request(&name, Bytes::from(sealed), deadline).await?;
        let opened: Opened<Outcome> = self.envelope.unwrap(&answers(&id), &answer, |from| from == pod)?;
        match opened.body {
            Outcome::Ok(value) => Ok(serde_json::from_value(value)?),
            Outcome::Error(why) => Err(AskError::Refused(why)),
        }
    }

    /// Tells all who listen to a subject.
    /// Dropping the future leaves it open whether it is told.
    ///
    /// # Errors
    /// Of the bus; a body of more than it takes is not sent.
    pub async fn tell<T: Serialize + Sync>(&self, name: &str, body: &T) -> Result<(), AskError> {
        let (sealed, _) = self.envelope.wrap(name, body)?;
        Ok(self.bus.publish(name, Bytes::from(sealed)).await?)
    }

    /// What a member says on a pattern's subjects; what is not from a member, or came before, is left out.
    /// Dropping the stream ends it.
    ///
    /// # Errors
    /// Of the bus.
    pub async fn listen<T: DeserializeOwned + Send + 'static>(
        self: &Arc<Self>,
        pattern: &str,
    ) -> Result<futures::stream::BoxStream<'static, (String, Opened<T>)>, BusError> {
        let mesh = self.clone();
        let messages = self.bus.subscribe(pattern).await?;
        let opened = messages.filter_map(move |message| {
            let opened = mesh.open_message(&message);
            std::future::ready(opened.map(|opened| (message.subject, opened)))
        });
        Ok(opened.boxed())
    }

    fn open_message<T: DeserializeOwned>(&self, message: &Message) -> Option<Opened<T>> {
        let member = |pod: &PodId| self.federation.members.is_member(pod);
        match self.envelope.unwrap(&message.subject, &message.payload, member) {
            Ok(opened) => Some(opened),
            Err(error @ EnvelopeError::Version { from, .. }) if self.foreign.lock().insert(from) => {
                tracing::warn!(%error, "a pod is not understood");
                None
            }
            Err(error) => {
                tracing::debug!(subject = message.subject, %error, "a message is not taken");
                None
            }
        }
    }

    /// Says a beat now: for when the free slots have changed.
    /// Dropping the future leaves it open whether it is said.
    ///
    /// # Errors
    /// Of the bus.
    pub async fn beat(&self) -> Result<(), AskError> {
        let mut beat = self.load();
        beat.knows = format!("{:032x}", self.federation.ledger.digest());
        self.tell(&subject::beat(&self.pod()), &beat).await
    }

    /// Starts what goes on by itself.
    pub fn start(self: &Arc<Self>) -> Running {
        let mesh = self.clone();
        self.serve_repeatable(
            sync::MATTER,
            Arc::new(move |_, question| {
                let ledger = mesh.federation.ledger.clone();
                async move {
                    let ask = serde_json::from_value(question).map_err(|error| error.to_string())?;
                    // Reading and writing the database is for threads that may wait.
                    let answer = tokio::task::spawn_blocking(move || ledger.answer(ask)).await;
                    let answer =
                        answer.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                    serde_json::to_value(answer).map_err(|error| error.to_string())
                }
                .boxed()
            }),
        );
        let (follow, asked, joins, beats, tick) =
            (self.clone(), self.clone(), self.clone(), self.clone(), self.clone());
        Running(vec![
            spawn("follow", async move {
                // A disk that is full now may have room again.
                while let Err(error) = follow.federation.ledger.clone().follow().await {
                    tracing::error!(%error, "the log is not followed for now");
                    tokio::time::sleep(FOLLOW_AGAIN).await;
                }
            }),
            spawn("questions", async move { asked.serve_questions().await }),
            spawn("newcomers", async move { joins.serve_newcomers().await }),
            spawn("beats", async move { beats.hear_beats().await }),
            spawn("tick", async move { tick.tick().await }),
        ])
    }

    /// A subscription that the bus must give at some time.
    async fn subscribed(&self, pattern: &str) -> Subscription {
        loop {
            match self.bus.subscribe(pattern).await {
                Ok(subscription) => return subscription,
                Err(error) => tracing::debug!(pattern, %error, "cannot listen yet"),
            }
            let mut connection = self.bus.connection();
            let up = connection.wait_for(|connection| *connection == Connection::Up);
            if tokio::time::timeout(LISTEN_AGAIN, up).await.is_ok() {
                tokio::time::sleep(LISTEN_AGAIN / 10).await;
            }
        }
    }

    async fn serve_questions(self: Arc<Self>) {
        let asked = self.subscribed(&subject::ask(&self.pod(), "*")).await;
        asked
            .for_each_concurrent(MAX_SERVING, |message| {
                let mesh = self.clone();
                async move {
                    let Some(to) = &message.reply else { return };
                    let Some(Opened { from, body, id }) = mesh.open_message::<Value>(&message) else {
                        return;
                    };
                    let matter = message.subject.rsplit('.').next().unwrap_or_default();
                    let handler = mesh.handlers.read().get(matter).cloned();
                    let outcome = match handler {
                        Some(Served { handler, is_repeatable }) => {
                            if !is_repeatable {
                                mesh.keep_heard(from).await;
                            }
                            match tokio::time::timeout(mesh.serving, handler(from, body)).await {
                                Ok(answer) => answer.map_or_else(Outcome::Error, Outcome::Ok),
                                Err(_) => Outcome::Error(format!("`{matter}` takes too long")),
                            }
                        }
                        None => Outcome::Error(format!("this pod knows nothing of `{matter}`")),
                    };
                    let sent = match mesh.envelope.wrap(&answers(&id), &outcome) {
                        Ok((sealed, _)) => mesh.bus.respond(to, Bytes::from(sealed)).await,
                        Err(error) => {
                            tracing::warn!(%error, "an answer cannot be sealed");
                            return;
                        }
                    };
                    if let Err(error) = sent {
                        tracing::debug!(%error, "an answer was not sent");
                    }
                }
            })
            .await;
    }

    async fn serve_newcomers(self: Arc<Self>) {
        let answerer = Answerer(self.federation.clone());
        let mut asked = self.subscribed(subject::JOIN).await;
        while let Some(message) = asked.next().await {
            let Some(to) = &message.reply else { continue };
            if let Some(answer) = answerer.answer(&message.payload).await
                && let Err(error) = self.bus.respond(to, Bytes::from(answer)).await
            {
                tracing::debug!(%error, "a newcomer was not answered");
            }
        }
    }

    async fn hear_beats(self: Arc<Self>) {
        let mut heard = self.subscribed(subject::BEATS).await;
        while let Some(message) = heard.next().await {
            let Some(Opened { from, body, .. }) = self.open_message::<Beat>(&message) else { continue };
            if message.subject == subject::beat(&from) && from != self.pod() {
                self.federation.members.heard(&from);
                self.beats.hear(from, body);
            }
        }
    }

    async fn tick(self: Arc<Self>) {
        let mut without_key = Duration::ZERO;
        let mut rings = self.federation.members.rings();
        let mut next = tokio::time::interval(self.beats.every());
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = next.tick() => {}
                // The sender lives as long as the mesh.
                _ = rings.changed() => {
                    self.keep_ring();
                    continue;
                }
            }
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "no beat");
                continue;
            }
            if let Err(error) = self.federation.mend(without_key).await {
                tracing::debug!(%error, "not mended yet");
            }
            let short = self.federation.lacks_present_key();
            without_key = if short { without_key + self.beats.every() } else { Duration::ZERO };
            let members = self.federation.members.clone();
            self.beats.retain(|pod| members.is_member(pod));
            self.envelope.retain(|pod| members.is_member(pod));
            self.foreign.lock().retain(|pod| members.is_member(pod));
            self.compare().await;
        }
    }

    fn keep_ring(&self) {
        let mut kept = self.kept.lock();
        kept.ring = self.federation.ring.read().clone();
        if let Some(home) = &self.home
            && let Err(error) = kept.write(home)
        {
            tracing::error!(%error, "the new group key is not kept: after a restart this pod has to be given it again");
        }
    }

    /// Compares with one pod that knows something else, now and then.
    async fn compare(&self) {
        let due = self
            .compared
            .lock()
            .is_none_or(|last| last.elapsed() >= COMPARE_EVERY.min(self.beats.every() * 5));
        if !due || !self.federation.ledger.status().borrow().caught_up {
            return;
        }
        let ours = format!("{:032x}", self.federation.ledger.digest());
        let differing: Vec<PodId> = self
            .beats
            .all()
            .into_iter()
            .filter(|(_, heard)| heard.beat.knows != ours)
            .map(|(pod, _)| pod)
            .collect();
        let Some(peer) = crate::keys::random::<8>().ok().and_then(|bytes| {
            let number = usize::from_le_bytes(bytes);
            differing.get(number.checked_rem(differing.len())?).copied()
        }) else {
            return;
        };
        *self.compared.lock() = Some(Instant::now());
        match self.compare_with(&peer).await {
            Ok(outcome) => tracing::debug!(%peer, ?outcome, "compared"),
            Err(error) => tracing::debug!(%peer, %error, "not compared"),
        }
    }

    /// Compares with a pod, and brings both up to date.
    /// Safe to cancel: what was taken in by then stays.
    ///
    /// # Errors
    /// As [`Ledger::reconcile`](crate::ledger::Ledger::reconcile).
    pub async fn compare_with(&self, peer: &PodId) -> Result<sync::Outcome, sync::SyncError> {
        self.federation.ledger.reconcile(&RemotePeer { mesh: self, pod: *peer }).await
    }
}

/// The subject to which an answer is bound.
fn answers(id: &str) -> String {
    format!("answer.{id}")
}

fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(work.instrument(tracing::info_span!("mesh", task = name)))
}

struct RemotePeer<'a> {
    mesh: &'a Mesh,
    pod: PodId,
}

impl sync::Peer for RemotePeer<'_> {
    fn ask(&self, ask: sync::Ask) -> BoxFuture<'_, Result<sync::Answer, sync::SyncError>> {
        async move {
            let answer = self.mesh.ask(&self.pod, sync::MATTER, &ask, SYNC_DEADLINE).await;
            answer.map_err(|error| sync::SyncError::Silent(error.to_string()))
        }
        .boxed()
    }
}
