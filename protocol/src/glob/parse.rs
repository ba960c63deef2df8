//! From a pattern's text to plain patterns: characters, then choices, then parts.

use super::name::{Name, Token, stray};
use super::{BadGlob, MAX_ALTERNATIVES, MAX_GLOB_LEN, Part, Pattern};

/// One sign of a pattern, its escapes resolved.
#[derive(Debug, Clone, PartialEq)]
enum Sign {
    Byte(u8),
    Slash,
    One,
    Star,
    Class { negated: bool, ranges: Vec<(u32, u32)> },
    Open,
    Comma,
    Close,
}

/// Reads a pattern's text.
pub(super) fn patterns(text: &str) -> Result<Vec<Pattern>, BadGlob> {
    if text.is_empty() {
        return Err(BadGlob::Empty);
    }
    if text.len() > MAX_GLOB_LEN {
        return Err(BadGlob::Long);
    }
    unfold(signs(text)?)?.iter().map(|signs| pattern(signs)).collect()
}

fn signs(text: &str) -> Result<Vec<Sign>, BadGlob> {
    let mut signs = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\0' => return Err(BadGlob::Nul),
            '/' => signs.push(Sign::Slash),
            '*' => signs.push(Sign::Star),
            '?' => signs.push(Sign::One),
            '{' => signs.push(Sign::Open),
            '}' => signs.push(Sign::Close),
            ',' => signs.push(Sign::Comma),
            '[' => signs.push(class(&mut rest)?),
            '\\' => match escaped(&mut rest)? {
                Escaped::Byte(b'/') => signs.push(Sign::Slash),
                Escaped::Byte(byte) => signs.push(Sign::Byte(byte)),
                Escaped::Char(c) => signs.push(Sign::Byte(c as u8)),
            },
            c => signs.extend(c.encode_utf8(&mut [0; 4]).bytes().map(Sign::Byte)),
        }
    }
    Ok(signs)
}

enum Escaped {
    Byte(u8),
    /// One of the special characters, all of them ASCII.
    Char(char),
}

/// What follows a backslash.
fn escaped(rest: &mut &str) -> Result<Escaped, BadGlob> {
    let c = rest.chars().next().ok_or(BadGlob::Escape)?;
    if "\\*?[]{},!^-".contains(c) {
        *rest = &rest[1..];
        return Ok(Escaped::Char(c));
    }
    let digits = rest.strip_prefix('x').and_then(|hex| hex.get(..2)).ok_or(BadGlob::Escape)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(BadGlob::Escape);
    }
    let byte = u8::from_str_radix(digits, 16).map_err(|_| BadGlob::Escape)?;
    *rest = &rest[3..];
    if byte == 0 { Err(BadGlob::Nul) } else { Ok(Escaped::Byte(byte)) }
}

/// A class behind its `[`.
fn class(rest: &mut &str) -> Result<Sign, BadGlob> {
    let negated = rest.starts_with(['!', '^']);
    if negated {
        *rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.starts_with(']') && !ranges.is_empty() {
            *rest = &rest[1..];
            return Ok(Sign::Class { negated, ranges });
        }
        let low = class_member(rest)?;
        let high = match rest.strip_prefix('-') {
            Some(after) if !after.starts_with(']') => {
                *rest = after;
                class_member(rest)?
            }
            _ => low,
        };
        if high < low {
            return Err(BadGlob::Class);
        }
        ranges.push((low, high));
    }
}

fn class_member(rest: &mut &str) -> Result<u32, BadGlob> {
    let c = rest.chars().next().ok_or(BadGlob::Class)?;
    *rest = &rest[c.len_utf8()..];
    match c {
        '/' | '\0' => Err(BadGlob::Class),
        '\\' => Ok(match escaped(rest)? {
            Escaped::Byte(byte) => stray(byte),
            Escaped::Char(c) => c.into(),
        }),
        c => Ok(c.into()),
    }
}

