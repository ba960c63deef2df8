//! Who is asked, who is taken, and what becomes of the answer.

use std::ops::ControlFlow;

use larder::ObjectKind;
use node::{NodeError, Pod};
use protocol::chef::{Answer, Ask, Detected, Planned as Steps, Say};
use protocol::event::Outcome;

use super::asker::{Asker, Going, Refused, Round, Said};
use super::pick::{Picked, surest};
use super::program::{Program, host_file};
use super::question::Question;
use super::{ByChefs, foreign, last, registry, stages, written};
use crate::majordomo::border;
use crate::majordomo::build::{Asked, Stop};
use crate::majordomo::prepare::Scanned;
use crate::majordomo::project_file::{MEND_THE_CHEF, PROJECT_FILE, ProjectFile, ProjectFileError};
use crate::majordomo::request::{Failure, FailureKind};
use crate::majordomo::sink::{Cancel, Sink};

/// So many notes of a chef are shown.
const MOST_NOTES: usize = 16;

/// A plan that chefs made, and what it depends on.
pub type ChefPlan = (ProjectFile, ByChefs);

/// Asks the chefs of a project, and gives its plan in the form of a project file. Break: it is over before there is one, for the
/// build was cancelled, or a step that the plan depends on failed; and how many steps there were.
///
/// # Errors
/// Nobody knows the project, or nobody alone; whoever does has no plan that can be read; or the attempt has to end.
pub async fn ask(
    pod: &Pod,
    scanned: &Scanned,
    own: Option<&ProjectFile>,
    asked: &Asked,
    hearing: (&Sink, &Cancel),
) -> Result<ControlFlow<(Outcome, u64), ChefPlan>, Stop> {
    let asker = Asker { pod, scanned, own, asked, hearing };
    // Who may be asked is another answer when the list is another one.
    let list = host_file(&registry::path(pod.home().path()))
        .map_err(|error| Stop::Fatal(Box::new(Failure::new(FailureKind::Machine, &error))))?;
    let (programs, refused) = asker.programs(None).await?;
    let files = programs.iter().flat_map(|program| program.files.iter().cloned());
    let mut by_chefs = ByChefs { files: files.chain([list]).collect(), ..ByChefs::default() };
    let (taken, plan) = match asker.first_plan(&programs, refused, &mut by_chefs).await? {
        ControlFlow::Continue(first) => first,
        ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
    };
    let staged = match stages::complete(&asker, taken, plan, &mut by_chefs).await? {
        ControlFlow::Continue(staged) => staged,
        ControlFlow::Break(end) => {
            let failed = std::mem::take(&mut by_chefs.unexplained);
            super::explain(pod, scanned, Some(&by_chefs), &failed, asked, hearing).await?;
            return Ok(ControlFlow::Break(end));
        }
    };
    let notes = &staged.steps.notes;
    for note in notes.iter().take(MOST_NOTES) {
        hearing.0.note(false, format!("{}: {}", taken.name, foreign::line(note)));
    }
    if notes.len() > MOST_NOTES {
        hearing.0.note(false, format!("{}: and {} notes more", taken.name, notes.len() - MOST_NOTES));
    }
    if staged.is_part {
        hearing
            .0
            .note(false, "this is the beginning of the plan: the rest follows from what these steps make");
    } else {
        let answer = Answer::new(Say::Plan(staged.steps)).line();
        let digest = pod.larder().put(ObjectKind::Blob, answer.as_bytes())?;
        last::remember(pod.larder(), scanned.workspace.id(), &taken.name, &digest)?;
    }
    Ok(ControlFlow::Continue((staged.file, by_chefs)))
}

