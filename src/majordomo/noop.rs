//! The build with nothing to do: answered from the stamp record alone, before a home is taken or a pod is started; or by the
//! pod that watches the project, from memory.
//!
//! After a good build the stamps of everything that it depended on are recorded, with what the caller asked for and what
//! reused steps had printed. If the same is asked again and no stamp has moved, nothing has to be done. Anything
//! else – another build that is running, an option that changes what is said, a record that is missing, damaged or of
//! another version – is answered by the long way.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use protocol::codec::{BadObject, Reader, Writer};
use protocol::event::{EVENT_SCHEMA, Event, How, Outcome, Stream};
use protocol::step::SANDBOX_PROFILE;
use protocol::{Digest, StepId};

use super::build::{self, Asked};
use super::request::{Reply, Request};
use super::revoked;
use super::sink::Sink;
use super::snapshot::StampRecord;
use super::tool_roots::{self, ToolRoot};
use super::uses;
use super::watch::kept::Kept;
use super::watch::projects;
use super::watch::watched::Watched;
use super::workspace::Workspace;

const FORMAT: u8 = 2;

/// What steps print is recorded up to so many bytes; a build that printed more has no record.
pub const MAX_PRINTED: usize = 256 * 1024;

/// Replies that wait: each event is passed on before the next one is said. A queue is memory that is made ready at once.
const QUEUE: usize = 1;

/// What a record says beside the stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// [`question`] of the build.
    pub question: Digest,
    /// The names of variables that steps pass on, and the digest of their values ([`passed_on`]).
    pub variables: (Vec<String>, Digest),
    /// The tool roots that the project file names, and the digest of where all of them are ([`tool_roots()`]).
    pub tool_roots: (Vec<PathBuf>, Digest),
    /// How many steps the targets need.
    pub steps: u64,
    /// What they printed, in the order in which they ended.
    pub printed: Vec<(StepId, Stream, Vec<u8>)>,
}

/// What was asked, as far as it decides what is made: the targets, the home and how often it has revoked what came from others, and what
/// this program is.
pub fn question(home: &Path, targets: &[String]) -> Digest {
    let mut writer = Writer::with_format(FORMAT);
    writer.bytes(SANDBOX_PROFILE.as_bytes()).bytes(env!("CARGO_PKG_VERSION").as_bytes());
    writer.bytes(home.as_os_str().as_bytes()).bytes(&revoked::times(home)).number(targets.len() as u64);
    for target in targets {
        writer.bytes(target.as_bytes());
    }
    Digest::of(&writer.finish())
}

/// The digest of where folders of tools beyond the usual ones are: a link on the way to one, or rustup's default, may lead
/// elsewhere by now. `None`: one of them cannot be used.
pub fn tool_roots(
    named: &[PathBuf],
    project: &Path,
    environment: &HashMap<String, String>,
) -> Option<Digest> {
    tool_roots::find(named, project, environment).ok().map(|roots| tool_roots_digest(&roots))
}

/// As [`tool_roots()`], of those that have been found.
pub fn tool_roots_digest(roots: &[ToolRoot]) -> Digest {
    let mut writer = Writer::with_format(FORMAT);
    for root in roots {
        writer.bytes(root.path.as_bytes());
        writer.bytes(root.programs.as_ref().map_or(&[][..], |folder| folder.as_os_str().as_bytes()));
    }
    Digest::of(&writer.finish())
}

/// The digest of the values of variables.
pub fn passed_on(names: &[String], environment: &HashMap<String, String>) -> Digest {
    let mut writer = Writer::with_format(FORMAT);
    for name in names {
        match environment.get(name) {
            Some(value) => writer.byte(1).bytes(value.as_bytes()),
            None => writer.byte(0),
        };
    }
    Digest::of(&writer.finish())
}

impl Answer {
    /// As the record's blob.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(FORMAT);
        writer.digest(&self.question).number(self.variables.0.len() as u64);
        for name in &self.variables.0 {
            writer.bytes(name.as_bytes());
        }
        writer.digest(&self.variables.1).number(self.tool_roots.0.len() as u64);
        for root in &self.tool_roots.0 {
            writer.bytes(root.as_os_str().as_bytes());
        }
        writer.digest(&self.tool_roots.1).number(self.steps).number(self.printed.len() as u64);
        for (step, stream, line) in &self.printed {
            writer.bytes(step.as_str().as_bytes());
            writer.byte(u8::from(*stream == Stream::Stderr)).bytes(line);
        }
        writer.finish()
    }

    /// From the record's blob.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| BadObject::Field("a text"));
        let mut reader = Reader::with_format(bytes, FORMAT)?;
        let question = reader.digest()?;
        let count = reader.count()?;
        let names = (0..count).map(|_| text(reader.bytes()?)).collect::<Result<Vec<_>, _>>()?;
        let variables = (names, reader.digest()?);
        let count = reader.count()?;
        let roots = (0..count).map(|_| Ok(PathBuf::from(OsStr::from_bytes(reader.bytes()?))));
        let tool_roots = (roots.collect::<Result<Vec<_>, BadObject>>()?, reader.digest()?);
        let steps = reader.number()?;
        let count = reader.count()?;
        let mut printed = Vec::with_capacity(count);
        for _ in 0..count {
            let step = StepId::new(&text(reader.bytes()?)?);
            let stream = if reader.byte()? == 0 { Stream::Stdout } else { Stream::Stderr };
            printed.push((step, stream, reader.bytes()?.to_vec()));
        }
        reader.finish()?;
        Ok(Self { question, variables, tool_roots, steps, printed })
    }
}

