//! Transcripts: a project file and the names of the sources, and the plan or what is said about it.

mod bad;
mod laws;
mod plans;
mod targets;

use std::fmt::Write;
use std::path::Path;

use protocol::RelPath;
use protocol::path::escape;
use protocol::step::Promise;

use super::{Plan, PlanError};
use crate::majordomo::project_file::ProjectFile;

fn file(text: &str) -> ProjectFile {
    ProjectFile::parse(Path::new("demo/majordomo.toml"), text.as_bytes()).unwrap()
}

/// Names in their text form, between white space.
fn sources(names: &str) -> Vec<RelPath> {
    let mut names: Vec<RelPath> = names.split_whitespace().map(|name| name.parse().unwrap()).collect();
    names.sort();
    names
}

fn try_plan(text: &str, names: &str) -> Result<Plan, PlanError> {
    let caller = |name: &str| (name == "CC").then(|| b"tcc".to_vec());
    Plan::new(&file(text), &sources(names), &caller)
}

fn plan(text: &str, names: &str) -> Plan {
    try_plan(text, names).unwrap()
}

/// What is wrong, and the hints.
fn said(text: &str, names: &str) -> String {
    let error = try_plan(text, names).unwrap_err();
    assert!(std::error::Error::source(&error).is_none(), "the message says it all, once");
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    format!("{error}{hints}")
}

/// All that there is to say about the steps.
fn show(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let after: Vec<&str> = step.after.iter().map(|&before| plan.steps[before].id.as_str()).collect();
        writeln!(text, "{}{}{}", step.id, if after.is_empty() { "" } else { " ← " }, after.join(" "))
            .unwrap();
        for command in &step.spec.commands {
            let words: Vec<String> = command.iter().map(|word| escape(word)).collect();
            let (sign, words) = match words.as_slice() {
                [sh, eu, c, script] if sh == "/bin/sh" && eu == "-eu" && c == "-c" => ("$", script.clone()),
                words => (">", words.join(" · ")),
            };
            writeln!(text, "  {sign} {words}").unwrap();
        }
        let outs = step.spec.out.iter().map(|promise| match promise {
            Promise::File(path) => path.to_string(),
            Promise::Tree(path) => format!("{path}/"),
        });
        let env = step.spec.env.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value)));
        for (name, list) in [
            ("in ", step.inputs.iter().map(ToString::to_string).collect::<Vec<_>>()),
            ("out", outs.collect()),
            ("env", env.collect()),
        ] {
            if !list.is_empty() {
                writeln!(text, "  {name} {}", list.join(" ")).unwrap();
            }
        }
    }
    text
}
