//! `majordomo clean`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectWord;
use crate::majordomo::request::{CleanReport, Failure, Report, Request};
use crate::words::{counted, line};

/// Remove the outputs that builds wrote into the project
///
/// Outputs that were edited by hand stay. The larder keeps all results: the next build writes them again without running
/// a step.
#[derive(Debug, Args)]
pub struct CleanArgs {
    #[command(flatten)]
    project: ProjectWord,
}

impl CleanArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request = |project| Request::Clean { project };
        self.project.ask(context, request, |report, _| match report {
            Report::Clean(cleaned) => Some(Said::Talk(render(cleaned))),
            _ => None,
        })
    }
}

pub(super) fn render(cleaned: &CleanReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("{} removed", counted(cleaned.removed, "output")));
    for path in &cleaned.kept {
        line(&mut text, format_args!("kept `{path}`: it was edited by hand"));
    }
    text
}
