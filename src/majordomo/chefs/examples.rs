//! A chef's own examples: what it is asked over which project, and what it has to answer.
//!
//! `examples/NAME/` has `request.json`, `answer.json` and, if a project is to be there, `project/`. The chef is asked in the kitchen, as
//! in a build; two answers are equal if the protocol cannot tell them apart. A plan has to be one that the project file's rules allow, too.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use node::Pod;
use protocol::WorkspaceId;
use protocol::chef::{Answer, MAX_ANSWER, Request, Say};

use super::asker::{Asker, Round};
use super::program::{Program, of_content, taken_in};
use super::question::{Question, chain};
use super::register::refused;
use super::{ByChefs, Fallible, written};
use crate::majordomo::border;
use crate::majordomo::build::{Asked, Stop};
use crate::majordomo::prepare::Scanned;
use crate::majordomo::request::{BuildOptions, ChefExample, ChefTestReport};
use crate::majordomo::sink::{Cancel, Sink};
use crate::majordomo::workspace::{Manifest, Moment, Workspace};

/// Where a chef's examples are.
const EXAMPLES: &str = "examples";
/// The most examples of a chef.
const MAX_EXAMPLES: usize = 256;

/// Asks a chef all its examples. `None`: it was cancelled.
///
/// # Errors
/// It is no chef, or has no examples that can be read.
pub(super) async fn test(
    pod: &Pod,
    from: &Path,
    environment: Vec<(String, String)>,
    hearing: (&Sink, &Cancel),
) -> Fallible<Option<ChefTestReport>> {
    let (theirs, place) = (pod.clone(), from.to_owned());
    let taking = tokio::task::spawn_blocking(move || {
        taken_in(theirs.larder(), &place).map_err(|error| refused(&place, &error))
    });
    let taken =
        taking.await.map_err(|_| Box::new(border::machine("taking the chef in ended in the middle")))?;
    let (about, tree, _) = taken?;
    let chef = of_content(&about, &tree, Vec::new());
    let empty = nothing(pod.home().path())?;
    let mut examples = Vec::new();
    // Those of a chef that is one program are beside it.
    let home = if from.is_dir() { from } else { from.parent().unwrap_or(from) };
    for folder in folders(&home.join(EXAMPLES))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let project = folder.join("project");
        let project = if project.is_dir() { project } else { empty.clone() };
        let why = match one(pod, &chef, &folder, &project, &environment, hearing).await? {
            Some(why) => why,
            None => return Ok(None),
        };
        examples.push(ChefExample { name, failure: why.err() });
    }
    Ok(Some(ChefTestReport { chef: about.name, version: about.version, examples }))
}

/// The folders of the examples, by name.
fn folders(from: &Path) -> Fallible<Vec<PathBuf>> {
    let none =
        |why: String| {
            let mut failure = border::mistake(format!("`{}` has no examples", from.display()));
            failure.causes.push(why);
            Box::new(failure.hint(
                "an example is a folder in it with `request.json`, `answer.json` and perhaps `project/`",
            ))
        };
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            folders.extend(path.is_dir().then_some(path));
        }
        folders.sort();
        Ok(folders)
    };
    let folders = read().map_err(|error| none(error.to_string()))?;
    match folders.len() {
        0 => Err(none("there is no folder in it".to_owned())),
        count if count > MAX_EXAMPLES => {
            Err(none(format!("there are more than {MAX_EXAMPLES} folders in it")))
        }
        _ => Ok(folders),
    }
}

/// Asks one example: what is wrong, if anything is. `None`: it was cancelled.
async fn one(
    pod: &Pod,
    chef: &Program,
    folder: &Path,
    project: &Path,
    environment: &[(String, String)],
    hearing: (&Sink, &Cancel),
) -> Fallible<Option<Result<(), String>>> {
    let read = |name: &str| {
        let path = folder.join(name);
        match fs::metadata(&path) {
            Ok(meta) if !meta.is_file() || meta.len() > MAX_ANSWER => {
                Err(format!("`{name}` is no file of at most {} MiB", MAX_ANSWER >> 20))
            }
            found => found
                .and_then(|_| fs::read(&path))
                .map_err(|error| format!("`{name}` cannot be read: {error}")),
        }
    };
    let asked = || -> Result<(Request, Answer), String> {
        let request = Request::read(&read("request.json")?)
            .map_err(|bad| format!("`request.json`: {}", chain(&bad)))?;
        let answer =
            Answer::read(&read("answer.json")?).map_err(|bad| format!("`answer.json`: {}", chain(&bad)))?;
        Ok((request, answer))
    };
    let (request, expected) = match asked() {
        Ok(both) => both,
        Err(why) => return Ok(Some(Err(why))),
    };
    // One id for each place, so that what is remembered of examples does not grow.
    let place =
        protocol::Digest::in_context("computepods chef example v1", folder.as_os_str().as_encoded_bytes());
    let id = place.as_bytes().iter().take(16).fold(0, |id: u128, byte| id << 8 | u128::from(*byte));
    let workspace = Workspace::imagine(project, WorkspaceId::from_random(id));
    let workspace = workspace.map_err(|error| Box::new(border::workspace(&error)))?;
    let scanned = Scanned::aside(workspace, Manifest::default(), Moment::now()).await?;
    let asked = Asked {
        project: project.to_owned(),
        targets: Vec::new(),
        options: BuildOptions::default(),
        environment: environment.to_vec(),
    };
    let asker = Asker { pod, scanned: &scanned, own: None, asked: &asked, hearing };
    let questions = [Question::new(chef, request.ask, "", 0)];
    let answers = match asker.ask(&questions, &mut ByChefs::default()).await {
        Ok(ControlFlow::Continue(Round::Said(answers))) => answers,
        Ok(_) => return Ok(None),
        Err(Stop::Fatal(failure)) => return Err(failure),
        Err(_) => return Ok(Some(Err("the example changed while it was asked".to_owned()))),
    };
    let said = match answers.into_iter().next() {
        Some(Ok((said, _))) => said,
        Some(Err(why)) => return Ok(Some(Err(why))),
        None => return Ok(None),
    };
    Ok(Some(compare(&chef.name, said, expected)))
}

/// What is wrong with an answer.
fn compare(chef: &str, said: Say, expected: Answer) -> Result<(), String> {
    let plan = match &said {
        Say::Plan(plan) => Some(plan),
        Say::Detect(detected) => detected.plan.as_ref(),
        _ => None,
    };
    // More may come in later stages.
    if let Some(plan) = plan.filter(|plan| plan.replan.is_empty()) {
        written::file(chef, plan, "example", None).map_err(|failure| failure.message.clone())?;
    }
    let said = Answer::new(said);
    match said == expected {
        true => Ok(()),
        false => Err(format!("it said\n{}and was to say\n{}", said.line(), expected.line())),
    }
}

/// A folder that stays empty, of which nobody is the workspace.
fn nothing(home: &Path) -> Fallible<PathBuf> {
    let path = home.join("workspaces").join("none");
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(error) => Err(Box::new(border::machine(format!("`{}` cannot be made: {error}", path.display())))),
    }
}
