//! The CLI as a whole, over an engine that plays a script: what goes to stdout, what to stderr, which exit code.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use clap::Parser;
use parking_lot::Mutex;
use protocol::event::{EVENT_SCHEMA, Event, How, Outcome, Stamped, Stream};
use protocol::{BuildId, StepId};

use crate::cli::context::{Context, Environment, Talk};
use crate::cli::style::Style;
use crate::cli::{majordomo, place, pod};
use crate::interrupt::{Cause, Interrupt};
use crate::majordomo::Majordomo;
use crate::majordomo::request::{Failure, Reply, Report, Request};

mod builds;
mod reports;
mod shapes;
mod why;

/// A stream that remembers what was written to it.
#[derive(Clone, Default)]
pub(super) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("we write UTF-8")
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An engine that gives the same replies to whatever it is asked, and keeps what that was.
#[derive(Clone, Default)]
struct Fake {
    replies: Vec<Reply>,
    asked: Rc<RefCell<Option<Request>>>,
    fails: Option<Failure>,
    /// Sets the interrupt before this reply.
    interrupted_before: Option<(usize, Cause)>,
}

impl Majordomo for Fake {
    fn ask(&self, request: Request, interrupt: &Interrupt, on: &mut dyn FnMut(Reply)) -> Result<(), Failure> {
        self.asked.replace(Some(request));
        for (number, reply) in self.replies.iter().enumerate() {
            if let Some((_, cause)) = self.interrupted_before.filter(|(before, _)| *before == number) {
                interrupt.set(cause);
            }
            on(reply.clone());
        }
        self.fails.clone().map_or(Ok(()), Err)
    }
}

/// What a run left.
struct Ran {
    code: u8,
    out: String,
    talk: String,
    asked: Option<Request>,
}

impl Ran {
    /// Both streams and the exit code, for one snapshot.
    fn shown(&self) -> String {
        let mut shown = String::new();
        for (name, text) in [("stdout", &self.out), ("stderr", &self.talk)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{text}"));
            }
        }
        format!("{shown}--- exit code {}", self.code)
    }
}

/// A folder with a project in it.
fn a_project() -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().unwrap();
    let project = scratch.path().canonicalize().unwrap();
    std::fs::write(project.join(place::PROJECT_FILE), "").unwrap();
    (scratch, project)
}

fn run_in(cwd: &Path, line: &str, fake: Fake, out: impl Write) -> (u8, String, Option<Request>) {
    let talk = Capture::default();
    let open = |_: &Path| -> Result<Box<dyn Majordomo>, Failure> { Ok(Box::new(fake.clone())) };
    let mut context = Context {
        out: Box::new(out),
        out_style: Style { width: Some(72), ..Style::default() },
        talk: Talk::new(talk.clone()),
        talk_style: Style::default(),
        env: Environment::of([("HOME", "/home/me"), ("CC", "gcc")]),
        cwd: Ok(cwd.to_owned()),
        home: None,
        interrupt: Interrupt::new(),
        signals: false,
        open: &open,
    };
    let words = line.split_whitespace();
    let ended = match line.split_whitespace().next() {
        Some("pod") => pod::Cli::try_parse_from(words).unwrap().run(&mut context),
        _ => majordomo::Cli::try_parse_from(words).unwrap().command.run(&mut context),
    };
    let code = context.end(ended).code();
    (code, talk.text(), fake.asked.take())
}

/// Runs a command line in a project of its own.
fn run(line: &str, fake: Fake) -> Ran {
    let (_scratch, project) = a_project();
    let out = Capture::default();
    let (code, talk, asked) = run_in(&project, line, fake, out.clone());
    Ran { code, out: out.text(), talk, asked }
}

fn path(text: &str) -> protocol::RelPath {
    text.parse().expect("a path")
}

fn report(report: Report) -> Fake {
    Fake { replies: vec![Reply::Report(report), Reply::Done { outcome: None }], ..Fake::default() }
}

/// A build, told by its events; each is 0.1 s after the one before.
#[derive(Default)]
struct Story(Vec<Event>);

impl Story {
    fn new(steps: u64) -> Self {
        Self(vec![
            Event::BuildStarted { schema: EVENT_SCHEMA, build: BuildId::from_random(1) },
            Event::Planned { steps },
        ])
    }

    fn then(mut self, event: Event) -> Self {
        self.0.push(event);
        self
    }

    fn starts(self, step: &str, reason: &str) -> Self {
        let event =
            Event::StepStarted { step: StepId::new(step), pod: "here".into(), reason: reason.to_owned() };
        self.then(event)
    }

    fn prints(self, step: &str, text: &str) -> Self {
        self.then(Event::StepOutput {
            step: StepId::new(step),
            stream: Stream::Stdout,
            text: text.to_owned(),
        })
    }

    fn ends(self, step: &str, how: How, text: Option<&str>) -> Self {
        let failed = how == How::Failed;
        let is_good = matches!(how, How::Ran | How::Reused);
        self.then(Event::StepFinished {
            step: StepId::new(step),
            how,
            exit: failed.then_some(1),
            failure: text.filter(|_| !is_good).map(str::to_owned),
            reason: text.filter(|_| is_good).map(str::to_owned),
            limit: None,
            command: failed.then(|| format!("gcc -c {}", step.split(':').next_back().unwrap())),
            seconds: 0.214,
        })
    }

    /// The end of the build; its counts are those of the story.
    fn done(self, outcome: Outcome) -> Fake {
        self.done_with(outcome, 0)
    }

    fn done_with(self, outcome: Outcome, written: u64) -> Fake {
        let count = |wanted: How| {
            let ends = |event: &&Event| matches!(event, Event::StepFinished { how, .. } if *how == wanted);
            self.0.iter().filter(ends).count() as u64
        };
        let steps = self.0.iter().find_map(|event| match event {
            Event::Planned { steps } => Some(*steps),
            _ => None,
        });
        let end = Event::BuildFinished {
            outcome,
            steps: steps.unwrap_or(0),
            ran: count(How::Ran),
            reused: count(How::Reused),
            failed: count(How::Failed),
            written,
            seconds: 1.31,
        };
        let events = self.then(end).0.into_iter().enumerate();
        let stamped = events.map(|(at, event)| Reply::Event(Stamped { at: at as f64 / 10.0, event }));
        let replies = stamped.chain([Reply::Done { outcome: Some(outcome) }]).collect();
        Fake { replies, ..Fake::default() }
    }
}
