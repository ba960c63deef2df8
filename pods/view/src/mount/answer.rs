//! Answers a kernel request from a source: at once if the source can, else in the tokio runtime.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::SourceError;

/// Polls `ask` once in this thread; if it is pending, it and `then` move to the runtime, where they wait until the
/// answer is there or the root is closed ([`SourceError::Cancelled`]).
///
/// A source that panics costs its request (the dropped reply says `EIO`), not the session thread.
pub fn answer<T, A, F>(runtime: &Handle, closed: &watch::Sender<bool>, ask: A, then: F)
where
    T: Send + 'static,
    A: Future<Output = Result<T, SourceError>> + Send + 'static,
    F: FnOnce(Result<T, SourceError>) + Send + 'static,
{
    let mut ask = Box::pin(ask);
    let first = {
        let _context = runtime.enter();
        catch_unwind(AssertUnwindSafe(|| ask.as_mut().poll(&mut Context::from_waker(Waker::noop()))))
    };
    match first {
        Ok(Poll::Ready(result)) => then(result),
        Ok(Poll::Pending) => {
            let mut closed = closed.subscribe();
            runtime.spawn(async move {
                let result = tokio::select! {
                    biased;
                    Ok(_) = closed.wait_for(|closed| *closed) => Err(SourceError::Cancelled),
                    result = ask => result,
                };
                then(result);
            });
        }
        Err(_) => tracing::error!("a source of the view panicked"),
    }
}
