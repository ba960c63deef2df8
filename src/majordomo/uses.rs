//! What a project uses of others: their outputs, as files in `.uses/NAME/` of its folder, brought up to date before it is built.
//!
//! There they are sources as any other: late, traced, and by their digests in the key of whoever reads them; a digest that stays as it is wakes
//! nobody. Each folder is handed over to as a project is ([`tree_files`]), under the lock of the project: what was edited there is never overwritten
//! without a word, and no step may write there. `.majordomo/uses.json` says what was put there for which use, and is written first: what nobody uses
//! any more goes, also after a crash. A project that came from elsewhere may have brought a record: its names are names, and no link is followed.
//!
//! Errors are [`Failure`]s of whoever could not build; projects that use each other in a circle are the user's mistake. Where the pod that has a
//! project is away, what is there is used, and that is said; every other failure is one of the build.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::Larder;
use parking_lot::Mutex;
use protocol::mesh::ProjectName;
use protocol::path::USES;
use protocol::{BuildId, Digest, RelPath, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::holder::Host;
use super::membership::{UseOrder, Used as Came};
use super::project_file::{PROJECT_FILE, ProjectFile, UseRule};
use super::request::{Failure, Reply, UsedBy, WatchNews};
use super::sink::{Cancel, Sink};
use super::tree_files::{self, Brought};
use super::workspace::{self, Lock, Workspace, WorkspaceError, beneath};
use super::{border, build, service};

/// The version of the record that this program writes.
const FORMAT: u32 = 1;
/// The record, in `.majordomo`.
const RECORD: &str = "uses.json";
/// The longest record that is read.
const MAX_RECORD: u64 = 1 << 20;
/// How often the project file is looked at for other uses, while a project is watched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long changes of other projects are gathered.
const SETTLE: Duration = Duration::from_millis(200);
/// Projects of which it is remembered for which build their uses were brought.
const MAX_REMEMBERED: usize = 256;

type Fallible<T> = Result<T, Box<Failure>>;

/// What was put into `.uses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    format: u32,
    /// By the name of the use.
    uses: BTreeMap<ProjectName, Used>,
}

/// One use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    project: ProjectName,
    targets: Vec<String>,
    /// None: it was being brought.
    tree: Option<Digest>,
}

/// A build that wants what its project uses.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// The project.
    pub project: &'a Path,
    /// The build of the user's from which all this comes; none: it is this one.
    pub build: Option<BuildId>,
    /// The projects for which it is built itself.
    pub used_by: &'a [UsedBy],
    /// Nothing is built, here or elsewhere: it is only said what would be.
    pub dry_run: bool,
    /// What was edited in `.uses` is moved aside.
    pub take_back: bool,
    /// What was made last is taken as it is, where a use is no new one.
    pub as_it_is: bool,
}

impl<'a> Wanted<'a> {
    /// By a build of a project, for itself.
    pub fn of(project: &'a Path) -> Self {
        Self { project, build: None, used_by: &[], dry_run: false, take_back: false, as_it_is: false }
    }
}

impl Record {
    fn path(project: &Path) -> PathBuf {
        project.join(workspace::FOLDER).join(RECORD)
    }

    fn empty() -> Self {
        Self { format: FORMAT, uses: BTreeMap::new() }
    }

    /// None: nothing was ever used, or nobody knows what.
    fn load(workspace: &Workspace) -> Option<Self> {
        let path: RelPath = format!("{}/{RECORD}", workspace::FOLDER).parse().ok()?;
        let file = beneath::open_file(workspace.root(), &path).ok()?;
        let mut text = Vec::new();
        file.take(MAX_RECORD).read_to_end(&mut text).ok()?;
        let record: Self = serde_json::from_slice(&text).ok()?;
        (record.format == FORMAT).then_some(record)
    }

    fn save(&self, workspace: &Workspace, lock: &Lock) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::new(super::request::FailureKind::Machine, &error))?;
        workspace.write(RECORD, &text, lock).map_err(|error| border::workspace(&error))
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

/// For which builds a project's uses were brought already: whoever is used twice for one build uses others once.
static REMEMBERED: Mutex<VecDeque<(BuildId, WorkspaceId)>> = Mutex::new(VecDeque::new());

fn remember(build: BuildId, workspace: WorkspaceId) {
    let mut remembered = REMEMBERED.lock();
    if remembered.len() >= MAX_REMEMBERED {
        remembered.pop_front();
    }
    remembered.push_back((build, workspace));
}

