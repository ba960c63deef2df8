//! A build as a person follows it: lines for what happened, and on a terminal a board of what is happening below them.
//!
//! Actors: the calling thread feeds events into a [`BuildView`]; the [`Ticker`] redraws its board ten times a second.
//! Both hold the view's lock only for as long as one write to stderr takes. What is kept of a step's output is bounded
//! ([`output`]). The cursor is never hidden and no mode of the terminal outlives one write, so that nothing has to be
//! restored, however we end.

use protocol::StepId;
use protocol::chef::Reason;
use protocol::event::{Event, How, Outcome, Stamped};
use std::time::Instant;

use crate::cli::context::Talk;
use crate::cli::style::{Style, Tone};
use crate::interrupt::Cause;
use crate::words::{bytes, clean_line, counted, seconds};

mod board;
mod output;
mod screen;
mod summary;
mod ticker;

use board::{Board, Running};
use output::Outputs;
use screen::Screen;
use summary::{Counts, End};
pub use ticker::Ticker;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Failures, and what failed steps printed.
    Quiet,
    /// Each step that ran and why, and what steps printed.
    Normal,
    /// Also why steps did not run.
    Explain,
    /// Also when steps start and wait.
    Verbose,
}

/// A failure as it was shown, to be shown again when other lines have come after it.
struct Failed {
    step: StepId,
    lines: Vec<String>,
}

/// One build on stderr.
pub struct BuildView {
    detail: Detail,
    style: Style,
    screen: Screen,
    board: Board,
    outputs: Outputs,
    failures: Vec<Failed>,
    /// Whether lines that are no failure came after the first failure.
    buried: bool,
    summary: bool,
    stopping: bool,
    /// Whether nothing moves any more.
    over: bool,
    /// When the last event came: its time, and ours.
    heard: (f64, Instant),
}

impl BuildView {
    /// Shows a build of which nothing has happened yet.
    pub fn new(detail: Detail, style: Style, talk: Talk) -> Self {
        let live = style.live && detail != Detail::Quiet;
        Self {
            detail,
            style,
            screen: Screen::new(talk, live, style.color),
            board: Board::default(),
            outputs: Outputs::new(style),
            failures: Vec::new(),
            buried: false,
            summary: true,
            stopping: false,
            over: false,
            heard: (0.0, Instant::now()),
        }
    }

    /// Leaves out the last line that counts what was done: for a dry run.
    pub fn without_summary(mut self) -> Self {
        self.summary = false;
        self
    }

    /// Shows what an event says.
    pub fn event(&mut self, stamped: Stamped) {
        self.heard = (stamped.at, Instant::now());
        match stamped.event {
            Event::BuildStarted { .. } => {}
            Event::Planned { steps } => self.board.planned = Some(steps),
            Event::StepStarted { step, pod, reason } => {
                if self.detail == Detail::Verbose {
                    self.say(format!("{step} starts on {pod}: {reason}"));
                }
                self.board.running.insert(step, Running { since: stamped.at, reason, waits_for: None });
            }
            Event::StepOutput { step, text, .. } => self.output(&step, &text),
            Event::StepHeld { step, on } => {
                if self.detail == Detail::Verbose {
                    self.say(format!("{step} waits for {on}"));
                }
                if let Some(running) = self.board.running.get_mut(&step) {
                    running.waits_for = Some(on);
                }
            }
            Event::StepResumed { step } => {
                if self.detail == Detail::Verbose {
                    self.say(format!("{step} goes on"));
                }
                if let Some(running) = self.board.running.get_mut(&step) {
                    running.waits_for = None;
                }
            }
            Event::StepRestarted { step, why } => {
                if self.detail != Detail::Quiet {
                    self.say(format!("{step} starts again: {why}"));
                }
                self.outputs.forget(&step);
                if let Some(running) = self.board.running.get_mut(&step) {
                    (running.waits_for, running.reason) = (None, why);
                }
            }
            Event::StepUsed { step, user, system, memory } => {
                if self.detail == Detail::Verbose {
                    let (time, memory) = (seconds(user + system), bytes(memory));
                    self.say(format!("{step} used {time} of processor time, and {memory} at most"));
                }
            }
            Event::StepFinished { step, how, exit, failure, reason, command, seconds, .. } => {
                let started_for = self.board.finished(&step, how).map(|running| running.reason);
                let text = match how {
                    How::Ran => reason.or(started_for),
                    How::Reused => reason,
                    How::Failed | How::Cancelled | How::Skipped => failure,
                };
                let end = End { how, exit, text, command, seconds };
                self.finished(&step, end);
            }
            Event::StepExplained { step, reasons } => self.explained(&step, &reasons),
            Event::Note { warning, text } => self.note(warning, &text),
            Event::BuildFinished { outcome, steps, ran, reused, failed, written, seconds } => {
                self.over = true;
                self.repeat_failures();
                let counts = Counts { steps, ran, reused, failed, written, skipped: self.board.skipped };
                // A build that failed without a failed step says why in an error of its own, which comes next.
                let is_error = outcome == Outcome::Failure && counts.failed == 0;
                if self.summary && self.detail != Detail::Quiet && !is_error {
                    self.say(counts.sentence(outcome, seconds));
                }
            }
        }
        self.flush(self.heard.0);
    }

    /// The request waits for another one.
    pub fn waiting(&mut self, on: &str) {
        if self.detail != Detail::Quiet {
            self.say(format!("waiting: {on}"));
            self.flush(self.now());
        }
    }

