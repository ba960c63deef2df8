//! Projects that use what others make: built by the pods that have them, and brought here.

use std::sync::mpsc::sync_channel;
use std::time::Duration;

use backplane::owners::Changes;
use backplane::projects;
use protocol::WorkspaceId;
use protocol::event::{Event, How, Outcome, Stamped};
use protocol::mesh::ProjectName;

use super::asking::Unanswered;
use super::{Fallible, Own, carry_out};
use crate::majordomo::border::{machine, mistake};
use crate::majordomo::holder::Host;
use crate::majordomo::membership::{UseOrder, Used};
use crate::majordomo::request::{
    Failure, FailureKind, OfProject, OwnOptions, ProjectMade, Reply, Report, UsedBy,
};
use crate::majordomo::sink::{Cancel, REPLY_QUEUE, Sink};
use crate::mesh::{Joined, presence};

/// A pod that gives nothing is asked whether it is there, as one that has been silent for so long.
const ASKED: Duration = Duration::from_secs(2);
/// The longest chain of projects that use each other.
const MAX_CHAIN: usize = 32;
/// Steps of a used project that are named when they fail.
const MAX_FAILED: usize = 5;

/// Why a used project could not be built, in words for whoever uses it.
fn of_used(name: &ProjectName, mut failure: Box<Failure>) -> Box<Failure> {
    if failure.kind == FailureKind::User {
        failure.message = format!("`{name}`, which this project uses: {}", failure.message);
        // What its own users are told to look at is not here.
        failure.hints.retain(|hint| !hint.contains("`majordomo graph`"));
        failure.hints.push(format!("`majordomo projects targets {name}` shows what can be built of it"));
    }
    failure
}

/// An error if a project is used, by way of others, for itself.
pub(super) fn check(own: &Own, used_by: &[UsedBy]) -> Fallible<()> {
    let Some(at) = used_by.iter().position(|by| by.workspace == own.workspace) else {
        let is_long = used_by.len() > MAX_CHAIN;
        let failure = || Box::new(mistake(format!("more than {MAX_CHAIN} projects use each other in a row")));
        return if is_long { Err(failure()) } else { Ok(()) };
    };
    let mut circle: Vec<String> = used_by[at..].iter().map(|by| format!("`{}`", by.name)).collect();
    circle.push(format!("`{}`", own.name));
    let failure = mistake(format!("projects use each other in a circle: {}", circle.join(" → ")));
    Err(Box::new(failure.hint("one of them has to do without the next: `uses` in its `majordomo.toml`")))
}

/// What the build of a used project says, as far as whoever uses it wants to know.
#[derive(Default)]
struct Heard {
    made: Option<ProjectMade>,
    failed: Vec<String>,
}

impl Heard {
    fn take(&mut self, reply: Reply, sink: &Sink) {
        match reply {
            Reply::Report(Report::Built(report)) => self.made = Some(report.made),
            Reply::Event(Stamped {
                event: Event::StepFinished { step, how: How::Failed, failure, .. },
                ..
            }) if self.failed.len() < MAX_FAILED => {
                self.failed.push(format!("step `{step}`: {}", failure.unwrap_or_default()));
            }
            Reply::Waiting(what) => sink.reply(Reply::Waiting(what)),
            _ => {}
        }
    }
}

impl Joined {
    /// Has a project built by the pod that has it, for one that uses it, and brings what the targets mean.
    ///
    /// # Errors
    /// It cannot be built or brought, or uses what it is used for.
    pub async fn use_project(
        &self,
        host: &Host,
        order: &UseOrder<'_>,
        sink: &Sink,
        cancel: &Cancel,
    ) -> Fallible<Used> {
        let name = order.project;
        let found = projects::get(&self.mesh, name);
        let found = found.map_err(|error| Box::new(Failure::new(FailureKind::Machine, &error)))?;
        let owner = found.and_then(|project| project.owner);
        let owner = owner.ok_or_else(|| Box::new(super::unknown(name)))?;
        let what = OfProject::Use {
            targets: order.targets.to_vec(),
            used_by: order.used_by.to_vec(),
            build: Some(order.build),
            as_it_is: order.as_it_is,
        };
        let mut heard = Heard::default();
        let outcome = if owner == self.pod() {
            let project = self.projects.own(name)?;
            let (sender, replies) = sync_channel(REPLY_QUEUE);
            let talk = sink.clone();
            let hearing = tokio::task::spawn_blocking(move || {
                let mut heard = Heard::default();
                replies.iter().for_each(|reply| heard.take(reply, &talk));
                heard
            });
            let carried = {
                let own = Sink::new(sender);
                carry_out(host, (&project, Some(OwnOptions::default())), what, &own, cancel).await
            };
            heard = hearing.await.map_err(|_| Box::new(machine("a build ended in the middle")))?;
            let (outcome, built) = carried.map_err(|failure| of_used(name, failure))?;
            heard.made = built;
            outcome
        } else {
            let mut take = |reply| heard.take(reply, sink);
            match self.projects.ask(&owner, name, what, &mut take, cancel).await {
                Ok(outcome) => outcome,
                Err(Unanswered::Away(failure)) => return Ok(Used::Away(failure)),
                Err(Unanswered::Failed(failure)) => return Err(of_used(name, failure)),
            }
        };
        let pod = presence::name(&self.mesh, &owner);
        match (outcome, heard.made) {
            (Some(Outcome::Success), Some(made)) => {
                for step in &made.kept_back {
                    let text =
                        format!("what step `{step}` of `{name}` makes stays with `{pod}`: it has secrets");
                    sink.note_in_build(true, text);
                }
                match self.bring(&host.pod, name, (owner, made.tree), cancel).await {
                    Ok(true) => Ok(Used::Tree { tree: made.tree, owner: pod }),
                    Ok(false) => Ok(Used::Cancelled),
                    // It went when all was made.
                    Err(failure) if presence::is_gone(&self.mesh, &owner, ASKED).await => {
                        Ok(Used::Away(failure))
                    }
                    Err(failure) => Err(failure),
                }
            }
            (Some(Outcome::Cancelled), _) if cancel.is_set() => Ok(Used::Cancelled),
            (Some(Outcome::Failure), _) => {
                let message = format!("`{name}`, which this project uses, could not be built by `{pod}`");
                let failure =
                    Failure { kind: FailureKind::Step, message, causes: heard.failed, hints: Vec::new() };
                Err(Box::new(
                    failure.hint(format!("`majordomo build project:{name}` shows what was printed")),
                ))
            }
            _ => Err(Box::new(machine(format!("`{pod}` has not built `{name}`: it was cancelled there")))),
        }
    }

    /// What of the federation's projects has changed, as it changes.
    pub fn changes(&self) -> Changes {
        self.estate.owners.map().changes()
    }

    /// Whether a change may concern a project.
    pub fn is_about(&self, changed: &Option<WorkspaceId>, name: &ProjectName) -> bool {
        let found = projects::get(&self.mesh, name).ok().flatten();
        changed.is_none_or(|changed| found.is_some_and(|project| project.workspace == changed))
    }
}
