//! stderr as lines, with a board below them where lines can be drawn again.
//!
//! Every change is one write that ends with the terminal as it should stay: auto-wrap is switched off for the board's
//! lines alone, and the cursor stays visible at the board's end.

use crate::cli::context::Talk;

/// Lines, and a board below them.
pub(super) struct Screen {
    talk: Talk,
    live: bool,
    batch: String,
    /// The board's lines that are on the screen.
    drawn: Vec<String>,
}

impl Screen {
    /// A screen without a board on it; there never is one if it is not `live`.
    pub(super) fn new(talk: Talk, live: bool) -> Self {
        Self { talk, live, batch: String::new(), drawn: Vec::new() }
    }

    /// Adds a line for the next [`Screen::flush`].
    pub(super) fn line(&mut self, line: &str) {
        self.batch.push_str(line);
        self.batch.push('\n');
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
            text.push_str(&board.join("\n"));
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
        let mut screen = Screen::new(Talk::new(capture.clone()), true);
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
        let mut screen = Screen::new(Talk::new(capture.clone()), false);
        screen.redraw(&["one".into()]);
        screen.line("said");
        screen.flush(&["one".into()]);
        screen.clear();
        assert_eq!(capture.text(), "said\n");
    }
}
