//! `majordomo forget`.

use clap::Args;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectOption;
use crate::cli::words::{counted, line};
use crate::majordomo::request::{Failure, ForgetReport, Report, Request};

/// Revoke what is remembered of a step, so that it runs at the next build
///
/// For a result that is wrong although nothing that the step saw has changed: a broken tool, a flaky network.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The step's id, or a rule's name for all of its steps
    step: String,
    #[command(flatten)]
    project: ProjectOption,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl ForgetArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let project = self.project.find(context)?;
        let report = context.report(Request::Forget { project, step: self.step }, &mut |_| ())?;
        if self.json {
            context.print_json(&report)?;
            return Ok(Exit::Done);
        }
        let Report::Forget(forgotten) = report else { return Err(unexpected()) };
        context.talk.say(&render(&forgotten));
        Ok(Exit::Done)
    }
}

pub(super) fn render(forgotten: &ForgetReport) -> String {
    let mut text = String::new();
    for (step, traces) in &forgotten.revoked {
        line(&mut text, format_args!("{step}: {} revoked", counted(*traces, "trace")));
    }
    if text.is_empty() {
        line(&mut text, "nothing was remembered");
    }
    text
}
