//! `pod artefacts`, `owner`, `give` and `pull`: who keeps what, and how that changes.

use clap::Args;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::table::table;
use crate::majordomo::request::{
    ArtefactName, ArtefactReport, ArtefactsReport, Failure, OwnerReport, PulledReport, RefreshedReport,
    Report, Request,
};
use crate::words::{bytes, counted, line};

/// List what the pods of the federation own: the sources that steps have read, and what steps have made
#[derive(Debug, Args)]
pub struct ArtefactsArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

/// Show which pod owns something, and so must keep its bytes, and which are believed to have them
#[derive(Debug, Args)]
pub struct OwnerArgs {
    /// A path in a project of this machine, or `PROJECT:PATH`; `PROJECT:` is its sources
    #[arg(value_name = "PATH|ARTEFACT")]
    artefact: String,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

/// Hand something that this pod owns over to another pod, which pulls all bytes first
///
/// All outputs of one step, or all sources of a project, go together. With `--copy` the other pod pulls the bytes, and the owner stays: whoever that is.
#[derive(Debug, Args)]
pub struct GiveArgs {
    /// A path in a project of this machine, or `PROJECT:PATH`; `PROJECT:` is its sources
    artefact: String,
    /// The other pod's name or id, as `pod pods` shows it
    pod: String,
    /// Give a copy: its owner stays
    #[arg(long)]
    copy: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

/// Bring a copy of something into this pod's larder, verified; its owner stays
///
/// It is a copy of what its owner has now. What is pulled again comes as it is then; `--refresh` does so for all that was pulled before. Exit code 3 if something did not come.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// A path in a project of this machine, or `PROJECT:PATH`; `PROJECT:` is its sources
    #[arg(required_unless_present = "refresh", conflicts_with = "refresh")]
    artefact: Option<String>,
    /// Bring all that was pulled before up to date
    #[arg(long)]
    refresh: bool,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
}

fn named(context: &Context<'_>, word: String) -> Result<ArtefactName, Failure> {
    Ok(ArtefactName { word, cwd: context.cwd()?.to_owned() })
}

impl ArtefactsArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        context.ask(Request::Artefacts, self.json, |report, style| match report {
            Report::Artefacts(found) => Some(Said::Data(list(found, style.width))),
            _ => None,
        })
    }
}

impl OwnerArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request = Request::Owner(named(context, self.artefact)?);
        context.ask(request, self.json, |report, _| match report {
            Report::Owner(found) => Some(Said::Data(owner(found))),
            _ => None,
        })
    }
}

impl GiveArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let request =
            Request::Give { artefact: named(context, self.artefact)?, to: self.pod, is_copy: self.copy };
        context.ask(request, self.json, |report, _| match report {
            Report::Owner(found) => Some(Said::Data(owner(found))),
            _ => None,
        })
    }
}

impl PullArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let Some(artefact) = self.artefact else {
            let report = context.report(Request::Refresh, &mut |_| ())?;
            context.tell(&report, self.json, |report, _| match report {
                Report::Refreshed(found) => Some(Said::Data(refreshed(found))),
                _ => None,
            })?;
            let is_all = matches!(&report, Report::Refreshed(found) if found.lacking.is_empty());
            return Ok(if is_all { Exit::Done } else { Exit::Machine });
        };
        let request = Request::Pull(named(context, artefact)?);
        context.ask(request, self.json, |report, _| match report {
            Report::Pulled(found) => Some(Said::Data(pulled(found))),
            _ => None,
        })
    }
}

/// As it can be typed again.
fn name(artefact: &ArtefactReport) -> String {
    format!("{}:{}", artefact.project, artefact.path)
}

fn what(artefact: &ArtefactReport) -> String {
    match artefact.label.split_once(": ") {
        Some((_, step)) => format!("made by `{step}`"),
        None => "sources".to_owned(),
    }
}

fn whose(artefact: &ArtefactReport) -> String {
    if artefact.is_mine { "this pod".to_owned() } else { artefact.owner_name.clone() }
}

fn list(found: &ArtefactsReport, width: Option<usize>) -> String {
    let rows: Vec<[String; 4]> = found
        .artefacts
        .iter()
        .map(|artefact| [name(artefact), bytes(artefact.bytes), whose(artefact), what(artefact)])
        .collect();
    let mut text = table(&rows, width);
    line(
        &mut text,
        format_args!("{} with {}", counted(rows.len() as u64, "artefact"), counted(found.files, "file")),
    );
    text
}

fn owner(found: &OwnerReport) -> String {
    let mut text = String::new();
    let artefact = &found.artefact;
    if let Some(file) = &found.file {
        line(
            &mut text,
            format_args!("{}:{}  {}, {}", artefact.project, file.path, bytes(file.bytes), file.digest),
        );
        line(&mut text, format_args!("  part of {}, {}", name(artefact), what(artefact)));
    } else {
        line(&mut text, format_args!("{}  {}, {}", name(artefact), bytes(artefact.bytes), what(artefact)));
    }
    match artefact.owner {
        Some(pod) => line(&mut text, format_args!("  owner {}  {pod}", whose(artefact))),
        None => line(&mut text, "  owner nobody"),
    }
    if let Some(file) = found.file.as_ref().filter(|file| !file.holder_names.is_empty()) {
        line(&mut text, format_args!("  held by {}", file.holder_names.join(", ")));
    }
    if let Some(to) = artefact.promised_to {
        line(&mut text, format_args!("  is being handed over to {to}"));
    }
    text
}

fn pulled(found: &PulledReport) -> String {
    format!("{}: {}, {} are here\n", name(&found.artefact), counted(found.files, "file"), bytes(found.bytes))
}

fn refreshed(found: &RefreshedReport) -> String {
    let mut text: String = found.pulled.iter().map(pulled).collect();
    for lacking in &found.lacking {
        line(&mut text, format_args!("{}: did not come: {}", name(&lacking.artefact), lacking.why));
    }
    line(&mut text, format_args!("{} already up to date", counted(found.up_to_date, "artefact")));
    text
}