    /// Redraws the board; says once that the build is being stopped.
    pub fn tick(&mut self, cause: Option<Cause>) {
        if matches!(cause, Some(Cause::Signal(_))) && !self.stopping {
            self.stopping = true;
            self.say("stopping (once more to leave at once)".to_owned());
            self.flush(self.now());
        } else {
            let board = self.board(self.now());
            self.screen.redraw(&board);
        }
    }

    /// The screen has another size now.
    pub fn resize(&mut self, style: Style) {
        (self.style.width, self.style.rows) = (style.width, style.rows);
    }

    /// Takes the board away.
    pub fn end(&mut self) {
        self.over = true;
        self.screen.clear();
    }

    /// Seconds since the build started, as the engine counts them.
    fn now(&self) -> f64 {
        self.heard.0 + self.heard.1.elapsed().as_secs_f64()
    }

    fn board(&self, now: f64) -> Vec<String> {
        if self.over { Vec::new() } else { self.board.lines(now, self.style) }
    }

    fn flush(&mut self, now: f64) {
        if self.screen.has_lines() {
            let board = self.board(now);
            self.screen.flush(&board);
        }
    }

    /// A line of ours.
    fn say(&mut self, line: String) {
        self.outputs.interrupted();
        self.print([line]);
    }

    fn print(&mut self, lines: impl IntoIterator<Item = String>) {
        for line in lines {
            self.buried |= !self.failures.is_empty();
            self.screen.line(&line);
        }
    }

    fn note(&mut self, warning: bool, text: &str) {
        if warning {
            self.say(format!("{}: {text}", self.style.paint(Tone::Warning, "warning")));
        } else if self.detail != Detail::Quiet {
            self.say(format!("note: {text}"));
        }
    }

    fn output(&mut self, step: &StepId, text: &str) {
        let text = clean_line(text, self.style.color);
        if self.detail == Detail::Quiet {
            self.outputs.keep(step, text);
            return;
        }
        let running = self.board.running.contains_key(step);
        let lines = self.outputs.line(step, text, running);
        self.print(lines);
    }

    fn finished(&mut self, step: &StepId, end: End) {
        if self.detail != Detail::Quiet {
            let title = match end.how {
                How::Reused => format!("[{step}] printed when it ran:"),
                _ => format!("[{step}]"),
            };
            let block = self.outputs.rest(step, &title);
            self.print(block);
        }
        let tail = self.outputs.take_tail(step);
        let more = matches!(self.detail, Detail::Explain | Detail::Verbose);
        let because = end.because();
        match end.how {
            How::Ran if self.detail != Detail::Quiet => {
                let name = self.style.paint(Tone::Name, step);
                self.say(format!("{name} ran{because} ({})", seconds(end.seconds)));
            }
            How::Failed => self.failed(step, &end, tail),
            How::Reused if more => self.say(format!("{step} reused{because}")),
            How::Cancelled if more => self.say(format!("{step} cancelled{because}")),
            How::Skipped if more => self.say(format!("{step} skipped{because}")),
            How::Ran | How::Reused | How::Cancelled | How::Skipped => {}
        }
        if self.detail != Detail::Quiet {
            let block = self.outputs.next_speaker();
            self.print(block);
        }
    }

    fn failed(&mut self, step: &StepId, end: &End, tail: Vec<String>) {
        let why = end.why_failed();
        let error = self.style.paint(Tone::Error, "error");
        let mut verdict = vec![format!("{error}: {step} failed: {why} ({})", seconds(end.seconds))];
        if let Some(command) = &end.command {
            verdict.push(format!("  command: {command}"));
        }
        self.outputs.interrupted();
        let mut lines = Vec::with_capacity(tail.len() + 3);
        if !tail.is_empty() {
            lines.push(self.outputs.title(&format!("[{step}]")));
            lines.extend(tail);
        }
        lines.extend(verdict.iter().cloned());
        // What the step printed has just been shown, but for the quiet.
        let shown = if self.detail == Detail::Quiet { &lines } else { &verdict };
        for line in shown {
            self.screen.line(line);
        }
        self.failures.push(Failed { step: step.clone(), lines });
    }

    /// Why a step failed: below what was said of it, if that is not to be said again.
    fn explained(&mut self, step: &StepId, reasons: &[Reason]) {
        let is_alone = self.failures.len() == 1;
        let name = if is_alone { String::new() } else { format!("{step}: ") };
        let why = self.style.paint(Tone::Name, "why");
        let line = |reason: &Reason| {
            let place = match (&reason.path, reason.line) {
                (Some(path), Some(line)) => format!("{path}:{line}: "),
                (Some(path), None) => format!("{path}: "),
                _ => String::new(),
            };
            format!("  {why}: {name}{place}{}", reason.text)
        };
        let lines: Vec<String> =
            reasons.iter().map(line).map(|text| clean_line(&text, self.style.color)).collect();
        if !self.buried || self.detail == Detail::Quiet {
            self.outputs.interrupted();
            lines.iter().for_each(|line| self.screen.line(line));
        }
        if let Some(failed) = self.failures.iter_mut().find(|failed| failed.step == *step) {
            failed.lines.extend(lines);
        }
    }

    fn repeat_failures(&mut self) {
        let failures = std::mem::take(&mut self.failures);
        if !self.buried || self.detail == Detail::Quiet {
            return;
        }
        let what = counted(failures.len() as u64, "failure");
        self.say(String::new());
        self.say(format!("{what} in this build:"));
        for failure in failures {
            self.print(failure.lines);
        }
    }
}
