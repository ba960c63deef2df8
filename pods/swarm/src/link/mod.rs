//! One connection with one pod: what its three streams carry, apart from what is wanted of it.
//!
//! Tasks: the control stream's reader answers questions and takes orders for bytes itself, and hands what answers *our*
//! requests to the core; its writer empties a bounded queue; each lane has a reader (to the core) and a
//! filler with a writer ([`serve`]). Whatever ends one of them ends the link, with a reason. Memory: at most the
//! credit that we gave, a few runs that we send, and bounded queues, whatever the other side does.

mod frames;
pub(crate) mod serve;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::AsyncWriteExt as _;
use protocol::swarm::{BadFrame, Frame, Hello, Lane, MAJOR, MINOR};
use protocol::{ObjectId, PodId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Store;
use crate::net::{BoxedStream, Conn, Streams};
use crate::task::{Task, spawn};
use frames::Frames;
use serve::Serving;

/// Bytes that a pod may send us before we took any of them in, for each lane.
pub(crate) const CREDIT: u32 = 16 << 20;
/// Frames that wait for the control stream: who does not read them is let go.
const CONTROL_QUEUE: usize = 4096;
/// Answers among them, which may be long: beyond that no more questions are read.
const ANSWERS: usize = 32;
/// Orders to pass something on that wait for the core: beyond that no more of anything is read.
const FETCHES: usize = 4;
/// What is there when asked stays so long.
pub(crate) const LEASE: Duration = Duration::from_secs(300);
/// A "have" holds for so long at least, whatever is said: else one pod could be asked again and again.
const LEAST_LEASE: Duration = Duration::from_secs(10);

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    #[error("it sent {0}")]
    Bad(#[from] BadFrame),
    #[error("it said {0} where that is not to be said")]
    Unexpected(&'static str),
    #[error("it sent more bytes than it had credit for")]
    Overrun,
    #[error(
        "it speaks version {0} of the swarm's protocol, this pod speaks version {MAJOR}: upgrade the older of the two"
    )]
    Version(u16),
    #[error("it closed the connection: {0}")]
    Bye(String),
    #[error("it did not say who it is in time")]
    Silent,
    #[error("it does not read what it is told")]
    Deaf,
}

impl LinkError {
    /// Whether the pod broke the protocol, which no network does.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::Bad(_) | Self::Unexpected(_) | Self::Overrun)
    }
}

/// Answers to what we asked, and what only the core can do.
#[derive(Debug)]
pub(crate) enum Said {
    Hello,
    Have {
        request: u32,
        sizes: Vec<Option<u64>>,
        lease: Duration,
    },
    Miss {
        request: u32,
        items: Vec<u32>,
    },
    Busy {
        request: u32,
        retry: Duration,
    },
    /// With its place among those that may wait.
    Fetch {
        request: u32,
        from: Vec<PodId>,
        ids: Vec<ObjectId>,
        _place: OwnedSemaphorePermit,
    },
    Data {
        lane: Lane,
        request: u32,
        index: u32,
        offset: u64,
        total: u64,
        bytes: Bytes,
    },
    Broken(LinkError),
}

/// What goes to the core, and from whom.
pub(crate) type ToCore = mpsc::Sender<(Conn, Said)>;

/// The core's end of a link.
pub(crate) struct Link {
    control: Control,
    granted: Arc<[AtomicI64; 2]>,
    heard: Arc<AtomicU64>,
    _tasks: Vec<Task>,
}

/// The control stream's queue.
#[derive(Clone)]
pub(crate) struct Control {
    queue: mpsc::Sender<Queued>,
    answers: Arc<Semaphore>,
}

/// A frame that waits, and its place among the answers, if it is one.
type Queued = (Vec<u8>, Option<OwnedSemaphorePermit>);

impl Control {
    /// Says something, now or never.
    pub(crate) fn try_say(&self, frame: &Frame<'_>) -> Result<(), LinkError> {
        self.queue.try_send((frame.encode(), None)).map_err(|_| LinkError::Deaf)
    }

    /// Answers, when there is room.
    pub(crate) async fn answer(&self, frame: &Frame<'_>) -> Result<(), LinkError> {
        let place = self.answers.clone().acquire_owned().await.map_err(|_| LinkError::Deaf)?;
        self.queue.send((frame.encode(), Some(place))).await.map_err(|_| LinkError::Deaf)
    }
}

impl Link {
    /// Starts the tasks of a connection, whose pod has to say HELLO so soon. Must be called within a runtime.
    pub(crate) fn start(
        conn: Conn,
        streams: Streams,
        store: Arc<dyn Store>,
        core: ToCore,
        greeting: Duration,
    ) -> Self {
        let (sender, queue) = mpsc::channel(CONTROL_QUEUE);
        let control = Control { queue: sender, answers: Arc::new(Semaphore::new(ANSWERS)) };
        let granted = Arc::new(Lane::ALL.map(|_| AtomicI64::new(CREDIT.into())));
        let heard = Arc::new(AtomicU64::new(0));
        let Streams([ours, urgent, bulk]) = streams;
        let (control_in, control_out) = futures::AsyncReadExt::split(ours);
        let serving = Arc::new(Serving::new(store));
        let report = Report { conn, core };
        let mut tasks = vec![
            report.task("swarm-control-out", write_control(queue, control_out)),
            report.task(
                "swarm-control-in",
                read_control(
                    report.clone(),
                    Frames::new(control_in, heard.clone()),
                    control.clone(),
                    serving.clone(),
                    greeting,
                ),
            ),
            report.task("swarm-lists", serve::make_lists(serving.clone())),
        ];
        for (lane, stream) in [(Lane::Urgent, urgent), (Lane::Bulk, bulk)] {
            let (input, output): (_, futures::io::WriteHalf<BoxedStream>) =
                futures::AsyncReadExt::split(stream);
            let (runs, queue) = mpsc::channel(1);
            let reading = read_lane(report.clone(), lane, Frames::new(input, heard.clone()), granted.clone());
            tasks.push(report.task("swarm-lane-in", reading));
            tasks.push(report.task("swarm-fill", serve::fill(lane, serving.clone(), control.clone(), runs)));
            tasks.push(report.task("swarm-lane-out", serve::write(queue, output)));
        }
        Self { control, granted, heard, _tasks: tasks }
    }

