//! How a stream looks: width, colour, whether lines on it can be redrawn.

use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use clap::ValueEnum;

use crate::cli::context::Environment;
use crate::env_vars;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Columns; `None`: nobody cuts lines there.
    pub width: Option<usize>,
    /// Rows; `None`: not a screen.
    pub rows: Option<usize>,
    /// Whether colour is wanted.
    pub color: bool,
    /// Whether what was written can be drawn again.
    pub live: bool,
}

impl Style {
    /// Asks a stream.
    pub fn of<F: AsFd + IsTerminal>(stream: &F, choice: ColorChoice, env: &Environment) -> Self {
        let terminal = stream.is_terminal();
        let dumb = env.get(&env_vars::TERM).is_some_and(|term| term == "dumb");
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !dumb && env.get(&env_vars::NO_COLOR).is_none(),
        };
        let size = if terminal { rustix::termios::tcgetwinsize(stream).ok() } else { None };
        let known = |cells: u16| (cells > 0).then_some(usize::from(cells));
        Self {
            width: size.and_then(|size| known(size.ws_col)),
            rows: size.and_then(|size| known(size.ws_row)),
            color,
            live: terminal && !dumb,
        }
    }

    /// Text in a tone, if colour is wanted.
    pub fn paint<T: fmt::Display>(self, tone: Tone, text: T) -> Painted<T> {
        Painted { tone: self.color.then_some(tone), text }
    }
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something failed.
    Error,
    /// Something should be looked into.
    Warning,
    /// Advice.
    Hint,
    /// A name that the eye looks for.
    Name,
    /// Beside the point.
    Dim,
}

/// Text with its tone; displays as plain text where no colour is wanted.
pub struct Painted<T> {
    tone: Option<Tone>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tone) = self.tone else { return self.text.fmt(f) };
        let code = match tone {
            Tone::Error => "1;31",
            Tone::Warning => "1;33",
            Tone::Hint => "36",
            Tone::Name => "1",
            Tone::Dim => "2",
        };
        write!(f, "\x1b[{code}m{}\x1b[0m", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_terminal_and_no_color_counts_only_when_not_empty() {
        let file = tempfile::tempfile().unwrap();
        let plain = Style::of(&file, ColorChoice::Auto, &Environment::default());
        assert_eq!(plain, Style::default());
        assert!(Style::of(&file, ColorChoice::Always, &Environment::of([("NO_COLOR", "1")])).color);
    }

    #[test]
    fn without_colour_the_text_stays_as_it_is() {
        assert_eq!(Style::default().paint(Tone::Error, "x").to_string(), "x");
        let style = Style { color: true, ..Style::default() };
        assert_eq!(style.paint(Tone::Name, "x").to_string(), "\x1b[1mx\x1b[0m");
    }
}
