//! The side that asks: an order, and the replies to it, until the last one, or until the owner is there no more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backplane::bus::BusError;
use backplane::keys::random;
use backplane::mesh::AskError;
use protocol::PodId;
use protocol::event::{Event, HERE, Outcome, Stamped};
use protocol::mesh::order::{
    ORDER, ORDER_CANCEL, OfProject, ProjectCancel, ProjectNews, ProjectOrder, ProjectReply,
};
use protocol::mesh::run::REPORT_EVERY;
use protocol::mesh::{NewsAnswer, ProjectName};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{NEWS_WAITING, Projects};
use crate::majordomo::border::machine;
use crate::majordomo::request::{BuiltReport, Failure, Reply, Report, WatchNews};
use crate::majordomo::sink::Cancel;
use crate::mesh::presence;
use crate::mesh::steps::hand_on;

/// How long the owner may take to answer an order, or that it is withdrawn.
const ANSWER: Duration = Duration::from_secs(5);
/// How long its last words are waited for once an order is withdrawn.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// An order that is being carried out elsewhere. Dropping it has the owner end it.
struct Ordered<'a> {
    projects: &'a Projects,
    owner: PodId,
    run: u64,
    is_over: bool,
}

/// Why nothing came of an order.
pub(super) enum Unanswered {
    /// The owner is not there, or went.
    Away(Box<Failure>),
    /// It says no, or could not.
    Failed(Box<Failure>),
}

impl From<Unanswered> for Box<Failure> {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Away(failure) | Unanswered::Failed(failure) => failure,
        }
    }
}

impl From<Box<Failure>> for Unanswered {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failed(failure)
    }
}

impl Projects {
    /// Takes in what an owner says.
    pub(super) async fn heard(&self, from: PodId, news: ProjectNews) -> NewsAnswer {
        let asked = self.asked.lock().get(&(from, news.run)).cloned();
        hand_on(asked, news).await
    }

    /// Has the owner of a project do something; `take` gets its replies, but the last.
    pub(super) async fn ask(
        &self,
        owner: &PodId,
        name: &ProjectName,
        what: OfProject,
        take: &mut (dyn FnMut(Reply) + Send),
        cancel: &Cancel,
    ) -> Result<Option<Outcome>, Unanswered> {
        let random = random::<8>().map_err(|_| Box::new(machine("the system gives no random numbers")))?;
        let run = u64::from_le_bytes(random);
        let (sender, news) = mpsc::channel(NEWS_WAITING);
        self.asked.lock().insert((*owner, run), sender);
        let ordered = Ordered { projects: self, owner: *owner, run, is_over: false };
        ordered.until_its_end(ProjectOrder { run, name: name.clone(), what }, news, take, cancel).await
    }

    fn is_not_there(&self, owner: &PodId, name: &ProjectName, why: &str) -> Unanswered {
        let pod = presence::name(&self.mesh, owner);
        let heard = match self.mesh.beats().all().get(owner) {
            Some(heard) => format!("it was heard {} s ago", heard.ago.as_secs()),
            None => "it was not heard since this pod stands".to_owned(),
        };
        let failure = machine(format!("the pod `{pod}`, which has the project `{name}`, {why}: {heard}"));
        Unanswered::Away(Box::new(failure.hint(
            "`pod pods` shows who is there; where its sources are too, `majordomo build DIR` builds it anywhere",
        )))
    }
}

/// A reply of an owner: fit for this terminal, and what the owner calls `here` has a name. None: it is one of a later program.
fn as_seen_from_here(mut said: Value, owner: &str) -> Option<ProjectReply> {
    // What steps print is cleaned where it is shown, colours and all.
    if said["with"]["event"] != "step-output" {
        let is_long = said["reply"] == "failed" || said["reply"] == "refused";
        clean(&mut said, is_long);
    }
    let mut reply = serde_json::from_value(said).ok()?;
    if let ProjectReply::Event(Stamped { event: Event::StepStarted { pod, .. }, .. }) = &mut reply
        && pod == HERE
    {
        owner.clone_into(pod);
    }
    Some(reply)
}

/// A text of another pod, as one line that a terminal only shows.
pub(super) fn line(text: &str) -> String {
    let mut said = Value::String(text.to_owned());
    clean(&mut said, false);
    said.as_str().unwrap_or_default().to_owned()
}

/// Takes out of texts what a terminal would obey. A further line, where there may be one, is none of ours.
fn clean(said: &mut Value, may_have_lines: bool) {
    match said {
        Value::String(text) if text.contains(char::is_control) => {
            let line_end = if may_have_lines { "\n  " } else { " " };
            let lines = text.lines().map(|line| line.replace(char::is_control, ""));
            *text = lines.collect::<Vec<_>>().join(line_end);
        }
        Value::Array(all) => all.iter_mut().for_each(|said| clean(said, may_have_lines)),
        Value::Object(all) => all.values_mut().for_each(|said| clean(said, may_have_lines)),
        _ => {}
    }
}

