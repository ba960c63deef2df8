//! Asking why a step failed: the chef that planned it reads what it printed, and names the place where it is to be mended.
//!
//! Asked when the build is over and nothing can change its end any more; asked like everything of a chef, as a step over the
//! sources, so that the same failure costs nothing the next time. Whoever cannot answer is passed over: what the step
//! printed has been shown, and no failure gets worse for want of a reason.

use std::ops::ControlFlow;
use std::sync::mpsc::sync_channel;

use protocol::chef::{Ask, Reason, Say};
use protocol::event::Event;

use super::ByChefs;
use super::asker::{Asker, Round};
use super::foreign::line;
use super::question::Question;
use crate::majordomo::build::{Asked, Stop, Unexplained};
use crate::majordomo::prepare::Scanned;
use crate::majordomo::sink::{Cancel, REPLY_QUEUE, Sink};

/// So many failures of a build are explained.
const MOST: usize = 4;
/// So many reasons are given for each.
const MOST_REASONS: usize = 3;

/// Says why these steps failed, as far as somebody can tell.
///
/// # Errors
/// What the build started from is no longer so; nobody has to act on it.
pub async fn explain(
    pod: &node::Pod,
    scanned: &Scanned,
    by_chefs: Option<&ByChefs>,
    failed: &[Unexplained],
    asked: &Asked,
    (sink, cancel): (&Sink, &Cancel),
) -> Result<(), Stop> {
    // That chefs run once more for this is nobody's news.
    let (sender, _) = sync_channel(REPLY_QUEUE);
    let quiet = Sink::new(sender);
    let asker = Asker { pod, scanned, own: None, asked, hearing: (&quiet, cancel) };
    // A chef of the user's own may know no more than what it plans.
    let mut names: Vec<String> = by_chefs.iter().map(|chefs| chefs.said.clone()).collect();
    names.push(chef_builtin::SHELL.name.to_owned());
    let (programs, _) = asker.programs(Some(names)).await?;
    for chef in &programs {
        let open: Vec<&Unexplained> =
            failed.iter().take(MOST).filter(|failed| !failed.output.is_empty()).collect();
        let ask = |(number, failed): (usize, &&Unexplained)| {
            let ask = Ask::Explain {
                step: failed.step.to_string(),
                exit: failed.exit,
                cwd: failed.cwd.to_string(),
                output: failed.output.clone(),
            };
            Question::new(chef, ask, &format!(":explain:{}", failed.step), number)
        };
        let questions: Vec<Question<'_>> = open.iter().enumerate().map(ask).collect();
        let ControlFlow::Continue(Round::Said(answers)) =
            asker.ask(&questions, &mut ByChefs::default()).await?
        else {
            return Ok(());
        };
        let mut is_answered = false;
        for (failed, answer) in open.iter().zip(answers) {
            let Ok((Say::Explain { reasons }, _)) = answer else { continue };
            let reasons: Vec<Reason> = reasons.into_iter().filter_map(plain).take(MOST_REASONS).collect();
            if !reasons.is_empty() {
                is_answered = true;
                sink.event(Event::StepExplained { step: failed.step.clone(), reasons });
            }
        }
        if is_answered {
            break;
        }
    }
    Ok(())
}

/// A reason as one line, for it is foreign; `None`: it says nothing.
fn plain(reason: Reason) -> Option<Reason> {
    let path = reason.path.map(|path| line(&path)).filter(|path| !path.is_empty());
    let text = line(&reason.text);
    let place = reason.line.filter(|_| path.is_some());
    (!text.is_empty()).then_some(Reason { text, path, line: place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_reasons_are_lines() {
        let reason = |text: &str, path: Option<&str>, line| Reason {
            text: text.into(),
            path: path.map(Into::into),
            line,
        };
        assert_eq!(
            plain(reason("a\nb\u{1b}[1m ", Some("x.c"), Some(3))),
            Some(reason("a b [1m", Some("x.c"), Some(3)))
        );
        assert_eq!(plain(reason("a", Some(" "), Some(3))), Some(reason("a", None, None)));
        assert_eq!(plain(reason(" \n", Some("x.c"), None)), None);
    }
}