    /// Says something, now or never.
    pub(crate) fn say(&self, frame: &Frame<'_>) -> Result<(), LinkError> {
        self.control.try_say(frame)
    }

    /// Bytes were taken in: so many more may come.
    pub(crate) fn give_credit(&self, lane: Lane, bytes: u32) -> Result<(), LinkError> {
        self.granted[lane.index()].fetch_add(bytes.into(), Ordering::Relaxed);
        self.say(&Frame::Credit { lane, bytes })
    }

    /// How many bytes came so far.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Report {
    conn: Conn,
    core: ToCore,
}

impl Report {
    /// A task whose failure ends the link.
    fn task(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), LinkError>> + Send + 'static,
    ) -> Task {
        let report = self.clone();
        spawn(name, async move {
            if let Err(error) = work.await {
                report.tell(Said::Broken(error)).await.unwrap_or_default();
            }
        })
    }

    /// Fails when the core has gone, and with it everything else.
    async fn tell(&self, said: Said) -> Result<(), LinkError> {
        self.core.send((self.conn, said)).await.map_err(|_| LinkError::Deaf)
    }
}

async fn write_control(
    mut queue: mpsc::Receiver<Queued>,
    mut stream: futures::io::WriteHalf<BoxedStream>,
) -> Result<(), LinkError> {
    let hello = Hello { major: MAJOR, minor: MINOR, features: 0, credit: [CREDIT; 2] };
    stream.write_all(&Frame::Hello(hello).encode()).await?;
    stream.flush().await?;
    while let Some((frame, _place)) = queue.recv().await {
        stream.write_all(&frame).await?;
        if queue.is_empty() {
            stream.flush().await?;
        }
    }
    Ok(())
}

async fn read_control(
    report: Report,
    mut frames: Frames,
    control: Control,
    serving: Arc<Serving>,
    greeting: Duration,
) -> Result<(), LinkError> {
    let first = tokio::time::timeout(greeting, frames.next()).await.map_err(|_| LinkError::Silent)??;
    match Frame::decode(&first)? {
        Frame::Hello(hello) if hello.major == MAJOR => {
            let credit = hello.credit;
            Lane::ALL.iter().for_each(|&lane| serving.add_credit(lane, credit[lane.index()]));
            report.tell(Said::Hello).await?;
        }
        Frame::Hello(hello) => {
            let error = LinkError::Version(hello.major);
            let reason = format!("version {} is spoken here, not {}", MAJOR, hello.major);
            control.answer(&Frame::Bye { reason }).await?;
            return Err(error);
        }
        Frame::Bye { reason } => return Err(LinkError::Bye(reason)),
        _ => return Err(LinkError::Unexpected("something before HELLO")),
    }
    let fetches = Arc::new(Semaphore::new(FETCHES));
    loop {
        let bytes = frames.next().await?;
        match Frame::decode(&bytes)? {
            Frame::Ask { request, ids } => control.answer(&serving.answer(request, ids).await).await?,
            Frame::Want { request, lane, items } => {
                if let Err(busy) = serving.want(request, lane, items) {
                    control.answer(&busy).await?;
                }
            }
            Frame::Cancel { request, items } => serving.cancel(request, &items),
            Frame::Credit { lane, bytes } => serving.add_credit(lane, bytes),
            Frame::Have { request, sizes, lease } => {
                let lease = Duration::from_secs(lease.into()).clamp(LEAST_LEASE, LEASE);
                report.tell(Said::Have { request, sizes, lease }).await?;
            }
            Frame::Miss { request, items } => report.tell(Said::Miss { request, items }).await?,
            Frame::Busy { request, retry } => {
                let retry = Duration::from_millis(retry.into());
                report.tell(Said::Busy { request, retry }).await?;
            }
            Frame::Fetch { request, from, ids } => {
                let _place = fetches.clone().acquire_owned().await.map_err(|_| LinkError::Deaf)?;
                report.tell(Said::Fetch { request, from, ids, _place }).await?;
            }
            Frame::Bye { reason } => return Err(LinkError::Bye(reason)),
            Frame::Hello(_) => return Err(LinkError::Unexpected("HELLO again")),
            Frame::Data(_) => return Err(LinkError::Unexpected("DATA on the control stream")),
        }
    }
}

async fn read_lane(
    report: Report,
    lane: Lane,
    mut frames: Frames,
    granted: Arc<[AtomicI64; 2]>,
) -> Result<(), LinkError> {
    loop {
        let bytes = frames.next().await?;
        let Frame::Data(data) = Frame::decode(&bytes)? else {
            return Err(LinkError::Unexpected("something else than DATA on a lane"));
        };
        let length = data.bytes.len() as i64;
        if granted[lane.index()].fetch_sub(length, Ordering::Relaxed) < length {
            return Err(LinkError::Overrun);
        }
        let said = Said::Data {
            lane,
            request: data.request,
            index: data.index,
            offset: data.offset,
            total: data.total,
            bytes: bytes.slice_ref(data.bytes),
        };
        report.tell(said).await?;
    }
}
