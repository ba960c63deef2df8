//! What a project uses of others: their outputs, as files in `.uses/NAME/` of its folder, brought up to date before it is built.
//!
//! There they are sources as any other: late, traced, and by their digests in the key of whoever reads them; a digest that stays as it is wakes nobody. The folder
//! belongs to the majordomo, and no step may write there. `.majordomo/uses.json` says what was put there for which use: what nobody uses any more goes, and where the pod that
//! has a project cannot be reached, what is there is used, and that is said.
//!
//! Errors are [`Failure`]s of whoever could not build; projects that use each other in a circle are the user's mistake. A crash leaves old files beside new ones, and the next build
//! puts them right.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::Digest;
use protocol::mesh::ProjectName;
use protocol::path::USES;
use serde::{Deserialize, Serialize};

use super::holder::Host;
use super::project_file::{PROJECT_FILE, ProjectFile, UseRule};
use super::request::{Failure, FailureKind, Reply, UsedBy, WatchNews};
use super::sink::{Cancel, Sink};
use super::workspace::Workspace;
use super::{border, service, tree_files};

/// The version of the record that this program writes.
const FORMAT: u32 = 1;
/// How often the project file is looked at for other uses, while a project is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long changes of other projects are gathered.
const SETTLE: Duration = Duration::from_millis(200);

type Fallible<T> = Result<T, Box<Failure>>;

/// What was put into `.uses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// By the name of the use.
    uses: BTreeMap<String, Used>,
}

/// One use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    project: ProjectName,
    targets: Vec<String>,
    tree: Digest,
}

fn failed(path: &Path, error: &io::Error) -> Box<Failure> {
    let mut failure = border::machine(format!("cannot write `{}`", path.display()));
    failure.causes.push(error.to_string());
    Box::new(failure)
}

impl Record {
    fn path(project: &Path) -> PathBuf {
        project.join(super::workspace::FOLDER).join("uses.json")
    }

    /// None: nothing was ever used, or nobody knows what.
    fn load(project: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(Self::path(project)).ok()?).ok()?;
        (record.format == FORMAT).then_some(record)
    }

    fn save(&self, workspace: &Workspace) -> Fallible<()> {
        let path = Self::path(workspace.project());
        let beside = workspace.tmp().join("uses.json");
        let write = || {
            fs::write(&beside, serde_json::to_vec_pretty(self)?)?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| failed(&path, &error))
    }
}

/// Whether a project uses others, or did: whether it is up to date is then no matter of its own files alone.
pub fn are_any(project: &Path) -> bool {
    Record::path(project).exists()
}

/// What a project uses. What is wrong with its file a build says.
pub fn of(project: &Path) -> Vec<UseRule> {
    ProjectFile::load(project).map(|file| file.uses).unwrap_or_default()
}

/// Brings what a project uses up to date; `used_by`: the projects for which it is built itself. False: it was cancelled.
///
/// # Errors
/// A project that is used cannot be built, or cannot be had and never was.
pub async fn bring(
    host: &Host,
    project: &Path,
    used_by: &[UsedBy],
    sink: &Sink,
    cancel: &Cancel,
) -> Fallible<bool> {
    let rules = of(project);
    let before = Record::load(project);
    if rules.is_empty() && before.is_none() {
        return Ok(true);
    }
    let workspace =
        Workspace::open_or_create(project).map_err(|error| Box::new(border::workspace(&error)))?;
    let mut chain = used_by.to_vec();
    chain.push(UsedBy { workspace: workspace.id(), name: workspace.name() });
    let before = before.map(|record| record.uses).unwrap_or_default();
    let mut record = Record { format: FORMAT, uses: BTreeMap::new() };
    for UseRule { name, project: used, targets } in rules {
        let was = before.get(name.as_str());
        let was = was.filter(|was| was.project == used && was.targets == targets).cloned();
        let built = match service::joined(host) {
            Ok(joined) => joined.use_project(host, (&used, &targets), &chain, sink, cancel).await,
            Err(failure) => Err(failure),
        };
        let is_away = |failure: &Failure| failure.kind == FailureKind::Machine || host.joined.get().is_none();
        let tree = match (built, was) {
            (Ok(Some(tree)), _) => tree,
            (Ok(None), _) => return Ok(false),
            (Err(failure), Some(was)) if is_away(&failure) => {
                sink.reply(Reply::Waiting(format!("`{used}` is used as it was last: {}", failure.message)));
                was.tree
            }
            (Err(failure), _) => return Err(failure),
        };
        let (larder, workspace) = (host.pod.larder().clone(), workspace.clone());
        let folder = name.as_str().to_owned();
        let writing = tokio::task::spawn_blocking(move || {
            let folder = workspace.project().join(USES).join(folder);
            tree_files::write(&larder, &tree, &folder, &workspace.tmp())?;
            tree_files::sweep(&larder, &tree, &folder)
        });
        let written = writing.await.map_err(|_| Box::new(border::machine("writing ended in the middle")))?;
        written.map_err(Box::new)?;
        record.uses.insert(name.as_str().to_owned(), Used { project: used, targets, tree });
    }
    forget(&workspace, &before, &record)?;
    Ok(true)
}

/// Removes what is used no more, and writes down what is.
fn forget(workspace: &Workspace, before: &BTreeMap<String, Used>, record: &Record) -> Fallible<()> {
    let folder = workspace.project().join(USES);
    for gone in before.keys().filter(|name| !record.uses.contains_key(*name)) {
        let path = folder.join(gone);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path, &error)),
            _ => {}
        }
    }
    if record.uses.is_empty() {
        // Something of the user's may be in it.
        fs::remove_dir(&folder).ok();
        let path = Record::path(workspace.project());
        return fs::remove_file(&path).map_err(|error| failed(&path, &error));
    }
    record.save(workspace)
}

/// Keeps what a project uses up to date while it is watched: whoever watches sees its files change. Goes on until it is dropped.
pub async fn keep(host: &Host, project: &Path, sink: &Sink, cancel: &Cancel) {
    let mut changes = host.joined.get().map(|joined| joined.changes());
    let file = project.join(PROJECT_FILE);
    let stamp = || fs::metadata(&file).and_then(|meta| meta.modified()).ok();
    let mut seen = stamp();
    let mut rules = of(project);
    loop {
        let changed = async {
            match &mut changes {
                Some(changes) => changes.next().await,
                None => std::future::pending().await,
            }
        };
        let is_meant = tokio::select! {
            changed = changed => {
                let joined = host.joined.get();
                joined.is_some_and(|joined| rules.iter().any(|rule| joined.is_about(&changed, &rule.project)))
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                let now = stamp();
                let is_other = std::mem::replace(&mut seen, now) != now;
                let known = is_other.then(|| std::mem::replace(&mut rules, of(project)));
                known.is_some_and(|known| known != rules)
            }
        };
        if !is_meant {
            continue;
        }
        tokio::time::sleep(SETTLE).await;
        if let Some(changes) = &mut changes {
            changes.settle();
        }
        if let Err(failure) = bring(host, project, &[], sink, cancel).await {
            sink.reply(Reply::Watch(WatchNews::Refused(*failure)));
        }
    }
}