/// Brings what a project uses up to date. False: it was cancelled.
///
/// # Errors
/// A project that is used cannot be built, or cannot be had and never was; or something of the user's is in the way.
pub async fn bring(host: &Host, wanted: &Wanted<'_>, sink: &Sink, cancel: &Cancel) -> Fallible<bool> {
    let project = wanted.project;
    let rules = of(project);
    if rules.is_empty() && !are_any(project) {
        return Ok(true);
    }
    if wanted.dry_run {
        for UseRule { name, project, .. } in rules {
            let text = format!(
                "`{project}` is looked at as it stands in `{USES}/{name}`: a dry run has nothing built elsewhere"
            );
            sink.note_in_build(false, text);
        }
        return Ok(true);
    }
    let workspace =
        Workspace::open_or_create(project).map_err(|error| Box::new(border::workspace(&error)))?;
    let is_known = |build| REMEMBERED.lock().contains(&(build, workspace.id()));
    let build = match wanted.build {
        Some(build) if is_known(build) => return Ok(true),
        Some(build) => build,
        None => {
            build::new_id().map_err(|_| Box::new(border::machine("the system gives no random numbers")))?
        }
    };
    let Some(before) = Record::load(&workspace).or((!rules.is_empty()).then(Record::empty)) else {
        return Ok(true);
    };
    let mut used_by = wanted.used_by.to_vec();
    used_by.push(UsedBy { workspace: workspace.id(), name: workspace.name() });
    let mut all = BTreeMap::new();
    for UseRule { name, project: used, targets } in rules {
        let was = before.uses.get(&name).filter(|was| was.project == used && was.targets == targets);
        let was = was.and_then(|was| was.tree);
        let as_it_is = wanted.as_it_is && was.is_some();
        let order = UseOrder { project: &used, targets: &targets, used_by: &used_by, build, as_it_is };
        let came = match service::membership(host) {
            Ok(membership) => membership.use_project(host, &order, sink, cancel).await?,
            Err(failure) => Came::Away(failure),
        };
        let (tree, owner) = match (came, was) {
            (Came::Tree { tree, owner }, _) => (tree, owner),
            (Came::Cancelled, _) => return Ok(false),
            (Came::Away(failure), Some(was)) => {
                sink.note_in_build(true, format!("`{used}` is used as it was last: {}", failure.message));
                (was, "?".to_owned())
            }
            (Came::Away(failure), None) => return Err(failure),
        };
        all.insert(name, (targets, Brought { project: used, owner, tree, take_back: wanted.take_back }));
    }
    // Not while another build reads them.
    let Some(lock) = build::lock(&workspace, sink, cancel).await? else { return Ok(false) };
    let (larder, id) = (host.pod.larder().clone(), workspace.id());
    let writing = tokio::task::spawn_blocking(move || put(&larder, (&workspace, &lock), before, all));
    let written = writing.await.map_err(|_| Box::new(border::machine("writing ended in the middle")))?;
    written.map_err(Box::new)?;
    remember(build, id);
    Ok(true)
}

/// Makes `.uses` hold this, and nothing that was used before. Blocks.
fn put(
    larder: &Larder,
    (workspace, lock): (&Workspace, &Lock),
    before: Record,
    all: BTreeMap<ProjectName, (Vec<String>, Brought)>,
) -> Result<(), Failure> {
    let used = |(name, (targets, brought)): (&ProjectName, &(Vec<String>, Brought))| {
        let (project, targets, tree) = (brought.project.clone(), targets.clone(), Some(brought.tree));
        (name.clone(), Used { project, targets, tree })
    };
    let after = Record { format: FORMAT, uses: all.iter().map(used).collect() };
    let folder = workspace.project().join(USES);
    if after != before {
        // A crash leaves nothing of which nobody knows.
        let mut under_way = before.clone();
        for (name, used) in after.uses.iter().filter(|(name, used)| before.uses.get(*name) != Some(*used)) {
            under_way.uses.insert(name.clone(), Used { tree: None, ..used.clone() });
        }
        under_way.save(workspace, lock)?;
    }
    if !all.is_empty() {
        real_folder(&folder, true)?;
    }
    for (name, (_, brought)) in &all {
        let folder = folder.join(name.as_str());
        real_folder(&folder, true)?;
        let site = tree_files::site(&folder)?;
        let its_lock = locked(&site)?;
        tree_files::hand_over(larder, brought, (&site, &its_lock))?;
    }
    for gone in before.uses.keys().filter(|name| !after.uses.contains_key(*name)) {
        let path = folder.join(gone.as_str());
        // Where it is no folder of ours any more, it is the user's.
        if real_folder(&folder, false).is_ok_and(|is_there| is_there)
            && real_folder(&path, false).is_ok_and(|is_there| is_there)
            && let Some(site) = Workspace::open(&path).map_err(|error| border::workspace(&error))?
        {
            let its_lock = locked(&site)?;
            tree_files::take_away(&site, &its_lock)?;
        }
    }
    if after.uses.is_empty() {
        // Something of the user's may be in it.
        fs::remove_dir(&folder).ok();
        let path = Record::path(workspace.project());
        return fs::remove_file(&path)
            .map_err(|error| border::workspace(&WorkspaceError::io("removed", &path, error)));
    }
    if after != before { after.save(workspace, lock) } else { Ok(()) }
}