impl Ordered<'_> {
    async fn until_its_end(
        mut self,
        order: ProjectOrder,
        mut news: mpsc::Receiver<ProjectNews>,
        take: &mut (dyn FnMut(Reply) + Send),
        cancel: &Cancel,
    ) -> Result<Option<Outcome>, Unanswered> {
        let name = order.name.clone();
        match self.projects.mesh.ask::<_, ()>(&self.owner, ORDER, &order, ANSWER).await {
            Ok(()) => {}
            Err(AskError::Refused(why)) => {
                self.is_over = true;
                let pod = presence::name(&self.projects.mesh, &self.owner);
                let why = line(&why);
                return Err(Unanswered::Failed(Box::new(machine(format!(
                    "`{pod}` does not build `{name}`: {why}"
                )))));
            }
            Err(AskError::Bus(BusError::Nobody(_))) => {
                return Err(self.projects.is_not_there(&self.owner, &name, "is not there"));
            }
            Err(error) => {
                return Err(self.projects.is_not_there(
                    &self.owner,
                    &name,
                    &format!("does not answer ({error})"),
                ));
            }
        }
        let pod = presence::name(&self.projects.mesh, &self.owner);
        let (mut heard, mut number, mut withdrawn) = (Instant::now(), 0, None::<Instant>);
        loop {
            tokio::select! {
                Some(said) = news.recv() => {
                    heard = Instant::now();
                    if said.number <= number {
                        continue;
                    }
                    number = said.number;
                    for reply in said.replies {
                        let Some(reply) = as_seen_from_here(reply, &pod) else { continue };
                        take(match reply {
                            ProjectReply::Done { outcome } => {
                                self.is_over = true;
                                return Ok(outcome);
                            }
                            ProjectReply::Failed(failure) => {
                                self.is_over = true;
                                return Err(Unanswered::Failed(Box::new(failure)));
                            }
                            ProjectReply::Event(event) => Reply::Event(event),
                            ProjectReply::Waiting(what) => Reply::Waiting(what),
                            ProjectReply::Refused(why) => Reply::Watch(WatchNews::Refused(why)),
                            ProjectReply::Targets(report) => Reply::Report(Report::Targets(report)),
                            ProjectReply::Status(report) => Reply::Report(Report::Status(report)),
                            ProjectReply::Verify(report) => Reply::Report(Report::Verify(report)),
                            ProjectReply::Made(made) => {
                                let (owner, owner_name) = (self.owner, pod.clone());
                                Reply::Report(Report::Built(BuiltReport { made, owner, owner_name, out: None }))
                            }
                        });
                    }
                }
                () = cancel.wait(), if withdrawn.is_none() => {
                    withdrawn = Some(Instant::now());
                    self.withdraw();
                }
                () = tokio::time::sleep(REPORT_EVERY) => {
                    if withdrawn.is_some_and(|withdrawn| withdrawn.elapsed() >= LAST_WORDS) {
                        return Ok(Some(Outcome::Cancelled));
                    }
                    if presence::is_gone(&self.projects.mesh, &self.owner, heard.elapsed()).await {
                        let why = "went in the middle of it";
                        return Err(self.projects.is_not_there(&self.owner, &name, why));
                    }
                }
            }
        }
    }

    /// Says that it is not wanted any more.
    fn withdraw(&self) {
        let (mesh, owner, run) = (Arc::clone(&self.projects.mesh), self.owner, self.run);
        tokio::spawn(async move {
            let told = mesh.ask::<_, bool>(&owner, ORDER_CANCEL, &ProjectCancel { run }, ANSWER).await;
            if let Err(error) = told {
                // It hears so when it has something to say.
                tracing::debug!(%owner, %error, "an order was not withdrawn yet");
            }
        });
    }
}

impl Drop for Ordered<'_> {
    fn drop(&mut self) {
        self.projects.asked.lock().remove(&(self.owner, self.run));
        if !self.is_over {
            self.withdraw();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_owner_says_is_shown_and_not_obeyed() {
        let failure = serde_json::json!({
            "reply": "failed",
            "with": { "kind": "user", "message": "no\nerror: forged\u{1b}[2J", "causes": ["a\rb"], "hints": [] },
        });
        let Some(ProjectReply::Failed(failure)) = as_seen_from_here(failure, "a") else { panic!() };
        assert_eq!(failure.message, "no\n  error: forged[2J");
        assert_eq!(failure.causes, ["ab"]);
        let note = serde_json::json!({
            "reply": "event",
            "with": { "at": 0.5, "event": "note", "warning": true, "text": "x\n\u{1b}]0;y\u{7}" },
        });
        let Some(ProjectReply::Event(Stamped { event: Event::Note { text, .. }, .. })) =
            as_seen_from_here(note, "a")
        else {
            panic!()
        };
        assert_eq!(text, "x ]0;y");
        assert_eq!(line("/home/me\n  forged  row"), "/home/me   forged  row");
        // One that only a later program knows.
        for later in [
            serde_json::json!({ "reply": "later" }),
            serde_json::json!({ "reply": "event", "with": { "at": 0.5, "event": "later" } }),
        ] {
            assert_eq!(as_seen_from_here(later, "a"), None);
        }
    }
}