impl Asker<'_> {
    /// The surest chef, and the plan that it begins with.
    async fn first_plan<'p>(
        &self,
        programs: &'p [Program],
        mut refused: Vec<Refused>,
        by_chefs: &mut ByChefs,
    ) -> Result<Going<(&'p Program, Steps)>, Stop> {
        let detect = |chef| Question::new(chef, Ask::Detect {}, "", 0);
        let questions: Vec<Question<'_>> = programs.iter().map(detect).collect();
        let answers = match self.ask(&questions, by_chefs).await? {
            ControlFlow::Continue(Round::Said(answers)) => answers,
            ControlFlow::Continue(Round::NotYet) => Vec::new(),
            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
        };
        let mut detected: Vec<(usize, Detected)> = Vec::new();
        for (index, said) in answers.into_iter().enumerate() {
            match said {
                Ok((Say::Detect(answer), _)) => detected.push((index, answer)),
                said => refused.push(Refused::new(programs[index].name.clone(), another(said, "detect"))),
            }
        }
        let picked = surest(detected.iter().map(|(index, answer)| (*index, answer)));
        if picked != Picked::Nobody {
            for Refused { name, why, .. } in refused.iter().filter(|refused| refused.until.is_empty()) {
                self.hearing.0.note(true, format!("the chef `{name}` could not be asked: {why}"));
            }
        }
        let taken = match picked {
            Picked::One(taken) => taken,
            Picked::Tie(all) => {
                let all: Vec<&Program> = all.into_iter().map(|index| &programs[index]).collect();
                return Err(Stop::Fatal(Box::new(tie(&all))));
            }
            Picked::Nobody => return Err(Stop::Fatal(Box::new(self.nobody(programs, &refused)))),
        };
        // Who lacks a program is no matter of this project until that is there.
        by_chefs.is_whole = refused.iter().all(|refused| !refused.until.is_empty());
        by_chefs.files.extend(refused.into_iter().flat_map(|refused| refused.until));
        let chef = &programs[taken];
        let Some((_, detected)) = detected.into_iter().find(|(index, _)| *index == taken) else {
            return Err(NodeError::Task("ask chefs").into());
        };
        chef.name.clone_into(&mut by_chefs.chef);
        chef.said.clone_into(&mut by_chefs.said);
        by_chefs.found = foreign::line(&detected.found);
        match detected.plan {
            Some(plan) => Ok(ControlFlow::Continue((chef, plan))),
            None => self.plan(chef, by_chefs).await,
        }
    }

    /// Asks the chef that was taken for its plan.
    async fn plan<'p>(
        &self,
        chef: &'p Program,
        by_chefs: &mut ByChefs,
    ) -> Result<Going<(&'p Program, Steps)>, Stop> {
        let questions = [Question::new(chef, Ask::Plan {}, ":plan", 0)];
        let answers = match self.ask(&questions, by_chefs).await? {
            ControlFlow::Continue(Round::Said(answers)) => answers,
            ControlFlow::Continue(Round::NotYet) => Vec::new(),
            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
        };
        let why = match answers.into_iter().next() {
            Some(Ok((Say::Plan(plan), _))) => return Ok(ControlFlow::Continue((chef, plan))),
            Some(said) => another(said, "plan"),
            None => "it was not asked".to_owned(),
        };
        let mut failure = border::mistake(format!("the chef `{}` has no plan for this project", chef.name));
        failure.causes.push(why);
        Err(Stop::Fatal(Box::new(failure.hint(written::WITHOUT))))
    }

    /// Nobody knows the project.
    fn nobody(&self, programs: &[Program], refused: &[Refused]) -> Failure {
        let project = self.scanned.workspace.project();
        let mut failure = match (self.own, refused) {
            (None, []) => border::project_file(&ProjectFileError::Missing { folder: project.to_owned() }),
            (_, []) => border::mistake(format!("no chef knows the project `{}`", project.display())),
            _ => border::mistake(format!("no chef could plan the project `{}`", project.display())),
        };
        let asked = |name: &str| programs.iter().find(|program| program.name == name);
        let said = refused.iter().map(|Refused { name, why, .. }| {
            // One of ours that ends so speaks of the project.
            let of_project = why.strip_prefix("exit code 1: ");
            match of_project.filter(|_| asked(name).is_some_and(|program| program.is_built_in)) {
                Some(words) => format!("the chef `{name}` says: {words}"),
                None => format!("the chef `{name}` could not be asked: {why}"),
            }
        });
        failure.causes.extend(said);
        if refused.iter().any(|refused| asked(&refused.name).is_some_and(|program| !program.is_built_in)) {
            failure = failure.hint(MEND_THE_CHEF);
        }
        let has_answered = |name: &str| refused.iter().all(|other| other.name != name);
        let names = programs.iter().map(|program| program.name.as_str()).filter(|name| has_answered(name));
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [] => failure,
            names => failure.hint(format!("these chefs were asked, and none knows it: {}", names.join(", "))),
        }
    }
}

/// Why an answer is none to this question.
fn another(said: Said, question: &str) -> String {
    said.err().unwrap_or_else(|| format!("it answered another question than `{question}`"))
}

/// Nobody knows it best.
fn tie(chefs: &[&Program]) -> Failure {
    let shown: Vec<String> = chefs.iter().map(|chef| format!("`{}`", chef.name)).collect();
    let failure =
        border::mistake(format!("the chefs {} are equally sure of this project", shown.join(" and ")));
    let said: Vec<String> =
        chefs.iter().map(|chef| toml::Value::from(chef.said.as_str()).to_string()).collect();
    failure.hint(format!("decide in `{PROJECT_FILE}`:\n[project]\nchef = {}", said.join("   # or ")))
}
