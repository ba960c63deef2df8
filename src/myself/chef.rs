//! The hidden first argument [`BUILT_IN`]: this program once more, as one of its chefs, in the kitchen.

use std::process::ExitCode;

/// The hidden argument; the chef's name comes after it.
pub const BUILT_IN: &str = "built-in-chef";

/// Answers as a chef, if the first argument says so; the exit code then.
pub fn serve_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != BUILT_IN {
        return None;
    }
    let name = arguments.next().unwrap_or_default();
    Some(match chef_builtin::serve(&name.to_string_lossy()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut words = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(next) = source {
                words += &format!(": {next}");
                source = next.source();
            }
            eprintln!("{words}");
            ExitCode::FAILURE
        }
    })
}
