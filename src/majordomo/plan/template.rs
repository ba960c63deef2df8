//! Placeholders: `{in}`, `{out}`, `{stem}` and `{dir}`, and nothing else.
//!
//! Any other brace stays as it is, and so does one behind a `$` (`${dir}` is a variable of the shell). What a placeholder
//! becomes depends on where it stands: quoted words in a shell text, plain bytes in words, paths and variables, a quoted
//! pattern in a pattern. In commands and variables paths are relative to `cwd`, so that a command finds them.

use std::fmt;
use std::ops::Range;

use protocol::{Glob, RelPath};

use crate::majordomo::project_file::{Spot, nearest::nearest};

use super::error::Problem;
use super::quote::Script;

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The matched path of `each`, else all that `in` matched.
    In,
    /// All declared outputs, in the order of `out`.
    Out,
    /// The matched path's name without its last extension.
    Stem,
    /// The matched path's folder, `.` for the project's.
    Dir,
}

impl Placeholder {
    const ALL: [(&str, Placeholder); 4] = [
        ("{in}", Placeholder::In),
        ("{out}", Placeholder::Out),
        ("{stem}", Placeholder::Stem),
        ("{dir}", Placeholder::Dir),
    ];
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Self::ALL.iter().find(|(_, placeholder)| placeholder == self).map_or("", |(text, _)| text);
        f.write_str(text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// Text with placeholders.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    /// Where it stands in the project file.
    pub at: Range<usize>,
}

/// What the placeholders stand for in one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub each: Option<&'a RelPath>,
    pub inputs: &'a [RelPath],
    pub outs: &'a [RelPath],
    pub cwd: &'a RelPath,
}

impl Template {
    pub fn new(spot: &Spot<String>) -> Self {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = spot.value.as_str();
        while let Some(brace) = rest.find('{') {
            let (before, from_brace) = rest.split_at(brace);
            text.push_str(before);
            let found = Placeholder::ALL.iter().find(|(word, _)| from_brace.starts_with(word));
            match found {
                Some((word, placeholder)) if !text.ends_with('$') => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(Piece::Value(*placeholder));
                    rest = &from_brace[word.len()..];
                }
                _ => {
                    text.push('{');
                    rest = &from_brace[1..];
                }
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Self { pieces, at: spot.at.clone() }
    }

    /// Text as it is.
    pub fn verbatim(spot: &Spot<String>) -> Self {
        let pieces = if spot.value.is_empty() { vec![] } else { vec![Piece::Text(spot.value.clone())] };
        Self { pieces, at: spot.at.clone() }
    }

    /// The placeholders in it.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(placeholder) => Some(*placeholder),
            Piece::Text(_) => None,
        })
    }

    /// Whether there is nothing to put in.
    pub fn is_plain(&self) -> bool {
        self.placeholders().next().is_none()
    }

    /// A template of a path: no pattern, and no brace that was meant as a placeholder.
    pub fn check_path(&self, key: &'static str) -> Result<(), Problem> {
        for piece in &self.pieces {
            let Piece::Text(text) = piece else { continue };
            if text.contains(['*', '?']) {
                return Err(Problem::PathIsPattern { key, text: text.clone() });
            }
            if let Some(open) = text.find('{') {
                let end = text[open..].find('}').map_or(text.len(), |close| open + close + 1);
                let written = &text[open - usize::from(text[..open].ends_with('$'))..end];
                let nearest = nearest(written, Placeholder::ALL.map(|(word, _)| word)).map(str::to_owned);
                return Err(Problem::NoPlaceholder { key, written: written.to_owned(), nearest });
            }
        }
        Ok(())
    }

    /// As bytes of a path below the project; text is in the text form of paths.
    pub fn path(&self, values: Values<'_>) -> Result<Vec<u8>, Problem> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => bytes.extend(
                    protocol::path::unescape(text)
                        .ok_or_else(|| Problem::LoneBackslash { text: text.clone() })?,
                ),
                Piece::Value(placeholder) => {
                    bytes.extend(values.of(*placeholder, &RelPath::root()).join(&b' '))
                }
            }
        }
        Ok(bytes)
    }

    /// As text of a pattern.
    pub fn pattern(&self, values: Values<'_>) -> String {
        let mut pattern = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => pattern.push_str(text),
                Piece::Value(placeholder) => {
                    pattern.push_str(&Glob::quote(&values.of(*placeholder, &RelPath::root()).join(&b' ')));
                }
            }
        }
        pattern
    }

    /// As a text for the shell.
    pub fn shell(&self, values: Values<'_>) -> Vec<u8> {
        let mut script = Script::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => script.push(text),
                Piece::Value(placeholder) => script.push_values(&values.of(*placeholder, values.cwd)),
            }
        }
        script.finish()
    }

    /// As words of an argv: a word that is nothing but `{in}` or `{out}` becomes one word for each path.
    pub fn words(&self, values: Values<'_>) -> Result<Vec<Vec<u8>>, Problem> {
        if let [Piece::Value(placeholder)] = self.pieces.as_slice() {
            return Ok(values.of(*placeholder, values.cwd));
        }
        let mut word = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => word.extend_from_slice(text.as_bytes()),
                Piece::Value(placeholder) => match values.of(*placeholder, values.cwd).as_slice() {
                    [value] => word.extend_from_slice(value),
                    several => {
                        return Err(Problem::SeveralInOneWord {
                            placeholder: *placeholder,
                            count: several.len(),
                        });
                    }
                },
            }
        }
        Ok(vec![word])
    }

    /// As a variable's value: several paths with spaces between them.
    pub fn variable(&self, values: Values<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Value(placeholder) => bytes.extend(values.of(*placeholder, values.cwd).join(&b' ')),
            }
        }
        bytes
    }
}

