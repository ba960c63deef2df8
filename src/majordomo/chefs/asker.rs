//! Asking: one round of questions, side by side, as steps over what is there so far.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use node::{Access, NodeError, Pod};
use protocol::Digest;
use protocol::chef::Say;
use protocol::event::Outcome;

use super::find::Finder;
use super::heard::overhear;
use super::program::{Program, ProgramError};
use super::question::{Question, chain, given};
use super::{ByChefs, register};
use crate::majordomo::build::{Asked, Stop, aside, run_planning};
use crate::majordomo::inspect;
use crate::majordomo::plan::Plan;
use crate::majordomo::prepare::{self, Given, Planned, Prepared, Scanned};
use crate::majordomo::project_file::ProjectFile;
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::snapshot::HostFile;
use crate::majordomo::tool_roots;

/// Who asks, over what.
pub(super) struct Asker<'a> {
    /// Where chefs run.
    pub pod: &'a Pod,
    /// The project.
    pub scanned: &'a Scanned,
    /// Its own file, which says no steps.
    pub own: Option<&'a ProjectFile>,
    /// What the build was asked for.
    pub asked: &'a Asked,
    /// Where events go, and what ends it all.
    pub hearing: (&'a Sink, &'a Cancel),
}

/// A chef's answer, and the answer's digest; or why there is none.
pub(super) type Said = Result<(Say, Digest), String>;

/// Goes on, or is over before there is a plan: how, and after how many steps.
pub(super) type Going<T> = ControlFlow<(Outcome, u64), T>;

/// What a round came to.
pub(super) enum Round {
    /// An answer, or none, to each question.
    Said(Vec<Said>),
    /// A step would have to run first, and none is to.
    NotYet,
}

/// Why a chef could not be asked.
pub(super) struct Refused {
    pub name: String,
    pub why: String,
    /// Nobody named it, and it is asked once there is something at one of these places; none: it is asked in each build.
    pub until: Vec<HostFile>,
}

impl Refused {
    pub fn new(name: String, why: String) -> Self {
        Self { name, why, until: Vec::new() }
    }
}

/// Chefs, and why others are none.
pub(super) type Programs = (Vec<Program>, Vec<Refused>);

