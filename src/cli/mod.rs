//! What a person types and reads: the commands of `majordomo` and `pod`, and the words of their answers.
//!
//! Actors: the calling thread parses, asks through [`Majordomo`](crate::majordomo::Majordomo), and renders each
//! [`Reply`](crate::majordomo::request::Reply) as it comes; a ticker thread redraws live progress; a signal thread sets the
//! [`Interrupt`](crate::interrupt::Interrupt). stdout is data, stderr is talk: a closed stdout or stderr is no error and never a panic. Every failure
//! travels as one [`Failure`](protocol::failure::Failure) up to [`border`], which alone finds its words and its exit code. A crash loses nothing:
//! this part keeps nothing.
//!
//! Non-goals: no decision about a build is made here, and nothing of a project or a home is read or written but to
//! find them ([`place`]).

use std::process::ExitCode;

use clap::Parser;

use crate::majordomo::Open;

pub mod answer;
pub mod border;
pub mod context;
pub mod event_log;
pub mod exit;
pub mod global;
pub mod majordomo;
pub mod place;
pub mod pod;
pub mod progress;
pub mod style;
pub mod table;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use context::Context;

/// All of the binary `majordomo`.
pub fn majordomo_main(open: Open<'_>) -> ExitCode {
    let cli = match majordomo::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return border::usage(&error).into(),
    };
    let mut context = Context::of_process(&cli.global, open);
    let ended = cli.command.run(&mut context);
    context.end(ended).into()
}

/// All of the binary `pod`.
pub fn pod_main(open: Open<'_>) -> ExitCode {
    let cli = match pod::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return border::usage(&error).into(),
    };
    let mut context = Context::of_process(&cli.global, open);
    let ended = cli.run(&mut context);
    context.end(ended).into()
}
