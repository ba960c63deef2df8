//! `pod ban`.

use clap::Args;

use super::pods::render;
use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, Report, Request};

/// Send a pod out of the federation: from now on nothing that it says counts
#[derive(Debug, Args)]
pub struct BanArgs {
    /// Its name or id, as `pod pods` shows it
    pod: String,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl BanArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let report = context.report(Request::Ban { pod: self.pod }, &mut |_| ())?;
        if self.json {
            context.print_json(&report)?;
            return Ok(Exit::Done);
        }
        let Report::Pods(pods) = report else { return Err(unexpected()) };
        context.print(&render(&pods))?;
        Ok(Exit::Done)
    }
}
