//! What the last build of each workspace said: written down as it is said, and read by whoever wants to follow it, from its beginning.
//!
//! `said.jsonl`, beside what else is remembered of a workspace, has the events of the last build that was more than a look, one a line. Each build begins a file of its own, which takes the place of the one before; who
//! still reads that comes to its end. Beyond [`MAX_BYTES`] what steps print is left out, and that is said. What cannot be written is lost: no build ends because its journal
//! does. A crash leaves a journal without an end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::Home;
use parking_lot::Mutex;
use protocol::event::{Event, Outcome, Stamped};
use protocol::{StepId, WorkspaceId};
use tokio::sync::watch;

use super::border;
use super::request::{Failure, Reply};
use super::sink::{Cancel, Sink};

/// How large a journal gets by what steps print.
pub const MAX_BYTES: u64 = 8 << 20;
const FILE: &str = "said.jsonl";

/// The journals of a home. Clones are one.
#[derive(Clone)]
pub struct Journals {
    home: PathBuf,
    states: Arc<Mutex<BTreeMap<WorkspaceId, watch::Sender<State>>>>,
}

/// How far a workspace's journal is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// Builds that were begun in this life.
    builds: u64,
    /// Those of them that have ended.
    ended: u64,
    /// What the last one has written.
    bytes: u64,
}

/// Writes the journal of one build after the other. Clones are one.
#[derive(Clone)]
pub struct Journal {
    path: PathBuf,
    state: watch::Sender<State>,
    file: Arc<Mutex<Option<File>>>,
}

impl Journals {
    /// Those of a home.
    pub fn of(home: &Path) -> Self {
        Self { home: home.to_owned(), states: Arc::default() }
    }

    fn path(&self, workspace: WorkspaceId) -> PathBuf {
        Home::workspace(&self.home, workspace).join(FILE)
    }

    fn state(&self, workspace: WorkspaceId) -> watch::Sender<State> {
        self.states.lock().entry(workspace).or_insert_with(|| watch::Sender::new(State::default())).clone()
    }

    /// For builds of a workspace.
    pub fn write(&self, workspace: WorkspaceId) -> Journal {
        Journal { path: self.path(workspace), state: self.state(workspace), file: Arc::default() }
    }

    /// Says the last build of a workspace from its beginning, goes on while it runs, and then with the next ones, unless it is told `once`. Of a step alone, if one is named, or of
    /// all steps of a rule.
    ///
    /// # Errors
    /// The journal cannot be read; or there is none to be said once.
    pub async fn follow(
        &self,
        workspace: WorkspaceId,
        (step, once): (Option<&str>, bool),
        sink: &Sink,
        cancel: &Cancel,
    ) -> Result<Option<Outcome>, Box<Failure>> {
        let path = self.path(workspace);
        let failed = |error: io::Error| {
            let mut failure = border::machine(format!("cannot read `{}`", path.display()));
            failure.causes.push(error.to_string());
            Box::new(failure)
        };
        let mut changes = self.state(workspace).subscribe();
        let mut reading: Option<Reading> = None;
        loop {
            let state = *changes.borrow_and_update();
            let mut outcome = None;
            if let Some(reading) = &mut reading {
                outcome = reading.rest(step, sink).map_err(failed)?;
            }
            let has_said_it = once && outcome.is_some();
            // What is there has been read to its end before the next one is opened.
            let next = Reading::after(reading.as_ref(), &path).map_err(failed)?.filter(|_| !has_said_it);
            if let Some(mut next) = next {
                outcome = next.rest(step, sink).map_err(failed)?;
                reading = Some(next);
                if !once {
                    continue;
                }
            }
            // A build that died has no end.
            let is_over = outcome.is_some() || state.builds == state.ended;
            if once && is_over {
                return match reading {
                    Some(_) => Ok(outcome),
                    None => Err(Box::new(
                        border::mistake("no build of this project was written down here")
                            .hint("without `--once` the next one is waited for"),
                    )),
                };
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return Ok(None) },
                () = cancel.wait() => return Ok(None),
            }
        }
    }
}

