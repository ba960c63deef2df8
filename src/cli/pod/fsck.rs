//! `pod fsck`.

use std::time::{Duration, Instant};

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::words::{bytes, counted, line};
use crate::majordomo::request::{Failure, FsckReport, Reply, Report, Request};

/// How often progress is said on a terminal.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Check every object of the larder
///
/// Reads all objects, compares them with their digests, puts what is wrong into quarantine, and builds the index again
/// from the objects. A build makes again what is missing then. Exit code 3 if something was wrong.
#[derive(Debug, Args)]
pub struct FsckArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

impl FsckArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let (talk, live) = (context.talk.clone(), context.talk_style.live);
        let mut last: Option<Instant> = None;
        let report = context.report(Request::Fsck, &mut |reply| {
            let Reply::Progress { done, total, unit } = reply else { return };
            if live && last.is_none_or(|last| last.elapsed() >= PROGRESS_EVERY) {
                last = Some(Instant::now());
                let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
                talk.say(&format!("\r\x1b[Kchecked {done}{of} {unit}"));
            }
        });
        if last.is_some() {
            talk.say("\r\x1b[K");
        }
        let report = report?;
        context.tell(&report, self.json, |report, _| match report {
            Report::Fsck(found) => Some(Said::Data(render(found))),
            _ => None,
        })?;
        let is_fine = matches!(&report, Report::Fsck(found) if found.quarantined.is_empty());
        Ok(if is_fine { Exit::Done } else { Exit::Machine })
    }
}

pub(super) fn render(found: &FsckReport) -> String {
    let mut text = String::new();
    let checked = format!("{}, {}", counted(found.objects, "object"), bytes(found.bytes));
    if found.quarantined.is_empty() {
        line(&mut text, format_args!("{checked}: all as they should be"));
        return text;
    }
    let wrong = found.quarantined.len();
    line(&mut text, format_args!("{checked}: {wrong} wrong, now in quarantine:"));
    for what in &found.quarantined {
        line(&mut text, format_args!("  {what}"));
    }
    text
}
