//! The chefs that come with ComputePods, each a function from a project's folder to an answer.
//!
//! Actors: the majordomo runs them in the kitchen, through [`serve`], like any other chef; what they look at is seen there, so
//! they look at as little as they can. They write nothing, and keep nothing between calls. What they find in a project is
//! foreign: sizes, depth and numbers are bounded. A file that cannot be read is an error, for its content might matter.
//!
//! | chef | recognises | plans |
//! |---|---|---|
//! | [`make`] | a Makefile | its default goal, over the tree that it left, and more goals for whoever asks for them |
//! | [`autotools`] | `configure` with `Makefile.in` | `configure`, then as `make` |
//! | [`cargo`] | a `Cargo.toml` | its programs, over the `target` that it left |
//! | [`latex`] | a file with `\documentclass` and `\begin{document}` | the engine, bibliography, indices and glossaries, round and round |
//! | [`SHELL`] | nothing | nothing: the steps are in `majordomo.toml` |
//!
//! All of them explain what a step printed before it failed, in the words of [`explain`].

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use protocol::chef::{Answer, Ask, BadWords, Detected, Planned, Request, Say};
use serde_json::{Map, Value};

pub mod autotools;
pub mod cargo;
pub mod explain;
pub mod latex;
pub mod make;

/// The longest request that is read, in bytes.
const MAX_REQUEST: u64 = 1 << 20;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Chef {
    /// Its name.
    pub name: &'static str,
    /// Whether a project is its own, and its plan.
    pub detect: fn(&Path) -> Result<Detected, ChefError>,
}

/// All that recognise something, by name.
pub const ALL: [Chef; 4] = [
    Chef { name: "autotools", detect: autotools::detect },
    Chef { name: "cargo", detect: cargo::detect },
    Chef { name: "latex", detect: latex::detect },
    Chef { name: "make", detect: make::detect },
];

/// The chef of steps that a project file says itself. It is never asked for a plan, only to explain.
pub const SHELL: Chef = Chef { name: "shell", detect: |_| Ok(Detected::default()) };

/// Why a chef has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ChefError {
    /// There is none of this name.
    #[error("there is no built-in chef `{0}`")]
    Unknown(String),
    /// The request is none.
    #[error("the request cannot be read")]
    Request(#[source] BadWords),
    /// None of them knows that.
    #[error("this chef is asked `detect`, `plan` and `explain` alone")]
    NotAsked,
    /// Something of the project cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What says how the project is built says nothing.
    #[error("`{}` cannot be understood: {why}", .path.display())]
    NotUnderstood {
        /// What.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// stdin or stdout are of no use.
    #[error("cannot talk to the majordomo")]
    Talk(#[source] io::Error),
}

impl ChefError {
    fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Unreadable { path: path.to_owned(), source }
    }
}

/// Answers a request over a project's folder.
///
/// # Errors
/// There is no such chef, it is not asked that, or something that it has to know cannot be read.
pub fn answer(name: &str, request: &Request, folder: &Path) -> Result<Answer, ChefError> {
    let chef = ALL.iter().chain([&SHELL]).find(|chef| chef.name == name);
    let chef = chef.ok_or_else(|| ChefError::Unknown(name.to_owned()))?;
    Ok(Answer::new(match &request.ask {
        Ask::Detect {} => Say::Detect((chef.detect)(folder)?),
        Ask::Plan {} => Say::Plan((chef.detect)(folder)?.plan.unwrap_or_default()),
        Ask::Explain { cwd, output, .. } => {
            let source = |path: &str| read(&folder.join(path), explain::MAX_SOURCE).ok();
            Say::Explain { reasons: explain::reasons(cwd, output, &source) }
        }
        _ => return Err(ChefError::NotAsked),
    }))
}

/// Answers the request on stdin over the current folder, on stdout.
///
/// # Errors
/// As [`answer`]; or nobody can be talked to.
pub fn serve(name: &str) -> Result<(), ChefError> {
    let mut request = Vec::new();
    io::stdin().take(MAX_REQUEST).read_to_end(&mut request).map_err(ChefError::Talk)?;
    let request = Request::read(&request).map_err(ChefError::Request)?;
    let line = answer(name, &request, Path::new("."))?.line();
    io::stdout().write_all(line.as_bytes()).map_err(ChefError::Talk)
}

/// Whether a file, or a link to one, stands at a path. What a folder hides is not there.
fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// The beginning of a file.
fn read(path: &Path, most: u64) -> Result<String, ChefError> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(ChefError::unreadable(path))?;
    file.take(most).read_to_end(&mut bytes).map_err(ChefError::unreadable(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A plan of these steps, and what a bare build wants of it; nothing: all.
fn plan(steps: impl IntoIterator<Item = (String, Value)>, targets: &[&str]) -> Planned {
    let steps: Map<String, Value> = steps.into_iter().collect();
    let mut file = Map::from_iter([("step".to_owned(), Value::Object(steps))]);
    if !targets.is_empty() {
        file.insert("project".to_owned(), serde_json::json!({ "targets": targets }));
    }
    Planned { file, ..Planned::default() }
}
