//! `majordomo trace`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::{ProjectOption, Said};
use crate::cli::words::{clean_line, counted, line, seconds};
use crate::cli::{style::Style, table};
use crate::majordomo::request::{Failure, Report, Request, TraceReport};

/// Show all that a step saw when it last ran, and what it made
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The step's id
    step: String,
    #[command(flatten)]
    project: ProjectOption,
}

impl TraceArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request = |project| Request::Trace { project, step: self.step };
        self.project.ask(context, request, |report, style| match report {
            Report::Trace(trace) => Some(Said::Data(render(trace, style))),
            _ => None,
        })
    }
}

pub(super) fn render(trace: &TraceReport, style: Style) -> String {
    let mut text = String::new();
    let took = seconds(trace.millis as f64 / 1000.0);
    line(&mut text, format_args!("{}: trace {}, ran for {took}", trace.step, trace.trace));
    line(&mut text, format_args!("it saw {}:", counted(trace.observations.len() as u64, "thing")));
    let rows: Vec<_> = trace
        .observations
        .iter()
        .map(|seen| [seen.path.to_string(), seen.look.clone(), seen.seen.clone()])
        .collect();
    text.push_str(&table::table(&rows, style.width));
    line(&mut text, format_args!("it made {}:", counted(trace.outputs.len() as u64, "thing")));
    let rows: Vec<_> = trace.outputs.iter().map(|(path, what)| [path.to_string(), what.clone()]).collect();
    text.push_str(&table::table(&rows, style.width));
    if !trace.printed.is_empty() {
        line(&mut text, "it printed:");
        for printed in trace.printed.lines() {
            line(&mut text, format_args!("  {}", clean_line(printed, style.color)));
        }
    }
    text
}
