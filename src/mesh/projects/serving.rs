//! The owner's side: orders are carried out, and their replies sent as they come.
//!
//! Replies go in batches, each of which is answered by whether more is wanted; the next is not sent before. So a slow link holds the build back, as a slow reader
//! of the socket does. Who is silent for [`SILENT`] while the back-plane is there wants nothing more.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use protocol::PodId;
use protocol::mesh::run::REPORT_EVERY;

use super::{NEWS, News, Order, Projects, carry_out};
use crate::majordomo::request::{Reply, Report};
use crate::majordomo::sink::{Cancel, REPLY_QUEUE, Sink};
use crate::mesh::presence;

/// Orders that are carried out at a time, for all others together.
const MAX_SERVED: usize = 16;
/// How long whoever ordered may be silent.
const SILENT: Duration = Duration::from_secs(10);
/// How long it may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Bytes of replies in one message, as JSON; a single reply may be longer.
const BATCH_BYTES: usize = 128 << 10;
/// How long replies are gathered.
const GATHER: Duration = Duration::from_millis(20);

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
    pub(super) fn take(self: Arc<Self>, from: PodId, order: Order) -> Result<(), String> {
        if !self.mesh.members().is_believed(&from) {
            return Err("only full members of the federation may ask for that".to_owned());
        }
        let host = self.its_host().ok_or("this pod has only begun, or goes")?;
        let own = self.own(&order.name).map_err(|failure| failure.message)?;
        let key = (from, order.run);
        let cancel = Cancel::default();
        {
            let mut served = self.served.lock();
            if served.len() >= MAX_SERVED {
                return Err(format!("it carries out {MAX_SERVED} orders already"));
            }
            if served.contains_key(&key) {
                return Err("it carries that order out already".to_owned());
            }
            served.insert(key, cancel.clone());
        }
        let serving = Serving(Arc::clone(&self), key);
        let (sender, replies) = sync_channel(REPLY_QUEUE);
        let (runtime, ended) = (host.pod.runtime().clone(), cancel.clone());
        let telling = runtime.clone();
        runtime.spawn(async move {
            let sink = Sink::new(sender);
            let carried = carry_out(&host, &own, order.what, &sink, &cancel).await;
            sink.reply(match carried {
                Ok((outcome, built)) => {
                    if let Some(built) = built {
                        sink.reply(Reply::Report(Report::Built(built)));
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
        let (mut heard, mut number, mut is_wanted) = (Instant::now(), 0, true);
        loop {
            let (batch, is_over) = gather(replies);
            while is_wanted {
                number += 1;
                let news = News { run, number, replies: batch.clone() };
                match runtime.block_on(self.mesh.ask::<_, bool>(&to, NEWS, &news, ANSWER)) {
                    Ok(wanted) => {
                        (heard, is_wanted) = (Instant::now(), wanted);
                        break;
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

/// The next replies, or none for [`REPORT_EVERY`]; whether these were the last.
fn gather(replies: &Receiver<Reply>) -> (Vec<Reply>, bool) {
    let (mut batch, mut bytes, mut wait, mut begun) = (Vec::new(), 0, REPORT_EVERY, None::<Instant>);
    loop {
        match replies.recv_timeout(wait) {
            Ok(reply) => {
                bytes += serde_json::to_vec(&reply).map_or(0, |json| json.len());
                batch.push(reply);
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
