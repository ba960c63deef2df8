//! `majordomo build`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use backplane::federation::is_member;
use clap::Args;
use parking_lot::Mutex;
use protocol::event::Outcome;
use protocol::mesh::PROJECT_PREFIX;

use crate::cli::context::{Context, unexpected};
use crate::cli::event_log::{self, EventLog};
use crate::cli::exit::Exit;
use crate::cli::progress::{BuildView, Detail, Ticker};
use crate::cli::{border, place};
use crate::interrupt::Cause;
use crate::majordomo::request::{
    BuildOptions, BuiltReport, Failure, FailureKind, Named, OfProject, OrderOptions, OwnOptions, ProjectMade,
    Reply, Report, Request, Sandbox,
};
use crate::words::{bytes, counted};

/// Make what a project wants
///
/// Runs the steps whose inputs changed, takes the results of all others from the larder, and writes the outputs into the
/// project. Nothing has to be declared: what a step reads, looks for in vain or lists is seen while it runs.
///
/// The first word is the PROJECT if it is a folder with a `majordomo.toml` in it; or a folder that is written as no target is (`.`, `../x`,
/// absolute); or any folder, where neither the current folder nor one above it has a `majordomo.toml`. All other words are targets, written as seen
/// from the project's folder. A project without a `majordomo.toml` is planned by the surest of the chefs: the built-in ones (autotools, cmake, meson,
/// cargo, ninja, make, latex), and those that `pod chef list` has enabled. With `--project` every word is a target.
///
/// Where there is no project around, a first word that is no folder is the NAME of a registered project (`majordomo projects`), which the pod builds
/// that has it; `project:NAME` is one anywhere. What was made stays there, unless `--out` says where it is wanted.
///
/// Talk goes to stderr. stdout has the list that `--dry-run` asks for, or the events of `--events -`.
#[derive(Debug, Args)]
#[command(override_usage = "majordomo build [OPTIONS] [PROJECT] [TARGET]...")]
#[command(after_help = "Examples:
  majordomo build                     what the project around the current folder wants
  majordomo build examples/hello      the same, of that project
  majordomo build . bin/lua           one output
  majordomo build compile -k          every step of a rule, going on after failures
  majordomo build --dry-run           what would run, and why
  majordomo build libfoo --out built  a registered project, and what it made into a folder")]
pub struct BuildArgs {
    /// The project's folder, then what to make: output paths, globs, step ids or rule names [default: the project around
    /// the current folder, and what its file wants]
    #[arg(value_name = "PROJECT|NAME|TARGET")]
    words: Vec<String>,
    /// The project's folder; every word is a target then
    #[arg(short, long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Steps that run at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// List what would run and why, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Take nothing from the larder: run every step that is wanted
    #[arg(long)]
    cold: bool,
    /// After a failure go on with what does not need the step that failed, and hand over what could be made
    #[arg(short, long)]
    keep_going: bool,
    /// Say of every step why it ran or did not run
    #[arg(long, conflicts_with = "quiet")]
    explain: bool,
    /// Write events as JSON lines to FILE, `-` for stdout; best outside of the project, where no step sees it
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Where steps run [default: `$COMPUTEPODS_SANDBOX` of the pod, else its `pod.toml`, else native]
    #[arg(long, value_enum, value_name = "ENGINE")]
    sandbox: Option<Sandbox>,
    /// Say nothing but failures and what failed steps printed
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say of every step when it starts, waits, and is reused
    #[arg(short, long)]
    verbose: bool,
    /// Move outputs that were edited by hand aside, and write what the steps made
    #[arg(long)]
    take_back: bool,
    /// Write what a registered project made into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl BuildArgs {
    fn detail(&self) -> Detail {
        match (self.quiet, self.verbose, self.explain) {
            (true, _, _) => Detail::Quiet,
            (_, true, _) => Detail::Verbose,
            (_, _, true) => Detail::Explain,
            _ => Detail::Normal,
        }
    }

    /// What the words mean.
    fn asked(&self, context: &Context<'_>) -> Result<Request, Failure> {
        let options = BuildOptions {
            jobs: self.jobs.map(NonZeroUsize::get),
            dry_run: self.dry_run,
            cold: self.cold,
            keep_going: self.keep_going,
            explain: self.explain,
            sandbox: self.sandbox,
            take_back: self.take_back,
            verify: false,
        };
        let around = context.around()?;
        let named = match &self.project {
            None => place::named_and_targets(&self.words, &around)?,
            Some(_) => None,
        };
        // Where nobody can have registered anything a word is no name.
        let is_name = |word: Option<&String>| {
            word.is_some_and(|word| word.starts_with(PROJECT_PREFIX))
                || around.home.as_deref().is_some_and(is_member)
        };
        match named.filter(|_| is_name(self.words.first())) {
            Some((name, targets)) => {
                let BuildOptions { jobs, dry_run, cold, keep_going, explain, sandbox, take_back, verify } =
                    options;
                let options = OrderOptions { dry_run, cold, keep_going, explain, verify };
                let what = OfProject::Build { targets, options };
                let own = OwnOptions { jobs, sandbox, take_back };
                let out = self.out.as_ref().map(|out| around.cwd.join(out));
                Ok(Request::Named(Box::new(Named { name, what, own, out })))
            }
            None => {
                let (project, targets) =
                    place::project_and_targets(self.project.as_deref(), &self.words, &around)?;
                if self.out.is_some() {
                    return Err(border::mistake(
                        "`--out` is for a registered project: what this one makes is written into it",
                    )
                    .hint(
                        "name it as `majordomo projects list` does: `majordomo build project:NAME --out DIR`",
                    ));
                }
                Ok(Request::Build { project, targets, options, environment: context.env.texts() })
            }
        }
    }

