//! The thread that keeps the board moving while no event comes.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::cli::progress::BuildView;
use crate::cli::style::{ColorChoice, Style};
use crate::interrupt::Interrupt;

/// Between two drawings: fast enough to look alive.
const EVERY: Duration = Duration::from_millis(100);

/// Redraws a view until it is dropped.
#[must_use]
pub struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts it. Without a thread (the system may refuse one) the board merely stands still between events.
    pub fn start(view: Arc<Mutex<BuildView>>, interrupt: Interrupt) -> Self {
        let (stop, stopped) = channel::<()>();
        let tick = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let size = Style::of(&std::io::stderr(), ColorChoice::Never, &Default::default());
                let mut view = view.lock();
                view.resize(size);
                view.tick(interrupt.cause());
            }
        };
        let thread = std::thread::Builder::new().name("ticker".to_owned()).spawn(tick).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(Err(panicked)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panicked);
        }
    }
}
