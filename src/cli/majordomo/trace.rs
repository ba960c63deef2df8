//! `majordomo trace`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectOption;
use crate::cli::{style::Style, table};
use crate::majordomo::request::trace::{Kind, Observation, TraceFilter, TraceReport, Within};
use crate::majordomo::request::{Failure, Report, Request};
use crate::words::{clean_line, counted, line, seconds};

/// Show all that a step saw when it last ran, and what it made
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The step's id, or the path of something that it made
    step: String,
    #[command(flatten)]
    project: ProjectOption,
    /// Only observations of these kinds
    #[arg(long, value_name = "KIND", value_enum, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Only paths that match: relative in the project, from `/` elsewhere
    #[arg(long, value_name = "GLOB")]
    path: Option<String>,
    /// Only what is in the project
    #[arg(long, conflicts_with = "outside")]
    inside: bool,
    /// Only what is outside of the project: tools, headers, libraries
    #[arg(long)]
    outside: bool,
}

impl TraceArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let place = match (self.inside, self.outside) {
            (true, _) => Some(Within::Project),
            (_, true) => Some(Within::Tools),
            _ => None,
        };
        let filter = TraceFilter { kinds: self.kind, path: self.path, place };
        let request = |project| Request::Trace { project, step: self.step, filter };
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
    let (wanted, all) = (trace.observations.len() as u64 + trace.more, trace.all);
    match wanted == all {
        true => line(&mut text, format_args!("it saw {}:", counted(all, "thing"))),
        false => line(&mut text, format_args!("of {} that it saw {wanted} as asked:", counted(all, "thing"))),
    }
    text.push_str(&observations(&trace.observations, style));
    if trace.more > 0 {
        line(&mut text, format_args!("  and {} more: ask for less, by --kind or --path", trace.more));
    }
    line(&mut text, format_args!("it made {}:", counted(trace.outputs.len() as u64, "thing")));
    let rows: Vec<_> = trace.outputs.iter().map(|made| [made.path.to_string(), made.text.clone()]).collect();
    text.push_str(&table::table(&rows, style.width));
    if !trace.printed.is_empty() {
        line(&mut text, "it printed:");
        for printed in trace.printed.lines() {
            line(&mut text, format_args!("  {}", clean_line(printed, style.color)));
        }
    }
    text
}

/// What was seen; a column more where projections left a part of something out.
fn observations(observations: &[Observation], style: Style) -> String {
    let row = |row: &Observation| [row.shown.clone(), row.look.clone(), row.seen.text.clone()];
    if observations.iter().all(|row| row.seen.raw.is_none()) {
        let rows: Vec<_> = observations.iter().map(row).collect();
        return table::table(&rows, style.width);
    }
    let rows = observations.iter().map(|observation| {
        let whole = observation.seen.raw.map(|raw| format!("of {}", raw.short())).unwrap_or_default();
        let [path, look, seen] = row(observation);
        [path, look, seen, whole]
    });
    let rows: Vec<_> = rows.collect();
    table::table(&rows, style.width)
}
