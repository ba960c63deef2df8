//! Planning again: a chef that wants to see what a step makes is asked once more when that is there, stage by stage.
//!
//! A stage is a plan of what is known so far, and of the questions, each after the step that it was to wait for; only what
//! those need is built. The answers say more steps. What was planned from something comes after whoever made it: so its outputs are
//! hidden from that step, which in the end sees what it saw now, and is not made again.

use std::ops::ControlFlow;

use protocol::chef::{Ask, Detected, MAX_STAGES, Planned as Steps, Replan, Say};
use serde_json::{Map, Value};

use super::asker::{Asker, Going, Round};
use super::program::Program;
use super::question::Question;
use super::{ByChefs, Fallible, lenses, written};
use crate::majordomo::border;
use crate::majordomo::build::Stop;
use crate::majordomo::prepare::{self, Planned};
use crate::majordomo::project_file::ProjectFile;
use crate::majordomo::request::Failure;

/// A plan that may want to grow.
pub(super) struct Staged {
    /// All that was said so far.
    pub steps: Steps,
    /// It as it is read.
    pub file: ProjectFile,
    /// Whether more would be said if steps could run.
    pub is_part: bool,
}

/// Goes on with a chef's first plan until it wants to be asked no more.
pub(super) async fn complete(
    asker: &Asker<'_>,
    chef: &Program,
    mut steps: Steps,
    by_chefs: &mut ByChefs,
) -> Result<Going<Staged>, Stop> {
    let mut stage = 1;
    steps.file = with_defaults(steps.file, &chef.defaults);
    loop {
        let file = read(asker, chef, &steps).map_err(Stop::Fatal)?;
        let wishes = std::mem::take(&mut steps.replan);
        if wishes.is_empty() {
            return Ok(ControlFlow::Continue(Staged { steps, file, is_part: false }));
        }
        stage += 1;
        by_chefs.first_stage.get_or_insert_with(|| file.text.as_str().to_owned());
        if stage > MAX_STAGES {
            return Err(Stop::Fatal(Box::new(endless(&chef.name))));
        }
        let asked = |(number, wish): (usize, &Replan)| {
            let ask = Ask::Replan { after: wish.after.clone(), ask: wish.ask.clone() };
            Question::new(chef, ask, &format!(":{stage}:{}", wish.after), number)
        };
        let questions: Vec<Question<'_>> = wishes.iter().enumerate().map(asked).collect();
        let planned = plan(asker, &file, &chef.name, (&wishes, &questions)).map_err(Stop::Fatal)?;
        let answers = match asker.round(planned, &questions, by_chefs).await? {
            ControlFlow::Continue(Round::Said(answers)) => answers,
            ControlFlow::Continue(Round::NotYet) => {
                return Ok(ControlFlow::Continue(Staged { steps, file, is_part: true }));
            }
            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
        };
        for (wish, answer) in wishes.iter().zip(answers) {
            let more = match answer {
                Ok((Say::Plan(more) | Say::Detect(Detected { plan: Some(more), .. }), _)) => Ok(more),
                Ok(_) => Err("it answered another question than `replan`".to_owned()),
                Err(why) => Err(why),
            };
            let added = more.and_then(|mut more| {
                more.file = with_defaults(more.file, &chef.defaults);
                add(&mut steps, more, &wish.after)
            });
            added.map_err(|why| Stop::Fatal(Box::new(no_more(&chef.name, &wish.after, why))))?;
        }
    }
}

fn read(asker: &Asker<'_>, chef: &Program, steps: &Steps) -> Fallible<ProjectFile> {
    let project = asker.scanned.workspace.project();
    let file = written::file(&chef.name, steps, &written::label(project), asker.own)?;
    if chef.is_lent {
        written::of_another_pod(&chef.name, &file, asker.own)?;
    }
    Ok(file)
}

