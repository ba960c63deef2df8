//! Where a command runs: its streams and how they look, its environment, its folder, and the engine to ask.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::cli::exit::Exit;
use crate::cli::global::GlobalArgs;
use crate::cli::place::Around;
use crate::cli::style::{Style, Tone};
use crate::cli::{border, place};
use crate::env_vars::{self, EnvVar};
use crate::interrupt::{Cause, Interrupt};
use crate::logs;
use crate::majordomo::border::no_home;
use crate::majordomo::request::{Failure, FailureKind, Needs, Reply, Report, Request, SCHEMA};
use crate::majordomo::{Majordomo, Open};

/// How often progress is said on a terminal.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// A copy of the process's environment variables.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Takes pairs.
    pub fn of<N: Into<OsString>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// One of ours; empty counts as not set.
    pub fn get(&self, var: &EnvVar) -> Option<&OsString> {
        self.0.get(std::ffi::OsStr::new(var.name)).filter(|value| !value.is_empty())
    }

    /// What a project's `env = ["A"]` may pass on: all variables whose name and value are UTF-8.
    pub fn texts(&self) -> Vec<(String, String)> {
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        self.0.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
    }
}

/// stderr, shared by whoever talks. After the first write that fails nothing is said any more: nobody listens.
#[derive(Clone)]
pub struct Talk(Arc<Mutex<Voice<dyn Write + Send>>>);

struct Voice<W: ?Sized> {
    gone: bool,
    stream: W,
}

impl Talk {
    /// Talks into this.
    pub fn new(stream: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Voice { gone: false, stream })))
    }

    /// Says it, in one write where the system allows.
    pub fn say(&self, text: &str) {
        let mut voice = self.0.lock();
        if !voice.gone {
            let said = voice.stream.write_all(text.as_bytes()).and_then(|()| voice.stream.flush());
            voice.gone = said.is_err();
        }
    }
}

/// Where a command runs.
pub struct Context<'a> {
    /// stdout.
    pub out: Box<dyn Write + 'a>,
    /// How stdout looks.
    pub out_style: Style,
    /// stderr.
    pub talk: Talk,
    /// How stderr looks.
    pub talk_style: Style,
    /// The environment.
    pub env: Environment,
    /// The current folder; an error if it is gone.
    pub cwd: Result<PathBuf, Failure>,
    /// What `--home` said.
    pub home: Option<PathBuf>,
    /// Set when the request is to be cancelled.
    pub interrupt: Interrupt,
    /// Whether signals set the interrupt: in a real process.
    pub signals: bool,
    /// Finds the engine.
    pub open: Open<'a>,
}

impl<'a> Context<'a> {
    /// That of this process. Starts diagnostics if they are asked for.
    pub fn of_process(global: &GlobalArgs, open: Open<'a>) -> Self {
        let env = Environment::of(std::env::vars_os());
        let mut talk_style = Style::of(&io::stderr(), global.color, &env);
        let talk = Talk::new(io::stderr());
        if let Some(filter) = env.get(&env_vars::COMPUTEPODS_LOG) {
            talk_style.live = false;
            if let Err(error) = logs::start(&filter.to_string_lossy(), Some(talk_style.color)) {
                let name = env_vars::COMPUTEPODS_LOG.name;
                let warning = talk_style.paint(Tone::Warning, "warning");
                talk.say(&format!("{warning}: `{name}` is of no use: {error}\n"));
            }
        }
        Self {
            out: Box::new(io::stdout()),
            out_style: Style::of(&io::stdout(), global.color, &env),
            talk,
            talk_style,
            env,
            cwd: std::env::current_dir().map_err(|error| {
                border::because(FailureKind::User, "the current folder cannot be used", &error)
            }),
            home: global.home.clone(),
            interrupt: Interrupt::new(),
            signals: true,
            open,
        }
    }

    /// The current folder.
    ///
    /// # Errors
    /// It is gone, or may not be entered.
    pub fn cwd(&self) -> Result<&Path, Failure> {
        self.cwd.as_deref().map_err(Clone::clone)
    }

    /// Where a project is looked for.
    ///
    /// # Errors
    /// As [`cwd`](Self::cwd).
    pub fn around(&self) -> Result<Around, Failure> {
        let cwd = self.cwd()?.to_owned();
        let home = place::home(self.home.as_deref(), &self.env, Some(&cwd)).ok();
        Ok(Around { cwd, home })
    }

