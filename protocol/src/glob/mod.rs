//! Globs: the one meaning of a pattern over paths of a project, wherever one is written (`each`, `in`, `keep`, targets).
//!
//! `*` is any text in one name, `?` one character, `[a-z]` and `[!a-z]` one of a class, `{a,b}` either text (slashes
//! allowed), `**` between slashes any number of folders; a final `/` stands for `/**`. Wildcards and classes never match
//! a leading dot: hidden names must be written out. Everything is compared as bytes and with case. `\` makes the next
//! special character an ordinary one, and `\xNN` is a byte, as in the text form of a [`RelPath`].
//!
//! Own matcher rather than regular expressions: it costs nothing to build (a rule may have a pattern for each of a
//! thousand steps), it knows hidden names, and it can say where in a sorted list of paths it is worth looking at all.

mod name;
mod parse;

use name::Name;

use crate::RelPath;
use crate::path::escape;

/// The longest pattern, in bytes.
pub const MAX_GLOB_LEN: usize = 4096;

/// Into how many plain patterns the `{a,b}` of one glob may unfold.
pub const MAX_ALTERNATIVES: usize = 256;

/// Why text is no glob. Every message is a fragment that follows the pattern's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGlob {
    /// Nothing is in it.
    #[error("it is empty")]
    Empty,
    /// It starts with `/`.
    #[error("it is absolute, and patterns stay inside the project")]
    Absolute,
    /// It has a `..` or an empty part.
    #[error("it has an empty or `..` part, and patterns stay inside the project")]
    Part,
    /// `**` with something else beside it in the same part.
    #[error("`**` must stand alone between slashes")]
    Stars,
    /// `[` without its `]`, an empty class, or one that is backwards.
    #[error("a `[` has no matching `]`, or a range in it is backwards")]
    Class,
    /// `{` without its `}`, or the other way round.
    #[error("a brace has no partner")]
    Brace,
    /// A brace with no comma in it.
    #[error("`{{{0}}}` is neither a placeholder nor a choice like `{{a,b}}`")]
    Choice(String),
    /// A backslash before something that needs none.
    #[error("a lone backslash: write `\\\\`, `\\xNN` for a byte, or `\\*` for a plain `*`")]
    Escape,
    /// A NUL byte.
    #[error("it has a NUL byte")]
    Nul,
    /// More than [`MAX_GLOB_LEN`] bytes.
    #[error("it is longer than {MAX_GLOB_LEN} bytes")]
    Long,
    /// More than [`MAX_ALTERNATIVES`] patterns.
    #[error("its choices make more than {MAX_ALTERNATIVES} patterns")]
    Alternatives,
}

/// How far a pattern goes into a folder whose contents are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It means the folder itself, or all that is in it.
    Whole,
    /// It picks among what is in it.
    Inside,
}

/// A pattern over paths; an absolute or climbing one cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    patterns: Vec<Pattern>,
}

impl Glob {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, BadGlob> {
        Ok(Self { text: text.to_owned(), patterns: parse::patterns(text)? })
    }

    /// Bytes as a pattern that matches just them.
    pub fn quote(bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len());
        for c in escape(bytes).chars() {
            if "*?[]{},".contains(c) {
                text.push('\\');
            }
            text.push(c);
        }
        text
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The patterns without choices that this one stands for: a path matches if one of them does.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether a path (its bytes) matches. The root never does.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }

    /// How far it goes into a folder of which only the path is known; `None`: not at all. A pattern that starts with
    /// `**` reaches into no folder in particular, and so into none here.
    pub fn reach(&self, folder: &RelPath) -> Option<Reach> {
        self.patterns.iter().filter_map(|pattern| pattern.reach(folder)).max()
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// One pattern without `{a,b}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
    prefix: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    AnyDepth,
    Name(Name),
}

impl Pattern {
    fn new(parts: Vec<Part>) -> Self {
        let mut prefix = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                prefix.push(b'/');
            }
            let Part::Name(name) = part else { break };
            prefix.extend_from_slice(name.prefix());
            if !name.is_literal() {
                break;
            }
        }
        Self { parts, prefix }
    }

    /// The bytes that every match starts with: in a sorted list the matches lie in one run of paths with this prefix.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether it has no wildcard, so that its prefix is the only path that it matches.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Name(name) if name.is_literal()))
    }

    /// Whether a path (its bytes) matches. The root never does.
    pub fn matches(&self, path: &[u8]) -> bool {
        if path.is_empty() || !path.starts_with(&self.prefix) {
            return false;
        }
        // Greedy with one way back, to the last `**`: an earlier `**` could take in nothing that the last one cannot.
        let (mut part, mut at) = (0, 0);
        let mut way_back = None;
        loop {
            match self.parts.get(part) {
                Some(Part::AnyDepth) if part + 1 == self.parts.len() => {
                    return at < path.len() && path[at..].split(|&b| b == b'/').all(|name| name[0] != b'.');
                }
                Some(Part::AnyDepth) => {
                    part += 1;
                    way_back = Some((part, at));
                    continue;
                }
                Some(Part::Name(name)) if at < path.len() => {
                    let end = end_of_name(path, at);
                    if name.matches(&path[at..end]) {
                        part += 1;
                        at = end + 1;
                        continue;
                    }
                }
                None if at >= path.len() => return true,
                _ => {}
            }
            match way_back {
                Some((after, from)) if from < path.len() && path[from] != b'.' => {
                    at = end_of_name(path, from) + 1;
                    part = after;
                    way_back = Some((after, at));
                }
                _ => return false,
            }
        }
    }

    fn reach(&self, folder: &RelPath) -> Option<Reach> {
        let mut parts = self.parts.as_slice();
        for name in folder.parts() {
            match parts.split_first()? {
                (Part::Name(part), rest) if part.matches(name) => parts = rest,
                _ => return None,
            }
        }
        Some(match parts {
            [] | [Part::AnyDepth] => Reach::Whole,
            _ => Reach::Inside,
        })
    }
}

fn end_of_name(path: &[u8], start: usize) -> usize {
    path[start..].iter().position(|&b| b == b'/').map_or(path.len(), |len| start + len)
}

#[cfg(test)]
mod tests;
