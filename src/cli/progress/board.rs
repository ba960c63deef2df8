//! The board: what is happening, in a few lines that fit the screen.

use std::collections::HashMap;

use protocol::event::How;
use protocol::{RelPath, StepId};

use crate::cli::style::{Style, Tone};
use crate::words::{fit, seconds};

/// Rows for running steps; more are counted.
const MAX_ROWS: usize = 8;

/// Columns for how long a step has been running.
const TIME_WIDTH: usize = 12;

/// Where the screen does not say how wide it is.
const USUAL_WIDTH: usize = 80;

/// A step that is running.
pub(super) struct Running {
    /// Seconds after the start of the build.
    pub since: f64,
    pub reason: String,
    pub waits_for: Option<RelPath>,
}

/// What is known of a build.
#[derive(Default)]
pub(super) struct Board {
    pub planned: Option<u64>,
    pub running: HashMap<StepId, Running>,
    pub skipped: u64,
    ran: u64,
    reused: u64,
    failed: u64,
    done: u64,
}

impl Board {
    /// Counts the end of a step.
    pub(super) fn finished(&mut self, step: &StepId, how: How) -> Option<Running> {
        self.done += 1;
        match how {
            How::Ran => self.ran += 1,
            How::Reused => self.reused += 1,
            How::Failed => self.failed += 1,
            How::Skipped => self.skipped += 1,
            How::Cancelled => {}
        }
        self.running.remove(step)
    }

    /// The board as lines that fit the screen; the longest running steps first.
    pub(super) fn lines(&self, now: f64, style: Style) -> Vec<String> {
        let width = style.width.unwrap_or(USUAL_WIDTH);
        let rows = style.rows.map_or(MAX_ROWS, |rows| rows.saturating_sub(3).min(MAX_ROWS));
        let mut head = match self.planned {
            Some(steps) => format!("[{}/{steps}]", self.done),
            None => "[plan]".to_owned(),
        };
        for (number, what) in [(self.ran, "ran"), (self.reused, "reused"), (self.failed, "failed")] {
            if number > 0 {
                head.push_str(&format!(" {number} {what},"));
            }
        }
        head.push_str(&format!(" {}", seconds(now)));
        let mut lines = vec![style.paint(Tone::Dim, fit(&head, width)).to_string()];
        let mut running: Vec<_> = self.running.iter().collect();
        running.sort_by(|a, b| a.1.since.total_cmp(&b.1.since).then_with(|| a.0.cmp(b.0)));
        let shown = if running.len() > rows { rows.saturating_sub(1) } else { running.len() };
        for (step, state) in &running[..shown] {
            let room = width.saturating_sub(TIME_WIDTH);
            let waits = state.waits_for.as_ref().map(|on| format!(" waits for {on}")).unwrap_or_default();
            let name = fit(step.as_str(), room.saturating_sub(waits.chars().count()).max(room / 2));
            let waits = fit(&waits, room.saturating_sub(name.chars().count()));
            lines.push(format!("{:>10}  {name}{waits}", seconds(now - state.since)));
        }
        if shown < running.len() {
            lines.push(format!("{:TIME_WIDTH$}and {} more", "", running.len() - shown));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: u64) -> StepId {
        StepId::new(&format!("compile:src/some/long/folder/file{number}.c"))
    }

    #[test]
    fn it_fits_the_screen() {
        let mut board = Board { planned: Some(35), ..Board::default() };
        for (number, how) in [(90, How::Ran), (91, How::Reused), (92, How::Reused), (93, How::Failed)] {
            board.finished(&step(number), how);
        }
        for number in 0..5 {
            let waits_for = (number == 1).then(|| "gen/version.h".parse().unwrap());
            let running = Running { since: number as f64, reason: String::new(), waits_for };
            board.running.insert(step(number), running);
        }
        let style = Style { width: Some(48), rows: Some(7), ..Style::default() };
        let lines = board.lines(70.25, style);
        insta::assert_snapshot!(lines.join("\n"), @r"
        [4/35] 1 ran, 2 reused, 1 failed, 70.2 s
            70.2 s  compile:src/some/long/folder/file0.c
            69.2 s  compi…lder/file1.c wait…en/version.h
            68.2 s  compile:src/some/long/folder/file2.c
                    and 2 more
        ");
        assert!(lines.iter().all(|line| line.chars().count() <= 48));
        assert_eq!(Board::default().lines(0.1, style), ["[plan] 0.10 s"]);
    }
}
