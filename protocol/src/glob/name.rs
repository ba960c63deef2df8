//! One name of a path against one part of a pattern.

/// What stands for some bytes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// These bytes.
    Literal(Vec<u8>),
    /// One character, or one byte that belongs to none.
    One,
    /// One character of (or not of) these ranges.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
    /// Any text.
    Any,
}

/// A part of a pattern that matches one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<Token>);

impl Name {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self.0.as_slice(), [Token::Literal(_)])
    }

    /// The bytes that every match starts with.
    pub(super) fn prefix(&self) -> &[u8] {
        match self.0.first() {
            Some(Token::Literal(bytes)) => bytes,
            _ => b"",
        }
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        if name.first() == Some(&b'.') && self.prefix().is_empty() {
            return false;
        }
        let (mut token, mut at) = (0, 0);
        let mut way_back = None;
        loop {
            match self.0.get(token) {
                Some(Token::Any) => {
                    token += 1;
                    way_back = Some((token, at));
                    if token == self.0.len() {
                        return true;
                    }
                    continue;
                }
                None if at == name.len() => return true,
                Some(one) => {
                    if let Some(len) = one.match_at(&name[at..]) {
                        token += 1;
                        at += len;
                        continue;
                    }
                }
                None => {}
            }
            match way_back {
                Some((after, from)) if from < name.len() => {
                    at = from + unit(&name[from..]).1;
                    token = after;
                    way_back = Some((after, at));
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    /// How many bytes at the start of `rest` this token takes; `None` if it does not match there.
    fn match_at(&self, rest: &[u8]) -> Option<usize> {
        match self {
            Token::Literal(bytes) => rest.starts_with(bytes).then_some(bytes.len()),
            Token::Any => None,
            _ if rest.is_empty() => None,
            Token::One => Some(unit(rest).1),
            Token::Class { negated, ranges } => {
                let (unit, len) = unit(rest);
                let inside = ranges.iter().any(|&(low, high)| (low..=high).contains(&unit));
                (inside != *negated).then_some(len)
            }
        }
    }
}

/// Above every character: a byte that is no part of UTF-8 text counts as this plus its value.
const STRAY: u32 = 0x11_0000;

/// A stray byte as a member of a class.
pub(super) fn stray(byte: u8) -> u32 {
    if byte < 0x80 { byte.into() } else { STRAY + u32::from(byte) }
}

/// The character at the start of non-empty bytes, or the stray byte there, and its length in bytes.
fn unit(bytes: &[u8]) -> (u32, usize) {
    let len = match bytes[0] {
        first @ ..0x80 => return (first.into(), 1),
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
        _ => 1,
    };
    let character =
        bytes.get(..len).and_then(|part| std::str::from_utf8(part).ok()).and_then(|text| text.chars().next());
    match character {
        Some(c) => (c.into(), len),
        None => (stray(bytes[0]), 1),
    }
}
