//! Takes secrets out of what a step prints, before anybody sees, stores or sends it.
//!
//! The kitchen cuts long lines, and a secret may have several lines; so what could be the beginning of a secret is held back until
//! the next bytes of the same stream say whether it is one. Nothing else waits.

use kitchen::{Line, Secret};
use protocol::event::Stream;

use crate::PrintedLine;

/// What stands for a secret.
const HIDDEN: &[u8] = b"***";
/// A line of a secret is hidden by itself from this length on; `{` is no secret.
const SHORTEST: usize = 6;

/// What is to be hidden, and what of each stream waits.
pub(crate) struct Masks {
    /// The longest first: one may be the beginning of another.
    masks: Vec<Vec<u8>>,
    stdout: Waiting,
    stderr: Waiting,
}

#[derive(Default)]
struct Waiting {
    /// As it was printed; it may be the beginning of a secret.
    held: Vec<u8>,
    /// Of a line that has not ended, without secrets.
    line: Vec<u8>,
}

impl Masks {
    pub(crate) fn of(secrets: &[Secret]) -> Self {
        let mut masks = Vec::new();
        for secret in secrets {
            let value = secret.value().trim_ascii();
            masks.push(value.to_vec());
            let lines = value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            masks.extend(lines.filter(|line| line.len() >= SHORTEST).map(<[u8]>::to_vec));
        }
        masks.retain(|mask| !mask.is_empty());
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        masks.dedup();
        Self { masks, stdout: Waiting::default(), stderr: Waiting::default() }
    }

    /// Takes a line, or a part of one that is too long; the lines that can be shown.
    pub(crate) fn hide(&mut self, line: &Line) -> Vec<PrintedLine> {
        if self.masks.is_empty() {
            return vec![PrintedLine { stream: line.stream, bytes: line.text().to_vec() }];
        }
        let waiting = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        waiting.held.extend_from_slice(&line.bytes);
        waiting.settle(&self.masks, false);
        let mut lines = waiting.lines(line.stream);
        if !line.bytes.ends_with(b"\n") {
            lines.extend(waiting.part(line.stream));
        }
        lines
    }

    /// What still waits when both streams have ended.
    pub(crate) fn rest(&mut self) -> Vec<PrintedLine> {
        let mut lines = Vec::new();
        for (stream, waiting) in [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)] {
            waiting.settle(&self.masks, true);
            lines.extend(waiting.lines(stream));
            lines.extend(waiting.part(stream));
        }
        lines
    }
}

impl Waiting {
    /// Moves what is held to the line, secrets replaced, up to what more bytes could make a secret of.
    fn settle(&mut self, masks: &[Vec<u8>], is_all: bool) {
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            if !is_all && masks.iter().any(|mask| mask.len() > rest.len() && mask.starts_with(rest)) {
                break;
            }
            match masks.iter().find(|mask| rest.starts_with(mask)) {
                Some(mask) => {
                    self.line.extend_from_slice(HIDDEN);
                    at += mask.len();
                }
                None => {
                    self.line.push(rest[0]);
                    at += 1;
                }
            }
        }
        self.held.drain(..at);
    }

    /// The lines that have ended.
    fn lines(&mut self, stream: Stream) -> Vec<PrintedLine> {
        let Some(end) = self.line.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.line.split_off(end + 1);
        let mut ended = std::mem::replace(&mut self.line, rest);
        ended.pop();
        ended.split(|byte| *byte == b'\n').map(|text| PrintedLine { stream, bytes: text.to_vec() }).collect()
    }

    /// What there is of a line that has not ended.
    fn part(&mut self, stream: Stream) -> Option<PrintedLine> {
        (!self.line.is_empty()).then(|| PrintedLine { stream, bytes: std::mem::take(&mut self.line) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> Secret {
        Secret::new("S", value.as_bytes().to_vec()).unwrap()
    }

    /// All that is shown of these pieces of one stream, `|` between lines.
    fn shown(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets: Vec<Secret> = secrets.iter().copied().map(secret).collect();
        let mut masks = Masks::of(&secrets);
        let mut lines = Vec::new();
        for piece in pieces {
            lines.extend(masks.hide(&Line { stream: Stream::Stderr, bytes: piece.as_bytes().to_vec() }));
        }
        lines.extend(masks.rest());
        let texts: Vec<String> =
            lines.into_iter().map(|line| String::from_utf8(line.bytes).unwrap()).collect();
        texts.join("|")
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let secrets = ["abc\n", "-----\nlong line\n{\n", "abcdef"];
        assert_eq!(shown(&secrets, &["xabcabcy abcdef\n"]), "x******y ***");
        assert_eq!(shown(&secrets, &["the long line { is\n"]), "the *** { is");
        assert_eq!(shown(&["\n"], &["x\n", "y\n"]), "x|y");
    }

    #[test]
    fn a_cut_does_not_show_them() {
        assert_eq!(shown(&["secret"], &["a se", "cret b\n"]), "a |*** b");
        assert_eq!(shown(&["secret"], &["s", "e", "c", "r", "e", "t"]), "***");
        assert_eq!(shown(&["secret"], &["sec\n", "ret\n", "sec"]), "sec|ret|sec");
        assert_eq!(shown(&["abc", "abcdef"], &["abc", "deg\n"]), "***deg");
        assert_eq!(shown(&["aab"], &["aa", "ab\n"]), "a***");
    }

    #[test]
    fn one_of_several_short_lines_is_hidden_as_a_whole() {
        assert_eq!(shown(&["ab\ncd\nef\n"], &["x\n", "ab\n", "cd\n", "ef\n", "ab\n", "no\n"]), "x|***|ab|no");
    }
}
