//! `majordomo init`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::{Context, unexpected};
use crate::cli::exit::Exit;
use crate::cli::place;
use crate::majordomo::request::{Failure, InitReport, Report, Request};

/// Write a project file that says what is there
///
/// Asks the chefs, as a build without a project file does, and writes the plan of the surest one as `majordomo.toml`,
/// ready to be edited. One that is there is never overwritten. Nothing that was built is made again for it.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The project's folder [default: the current one]
    #[arg(value_name = "PROJECT")]
    project: Option<PathBuf>,
    /// The same, as an option
    #[arg(short = 'p', long = "project", value_name = "DIR", conflicts_with = "project")]
    named: Option<PathBuf>,
}

impl InitArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        // A new project file belongs here, whatever stands above.
        let named = self.project.or(self.named);
        let project = place::project(Some(named.as_deref().unwrap_or(Path::new("."))), &context.around()?)?;
        let environment = context.env.texts();
        match context.report(Request::Init { project, environment }, &mut |_| ())? {
            Report::Init(written) => context.talk.say(&render(&written)),
            _ => return Err(unexpected()),
        }
        Ok(Exit::Done)
    }
}

pub(super) fn render(InitReport { file, chef, found }: &InitReport) -> String {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    match found.is_empty() {
        true => format!("wrote `{file}`: the chef `{chef}` knows this project\n"),
        false => format!("wrote `{file}`: the chef `{chef}` found {found}\n"),
    }
}