    /// Finds the engine; from here on a signal cancels instead of killing.
    ///
    /// # Errors
    /// There is no home to be found, or the engine cannot be opened.
    pub fn connect(&self) -> Result<Box<dyn Majordomo>, Failure> {
        let home = place::home(self.home.as_deref(), &self.env, self.cwd.as_deref().ok())?;
        self.arm()?;
        (self.open)(&home)
    }

    /// From here on a signal cancels instead of killing.
    ///
    /// # Errors
    /// The system gives no way to hear of signals.
    pub fn arm(&self) -> Result<(), Failure> {
        match self.signals {
            true => self.interrupt.arm().map_err(|error| {
                border::because(FailureKind::Machine, "could not get ready for signals", &error)
            }),
            false => Ok(()),
        }
    }

    /// Asks for a report; `on` gets all other replies.
    ///
    /// # Errors
    /// The request failed, or ended without a report.
    pub fn report(&self, request: Request, on: &mut dyn FnMut(Reply)) -> Result<Report, Failure> {
        // Whoever names a home means one that is there.
        if self.home.is_some() && request.needs() == Needs::Home {
            let home = place::home(self.home.as_deref(), &self.env, self.cwd.as_deref().ok())?;
            if !home.exists() {
                return Err(no_home(&home));
            }
        }
        let mut report = None;
        let mut failed = None;
        self.connect()?.ask(request, &self.interrupt, &mut |reply| match reply {
            Reply::Report(found) => report = Some(found),
            Reply::Failed(failure) => failed = Some(failure),
            Reply::Waiting(on) => self.talk.say(&format!("waiting: {on}\n")),
            other => on(other),
        })?;
        match (report, failed) {
            (_, Some(failure)) => Err(failure),
            (Some(report), None) => Ok(report),
            (None, None) => Err(unexpected()),
        }
    }

    /// Asks for a report, and shows on a terminal how far it is.
    ///
    /// # Errors
    /// As [`Context::report`].
    pub fn report_with_progress(&self, request: Request, done_is: &str) -> Result<Report, Failure> {
        let mut last: Option<Instant> = None;
        let report = self.report(request, &mut |reply| {
            let Reply::Progress { done, total, unit } = reply else { return };
            if self.talk_style.live && last.is_none_or(|last| last.elapsed() >= PROGRESS_EVERY) {
                last = Some(Instant::now());
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                self.talk.say(&format!("\r\x1b[K{done_is} {done}{of} {unit}"));
            }
        });
        if last.is_some() {
            self.talk.say("\r\x1b[K");
        }
        report
    }

    /// Writes data to stdout. A closed stdout is no error: its reader has seen enough.
    ///
    /// # Errors
    /// stdout cannot be written for another reason.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(border::because(FailureKind::Machine, "could not write to stdout", &error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a report as JSON to stdout.
    ///
    /// # Errors
    /// As [`Context::print`].
    pub fn print_json(&mut self, report: &Report) -> Result<(), Failure> {
        #[derive(serde::Serialize)]
        struct Printed<'a> {
            schema: u32,
            #[serde(flatten)]
            report: &'a Report,
        }
        let printed = Printed { schema: SCHEMA, report };
        let mut text = serde_json::to_string_pretty(&printed).map_err(|error| {
            border::because(FailureKind::Machine, "could not write the report as JSON", &error)
        })?;
        text.push('\n');
        self.print(&text)
    }

    /// The end: says what failed, and picks the exit code.
    pub fn end(&mut self, ended: Result<Exit, Failure>) -> Exit {
        let exit = match ended {
            Ok(exit) => exit,
            Err(failure) => {
                if let Some(Cause::Signal(signal)) = self.interrupt.cause() {
                    return Exit::Interrupted(signal);
                }
                self.talk.say(&border::render(&failure, self.talk_style));
                failure.kind.into()
            }
        };
        match (exit, self.interrupt.cause()) {
            (Exit::Done, _) | (_, None | Some(Cause::Unheard)) => exit,
            (_, Some(Cause::Signal(signal))) => Exit::Interrupted(signal),
        }
    }
}

/// The engine answered something else than what was asked for.
pub fn unexpected() -> Failure {
    border::failure(FailureKind::Machine, "the pod ended the request without an answer")
        .hint("it may be of another version: stop it, then try again")
}
