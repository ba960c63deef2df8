//! `pod leave`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, LeaveReport, Report, Request};
use crate::words::line;

/// Leave the federation for good; the pod goes
///
/// First it hands all that it owns over to pods that stay; interrupted while it does, it stays too, and what was given is given. What it has built
/// stays in its larder. It may come in again by an invitation.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Leave even if nobody takes what this pod owns
    #[arg(long)]
    anyway: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl LeaveArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let report = context.report_with_progress(Request::Leave { anyway: self.anyway }, "handed over")?;
        context.tell(&report, self.json, |report, _| match report {
            Report::Left(left) => Some(Said::Data(render(left))),
            _ => None,
        })?;
        Ok(Exit::Done)
    }
}

fn render(left: &LeaveReport) -> String {
    let mut text = format!("left the federation {}\n", left.federation);
    if left.handed_over + left.kept > 0 {
        line(&mut text, format_args!("{} handed over, {} that nobody took", left.handed_over, left.kept));
    }
    text
}
