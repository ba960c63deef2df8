//! Words for the shell: bytes in, and text that `sh` reads as just these bytes.

/// Appends one word; the shell reads it as these bytes.
pub(super) fn word(bytes: &[u8], into: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./+,:@%".contains(b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        into.extend_from_slice(bytes);
        return;
    }
    into.push(b'\'');
    for byte in bytes {
        match byte {
            b'\'' => into.extend_from_slice(b"'\\''"),
            byte => into.push(*byte),
        }
    }
    into.push(b'\'');
}

/// Where in a shell text one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Bare,
    Single,
    Double,
    Comment,
}

/// Follows a shell text as far as quotes, comments, `$(…)` and back-ticks go, so that a placeholder inside of quotes is
/// put in rightly too. Here-documents are not followed: in their bodies nothing is quoted by the shell anyway.
#[derive(Debug)]
pub(super) struct Script {
    text: Vec<u8>,
    place: Place,
    /// What to come back to: `Bare` below a `$(` or back-tick, with its open parentheses, or `Double`.
    outer: Vec<(Place, Closer, usize)>,
    closer: Closer,
    parens: usize,
    escaped: bool,
    before: Before,
}

/// What stands before the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    /// A byte with its own meaning to the shell.
    Byte(u8),
    /// A value, or a byte behind a backslash.
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closer {
    None,
    Paren,
    Tick,
    Quote,
}

impl Script {
    /// An empty text.
    pub fn new() -> Self {
        Self {
            text: vec![],
            place: Place::Bare,
            outer: vec![],
            closer: Closer::None,
            parens: 0,
            escaped: false,
            before: Before::Start,
        }
    }

    /// The text.
    pub fn finish(self) -> Vec<u8> {
        self.text
    }

    /// Appends text of the project file.
    pub fn push(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            let escaped = self.escaped;
            self.step(byte);
            self.before = if escaped { Before::Plain } else { Before::Byte(byte) };
            self.text.push(byte);
        }
    }

    /// Appends values: words of their own outside of quotes, one text with spaces between them inside.
    pub fn push_values(&mut self, values: &[Vec<u8>]) {
        let joined = || values.join(&b' ');
        match self.place {
            Place::Bare => {
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.text.push(b' ');
                    }
                    word(value, &mut self.text);
                }
            }
            Place::Single => self.between(b'\'', &joined(), b"'"),
            Place::Double => self.between(b'"', &joined(), b"\"$`\\"),
            Place::Comment => self.text.extend(joined().iter().map(|&b| if b == b'\n' { b' ' } else { b })),
        }
        self.escaped = false;
        self.before = Before::Plain;
    }

    /// As it is, or between a closed and a newly opened quote if it has bytes that mean something inside.
    fn between(&mut self, quote: u8, value: &[u8], special: &[u8]) {
        if value.iter().any(|b| special.contains(b)) {
            self.text.push(quote);
            word(value, &mut self.text);
            self.text.push(quote);
        } else {
            self.text.extend_from_slice(value);
        }
    }

    fn step(&mut self, byte: u8) {
        if std::mem::take(&mut self.escaped) {
            return;
        }
        let starts_word = match self.before {
            Before::Start => true,
            Before::Byte(before) => before.is_ascii_whitespace() || b";&|()".contains(&before),
            Before::Plain => false,
        };
        match (self.place, byte) {
            (Place::Single, b'\'') | (Place::Comment, b'\n') => self.place = Place::Bare,
            (Place::Single | Place::Comment, _) => {}
            (Place::Bare | Place::Double, b'\\') => self.escaped = true,
            (Place::Bare | Place::Double, b'`') if self.closer == Closer::Tick => self.leave(),
            (Place::Bare | Place::Double, b'`') => self.enter(Place::Bare, Closer::Tick),
            (Place::Bare | Place::Double, b'(') if self.before == Before::Byte(b'$') => {
                self.enter(Place::Bare, Closer::Paren)
            }
            (Place::Double, b'"') => self.leave(),
            (Place::Double, _) => {}
            (Place::Bare, b'"') => self.enter(Place::Double, Closer::Quote),
            (Place::Bare, b'\'') => self.place = Place::Single,
            (Place::Bare, b'#') if starts_word => self.place = Place::Comment,
            (Place::Bare, b'(') => self.parens += 1,
            (Place::Bare, b')') if self.parens > 0 => self.parens -= 1,
            (Place::Bare, b')') if self.closer == Closer::Paren => self.leave(),
            (Place::Bare, _) => {}
        }
    }

    fn enter(&mut self, place: Place, closer: Closer) {
        self.outer.push((self.place, self.closer, self.parens));
        (self.place, self.closer, self.parens) = (place, closer, 0);
    }

    fn leave(&mut self) {
        if let Some(outer) = self.outer.pop() {
            (self.place, self.closer, self.parens) = outer;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What a shell makes of it: the arguments that `printf` gets.
    fn shell(script: &[u8]) -> Vec<Vec<u8>> {
        let output = Command::new("/bin/sh").arg("-euc").arg(OsStr::from_bytes(script)).output().unwrap();
        assert!(output.status.success(), "{}: {output:?}", script.escape_ascii());
        output.stdout.split(|&b| b == 0).map(<[u8]>::to_vec).collect()
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        let odd = proptest::collection::vec(
            proptest::sample::select(b"a '\"$`\\(){}#~*?!;&|<>\n\t=-\xff\x81\x88\xc3".to_vec()),
            1..12,
        );
        prop_oneof![odd, proptest::collection::vec(1u8.., 1..12)]
    }

    fn script(parts: &[&str], values: &[Vec<u8>]) -> Vec<u8> {
        let mut script = Script::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                script.push_values(values);
            }
            script.push(part);
        }
        script.finish()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]
        #[test]
        fn a_shell_gives_the_words_back(values in proptest::collection::vec(value(), 1..4)) {
            let mut got = shell(&script(&["printf '%s\\0' ", " # don't ", "\n:"], &values));
            got.pop();
            prop_assert_eq!(&got, &values);
            // Trailing newlines are lost in `$(…)` by the shell's own rule; an `x` behind them keeps them.
            let one = &values[..1];
            for parts in [
                ["printf '%s\\0' \"", "\""],
                ["printf '%s\\0' '", "'"],
                ["printf '%s\\0' \"$(printf %sx ", ")\""],
                ["printf '%s\\0' \"$( (printf %sx \"", "\") )\""],
                [": \"\\$(don't\" a\\ #it; printf '%s\\0' ", ""],
                [": `echo \"it's\"` ${HOME#/} $#; printf '%s\\0' ", " #'"],
            ] {
                let mut got = shell(&script(&parts, one));
                got.pop();
                if parts[0].contains("%sx") {
                    prop_assert_eq!(got[0].pop(), Some(b'x'));
                }
                prop_assert_eq!(got.as_slice(), one, "{:?}", parts);
            }
        }
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        let text = |bytes: &[u8]| {
            let mut text = vec![];
            word(bytes, &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(text(b"src/a-b_1.c"), "src/a-b_1.c");
        assert_eq!(text(b"a=b"), "'a=b'", "as a first word it would be an assignment");
        assert_eq!(text(b""), "''");
        assert_eq!(text(b"it's"), r"'it'\''s'");
    }

    #[test]
    fn several_words_in_quotes_are_one_text() {
        let two = [b"a b".to_vec(), b"c".to_vec()];
        assert_eq!(script(&["echo \"", "\""], &two), b"echo \"a b c\"");
        assert_eq!(script(&["echo ", ""], &two), b"echo 'a b' c");
    }
}