/// Whether a build may be answered by a record, or leave one.
pub fn may_answer(asked: &Asked) -> bool {
    let options = &asked.options;
    !(options.dry_run || options.cold || options.explain || options.take_back || options.verify)
}

/// Answers a request to build if it has nothing to do; `false`: it has to be built, or is no build.
pub fn answers_request(home: &Path, request: &Request, on: &mut dyn FnMut(Reply)) -> bool {
    let Request::Build { project, targets, options, environment } = request else { return false };
    // Whether what it uses of others is still the same its pod knows alone.
    if uses::are_any(project) {
        return false;
    }
    let asked = Asked {
        project: project.clone(),
        targets: targets.clone(),
        options: options.clone(),
        environment: environment.clone(),
    };
    let (sender, replies) = sync_channel(QUEUE);
    let is_answered =
        answers(home, &asked, &Sink::new(sender), &mut || replies.try_iter().for_each(&mut *on));
    if is_answered {
        on(Reply::Done { outcome: Some(Outcome::Success) });
    }
    is_answered
}

/// Says that a build has nothing to do, if it has; `false`: it has to be built. `said` is called after each event.
pub fn answers(home: &Path, asked: &Asked, sink: &Sink, said: &mut dyn FnMut()) -> bool {
    let Asked { project, targets, environment, .. } = asked;
    if !may_answer(asked) {
        return false;
    }
    let Ok(Some(workspace)) = Workspace::open(project) else { return false };
    let Some(last) = Last::of(&workspace) else { return false };
    let Ok(answer) = Answer::decode(last.blob()) else { return false };
    let environment: HashMap<String, String> = environment.iter().cloned().collect();
    let same = answer.question == question(home, targets)
        && answer.variables.1 == passed_on(&answer.variables.0, &environment)
        && tool_roots(&answer.tool_roots.0, project, &environment) == Some(answer.tool_roots.1);
    // While another build runs, what is there now may not be there in a moment.
    let Ok(Ok(_lock)) = workspace.try_lock() else { return false };
    if !same || !last.still_holds(project) {
        return false;
    }
    let Ok(build) = build::new_id() else { return false };
    let mut say = |event| {
        sink.event(event);
        said();
    };
    say(Event::BuildStarted { schema: EVENT_SCHEMA, build });
    for lines in answer.printed.chunk_by(|(step, ..), (next, ..)| step == next) {
        for (step, stream, line) in lines {
            let text = String::from_utf8_lossy(line).into_owned();
            say(Event::StepOutput { step: step.clone(), stream: *stream, text });
        }
        // What a reused step printed is shown when it ends.
        if let Some((step, ..)) = lines.first() {
            say(Event::step_finished(step.clone(), How::Reused));
        }
    }
    say(Event::BuildFinished {
        outcome: Outcome::Success,
        steps: answer.steps,
        ran: 0,
        reused: answer.steps,
        failed: 0,
        written: 0,
        seconds: sink.seconds(),
    });
    true
}

/// What is known of the last good build.
enum Last {
    /// In memory, of a project that this process watches.
    Kept(Arc<Watched>, Arc<Kept>),
    /// On disk.
    Record(StampRecord),
}

impl Last {
    fn of(workspace: &Workspace) -> Option<Self> {
        let watched = projects::find(workspace.project());
        match watched.and_then(|watched| Some((watched.kept()?, watched))) {
            Some((kept, watched)) => Some(Last::Kept(watched, kept)),
            None => StampRecord::load(workspace).map(Last::Record),
        }
    }

    fn blob(&self) -> &[u8] {
        match self {
            Last::Kept(_, kept) => kept.blob(),
            Last::Record(record) => record.blob(),
        }
    }

    fn still_holds(&self, project: &Path) -> bool {
        match self {
            Last::Kept(watched, kept) => watched.still_holds(kept).unwrap_or(false),
            Last::Record(record) => record.still_holds(project),
        }
    }
}

/// The next build goes the long way.
pub fn forget(workspace: &Workspace) {
    if let Err(error) = StampRecord::forget(workspace) {
        tracing::warn!(%error, "the stamp record could not be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_round_trip() {
        let answer = Answer {
            question: question(Path::new("/home"), &["a".into()]),
            variables: (vec!["A".into()], passed_on(&["A".into()], &HashMap::new())),
            tool_roots: (vec!["/mnt/tools".into()], tool_roots_digest(&[])),
            steps: 7,
            printed: vec![(StepId::new("s"), Stream::Stderr, b"\xff".to_vec())],
        };
        assert_eq!(Answer::decode(&answer.encode()).unwrap(), answer);
    }

    #[test]
    fn an_unset_variable_is_not_an_empty_one() {
        let names = ["A".to_owned()];
        let empty = HashMap::from([("A".to_owned(), String::new())]);
        assert_ne!(passed_on(&names, &HashMap::new()), passed_on(&names, &empty));
    }
}
