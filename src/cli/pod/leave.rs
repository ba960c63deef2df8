//! `pod leave`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, LeaveReport, Report, Request};

/// Leave the federation for good; the pod goes
///
/// What it has built stays in its larder. It may come in again by an invitation.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl LeaveArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        context.ask(Request::Leave, self.json, |report, _| match report {
            Report::Left(left) => Some(Said::Data(render(left))),
            _ => None,
        })
    }
}

fn render(left: &LeaveReport) -> String {
    format!("left the federation {}\n", left.federation)
}
