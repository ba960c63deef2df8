//! Places in the project file, and errors that carry theirs.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How many characters of an offending line are shown at most.
const EXCERPT_WIDTH: usize = 100;

/// A value and where it stands: byte offsets in the file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Range<usize>,
}

impl<T> Spot<T> {
    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> Spot<U> {
        Spot { value, at: self.at.clone() }
    }
}

/// The text of a project file, and the name under which messages mention it.
#[derive(Debug, Clone)]
pub struct Text {
    file: PathBuf,
    text: String,
    /// Another text whose places lie behind this one's.
    next: Option<Box<Text>>,
}

impl Text {
    /// Takes a file's name and text.
    pub fn new(file: &Path, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), text: text.into(), next: None }
    }

    /// The text behind so much white space.
    pub fn behind(&self, length: usize) -> Self {
        Self::new(&self.file, " ".repeat(length) + &self.text)
    }

    /// This text, and behind it one that was read [`Self::behind`] it.
    pub fn before(mut self, next: Self) -> Self {
        let text = next.text.get(self.text.len()..).unwrap_or_default().to_owned();
        self.next = Some(Box::new(Self { text, ..next }));
        self
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The file's name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// An error at a place; a place outside of the text is its end.
    pub fn locate<E>(&self, at: Range<usize>, what: E) -> Box<Located<E>> {
        let length = self.text.len();
        if let Some(next) = self.next.as_ref().filter(|_| at.start >= length) {
            return next.locate(at.start - length..at.end.saturating_sub(length), what);
        }
        let start = floor_char_boundary(&self.text, at.start);
        let end = floor_char_boundary(&self.text, at.end.max(start));
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = before[line_start..].chars().count();
        let marked = self.text[start..end].lines().next().unwrap_or("").chars().count();
        let number = before.matches('\n').count() + 1;
        let excerpt = excerpt(line, number, column, marked);
        Box::new(Located { file: self.file.clone(), line: number, column: column + 1, excerpt, what })
    }
}

/// The nearest place at or before `at` where a character starts.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}

/// The line, and below it marks under what is meant.
fn excerpt(line: &str, number: usize, column: usize, marked: usize) -> String {
    let skipped = if column < EXCERPT_WIDTH / 2 { 0 } else { column - EXCERPT_WIDTH / 4 };
    let mut shown: String = line
        .chars()
        .skip(skipped)
        .take(EXCERPT_WIDTH)
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if line.chars().count() > skipped + EXCERPT_WIDTH {
        shown.push('…');
    }
    let lead = if skipped > 0 { "…" } else { "" };
    // Tabs stay tabs, so that the marks stand below what they mark.
    let space: String = format!("{lead}{shown}")
        .chars()
        .take(lead.chars().count() + column - skipped)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let room = (EXCERPT_WIDTH + 1).saturating_sub(column - skipped);
    let marks = "^".repeat(marked.clamp(1, room.max(1)));
    let gutter = " ".repeat(number.to_string().len());
    format!("{gutter} |\n{number} | {lead}{shown}\n{gutter} | {space}{marks}")
}

/// An error at a place of the project file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<E> {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The offending line with marks below it: three lines, no final newline.
    pub excerpt: String,
    /// What is wrong there.
    pub what: E,
}

impl<E: fmt::Display> Located<E> {
    /// The message without the excerpt: one line.
    pub fn headline(&self) -> String {
        format!("{}:{}:{}: {}", self.file.display(), self.line, self.column, self.what)
    }
}

impl<E: fmt::Display> fmt::Display for Located<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.headline(), self.excerpt)
    }
}

impl<E: Error> Error for Located<E> {
    /// The message says what is wrong already, so the chain goes on behind it.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.what.source()
    }
}
