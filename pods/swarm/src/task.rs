//! Tasks with a name, which end when their handle is dropped.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// A running task; dropping it ends it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a task under a span with its name.
pub(crate) fn spawn(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> Task {
    Task(tokio::spawn(work.instrument(tracing::debug_span!("task", name))))
}
