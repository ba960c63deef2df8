//! Tokens of a ninja file.
//!
//! Two ways of reading alternate, and the parser says which: tokens ([`Lexer::token`]) at the starts of lines and between
//! paths, and text with `$` ([`Lexer::path`], [`Lexer::value`]), in which only few bytes have a meaning. A comment is one only
//! where a token is wanted; a blank line ends a block, a comment does not. Lines end in `\n` or `\r\n`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{Error, Place, Wrong, shown};
use crate::expr::{Expr, Part};

/// A token; `Indent` is spaces at the start of a line that has something else behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Build,
    Rule,
    Pool,
    Default,
    Include,
    Subninja,
    Word,
    Indent,
    Newline,
    Equals,
    Colon,
    Pipe,
    PipePipe,
    PipeAt,
    End,
}

impl Token {
    /// For a message.
    pub fn name(self) -> &'static str {
        match self {
            Token::Build => "`build`",
            Token::Rule => "`rule`",
            Token::Pool => "`pool`",
            Token::Default => "`default`",
            Token::Include => "`include`",
            Token::Subninja => "`subninja`",
            Token::Word => "a word",
            Token::Indent => "an indented line",
            Token::Newline => "the end of the line",
            Token::Equals => "`=`",
            Token::Colon => "`:` (in a path, write `$:`)",
            Token::Pipe => "`|`",
            Token::PipePipe => "`||`",
            Token::PipeAt => "`|@`",
            Token::End => "the end of the file",
        }
    }
}

/// The words that start statements.
pub(crate) const KEYWORDS: [&[u8]; 6] = [b"build", b"rule", b"pool", b"default", b"include", b"subninja"];

/// Reads one file.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    file: Arc<str>,
    text: &'a [u8],
    at: usize,
    /// Where the last token, word or text started.
    last: usize,
    /// The start of a line at or before `last`, and its number: so that places need no walk from the start of the file.
    line: (usize, usize),
}

impl<'a> Lexer<'a> {
    pub fn new(file: Arc<str>, text: &'a [u8]) -> Self {
        Self { file, text, at: 0, last: 0, line: (0, 1) }
    }

    /// The place of what was read last. Walks from the start of the last statement ([`Lexer::statement`]).
    pub fn place(&self) -> Place {
        let (start, line) = self.line_of(self.last);
        Place { file: self.file.clone(), line, column: self.last - start + 1 }
    }

    /// What was read last starts a statement.
    pub fn statement(&mut self) {
        self.line = self.line_of(self.last);
    }

    fn line_of(&self, offset: usize) -> (usize, usize) {
        let (mut start, mut line) = self.line;
        let between = self.text.get(start..offset).unwrap_or_default();
        for (index, byte) in between.iter().enumerate() {
            if *byte == b'\n' {
                line += 1;
                start = self.line.0 + index + 1;
            }
        }
        (start, line)
    }

    /// A mistake at what was read last.
    pub fn wrong(&self, wrong: Wrong) -> Error {
        wrong.at(self.place())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// Whether a line ends at `offset`, and how many bytes that takes.
    fn line_end(&self, offset: usize) -> Option<usize> {
        match self.text.get(offset..)? {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            _ => None,
        }
    }

    /// The next token; spaces and continued lines behind it are skipped.
    pub fn token(&mut self) -> Result<Token, Error> {
        let token = loop {
            self.last = self.at;
            let spaces = count(&self.text[self.at..], |b| b == b' ');
            let behind = self.at + spaces;
            if self.text.get(behind) == Some(&b'#') {
                self.comment(behind)?;
                continue;
            }
            if let Some(length) = self.line_end(behind) {
                self.at = behind + length;
                return Ok(Token::Newline);
            }
            if spaces > 0 {
                self.at = behind;
                break Token::Indent;
            }
            break self.visible()?;
        };
        if token != Token::End {
            self.skip();
        }
        Ok(token)
    }

    fn comment(&mut self, start: usize) -> Result<(), Error> {
        let length = count(&self.text[start..], |b| b != b'\n' && b != 0);
        match self.text.get(start + length) {
            Some(b'\n') => {
                self.at = start + length + 1;
                Ok(())
            }
            Some(_) => {
                self.last = start + length;
                Err(self.wrong(Wrong::Nul))
            }
            None => Err(self.wrong(Wrong::Cut)),
        }
    }

    fn visible(&mut self) -> Result<Token, Error> {
        let Some(first) = self.peek(0) else { return Ok(Token::End) };
        let word = count(&self.text[self.at..], is_word);
        let (token, length) = match (first, self.peek(1)) {
            (b'=', _) => (Token::Equals, 1),
            (b':', _) => (Token::Colon, 1),
            (b'|', Some(b'|')) => (Token::PipePipe, 2),
            (b'|', Some(b'@')) => (Token::PipeAt, 2),
            (b'|', _) => (Token::Pipe, 1),
            _ if word > 0 => {
                let token = match &self.text[self.at..self.at + word] {
                    b"build" => Token::Build,
                    b"rule" => Token::Rule,
                    b"pool" => Token::Pool,
                    b"default" => Token::Default,
                    b"include" => Token::Include,
                    b"subninja" => Token::Subninja,
                    _ => Token::Word,
                };
                (token, word)
            }
            _ => return Err(self.wrong(odd(first))),
        };
        self.at += length;
        Ok(token)
    }

    /// Takes the next token if it is this one.
    pub fn take(&mut self, token: Token) -> Result<bool, Error> {
        let (at, last) = (self.at, self.last);
        if self.token()? == token {
            return Ok(true);
        }
        (self.at, self.last) = (at, last);
        Ok(false)
    }

    /// The next token must be this one.
    pub fn expect(&mut self, token: Token) -> Result<(), Error> {
        let found = self.token()?;
        if found == token { Ok(()) } else { Err(self.expected(token.name(), found)) }
    }

    pub fn expected(&self, wanted: &'static str, found: Token) -> Error {
        self.wrong(Wrong::Expected { wanted, found: found.name() })
    }

    /// A word, keyword or not; `wanted` is what it should be.
    pub fn word(&mut self, wanted: &'static str) -> Result<&'a [u8], Error> {
        let length = count(&self.text[self.at..], is_word);
        if length == 0 {
            let found = self.token()?;
            return Err(self.expected(wanted, found));
        }
        self.last = self.at;
        self.at += length;
        let word = &self.text[self.last..self.at];
        self.skip();
        Ok(word)
    }

    /// The word at which the last token starts.
    pub fn last_word(&self) -> &'a [u8] {
        let text = &self.text[self.last..];
        &text[..count(text, is_word)]
    }

    /// A path: up to a space, `:`, `|` or the end of the line. `None` if there is none.
    pub fn path(&mut self) -> Result<Option<Expr<'a>>, Error> {
        let expr = self.text(true)?;
        self.skip();
        Ok(if expr.is_empty() { None } else { Some(expr) })
    }