impl Journal {
    /// Writes an event down.
    pub fn note(&self, event: &Stamped) {
        if let Err(error) = self.write(event) {
            tracing::warn!(%error, path = %self.path.display(), "what a build says is not written down");
            *self.file.lock() = None;
        }
        if matches!(event.event, Event::BuildFinished { .. }) {
            // Also where nothing of it could be written: whoever waits for its end waits no more.
            self.state.send_modify(|state| state.ended = state.builds);
        }
    }

    fn write(&self, event: &Stamped) -> io::Result<()> {
        let mut file = self.file.lock();
        if matches!(event.event, Event::BuildStarted { .. }) {
            *file = Some(self.begin()?);
            self.state.send_modify(|state| *state = State { builds: state.builds + 1, bytes: 0, ..*state });
        }
        let Some(file) = &mut *file else { return Ok(()) };
        let before = self.state.borrow().bytes;
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        if before + line.len() as u64 > MAX_BYTES && matches!(event.event, Event::StepOutput { .. }) {
            if before > MAX_BYTES {
                return Ok(());
            }
            let text = "more was printed than is kept of a build".to_owned();
            line = serde_json::to_vec(&Stamped { at: event.at, event: Event::Note { warning: true, text } })?;
            line.push(b'\n');
            // Once.
            self.state.send_modify(|state| state.bytes = MAX_BYTES);
        }
        file.write_all(&line)?;
        self.state.send_modify(|state| state.bytes += line.len() as u64);
        Ok(())
    }

    /// The file of a new build, in place of that of the last.
    fn begin(&self) -> io::Result<File> {
        let beside = self.path.with_extension("new");
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::create(&beside)?;
        fs::rename(&beside, &self.path)?;
        Ok(file)
    }
}

/// A journal that grows.
struct Reading(BufReader<File>);

impl Reading {
    /// The journal that stands there now, if it is another one than that which was read.
    fn after(last: Option<&Self>, path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // One that is open keeps its number.
        let is_same = match last {
            Some(Self(last)) => last.get_ref().metadata()?.ino() == file.metadata()?.ino(),
            None => false,
        };
        Ok((!is_same).then(|| Self(BufReader::new(file))))
    }

    /// Says what has come since the last time; the build's outcome, if it has ended.
    fn rest(&mut self, step: Option<&str>, sink: &Sink) -> io::Result<Option<Outcome>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read =
                self.0.by_ref().take(protocol::socket::MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                // The rest of it comes later.
                self.0.seek(SeekFrom::Current(-(read as i64)))?;
                return Ok(None);
            }
            let Ok(event) = serde_json::from_slice::<Stamped>(&line) else { continue };
            let outcome = match event.event {
                Event::BuildFinished { outcome, .. } => Some(outcome),
                _ => None,
            };
            if step.is_none_or(|step| is_about(&event.event, step)) {
                sink.reply(Reply::Event(event));
            }
            if outcome.is_some() {
                return Ok(outcome);
            }
        }
    }
}