impl Values<'_> {
    /// What a placeholder stands for; that it stands for something was checked with the rule.
    fn of(&self, placeholder: Placeholder, base: &RelPath) -> Vec<Vec<u8>> {
        match (placeholder, self.each) {
            (Placeholder::In, Some(path)) => vec![relative(path, base)],
            (Placeholder::In, None) => self.inputs.iter().map(|path| relative(path, base)).collect(),
            (Placeholder::Out, _) => self.outs.iter().map(|path| relative(path, base)).collect(),
            (Placeholder::Stem, each) => each.and_then(|path| path.name()).map(stem).into_iter().collect(),
            (Placeholder::Dir, each) => {
                each.and_then(RelPath::parent).map(|parent| relative(&parent, base)).into_iter().collect()
            }
        }
    }
}

/// A name without its last extension; a leading dot starts none.
fn stem(name: &[u8]) -> Vec<u8> {
    match name.iter().rposition(|&b| b == b'.') {
        Some(dot) if dot > 0 => name[..dot].to_vec(),
        _ => name.to_vec(),
    }
}

/// How a path of the project is named from one of its folders.
fn relative(path: &RelPath, base: &RelPath) -> Vec<u8> {
    if base.is_root() && !path.is_root() {
        return path.as_bytes().to_vec();
    }
    let shared = path.parts().zip(base.parts()).take_while(|(a, b)| a == b).count();
    let climbs = base.parts().skip(shared).map(|_| &b".."[..]);
    let parts: Vec<&[u8]> = climbs.chain(path.parts().skip(shared)).collect();
    if parts.is_empty() { b".".to_vec() } else { parts.join(&b'/') }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::new(&Spot { value: text.to_owned(), at: 0..0 })
    }

    #[test]
    fn only_the_four_are_placeholders() {
        let text = "cc ${in} {in} {print} {{stem}} $out {out }";
        let pieces = template(text).pieces;
        let shown: Vec<String> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(placeholder) => format!("<{placeholder}>"),
            })
            .collect();
        assert_eq!(shown, ["cc ${in} ", "<{in}>", " {print} {", "<{stem}>", "} $out {out }"]);
    }

    #[test]
    fn paths_are_named_from_the_folder_of_the_commands() {
        let from = |path: &str, base: &str| {
            String::from_utf8(relative(&path.parse().unwrap(), &base.parse().unwrap())).unwrap()
        };
        assert_eq!(from("src/a.c", "."), "src/a.c");
        assert_eq!(from("src/a.c", "src"), "a.c");
        assert_eq!(from("src/a.c", "obj/x"), "../../src/a.c");
        assert_eq!(from("src", "src"), ".");
        assert_eq!(from(".", "src"), "..");
        assert_eq!(from(".", "."), ".");
    }

    #[test]
    fn stems() {
        for (name, wanted) in
            [("a.c", "a"), ("a.tar.gz", "a.tar"), (".profile", ".profile"), ("make", "make"), ("a.", "a")]
        {
            assert_eq!(stem(name.as_bytes()), wanted.as_bytes());
        }
    }
}
