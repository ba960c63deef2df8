//! The owner's side: orders are carried out, and their replies sent as they come.
//!
//! Replies go in batches, each of which is answered by whether more is wanted, or by that there is no room for it yet; the next is not sent before it
//! is taken. So a slow link holds the build back, as a slow reader does, who may stop for [`TOLD_FOR`]: what is built for him holds the workspace. A
//! pod that is silent for [`SILENT`] while the back-plane is there wants nothing more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use backplane::bus::BusError;
use backplane::mesh::AskError;
use protocol::PodId;
use protocol::mesh::NewsAnswer;
use protocol::mesh::order::{ORDER_NEWS, OfProject, ProjectNews, ProjectOrder, ProjectReply};
use protocol::mesh::run::REPORT_EVERY;
use serde_json::Value;

use super::{Projects, carry_out};
use crate::majordomo::border::machine;
use crate::majordomo::request::{Failure, Reply, Report, WatchNews};
use crate::majordomo::sink::{Cancel, REPLY_QUEUE, Sink};
use crate::mesh::presence;
use crate::mesh::steps::{LATER, TOLD_FOR};

/// Builds that are carried out at a time, for all others together.
const MAX_BUILDS: usize = 16;
/// Whoever looks at builds at a time, of all others together.
const MAX_MONITORS: usize = 64;
/// The part of either that one pod may have.
const PART_OF_ONE: usize = 2;
/// How long whoever ordered may be silent.
const SILENT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of replies in one message, as JSON; a single reply may be longer.
const BATCH_BYTES: usize = 128 << 10;
/// How long replies are gathered.
const GATHER: Duration = Duration::from_millis(20);

/// An order of another pod.
pub(super) struct Served {
    pub cancel: Cancel,
    is_monitor: bool,
}

/// Counts an order out, however it ends.
struct Serving(Arc<Projects>, (PodId, u64));

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.served.lock().remove(&self.1);
        self.0.ended.notify_all();
    }
}

impl Projects {
    /// Begins to carry an order out.
    pub(super) fn take(self: Arc<Self>, from: PodId, order: ProjectOrder) -> Result<(), String> {
        if !self.mesh.members().is_believed(&from) {
            return Err("only full members of the federation may ask for that".to_owned());
        }
        let host = self.its_host().ok_or("this pod has only begun, or goes")?;
        let what = order.what;
        let own = self.own(&order.name).map_err(|failure| failure.message)?;
        let key = (from, order.run);
        let cancel = Cancel::default();
        {
            let mut served = self.served.lock();
            let is_monitor = matches!(what, OfProject::Monitor { .. });
            let (most, words) =
                if is_monitor { (MAX_MONITORS, "monitors") } else { (MAX_BUILDS, "builds for others") };
            let alike = || served.iter().filter(|(_, served)| served.is_monitor == is_monitor);
            let of_it = alike().filter(|((by, _), _)| *by == from).count();
            if alike().count() >= most || of_it >= most / PART_OF_ONE {
                return Err(format!(
                    "it has {} {words} already, {of_it} of them for this pod",
                    alike().count()
                ));
            }
            if served.contains_key(&key) {
                return Err("it carries that order out already".to_owned());
            }
            served.insert(key, Served { cancel: cancel.clone(), is_monitor });
        }
        let (serving, projects) = (Serving(Arc::clone(&self), key), Arc::clone(&self));
        let (sender, replies) = sync_channel(REPLY_QUEUE);
        let (runtime, ended) = (host.pod.runtime().clone(), cancel.clone());
        let telling = runtime.clone();
        runtime.spawn(async move {
            let sink = Sink::new(sender);
            let carried = carry_out(&host, (&own, None), what, &sink, &cancel).await;
            sink.reply(match carried {
                Ok((outcome, made)) => {
                    if let Some(made) = made {
                        sink.reply(Reply::Report(Report::Built(projects.own_report(made))));
                    }
                    Reply::Done { outcome }
                }
                Err(failure) => Reply::Failed(*failure),
            });
        });
        let thread = std::thread::Builder::new().name("project".to_owned());
        let spawned = thread.spawn(move || {
            let Serving(projects, key) = &serving;
            projects.tell(&telling, *key, &replies, &ended);
        });
        spawned.map(drop).map_err(|error| error.to_string())
    }

