//! What the last build of each workspace said: written down as it is said, and read by whoever wants to follow it, from its beginning.
//!
//! `said.jsonl`, beside what else is remembered of a workspace, has the events of the last build that was more than a look, one a line, and why it
//! could not be carried out, if it could not. Each build begins a file of its own, which takes the place of the one before as soon as it does
//! something; who still reads that comes to its end. Beyond [`MAX_BYTES`] what steps print is left out, and that is said. What cannot be written is
//! lost: no build ends because its journal does. A crash leaves a journal without an end, and that is said to whoever reads it. Of workspaces that
//! nobody has built for long, [`MAX_JOURNALS`] are kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use node::Home;
use parking_lot::Mutex;
use protocol::event::{Event, How, Outcome, Stamped};
use protocol::socket::MAX_LINE;
use protocol::{StepId, WorkspaceId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::border;
use super::request::{Failure, Reply, WatchNews};
use super::sink::{Cancel, Sink};

/// How large a journal gets by what steps print.
pub const MAX_BYTES: u64 = 8 << 20;
/// Journals of one home; those that were written longest ago go first.
pub const MAX_JOURNALS: usize = 128;
const FILE: &str = "said.jsonl";
/// The journal of a build that is only a look so far.
const LOOK: &str = "said.new";
/// Where journals were before they lay with their workspaces.
const BEFORE: &str = "builds";

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
    journals: Journals,
    path: PathBuf,
    state: watch::Sender<State>,
    writing: Arc<Mutex<Option<Writing>>>,
}

/// The file of a build.
struct Writing {
    file: File,
    bytes: u64,
    /// Whether it is more than a look, and so has the place of the last one.
    counts: bool,
}

/// Why a build could not be carried out, as a line of its journal.
#[derive(Serialize, Deserialize)]
struct Refused {
    refused: Failure,
}

impl Journals {
    /// Those of a home.
    pub fn of(home: &Path) -> Self {
        // They were of builds that are long over.
        fs::remove_dir_all(home.join(BEFORE)).ok();
        Self { home: home.to_owned(), states: Arc::default() }
    }

    /// Removes what was written longest ago, but for [`MAX_JOURNALS`].
    fn sweep(&self) {
        let mut all: Vec<(SystemTime, PathBuf)> = Home::workspaces(&self.home)
            .into_iter()
            .map(|workspace| self.path(workspace))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        all.sort();
        let extra = all.len().saturating_sub(MAX_JOURNALS);
        for (_, path) in all.drain(..extra) {
            fs::remove_file(path).ok();
        }
    }

    fn path(&self, workspace: WorkspaceId) -> PathBuf {
        Home::workspace(&self.home, workspace).join(FILE)
    }

    fn state(&self, workspace: WorkspaceId) -> watch::Sender<State> {
        self.states.lock().entry(workspace).or_insert_with(|| watch::Sender::new(State::default())).clone()
    }

    /// For builds of a workspace.
    pub fn write(&self, workspace: WorkspaceId) -> Journal {
        Journal {
            journals: self.clone(),
            path: self.path(workspace),
            state: self.state(workspace),
            writing: Arc::default(),
        }
    }

