//! The border: where a failure gets its words and its exit code.
//!
//! ```text
//! error: what happened, to what
//!   caused by: why
//!   caused by: why that
//!
//! hint: what to do next
//! ```
//!
//! A failure may be told in words of a chef's or of another pod's: none of them moves the cursor or clears the screen.

use clap::error::ErrorKind;

use crate::cli::exit::Exit;
use crate::cli::style::{Style, Tone};
use crate::majordomo::request::{Failure, FailureKind};
use crate::words;

/// A failure of a kind.
pub fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
}

/// The user's mistake.
pub fn mistake(message: impl Into<String>) -> Failure {
    failure(FailureKind::User, message)
}

/// A failure with a cause: what could not be done, and the error that says why.
pub fn because(
    kind: FailureKind,
    message: impl Into<String>,
    cause: &(dyn std::error::Error + 'static),
) -> Failure {
    let below = Failure::new(kind, cause);
    let causes = std::iter::once(below.message).chain(below.causes).collect();
    Failure { kind, message: message.into(), causes, hints: Vec::new() }
}

/// The words of a failure, as they go to stderr.
pub fn render(failure: &Failure, style: Style) -> String {
    let mut text = String::new();
    words::line(
        &mut text,
        format_args!("{}: {}", style.paint(Tone::Error, "error"), words::clean_text(&failure.message)),
    );
    for cause in &failure.causes {
        words::line(
            &mut text,
            format_args!("  caused by: {}", words::clean_text(cause).replace('\n', "\n    ")),
        );
    }
    if !failure.hints.is_empty() {
        text.push('\n');
    }
    for hint in &failure.hints {
        words::line(
            &mut text,
            format_args!("{}: {}", style.paint(Tone::Hint, "hint"), words::clean_text(hint)),
        );
    }
    text
}

/// Says what clap has to say: help and version on stdout, a mistake on stderr. A closed stream is no error.
pub fn usage(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    match error.print() {
        Ok(()) if asked => Exit::Done,
        Err(unwritten) if asked && unwritten.kind() != std::io::ErrorKind::BrokenPipe => Exit::Machine,
        _ if asked => Exit::Done,
        _ => Exit::Mistake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_its_causes_and_what_to_do() {
        let cause = std::io::Error::other("no space left on device");
        let failure = because(FailureKind::Machine, "could not store `obj/a.o`", &cause)
            .hint("free some space, then build again")
            .hint("or name another home: `--home DIR`");
        insta::assert_snapshot!(render(&failure, Style::default()), @r"
        error: could not store `obj/a.o`
          caused by: no space left on device

        hint: free some space, then build again
        hint: or name another home: `--home DIR`
        ");
        let color = render(&mistake("no"), Style { color: true, ..Style::default() });
        assert_eq!(color, "\x1b[1;31merror\x1b[0m: no\n");
        let foul = because(FailureKind::User, "no\x1b[2J", &std::io::Error::other("\x1b]0;title\x07why"));
        assert_eq!(
            render(&foul.hint("\x1b[1Aso"), Style::default()),
            "error: no\n  caused by: why\n\nhint: so\n"
        );
    }
}
