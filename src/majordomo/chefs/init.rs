//! `init`: the plan of the surest chef, written down as the project file that a person goes on with.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use node::Pod;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{ByChefs, Fallible, Recipe, ask, recipe};
use crate::majordomo::border;
use crate::majordomo::build::{self, Asked, Stop};
use crate::majordomo::prepare::{self, Scanned};
use crate::majordomo::project_file::{PROJECT_FILE, ProjectFile};
use crate::majordomo::request::{BuildOptions, Failure, InitReport};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::workspace::Workspace;

/// Asks the chefs of a project that has no project file, and writes one. `None`: it was cancelled.
///
/// # Errors
/// There is one; nobody knows the project; or it changes while it is looked at.
pub async fn init(
    pod: &Pod,
    project: &Path,
    environment: Vec<(String, String)>,
    (sink, cancel): (&Sink, &Cancel),
) -> Fallible<Option<InitReport>> {
    prepare::outside(pod.home().path(), project)?;
    if matches!(recipe(project), Err(_) | Ok(Recipe::Steps(_) | Recipe::Chefs(Some(_)))) {
        return Err(Box::new(is_there(project)));
    }
    let failed = |error| Box::new(border::workspace(&error));
    let workspace = Workspace::open_or_create(project).map_err(failed)?;
    let Some(lock) = build::lock(&workspace, sink, cancel).await? else { return Ok(None) };
    let moment = lock.moment().map_err(|error| {
        Box::new(border::machine(format!("the clock of the project's disk cannot be read: {error}")))
    })?;
    let manifest = build::manifest(pod, &workspace, sink)?;
    let scanned = Scanned::aside(workspace.clone(), manifest, moment).await?;
    let asked = Asked {
        project: project.to_owned(),
        targets: Vec::new(),
        // Chefs look, and no step of the project runs for it.
        options: BuildOptions { dry_run: true, ..BuildOptions::default() },
        environment,
    };
    let (plan, by_chefs) = match ask(pod, &scanned, None, &asked, (sink, cancel)).await {
        Ok(ControlFlow::Continue(said)) => said,
        Ok(ControlFlow::Break(_)) => return Ok(None),
        Err(Stop::Fatal(failure)) => return Err(failure),
        Err(_) => {
            let failure = border::mistake("the project changed while the chefs looked at it");
            return Err(Box::new(failure.hint("try again when nothing writes to it any more")));
        }
    };
    let text = text(&by_chefs, &plan);
    let file = project.join(PROJECT_FILE);
    write(&workspace, &file, &text)?;
    Ok(Some(InitReport { file, chef: by_chefs.chef, found: by_chefs.found }))
}

/// The file: what was found, as comments, and the plan; or who makes it, if it is not to be written down.
fn text(ByChefs { chef, found, first_stage, .. }: &ByChefs, plan: &ProjectFile) -> String {
    let found = if found.is_empty() { "this project" } else { found };
    match first_stage {
        Some(first) => {
            let first: String =
                first.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
            format!(
                "# The chef `{chef}` found {found}. Its plan follows from what its first steps make.\n\
                 \n[project]\nchef = \"{chef}\"\n\n\
                 # Its first steps. One that stands here takes the place of the chef's: uncomment it, and edit it as you like.\n\n{first}"
            )
        }
        None => format!(
            "# What the chef `{chef}` plans, which found {found}.\n\
             # This file counts from now on, and no chef is asked: edit it as you like.\n\n{}",
            plan.text.as_str()
        ),
    }
}

/// Writes the whole file or none, and never over another one.
fn write(workspace: &Workspace, file: &Path, text: &str) -> Fallible<()> {
    let beside = workspace.tmp().join(PROJECT_FILE);
    let failed = |error: std::io::Error| {
        let mut failure = border::machine(format!("`{}` cannot be written", file.display()));
        failure.causes.push(error.to_string());
        Box::new(failure)
    };
    fs::write(&beside, text).map_err(failed)?;
    match renameat_with(CWD, &beside, CWD, file, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => Err(Box::new(is_there(file.parent().unwrap_or(file)))),
        renamed => renamed.map_err(|errno| failed(errno.into())),
    }
}

fn is_there(project: &Path) -> Failure {
    let failure = border::mistake(format!("`{}` has a `{PROJECT_FILE}`", project.display()));
    failure.hint("it is not overwritten: move it away, and try again")
}
