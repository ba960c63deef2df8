//! What can be built of a project, and what of that was handed over.

use std::collections::BTreeSet;
use std::path::Path;

use node::Pod;
use protocol::{StepId, Tree, TreeEntry};

use super::{Fallible, Variables, prepared};
use crate::majordomo::border;
use crate::majordomo::build::is_wanted;
use crate::majordomo::request::{TargetKind, TargetReport, TargetsReport};
use crate::majordomo::workspace::Made;

/// What can be named as a target.
///
/// # Errors
/// The project cannot be looked at, or has no plan.
pub async fn targets(pod: &Pod, project: &Path, environment: &Variables) -> Fallible<TargetsReport> {
    let plan = prepared(pod, project, environment).await?.plan;
    let target = |target: String, kind, step| TargetReport { target, kind, step };
    let mut targets: Vec<TargetReport> =
        plan.alias_names().map(|alias| target(alias.to_owned(), TargetKind::Alias, None)).collect();
    targets.sort_by(|a, b| a.target.cmp(&b.target));
    for step in &plan.steps {
        targets.push(target(step.id.to_string(), TargetKind::Step, None));
        let outputs = step.spec.out.iter().map(|output| output.path().to_string());
        targets.extend(outputs.map(|output| target(output, TargetKind::Output, Some(step.id.clone()))));
    }
    Ok(TargetsReport { project: plan.name.clone(), default: plan.default_targets.clone(), targets })
}

/// What was handed over of what these targets mean: after a good build, all of it. Steps with secrets, if there are such, are named beside: what they
/// made is not in it, unless it stays on this machine.
///
/// # Errors
/// The project cannot be looked at, or a target means nothing.
pub async fn handed_over(
    pod: &Pod,
    project: &Path,
    environment: &Variables,
    (targets, stays): (&[String], bool),
) -> Fallible<(Tree, Vec<StepId>)> {
    let prepared = prepared(pod, project, environment).await?;
    let plan = &prepared.plan;
    let wanted = plan.wanted(targets).map_err(|error| Box::new(border::target(&error)))?;
    let (mut entries, mut kept_back) = (Vec::new(), BTreeSet::new());
    for (path, output) in prepared.manifest.entries() {
        let step = plan.step(&output.step);
        let is_one = step
            .is_some_and(|step| wanted.targets.iter().any(|target| is_wanted(&target.meaning, path, step)));
        let entry = match &output.made {
            Made::File { digest, size, exec } => {
                TreeEntry::File { digest: *digest, size: *size, exec: *exec }
            }
            Made::Link(target) => TreeEntry::Link { target: target.to_vec() },
            // It was missing above an output, and is there again with that; or it is empty.
            Made::Folder => continue,
        };
        let is_secret = step.is_some_and(|step| !stays && !plan.steps[step].secrets.is_empty());
        match (is_one, is_secret) {
            (true, false) => entries.push((path.clone(), entry)),
            (true, true) => drop(kept_back.insert(output.step.clone())),
            (false, _) => {}
        }
    }
    let tree = Tree::new(entries);
    let tree =
        tree.map_err(|error| Box::new(border::machine(format!("the outputs are no tree: {error}"))))?;
    Ok((tree, kept_back.into_iter().collect()))
}
