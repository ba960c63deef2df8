//! `pod fsck`.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::{Failure, FsckReport, Report, Request};
use crate::words::{bytes, counted, line};

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
        let report = context.report_with_progress(Request::Fsck, "checked")?;
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
