//! A client's side: finds the pod of a home, or becomes it, and asks.
//!
//! Actors. Whoever takes a home's lock embeds the pod: it opens the larder, listens on `pod.sock`, and carries out its own
//! request and those of others until the last has been answered. Everybody else connects and is a thin client: builds
//! run in the holder's process. Errors of either way are [`Failure`]s. A holder that dies breaks its clients' connections;
//! each then says so, and the next call starts a new pod.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use node::Home;

use super::client::Asked;
use super::holder::{Holder, Host};
use super::request::{Failure, Needs, PodReport, Reply, Report, Request, WatchNews};
use super::sink::{Cancel, REPLY_QUEUE, Sink};
use super::{Majordomo, border, client, service};
use crate::interrupt::Interrupt;

/// How long a home may be held by somebody who does not listen (yet, or any more).
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// How often a home is tried meanwhile.
const CONNECT_POLL: Duration = Duration::from_millis(20);
/// A pod that is gone sooner is not replaced for whoever watches.
const LASTING: Duration = Duration::from_secs(2);

/// Finds or makes the engine of a home.
pub fn open(home: &Path) -> Result<Box<dyn Majordomo>, Failure> {
    Ok(Box::new(Session { home: std::path::absolute(home).unwrap_or_else(|_| home.to_owned()) }))
}

struct Session {
    home: PathBuf,
}

impl Majordomo for Session {
    fn ask(&self, request: Request, interrupt: &Interrupt, on: &mut dyn FnMut(Reply)) -> Result<(), Failure> {
        let mut deadline = Instant::now() + CONNECT_DEADLINE;
        let mut is_first = true;
        loop {
            // A pod that is there may have the project in memory, and knows at once if there is nothing to do.
            let refused = match client::connect(&Home::socket(&self.home)) {
                Ok(connection) => {
                    if let Some(result) = through(connection, &request, interrupt, on) {
                        return result;
                    }
                    // It goes: the home will be free.
                    deadline = Instant::now() + CONNECT_DEADLINE;
                    None
                }
                Err(error) => Some(error),
            };
            if std::mem::take(&mut is_first) && super::noop::answers_request(&self.home, &request, on) {
                return Ok(());
            }
            if !Home::is_there(&self.home)
                && let Some(report) = super::inspect::without_a_home(&request)
            {
                on(Reply::Report(report?));
                on(Reply::Done { outcome: None });
                return Ok(());
            }
            match request.needs() {
                Needs::Nothing => {}
                _ if self.home.exists() => {}
                Needs::Home => return Err(border::no_home(&self.home)),
                Needs::Federation => return Err(border::no_federation()),
            }
            if let Some(project) = request.builds() {
                super::prepare::outside(&self.home, project).map_err(|failure| *failure)?;
            }
            if let Some(home) = Home::take(&self.home).map_err(|e| border::home(&e))? {
                return embedded(home, request, interrupt, on);
            }
            match refused {
                Some(error) if Instant::now() >= deadline => {
                    let message = format!(
                        "another process holds the home `{}` and does not answer",
                        self.home.display()
                    );
                    let mut failure = border::machine(message);
                    failure.causes.push(error.to_string());
                    return Err(failure.hint("use another home: `--home DIR`"));
                }
                _ if interrupt.cause().is_some() => return Ok(()),
                // It is starting, or about to go: the home is free, or answers, in a moment.
                _ => std::thread::sleep(CONNECT_POLL),
            }
        }
    }
}

/// Asks the pod that holds the home; `None`: it goes, and somebody else has to be asked.
fn through(
    connection: client::Connection,
    request: &Request,
    interrupt: &Interrupt,
    on: &mut dyn FnMut(Reply),
) -> Option<Result<(), Failure>> {
    let begun = Instant::now();
    let mut has_moved = false;
    let asked = client::ask(connection, request, interrupt, &mut |reply| match reply {
        Reply::Watch(WatchNews::Moved) => has_moved = true,
        Reply::Done { .. } if has_moved => {}
        reply => on(reply),
    });
    match asked {
        Ok(()) if has_moved => None,
        Ok(()) => Some(Ok(())),
        // Whoever watches goes on without that pod, unless pods never last.
        Err(Asked::Broken(_))
            if matches!(request, Request::Watch { .. })
                && interrupt.cause().is_none()
                && begun.elapsed() > LASTING =>
        {
            None
        }
        Err(Asked::Broken(failure) | Asked::Failed(failure)) => Some(Err(failure)),
    }
}

fn embedded(
    home: Home,
    request: Request,
    interrupt: &Interrupt,
    on: &mut dyn FnMut(Reply),
) -> Result<(), Failure> {
    let holder = Holder::begin(home, None)?;
    let (sender, replies) = sync_channel(REPLY_QUEUE);
    let cancel = Cancel::default();
    let on_interrupt = cancel.clone();
    let _hooked = interrupt.on_set(move || on_interrupt.set());
    // Its own request lasts as long as this process.
    let host = Host { leaving: Cancel::default(), ..holder.host().clone() };
    let carrying = holder.runtime().spawn(service::carry_out(host, request, Sink::new(sender), cancel));
    let mut result = Ok(());
    for reply in replies {
        match reply {
            Reply::Failed(failure) => result = Err(failure),
            // This process holds the home to answer, and for nothing else.
            Reply::Report(Report::Pod(pod)) => on(Reply::Report(Report::Pod(PodReport { pid: None, ..pod }))),
            reply => on(reply),
        }
    }
    if holder.runtime().block_on(carrying).is_err() && result.is_ok() {
        result = Err(border::machine("the request ended in the middle: this is a fault of ours"));
    }
    // Who is interrupted here has not interrupted what others build: a second signal leaves at once.
    let is_interrupted = interrupt.cause().is_some();
    holder.listener().drain(&mut |words| {
        let how = if is_interrupted { " (the same signal again ends them, too)" } else { "" };
        on(Reply::Waiting(format!("{words}{how}")));
    });
    holder.end();
    result
}
