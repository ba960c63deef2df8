//! `majordomo why`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::{ProjectOption, Said};
use crate::cli::words::line;
use crate::cli::{style::Style, table};
use crate::majordomo::request::{Failure, Report, Request, WhyReport};

/// Show why an output is as it is, and what would make its step run again
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// An output's path, as seen from the project's folder, or a step's id
    target: String,
    #[command(flatten)]
    project: ProjectOption,
}

impl WhyArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let environment = context.env.texts();
        let request = |project| Request::Why { project, target: self.target, environment };
        self.project.ask(context, request, |report, style| match report {
            Report::Why(why) => Some(Said::Data(render(why, style))),
            _ => None,
        })
    }
}

pub(super) fn render(why: &WhyReport, style: Style) -> String {
    let mut text = String::new();
    if why.target != why.step.as_str() {
        line(&mut text, format_args!("{} is made by {}", why.target, why.step));
    }
    match (&why.trace, &why.last_reason) {
        (None, _) => line(&mut text, format_args!("{} has never been made here", why.step)),
        (Some(trace), None) => line(&mut text, format_args!("it comes from trace {}", trace.short())),
        (Some(trace), Some(reason)) => {
            line(&mut text, format_args!("it comes from trace {}, which ran: {reason}", trace.short()));
        }
    }
    if !why.reads_from.is_empty() {
        line(&mut text, "it read outputs of:");
        let rows: Vec<_> = why.reads_from.iter().map(|step| [step.to_string()]).collect();
        text.push_str(&table::table(&rows, style.width));
    }
    if why.changes.is_empty() {
        if why.trace.is_some() {
            line(&mut text, "nothing that it saw has changed: it would not run");
        }
        return text;
    }
    line(&mut text, "it would run again, for it would not see the same:");
    let titles = ["path", "look", "then", "now"].map(str::to_owned);
    let rows = why.changes.iter().map(|change| {
        [change.path.to_string(), change.look.clone(), change.before.clone(), change.now.clone()]
    });
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    text.push_str(&table::table(&rows, style.width));
    text
}
