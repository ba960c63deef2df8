//! `majordomo why`.

use clap::Args;
use protocol::{Digest, StepId};

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::majordomo::ProjectOption;
use crate::majordomo::build::reason::{self, shown};
use crate::majordomo::request::trace::Sight;
use crate::majordomo::request::why::{
    Cause, Change, CutOff, HiddenChange, KeyChange, NamesChange, Now, Origin, WhyReport,
};
use crate::majordomo::request::{Failure, Report, Request};
use crate::words::{counted, line};

/// Show why an output is as it is: why its step last ran, and what would make it run again
///
/// What differs is followed down to the source, the tool, the variable or the command that started it. Where nothing
/// would run it says why not: also which changes are left out by projections, and which steps ran and made the same.
#[derive(Debug, Args)]
pub struct WhyArgs {
    /// An output's path, as seen from the project's folder, or a step's id; the name of a rule that has one step
    target: String,
    #[command(flatten)]
    project: ProjectOption,
}

impl WhyArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let environment = context.env.texts();
        let request = |project| Request::Why { project, target: self.target, environment };
        self.project.ask(context, request, |report, _| match report {
            Report::Why(why) => Some(Said::Data(render(why))),
            _ => None,
        })
    }
}

/// Names that one line has.
const NAMED: usize = 5;
/// Steps that one answer has.
const SHOWN: usize = 10;
/// The longest values that stand beside each other, in characters.
const BESIDE: usize = 40;

pub(super) fn render(why: &WhyReport) -> String {
    let (mut text, step) = (String::new(), &why.step);
    if why.target != step.as_str() && why.target != step.rule() {
        line(&mut text, format_args!("{} is made by {step}", why.target));
    }
    match &why.trace {
        None if is_volatile(&why.now) => {
            line(&mut text, format_args!("{step} runs in every build, and no trace of it is kept"));
        }
        None => line(&mut text, format_args!("{step} has never been made here")),
        Some(trace) => line(&mut text, format_args!("the last trace of {step} is {}", trace.short())),
    }
    if let Some(pod) = &why.made_by_name {
        line(&mut text, format_args!("it was made on the pod `{pod}`"));
    }
    if !why.reads_from.is_empty() {
        let some: Vec<&str> = why.reads_from.iter().take(NAMED).map(StepId::as_str).collect();
        let more = match why.reads_from.len() - some.len() {
            0 => String::new(),
            more => format!(" and {more} more steps"),
        };
        line(&mut text, format_args!("it read outputs of {}{more}", some.join(", ")));
    }
    match (&why.last_run, &why.trace) {
        (Some(run), trace) => {
            match trace {
                Some(trace) if *trace != run.after => {
                    let made = run.after.short();
                    line(&mut text, format_args!("it last ran, and made trace {made}, because:"));
                }
                _ => line(&mut text, "it last ran because:"),
            }
            causes(&mut text, &run.causes);
        }
        (None, Some(_)) => line(&mut text, "it was made elsewhere, and never ran here"),
        (None, None) => {}
    }
    if let Some(failed) = &why.failed {
        let when =
            if why.last_run.is_some() { "since then it ran again and failed" } else { "it ran and failed" };
        line(&mut text, format_args!("{when}: {}", failed.failure));
    }
    now(&mut text, &why.now, why.trace.as_ref());
    text
}

fn is_volatile(now: &Now) -> bool {
    matches!(now, Now::Run { causes, .. } if causes.first().is_some_and(|cause| cause.reason == reason::VOLATILE))
}