    /// Says which project is meant where nobody named it and it is not the current folder.
    fn say_which(&self, asked: &Request, context: &mut Context<'_>) {
        let Request::Build { project, targets, .. } = asked else { return };
        let is_named = self.project.is_some() || targets.len() < self.words.len();
        let cwd = context.around().ok().and_then(|around| around.cwd.canonicalize().ok());
        let is_above = cwd.is_some_and(|cwd| cwd != *project && cwd.starts_with(project));
        if is_above && !is_named && !self.quiet {
            context.talk.say(&format!("building `{}`, the project around this folder\n", project.display()));
        }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let asked = self.asked(context)?;
        self.say_which(&asked, context);
        let mut log = self.events.as_deref().map(EventLog::open).transpose()?;
        let detail = self.detail();
        let majordomo = context.connect()?;
        let interrupt = context.interrupt.clone();
        let view = BuildView::new(detail, context.talk_style, context.talk.clone());
        let view = if self.dry_run { view.without_summary() } else { view };
        let view = Arc::new(Mutex::new(view));
        let ticker = Ticker::start(Arc::clone(&view), interrupt.clone());

        let mut ended = Ended::default();
        let asked = majordomo.ask(asked, &interrupt, &mut |reply| match reply {
            Reply::Event(event) => {
                if let Some(Err(failure)) = log.as_mut().map(|log| log.write(&event)) {
                    log = None;
                    ended.failed = Some(failure);
                    interrupt.set(Cause::Unheard);
                }
                view.lock().event(event);
            }
            Reply::Waiting(on) => view.lock().waiting(&on),
            Reply::Progress { .. } | Reply::Watch(_) | Reply::Launch(_) | Reply::Shell(_) => {}
            Reply::Report(Report::Built(report)) => ended.built = Some(report),
            Reply::Report(report) => ended.plan = Some(report),
            Reply::Done { outcome } => ended.outcome = outcome,
            Reply::Failed(failure) => {
                ended.failed.get_or_insert(failure);
            }
        });
        drop(ticker);
        view.lock().end();
        // Where the events could not be written, what came after is but its consequence.
        ended.failed.map_or(asked, Err)?;
        if let Some(Report::Status(plan)) = ended.plan.filter(|_| self.dry_run) {
            self.print_plan(context, &plan)?;
        }
        if let Some(built) = ended.built.filter(|_| !self.quiet) {
            context.talk.say(&made(&built));
        }
        match (ended.outcome, context.interrupt.cause()) {
            (Some(Outcome::Success), _) => Ok(Exit::Done),
            (Some(Outcome::Failure), None) => Ok(Exit::StepFailed),
            (_, Some(Cause::Signal(signal))) => Ok(Exit::Interrupted(signal)),
            (Some(Outcome::Failure), Some(Cause::Unheard)) => Ok(Exit::StepFailed),
            (Some(Outcome::Cancelled), _) => {
                Err(border::failure(FailureKind::Machine, "the build was cancelled by the pod that ran it"))
            }
            (None, _) => Err(unexpected()),
        }
    }

    /// The list of a dry run: data, so on stdout, unless events are there.
    fn print_plan(
        &self,
        context: &mut Context<'_>,
        plan: &crate::majordomo::request::StatusReport,
    ) -> Result<(), Failure> {
        let list = super::status::plan(plan, self.explain || self.verbose);
        if event_log::is_stdout(self.events.as_ref()) {
            context.talk.say(&list);
        } else {
            context.print(&list)?;
        }
        if !self.quiet {
            context.talk.say(&format!("dry run: {}\n", super::status::counts(plan)));
        }
        Ok(())
    }
}

/// Where what was made is.
fn made(built: &BuiltReport) -> String {
    let ProjectMade { files, bytes: size, kept_back, folder, .. } = &built.made;
    let what = format!("{}, {}", counted(*files, "file"), bytes(*size));
    let stays = |step| {
        format!(
            "what step `{step}` makes stays with the pod `{}`: step `{step}` has secrets\n",
            built.owner_name
        )
    };
    let kept_back: String = kept_back.iter().map(stays).collect();
    match &built.out {
        Some(out) => format!("{kept_back}{what} in `{}`\n", out.display()),
        None => format!(
            "{kept_back}{what} in `{}` of the pod `{}`; `--out DIR` brings them\n",
            folder, built.owner_name
        ),
    }
}

/// What a build left behind.
#[derive(Default)]
struct Ended {
    outcome: Option<Outcome>,
    plan: Option<Report>,
    built: Option<BuiltReport>,
    failed: Option<Failure>,
}