/// The plan so far, and the steps that ask.
fn plan(
    asker: &Asker<'_>,
    file: &ProjectFile,
    chef: &str,
    (wishes, questions): (&[Replan], &[Question<'_>]),
) -> Fallible<Planned> {
    let environment = prepare::environment(&asker.asked.environment);
    let mut file = file.clone();
    let project = asker.scanned.workspace.project();
    let lenses = lenses::find(asker.pod, project, &mut file, &super::said(asker.own), &environment)?;
    let planned = Planned::new((&file, lenses), asker.scanned.clone(), &environment)?;
    let mut steps = Vec::with_capacity(questions.len());
    for (wish, question) in wishes.iter().zip(questions) {
        let after: Vec<usize> = planned.plan.steps_named(&wish.after).collect();
        if after.is_empty()
            || steps.iter().any(|step: &crate::majordomo::plan::PlannedStep| step.id == question.id())
        {
            let why = match after.is_empty() {
                true => "its plan has no such step",
                false => "it wants that twice",
            };
            return Err(Box::new(no_more(chef, &wish.after, why.to_owned())));
        }
        steps.push(question.step(&after));
    }
    Ok(planned.and(steps))
}

/// The plan, whose steps have these keys where it does not say them. What is wrong with it is found when it is read.
fn with_defaults(mut file: Map<String, Value>, defaults: &Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(steps)) = file.get_mut("step") {
        for step in steps.values_mut().filter_map(Value::as_object_mut) {
            for (key, value) in defaults {
                step.entry(key).or_insert_with(|| value.clone());
            }
        }
    }
    file
}

/// Adds what was planned when a step had come to its end. Nothing that was said before is said anew.
fn add(steps: &mut Steps, more: Steps, after: &str) -> Result<(), String> {
    for (table, keys) in more.file {
        let Value::Object(keys) = keys else { return Err(format!("`{table}` is no table")) };
        let known = steps.file.entry(&table).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(known) = known else { return Err(format!("`{table}` is no table")) };
        for (key, mut value) in keys {
            if known.contains_key(&key) {
                return Err(format!("`{table}.{key}` was planned before"));
            }
            if let (true, Value::Object(step)) = (table == "step", &mut value) {
                come_after(step, after);
            }
            known.insert(key, value);
        }
    }
    steps.replan.extend(more.replan);
    steps.notes.extend(more.notes);
    Ok(())
}

/// Makes a step one that comes after another. What is wrong with it is found when it is read.
fn come_after(step: &mut Map<String, Value>, other: &str) {
    let other = Value::String(other.to_owned());
    match step.get_mut("after") {
        None => drop(step.insert("after".to_owned(), Value::Array(vec![other]))),
        Some(Value::Array(all)) if !all.contains(&other) => all.push(other),
        Some(one @ Value::String(_)) if *one != other => *one = Value::Array(vec![one.take(), other]),
        Some(_) => {}
    }
}

/// What a chef says when it is asked once more is of no use.
fn no_more(chef: &str, after: &str, why: String) -> Failure {
    let message =
        format!("the chef `{chef}` wanted to be asked again after `{after}`, and has no more of a plan");
    let mut failure = border::mistake(message);
    failure.causes.push(why);
    failure.hint(written::WITHOUT)
}

fn endless(chef: &str) -> Failure {
    let failure =
        border::mistake(format!("the chef `{chef}` wants to be asked again after {MAX_STAGES} stages"));
    failure.hint("a plan has an end").hint(written::WITHOUT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(file: Value) -> Steps {
        Steps { file: file.as_object().unwrap().clone(), ..Steps::default() }
    }

    #[test]
    fn what_was_planned_from_a_step_comes_after_it() {
        let mut all = steps(json!({ "step": { "gen": { "run": "g" } } }));
        let more = steps(json!({
            "project": { "targets": "a" },
            "step": { "a": { "run": "a" }, "b": { "after": "a" }, "c": { "after": ["gen"] }, "d": { "after": ["a"] } },
        }));
        add(&mut all, more, "gen").unwrap();
        let expected = json!({
            "project": { "targets": "a" },
            "step": {
                "gen": { "run": "g" },
                "a": { "run": "a", "after": ["gen"] },
                "b": { "after": ["a", "gen"] },
                "c": { "after": ["gen"] },
                "d": { "after": ["a", "gen"] },
            },
        });
        assert_eq!(Value::Object(all.file.clone()), expected);
        let twice = add(&mut all, steps(json!({ "step": { "a": {} } })), "gen").unwrap_err();
        assert_eq!(twice, "`step.a` was planned before");
        assert!(add(&mut all, steps(json!({ "step": 1 })), "gen").is_err());
    }
}
