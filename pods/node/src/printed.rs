//! What a step printed, as a blob: both streams in the order in which their lines were read.

use protocol::codec::{BadObject, Reader, Writer};
use protocol::event::Stream;

/// The format number of the blob.
const PRINTED_FORMAT: u8 = 1;

/// How many bytes of a step's output are kept with its trace; what comes after is shown live, and a last line says so.
pub const MAX_PRINTED: usize = 16 << 20;

/// How many lines of it are kept: each costs some 60 bytes of memory beside its own, so many short ones would cost far
/// more than [`MAX_PRINTED`].
pub const MAX_LINES: usize = 1 << 18;

/// A line without its end, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedLine {
    /// Which stream.
    pub stream: Stream,
    /// The raw bytes.
    pub bytes: Vec<u8>,
}

/// The lines of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printed {
    lines: Vec<PrintedLine>,
    bytes: usize,
    cut: bool,
}

impl Printed {
    /// Adds a line, unless [`MAX_PRINTED`] or [`MAX_LINES`] is reached.
    pub fn push(&mut self, line: PrintedLine) {
        if self.cut {
            return;
        }
        self.bytes += line.bytes.len() + 1;
        if self.bytes > MAX_PRINTED || self.lines.len() >= MAX_LINES {
            self.cut = true;
            let bytes = format!(
                "(more than {} MiB or {MAX_LINES} lines were printed; the rest is not kept)",
                MAX_PRINTED >> 20
            );
            self.lines.push(PrintedLine { stream: Stream::Stderr, bytes: bytes.into_bytes() });
        } else {
            self.lines.push(line);
        }
    }

    /// The lines in order.
    pub fn lines(&self) -> &[PrintedLine] {
        &self.lines
    }

    /// Whether nothing was printed.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The blob.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_format(PRINTED_FORMAT);
        writer.number(self.lines.len() as u64);
        for line in &self.lines {
            writer.byte(matches!(line.stream, Stream::Stderr).into()).bytes(&line.bytes);
        }
        writer.finish()
    }

    /// Reads the blob.
    ///
    /// # Errors
    /// It is none, or of another format.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadObject> {
        let mut reader = Reader::with_format(bytes, PRINTED_FORMAT)?;
        let count = reader.count()?;
        let mut printed = Self::default();
        for _ in 0..count {
            let stream = match reader.byte()? {
                0 => Stream::Stdout,
                1 => Stream::Stderr,
                _ => return Err(BadObject::Field("a stream")),
            };
            printed.lines.push(PrintedLine { stream, bytes: reader.bytes()?.to_vec() });
        }
        reader.finish()?;
        Ok(printed)
    }

    /// As text for people: all lines, UTF-8 (lossy).
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", String::from_utf8_lossy(&line.bytes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: Stream, bytes: &[u8]) -> PrintedLine {
        PrintedLine { stream, bytes: bytes.to_vec() }
    }

    #[test]
    fn raw_bytes_and_order_survive() {
        let mut printed = Printed::default();
        printed.push(line(Stream::Stdout, b"one"));
        printed.push(line(Stream::Stderr, b"\xff\0"));
        printed.push(line(Stream::Stdout, b""));
        assert_eq!(Printed::decode(&printed.encode()).unwrap().lines(), printed.lines());
    }

    #[test]
    fn lines_are_bounded() {
        let mut printed = Printed::default();
        for _ in 0..2 * MAX_LINES {
            printed.push(line(Stream::Stdout, b"y"));
        }
        assert_eq!(printed.lines().len(), MAX_LINES + 1);
        assert!(printed.text().ends_with("is not kept)\n"));
        assert_eq!(Printed::decode(&printed.encode()).unwrap().lines(), printed.lines());
    }

    #[test]
    fn it_is_bounded() {
        let mut printed = Printed::default();
        for _ in 0..40 {
            printed.push(line(Stream::Stdout, &vec![b'x'; 1 << 20]));
        }
        assert!(printed.encode().len() <= MAX_PRINTED + 1024);
        assert!(printed.text().ends_with("is not kept)\n"));
    }
}
