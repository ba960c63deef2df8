//! The commands of `majordomo`, one file each; the doc comments of their arguments are the manual.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::global::GlobalArgs;
use crate::cli::place;
use crate::cli::style::Style;
use crate::majordomo::request::{Failure, Report, Request};

mod build;
mod clean;
mod completions;
mod forget;
mod graph;
mod init;
mod launch;
mod monitor;
mod projects;
mod shell;
mod status;
mod trace;
mod verify;
mod watch;
mod why;

pub use completions::CompletionsArgs;

/// Builds a project: everything that has to be made is made, nothing is made twice, and nobody declares a dependency
#[derive(Debug, Parser)]
#[command(name = "majordomo", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[allow(missing_docs)]
    #[command(flatten)]
    pub global: GlobalArgs,
    #[allow(missing_docs)]
    #[command(subcommand)]
    pub command: Command,
}

/// What `majordomo` can do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "each command's arguments carry its manual")]
pub enum Command {
    Build(build::BuildArgs),
    Init(init::InitArgs),
    Watch(watch::WatchArgs),
    Launch(launch::LaunchArgs),
    Projects(projects::ProjectsArgs),
    Monitor(monitor::MonitorArgs),
    Verify(verify::VerifyArgs),
    Shell(shell::ShellArgs),
    Status(status::StatusArgs),
    Why(why::WhyArgs),
    Trace(trace::TraceArgs),
    Graph(graph::GraphArgs),
    Forget(forget::ForgetArgs),
    Clean(clean::CleanArgs),
    Completions(CompletionsArgs),
}

impl Command {
    /// Carries it out.
    ///
    /// # Errors
    /// What was asked could not be done; a step that failed is an [`Exit`].
    pub fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        match self {
            Command::Build(args) => args.run(context),
            Command::Init(args) => args.run(context),
            Command::Watch(args) => args.run(context),
            Command::Launch(args) => args.run(context),
            Command::Projects(args) => args.run(context),
            Command::Monitor(args) => args.run(context),
            Command::Verify(args) => args.run(context),
            Command::Shell(args) => args.run(context),
            Command::Status(args) => args.run(context),
            Command::Why(args) => args.run(context),
            Command::Trace(args) => args.run(context),
            Command::Graph(args) => args.run(context),
            Command::Forget(args) => args.run(context),
            Command::Clean(args) => args.run(context),
            Command::Completions(args) => args.run::<Cli>(context, "majordomo"),
        }
    }
}

/// What is asked about a project by commands whose words mean something else.
#[derive(Debug, Clone, Default, Args)]
pub struct ProjectOption {
    /// The project's folder [default: the current one, or the nearest above it with a `majordomo.toml`]
    #[arg(short, long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

/// What is asked about a project by commands that take nothing else: named as a word, or as everywhere by `--project`.
#[derive(Debug, Clone, Default, Args)]
pub struct ProjectWord {
    /// The project's folder [default: the current one, or the nearest above it with a `majordomo.toml`]
    #[arg(value_name = "PROJECT")]
    word: Option<PathBuf>,
    /// The same, as an option
    #[arg(short, long, value_name = "DIR", conflicts_with = "word")]
    project: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl ProjectOption {
    fn ask(
        &self,
        context: &mut Context<'_>,
        request: impl FnOnce(PathBuf) -> Request,
        said: impl FnOnce(&Report, Style) -> Option<Said>,
    ) -> Result<Exit, Failure> {
        ask(context, (self.project.as_deref(), self.json), request, said)
    }
}

impl ProjectWord {
    fn ask(
        &self,
        context: &mut Context<'_>,
        request: impl FnOnce(PathBuf) -> Request,
        said: impl FnOnce(&Report, Style) -> Option<Said>,
    ) -> Result<Exit, Failure> {
        let named = self.word.as_deref().or(self.project.as_deref());
        ask(context, (named, self.json), request, said)
    }
}

/// Asks about a project, and writes the answer.
fn ask(
    context: &mut Context<'_>,
    (project, json): (Option<&Path>, bool),
    request: impl FnOnce(PathBuf) -> Request,
    said: impl FnOnce(&Report, Style) -> Option<Said>,
) -> Result<Exit, Failure> {
    let project = place::project(project, &context.around()?)?;
    context.ask(request(project), json, said)
}
