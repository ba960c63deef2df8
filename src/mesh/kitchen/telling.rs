//! What becomes of a run, told to the pod that asked for it.
//!
//! It is told at least each [`REPORT_EVERY`], and answered whether the run is still wanted. Whoever says that it is not, or is silent for [`SILENT`] while the
//! back-plane is there, has it ended; whoever never has room for its end hears no more of it after [`TOLD_FOR`].

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::PodId;
use protocol::event::Stream;
use protocol::mesh::NewsAnswer;
use protocol::mesh::run::{REPORT_EVERY, RUN_NEWS, RunEnd, RunNews, RunOrder, RunUsage};
use tokio::sync::{mpsc, oneshot};

use super::{Kitchen, Slot};
use crate::majordomo::sink::Cancel;
use crate::mesh::steps::{LATER, TOLD_FOR};
use crate::mesh::{enclosing, presence};

/// How long whoever asked may be silent.
const SILENT: Duration = Duration::from_secs(10);
/// How long it may take to answer a report.
const ANSWER: Duration = Duration::from_secs(5);
/// Lines that wait to be reported; a step that prints faster is held back by nobody, and whoever asked sees less of it live.
const LINES: usize = 1024;
/// Bytes of lines in one report, beyond which no line more is taken into it.
const REPORT_BYTES: usize = 32 << 10;

/// A line as it is reported.
pub(super) type Line = (Stream, String);

/// What is told of a run besides its end.
pub(super) struct Told {
    pub lines: mpsc::Sender<Line>,
    pub used: Arc<OnceLock<RunUsage>>,
    /// Why it has begun once more.
    pub again: Arc<Mutex<Option<String>>>,
}

/// Counts a run out, however it ends.
struct Listed(Arc<Kitchen>, (PodId, u64));

impl Drop for Listed {
    fn drop(&mut self) {
        let Self(kitchen, key) = self;
        let mut runs = kitchen.runs.lock();
        runs.remove(key);
        if runs.is_empty() {
            // What is seen next may be another version.
            *kitchen.tools.lock() = None;
        }
    }
}

fn gather(line: Line, waiting: &mut Vec<Line>, bytes: &mut usize) {
    *bytes += line.1.len();
    waiting.push(line);
}

impl Kitchen {
    /// Runs, and reports until whoever asked has the end, or does not want it.
    pub(super) async fn serve(
        self: Arc<Self>,
        from: PodId,
        order: RunOrder,
        slot: Option<Slot>,
        cancel: Cancel,
    ) {
        let _listed = Listed(Arc::clone(&self), (from, order.run));
        let (run, mut waits) = (order.run, slot.is_none());
        let (begins, begun) = oneshot::channel();
        let mut begun = Some(begun);
        let (sender, mut lines) = mpsc::channel(LINES);
        let (kitchen, ends, used, again) =
            (self.clone(), cancel.clone(), Arc::new(OnceLock::new()), Arc::default());
        let told_of = Told { lines: sender, used: Arc::clone(&used), again: Arc::clone(&again) };
        let begins = (slot, begins);
        let mut ended = tokio::spawn(async move { kitchen.run((from, order), told_of, &ends, begins).await });
        let (mut heard, mut end, mut enclosed, mut number) = (Instant::now(), None, Vec::new(), 1);
        let mut over = None;
        // Of what is reported next; the report that is not heard is said again.
        let (mut waiting, mut bytes, mut unheard) = (Vec::new(), 0, None);
        loop {
            if end.is_none() {
                let wait = if unheard.is_none() { REPORT_EVERY } else { Duration::ZERO };
                tokio::select! {
                    biased;
                    run_end = &mut ended => {
                        let lost = |_| RunEnd::NotRun("it ended in the middle".to_owned());
                        let run_end = run_end.unwrap_or_else(lost);
                        waits &= matches!(run_end, RunEnd::Cancelled | RunEnd::NotRun(_));
                        enclosed = enclosing::enclosed(self.pod.larder(), &run_end);
                        (end, over) = (Some(run_end), Some(Instant::now()));
                    }
                    has_begun = told(&mut begun), if waits && unheard.is_none() => waits = !has_begun,
                    Some(line) = lines.recv(), if unheard.is_none() => gather(line, &mut waiting, &mut bytes),
                    () = tokio::time::sleep(wait) => {}
                }
            }
            while bytes < REPORT_BYTES
                && unheard.is_none()
                && let Ok(line) = lines.try_recv()
            {
                gather(line, &mut waiting, &mut bytes);
            }
            let news = unheard.take().unwrap_or_else(|| {
                bytes = 0;
                // Lines that are left come before the end.
                let end = end.clone().filter(|_| lines.is_empty());
                let enclosed = if end.is_some() { std::mem::take(&mut enclosed) } else { Vec::new() };
                let usage = end.as_ref().and_then(|_| used.get().copied());
                let (lines, again) = (std::mem::take(&mut waiting), again.lock().take());
                RunNews {
                    run,
                    number,
                    lines,
                    waits,
                    again,
                    end,
                    usage,
                    enclosed,
                    free_slots: self.free_slots(),
                }
            });
            match self.mesh.ask::<_, NewsAnswer>(&from, RUN_NEWS, &news, ANSWER).await {
                Ok(NewsAnswer::Taken) if news.end.is_some() => break,
                Ok(NewsAnswer::Taken) => (heard, number) = (Instant::now(), number + 1),
                Ok(NewsAnswer::Later) => {
                    if over.is_some_and(|over| over.elapsed() >= TOLD_FOR) {
                        break;
                    }
                    (heard, unheard) = (Instant::now(), Some(news));
                    tokio::time::sleep(LATER).await;
                }
                Ok(NewsAnswer::Unwanted) => {
                    cancel.set();
                    if end.is_some() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::debug!(%from, run, %error, "a report was not heard");
                    unheard = Some(news);
                    // While the back-plane is away the step goes on.
                    if presence::is_down(&self.mesh) {
                        heard = Instant::now();
                    }
                    if heard.elapsed() >= SILENT {
                        cancel.set();
                        if end.is_some() {
                            break;
                        }
                    }
                    tokio::time::sleep(REPORT_EVERY).await;
                }
            }
        }
    }
}

/// Whether a run that waited has begun; ends when that is known.
async fn told(begun: &mut Option<oneshot::Receiver<()>>) -> bool {
    match begun {
        Some(waiting) => {
            let has_begun = waiting.await.is_ok();
            *begun = None;
            has_begun
        }
        None => std::future::pending().await,
    }
}