/// Whether an event is about a step, or about the whole build.
fn is_about(event: &Event, wanted: &str) -> bool {
    let of = |step: &StepId| {
        let id = step.as_str();
        id == wanted || id.strip_prefix(wanted).is_some_and(|rest| rest.starts_with([':', '#']))
    };
    match event {
        Event::StepStarted { step, .. }
        | Event::StepOutput { step, .. }
        | Event::StepHeld { step, .. }
        | Event::StepResumed { step }
        | Event::StepRestarted { step, .. }
        | Event::StepUsed { step, .. }
        | Event::StepFinished { step, .. }
        | Event::StepExplained { step, .. } => of(step),
        Event::Planned { .. } | Event::Note { .. } => false,
        Event::BuildStarted { .. } | Event::BuildFinished { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use protocol::BuildId;
    use protocol::event::{EVENT_SCHEMA, Stream};

    use super::*;
    use crate::majordomo::sink::REPLY_QUEUE;

    fn stamped(event: Event) -> Stamped {
        Stamped { at: 0.5, event }
    }

    fn begun() -> Stamped {
        stamped(Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(1) })
    }

    fn printed(step: &str, text: String) -> Stamped {
        stamped(Event::StepOutput { step: StepId::new(step), stream: Stream::Stdout, text })
    }

    fn ended() -> Stamped {
        let (outcome, steps, ran, reused, failed, written) = (Outcome::Success, 1, 1, 0, 0, 0);
        stamped(Event::BuildFinished { outcome, steps, ran, reused, failed, written, seconds: 1.0 })
    }

    fn sink() -> (Sink, Receiver<Reply>) {
        let (sender, replies) = sync_channel(REPLY_QUEUE);
        (Sink::new(sender), replies)
    }

    fn texts(replies: &Receiver<Reply>) -> Vec<String> {
        let event = |reply| match reply {
            Reply::Event(Stamped { event: Event::StepOutput { text, .. }, .. }) => Some(text),
            _ => None,
        };
        replies.try_iter().filter_map(event).collect()
    }

    #[tokio::test]
    async fn the_last_build_is_said_again_and_the_next_ones_as_they_come() {
        let home = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::from_random(1);
        let journals = Journals::of(home.path());
        let (sink_once, replies) = sink();
        let none = journals.follow(workspace, (None, true), &sink_once, &Cancel::default()).await;
        assert!(none.unwrap_err().message.contains("no build of this project"));
        let journal = journals.write(workspace);
        for event in [begun(), printed("a", "first".into()), ended(), begun(), printed("b:x", "last".into())]
        {
            journal.note(&event);
        }
        let (live, heard) = sink();
        let following = {
            let (journals, cancel) = (journals.clone(), Cancel::default());
            let ends = cancel.clone();
            (
                tokio::spawn(async move { journals.follow(workspace, (None, false), &live, &cancel).await }),
                ends,
            )
        };
        tokio::task::yield_now().await;
        for event in [printed("a", "more".into()), ended(), begun(), printed("b:y", "next".into()), ended()] {
            journal.note(&event);
        }
        let mut all = Vec::new();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
            all.extend(texts(&heard));
        }
        assert_eq!(all, ["last", "more", "next"]);
        following.1.set();
        assert_eq!(following.0.await.unwrap().unwrap(), None);
        // In another life, of one rule.
        let again = Journals::of(home.path());
        let outcome = again.follow(workspace, (Some("b"), true), &sink_once, &Cancel::default()).await;
        assert_eq!((outcome.unwrap(), texts(&replies)), (Some(Outcome::Success), vec!["next".to_owned()]));
        let outcome = again.follow(workspace, (Some("a"), true), &sink_once, &Cancel::default()).await;
        assert_eq!((outcome.unwrap(), texts(&replies)), (Some(Outcome::Success), vec![]));
    }

    #[tokio::test]
    async fn what_cannot_be_written_down_ends_all_the_same() {
        let home = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::from_random(1);
        let journals = Journals::of(home.path());
        let journal = journals.write(workspace);
        journal.note(&begun());
        // As on a disk that is full.
        *journal.file.lock() = Some(File::options().write(true).open("/dev/full").unwrap());
        journal.note(&printed("a", "text".into()));
        journal.note(&ended());
        let (sink, _replies) = sink();
        let outcome = journals.follow(workspace, (None, true), &sink, &Cancel::default()).await;
        assert_eq!(outcome.unwrap(), None);
    }

    #[tokio::test]
    async fn a_step_that_prints_much_fills_no_disk() {
        let home = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::from_random(1);
        let journals = Journals::of(home.path());
        let journal = journals.write(workspace);
        journal.note(&begun());
        for _ in 0..20 {
            journal.note(&printed("a", "x".repeat(1 << 20)));
        }
        journal.note(&ended());
        let size = fs::metadata(journals.path(workspace)).unwrap().len();
        assert!((MAX_BYTES - (1 << 21)..=MAX_BYTES + 1024).contains(&size), "{size}");
        let text = fs::read_to_string(journals.path(workspace)).unwrap();
        assert_eq!(text.matches("more was printed than is kept").count(), 1);
        assert!(text.lines().last().unwrap().contains("build-finished"));
    }
}
