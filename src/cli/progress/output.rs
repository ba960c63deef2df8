//! What steps print, kept in blocks that can be read.
//!
//! One running step at a time is the *speaker*: its lines are shown as they come. What others print meanwhile waits, and
//! is shown as one block when they end, or when it gets long; when the speaker ends, the step that waits longest speaks.
//! So one step alone streams, and the lines of several never mix. Each block has a title, the step's name in brackets,
//! and its lines stand unchanged below it, so that editors find the places that compilers name.
//!
//! Besides, the end of what each running step printed is kept, to be shown again if it fails.

use std::collections::{HashMap, VecDeque};

use protocol::StepId;

use crate::cli::style::{Style, Tone};

/// Bytes of a step that wait for its turn; more are shown early.
const MAX_WAITING: usize = 64 << 10;

/// Bytes of a step that are kept for the case that it fails.
const MAX_TAIL: usize = 256 << 10;

#[derive(Default)]
struct Text {
    /// The order of first lines.
    turn: u64,
    running: bool,
    spoke: bool,
    waiting: Vec<String>,
    waiting_bytes: usize,
    tail: VecDeque<String>,
    tail_bytes: usize,
    dropped: u64,
}

impl Text {
    fn keep(&mut self, line: String) {
        self.tail_bytes += line.len() + 1;
        self.tail.push_back(line);
        while self.tail_bytes > MAX_TAIL && self.tail.len() > 1 {
            if let Some(first) = self.tail.pop_front() {
                self.tail_bytes -= first.len() + 1;
                self.dropped += 1;
            }
        }
    }
}

/// What all steps printed and is still of use.
pub(super) struct Outputs {
    style: Style,
    texts: HashMap<StepId, Text>,
    speaker: Option<StepId>,
    /// The step whose block is the last thing on the screen.
    open: Option<StepId>,
    turns: u64,
}

impl Outputs {
    pub(super) fn new(style: Style) -> Self {
        Self { style, texts: HashMap::new(), speaker: None, open: None, turns: 0 }
    }

    /// A block's title.
    pub(super) fn title(&self, text: &str) -> String {
        self.style.paint(Tone::Name, text).to_string()
    }

    /// Another line came onto the screen: the next line of a step needs a title.
    pub(super) fn interrupted(&mut self) {
        self.open = None;
    }

    fn text(&mut self, step: &StepId) -> &mut Text {
        self.texts.entry(step.clone()).or_insert_with(|| {
            self.turns += 1;
            Text { turn: self.turns, ..Text::default() }
        })
    }

    /// Keeps a line for the case that its step fails.
    pub(super) fn keep(&mut self, step: &StepId, line: String) {
        self.text(step).keep(line);
    }

    /// Takes a line of a step; gives the lines to be shown now. Only a step that is running may speak.
    pub(super) fn line(&mut self, step: &StepId, line: String, running: bool) -> Vec<String> {
        let text = self.text(step);
        text.running = running;
        text.keep(line.clone());
        if running && self.speaker.is_none() {
            self.speaker = Some(step.clone());
        }
        let speaks = self.speaker.as_ref() == Some(step);
        let text = self.text(step);
        text.waiting_bytes += line.len() + 1;
        text.waiting.push(line);
        if speaks || text.waiting_bytes > MAX_WAITING {
            return self.rest(step, &format!("[{step}]"));
        }
        Vec::new()
    }

    /// What of a step still waits, as a block.
    pub(super) fn rest(&mut self, step: &StepId, title: &str) -> Vec<String> {
        let Some(text) = self.texts.get_mut(step) else { return Vec::new() };
        let waiting = std::mem::take(&mut text.waiting);
        text.waiting_bytes = 0;
        if waiting.is_empty() {
            return Vec::new();
        }
        let again = std::mem::replace(&mut text.spoke, true);
        let mut block = Vec::with_capacity(waiting.len() + 1);
        if self.open.as_ref() != Some(step) {
            block.push(self.title(&if again { format!("{title} (continued)") } else { title.to_owned() }));
        }
        block.extend(waiting);
        self.open = Some(step.clone());
        block
    }

    /// A step starts again: what it printed does not count.
    pub(super) fn forget(&mut self, step: &StepId) {
        self.texts.remove(step);
        if self.speaker.as_ref() == Some(step) {
            self.speaker = None;
        }
    }

    /// A step ended: the end of what it printed.
    pub(super) fn take_tail(&mut self, step: &StepId) -> Vec<String> {
        if self.speaker.as_ref() == Some(step) {
            self.speaker = None;
        }
        let Some(text) = self.texts.remove(step) else { return Vec::new() };
        let dropped = (text.dropped > 0).then(|| format!("({} earlier lines are left out)", text.dropped));
        dropped.into_iter().chain(text.tail).collect()
    }

    /// Where nobody speaks: the running step that waits longest begins, with what waits of it.
    pub(super) fn next_speaker(&mut self) -> Vec<String> {
        if self.speaker.is_some() {
            return Vec::new();
        }
        let next = self.texts.iter().filter(|(_, text)| text.running).min_by_key(|(_, text)| text.turn);
        let Some(step) = next.map(|(step, _)| step.clone()) else { return Vec::new() };
        self.speaker = Some(step.clone());
        self.rest(&step, &format!("[{step}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs() -> (Outputs, StepId, StepId) {
        (Outputs::new(Style::default()), StepId::new("a"), StepId::new("b"))
    }

    #[test]
    fn one_speaks_and_the_other_waits_its_turn() {
        let (mut outputs, a, b) = outputs();
        assert_eq!(outputs.line(&a, "1".into(), true), ["[a]", "1"]);
        assert!(outputs.line(&b, "x".into(), true).is_empty());
        assert_eq!(outputs.line(&a, "2".into(), true), ["2"]);
        outputs.interrupted();
        assert_eq!(outputs.line(&a, "3".into(), true), ["[a] (continued)", "3"]);
        assert_eq!(outputs.take_tail(&a), ["1", "2", "3"]);
        assert_eq!(outputs.next_speaker(), ["[b]", "x"]);
        assert_eq!(outputs.line(&b, "y".into(), true), ["y"]);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut outputs, a, b) = outputs();
        assert!(!outputs.line(&a, "first".into(), true).is_empty());
        let long = "x".repeat(MAX_WAITING / 4);
        let shown: usize = (0..40).map(|_| outputs.line(&b, long.clone(), true).len()).sum();
        assert!(shown > 30, "{shown} lines were shown early");
        let tail = outputs.take_tail(&b);
        assert_eq!(tail[0], "(25 earlier lines are left out)");
        assert!(tail.iter().map(String::len).sum::<usize>() <= MAX_TAIL);
    }
}
