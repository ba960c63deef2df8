//! The federation is told of traces: of those that are made, and of those from before the pod joined, or while it stood alone.
//!
//! Actors: whoever builds offers a trace and goes on ([`Telling::offer`]); a thread that reads what the home has from earlier waits
//! for room ([`Telling::earlier`]), in a queue of its own, so that it takes nobody's; one task, [`run`], writes to the log one by one, what is
//! new first. All ends when the task is dropped. A trace that finds no room, or that a crash loses, is offered again when it answers the next
//! time, or when the pod joins the next time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use backplane::traces::Traces;
use larder::LarderError;
use node::{Home, Pod};
use parking_lot::Mutex;
use protocol::mesh::TraceNews;
use protocol::{Digest, PodId, WorkspaceId};
use rustc_hash::FxHashSet;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::majordomo::records;

/// How many new traces wait for the log; of more nobody is told until they answer again.
const NEW: usize = 16_384;
/// Of how many of our traces it is remembered that it was said that another pod made something else.
const MAX_SAID: usize = 4096;
/// How many of the earlier ones wait.
const EARLIER: usize = 64;

/// Where traces are offered.
#[derive(Clone)]
pub(super) struct Telling {
    traces: Arc<Traces>,
    new: Sender<TraceNews>,
    earlier: Sender<TraceNews>,
    untold: Arc<AtomicU64>,
    said: Arc<Mutex<FxHashSet<Digest>>>,
}

/// Where they come out.
pub(super) struct Offered {
    new: Receiver<TraceNews>,
    earlier: Receiver<TraceNews>,
}

impl Telling {
    pub(super) fn new(traces: Arc<Traces>) -> (Self, Offered) {
        let (new, new_offered) = mpsc::channel(NEW);
        let (earlier, earlier_offered) = mpsc::channel(EARLIER);
        let offered = Offered { new: new_offered, earlier: earlier_offered };
        (Self { traces, new, earlier, untold: Arc::default(), said: Arc::default() }, offered)
    }

    /// How many have yet to be told.
    pub(super) fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    /// Says, once, that another pod has made something else of the same. Each keeps what it has made: no word of another pod's takes the place
    /// of what this one has seen itself.
    fn compare(&self, news: &TraceNews) {
        let Some((by, theirs)) = self.traces.rival(news) else { return };
        let mut said = self.said.lock();
        if said.len() < MAX_SAID && said.insert(news.trace) {
            tracing::warn!(
                %by, ours = %news.trace, %theirs,
                "a step is not deterministic: of the same inputs another pod has made something else; each keeps its own (`majordomo verify` in the project names the step)"
            );
        }
    }

    fn is_said(&self, news: &TraceNews) -> bool {
        !news.revoked && self.traces.has(news)
    }

    /// Tells of a trace, if nobody has announced it. Returns at once.
    pub(super) fn offer(&self, news: TraceNews) {
        self.compare(&news);
        if self.is_said(&news) {
            return;
        }
        let digest = news.trace;
        self.untold.fetch_add(1, Ordering::Relaxed);
        if self.new.try_send(news).is_err() {
            self.untold.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!(trace = %digest, "too many traces at once: this one is announced when it answers again");
        }
    }

    /// Tells of the traces that last answered for the steps of all workspaces of a home. Blocks until all are told, or nobody tells any more.
    pub(super) fn earlier(&self, pod: &Pod) {
        for workspace in Home::workspaces(pod.home().path()) {
            match earlier_of(pod, workspace) {
                Ok(news) => self.offer_all(news),
                Err(error) => {
                    tracing::warn!(%workspace, %error, "what was built earlier is not announced");
                }
            }
        }
    }

