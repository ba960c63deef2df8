//! Places in the project file, and errors that carry theirs.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::error::MEND_THE_CHEF;

/// How many characters of an offending line are shown at most.
const EXCERPT_WIDTH: usize = 100;

/// How many characters of what is wrong are shown at most: it may name what was written.
const MAX_SAID: usize = 1000;

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
    /// Nobody has it as a file: a place is a table in it, and no line.
    is_said: bool,
    /// Another text whose places lie behind this one's.
    next: Option<Box<Text>>,
}

impl Text {
    /// Takes a file's name and text.
    pub fn new(file: &Path, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), text: text.into(), is_said: false, next: None }
    }

    /// Takes a text that is no file, and who says it.
    pub fn said(by: &str, text: &str) -> Self {
        Self { is_said: true, ..Self::new(Path::new(by), text) }
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
        let table = self.is_said.then(|| table(&self.text[..line_start + line.len()])).flatten();
        let within = self.is_said.then(|| table.unwrap_or_default());
        Box::new(Located { file: self.file.clone(), line: number, column: column + 1, within, excerpt, what })
    }
}

/// A text without its middle, if it is too long: it says what is wrong at its end, too.
fn shortened(text: String) -> String {
    let length = text.chars().count();
    if length <= MAX_SAID {
        return text;
    }
    let end = MAX_SAID / 4;
    let chars = || text.chars();
    chars().take(MAX_SAID - end).chain(['…']).chain(chars().skip(length - end)).collect()
}

/// The table that the end of a text is in.
fn table(text: &str) -> Option<String> {
    let header = text.lines().rev().find(|line| line.starts_with('[') && line.ends_with(']'))?;
    Some(header.chars().take(EXCERPT_WIDTH).collect())
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
    /// Of a text that is no file, so that line and column would lead nowhere: the table, with its brackets; empty above all tables.
    pub within: Option<String>,
    /// The offending line with marks below it: three lines, no final newline.
    pub excerpt: String,
    /// What is wrong there.
    pub what: E,
}

impl<E> Located<E> {
    /// What to do next about something in a text that is no file: whoever says it has to say something else.
    pub fn mend(&self) -> Option<String> {
        self.within.as_ref().map(|_| MEND_THE_CHEF.to_owned())
    }
}

impl<E: fmt::Display> Located<E> {
    /// The message without the excerpt: one line.
    pub fn headline(&self) -> String {
        let (file, what) = (self.file.display(), self.what.to_string());
        let what = shortened(what);
        match self.within.as_deref() {
            None => format!("{file}:{}:{}: {what}", self.line, self.column),
            Some("") => format!("{file}: {what}"),
            Some(table) => format!("{file}, in `{table}`: {what}"),
        }
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
