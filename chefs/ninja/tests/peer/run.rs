//! Runs the steps of a plan one by one, in a folder as it is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use chef_ninja::{BuildPath, Layout, Manifest, Plan, Target};

use crate::tool::must;

/// The plan of a build in a folder below the project.
pub fn plan(manifest: &Manifest, project: &Path, build: &str) -> Plan {
    let project = BuildPath::new(project.as_os_str().as_bytes()).unwrap();
    Plan::new(manifest, &Layout { build: build.parse().unwrap(), project }).unwrap()
}

/// Runs a target's steps and all that come before them; gives the ids in the order in which they ran.
pub fn run(plan: &Plan, target: &Target, project: &Path) -> Vec<String> {
    let mut ran = vec![false; plan.steps.len()];
    let mut ids = Vec::new();
    let mut pending: Vec<usize> = target.steps.iter().chain(&*target.validations).copied().collect();
    while let Some(&index) = pending.last() {
        let step = &plan.steps[index];
        let before = step.needs.iter().chain(&*step.order_only).copied().filter(|&step| !ran[step]);
        let before: Vec<usize> = before.collect();
        if ran[index] || !before.is_empty() {
            if ran[index] {
                pending.pop();
            }
            pending.extend(before);
            continue;
        }
        for output in &step.out {
            std::fs::create_dir_all(output.under(project).parent().unwrap()).unwrap();
        }
        for command in &step.commands {
            let words: Vec<&OsStr> = command.iter().map(|word| OsStr::from_bytes(word)).collect();
            must(Command::new(words[0]).args(&words[1..]).current_dir(step.cwd.under(project)));
        }
        for output in &step.out {
            assert!(output.under(project).exists(), "{} did not make {output}", step.id);
        }
        ran[index] = true;
        ids.push(step.id.to_string());
        pending.pop();
        pending.extend_from_slice(&step.validations);
    }
    ids
}
