//! `majordomo watch`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use protocol::event::{Event, Outcome, Stamped};

use crate::cli::context::Context;
use crate::cli::event_log::EventLog;
use crate::cli::exit::Exit;
use crate::cli::progress::{BuildView, Detail, Ticker};
use crate::cli::{border, place};
use crate::interrupt::{Cause, Interrupt};
use crate::majordomo::request::{
    BuildOptions, Failure, FailureKind, Reply, Request, Sandbox, WatchNews, WatchOptions,
};
use crate::majordomo::watch::settle::Patience;

mod left;
mod program;
mod words;

use program::Program;

/// Build whenever something changes
///
/// Builds, then waits until a file changes, and builds again; until it is interrupted. What counts is what `majordomo build`
/// would look at: the project's files, the tools and headers that its steps used, and the outputs. An output that is
/// deleted is written again; one that is edited by hand is reported, and left as it is. A change while a build runs ends that
/// build and begins the next one; steps that were finished are not run again.
///
/// The words mean what they mean to `majordomo build`. While it watches, `majordomo build` of the same project looks only at what
/// has changed, too.
///
/// Talk goes to stderr, and what the program of `--run` prints goes where it prints it. stdout has the events of `--events -`.
#[derive(Debug, Args)]
#[command(override_usage = "majordomo watch [OPTIONS] [PROJECT] [TARGET]...")]
#[command(after_help = "Examples:
  majordomo watch                             the project around the current folder
  majordomo watch . bin/server --run 'bin/server --port 8080'
                                              build the server and run it, anew after each build
  majordomo watch --poll 500                  where there are no events: look twice a second")]
pub struct WatchArgs {
    /// The project's folder, then what to make: output paths, globs, step ids or rule names [default: the project around
    /// the current folder, and what its file wants]
    #[arg(value_name = "PROJECT|TARGET")]
    words: Vec<String>,
    /// The project's folder; every word is a target then
    #[arg(short, long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// After each good build that ran a step or wrote an output run CMD with `sh` in the project's folder; what still runs of it is
    /// ended first
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// Steps that run at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// After a failure go on with what does not need the step that failed
    #[arg(short, long)]
    keep_going: bool,
    /// Look at everything every so many milliseconds, and do not ask the kernel for events
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "1000")]
    poll: Option<NonZeroU64>,
    /// Build when nothing has changed for so many milliseconds, or after half a second of changes
    #[arg(long, value_name = "MS", default_value_t = Patience::QUIET.as_millis() as u64)]
    settle: u64,
    /// Say of every step why it ran or did not run
    #[arg(long, conflicts_with = "quiet")]
    explain: bool,
    /// Write the events of all builds as JSON lines to FILE, `-` for stdout; best outside of the project
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Where steps run [default: `$COMPUTEPODS_SANDBOX` of the pod, else its `pod.toml`, else native]
    #[arg(long, value_enum, value_name = "ENGINE")]
    sandbox: Option<Sandbox>,
    /// Leave on the screen what earlier builds said
    #[arg(long)]
    no_clear: bool,
    /// Say nothing but failures and what failed steps printed
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say of every step when it starts, waits, and is reused
    #[arg(short, long)]
    verbose: bool,
}

impl WatchArgs {
    fn detail(&self) -> Detail {
        match (self.quiet, self.verbose, self.explain) {
            (true, _, _) => Detail::Quiet,
            (_, true, _) => Detail::Verbose,
            (_, _, true) => Detail::Explain,
            _ => Detail::Normal,
        }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (project, targets) =
            place::project_and_targets(self.project.as_deref(), &self.words, &context.around()?)?;
        let log = self.events.as_deref().map(EventLog::open).transpose()?;
        let request = Request::Watch {
            project: project.clone(),
            targets,
            options: BuildOptions {
                jobs: self.jobs.map(NonZeroUsize::get),
                keep_going: self.keep_going,
                explain: self.explain,
                sandbox: self.sandbox,
                ..BuildOptions::default()
            },
            environment: context.env.texts(),
            watching: WatchOptions { poll_ms: self.poll.map(NonZeroU64::get), settle_ms: self.settle },
        };
        let majordomo = context.connect()?;
        let mut watching = Watching {
            args: &self,
            context,
            project: &project,
            interrupt: context.interrupt.clone(),
            log,
            build: None,
            program: None,
            builds: 0,
            failed: None,
        };
        let interrupt = context.interrupt.clone();
        let asked = majordomo.ask(request, &interrupt, &mut |reply| watching.reply(reply));
        let Watching { failed, program, build, .. } = watching;
        drop(build);
        // Ended before the last word is said.
        drop(program);
        match interrupt.cause() {
            Some(Cause::Signal(signal)) => Ok(Exit::Interrupted(signal)),
            _ => match failed.map_or(asked, Err) {
                Err(failure) => Err(failure),
                Ok(()) => Err(border::failure(FailureKind::Machine, "the pod that watched has ended")),
            },
        }
    }
}

