//! Builds: from a project and targets to outputs in the user's folder.
//!
//! Actors. One build is a series of *attempts* under the workspace's lock: each takes a snapshot, plans, brings the wanted
//! steps to their ends, and hands over. An attempt that finds a source, a tool or bytes changed under it ends, and
//! the next one starts from a new snapshot, [`MAX_ATTEMPTS`] in all; what was published until then is reused. Bytes that are
//! gone from the larder are made again by another attempt, too; after a few the whole larder is checked. Failures travel
//! as [`Failure`]; a step that fails is an outcome. A crash loses the steps that ran; the next build sweeps.

mod attempt;
mod carried;
mod conductor;
mod context;
mod demand;
mod differing;
mod finish;
mod keep;
mod made;
mod planning;
mod preparing;
mod promises;
pub mod reason;
mod step;
mod verify;
mod visit;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::Pod;
use protocol::BuildId;
use protocol::event::{EVENT_SCHEMA, Event, How, Outcome};

pub use self::attempt::MAX_ATTEMPTS;
use self::attempt::{Aim, Attempts, Done};
pub use self::context::{Stop, Unexplained};
pub use self::demand::StepView;
pub use self::finish::is_wanted;
pub use self::keep::{is_kept, kept};
pub use self::made::MadeSoFar;
pub use self::planning::{Planning, run_planning};
pub use self::preparing::aside;
pub use self::promises::Promises;
pub use self::visit::Visitor;
pub use self::words::{chain, failure_words, limit_of, restarted_words, shown_command, signal_name};
use super::request::{BuildOptions, Failure, Reply};
use super::sink::{Cancel, Sink};
use super::watch::projects;
use super::watch::watched::Lost;
use super::workspace::{FOLDER, Lock, Manifest, Workspace, WorkspaceError};
use super::{border, noop, records};

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The project's folder.
    pub project: PathBuf,
    /// Targets as typed.
    pub targets: Vec<String>,
    /// How.
    pub options: BuildOptions,
    /// The caller's environment.
    pub environment: Vec<(String, String)>,
}

type Fallible<T> = Result<T, Box<Failure>>;

/// As many steps at once as there are processors.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get())
}

/// Takes the workspace's lock, saying so if another build has it; `None` if the build was cancelled meanwhile.
pub async fn lock(workspace: &Workspace, sink: &Sink, cancel: &Cancel) -> Fallible<Option<Lock>> {
    let waiting = |holder: super::workspace::Holder| {
        let who = holder.pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        sink.reply(Reply::Waiting(format!(
            "another build of this project is running{who}: this one waits for it"
        )));
    };
    tokio::select! {
        lock = workspace.lock(waiting) => lock.map(Some).map_err(|e| Box::new(border::workspace(&e))),
        () = cancel.wait() => Ok(None),
    }
}

/// The id of a new build.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_id() -> Result<BuildId, getrandom::Error> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)?;
    Ok(BuildId::from_random(u128::from_be_bytes(bits)))
}

/// Builds. The outcome is said by events, too.
pub async fn build(pod: &Pod, asked: Asked, sink: &Sink, cancel: &Cancel) -> Fallible<Outcome> {
    of(pod, (asked, None), sink, cancel).await
}

/// Makes what a step needs, and lets a visitor into the root that it would run in. Good or cancelled: he was there.
pub async fn visit(pod: &Pod, asked: Asked, visitor: Arc<Visitor>, sink: &Sink) -> Fallible<Outcome> {
    let leaving = visitor.leaving().clone();
    of(pod, (asked, Some(&visitor)), sink, &leaving).await
}

async fn of(
    pod: &Pod,
    (asked, visitor): (Asked, Option<&Arc<Visitor>>),
    sink: &Sink,
    cancel: &Cancel,
) -> Fallible<Outcome> {
    let workspace = workspace(&asked.project)?;
    let Some(lock) = lock(&workspace, sink, cancel).await? else {
        return Ok(Outcome::Cancelled);
    };
    let lock = Arc::new(lock);
    let build = new_id().map_err(|error| {
        let message = "the system gives no random numbers, and a build is named by one";
        let mut failure = border::machine(message);
        failure.causes.push(error.to_string());
        Box::new(failure)
    })?;
    sink.event(Event::BuildStarted { schema: EVENT_SCHEMA, build });
    let attempts = Attempts {
        pod,
        workspace: &workspace,
        lock: &lock,
        asked: &asked,
        visitor,
        sink,
        cancel,
        aim: Aim::Make,
    };
    let mut ended = attempts.run().await;
    if asked.options.verify && matches!(ended, Ok(Done { outcome: Outcome::Success, .. })) {
        ended = Attempts { aim: Aim::Verify, ..attempts }.run().await;
    }
    if pod.failed().is_any_of(workspace.id()) {
        // What is kept of a step that failed goes when it has come to a good end.
        noop::forget(&workspace);
    }
    let (outcome, steps, written) = match &ended {
        Ok(done) => (done.outcome, done.steps, done.written),
        Err(_) => (Outcome::Failure, 0, 0),
    };
    if let Err(failure) = &ended {
        sink.refused(failure);
    }
    sink.event(Event::BuildFinished {
        outcome,
        steps,
        ran: sink.count(How::Ran),
        reused: sink.count(How::Reused),
        failed: sink.count(How::Failed),
        written,
        seconds: sink.seconds(),
    });
    if outcome == Outcome::Success && !asked.options.dry_run {
        pod.supply().built(workspace.id(), &workspace.name());
    }
    ended.map(|done| done.outcome)
}

/// The workspace of a project, which is made one if need be: not while it is watched, for then it was one, and is being removed.
fn workspace(project: &Path) -> Fallible<Workspace> {
    let place = std::fs::canonicalize(project).unwrap_or_else(|_| project.to_owned());
    if !place.join(FOLDER).exists() && projects::find(&place).is_some() {
        return Err(Box::new(border::lost(&Lost::Removed(place))));
    }
    Workspace::open_or_create(project).map_err(|e| Box::new(border::workspace(&e)))
}

/// Reads the manifest; a damaged one is made up again from what the last traces say that the steps made.
pub fn manifest(pod: &Pod, workspace: &Workspace, sink: &Sink) -> Fallible<Manifest> {
    match Manifest::load(workspace) {
        Err(WorkspaceError::Damaged { path, why }) => {
            let known = records::outputs(pod.larder(), workspace.id());
            let known = known.map_err(|e| Box::new(border::node(&e.into())))?;
            let recovered =
                Manifest::recover(workspace, known).map_err(|e| Box::new(border::workspace(&e)))?;
            sink.note(
                true,
                format!(
                    "`{}` was damaged ({why}): {} outputs were recognised again",
                    path.display(),
                    recovered.manifest.len()
                ),
            );
            Ok(recovered.manifest)
        }
        other => other.map_err(|e| Box::new(border::workspace(&e))),
    }
}
