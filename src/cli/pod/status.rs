//! `pod status`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, PodReport, Report, Request};
use crate::words::{bytes, counted, line};

/// Show what this pod is and holds
#[derive(Debug, Args)]
pub struct PodStatusArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl PodStatusArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        context.ask(Request::PodStatus, self.json, |report, _| match report {
            Report::Pod(pod) => Some(Said::Data(render(pod))),
            _ => None,
        })
    }
}

pub(super) fn render(pod: &PodReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("home    {}", pod.home.display()));
    let place = if pod.embedded { "inside of a majordomo" } else { "a pod of its own" };
    match pod.pid {
        Some(pid) => line(&mut text, format_args!("held by process {pid}, {place}")),
        None => line(&mut text, format_args!("held by nobody")),
    }
    line(&mut text, format_args!("kitchen {} at once", counted(pod.slots, "step")));
    line(&mut text, format_args!("larder  {}, {}", counted(pod.objects, "object"), bytes(pod.bytes)));
    if let Some(federation) = &pod.banned_from {
        line(
            &mut text,
            format_args!(
                "banned  from the federation {federation}: it serves nobody there, and builds alone"
            ),
        );
    }
    for repair in &pod.repairs {
        line(&mut text, format_args!("repair  {repair}"));
    }
    text
}
