//! `pod pods`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, MemberReport, PodsReport, Report, Request};
use crate::words::{bytes, line};

/// List the pods of this pod's federation, and how they are reached
#[derive(Debug, Args)]
pub struct PodsArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl PodsArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        context.ask(Request::Pods, self.json, |report, _| match report {
            Report::Pods(pods) => Some(Said::Data(render(pods))),
            _ => None,
        })
    }
}

pub(super) fn render(report: &PodsReport) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("federation {}, over {}", report.federation, report.server));
    if let Some(why) = &report.down {
        line(&mut text, format_args!("the server cannot be reached: {why}"));
    }
    for pod in &report.pods {
        line(&mut text, format_args!("  {:<16} {:<6} {}  {}", pod.name, role(pod), pod.pod, state(pod)));
    }
    text
}

fn role(pod: &MemberReport) -> &'static str {
    match pod.role {
        protocol::mesh::Role::Full => "full",
        protocol::mesh::Role::Store => "store",
        protocol::mesh::Role::Guest => "guest",
    }
}

fn state(pod: &MemberReport) -> String {
    let heard = match pod.heard_seconds_ago {
        Some(seconds) => format!("heard {seconds} s ago"),
        None => "not heard".to_owned(),
    };
    match (pod.is_me, pod.connected, &pod.trouble) {
        (true, ..) => "this pod".to_owned(),
        (_, true, None) => format!("connected, {heard}, {} came from it", bytes(pod.received)),
        (_, true, Some(trouble)) => format!("connected, {heard}; {trouble}"),
        (_, false, Some(trouble)) => format!("cannot be reached from here, {heard}: {trouble}"),
        (_, false, None) => format!("not connected, {heard}"),
    }
}
