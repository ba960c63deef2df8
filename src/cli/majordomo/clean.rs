//! `majordomo clean`.

use clap::Args;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectWord;
use crate::cli::words::{counted, line};
use crate::majordomo::request::{CleanReport, Failure, Report, Request};

/// Remove the outputs that builds wrote into the project
///
/// Outputs that were edited by hand stay. The larder keeps all results: the next build writes them again without running
/// a step.
#[derive(Debug, Args)]
pub struct CleanArgs {
    #[command(flatten)]
    project: ProjectWord,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl CleanArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let project = self.project.find(context)?;
        let report = context.report(Request::Clean { project }, &mut |_| ())?;
        if self.json {
            context.print_json(&report)?;
            return Ok(Exit::Done);
        }
        let Report::Clean(cleaned) = report else { return Err(unexpected()) };
        context.talk.say(&render(&cleaned));
        Ok(Exit::Done)
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
