//! `majordomo shell`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use protocol::event::Outcome;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::progress::{BuildView, Detail, Ticker};
use crate::cli::style::Tone;
use crate::cli::{border, place};
use crate::env_vars;
use crate::interrupt::Cause;
use crate::majordomo::request::{BuildOptions, Failure, FailureKind, Reply, Request, Sandbox};
use crate::majordomo::request::{ShellNews, ShellRequest};
use crate::words::clean_line;

mod talk;

use talk::Talk;

/// Look into the sandbox of a step
///
/// Makes what the step needs, and opens a shell in exactly the root that its commands find: the same files, variables, user,
/// secrets, limits and network. Of a step that has failed, what it had written until then is there too. What is done in the shell is seen
/// by nobody: it changes no source, no output and no trace, and is gone with the shell.
///
/// With a terminal the shell is interactive. Without one it reads commands from stdin. After `--` a command is run instead. Ends as what
/// was run has ended; 128 and the number of the signal that has ended it.
#[derive(Debug, Args)]
#[command(override_usage = "majordomo shell [OPTIONS] STEP [-- COMMAND...]")]
#[command(after_help = "Examples:
  majordomo shell compile:src/main.c           what the compiler would see
  majordomo shell tests -- ls -la build        one command, whose exit code is passed on
  majordomo shell tests < look.sh              commands from a file")]
pub struct ShellArgs {
    /// A step's id, a rule that has one step, or a path that a step promises to make
    #[arg(value_name = "STEP")]
    step: String,
    /// What is run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// The project's folder [default: the current one, or the nearest above it with a `majordomo.toml`]
    #[arg(short, long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// As the step finds it before it runs, though it has failed
    #[arg(long)]
    fresh: bool,
    /// Steps that run at once to make what it needs [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Where all of it runs [default: `$COMPUTEPODS_SANDBOX` of the pod, else native]
    #[arg(long, value_enum, value_name = "ENGINE")]
    sandbox: Option<Sandbox>,
    /// Say nothing but failures
    #[arg(short, long)]
    quiet: bool,
}

/// What came of it.
#[derive(Default)]
struct Came {
    talk: Option<Talk>,
    outcome: Option<Outcome>,
    ended: Option<(i32, Option<String>, Option<protocol::RelPath>)>,
    failed: Option<Failure>,
}

impl ShellArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let project = place::project(self.project.as_deref(), &context.around()?)?;
        let options = BuildOptions {
            jobs: self.jobs.map(NonZeroUsize::get),
            sandbox: self.sandbox,
            ..BuildOptions::default()
        };
        let request = Request::Shell(Box::new(ShellRequest {
            project,
            step: self.step,
            command: self.command.clone(),
            options,
            is_fresh: self.fresh,
            term: context.env.get(&env_vars::TERM).and_then(|term| term.to_str()).map(str::to_owned),
            environment: context.env.texts(),
        }));
        let majordomo = context.connect()?;
        let interrupt = context.interrupt.clone();
        let detail = if self.quiet { Detail::Quiet } else { Detail::Normal };
        let view = BuildView::new(detail, context.talk_style, context.talk.clone()).without_summary();
        let view = Arc::new(Mutex::new(view));
        let mut ticker = Some(Ticker::start(Arc::clone(&view), interrupt.clone()));
        let (words, style) = (context.talk.clone(), context.talk_style);
        let is_shell = self.command.is_empty();
        let mut came = Came::default();
        let asked = majordomo.ask(request, &interrupt, &mut |reply| match reply {
            Reply::Shell(ShellNews::Ready { socket, step, commands, is_failed }) => {
                drop(ticker.take());
                view.lock().end();
                if is_shell && !self.quiet {
                    let failed = if is_failed { ", with what it had written when it failed" } else { "" };
                    words
                        .say(&format!("in the sandbox of {step}{failed}; nothing that is done here stays\n"));
                    for command in commands {
                        let lines = command.lines().map(|line| clean_line(line, style.color));
                        lines
                            .for_each(|line| words.say(&format!("{} {line}\n", style.paint(Tone::Dim, "$"))));
                    }
                }
                match hand_over(&socket) {
                    Ok(talk) => {
                        talk.restores_with(&interrupt);
                        came.talk = Some(talk);
                    }
                    Err(failure) => {
                        came.failed = Some(failure);
                        interrupt.set(Cause::Unheard);
                    }
                }
            }
            Reply::Shell(ShellNews::Ended { code, why, changed }) => came.ended = Some((code, why, changed)),
            Reply::Event(event) if came.talk.is_none() => view.lock().event(event),
            Reply::Waiting(on) if came.talk.is_none() => view.lock().waiting(&on),
            Reply::Done { outcome } => came.outcome = outcome,
            Reply::Failed(failure) => {
                came.failed.get_or_insert(failure);
            }
            Reply::Event(_)
            | Reply::Waiting(_)
            | Reply::Progress { .. }
            | Reply::Watch(_)
            | Reply::Launch(_)
            | Reply::Report(_) => {}
        });
        drop(ticker);
        let is_heard = came.ended.is_some();
        if let Some(talk) = came.talk.take() {
            talk.end(is_heard);
        } else {
            view.lock().end();
        }
        came.failed.map_or(asked, Err)?;
        if let Some((code, why, changed)) = came.ended {
            if let Some(path) = changed {
                let warning = context.talk_style.paint(Tone::Warning, "warning");
                let text = format!("`{path}` changed meanwhile, so that it could not be read");
                context
                    .talk
                    .say(&format!("{warning}: {text}: open the shell again to see what is there now\n"));
            }
            if let Some(why) = why {
                context.talk.say(&format!("the shell ended: {why}\n"));
            }
            return Ok(Exit::Passed(u8::try_from(code).unwrap_or(u8::MAX)));
        }
        match (came.outcome, context.interrupt.cause()) {
            (_, Some(Cause::Signal(signal))) => Ok(Exit::Interrupted(signal)),
            (Some(Outcome::Failure), _) => Ok(Exit::StepFailed),
            (Some(Outcome::Cancelled), _) => {
                Err(border::failure(FailureKind::Machine, "the shell was ended by the pod that ran it"))
            }
            _ => Err(unexpected()),
        }
    }
}

fn hand_over(socket: &Path) -> Result<Talk, Failure> {
    Talk::begin(socket).map_err(|error| {
        border::because(FailureKind::Machine, "the shell cannot be connected to the terminal", &error)
    })
}
