//! `majordomo launch`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::cli::border;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::style::Tone;
use crate::interrupt::Cause;
use crate::majordomo::request::{Failure, FailureKind, LaunchNews, Reply, Request, Sandbox};
use crate::words::{clean_line, counted};

mod program;

use program::{Program, Start};

/// Run a Python program whose functions run in the kitchen
///
/// Imports FILE and calls its entry point here, as any program of yours runs. The functions that it calls by `.remote()`,
/// `.spawn()` and `.map()` run in the kitchen: they see the folder of FILE and the tools of the machine, nothing else, and an
/// equal call of a function with `cache=True` is not run twice.
///
/// The entry point is what `@app.local_entrypoint()` stands before; where there are several, or none, the one called `main`; or NAME. Its
/// parameters are options: `def main(count: int = 3)` takes `--count 5`.
///
/// The program has stdin, stdout and stderr. What functions print comes to stderr, line by line.
#[derive(Debug, Args)]
#[command(disable_help_subcommand = true, subcommand_required = true)]
#[command(override_usage = "majordomo launch [OPTIONS] FILE[::NAME] [ARGUMENT]...")]
#[command(after_help = "Examples:
  majordomo launch hello.py                what `hello.py` says
  majordomo launch hello.py --count 5      with an argument of its entry point
  majordomo launch -j 8 jobs.py::nightly   another entry point, eight calls at once")]
pub struct LaunchArgs {
    /// Calls that run at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Where calls run [default: `$COMPUTEPODS_SANDBOX` of the pod, else its `pod.toml`, else native]
    #[arg(long, value_enum, value_name = "ENGINE")]
    sandbox: Option<Sandbox>,
    /// The interpreter of the program
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
    /// Say nothing but failures: not what functions print, and no counts
    #[arg(short, long)]
    quiet: bool,
    #[command(subcommand)]
    program: Words,
}

/// The program, and which of its entry points; then what that is called with. All of it is the program's, hyphens or not, which is
/// how the parser takes the words of a command that it does not know.
#[derive(Debug, Subcommand)]
enum Words {
    #[command(external_subcommand)]
    Of(Vec<String>),
}

impl LaunchArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let Words::Of(words) = self.program;
        let Some((first, arguments)) = words.split_first() else {
            return Err(border::mistake("no file is named"));
        };
        let (file, name) = match first.rsplit_once("::") {
            Some((file, name)) => (file, Some(name)),
            None => (first.as_str(), None),
        };
        let real = resolved(file, context.cwd()?)?;
        let folder = real.parent().unwrap_or(Path::new("/")).to_owned();
        let request =
            Request::Launch { folder, jobs: self.jobs.map(NonZeroUsize::get), sandbox: self.sandbox };
        let majordomo = context.connect()?;
        let interrupt = context.interrupt.clone();
        let (talk, style) = (context.talk.clone(), context.talk_style);
        let mut running: Option<Program> = None;
        let mut failed = None;
        let asked = majordomo.ask(request, &interrupt, &mut |reply| match reply {
            Reply::Launch(LaunchNews::Ready { socket, package }) => {
                let start =
                    Start { python: &self.python, package: &package, path: &real, file, name, arguments };
                match start.program(&socket) {
                    Ok(program) => {
                        program.ends_with(&interrupt);
                        running = Some(program);
                    }
                    Err(failure) => {
                        failed = Some(failure);
                        // Nobody will come: the request has nothing to wait for.
                        interrupt.set(Cause::Unheard);
                    }
                }
            }
            Reply::Launch(LaunchNews::Printed { call, text, .. }) if !self.quiet => {
                let line = clean_line(&text, style.color);
                talk.say(&format!("{} {line}\n", style.paint(Tone::Dim, format_args!("{call} |"))));
            }
            Reply::Launch(LaunchNews::Note(text)) => {
                talk.say(&format!("{}: {text}\n", style.paint(Tone::Warning, "warning")));
            }
            Reply::Launch(LaunchNews::Ended { ran, reused, failed })
                if !self.quiet && ran + reused + failed > 0 =>
            {
                let all = counted(ran + reused + failed, "call");
                talk.say(&format!("{all}: {ran} ran, {reused} reused, {failed} failed\n"));
            }
            Reply::Waiting(on) => talk.say(&format!("waiting: {on}\n")),
            Reply::Failed(failure) => {
                failed.get_or_insert(failure);
            }
            _ => {}
        });
        // With the majordomo gone it has little left to do.
        let status = running.map(|program| program.end(asked.is_err() || interrupt.cause().is_some()));
        failed.map_or(asked, Err)?;
        if let Some(Cause::Signal(signal)) = context.interrupt.cause() {
            return Ok(Exit::Interrupted(signal));
        }
        match status {
            None => Err(crate::cli::context::unexpected()),
            Some(Err(error)) => {
                Err(border::because(FailureKind::Machine, "the program's end cannot be waited for", &error))
            }
            Some(Ok(status)) => match status.code() {
                Some(0) => Ok(Exit::Done),
                Some(2) => Ok(Exit::Mistake),
                Some(_) => Ok(Exit::StepFailed),
                None => Err(border::failure(
                    FailureKind::Step,
                    format!("the program `{file}` was ended: {status}"),
                )),
            },
        }
    }
}

/// The file itself, links resolved.
fn resolved(file: &str, cwd: &Path) -> Result<PathBuf, Failure> {
    let found = cwd.join(file).canonicalize().map_err(|error| {
        border::because(FailureKind::User, format!("cannot launch `{file}`"), &error)
            .hint("name a Python file, and its entry point after `::` if it has several")
    })?;
    if !found.is_file() {
        return Err(border::mistake(format!("cannot launch `{file}`: it is no file"))
            .hint("name a Python file, not its folder"));
    }
    if found.extension().is_none_or(|ending| ending != "py") {
        return Err(border::mistake(format!(
            "cannot launch `{file}`: it is no Python file, whose name ends in `.py`"
        ))
        .hint("`majordomo build` makes what a project file says"));
    }
    Ok(found)
}
