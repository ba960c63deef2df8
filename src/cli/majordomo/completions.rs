//! `completions` of both binaries.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::majordomo::request::Failure;

/// Print completions for a shell
///
/// Let the shell read it when it starts; for bash, `source` what this prints.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints those of a command tree.
    ///
    /// # Errors
    /// stdout cannot be written.
    pub fn run<C: CommandFactory>(self, context: &mut Context<'_>, binary: &str) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut C::command(), binary, &mut script);
        context.print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
