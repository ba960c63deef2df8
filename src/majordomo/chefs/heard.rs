//! What is heard of chefs while they are asked: their events go on to the user, and say why one of them has no answer.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use protocol::StepId;
use protocol::chef::MAX_ANSWER;
use protocol::event::{Event, How, Limited, Stream};

use super::foreign::line;
use crate::majordomo::request::Reply;
use crate::majordomo::sink::{REPLY_QUEUE, Sink};

/// So much of what a chef prints is shown, in bytes.
const MAX_SHOWN: usize = 64 << 10;

/// What was said of chefs that failed.
#[derive(Default)]
pub(super) struct Heard {
    failures: HashMap<StepId, (String, Option<Limited>)>,
    /// The first line of each on stderr.
    first: HashMap<StepId, String>,
}

impl Heard {
    /// Why a chef has no answer; `None`: not by its own failure.
    pub(super) fn failure(&self, step: &StepId) -> Option<String> {
        let (how, limit) = self.failures.get(step)?;
        // The bound of its answer.
        if *limit == Some(Limited::Disk) {
            return Some(format!("it answered with more than {} MiB", MAX_ANSWER >> 20));
        }
        Some(match self.first.get(step) {
            Some(line) => format!("{how}: {line}"),
            None => how.to_owned(),
        })
    }
}

/// A sink whose events go to another one, but for the number of steps, which is not that of the build; and what was heard of
/// failures on the way, once nobody says anything any more. A question that has no answer is no failed step of the build: whoever
/// asks says what comes of it, and why.
pub(super) fn overhear(sink: &Sink, questions: HashSet<StepId>) -> (Sink, JoinHandle<Heard>) {
    let (sender, replies) = sync_channel(REPLY_QUEUE);
    let to = sink.clone();
    let listening = move || {
        let mut heard = Heard::default();
        let mut shown: HashMap<StepId, usize> = HashMap::new();
        for reply in replies {
            let Reply::Event(mut stamped) = reply else { continue };
            match &mut stamped.event {
                Event::Planned { .. } => continue,
                Event::StepOutput { step, stream, text } => {
                    if *stream == Stream::Stderr && !text.trim().is_empty() {
                        heard.first.entry(step.clone()).or_insert_with(|| line(text));
                    }
                    if questions.contains(step) {
                        let shown = shown.entry(step.clone()).or_default();
                        let was_within = *shown <= MAX_SHOWN;
                        *shown += text.len() + 1;
                        match (*shown <= MAX_SHOWN, was_within) {
                            (true, _) => {}
                            (false, true) => "… and more, which is not shown".clone_into(text),
                            (false, false) => continue,
                        }
                    }
                }
                Event::StepFinished { step, how, failure: Some(failure), limit, command, .. }
                    if *how == How::Failed && questions.contains(step) =>
                {
                    heard.failures.insert(step.clone(), (failure.clone(), *limit));
                    (*how, *command) = (How::Cancelled, None);
                }
                _ => {}
            }
            to.event(stamped.event);
        }
        heard
    };
    (Sink::new(sender), std::thread::spawn(listening))
}
