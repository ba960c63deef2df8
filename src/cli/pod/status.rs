//! `pod status`.

use clap::Args;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::words::{bytes, counted, line};
use crate::majordomo::request::{Failure, PodReport, Report, Request};

/// Show what this pod is and holds
#[derive(Debug, Args)]
pub struct PodStatusArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl PodStatusArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let report = context.report(Request::PodStatus, &mut |_| ())?;
        if self.json {
            context.print_json(&report)?;
            return Ok(Exit::Done);
        }
        let Report::Pod(pod) = report else { return Err(unexpected()) };
        context.print(&render(&pod))?;
        Ok(Exit::Done)
    }
}

pub(super) fn render(pod: &PodReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("home    {}", pod.home.display()));
    let place = if pod.embedded { "inside of a majordomo" } else { "a pod of its own" };
    line(&mut text, format_args!("held by process {}, {place}", pod.pid));
    line(&mut text, format_args!("kitchen {} at once", counted(pod.slots, "step")));
    line(&mut text, format_args!("larder  {}, {}", counted(pod.objects, "object"), bytes(pod.bytes)));
    for repair in &pod.repairs {
        line(&mut text, format_args!("repair  {repair}"));
    }
    text
}
