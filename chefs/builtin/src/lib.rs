//! The chefs that come with ComputePods, each a function from a project's folder to an answer.
//!
//! Actors: the majordomo runs them in the kitchen, through [`serve`], like any other chef; what they look at is seen there, so
//! they look at as little as they can. They write nothing, and keep nothing between calls. What they find in a project is
//! foreign: sizes, depth and numbers are bounded. A file that cannot be read is an error, for its content might matter.
//!
//! | chef | recognises | plans |
//! |---|---|---|
//! | [`make`] | a Makefile | its default goal, over the tree that it left, and more goals for whoever asks for them |
//! | [`cmake`] | `CMakeLists.txt` | configuring, then each edge of the `build.ninja` that it writes |
//! | [`meson`] | `meson.build` | as `cmake` |
//! | [`ninja`] | `build.ninja` | what writes that file again, then each of its edges |
//! | [`autotools`] | `configure` with `Makefile.in` | `configure`, then as `make` |
//! | [`cargo`] | a `Cargo.toml` | its programs, over the `target` that it left |
//! | [`latex`] | a file with `\documentclass` and `\begin{document}` | the engine, bibliography, indices and glossaries, round and round |
//! | [`SHELL`] | nothing | nothing: the steps are in `majordomo.toml` |
//!
//! All of them explain what a step printed before it failed, in the words of [`explain`].

use std::fs::{self, DirEntry};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use protocol::chef::{Answer, Ask, BadWords, Detected, Planned, Replan, Request, Say};
use serde_json::{Map, Value, json};

pub mod autotools;
pub mod build_folder;
pub mod cargo;
pub mod cmake;
pub mod explain;
pub mod latex;
pub mod make;
pub mod meson;
pub mod ninja;
mod sizes;

/// The longest request that is read, in bytes.
const MAX_REQUEST: u64 = 1 << 20;

/// Steps of a project.
type Plan = fn(&Path) -> Result<Planned, ChefError>;

/// More of them, from what the chef had asked itself to be asked.
type Replans = fn(&Path, &Value) -> Result<Planned, ChefError>;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Chef {
    /// Its name.
    pub name: &'static str,
    /// Whether a project is its own, and its plan, unless `plan` says it.
    pub detect: fn(&Path) -> Result<Detected, ChefError>,
    /// Its plan, if it takes more than a look.
    pub plan: Option<Plan>,
    /// More steps, from what a step has made.
    pub replan: Option<Replans>,
}

impl Chef {
    const fn new(name: &'static str, detect: fn(&Path) -> Result<Detected, ChefError>) -> Self {
        Self { name, detect, plan: None, replan: None }
    }

    const fn replanning(self, replan: Replans) -> Self {
        Self { replan: Some(replan), ..self }
    }
}

/// All that recognise something, by name.
pub const ALL: [Chef; 7] = [
    Chef::new("autotools", autotools::detect),
    Chef::new("cargo", cargo::detect),
    Chef::new("cmake", cmake::detect).replanning(cmake::replan),
    Chef::new("latex", latex::detect),
    Chef::new("make", make::detect),
    Chef::new("meson", meson::detect).replanning(meson::replan),
    Chef { plan: Some(ninja::plan), ..Chef::new("ninja", ninja::detect).replanning(ninja::replan) },
];

/// The chef of steps that a project file says itself. It is never asked for a plan, only to explain.
pub const SHELL: Chef = Chef::new("shell", |_| Ok(Detected::default()));

/// The step that configures.
const CONFIGURE: &str = "configure";

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
    #[error("the chef `{0}` is not asked that")]
    NotAsked(&'static str),
    /// What it is to be asked again is not what it had asked for.
    #[error("the request is not what the chef wished to be asked again")]
    Again,
    /// There is no name for a folder.
    #[error("the project uses all of `{names}` itself: none is left for outputs")]
    NoFolder {
        /// The names.
        names: String,
    },
    /// A ninja file is none.
    #[error(transparent)]
    Ninja(#[from] chef_ninja::Error),
    /// Its edges are no steps.
    #[error(transparent)]
    Edges(#[from] chef_ninja::PlanError),
    /// Neither a file nor made by an edge.
    #[error("{place}: `{path}` is needed here, is not there, and no edge makes it")]
    NoSource {
        /// The edge that needs it.
        place: chef_ninja::Place,
        /// What.
        path: chef_ninja::BuildPath,
    },
    /// A command that no project file can say.
    #[error("{place}: the command has bytes that are no UTF-8 text")]
    NoText {
        /// Its edge.
        place: chef_ninja::Place,
    },
    /// What was made outside of any kitchen is there, and would be taken for a source.
    #[error(
        "`{}` was made by an earlier make and would be taken for a source, which no edit makes anew: `make clean` first",
        .path.display()
    )]
    Left {
        /// Which.
        path: PathBuf,
    },
    /// The same of a configured project.
    #[error(
        "`config.status` was left by an earlier `configure`, whose results would be taken for sources: `make distclean` first"
    )]
    Configured,
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
    Ok(Answer::new(match (&request.ask, chef.plan, chef.replan) {
        (Ask::Detect {}, ..) => Say::Detect((chef.detect)(folder)?),
        (Ask::Plan {}, Some(plan), _) => Say::Plan(plan(folder)?),
        (Ask::Plan {}, None, _) => Say::Plan((chef.detect)(folder)?.plan.unwrap_or_default()),
        (Ask::Replan { ask, .. }, _, Some(replan)) => Say::Plan(replan(folder, ask)?),
        (Ask::Explain { cwd, output, .. }, ..) => {
            let source = |path: &str| read(&folder.join(path), explain::MAX_SOURCE).ok();
            Say::Explain { reasons: explain::reasons(cwd, output, &source) }
        }
        _ => return Err(ChefError::NotAsked(chef.name)),
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

/// What is in a folder; nothing, if it may not be looked into: nor could whoever builds the project.
fn entries(folder: &Path) -> Result<Vec<DirEntry>, ChefError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Vec::new()),
        entries => entries.map_err(ChefError::unreadable(folder)),
    }
}

/// The beginning of a file.
fn read(path: &Path, most: u64) -> Result<String, ChefError> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(ChefError::unreadable(path))?;
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

/// A plan that begins with configuring, by this shell command, into a folder; and goes on from what that wrote there. What
/// the command says of success is not shown again with each build. `sizes`: whether it asks how big files are.
fn configure(command: &str, build: &str, sizes: bool) -> Planned {
    let run = format!("said=$({command}) || {{ printf '%s\\n' \"$said\"; exit 1; }}");
    let mut step = json!({ "run": run, "out": format!("{build}/"), "alters": true, "verbatim": true });
    if !sizes {
        step["sizes"] = json!(false);
    }
    let again = Replan { after: CONFIGURE.to_owned(), ask: json!({ "folder": build }) };
    Planned { replan: vec![again], ..plan([(CONFIGURE.to_owned(), step)], &[]) }
}