/// Replaces each choice by its alternatives, in the order in which they are written.
fn unfold(signs: Vec<Sign>) -> Result<Vec<Vec<Sign>>, BadGlob> {
    let mut done = Vec::new();
    let mut pending = vec![signs];
    while let Some(signs) = pending.pop() {
        if done.len() + pending.len() >= MAX_ALTERNATIVES {
            return Err(BadGlob::Alternatives);
        }
        let Some(open) = signs.iter().position(|sign| matches!(sign, Sign::Open | Sign::Close)) else {
            done.push(signs);
            continue;
        };
        let (close, commas) = partner(&signs, open)?;
        if commas.is_empty() {
            return Err(BadGlob::Choice(text_of(&signs[open + 1..close])));
        }
        let starts = std::iter::once(open + 1).chain(commas.iter().map(|comma| comma + 1));
        let ends = commas.iter().copied().chain([close]);
        let alternatives: Vec<_> = starts
            .zip(ends)
            .map(|(start, end)| [&signs[..open], &signs[start..end], &signs[close + 1..]].concat())
            .collect();
        pending.extend(alternatives.into_iter().rev());
    }
    Ok(done)
}

/// Where the brace at `open` is closed, and the commas between its alternatives.
fn partner(signs: &[Sign], open: usize) -> Result<(usize, Vec<usize>), BadGlob> {
    let mut depth = 0usize;
    let mut commas = Vec::new();
    for (index, sign) in signs.iter().enumerate().skip(open) {
        match sign {
            Sign::Open => depth += 1,
            Sign::Comma if depth == 1 => commas.push(index),
            Sign::Close => {
                depth = depth.checked_sub(1).ok_or(BadGlob::Brace)?;
                if depth == 0 {
                    return Ok((index, commas));
                }
            }
            _ => {}
        }
    }
    Err(BadGlob::Brace)
}

fn text_of(signs: &[Sign]) -> String {
    let bytes: Vec<u8> = signs
        .iter()
        .map(|sign| match sign {
            Sign::Byte(byte) => *byte,
            Sign::Slash => b'/',
            Sign::Star => b'*',
            Sign::Comma => b',',
            _ => b'?',
        })
        .collect();
    crate::path::escape(&bytes)
}

fn pattern(signs: &[Sign]) -> Result<Pattern, BadGlob> {
    match signs {
        [] => return Err(BadGlob::Empty),
        [Sign::Slash, ..] => return Err(BadGlob::Absolute),
        _ => {}
    }
    let mut parts = Vec::new();
    let mut names = signs.split(|sign| *sign == Sign::Slash).peekable();
    while let Some(name) = names.next() {
        let part = match name {
            // A final slash: all that is in the folder.
            [] if names.peek().is_none() => Part::AnyDepth,
            [] | [Sign::Byte(b'.'), Sign::Byte(b'.')] => return Err(BadGlob::Part),
            [Sign::Byte(b'.')] => continue,
            [Sign::Star, Sign::Star] => Part::AnyDepth,
            name if name.windows(2).any(|pair| pair == [Sign::Star, Sign::Star]) => {
                return Err(BadGlob::Stars);
            }
            name => Part::Name(Name::new(tokens(name))),
        };
        if part != Part::AnyDepth || parts.last() != Some(&Part::AnyDepth) {
            parts.push(part);
        }
    }
    if parts.is_empty() { Err(BadGlob::Part) } else { Ok(Pattern::new(parts)) }
}

fn tokens(signs: &[Sign]) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for sign in signs {
        let byte = match sign {
            Sign::One => {
                tokens.push(Token::One);
                continue;
            }
            Sign::Star => {
                tokens.push(Token::Any);
                continue;
            }
            Sign::Class { negated, ranges } => {
                tokens.push(Token::Class { negated: *negated, ranges: ranges.clone() });
                continue;
            }
            Sign::Byte(byte) => *byte,
            // Outside of a choice a comma is a comma; braces and slashes are gone by now.
            Sign::Comma | Sign::Open | Sign::Close | Sign::Slash => b',',
        };
        match tokens.last_mut() {
            Some(Token::Literal(bytes)) => bytes.push(byte),
            _ => tokens.push(Token::Literal(vec![byte])),
        }
    }
    tokens
}