    /// A value: up to the end of the line, which is taken.
    pub fn value(&mut self) -> Result<Expr<'a>, Error> {
        self.text(false)
    }

    fn text(&mut self, path: bool) -> Result<Expr<'a>, Error> {
        let start = self.at;
        let mut expr = Expr::default();
        let special = |b| matches!(b, b'$' | b'\r' | b'\n' | 0) || (path && matches!(b, b' ' | b':' | b'|'));
        loop {
            let plain = count(&self.text[self.at..], |b| !special(b));
            expr.push(&self.text[self.at..self.at + plain]);
            self.at += plain;
            let Some(byte) = self.peek(0) else {
                self.last = start;
                return Err(self.wrong(Wrong::Cut));
            };
            match (byte, self.line_end(self.at)) {
                (_, Some(length)) => {
                    if !path {
                        self.at += length;
                    }
                    break;
                }
                (b' ' | b':' | b'|', _) => break,
                (b'$', _) => self.dollar(&mut expr)?,
                (byte, _) => {
                    self.last = self.at;
                    return Err(self.wrong(odd(byte)));
                }
            }
        }
        self.last = start;
        Ok(expr)
    }

    fn dollar(&mut self, expr: &mut Expr<'a>) -> Result<(), Error> {
        let behind = &self.text[self.at + 1..];
        if let Some(length) = self.line_end(self.at + 1) {
            self.at += 1 + length;
            self.at += count(&self.text[self.at..], |b| b == b' ');
            return Ok(());
        }
        let simple = count(behind, |b| is_word(b) && b != b'.');
        match behind.first() {
            Some(b'$' | b' ' | b':') => {
                expr.push(&behind[..1]);
                self.at += 2;
            }
            Some(b'{') => {
                let name = count(&behind[1..], is_word);
                if name == 0 || behind.get(1 + name) != Some(&b'}') {
                    self.last = self.at;
                    return Err(self.wrong(Wrong::Escape));
                }
                expr.parts.push(Part::Variable(Cow::Borrowed(&behind[1..1 + name])));
                self.at += name + 3;
            }
            Some(_) if simple > 0 => {
                expr.parts.push(Part::Variable(Cow::Borrowed(&behind[..simple])));
                self.at += simple + 1;
            }
            _ => {
                self.last = self.at;
                return Err(self.wrong(Wrong::Escape));
            }
        }
        Ok(())
    }

    /// Skips spaces and continued lines.
    fn skip(&mut self) {
        loop {
            self.at += count(&self.text[self.at..], |b| b == b' ');
            match (self.peek(0), self.line_end(self.at + 1)) {
                (Some(b'$'), Some(length)) => self.at += 1 + length,
                _ => return,
            }
        }
    }
}

/// What is wrong with a byte that starts nothing.
fn odd(byte: u8) -> Wrong {
    match byte {
        0 => Wrong::Nul,
        b'\t' => Wrong::Tab,
        b'\r' => Wrong::CarriageReturn,
        byte => Wrong::Byte { byte: shown(&[byte]) },
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

fn count(text: &[u8], matches: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|&b| !matches(b)).unwrap_or(text.len())
}