fn locked(site: &Workspace) -> Result<Lock, Failure> {
    let lock = site.try_lock().map_err(|error| border::workspace(&error))?;
    lock.map_err(|_| {
        border::mistake(format!("`{}` is being built as a project of its own", site.project().display()))
            .hint("it is the majordomo's: build elsewhere")
    })
}

/// Whether a folder is there, which is made if it is to be. One that is a link leads anywhere, and is none.
fn real_folder(path: &Path, is_to_be: bool) -> Result<bool, Failure> {
    let failed = |error| border::workspace(&WorkspaceError::io("written", path, error));
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(true),
        Ok(_) => Err(border::mistake(format!(
            "`{}` is a link or a file: what the project uses cannot be put there",
            path.display()
        ))
        .hint("remove it, or move it away: `.uses` is the majordomo's")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_to_be => {
            fs::create_dir(path).map(|()| true).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

/// Keeps what a project uses up to date while it is watched: whoever watches sees its files change. Goes on until it is dropped.
pub async fn keep(host: &Host, project: &Path, sink: &Sink, cancel: &Cancel) {
    let mut changes = host.membership.get().map(|membership| membership.changes());
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
        // What another one has made is taken as it is: to have it made for us would be a change again.
        let (is_meant, as_it_is) = tokio::select! {
            changed = changed => {
                let membership = host.membership.get();
                let is_about = |rule: &UseRule| {
                    membership.is_some_and(|membership| membership.is_about(&changed, &rule.project))
                };
                (rules.iter().any(is_about), true)
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                let now = stamp();
                let is_other = std::mem::replace(&mut seen, now) != now;
                let known = is_other.then(|| std::mem::replace(&mut rules, of(project)));
                (known.is_some_and(|known| known != rules), false)
            }
        };
        if !is_meant {
            continue;
        }
        tokio::time::sleep(SETTLE).await;
        if let Some(changes) = &mut changes {
            changes.settle();
        }
        if let Err(failure) = bring(host, &Wanted { as_it_is, ..Wanted::of(project) }, sink, cancel).await {
            sink.reply(Reply::Watch(WatchNews::Refused(*failure)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use larder::ObjectKind;
    use protocol::{Tree, TreeEntry};
    use tempfile::TempDir;

    use super::*;
    use crate::majordomo::request::FailureKind;

    struct Bench {
        dir: TempDir,
        larder: Larder,
        workspace: Workspace,
        lock: Lock,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let larder = Larder::open(&dir.path().join("larder"), larder::Options::default()).unwrap();
            fs::create_dir_all(dir.path().join("project")).unwrap();
            fs::create_dir_all(dir.path().join("victim/keep")).unwrap();
            fs::write(dir.path().join("victim/keep/precious"), "mine").unwrap();
            let workspace = Workspace::open_or_create(&dir.path().join("project")).unwrap();
            let lock = workspace.try_lock().unwrap().unwrap();
            Self { dir, larder, workspace, lock }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        /// Uses a tree as `foo`; nothing: it is used no more.
        fn put(&self, tree: Option<&[(&str, TreeEntry)]>) -> Result<(), Failure> {
            let tree = tree.map(|entries| {
                let entries = entries.iter().map(|(path, entry)| (path.parse().unwrap(), entry.clone()));
                let tree = Tree::new(entries.collect()).unwrap();
                self.larder.put(ObjectKind::Tree, &tree.encode()).unwrap()
            });
            let brought = tree.map(|tree| {
                let (project, owner) = ("libfoo".parse().unwrap(), "a".to_owned());
                ("foo".parse().unwrap(), (vec![], Brought { project, owner, tree, take_back: false }))
            });
            let before = Record::load(&self.workspace).unwrap_or_else(Record::empty);
            put(&self.larder, (&self.workspace, &self.lock), before, brought.into_iter().collect())
        }

        fn file(&self, text: &str) -> TreeEntry {
            let digest = self.larder.put(ObjectKind::Blob, text.as_bytes()).unwrap();
            TreeEntry::File { digest, size: text.len() as u64, exec: false }
        }

        #[track_caller]
        fn nothing_is_lost(&self) {
            assert_eq!(fs::read_to_string(self.at("victim/keep/precious")).unwrap(), "mine");
            assert_eq!(fs::read_dir(self.at("victim")).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_record_that_a_project_brought_removes_nothing_elsewhere() {
        let bench = Bench::new();
        let record = |name: &str| {
            let used = r#"{"project": "p", "targets": [], "tree": null}"#;
            format!(r#"{{"format": 1, "uses": {{"{name}": {used}}}}}"#)
        };
        let path = Record::path(bench.workspace.project());
        let victim = bench.at("victim");
        for name in [victim.to_str().unwrap(), "../../victim", "..", "."] {
            fs::create_dir_all(bench.at("project/.uses/mine")).unwrap();
            fs::write(&path, record(name)).unwrap();
            assert_eq!(Record::load(&bench.workspace), None, "{name}");
            bench.put(None).ok();
            bench.nothing_is_lost();
        }
        // A name that is one, of a link.
        symlink(&victim, bench.at("project/.uses/foo")).unwrap();
        fs::write(&path, record("foo")).unwrap();
        bench.put(None).unwrap();
        bench.nothing_is_lost();
        // One for which nobody writes is none.
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert_eq!(Record::load(&bench.workspace), None);
    }

    #[test]
    fn nothing_is_written_by_way_of_a_link_or_over_what_is_the_users() {
        let bench = Bench::new();
        let tree = [("lib/a", bench.file("a"))];
        let refused = |at: &str| {
            let failure = bench.put(Some(&tree)).unwrap_err();
            assert_eq!(failure.kind, FailureKind::User, "{failure:?}");
            assert!(failure.message.contains(at), "{failure:?}");
            bench.nothing_is_lost();
        };
        symlink(bench.at("victim"), bench.at("project/.uses")).unwrap();
        refused(".uses` is a link");
        fs::remove_file(bench.at("project/.uses")).unwrap();
        fs::create_dir(bench.at("project/.uses")).unwrap();
        symlink(bench.at("victim"), bench.at("project/.uses/foo")).unwrap();
        refused(".uses/foo` is a link");
        fs::remove_file(bench.at("project/.uses/foo")).unwrap();
        fs::create_dir(bench.at("project/.uses/foo")).unwrap();
        symlink(bench.at("victim"), bench.at("project/.uses/foo/lib")).unwrap();
        refused("`lib` is a link");
        fs::remove_file(bench.at("project/.uses/foo/lib")).unwrap();
        // From before the use.
        fs::create_dir(bench.at("project/.uses/foo/lib")).unwrap();
        fs::write(bench.at("project/.uses/foo/lib/a"), "mine").unwrap();
        fs::write(bench.at("project/.uses/foo/notes"), "mine").unwrap();
        refused("`lib/a` is your own");
        fs::remove_file(bench.at("project/.uses/foo/lib/a")).unwrap();
        bench.put(Some(&tree)).unwrap();
        assert_eq!(fs::read_to_string(bench.at("project/.uses/foo/lib/a")).unwrap(), "a");
        // What is used no more goes, what is the user's stays.
        bench.put(None).unwrap();
        assert!(!bench.at("project/.uses/foo/lib/a").exists());
        assert_eq!(fs::read_to_string(bench.at("project/.uses/foo/notes")).unwrap(), "mine");
    }

    #[test]
    fn what_no_step_may_leave_is_not_believed_of_another_pod() {
        let bench = Bench::new();
        let link = |target: &str| TreeEntry::Link { target: target.as_bytes().to_vec() };
        for (path, entry) in [
            ("x", link("/etc/passwd")),
            (".git/config", bench.file("[core]")),
            ("majordomo.toml", bench.file("")),
            ("a/.majordomo/uses.json", bench.file("")),
        ] {
            let tree = [("first", bench.file("1")), (path, entry)];
            let mut tree = tree.to_vec();
            tree.sort_by(|a, b| a.0.cmp(b.0));
            let failure = bench.put(Some(&tree)).unwrap_err();
            assert!(failure.message.contains("`a` gives for the project `libfoo`"), "{failure:?}");
            assert!(failure.causes.concat().contains(path), "{failure:?}");
            assert!(!bench.at("project/.uses/foo/first").exists());
        }
    }

    #[test]
    fn after_a_crash_it_is_known_what_is_there() {
        let bench = Bench::new();
        bench.put(Some(&[("lib/a", bench.file("a"))])).unwrap();
        // As if it had ended before the last record.
        let mut record = Record::load(&bench.workspace).unwrap();
        record.uses.values_mut().for_each(|used| used.tree = None);
        record.save(&bench.workspace, &bench.lock).unwrap();
        bench.put(None).unwrap();
        assert!(!bench.at("project/.uses").exists());
        assert!(!are_any(bench.workspace.project()));
        // Nor is a use begun of which nothing is written down.
        let tree = [("x", TreeEntry::Link { target: b"/etc/passwd".to_vec() })];
        bench.put(Some(&tree)).unwrap_err();
        assert_eq!(Record::load(&bench.workspace).unwrap().uses.len(), 1);
    }
}
