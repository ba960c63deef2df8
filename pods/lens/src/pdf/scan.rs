//! Finds the volatile parts of a PDF by its tokens, outside of streams; XMP packets are looked through as text.

use std::ops::Range;

use memchr::memmem;

/// What a volatile part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Inside of `(…)`, a date.
    Date,
    /// Inside of `<…>`, a date.
    HexDate,
    /// Inside of a string of `/ID`.
    Id,
    /// A date of XMP.
    XmpDate,
    /// An id of XMP.
    XmpId,
}

/// A volatile part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub at: Range<usize>,
    pub kind: Kind,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// In the order in which they stand, none over another.
    pub spots: Vec<Spot>,
    /// Whether its bytes are signed.
    pub is_signed: bool,
}

/// How far from its start a PDF may say that it is one (ISO 32000-1, annex H.3, note 13).
const HEADER_WITHIN: usize = 1024;

const XMP_DATES: [&str; 3] = ["xmp:CreateDate", "xmp:ModifyDate", "xmp:MetadataDate"];
const XMP_IDS: [&str; 2] = ["xmpMM:DocumentID", "xmpMM:InstanceID"];

/// `None`: it is no PDF, or it is encrypted.
pub(super) fn scan(bytes: &[u8]) -> Option<Scan> {
    let start = memmem::find(&bytes[..bytes.len().min(HEADER_WITHIN)], b"%PDF-")?;
    let mut scanner = Scanner { bytes, at: start, found: Scan::default(), length: None };
    scanner.run()?;
    Some(scanner.found)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    found: Scan,
    /// The last `/Length` that was a number.
    length: Option<usize>,
}

