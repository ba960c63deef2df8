//! A pod of its own: it holds a home until it is told to go, and majordomos come and ask.
//!
//! Actors: the calling thread, which waits; the holder's threads, which serve. An embedded pod that holds the home is waited for: it goes
//! when nobody asks it any more. Another one that stands is a mistake of the user's.

use std::path::Path;
use std::time::Duration;

use node::Home;

use super::holder::Holder;
use super::request::{Failure, PodReport, Reply, Report, Request};
use super::sink::Cancel;
use super::{border, client};
use crate::interrupt::Interrupt;

/// How often a home is tried that an embedded pod holds.
const HOME_POLL: Duration = Duration::from_millis(50);

/// What somebody who stands has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The home is held by a majordomo, whose pod has to go first: its process.
    Waiting(u32),
    /// Majordomos may come: the process that stands.
    Standing(u32),
    /// It goes, when so many requests have been answered.
    Going,
}

/// Holds a home until `interrupt` is set, or somebody sends [`Request::PodStop`]. `during` is called once the pod stands, and what it gives is kept until
/// the pod goes.
///
/// # Errors
/// The home cannot be held, or `during` could not be done.
pub fn stand<T>(
    home: &Path,
    interrupt: &Interrupt,
    say: &mut dyn FnMut(News),
    during: impl FnOnce(&Holder) -> Result<T, Failure>,
) -> Result<(), Failure> {
    let Some(home) = take(home, interrupt, say)? else { return Ok(()) };
    let stop = Cancel::default();
    let holder = Holder::begin(home, Some(stop.clone()))?;
    let guest = match during(&holder) {
        Ok(guest) => guest,
        Err(failure) => {
            holder.end();
            return Err(failure);
        }
    };
    say(News::Standing(std::process::id()));
    let on_interrupt = stop.clone();
    let _hooked = interrupt.on_set(move || on_interrupt.set());
    holder.runtime().block_on(stop.wait());
    say(News::Going);
    match interrupt.cause() {
        None => holder.listener().drain(&mut |_| ()),
        Some(_) => holder.listener().send_away(),
    }
    if let Some(membership) = holder.host().membership.get() {
        membership.send_projects_away();
    }
    drop(guest);
    holder.end();
    Ok(())
}

/// The home, as soon as no embedded pod has it; `None`: interrupted meanwhile.
fn take(path: &Path, interrupt: &Interrupt, say: &mut dyn FnMut(News)) -> Result<Option<Home>, Failure> {
    let mut said = None;
    loop {
        if let Some(home) = Home::take(path).map_err(|e| border::home(&e))? {
            return Ok(Some(home));
        }
        if let Some(holder) = asked(path, interrupt)
            && let Some(pid) = holder.pid
        {
            if !holder.embedded {
                let message = format!("a pod stands in the home `{}` already: process {pid}", path.display());
                return Err(border::mistake(message)
                    .hint("`pod status` shows it, `pod stop` ends it; another pod needs a home of its own: `--home DIR`"));
            }
            if said != Some(pid) {
                said = Some(pid);
                say(News::Waiting(pid));
            }
        }
        if interrupt.cause().is_some() {
            return Ok(None);
        }
        std::thread::sleep(HOME_POLL);
    }
}

/// What the pod that holds a home says of itself, if it answers.
fn asked(home: &Path, interrupt: &Interrupt) -> Option<PodReport> {
    let connection = client::connect(&Home::socket(home)).ok()?;
    let mut report = None;
    let asked = client::ask(connection, &Request::PodStatus, interrupt, &mut |reply| {
        if let Reply::Report(Report::Pod(pod)) = reply {
            report = Some(pod);
        }
    });
    asked.ok().and(report)
}
