//! `pod stop`.

use clap::Args;

use super::status::render;
use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, Report, Request};

/// Ask the pod of this home to go, when all that it was asked is answered
#[derive(Debug, Args)]
pub struct PodStopArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl PodStopArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let report = context.report(Request::PodStop, &mut |_| ())?;
        if self.json {
            context.print_json(&report)?;
            return Ok(Exit::Done);
        }
        let Report::Pod(pod) = report else { return Err(unexpected()) };
        context.print(&render(&pod))?;
        Ok(Exit::Done)
    }
}