    fn offer_all(&self, news: impl IntoIterator<Item = TraceNews>) {
        for news in news.into_iter().filter(|news| !self.is_said(news)) {
            self.untold.fetch_add(1, Ordering::Relaxed);
            if self.earlier.blocking_send(news).is_err() {
                self.untold.fetch_sub(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

fn earlier_of(pod: &Pod, workspace: WorkspaceId) -> Result<Vec<TraceNews>, LarderError> {
    let (larder, supply) = (pod.larder(), pod.supply());
    let mut earlier = Vec::new();
    for record in records::all(larder, workspace)?.into_values() {
        if !larder.is_revoked(&record.trace)?
            && let Some((trace, _)) = records::trace(larder, &record.trace)?
        {
            earlier.extend(supply.news_of(&trace, record.trace)?);
        }
    }
    Ok(earlier)
}

/// Writes what is offered to the log, while it is not dropped: waits while the log is away.
pub(super) async fn run(me: PodId, telling: Telling, mut offered: Offered) {
    loop {
        let news = tokio::select! {
            biased;
            Some(news) = offered.new.recv() => news,
            Some(news) = offered.earlier.recv() => news,
            else => return,
        };
        if let Err(error) = telling.traces.announce(&me, &news).await {
            tracing::warn!(%error, trace = %news.trace, "a trace is not announced");
        }
        telling.untold.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backplane::Mesh;
    use backplane::bus::memory::MemoryServer;
    use backplane::federation::Kept;
    use backplane::keys::{Identity, Ring};
    use backplane::mesh::MeshParts;
    use protocol::mesh::FederationId;

    use super::*;

    fn news(of: &str) -> TraceNews {
        let digest = |what: &str| Digest::of(format!("{what} {of}").as_bytes());
        let (weak, path_set) = (digest("weak"), digest("set"));
        TraceNews {
            weak,
            path_set,
            strong: digest("strong"),
            trace: digest("trace"),
            outputs: Some(digest("made")),
            revoked: false,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_what_is_there_from_earlier_all_is_told_and_what_is_new_waits_for_none_of_it() {
        let identity = Arc::new(Identity::generate().unwrap());
        let salt = [7; 16];
        let federation = FederationId::founded_by(&identity.pod(), &salt);
        let kept = Kept { federation, salt: Some(salt), ring: Ring::default(), life: 0 };
        let bus = Arc::new(MemoryServer::new().connect());
        let mesh = Mesh::open(MeshParts::new(bus, identity, kept)).unwrap();
        let _running = mesh.start();
        mesh.federation().found("founder", salt).await.unwrap();
        let traces = Arc::new(Traces::open(mesh.ledger().clone(), mesh.members().clone()).unwrap());
        let (telling, offered) = Telling::new(traces.clone());
        let many = 4 * EARLIER;
        let earlier: Vec<TraceNews> = (0..many).map(|number| news(&format!("earlier {number}"))).collect();
        let (thread, all) = (telling.clone(), earlier.clone());
        let reader = tokio::task::spawn_blocking(move || thread.offer_all(all));
        while telling.earlier.capacity() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        telling.offer(news("new"));
        let task = tokio::spawn(run(mesh.pod(), telling.clone(), offered));
        reader.await.unwrap();
        while telling.untold() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(earlier.iter().chain([&news("new")]).all(|news| traces.has(news)));
        let at = |news: &TraceNews| {
            let entry = mesh.ledger().get(&protocol::mesh::subject::trace(&mesh.pod(), &news.trace));
            entry.unwrap().unwrap().at
        };
        assert!(at(&news("new")) <= at(&earlier[0]));
        assert!(at(&earlier[0]) < at(&earlier[many - 1]));
        // Something else of the same is heard of; the same again, made in another time, is not.
        let same = TraceNews { trace: news("again").trace, ..news("new") };
        assert_eq!(traces.rival(&same), None);
        let differs = TraceNews { outputs: news("again").outputs, ..same };
        assert_eq!(traces.rival(&differs), Some((mesh.pod(), news("new").trace)));
        // Who tells no more keeps no thread.
        task.abort();
        let (thread, rest) = (telling.clone(), (many..2 * many).map(|number| news(&format!("{number}"))));
        let rest: Vec<TraceNews> = rest.collect();
        tokio::task::spawn_blocking(move || thread.offer_all(rest)).await.unwrap();
    }
}
