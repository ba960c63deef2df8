//! Words of chefs, made fit to be shown: one line, of bounded length, that cannot steer a terminal.

/// The longest line, in bytes; what is beyond is cut off.
const MAX_LINE: usize = 1000;

/// A text as one line.
pub(super) fn line(text: &str) -> String {
    let start = &text[..floor(text, MAX_LINE)];
    let line: String = start.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

/// The last place up to `at` where a character starts.
fn floor(text: &str, at: usize) -> usize {
    (0..=text.len().min(at)).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_are_a_line() {
        assert_eq!(line("a\nb\u{1b}[1m "), "a b [1m");
        assert_eq!(line(" \n"), "");
        assert_eq!(line(&"ä".repeat(MAX_LINE)).len(), MAX_LINE);
    }
}
