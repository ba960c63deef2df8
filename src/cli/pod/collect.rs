//! `pod collect`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{CollectReport, Failure, Report, Request};
use crate::words::{bytes, counted, line};

/// Take out what this home remembers of workspaces that nobody has built for long
///
/// That is what makes their builds quick, and what their last builds said; what they made stays in the larder, and is not made again. Builds may go on meanwhile.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// For how many days nobody must have built it
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    unused: u32,
    /// Say what would go, and leave it
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl CollectArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request = Request::Collect { days: self.unused, dry_run: self.dry_run };
        context.ask(request, self.json, |report, _| match report {
            Report::Collected(collected) => Some(Said::Data(render(collected))),
            _ => None,
        })
    }
}

fn render(report: &CollectReport) -> String {
    let mut text = String::new();
    for one in &report.workspaces {
        let days = counted(one.days, "day");
        line(&mut text, format_args!("{}  {}, not built for {days}", one.workspace, bytes(one.bytes)));
    }
    let all = report.workspaces.iter().map(|one| one.bytes).sum();
    let goes = if report.dry_run { "would go" } else { "gone" };
    let count = counted(report.workspaces.len() as u64, "workspace");
    line(&mut text, format_args!("{count} {goes}, {}; {} kept", bytes(all), report.kept));
    text
}
