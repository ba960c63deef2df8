//! One attempt of a call: a run in the kitchen, and what it came to.

use std::sync::Arc;
use std::time::Duration;

use kitchen::{Clock, HowEnded};
use node::{Outputs, StepEnd, StepNews, StepOrder};
use parking_lot::Mutex;
use protocol::StepSpec;
use protocol::calls::{Call, CallFailure};

use super::Fallible;
use super::calls::{Blob, Program, Shown, left};
use crate::majordomo::border;
use crate::majordomo::build::{chain, signal_name};
use crate::majordomo::sink::Cancel;

/// Runs of one attempt under which the tools of the machine may change.
const MAX_RUNS: usize = 3;

/// How an attempt ended.
pub(super) enum Ended {
    /// The pickle of what the function returned.
    Returned(Blob),
    /// The worker's pickle of what it raised.
    Raised(Blob),
    /// It came to no end of its own; why, for people.
    Failed(CallFailure, String),
}

/// One attempt.
pub(super) struct Attempt<'a> {
    pub program: &'a Program,
    pub call: &'a Call,
    pub spec: &'a Arc<StepSpec>,
    pub cancel: &'a Cancel,
}

impl Attempt<'_> {
    /// Runs it to its end. An error ends the launch.
    pub(super) async fn run(&self, outputs: Outputs) -> Fallible<Ended> {
        let mut runs = 0;
        loop {
            runs += 1;
            let end = self.once(outputs.clone()).await?;
            let changed = match end {
                StepEnd::ToolsChanged(paths) => paths,
                end => return self.judged(end).await,
            };
            self.program.look_again();
            if runs == MAX_RUNS {
                let path = changed.first().map(ToString::to_string).unwrap_or_default();
                let words = format!(
                    "`/{path}` goes on changing while it runs, as in an upgrade: launch again when that is done"
                );
                return Ok(Ended::Failed(CallFailure::Machine, words));
            }
        }
    }

    async fn once(&self, outputs: Outputs) -> Fallible<StepEnd> {
        let Self { program, call, spec, cancel } = *self;
        let world = program.world(call).await?;
        let order = StepOrder {
            spec: Arc::clone(spec),
            project: Arc::new(program.project(outputs, spec)),
            tools: Arc::clone(&world.tools),
            image: world.image.clone(),
            timeout: Some(Duration::from_millis(call.timeout_ms)),
            limits: program.limits(call),
            secrets: Program::secrets(call).map_err(|why| Box::new(border::mistake(why)))?,
            previous: None,
            sandbox: program.sandbox,
            clock: Clock::default(),
            is_followed: false,
        };
        let (sink, shown) = (program.sink.clone(), Mutex::new(Shown::of(call)));
        let (mine, is_over) = (cancel.clone(), cancel.clone());
        let on_news = move |news: StepNews<'_>| {
            // What it says about its being ended is nobody's news.
            if let StepNews::Line(line) = news
                && !is_over.is_set()
            {
                shown.lock().line(&sink, line);
            }
        };
        let run = program.pod.run(order, &on_news, || (), async move { mine.wait().await }).await;
        Ok(run.map_err(|error| Box::new(border::node(&error)))?.end)
    }

    async fn judged(&self, end: StepEnd) -> Fallible<Ended> {
        use CallFailure::{Cancelled, Exited, Machine, Refused, TimedOut};
        let failed = |how, words: String| Ok(Ended::Failed(how, words));
        match end {
            StepEnd::Made { path_set, trace, outputs } => {
                let (returned, raised) = (left(&outputs, "returned"), left(&outputs, "raised"));
                match (returned, raised) {
                    (Some(blob), _) | (_, Some(blob)) if !blob.is_short_enough() => {
                        failed(Refused, "what it left is longer than can travel".to_owned())
                    }
                    (_, Some(blob)) => Ok(Ended::Raised(blob)),
                    (Some(blob), None) if self.call.cache => {
                        let first = self.program.publish(self.call, &trace, &path_set).await?;
                        Ok(Ended::Returned(first.unwrap_or(blob)))
                    }
                    (Some(blob), None) => Ok(Ended::Returned(blob)),
                    (None, None) => failed(Exited, exited(0)),
                }
            }
            StepEnd::Failed(HowEnded::Exit(code)) => failed(Exited, exited(code)),
            StepEnd::Failed(HowEnded::Signal(signal)) => {
                failed(Exited, format!("a signal ended its process: {}", signal_name(signal)))
            }
            StepEnd::Failed(HowEnded::Killed) => {
                failed(Exited, "the system killed it, as it does when memory runs out".to_owned())
            }
            StepEnd::Failed(HowEnded::OverLimit(limit)) => failed(Exited, format!("killed: over {limit}")),
            StepEnd::Failed(HowEnded::TimedOut) => {
                let seconds = self.call.timeout_ms as f64 / 1000.0;
                failed(TimedOut, format!("it was ended after {seconds} s, its `timeout`"))
            }
            StepEnd::Failed(HowEnded::Cancelled) => failed(Cancelled, "it was cancelled".to_owned()),
            StepEnd::Failed(HowEnded::NotFound { command } | HowEnded::CannotExecute { command, .. }) => {
                let command = protocol::path::escape(&command);
                if let Some(image) = &self.call.image {
                    return failed(Refused, format!("there is no `{command}` in the image `{image}`"));
                }
                let failure = border::machine(format!(
                    "functions cannot run: there is no `{command}` where steps look"
                ));
                Err(Box::new(failure.hint("install Python for all users of the machine (Debian: `python3`)")))
            }
            StepEnd::Failed(HowEnded::BadCwd { errno }) => {
                let error = std::io::Error::from_raw_os_error(errno);
                failed(Machine, format!("its folder cannot be entered: {error}"))
            }
            StepEnd::Refused(refusal) => failed(Refused, refusal.to_string()),
            StepEnd::SourceChanged(path) => {
                failed(Refused, format!("`{path}` changed while the program ran: launch it again"))
            }
            StepEnd::Unreadable(failure) => {
                failed(Machine, format!("a file that it needs cannot be read: {}", chain(&failure)))
            }
            StepEnd::Lost(path) => failed(Machine, format!("the bytes of `{path}` are gone from the larder")),
            StepEnd::ToolsChanged(_) => failed(Machine, "the tools of the machine changed".to_owned()),
        }
    }
}

fn exited(code: i32) -> String {
    format!("its process ended with exit code {code} before it returned")
}
