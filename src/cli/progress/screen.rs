//! stderr as lines, with a board below them where lines can be drawn again.
//!
//! Every change is one write that ends with the terminal as it should stay: auto-wrap is switched off for the board's
//! lines alone, and the cursor stays visible at the board's end. What is shown may be another pod's words, or a chef's: no
//! control character goes through but the colours, and what has several lines cannot pass for several of ours.

use crate::cli::context::Talk;
use crate::words::clean_line;

/// Lines, and a board below them.
pub(super) struct Screen {
    talk: Talk,
    live: bool,
    color: bool,
    batch: String,
    /// The board's lines that are on the screen.
    drawn: Vec<String>,
}

impl Screen {
    /// A screen without a board on it; there never is one if it is not `live`.
    pub(super) fn new(talk: Talk, live: bool, color: bool) -> Self {
        Self { talk, live, color, batch: String::new(), drawn: Vec::new() }
    }

    /// Adds a line for the next [`Screen::flush`]; what comes after its first end of line is set in.
    pub(super) fn line(&mut self, line: &str) {
        for (part, text) in line.split('\n').enumerate() {
            if part > 0 {
                self.batch.push_str("    ");
            }
            self.batch.push_str(&clean_line(text, self.color));
            self.batch.push('\n');
        }
    }

    /// Whether lines wait for a flush.
    pub(super) fn has_lines(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Writes the lines, and the board below them.
    pub(super) fn flush(&mut self, board: &[String]) {
        let mut text = self.erase();
        text.push_str(&self.batch);
        self.batch.clear();
        self.draw(&mut text, board);
        self.talk.say(&text);
    }

    /// Draws the board again if it has changed.
    pub(super) fn redraw(&mut self, board: &[String]) {
        if self.live && self.drawn != board {
            let mut text = self.erase();
            self.draw(&mut text, board);
            self.talk.say(&text);
        }
    }

    /// Takes the board away.
    pub(super) fn clear(&mut self) {
        let text = self.erase();
        self.drawn.clear();
        if !text.is_empty() {
            self.talk.say(&text);
        }
    }

    fn erase(&self) -> String {
        match self.drawn.len() {
            0 => String::new(),
            1 => "\r\x1b[J".to_owned(),
            lines => format!("\r\x1b[{}A\x1b[J", lines - 1),
        }
    }

    fn draw(&mut self, text: &mut String, board: &[String]) {
        self.drawn.clear();
        if self.live && !board.is_empty() {
            text.push_str("\x1b[?7l");
            let lines: Vec<String> = board.iter().map(|line| clean_line(line, self.color)).collect();
            text.push_str(&lines.join("\n"));
            text.push_str("\x1b[?7h");
            self.drawn.extend_from_slice(board);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::Capture;

    #[test]
    fn lines_go_above_the_board() {
        let capture = Capture::default();
        let mut screen = Screen::new(Talk::new(capture.clone()), true, false);
        screen.redraw(&["one".into(), "two".into()]);
        screen.redraw(&["one".into(), "two".into()]);
        screen.line("said");
        screen.flush(&["one".into()]);
        screen.redraw(&[]);
        screen.clear();
        let shown = capture.text().replace('\x1b', "^");
        assert_eq!(shown, "^[?7lone\ntwo^[?7h\r^[1A^[Jsaid\n^[?7lone^[?7h\r^[J");
    }

    #[test]
    fn plain_streams_get_lines_alone() {
        let capture = Capture::default();
        let mut screen = Screen::new(Talk::new(capture.clone()), false, false);
        screen.redraw(&["one".into()]);
        screen.line("said");
        screen.flush(&["one".into()]);
        screen.clear();
        assert_eq!(capture.text(), "said\n");
    }
    #[test]
    fn words_of_others_move_nothing_and_pass_for_nothing() {
        let capture = Capture::default();
        let mut screen = Screen::new(Talk::new(capture.clone()), true, true);
        screen.line("note: \x1b[2J\x1b]52;c;cm0=\x07gone\nerror: all is lost\x1b[1;31m!\x1b[0m");
        screen.flush(&["\x1b[1A up".into()]);
        let shown = capture.text().replace('\x1b', "^");
        assert_eq!(shown, "note: gone\n    error: all is lost^[1;31m!^[0m\n^[?7l up^[?7h");
    }
}