/// A build as it is shown.
struct Build {
    view: Arc<Mutex<BuildView>>,
    _ticker: Ticker,
}

/// What is going on.
struct Watching<'a, 'c> {
    args: &'a WatchArgs,
    context: &'a Context<'c>,
    project: &'a Path,
    interrupt: Interrupt,
    log: Option<EventLog>,
    build: Option<Build>,
    program: Option<Program>,
    builds: u64,
    failed: Option<Failure>,
}

impl Watching<'_, '_> {
    fn reply(&mut self, reply: Reply) {
        match reply {
            Reply::Event(event) => self.event(event),
            Reply::Watch(news) => self.news(news),
            Reply::Waiting(on) => {
                if let Some(build) = &self.build {
                    build.view.lock().waiting(&on);
                } else {
                    self.say(&format!("waiting: {on}"));
                }
            }
            Reply::Failed(failure) => {
                self.failed.get_or_insert(failure);
            }
            Reply::Progress { .. } | Reply::Launch(_) | Reply::Shell(_) | Reply::Report(_) => {}
            Reply::Done { .. } => {}
        }
    }

    fn event(&mut self, event: Stamped) {
        if let Some(Err(failure)) = self.log.as_mut().map(|log| log.write(&event)) {
            self.log = None;
            self.failed.get_or_insert(failure);
            self.interrupt.set(Cause::Unheard);
        }
        if matches!(event.event, Event::BuildStarted { .. }) {
            self.builds += 1;
            self.build = Some(self.show_build());
        }
        let finished = match event.event {
            Event::BuildFinished { outcome, ran, written, .. } => Some((outcome, ran + written > 0)),
            _ => None,
        };
        if let Some(build) = &self.build {
            build.view.lock().event(event);
        }
        if let Some((outcome, has_done)) = finished {
            self.build = None;
            // What the program itself writes into the project is no reason to end it.
            if outcome == Outcome::Success && (has_done || self.program.is_none()) {
                self.run_program();
            }
        }
    }

    fn show_build(&self) -> Build {
        let mut style = self.context.talk_style;
        // A program of the user's writes to the screen whenever it likes.
        style.live &= self.args.run.is_none();
        let view = BuildView::new(self.args.detail(), style, self.context.talk.clone());
        let view = Arc::new(Mutex::new(view));
        Build { _ticker: Ticker::start(Arc::clone(&view), self.interrupt.clone()), view }
    }

    fn news(&mut self, news: WatchNews) {
        match news {
            WatchNews::Changed { what, more, superseded } => {
                if !superseded && self.clears() {
                    self.context.talk.say("\x1b[2J\x1b[H");
                }
                self.say(&words::changed(&what, more, superseded));
            }
            WatchNews::Refused(failure) => {
                self.context.talk.say(&border::render(&failure, self.context.talk_style));
            }
            WatchNews::Waiting { paths, upstream, poll_ms } => {
                let first = self.builds <= 1;
                self.say(&words::waiting(paths, upstream, poll_ms, first));
            }
            WatchNews::Moved => {}
        }
    }

    /// One screen: what is said of a build replaces what was said of the one before.
    fn clears(&self) -> bool {
        self.context.talk_style.live
            && !self.args.no_clear
            && self.args.run.is_none()
            && self.args.detail() == Detail::Normal
    }

    fn say(&self, line: &str) {
        if !self.args.quiet {
            self.context.talk.say(&format!("{line}\n"));
        }
    }

    fn run_program(&mut self) {
        let Some(command) = &self.args.run else { return };
        // Ended before the next one begins: both may want the same port.
        drop(self.program.take());
        if self.interrupt.cause().is_some() {
            return;
        }
        match Program::start(command, self.project) {
            Ok(program) => {
                self.say(&format!("running: {command}"));
                self.program = Some(program);
            }
            Err(error) => {
                let failure = border::because(FailureKind::User, format!("cannot run `{command}`"), &error);
                self.context.talk.say(&border::render(&failure, self.context.talk_style));
            }
        }
    }
}
