//! Small words: durations, sizes, counts, and text from elsewhere made fit for a line.

use std::fmt::Write;

/// A duration: `0.21 s`, `1.3 s`, `2 min 05 s`, `1 h 02 min`.
pub fn seconds(value: f64) -> String {
    let value = value.max(0.0);
    if value < 0.995 {
        format!("{value:.2} s")
    } else if value < 99.95 {
        format!("{value:.1} s")
    } else {
        let whole = value.round() as u64;
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
        if hours == 0 { format!("{minutes} min {rest:02} s") } else { format!("{hours} h {minutes:02} min") }
    }
}

/// A size in binary units: `17 bytes`, `4.0 KiB`, `1.3 GiB`.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if value < 1024 {
        return counted(value, "byte");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// A number and its noun: `1 step`, `3 steps`.
pub fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Text cut in its middle so that it takes at most `width` columns; the ends of a path say the most.
pub fn fit(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let Some(left) = width.checked_sub(1) else { return String::new() };
    let head = left / 3;
    let tail = left - head;
    let mut cut: String = text.chars().take(head).collect();
    cut.push('…');
    cut.extend(text.chars().skip(length - tail));
    cut
}

/// A line that a step printed, made harmless: what a carriage return left to be seen, without control characters and
/// escape sequences; colours stay where they are wanted (and are closed at the end).
pub fn clean_line(line: &str, color: bool) -> String {
    let shown = line.split('\r').rev().find(|part| !part.is_empty()).unwrap_or("");
    if !shown.contains(char::is_control) {
        return shown.to_owned();
    }
    let mut clean = String::with_capacity(shown.len());
    let mut colored = false;
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' => {
                let sequence = escape_sequence(&mut rest);
                if color && sequence.ends_with('m') {
                    colored = true;
                    clean.push('\x1b');
                    clean.push_str(&sequence);
                }
            }
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    if colored && !clean.ends_with("\x1b[0m") {
        clean.push_str("\x1b[0m");
    }
    clean
}

/// A text of several lines, each made harmless.
pub fn clean_text(text: &str) -> String {
    text.split('\n').map(|line| clean_line(line, false)).collect::<Vec<_>>().join("\n")
}

/// Takes the rest of an escape sequence (ECMA-48: CSI up to its final byte, OSC up to BEL or ST, else one character).
fn escape_sequence(rest: &mut std::str::Chars<'_>) -> String {
    let mut sequence = String::new();
    match rest.next() {
        Some('[') => {
            sequence.push('[');
            for c in rest.by_ref() {
                sequence.push(c);
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        Some(']') => {
            let mut before = '\0';
            for c in rest.by_ref() {
                if c == '\x07' || (before == '\x1b' && c == '\\') {
                    break;
                }
                before = c;
            }
        }
        _ => {}
    }
    sequence
}

/// Appends a line and its end.
pub fn line(text: &mut String, line: impl std::fmt::Display) {
    // Writing to a `String` cannot fail.
    if writeln!(text, "{line}").is_err() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let said: Vec<_> =
            [0.0, 0.214, 0.994, 0.995, 1.26, 99.9, 99.96, 125.4, 3725.0].into_iter().map(seconds).collect();
        assert_eq!(
            said,
            [
                "0.00 s",
                "0.21 s",
                "0.99 s",
                "1.0 s",
                "1.3 s",
                "99.9 s",
                "1 min 40 s",
                "2 min 05 s",
                "1 h 02 min"
            ]
        );
    }

    #[test]
    fn sizes() {
        let said: Vec<_> = [0, 1, 1023, 1024, 1536, (1 << 20) - 1, 1 << 30].into_iter().map(bytes).collect();
        assert_eq!(said, ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 GiB"]);
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(fit("project/src/very/long/name.c", 16), "proje…ong/name.c");
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("short", 0), "");
    }

    #[test]
    fn foreign_lines_cannot_steer_the_terminal() {
        assert_eq!(clean_line("10%\r50%\r100%\r", true), "100%");
        assert_eq!(clean_line("\x1b[31mred\x1b[2J\x1b]0;title\x07 end\x08", true), "\x1b[31mred end\x1b[0m");
        assert_eq!(clean_line("\x1b[31mred\x1b[0m\tx", false), "red\tx");
        assert_eq!(clean_line("\x1b[", true), "");
    }
}
