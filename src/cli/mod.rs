//! What a person types and reads: the commands of `majordomo` and `pod`, and the words of their answers.
//!
//! Actors: the calling thread parses, asks the engine through [`Majordomo`], and renders each [`Reply`] as it comes; a
//! ticker thread redraws live progress; a signal thread sets the [`Interrupt`]. stdout is data, stderr is talk: a closed
//! stdout or stderr is no error and never a panic. Every failure travels as one [`Failure`] up to [`border`], which
//! alone finds its words and its exit code. A crash loses nothing: this part keeps nothing.
//!
//! Non-goals: no decision about a build is made here, and nothing of a project or a home is read or written but to
//! find them ([`place`]).

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::majordomo::request::{Failure, Reply, Request};

pub mod answer;
pub mod border;
pub mod chef;
pub mod context;
pub mod event_log;
pub mod exit;
pub mod global;
pub mod guard;
pub mod interrupt;
pub mod majordomo;
pub mod place;
pub mod pod;
pub mod progress;
pub mod style;
pub mod table;
pub mod words;
pub mod zygote;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use context::Context;
use interrupt::Interrupt;

/// The engine as the CLI sees it: in this process, or behind `pod.sock`.
pub trait Majordomo {
    /// Carries out a request, and returns when it has ended. `on` is called for each reply in order, on this thread;
    /// the last one is [`Reply::Done`], unless an `Err` is returned.
    ///
    /// When `interrupt` is set, the request is cancelled: it ends within a second, as a build with the outcome
    /// `Cancelled`, and leaves nothing behind.
    ///
    /// # Errors
    /// The request could not be carried out. A step that failed is no such error.
    fn ask(&self, request: Request, interrupt: &Interrupt, on: &mut dyn FnMut(Reply)) -> Result<(), Failure>;
}

/// Finds or makes the engine of a home.
pub type Open<'a> = &'a dyn Fn(&Path) -> Result<Box<dyn Majordomo>, Failure>;

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
