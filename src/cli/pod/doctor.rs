//! `pod doctor`.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::style::{Style, Tone};
use crate::cli::{border, place};
use crate::doctor::{Finding, Health, State, examine};
use crate::majordomo::request::{Failure, FailureKind};
use crate::words::line;

/// Check whether this machine can run a build, and how well
///
/// Tries what can be tried: it starts each engine and runs a step in it. For each thing that is not as it should be it says why that
/// matters, and one command that mends it. Nothing is changed. Exit code 3 if no build can run.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
    /// Also check that this NATS server answers: `nats://HOST:PORT`
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
}

impl DoctorArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let home = place::home(context.home.as_deref(), &context.env, context.cwd.as_deref().ok())?;
        let health = examine(&home, self.nats.as_deref());
        if self.json {
            let mut text = serde_json::to_string_pretty(&health).map_err(|error| {
                border::because(FailureKind::Machine, "could not write the report as JSON", &error)
            })?;
            text.push('\n');
            context.print(&text)?;
        } else {
            let text = render(&health, context.out_style);
            context.print(&text)?;
        }
        Ok(if health.can_build { Exit::Done } else { Exit::Machine })
    }
}

fn render(health: &Health, style: Style) -> String {
    let mut text = String::new();
    let width = health.findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    for Finding { name, state, found, why, mend, .. } in &health.findings {
        let (tone, word) = match state {
            State::Fine => (Tone::Name, "fine   "),
            State::Slower => (Tone::Warning, "slower "),
            State::Missing => (Tone::Error, "missing"),
        };
        line(&mut text, format_args!("{} {name:width$}  {found}", style.paint(tone, word)));
        if let Some(mend) = mend {
            line(&mut text, format_args!("        {:width$}  {why}", ""));
            line(&mut text, format_args!("        {:width$}  mend: {mend}", ""));
        }
    }
    text.push('\n');
    let verdict = if health.can_build { "a build can run here" } else { "no build can run here" };
    line(&mut text, verdict);
    text
}
