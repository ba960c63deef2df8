//! `majordomo projects`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocol::mesh::ProjectName;

use crate::cli::answer::Said;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::place;
use crate::cli::table::table;
use crate::majordomo::request::{
    Failure, Named, OfProject, OwnOptions, ProjectReport, ProjectsReport, ProjectsRequest, Report, Request,
    TargetKind, TargetsReport,
};
use crate::words::{counted, line};

/// Register projects in the federation, so that they can be built by their names from every pod
///
/// A registered project is built by the pod that has its folder: `majordomo build NAME`. Other projects use what it makes: `uses` in their `majordomo.toml`.
#[derive(Debug, Args)]
pub struct ProjectsArgs {
    #[command(subcommand)]
    command: Command,
    /// Write the report as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a project of this machine; again, when its folder has moved
    Add {
        /// The project's folder
        #[arg(value_name = "DIR")]
        project: PathBuf,
        /// What it is called: letters, digits, `-`, `_` and `.` [default: the name of its folder]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Show all registered projects, and whether the pods are there that have them
    List,
    /// Give a name up; the project itself stays as it is
    Remove {
        /// The project's name
        name: ProjectName,
    },
    /// Show what can be built of a registered project
    Targets {
        /// The project's name
        name: ProjectName,
    },
}

impl ProjectsArgs {
    pub(super) fn run(self, context: &mut Context<'_>) -> Result<Exit, Failure> {
        let asked = match self.command {
            Command::Add { project, name } => {
                let project = place::buildable(&project, &context.around()?)?;
                ProjectsRequest::Add { project, name }
            }
            Command::List => ProjectsRequest::List,
            Command::Remove { name } => {
                let request = Request::Projects(ProjectsRequest::Remove { name });
                return context.ask(request, self.json, |report, _| match report {
                    Report::Projects(found) => Some(Said::Data(removed(found))),
                    _ => None,
                });
            }
            Command::Targets { name } => {
                let (what, own) = (OfProject::Targets, OwnOptions::default());
                let request = Request::Named(Box::new(Named { name, what, own, out: None }));
                return context.ask(request, self.json, |report, style| match report {
                    Report::Targets(found) => Some(Said::Data(targets(found, style.width))),
                    _ => None,
                });
            }
        };
        context.ask(Request::Projects(asked), self.json, |report, style| match report {
            Report::Projects(found) => Some(Said::Data(list(found, style.width))),
            _ => None,
        })
    }
}

fn removed(found: &ProjectsReport) -> String {
    found.projects.iter().map(|project| format!("`{}` is registered no more\n", project.name)).collect()
}

fn owner(project: &ProjectReport) -> String {
    match (project.is_mine, project.is_there, project.heard_seconds_ago) {
        (true, ..) => "this pod".to_owned(),
        (_, true, Some(seconds)) => format!("{}, heard {seconds} s ago", project.owner_name),
        (_, true, None) => format!("{}, not heard yet", project.owner_name),
        (_, false, Some(seconds)) => format!("{}, lost: heard {seconds} s ago", project.owner_name),
        (_, false, None) => format!("{}, lost", project.owner_name),
    }
}

fn list(found: &ProjectsReport, width: Option<usize>) -> String {
    let rows: Vec<[String; 3]> = found
        .projects
        .iter()
        .map(|project| [project.name.to_string(), owner(project), project.folder.clone()])
        .collect();
    let mut text = table(&rows, width);
    line(&mut text, counted(rows.len() as u64, "project"));
    text
}

fn targets(found: &TargetsReport, width: Option<usize>) -> String {
    let rows: Vec<[String; 2]> = found
        .targets
        .iter()
        .map(|target| {
            let what = match (target.kind, &target.step) {
                (TargetKind::Alias, _) => "an alias".to_owned(),
                (TargetKind::Output, Some(step)) => format!("made by `{step}`"),
                _ => "a step".to_owned(),
            };
            [target.target.clone(), what]
        })
        .collect();
    let mut text = table(&rows, width);
    let default = match found.default.is_empty() {
        true => "everything".to_owned(),
        false => found.default.join(" "),
    };
    line(&mut text, format_args!("a bare build wants: {default}"));
    text
}