    /// Says the last build of a workspace from its beginning, goes on while it runs, and then with the next ones, unless it is told `once`. Of a step
    /// alone, if one is named, or of all steps of a rule.
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
            let mut end = None;
            if let Some(reading) = &mut reading {
                end = reading.rest(step, sink).map_err(failed)?;
            }
            let has_said_it = once && end.is_some();
            // What is there has been read to its end before the next one is opened.
            let next = Reading::after(reading.as_ref(), &path).map_err(failed)?.filter(|_| !has_said_it);
            if let Some(mut next) = next {
                end = next.rest(step, sink).map_err(failed)?;
                reading = Some(next);
                if !once {
                    if let Some(Err(refused)) = end {
                        sink.reply(Reply::Watch(WatchNews::Refused(*refused)));
                    }
                    continue;
                }
            }
            if !once && let Some(Err(refused)) = end.take() {
                sink.reply(Reply::Watch(WatchNews::Refused(*refused)));
            }
            let is_over = end.is_some() || state.builds == state.ended;
            if once && is_over {
                return match (end, reading) {
                    (Some(end), _) => end.map(Some),
                    (None, Some(_)) => Err(Box::new(border::machine(
                        "the build has no end: its pod was killed in the middle of it, or what it said could not be written down",
                    ))),
                    (None, None) => Err(Box::new(
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
            *self.writing.lock() = None;
        }
        if matches!(event.event, Event::BuildFinished { .. }) {
            // Also where nothing of it could be written: whoever waits for its end waits no more.
            self.state.send_modify(|state| state.ended = state.builds);
        }
    }

    /// Writes down why the build, which has not ended yet, cannot be carried out.
    pub fn refused(&self, failure: &Failure) {
        let line = serde_json::to_vec(&Refused { refused: failure.clone() });
        if let (Some(writing), Ok(mut line)) = (&mut *self.writing.lock(), line) {
            line.push(b'\n');
            // Its end says that it failed.
            writing.file.write_all(&line).ok();
        }
    }

    fn write(&self, event: &Stamped) -> io::Result<()> {
        let mut writing = self.writing.lock();
        if matches!(event.event, Event::BuildStarted { .. }) {
            *writing = Some(self.begin()?);
        }
        let Some(now) = &mut *writing else { return Ok(()) };
        let mut line = line(event)?;
        if now.bytes + line.len() as u64 > MAX_BYTES && matches!(event.event, Event::StepOutput { .. }) {
            if now.bytes > MAX_BYTES {
                return Ok(());
            }
            let text = "more was printed than is kept of a build".to_owned();
            line = self::line(&Stamped { at: event.at, event: Event::Note { warning: true, text } })?;
            // Once.
            now.bytes = MAX_BYTES;
        }
        now.file.write_all(&line)?;
        now.bytes += line.len() as u64;
        if !now.counts && is_more_than_a_look(&event.event) {
            now.counts = true;
            fs::rename(self.path.with_file_name(LOOK), &self.path)?;
            self.journals.sweep();
            self.state.send_modify(|state| state.builds += 1);
        }
        if now.counts {
            let bytes = now.bytes;
            self.state.send_modify(|state| state.bytes = bytes);
        } else if matches!(event.event, Event::BuildFinished { .. }) {
            *writing = None;
            fs::remove_file(self.path.with_file_name(LOOK))?;
        }
        Ok(())
    }

    /// The file of a new build, beside that of the last.
    fn begin(&self) -> io::Result<Writing> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(Writing { file: File::create(self.path.with_file_name(LOOK))?, bytes: 0, counts: false })
    }
}

fn line(event: &Stamped) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line)
}

/// Whether a build that says so runs or writes something, or fails.
fn is_more_than_a_look(event: &Event) -> bool {
    match event {
        Event::StepStarted { .. }
        | Event::StepHeld { .. }
        | Event::StepResumed { .. }
        | Event::StepRestarted { .. }
        | Event::StepUsed { .. }
        | Event::StepExplained { .. } => true,
        Event::StepFinished { how, .. } => *how != How::Reused,
        Event::BuildFinished { outcome, written, .. } => *outcome != Outcome::Success || *written > 0,
        Event::BuildStarted { .. }
        | Event::Planned { .. }
        | Event::StepOutput { .. }
        | Event::Note { .. } => false,
    }
}

/// How a build ended, or why it could not be carried out.
type End = Result<Outcome, Box<Failure>>;

/// A journal that grows, and why its build could not be carried out, if that has been read.
struct Reading(BufReader<File>, Option<Box<Failure>>);

impl Reading {
    /// The journal that stands there now, if it is another one than that which was read.
    fn after(last: Option<&Self>, path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // One that is open keeps its number.
        let is_same = match last {
            Some(Self(last, _)) => last.get_ref().metadata()?.ino() == file.metadata()?.ino(),
            None => false,
        };
        Ok((!is_same).then(|| Self(BufReader::new(file), None)))
    }

