//! `pod stop`.

use clap::Args;

use super::status::render;
use crate::cli::answer::Said;
use crate::cli::context::Context;
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
        context.ask(Request::PodStop, self.json, |report, _| match report {
            Report::Pod(pod) => Some(Said::Data(render(pod))),
            _ => None,
        })
    }
}