impl Asker<'_> {
    /// The programs of chefs, as content; of nobody in particular: of those that the project's own file names, else of all that
    /// could know the project.
    pub async fn programs(&self, named: Option<Vec<String>>) -> Result<Programs, Stop> {
        let (pod, scanned) = (self.pod.clone(), self.scanned.clone());
        let (tool_roots, environment) = (self.tool_roots(), prepare::environment(&self.asked.environment));
        let named = named.or_else(|| self.own.map(|own| super::said(Some(own))));
        let taking = tokio::task::spawn_blocking(move || {
            let project = scanned.workspace.project().to_owned();
            let roots = tool_roots::find(&tool_roots, &project, &environment).map_err(Stop::Fatal)?;
            let finder = Finder {
                larder: pod.larder().clone(),
                registry: register::load(pod.home().path()).map_err(Stop::Fatal)?,
                programs: roots.into_iter().filter_map(|root| root.programs).collect(),
                project,
            };
            let is_named = named.is_some();
            let names = named.unwrap_or_else(|| finder.candidates(&scanned.snapshot));
            let (mut programs, mut refused): Programs = Default::default();
            for said in names {
                match finder.program(&said) {
                    Ok(program) if programs.iter().any(|other| other.name == program.name) => {
                        let why = format!("another chef is called `{}`, too", program.name);
                        refused.push(Refused::new(said, why));
                    }
                    Ok(program) => programs.push(program),
                    Err(ProgramError::Larder(error)) => return Err(Stop::from(error)),
                    Err(error) => {
                        let until = match &error {
                            ProgramError::NoTool(tool) if !is_named => finder.places(tool)?,
                            _ => Vec::new(),
                        };
                        refused.push(Refused { until, ..Refused::new(said, chain(&error)) });
                    }
                }
            }
            Ok((programs, refused))
        });
        taking.await.map_err(|_| Stop::from(NodeError::Task("take chefs in")))?
    }

    fn tool_roots(&self) -> Vec<PathBuf> {
        self.own.map(|file| file.tool_roots.clone()).unwrap_or_default()
    }

    /// Asks them all over the sources.
    pub async fn ask(
        &self,
        questions: &[Question<'_>],
        by_chefs: &mut ByChefs,
    ) -> Result<Going<Round>, Stop> {
        let steps = questions.iter().map(|question| question.step(&[])).collect();
        let plan = Plan::empty("chefs".to_owned(), self.tool_roots()).and(steps);
        let environment = prepare::environment(&self.asked.environment);
        let planned = Planned::with(plan, self.scanned.clone(), &environment).map_err(Stop::Fatal)?;
        self.round(planned, questions, by_chefs).await
    }

    /// Brings the last steps of a plan, which ask these questions, to their ends, with whatever they are after.
    pub async fn round(
        &self,
        planned: Planned,
        questions: &[Question<'_>],
        by_chefs: &mut ByChefs,
    ) -> Result<Going<Round>, Stop> {
        let first = planned.plan.steps.len() - questions.len();
        let asking: Vec<usize> = (first..planned.plan.steps.len()).collect();
        if self.asked.options.dry_run && self.would_run(planned.clone(), first).await? {
            return Ok(ControlFlow::Continue(Round::NotYet));
        }
        let prepared = self.prepared(planned, questions, first, by_chefs).await?;

        let (overhearing, heard) = overhear(self.hearing.0, questions.iter().map(Question::id).collect());
        let options = &self.asked.options;
        let planning =
            run_planning(self.pod, &prepared, &asking, options, (&overhearing, self.hearing.1)).await;
        drop(overhearing);
        let heard = tokio::task::spawn_blocking(move || heard.join());
        let planning = planning?;
        let heard = heard.await.ok().and_then(Result::ok).unwrap_or_default();

        let is_made = |step: &&usize| planning.made[**step].is_some();
        let steps = &prepared.plan.steps;
        by_chefs.made.extend(
            (0..steps.len()).collect::<Vec<_>>().iter().filter(is_made).map(|&step| steps[step].id.clone()),
        );
        by_chefs.steps += questions.len() as u64;
        by_chefs.rounds.push((Arc::clone(&prepared.tools), planning.looks));
        if planning.is_cancelled {
            return Ok(ControlFlow::Break((Outcome::Cancelled, 0)));
        }
        let mut answers = Vec::with_capacity(questions.len());
        for (question, step) in questions.iter().zip(asking) {
            answers.push(match (&planning.made[step], heard.failure(&question.id())) {
                (Some(tree), _) => question.answer(self.pod, tree).await?,
                (None, Some(why)) => Err(why),
                // What comes before it failed, and has been shown.
                (None, None) => {
                    by_chefs.unexplained = planning.unexplained;
                    let needed = prepared.plan.needed([step]).len() as u64;
                    return Ok(ControlFlow::Break((Outcome::Failure, needed)));
                }
            });
        }
        Ok(ControlFlow::Continue(Round::Said(answers)))
    }

    async fn prepared(
        &self,
        planned: Planned,
        questions: &[Question<'_>],
        first: usize,
        by_chefs: &ByChefs,
    ) -> Result<Prepared, Stop> {
        let given = Given { tree: Arc::new(given(self.pod, questions).map_err(Stop::Fatal)?), to: first };
        let pod = self.pod.clone();
        let prepared = aside(move || Prepared::of(planned, &pod, Access::Remember)).await?;
        Ok(Prepared { given, made_by_now: Arc::new(by_chefs.made.clone()), ..prepared })
    }

    /// Whether one of the project's steps that the last ones of a plan are after would run.
    async fn would_run(&self, planned: Planned, first: usize) -> Result<bool, Stop> {
        let after = planned.plan.steps[first..].iter().flat_map(|step| step.after.iter().copied());
        let before = planned.plan.needed(after);
        if before.is_empty() {
            return Ok(false);
        }
        let prepared = Prepared::of(planned, self.pod, Access::OnlyLook).map_err(Stop::Fatal)?;
        let options = &self.asked.options;
        let report = inspect::status_of(self.pod, prepared, (&[], &before), options.cold)
            .await
            .map_err(Stop::Fatal)?;
        Ok(report.steps.iter().any(|step| !step.up_to_date))
    }
}
