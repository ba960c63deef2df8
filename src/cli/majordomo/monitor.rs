//! `majordomo monitor`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use parking_lot::Mutex;
use protocol::event::{Event, Outcome, Stamped};

use crate::cli::border;
use crate::cli::context::Context;
use crate::cli::event_log::EventLog;
use crate::cli::exit::Exit;
use crate::cli::place;
use crate::cli::progress::{BuildView, Detail, Ticker};
use crate::interrupt::{Cause, Signal};
use crate::majordomo::request::{Failure, Named, OfProject, OwnOptions, Reply, Request, WatchNews};

/// Follow the builds of a project, from wherever it is built
///
/// Shows its last build from the beginning, goes on while that runs, and then with the next ones, until it is interrupted. A registered project is
/// followed at the pod that has it. Of each build so much is kept as it said, and 8 MiB of what its steps printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  majordomo monitor libfoo            a registered project, as its pod builds it
  majordomo monitor libfoo compile    one step of it, or all steps of a rule
  majordomo monitor . --once          what the last build of this project said")]
pub struct MonitorArgs {
    /// The name of a registered project, or a project's folder
    #[arg(value_name = "NAME|DIR")]
    project: String,
    /// Only what is about this step, or about the steps of this rule
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// End with the build that is shown, with its exit code
    #[arg(long)]
    once: bool,
    /// Write the events as JSON lines
    #[arg(long)]
    json: bool,
}

/// A build as it is shown.
struct Shown {
    view: Arc<Mutex<BuildView>>,
    _ticker: Ticker,
}

impl MonitorArgs {
    fn asked(&self, context: &Context<'_>) -> Result<Request, Failure> {
        let around = context.around()?;
        let (step, once) = (self.step.clone(), self.once);
        match place::named_project(&self.project, &around.cwd)? {
            Some(name) => {
                let what = OfProject::Monitor { step, once };
                Ok(Request::Named(Box::new(Named { name, what, own: OwnOptions::default(), out: None })))
            }
            None => {
                let project = place::project(Some(&PathBuf::from(&self.project)), &around)?;
                Ok(Request::Monitor { project, step, once })
            }
        }
    }

    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let asked = self.asked(context)?;
        let mut log = self.json.then(|| EventLog::open(std::path::Path::new("-"))).transpose()?;
        let majordomo = context.connect()?;
        let interrupt = context.interrupt.clone();
        let (style, talk) = (context.talk_style, context.talk.clone());
        let shows_on = talk.clone();
        let mut shown: Option<Shown> = None;
        let (mut outcome, mut failed) = (None, None);
        let mut show = |event: Stamped| {
            if let Some(log) = &mut log {
                return log.write(&event);
            }
            if matches!(event.event, Event::BuildStarted { .. }) {
                let view = BuildView::new(Detail::Normal, style, shows_on.clone());
                let view = Arc::new(Mutex::new(view));
                shown = Some(Shown { _ticker: Ticker::start(Arc::clone(&view), interrupt.clone()), view });
            }
            let is_over = matches!(event.event, Event::BuildFinished { .. });
            if let Some(shown) = &shown {
                shown.view.lock().event(event);
            }
            if is_over {
                shown = None;
            }
            Ok(())
        };
        let asked = majordomo.ask(asked, &context.interrupt, &mut |reply| match reply {
            Reply::Event(event) => {
                if let Err(failure) = show(event) {
                    failed.get_or_insert(failure);
                    context.interrupt.set(Cause::Unheard);
                }
            }
            Reply::Failed(failure) => {
                failed.get_or_insert(failure);
            }
            Reply::Watch(WatchNews::Refused(failure)) => talk.say(&border::render(&failure, style)),
            Reply::Done { outcome: ended } => outcome = ended,
            _ => {}
        });
        drop(shown);
        failed.map_or(asked, Err)?;
        match (outcome, context.interrupt.cause()) {
            (_, Some(Cause::Signal(signal))) => Ok(Exit::Interrupted(signal)),
            (Some(Outcome::Success) | None, _) => Ok(Exit::Done),
            (Some(Outcome::Failure), _) => Ok(Exit::StepFailed),
            (Some(Outcome::Cancelled), _) => Ok(Exit::Interrupted(Signal::Interrupt)),
        }
    }
}
