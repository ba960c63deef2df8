//! Builds that follow what changes.
//!
//! Actors: one task for each request that watches. It builds, waits until something that counts has changed and no more comes
//! for a moment, and builds again. A source that changes while a build runs ends that build, and the next one begins: what was
//! finished is reused. What a hand-over writes does not count, since it agrees with the manifest. An output that is gone makes
//! a build, which restores it; one that was edited does too, and the build says so and overwrites nothing. A tool or header of the
//! machine that is no longer as the last good build used it makes a build. A build that fails or cannot begin ends nothing:
//! the next change is waited for. Errors end the request only when the project cannot be watched any more.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use node::Pod;
use protocol::event::Outcome;
use tokio::sync::watch;

use super::projects;
use super::settle::{Patience, Settling};
use super::watched::{self, Change, Lost, Watched};
use crate::majordomo::border;
use crate::majordomo::build::{self, Asked};
use crate::majordomo::prepare;
use crate::majordomo::request::{Failure, Reply, WatchNews, WatchOptions};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::workspace::{Manifest, Moment, Workspace};

/// So many changes are named.
const NAMED: usize = 5;
/// After so long without a change the last build is written down for builds of other processes.
const IDLE: Duration = Duration::from_secs(2);

type Fallible<T> = Result<T, Box<Failure>>;

/// Builds, and builds again whenever something that counts has changed, until it is cancelled or the pod goes.
pub async fn follow(
    pod: &Pod,
    asked: Asked,
    options: WatchOptions,
    sink: &Sink,
    (cancel, leaving): (&Cancel, &Cancel),
) -> Fallible<()> {
    prepare::outside(pod.home().path(), &asked.project)?;
    let workspace = Workspace::open_or_create(&asked.project).map_err(|e| Box::new(border::workspace(&e)))?;
    let polling = options.poll_ms.map(Duration::from_millis);
    let theirs = workspace.clone();
    let joining = blocking(move || projects::join(theirs, watched::by(polling)));
    let watched = tokio::select! {
        joined = joining => joined?.map_err(|lost| Box::new(border::lost(&lost)))?,
        () = cancel.wait() => return Ok(()),
    };
    let patience = Patience { quiet: Duration::from_millis(options.settle_ms), ..Patience::default() };
    let mut follower = Follower {
        pod,
        asked,
        sink,
        cancel,
        workspace,
        series: Series { told: watched.told().subscribe(), settling: Settling::new(patience) },
        version: 0,
        watched,
    };
    while !cancel.is_set() {
        if follower.build().await? {
            continue;
        }
        if !follower.wait(leaving).await? {
            break;
        }
    }
    if leaving.is_set() && !cancel.is_set() {
        sink.reply(Reply::Watch(WatchNews::Moved));
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Fallible<T> {
    let running = tokio::task::spawn_blocking(act);
    running
        .await
        .map_err(|_| Box::new(border::machine("watching ended in the middle: this is a fault of ours")))
}

/// Changes, series by series.
struct Series {
    told: watch::Receiver<u64>,
    settling: Settling,
}

impl Series {
    /// Waits for the end of a series of changes. Safe to cancel.
    async fn next(&mut self) {
        loop {
            let changed = self.told.changed();
            match self.settling.due() {
                None => {
                    if changed.await.is_err() {
                        return std::future::pending().await;
                    }
                    self.settling.touched(Instant::now());
                }
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()) => {}
                        _ = changed => self.settling.touched(Instant::now()),
                    }
                }
            }
            if self.settling.is_over(Instant::now()) {
                return;
            }
        }
    }
}

struct Follower<'a> {
    pod: &'a Pod,
    asked: Asked,
    sink: &'a Sink,
    cancel: &'a Cancel,
    workspace: Workspace,
    watched: Arc<Watched>,
    series: Series,
    /// What has been built, or is being.
    version: u64,
}

/// What was found to have changed.
struct Found {
    changes: Vec<Change>,
    version: u64,
    /// The first thing of the machine that is another one.
    machine: Option<std::path::PathBuf>,
    /// It cannot be looked at, which a build will say.
    is_unreadable: bool,
}

/// Looks at the project; what counts of the changes since a version.
fn look(watched: &Watched, since: u64) -> Result<Found, Lost> {
    let manifest = match watched.manifest() {
        Ok(manifest) => manifest,
        // A build says so, and mends it.
        Err(error) => {
            tracing::debug!(%error, "the manifest cannot be read");
            Arc::new(Manifest::default())
        }
    };
    let (snapshot, version) = match watched.look(&manifest, Moment::now()) {
        Err(Lost::Snapshot(error)) => {
            tracing::debug!(%error, "the project cannot be looked at");
            return Ok(Found { changes: Vec::new(), version: since, machine: None, is_unreadable: true });
        }
        looked => looked?,
    };
    let mut changes = watched.changed(&snapshot, since);
    let machine = match changes.contains(&Change::Machine) {
        true => watched.changed_upstream(),
        false => None,
    };
    changes.retain(|change| *change != Change::Machine);
    Ok(Found { changes, version, machine, is_unreadable: false })
}