    /// Says what has come since the last time; the build's end, if it has come.
    fn rest(&mut self, step: Option<&str>, sink: &Sink) -> io::Result<Option<End>> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = self.0.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                if read == MAX_LINE {
                    // Longer than anything that can be handed on.
                    self.0.skip_until(b'\n')?;
                    continue;
                }
                // The rest of it comes later.
                self.0.seek(SeekFrom::Current(-(read as i64)))?;
                return Ok(None);
            }
            let Ok(event) = serde_json::from_slice::<Stamped>(&line) else {
                if let Ok(Refused { refused }) = serde_json::from_slice(&line) {
                    self.1 = Some(Box::new(refused));
                }
                continue;
            };
            let outcome = match event.event {
                Event::BuildFinished { outcome, .. } => Some(outcome),
                _ => None,
            };
            if step.is_none_or(|step| is_about(&event.event, step)) {
                sink.reply(Reply::Event(event));
            }
            if let Some(outcome) = outcome {
                return Ok(Some(self.1.take().map_or(Ok(outcome), Err)));
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

    fn started(step: &str) -> Stamped {
        let (pod, reason) = ("here".to_owned(), "why".to_owned());
        stamped(Event::StepStarted { step: StepId::new(step), pod, reason })
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
        for event in [begun(), started("a"), printed("a", "first".into()), ended(), begun(), started("b:x")] {
            journal.note(&event);
        }
        journal.note(&printed("b:x", "last".into()));
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
        for event in [printed("a", "more".into()), ended(), begun(), started("b:y")] {
            journal.note(&event);
        }
        for event in [printed("b:y", "next".into()), ended()] {
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
        journal.note(&started("a"));
        // As on a disk that is full.
        journal.writing.lock().as_mut().unwrap().file =
            File::options().write(true).open("/dev/full").unwrap();
        journal.note(&printed("a", "text".into()));
        journal.note(&ended());
        let (sink, _replies) = sink();
        let ended = journals.follow(workspace, (None, true), &sink, &Cancel::default()).await;
        assert!(ended.unwrap_err().message.contains("the build has no end"));
    }

    #[tokio::test]
    async fn a_look_leaves_the_last_build_there_and_a_killed_one_has_no_end() {
        let home = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::from_random(1);
        let journals = Journals::of(home.path());
        let journal = journals.write(workspace);
        let last = async |journals: &Journals| {
            let (sink, replies) = sink();
            let ended = journals.follow(workspace, (None, true), &sink, &Cancel::default()).await;
            (ended, texts(&replies))
        };
        for event in [begun(), started("a"), printed("a", "built".into()), ended()] {
            journal.note(&event);
        }
        // What reused steps had printed is said again, and nothing is run.
        let reused = stamped(Event::step_finished(StepId::new("a"), How::Reused));
        for event in [begun(), printed("a", "again".into()), reused, ended()] {
            journal.note(&event);
        }
        let (outcome, said) = last(&journals).await;
        assert_eq!((outcome.unwrap(), said), (Some(Outcome::Success), vec!["built".to_owned()]));
        // Why a build could not be carried out is its end.
        journal.note(&begun());
        journal.refused(&border::mistake("no such target"));
        let failed = ended();
        let Event::BuildFinished { steps, ran, reused, failed: count, written, seconds, .. } = failed.event
        else {
            unreachable!()
        };
        let outcome = Outcome::Failure;
        journal.note(&stamped(Event::BuildFinished {
            outcome,
            steps,
            ran,
            reused,
            failed: count,
            written,
            seconds,
        }));
        let (refused, _) = last(&journals).await;
        assert_eq!(refused.unwrap_err().message, "no such target");
        // A line that nobody could hand on is passed over.
        for event in [begun(), started("a"), printed("a", "x".repeat(MAX_LINE)), printed("a", "short".into())]
        {
            journal.note(&event);
        }
        // kill -9: another life.
        let (killed, said) = last(&Journals::of(home.path())).await;
        assert!(killed.unwrap_err().message.contains("its pod was killed"));
        assert_eq!(said, ["short"]);
    }

    #[test]
    fn journals_of_long_ago_go() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(BEFORE)).unwrap();
        let journals = Journals::of(home.path());
        assert!(!home.path().join(BEFORE).exists());
        let workspaces = (1..=MAX_JOURNALS as u128 + 2).map(WorkspaceId::from_random);
        for (second, workspace) in (0_u64..).zip(workspaces.clone()) {
            let journal = journals.write(workspace);
            journal.note(&begun());
            journal.note(&started("a"));
            let file = File::options().append(true).open(journals.path(workspace)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second)).unwrap();
        }
        let kept: Vec<bool> = workspaces.map(|workspace| journals.path(workspace).exists()).collect();
        assert_eq!(kept.iter().filter(|kept| **kept).count(), MAX_JOURNALS);
        assert!(kept.ends_with(&[true]) && kept.starts_with(&[false, false]));
    }

    #[tokio::test]
    async fn a_step_that_prints_much_fills_no_disk() {
        let home = tempfile::tempdir().unwrap();
        let workspace = WorkspaceId::from_random(1);
        let journals = Journals::of(home.path());
        let journal = journals.write(workspace);
        journal.note(&begun());
        journal.note(&started("a"));
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
