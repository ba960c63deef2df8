//! `majordomo verify`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use protocol::event::Outcome;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::progress::{BuildView, Detail, Ticker};
use crate::cli::{border, place};
use crate::interrupt::Cause;
use crate::majordomo::request::{
    BuildOptions, Differing, Failure, FailureKind, Reply, Report, Request, Sandbox, VerifyReport,
};
use crate::words::{counted, line};

/// Run what a project wants once more, and say what comes out differently
///
/// Builds first. Then every step that is wanted runs again in a fresh sandbox over the same inputs, and once more with its
/// own outputs visible; steps that go round begin from nothing. What differs is not deterministic, wants `keep`, or can
/// settle in more than one way. Nothing in the project changes, and what was there first stays.
///
/// Ends with 1 if something differs.
#[derive(Debug, Args)]
#[command(override_usage = "majordomo verify [OPTIONS] [PROJECT] [TARGET]...")]
pub struct VerifyArgs {
    /// The project's folder, then targets, as of a build
    #[arg(value_name = "PROJECT|TARGET")]
    words: Vec<String>,
    /// The project's folder; every word is a target then
    #[arg(short, long, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Steps that run at once [default: one for each processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Where steps run [default: `$COMPUTEPODS_SANDBOX` of the pod, else its `pod.toml`, else native]
    #[arg(long, value_enum, value_name = "ENGINE")]
    sandbox: Option<Sandbox>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
    /// Say nothing but the report
    #[arg(short, long)]
    quiet: bool,
}

impl VerifyArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (project, targets) =
            place::project_and_targets(self.project.as_deref(), &self.words, &context.around()?)?;
        let options = BuildOptions {
            jobs: self.jobs.map(NonZeroUsize::get),
            sandbox: self.sandbox,
            verify: true,
            ..BuildOptions::default()
        };
        let request = Request::Build { project, targets, options, environment: context.env.texts() };
        let majordomo = context.connect()?;
        let interrupt = context.interrupt.clone();
        let detail = if self.quiet { Detail::Quiet } else { Detail::Normal };
        let view = BuildView::new(detail, context.talk_style, context.talk.clone()).without_summary();
        let view = Arc::new(Mutex::new(view));
        let ticker = Ticker::start(Arc::clone(&view), interrupt.clone());
        let (mut report, mut outcome, mut failed) = (None, None, None);
        let asked = majordomo.ask(request, &interrupt, &mut |reply| match reply {
            Reply::Event(event) => view.lock().event(event),
            Reply::Waiting(on) => view.lock().waiting(&on),
            Reply::Progress { .. } | Reply::Watch(_) | Reply::Launch(_) | Reply::Shell(_) => {}
            Reply::Report(said) => report = Some(said),
            Reply::Done { outcome: said } => outcome = said,
            Reply::Failed(failure) => failed = Some(failure),
        });
        drop(ticker);
        view.lock().end();
        failed.map_or(asked, Err)?;
        if let Some(report @ Report::Verify(found)) = &report {
            match self.json {
                true => context.print_json(report)?,
                false => context.print(&render(found))?,
            }
        }
        match (outcome, context.interrupt.cause()) {
            (Some(Outcome::Success), _) => Ok(Exit::Done),
            (_, Some(Cause::Signal(signal))) => Ok(Exit::Interrupted(signal)),
            (Some(Outcome::Failure), _) => Ok(Exit::StepFailed),
            (Some(Outcome::Cancelled), _) => {
                Err(border::failure(FailureKind::Machine, "verifying was cancelled by the pod that did it"))
            }
            (None, _) => Err(unexpected()),
        }
    }
}

pub(super) fn render(found: &VerifyReport) -> String {
    let mut text = String::new();
    for difference in &found.differences {
        let what = match difference.differing {
            Differing::NotDeterministic => "is not deterministic",
            Differing::OwnOutputs => {
                "makes something else when it sees its own outputs (should it `keep` them?)"
            }
            Differing::Settled => "settles elsewhere when it begins from nothing",
        };
        line(&mut text, format_args!("{} {what}: {}", difference.step, difference.words));
    }
    let steps = counted(found.steps, "step");
    match found.differences.len() {
        0 => line(&mut text, format_args!("{steps} ran again: nothing differs")),
        many => line(&mut text, format_args!("{steps} ran again: {}", counted(many as u64, "difference"))),
    }
    text
}
