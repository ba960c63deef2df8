//! The chefs that come with ComputePods, each a function from a project's folder to an answer.
//!
//! Actors: the majordomo runs them in the kitchen, through [`serve`], like any other chef; what they look at is seen there, so
//! they look at as little as they can. They write nothing, and keep nothing between calls. What they find in a project is
//! foreign: sizes, depth and numbers are bounded. A file that cannot be read is an error, for its content might matter.
//!
//! | chef | recognises | plans |
//! |---|---|---|
//! | [`make`] | a Makefile | its default goal, over the tree that it left |
//! | [`autotools`] | `configure` with `Makefile.in` | `configure`, then as `make` |
//! | [`latex`] | a file with `\documentclass` and `\begin{document}` | the engine, bibliography and index, round and round |

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use protocol::chef::{Answer, Ask, BadWords, Detected, Planned, Request, Say};
use serde_json::{Map, Value};

pub mod autotools;
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

/// All of them, by name.
pub const ALL: [Chef; 3] = [
    Chef { name: "autotools", detect: autotools::detect },
    Chef { name: "latex", detect: latex::detect },
    Chef { name: "make", detect: make::detect },
];

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
    #[error("this chef is asked `detect` and `plan` alone")]
    NotAsked,
    /// Something of the project cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
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
    let chef = ALL.iter().find(|chef| chef.name == name);
    let chef = chef.ok_or_else(|| ChefError::Unknown(name.to_owned()))?;
    let detected = (chef.detect)(folder)?;
    Ok(Answer::new(match request.ask {
        Ask::Detect {} => Say::Detect(detected),
        Ask::Plan {} => Say::Plan(detected.plan.unwrap_or_default()),
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

/// A plan of these steps.
fn plan(steps: impl IntoIterator<Item = (String, Value)>) -> Planned {
    let steps: Map<String, Value> = steps.into_iter().collect();
    let file = Map::from_iter([("step".to_owned(), Value::Object(steps))]);
    Planned { file, ..Planned::default() }
}
