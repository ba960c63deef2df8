//! `pod ban`.

use clap::Args;

use super::pods::render;
use crate::cli::answer::Said;
use crate::cli::context::Context;
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
        context.ask(Request::Ban { pod: self.pod }, self.json, |report, _| match report {
            Report::Pods(pods) => Some(Said::Data(render(pods))),
            _ => None,
        })
    }
}
