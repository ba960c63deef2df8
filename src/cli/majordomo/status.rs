//! `majordomo status`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectWord;
use crate::cli::{style::Style, table};
use crate::majordomo::build::reason;
use crate::majordomo::request::{Failure, Report, Request, StatusReport, StepState};
use crate::words::{counted, line};

/// Show what a build would find
///
/// Changes nothing: neither the project nor the larder.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    project: ProjectWord,
}

impl StatusArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let environment = context.env.texts();
        let request = |project| Request::Status { project, environment };
        self.project.ask(context, request, |report, style| match report {
            Report::Status(status) => Some(Said::Data(render(status, style))),
            _ => None,
        })
    }
}

/// `35 steps: 2 would run, 33 are up to date`.
pub(super) fn counts(status: &StatusReport) -> String {
    let all = status.steps.len() as u64;
    let run = status.steps.iter().filter(|step| !step.up_to_date).count() as u64;
    match (all, run) {
        (0, _) => "no steps".to_owned(),
        (_, 0) if status.missing.is_empty() => format!("{}, nothing to do", counted(all, "step")),
        (_, 0) => {
            let missing = counted(status.missing.len() as u64, "output");
            format!("{}: nothing would run, {missing} would be written", counted(all, "step"))
        }
        _ => format!("{}: {run} would run, {} up to date", counted(all, "step"), all - run),
    }
}

/// The list of a dry run, a line for each step.
pub(super) fn plan(status: &StatusReport, all: bool) -> String {
    let mut text = String::new();
    for step in &status.steps {
        match (step.up_to_date, all) {
            (false, _) => line(&mut text, format_args!("{} would run: {}", step.step, step.reason)),
            (true, true) => line(&mut text, format_args!("{} is up to date", step.step)),
            (true, false) => {}
        }
    }
    for path in &status.missing {
        line(&mut text, format_args!("{path} would be written again"));
    }
    text
}

/// Why it would run, and how it ended when it last did.
fn reason(step: &StepState) -> String {
    match &step.failed {
        Some(failure) => {
            let failure = failure.lines().next().unwrap_or_default().trim_end_matches(':');
            match step.reason == reason::FAILED {
                true => format!("{}: {failure}", reason::FAILED),
                false => format!("{}; {}: {failure}", step.reason, reason::FAILED),
            }
        }
        None => step.reason.clone(),
    }
}

pub(super) fn render(status: &StatusReport, style: Style) -> String {
    let mut text = String::new();
    let sources = counted(status.sources, "source");
    line(&mut text, format_args!("project `{}`: {sources}, {}", status.project, counts(status)));
    let rows: Vec<_> = status
        .steps
        .iter()
        .filter(|step| !step.up_to_date)
        .map(|step| [step.step.to_string(), reason(step)])
        .collect();
    text.push_str(&table::table(&rows, style.width));
    for (title, paths) in
        [("edited by hand:", &status.edited), ("gone, to be written again:", &status.missing)]
    {
        if !paths.is_empty() {
            line(&mut text, title);
            let rows: Vec<_> = paths.iter().map(|path| [path.to_string()]).collect();
            text.push_str(&table::table(&rows, style.width));
        }
    }
    text
}
