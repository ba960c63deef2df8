//! The steps that something is left of, and who waits for them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::limits::cgroups::Cgroup;
use crate::order::Usage;
use crate::scratch::Folder;
use crate::wire::Outcome;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    state: Mutex<State>,
    /// How many there are; none after the zygote has gone.
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    waiting: HashMap<u64, Waiting>,
    zygote_gone: bool,
}

#[derive(Debug)]
struct Waiting {
    ended: Option<oneshot::Sender<End>>,
    /// In use until the step's mounts are gone.
    _folder: Arc<Folder>,
    _group: Option<Arc<Cgroup>>,
}

/// What the thread tells a future.
#[derive(Debug)]
pub(crate) enum End {
    Ended { command: u64, outcome: Outcome, usage: Usage },
    Killed { usage: Usage },
}

impl Steps {
    /// Takes up a step; gives its number, and where its end will be told. `None` if the zygote has gone.
    pub(crate) fn add(
        &self,
        folder: Arc<Folder>,
        group: Option<Arc<Cgroup>>,
    ) -> Option<(u64, oneshot::Receiver<End>)> {
        let (sender, ended) = oneshot::channel();
        let mut state = self.state.lock();
        if state.zygote_gone {
            return None;
        }
        state.last += 1;
        let step = state.last;
        state.waiting.insert(step, Waiting { ended: Some(sender), _folder: folder, _group: group });
        self.count.send_replace(state.waiting.len());
        Some((step, ended))
    }

    /// Tells whoever waits for a step how it ended; only the first telling counts.
    pub(crate) fn end(&self, step: u64, end: End) {
        let sender = self.state.lock().waiting.get_mut(&step).and_then(|waiting| waiting.ended.take());
        if let Some(sender) = sender
            && sender.send(end).is_err()
        {
            tracing::debug!(step, "nobody waits for this step any more");
        }
    }

    /// Forgets a step that nothing is left of.
    pub(crate) fn gone(&self, step: u64) {
        let waiting = self.state.lock().waiting.remove(&step);
        // Its folder and its control group are free before anybody is told that nothing is left of it.
        drop(waiting);
        // Under the lock, or a step that is added meanwhile would not be counted.
        let state = self.state.lock();
        self.count.send_replace(state.waiting.len());
    }

    /// Forgets all steps, which went with the zygote, and takes no more. Whoever waits for one is told by the channel's end.
    pub(crate) fn zygote_gone(&self) {
        let orphans = {
            let mut state = self.state.lock();
            state.zygote_gone = true;
            std::mem::take(&mut state.waiting)
        };
        drop(orphans);
        self.count.send_replace(0);
    }

    /// Whether the zygote has gone.
    pub(crate) fn has_no_zygote(&self) -> bool {
        self.state.lock().zygote_gone
    }

    /// Waits until there are none.
    pub(crate) async fn settled(&self) {
        let mut count = self.count.subscribe();
        // An error would mean that the sender is gone, which `self` holds.
        if count.wait_for(|&count| count == 0).await.is_err() {
            tracing::debug!("steps are counted no more");
        }
    }
}
