//! `majordomo forget`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectOption;
use crate::majordomo::request::{Failure, ForgetReport, Report, Request};
use crate::words::{counted, line};

/// Revoke what is remembered of a step, so that it runs at the next build
///
/// For a result that is wrong although nothing that the step saw has changed: a broken tool, a flaky network.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The step's id, or a rule's name for all of its steps
    step: String,
    #[command(flatten)]
    project: ProjectOption,
}

impl ForgetArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request = |project| Request::Forget { project, step: self.step };
        self.project.ask(context, request, |report, _| match report {
            Report::Forget(forgotten) => Some(Said::Talk(render(forgotten))),
            _ => None,
        })
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