    /// Sends replies until the last one, or until nobody wants them; then what still comes is dropped, so that the order can end.
    fn tell(
        &self,
        runtime: &tokio::runtime::Handle,
        (to, run): (PodId, u64),
        replies: &Receiver<Reply>,
        cancel: &Cancel,
    ) {
        let (mut heard, mut number, mut is_wanted, mut is_last) = (Instant::now(), 0, true, false);
        let mut taken = Instant::now();
        loop {
            let (mut batch, is_over) = gather(replies);
            while is_wanted {
                number += 1;
                let news = ProjectNews { run, number, replies: batch.clone() };
                match runtime.block_on(self.mesh.ask::<_, NewsAnswer>(&to, ORDER_NEWS, &news, ANSWER)) {
                    Ok(NewsAnswer::Later) => {
                        (heard, number) = (Instant::now(), number - 1);
                        is_wanted = taken.elapsed() < TOLD_FOR;
                        std::thread::sleep(LATER);
                    }
                    Ok(answer) => {
                        (heard, is_wanted) = (Instant::now(), answer == NewsAnswer::Taken && !is_last);
                        taken = heard;
                        break;
                    }
                    Err(AskError::Bus(BusError::TooLarge { bound, .. })) if !is_last => {
                        number -= 1;
                        batch = said(Reply::Failed(too_long(bound))).into_iter().collect();
                        is_last = true;
                    }
                    Err(error) => {
                        tracing::debug!(%to, run, %error, "replies were not heard");
                        number -= 1;
                        // While the back-plane is away the order goes on.
                        if presence::is_down(&self.mesh) {
                            heard = Instant::now();
                        }
                        is_wanted = heard.elapsed() < SILENT;
                        std::thread::sleep(REPORT_EVERY);
                    }
                }
            }
            if !is_wanted {
                cancel.set();
            }
            if is_over {
                return;
            }
        }
    }
}

/// A reply as it travels; none of it is for other pods that no order is answered with.
fn said(reply: Reply) -> Option<Value> {
    let said = match reply {
        Reply::Event(event) => ProjectReply::Event(event),
        Reply::Waiting(what) => ProjectReply::Waiting(what),
        Reply::Watch(WatchNews::Refused(why)) => ProjectReply::Refused(why),
        Reply::Report(Report::Targets(report)) => ProjectReply::Targets(report),
        Reply::Report(Report::Status(report)) => ProjectReply::Status(report),
        Reply::Report(Report::Verify(report)) => ProjectReply::Verify(report),
        Reply::Report(Report::Built(report)) => ProjectReply::Made(report.made),
        Reply::Done { outcome } => ProjectReply::Done { outcome },
        Reply::Failed(failure) => ProjectReply::Failed(failure),
        Reply::Progress { .. } | Reply::Watch(_) | Reply::Launch(_) | Reply::Shell(_) | Reply::Report(_) => {
            return None;
        }
    };
    serde_json::to_value(said).ok()
}

fn too_long(bound: usize) -> Failure {
    machine(format!("an answer is longer than the {bound} bytes that a message to another pod may have"))
        .hint("name targets, so that less is said; or ask where the project is")
}

/// The next replies, or none for [`REPORT_EVERY`]; whether these were the last.
fn gather(replies: &Receiver<Reply>) -> (Vec<Value>, bool) {
    let (mut batch, mut bytes, mut wait, mut begun) = (Vec::new(), 0, REPORT_EVERY, None::<Instant>);
    loop {
        match replies.recv_timeout(wait) {
            Ok(reply) => {
                let said = said(reply);
                bytes += said.as_ref().map_or(0, |said| said.to_string().len());
                batch.extend(said);
                wait = GATHER.saturating_sub(begun.get_or_insert_with(Instant::now).elapsed());
            }
            Err(RecvTimeoutError::Timeout) => return (batch, false),
            Err(RecvTimeoutError::Disconnected) => return (batch, true),
        }
        if bytes >= BATCH_BYTES {
            return (batch, false);
        }
    }
}
