//! `majordomo why`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::{ProjectOption, Said};
use crate::cli::words::{counted, line};
use crate::cli::{style::Style, table};
use crate::majordomo::build::reason::shown;
use crate::majordomo::report::{
    Cause, Change, CutOff, HiddenChange, KeyChange, Now, Origin, Sight, WhyReport,
};
use crate::majordomo::request::{Failure, Report, Request};

/// Show why an output is as it is: why its step last ran, and what would make it run again
///
/// What differs is followed down to the source, the tool, the variable or the command that started it. Where nothing
/// would run it says why not: also which changes are left out by projections, and which steps ran and made the same.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// An output's path, as seen from the project's folder, or a step's id
    target: String,
    #[command(flatten)]
    project: ProjectOption,
}

impl WhyArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let environment = context.env.texts();
        let request = |project| Request::Why { project, target: self.target, environment };
        self.project.ask(context, request, |report, style| match report {
            Report::Why(why) => Some(Said::Data(render(why, style))),
            _ => None,
        })
    }
}

pub(super) fn render(why: &WhyReport, style: Style) -> String {
    let mut text = String::new();
    if why.target != why.step.as_str() {
        line(&mut text, format_args!("{} is made by {}", why.target, why.step));
    }
    match &why.trace {
        None => line(&mut text, format_args!("{} has never been made here", why.step)),
        Some(trace) => line(&mut text, format_args!("it comes from trace {}", trace.short())),
    }
    if !why.reads_from.is_empty() {
        line(&mut text, "it read outputs of:");
        let rows: Vec<_> = why.reads_from.iter().map(|step| [step.to_string()]).collect();
        text.push_str(&table::table(&rows, style.width));
    }
    match (&why.last_run, &why.trace) {
        (Some(run), _) => {
            line(&mut text, "it last ran because:");
            run.causes.iter().for_each(|cause| self::cause(&mut text, cause));
        }
        (None, Some(_)) => line(&mut text, "it was made elsewhere, and never ran here"),
        (None, None) => {}
    }
    now(&mut text, &why.now);
    text
}

fn now(text: &mut String, now: &Now) {
    let (trace, observations, hidden, cut_off) = match now {
        Now::Reuse { trace, observations, hidden, cut_off } => (trace, observations, hidden, cut_off),
        Now::Run { maybe, causes } => {
            let would = if *maybe { "it may run now, because:" } else { "it would run now, because:" };
            line(text, would);
            return causes.iter().for_each(|cause| self::cause(text, cause));
        }
    };
    let hold = counted(*observations, "observation");
    line(text, format_args!("it would not run now: all {hold} of {} hold", trace.short()));
    for CutOff { step, reason } in cut_off {
        line(text, format_args!("  {step} ran later, and made the same again: {reason}"));
    }
    for HiddenChange { path, before, now, projections } in hidden {
        let (path, by) = (shown(path), projections.join(", "));
        let digests = format!("{} → {}", before.short(), now.short());
        line(text, format_args!("  {path} changed ({digests}), and {by} leaves that out"));
    }
}

/// A step, why it ran, and what differed.
fn cause(text: &mut String, cause: &Cause) {
    line(text, format_args!("  {}: {}", cause.step, cause.reason));
    for KeyChange { what, before, now } in &cause.key {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        line(text, format_args!("    {what}: {} → {}", value(before), value(now)));
    }
    for change in cause.changes.iter().filter(|change| !is_said_by_another(change, &cause.changes)) {
        let origin = match (&change.by, change.origin) {
            (Some(by), _) => format!("made by {by}"),
            (None, Origin::Tool) => "a tool".to_owned(),
            (None, Origin::Source | Origin::Output) => "a source".to_owned(),
        };
        let now = change.now.as_ref().map_or("not made yet", |now| now.text.as_str());
        let (look, path, before) = (&change.look, shown(&change.path), &change.before.text);
        line(text, format_args!("    {look} of {path}, {origin}: {before} → {now}"));
        let raw = |sight: Option<&Sight>| sight.and_then(|sight| sight.raw).map(|raw| raw.short());
        if let (Some(before), Some(now)) = (raw(Some(&change.before)), raw(change.now.as_ref())) {
            let by = change.projections.join(", ");
            line(text, format_args!("      seen through {by}; the whole file: {before} → {now}"));
        }
    }
    if cause.more > 0 {
        line(text, format_args!("    and {} more", cause.more));
    }
}

/// Whoever reads of a file's content need not read of its size.
fn is_said_by_another(change: &Change, all: &[Change]) -> bool {
    let is_small = |look: &str| matches!(look, "probe" | "kind");
    is_small(&change.look) && all.iter().any(|other| other.path == change.path && !is_small(&other.look))
}