fn now(text: &mut String, now: &Now, last: Option<&Digest>) {
    let (trace, observations, hidden, cut_off) = match now {
        Now::Reuse { trace, observations, hidden, cut_off } => (trace, observations, hidden, cut_off),
        Now::Run { maybe, causes } => {
            let would = if *maybe { "it may run now, because:" } else { "it would run now, because:" };
            line(text, would);
            return self::causes(text, causes);
        }
    };
    let hold = counted(*observations, "observation");
    let of = if last == Some(trace) { "" } else { ", an earlier one," };
    line(text, format_args!("it would not run now: all {hold} of trace {}{of} hold", trace.short()));
    for CutOff { step, reason } in cut_off {
        line(text, format_args!("  {step} ran later, and changed nothing that it saw: {reason}"));
    }
    for HiddenChange { path, before, now, projections } in hidden {
        let (path, by) = (shown(path), projections.join(", "));
        let digests = format!("{} → {}", before.short(), now.short());
        line(text, format_args!("  {path} changed ({digests}), and {by} leaves that out"));
    }
}

/// Why steps run, the first few.
fn causes(text: &mut String, causes: &[Cause]) {
    causes.iter().take(SHOWN).for_each(|cause| self::cause(text, cause));
    if causes.len() > SHOWN {
        line(text, format_args!("  and {} more: see --json", counted((causes.len() - SHOWN) as u64, "step")));
    }
}

/// A step, why it ran, and what differed.
fn cause(text: &mut String, cause: &Cause) {
    line(text, format_args!("  {}: {}", cause.step, cause.reason));
    cause.key.iter().for_each(|change| key_change(text, change));
    for change in cause.changes.iter().filter(|change| !is_said_by_another(change, &cause.changes)) {
        let origin = match (&change.by, change.origin) {
            (Some(by), _) => format!(", made by {by}"),
            (None, Origin::Tool) => ", a tool".to_owned(),
            (None, Origin::Output) => ", made by several steps".to_owned(),
            (None, Origin::Source) => ", a source".to_owned(),
        };
        let now = change.now.as_ref().map_or("not made yet", |now| now.text.as_str());
        let (look, path, before) = (&change.look, shown(&change.path), &change.before.text);
        match &change.names {
            None => line(text, format_args!("    {look} of {path}{origin}: {before} → {now}")),
            Some(names) => {
                let names = names_change(names);
                let digest = |sight: Option<&Sight>| sight.and_then(|sight| sight.digest).map(|d| d.short());
                let digests = [digest(Some(&change.before)), digest(change.now.as_ref())];
                let digests = digests.map(Option::unwrap_or_default).join(" → ");
                line(text, format_args!("    {look} of {path}: {names}{origin} ({digests})"));
            }
        }
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

fn names_change(NamesChange { appeared, gone }: &NamesChange) -> String {
    let said =
        |names: &[String], verb: &str| (!names.is_empty()).then(|| format!("{} {verb}", names.join(", ")));
    let said: Vec<String> = [said(appeared, "appeared"), said(gone, "gone")].into_iter().flatten().collect();
    said.join(", ")
}

/// What was and what is: in one line, or the lines that differ one by one.
fn key_change(text: &mut String, KeyChange { what, before, now }: &KeyChange) {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let (before, now) = (value(before), value(now));
    let is_short = |value: &str| !value.contains('\n') && value.chars().count() <= BESIDE;
    if is_short(&before) && is_short(&now) {
        return line(text, format_args!("    {what}: {before} → {now}"));
    }
    line(text, format_args!("    {what}:"));
    let (before, now): (Vec<&str>, Vec<&str>) = (before.lines().collect(), now.lines().collect());
    let same = |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut before.iter().zip(&now));
    let tail = same(&mut before[head..].iter().rev().zip(now[head..].iter().rev()));
    for (sign, lines) in [("-", &before), ("+", &now)] {
        for changed in &lines[head..lines.len() - tail] {
            line(text, format_args!("      {sign} {changed}"));
        }
    }
}

/// Whoever reads of a file's content need not read of its size.
fn is_said_by_another(change: &Change, all: &[Change]) -> bool {
    let is_small = |look: &str| matches!(look, "probe" | "kind");
    is_small(&change.look) && all.iter().any(|other| other.path == change.path && !is_small(&other.look))
}
