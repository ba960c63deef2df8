//! Steps that move between pods: this pod's on others, and others' on this one.

use std::future::ready;
use std::sync::{Arc, Weak};
use std::time::Duration;

use backplane::Mesh;
use backplane::mesh::Handler;
use node::Pod;
use protocol::PodId;
use protocol::mesh::NewsAnswer;
use protocol::mesh::run::{RUN, RUN_CANCEL, RUN_NEWS, RunCancel, RunNews, RunOrder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::away::{Away, OtherPods};
use super::kitchen::Kitchen;
use super::owned::Estate;

/// How long a change of the free slots is kept back, so that a pod of short steps does not talk of nothing else.
const BEAT_AFTER: Duration = Duration::from_millis(100);

/// How long it is waited for whoever reads news slowly, before it is said that there is no room: shorter than the pod that says them waits for an answer.
const ROOM: Duration = Duration::from_millis(500);

/// How long news are told to whoever has no room for them.
pub(super) const TOLD_FOR: Duration = Duration::from_secs(600);
/// The pause before news are said again that there was no room for: who answers so at once gets no more of this pod's time.
pub(super) const LATER: Duration = Duration::from_millis(100);

/// Both directions. When it is dropped no step of others runs here any more, and builds of this pod ask nobody.
pub(super) struct Steps {
    pod: Pod,
    kitchen: Arc<Kitchen>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.pod.lend(None);
        self.kitchen.cancel_all();
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Steps {
    /// Begins to take orders while fewer steps run than this, and need no more bytes of memory than this together; and to place steps.
    pub fn begin(mesh: &Arc<Mesh>, estate: &Estate, pod: &Pod, (slots, memory): (u32, Option<u64>)) -> Self {
        let away = Away::new(mesh.clone(), estate.owners.clone());
        let kitchen = Kitchen::new(mesh.clone(), estate.clone(), pod.clone(), (slots, memory));
        // What the mesh has of both is weak: they have the mesh.
        let asked: Weak<Kitchen> = Arc::downgrade(&kitchen);
        serve(mesh, RUN, {
            let asked = asked.clone();
            move |from, order: RunOrder| {
                let kitchen = asked.upgrade().filter(|_| slots > 0);
                let kitchen = kitchen.ok_or_else(|| "this pod runs no steps".to_owned());
                ready(kitchen.and_then(|kitchen| kitchen.take(from, order)))
            }
        });
        serve(mesh, RUN_CANCEL, move |from, cancel: RunCancel| {
            ready(Ok(asked.upgrade().is_some_and(|kitchen| kitchen.cancel(from, cancel.run))))
        });
        let told = Arc::downgrade(&away);
        serve_repeatable(mesh, RUN_NEWS, move |from, news: RunNews| {
            let told = told.upgrade();
            async move {
                match told {
                    Some(away) => Ok(away.heard(from, news).await),
                    None => Ok(NewsAnswer::Unwanted),
                }
            }
        });
        let tasks = [
            tokio::spawn(away.clone().follow()),
            tokio::spawn(beat_on_change(mesh.clone(), pod.slots().watch())),
        ];
        pod.lend(Some(Arc::new(OtherPods(away))));
        Self { pod: pod.clone(), kitchen, tasks }
    }

    /// Tells how many steps of others wait for a slot.
    pub fn waiting(&self) -> impl Fn() -> u32 + Send + Sync + 'static {
        let kitchen = Arc::downgrade(&self.kitchen);
        move || kitchen.upgrade().map_or(0, |kitchen| kitchen.waiting())
    }
}

/// Takes news in, if there is room for them within [`ROOM`].
pub(super) async fn hand_on<T>(to: Option<mpsc::Sender<T>>, news: T) -> NewsAnswer {
    let Some(to) = to else { return NewsAnswer::Unwanted };
    match tokio::time::timeout(ROOM, to.reserve()).await {
        Ok(Ok(place)) => {
            place.send(news);
            NewsAnswer::Taken
        }
        Ok(Err(_)) => NewsAnswer::Unwanted,
        Err(_) => NewsAnswer::Later,
    }
}

/// Serves a matter whose questions and answers have types.
pub(super) fn serve<Q, A, F>(
    mesh: &Mesh,
    matter: &str,
    answer: impl Fn(PodId, Q) -> F + Send + Sync + 'static,
) where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, String>> + Send + 'static,
{
    mesh.serve(matter, typed(answer));
}

/// As [`serve`], for questions that do nothing if they come again after a restart.
pub(super) fn serve_repeatable<Q, A, F>(
    mesh: &Mesh,
    matter: &str,
    answer: impl Fn(PodId, Q) -> F + Send + Sync + 'static,
) where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, String>> + Send + 'static,
{
    mesh.serve_repeatable(matter, typed(answer));
}

fn typed<Q, A, F>(answer: impl Fn(PodId, Q) -> F + Send + Sync + 'static) -> Handler
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = Result<A, String>> + Send + 'static,
{
    Arc::new(move |from, question| {
        let answering = serde_json::from_value(question).map(|question| answer(from, question));
        Box::pin(async move {
            let answer = answering.map_err(|error| error.to_string())?.await?;
            serde_json::to_value(answer).map_err(|error| error.to_string())
        })
    })
}

/// Beats when the free slots have changed.
async fn beat_on_change(mesh: Arc<Mesh>, mut counts: tokio::sync::watch::Receiver<(usize, usize)>) {
    while counts.changed().await.is_ok() {
        tokio::time::sleep(BEAT_AFTER).await;
        counts.mark_unchanged();
        if let Err(error) = mesh.beat().await {
            tracing::debug!(%error, "no beat");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_reads_slowly_is_not_gone() {
        let (sender, mut news) = mpsc::channel(1);
        assert_eq!(hand_on(Some(sender.clone()), 1).await, NewsAnswer::Taken);
        assert_eq!(hand_on(Some(sender.clone()), 2).await, NewsAnswer::Later);
        assert_eq!(news.recv().await, Some(1));
        assert_eq!(hand_on(Some(sender.clone()), 2).await, NewsAnswer::Taken);
        drop(news);
        assert_eq!(hand_on(Some(sender), 3).await, NewsAnswer::Unwanted);
        assert_eq!(hand_on(None, 4).await, NewsAnswer::Unwanted);
    }
}