impl Follower<'_> {
    async fn look(&self) -> Fallible<Found> {
        let (watched, since) = (Arc::clone(&self.watched), self.version);
        blocking(move || look(&watched, since)).await?.map_err(|lost| Box::new(border::lost(&lost)))
    }

    /// Builds once; whether something came in between that the next build is for.
    async fn build(&mut self) -> Fallible<bool> {
        self.version = self.look().await?.version;
        let stop = Cancel::default();
        let sink = self.sink.again();
        let mut superseded = false;
        let ended = {
            let build = build::build(self.pod, self.asked.clone(), &sink, &stop);
            tokio::pin!(build);
            loop {
                tokio::select! {
                    ended = &mut build => break ended,
                    () = self.cancel.wait(), if !stop.is_set() => stop.set(),
                    () = self.series.next(), if !stop.is_set() => {
                        let (watched, since) = (Arc::clone(&self.watched), self.version);
                        let looking = blocking(move || look(&watched, since));
                        tokio::pin!(looking);
                        // The build goes on while it is looked.
                        let found = tokio::select! {
                            found = &mut looking => found?.map_err(|lost| Box::new(border::lost(&lost))),
                            ended = &mut build => {
                                looking.await.ok();
                                break ended;
                            }
                        };
                        // Outputs are being written: what they are is looked at afterwards.
                        let sources = found.map(|mut found| {
                            found.changes.retain(|change| matches!(change, Change::Source(_) | Change::Much));
                            found
                        });
                        match sources {
                            Ok(found) if found.changes.is_empty() && found.machine.is_none() => {}
                            Ok(found) => {
                                self.say_changed(&found, true);
                                superseded = true;
                                stop.set();
                            }
                            // The build finds out by itself, and then so do we.
                            Err(_) => stop.set(),
                        }
                    }
                }
            }
        };
        match ended {
            Ok(Outcome::Success | Outcome::Failure | Outcome::Cancelled) => {}
            Err(_) if stop.is_set() => {}
            Err(failure) => self.sink.reply(Reply::Watch(WatchNews::Refused(*failure))),
        }
        Ok(superseded && !self.cancel.is_set())
    }

    /// Waits until something that counts has changed; `false`: there is nothing to wait for any more.
    async fn wait(&mut self, leaving: &Cancel) -> Fallible<bool> {
        let mut has_said = false;
        let mut is_written = false;
        let mut was_unreadable = false;
        loop {
            if self.cancel.is_set() {
                return Ok(false);
            }
            let found = self.look().await?;
            let is_readable_again =
                std::mem::replace(&mut was_unreadable, found.is_unreadable) && !found.is_unreadable;
            if !found.changes.is_empty() || found.machine.is_some() || is_readable_again {
                self.say_changed(&found, false);
                return Ok(true);
            }
            self.version = found.version;
            if !std::mem::replace(&mut has_said, true) {
                let (paths, upstream) = self.watched.counts();
                let poll_ms = self.watched.interval().map(|interval| interval.as_millis() as u64);
                let (paths, upstream) = (paths as u64, upstream as u64);
                self.sink.reply(Reply::Watch(WatchNews::Waiting { paths, upstream, poll_ms }));
            }
            tokio::select! {
                () = self.cancel.wait() => return Ok(false),
                () = leaving.wait() => return Ok(false),
                () = self.series.next() => {}
                () = tokio::time::sleep(IDLE), if !is_written => {
                    is_written = true;
                    let (watched, workspace) = (Arc::clone(&self.watched), self.workspace.clone());
                    if let Err(why) = blocking(move || watched.write(&workspace)).await? {
                        tracing::debug!(why, "the last build is not written down");
                    }
                }
            }
        }
    }

    fn say_changed(&self, found: &Found, superseded: bool) {
        let words = |change: &Change| match change {
            Change::Source(path) => path.to_string(),
            Change::Missing(path) => format!("{path} is gone"),
            Change::Edited(path) => format!("{path} was edited by hand"),
            Change::Machine | Change::Much => "much".to_owned(),
        };
        let of_machine = |path: &std::path::PathBuf| Path::new(path).display().to_string();
        let mut what: Vec<String> =
            found.changes.iter().map(words).chain(found.machine.iter().map(of_machine)).collect();
        what.dedup();
        let more = what.len().saturating_sub(NAMED) as u64;
        what.truncate(NAMED);
        self.sink.reply(Reply::Watch(WatchNews::Changed { what, more, superseded }));
    }
}