enum Token<'a> {
    Name(&'a [u8]),
    /// Inside of `(…)`.
    Text(Range<usize>),
    /// Inside of `<…>`.
    Hex(Range<usize>),
    /// A number or a keyword.
    Word(&'a [u8]),
    /// `[`, `]`, `<<`, `>>` and other delimiters, by their first byte.
    Mark(u8),
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

impl<'a> Scanner<'a> {
    fn run(&mut self) -> Option<()> {
        while let Some(token) = self.token() {
            match token {
                Token::Name(b"Encrypt") => return None,
                Token::Name(b"ByteRange") => self.found.is_signed = true,
                Token::Name(b"CreationDate" | b"ModDate") => self.date(),
                Token::Name(b"ID") => self.ids(),
                Token::Name(b"Length") => self.length(),
                Token::Word(b"stream") => self.stream(),
                _ => {}
            }
        }
        Some(())
    }

    /// The next token; `None` at the end.
    fn token(&mut self) -> Option<Token<'a>> {
        loop {
            match *self.bytes.get(self.at)? {
                byte if is_space(byte) => self.at += 1,
                b'%' => {
                    let rest = &self.bytes[self.at..];
                    self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        let start = self.at;
        self.at += 1;
        Some(match self.bytes[start] {
            b'/' => Token::Name(self.regular(start + 1)),
            b'(' => Token::Text(start + 1..self.end_of_text()),
            b'<' if self.bytes.get(self.at) == Some(&b'<') => {
                self.at += 1;
                Token::Mark(b'<')
            }
            b'<' => {
                let rest = &self.bytes[self.at..];
                let end = self.at + memchr::memchr(b'>', rest).unwrap_or(rest.len());
                self.at = (end + 1).min(self.bytes.len());
                Token::Hex(start + 1..end)
            }
            byte if is_regular(byte) => Token::Word(self.regular(start)),
            byte => Token::Mark(byte),
        })
    }

    /// The regular bytes from a place on; goes behind them.
    fn regular(&mut self, start: usize) -> &'a [u8] {
        let rest = &self.bytes[start..];
        let length = rest.iter().position(|byte| !is_regular(*byte)).unwrap_or(rest.len());
        self.at = start + length;
        &rest[..length]
    }

    /// Goes behind a text whose `(` was read, and gives the place of its `)`.
    fn end_of_text(&mut self) -> usize {
        let mut depth = 1;
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'\\' => self.at += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += 1;
                return self.at - 1;
            }
            self.at += 1;
        }
        self.at = self.bytes.len();
        self.at
    }

    /// Reads a token, and goes back if it is not one of those that are wanted.
    fn token_if(&mut self, wanted: impl Fn(&Token<'_>) -> bool) -> Option<Token<'a>> {
        let before = self.at;
        let token = self.token();
        if token.as_ref().is_some_and(wanted) {
            return token;
        }
        self.at = before;
        None
    }

    fn date(&mut self) {
        match self.token_if(|token| matches!(token, Token::Text(_) | Token::Hex(_))) {
            Some(Token::Text(at)) => self.found.spots.push(Spot { at, kind: Kind::Date }),
            Some(Token::Hex(at)) => self.found.spots.push(Spot { at, kind: Kind::HexDate }),
            _ => {}
        }
    }

    /// A list of two strings; an element of a structure tree has an `/ID` too, which is one string.
    fn ids(&mut self) {
        let before = self.at;
        let mut two = Vec::new();
        if self.token_if(|token| matches!(token, Token::Mark(b'['))).is_some() {
            while let Some(Token::Text(at) | Token::Hex(at)) =
                self.token_if(|token| matches!(token, Token::Text(_) | Token::Hex(_)))
            {
                two.push(Spot { at, kind: Kind::Id });
            }
            if two.len() == 2 && self.token_if(|token| matches!(token, Token::Mark(b']'))).is_some() {
                self.found.spots.append(&mut two);
                return;
            }
        }
        self.at = before;
    }

    fn length(&mut self) {
        let word = self.token_if(|token| matches!(token, Token::Word(_)));
        let Some(Token::Word(word)) = word else { return };
        self.length = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    }

    /// Goes behind a stream whose keyword was read.
    fn stream(&mut self) {
        const END: &[u8] = b"endstream";
        let rest = &self.bytes[self.at..];
        let start = self.at + if rest.starts_with(b"\r\n") { 2 } else { usize::from(!rest.is_empty()) };
        // The length may stand in another object; then the first end counts, as it does for readers that repair.
        let by_length = self.length.take().and_then(|length| start.checked_add(length)).filter(|end| {
            let behind = self.bytes.get(*end..).unwrap_or_default();
            let behind = &behind[behind.iter().take(2).take_while(|byte| is_space(**byte)).count()..];
            behind.starts_with(END)
        });
        let body = self.bytes.get(start..).unwrap_or_default();
        let end = by_length.or_else(|| memmem::find(body, END).map(|length| start + length));
        let end = end.unwrap_or(self.bytes.len()).max(start.min(self.bytes.len()));
        self.packet(start.min(end)..end);
        self.at = end;
    }

    /// Looks through a stream that is an XMP packet, uncompressed as such packets should be.
    fn packet(&mut self, stream: Range<usize>) {
        let body = &self.bytes[stream.clone()];
        let text = body.trim_ascii_start();
        if !text.starts_with(b"<?xpacket") && !text.starts_with(b"<x:xmpmeta") {
            return;
        }
        let mut spots: Vec<Spot> = Vec::new();
        let names = XMP_DATES.map(|name| (name, Kind::XmpDate)).into_iter();
        for (name, kind) in names.chain(XMP_IDS.map(|name| (name, Kind::XmpId))) {
            for found in memmem::find_iter(body, name) {
                let behind = found + name.len();
                let end = match (body.get(behind), body.get(behind + 1)) {
                    (Some(b'>'), _) if found > 0 && body[found - 1] == b'<' => b'<',
                    (Some(b'='), Some(quote @ (b'"' | b'\''))) => *quote,
                    _ => continue,
                };
                let start = behind + if end == b'<' { 1 } else { 2 };
                let Some(length) = memchr::memchr(end, &body[start..]) else { continue };
                // Neither a date nor an id; and what is overwritten can hide no other.
                if body[start..start + length].iter().any(|byte| b"<>=\"'".contains(byte)) {
                    continue;
                }
                let at = stream.start + start..stream.start + start + length;
                spots.push(Spot { at, kind });
            }
        }
        spots.sort_by_key(|spot| spot.at.start);
        self.found.spots.append(&mut spots);
    }
}
