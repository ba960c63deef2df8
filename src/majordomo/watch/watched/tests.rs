//! A watched project is at each look what a scan finds.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::majordomo::snapshot::tests::Project;
use crate::majordomo::watch::twin::World;

fn watch(project: &Project) -> Arc<Watched> {
    let workspace = Workspace::open_or_create(project.dir.path()).unwrap();
    Watched::new(workspace, by(None)).unwrap()
}

/// Everything about a snapshot that counts, as text.
fn shown(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    snapshot.walk(&RelPath::root(), |path, entry| {
        let name = RelPath::new(path).unwrap();
        let settled = entry.kind() == protocol::FileKind::Dir || snapshot.is_settled(&name);
        let entry = match entry {
            // Its stamp comes with its names.
            Entry::Dir => "folder".to_owned(),
            entry => format!("{entry:?}"),
        };
        text.push_str(&format!("{name} {entry} settled: {settled}\n"));
    });
    text + &format!("{:?}", snapshot.report())
}

#[track_caller]
fn assert_right(watched: &Watched, project: &Project) -> u64 {
    let (seen, version) = watched.look(&project.manifest, Moment::now()).unwrap();
    assert_eq!(shown(&seen), shown(&project.scan()));
    version
}

fn names(changes: Vec<Change>) -> Vec<String> {
    changes
        .into_iter()
        .map(|change| match change {
            Change::Source(path) => path.to_string(),
            Change::Missing(path) => format!("missing {path}"),
            Change::Edited(path) => format!("edited {path}"),
            Change::Machine => "machine".to_owned(),
            Change::Much => "much".to_owned(),
        })
        .collect()
}

#[test]
fn changes_are_seen_and_named() {
    let mut project = Project::new(&[("a.c", "1"), ("sub/b.c", "2"), ("sub/deep/c.c", "3")]);
    project.output("obj/a.o", "object");
    let watched = watch(&project);
    let mut version = assert_right(&watched, &project);
    let mut changed = |project: &Project| {
        let now = assert_right(&watched, project);
        let changes = names(watched.since(version));
        version = now;
        changes
    };
    assert_eq!(changed(&project), [""; 0]);
    fs::write(project.at("a.c"), "11").unwrap();
    assert_eq!(changed(&project), ["a.c"]);
    fs::write(project.at("sub/deep/new.c"), "n").unwrap();
    assert_eq!(changed(&project), ["sub/deep/new.c"]);
    fs::rename(project.at("sub"), project.at("moved")).unwrap();
    assert_eq!(changed(&project), ["moved", "sub"]);
    fs::write(project.at("moved/deep/c.c"), "33").unwrap();
    assert_eq!(changed(&project), ["moved/deep/c.c"]);
    fs::create_dir_all(project.at("x/y/z")).unwrap();
    fs::write(project.at("x/y/z/f"), "f").unwrap();
    assert_eq!(changed(&project), ["x"]);
    fs::write(project.at("x/y/z/g"), "g").unwrap();
    assert_eq!(changed(&project), ["x/y/z/g"]);
    fs::remove_dir_all(project.at("x")).unwrap();
    assert_eq!(changed(&project), ["x"]);
    fs::write(project.at("temp"), "t").unwrap();
    fs::remove_file(project.at("temp")).unwrap();
    assert_eq!(changed(&project), [""; 0], "what came and went is as it was");
    fs::remove_file(project.at("obj/a.o")).unwrap();
    assert_eq!(changed(&project), ["missing obj/a.o"]);
    project.output("obj/a.o", "object 2");
    assert_eq!(changed(&project), [""; 0], "what is handed over is no change");
    fs::write(project.at("obj/a.o"), "mine").unwrap();
    assert_eq!(changed(&project), ["edited obj/a.o"]);
    fs::write(project.at(".majordomo/x"), "x").unwrap();
    fs::create_dir(project.at(".git")).unwrap();
    fs::write(project.at(".git/HEAD"), "x").unwrap();
    assert_eq!(changed(&project), [""; 0]);
    assert_eq!(names(watched.since(0))[0], "much", "the first look");
}

#[test]
fn a_file_with_another_name_is_looked_at_each_time() {
    let elsewhere = tempfile::tempdir().unwrap();
    let project = Project::new(&[("a", "1")]);
    fs::hard_link(project.at("a"), elsewhere.path().join("b")).unwrap();
    let watched = watch(&project);
    let version = assert_right(&watched, &project);
    // Nobody is told of this: the folder of the other name is not watched.
    fs::write(elsewhere.path().join("b"), "22").unwrap();
    assert_right(&watched, &project);
    assert_eq!(names(watched.since(version)), ["a"]);
}

#[test]
fn without_events_everything_is_looked_at() {
    let project = Project::new(&[("a", "1"), ("sub/b", "2")]);
    let workspace = Workspace::open_or_create(project.dir.path()).unwrap();
    let watched = Watched::new(workspace, by(Some(Duration::from_secs(3600)))).unwrap();
    let version = assert_right(&watched, &project);
    fs::write(project.at("sub/b"), "22").unwrap();
    fs::write(project.at("sub/c"), "3").unwrap();
    assert_right(&watched, &project);
    assert_eq!(names(watched.since(version)), ["sub/b", "sub/c"]);
}

#[test]
fn after_lost_events_everything_is_looked_at_and_watched_anew() {
    let project = Project::new(&[("a", "1"), ("sub/b", "2")]);
    let root = project.dir.path().canonicalize().unwrap();
    let world = World::default();
    for folder in ["", ".majordomo", "sub", "new"] {
        world.folder(&root.join(folder));
    }
    let make = world.clone();
    let workspace = Workspace::open_or_create(&root).unwrap();
    let watched =
        Watched::new(workspace, Box::new(move |handler| Ok(Box::new(make.watcher(handler))))).unwrap();
    world.overflow();
    fs::write(project.at("a"), "11").unwrap();
    fs::create_dir(project.at("new")).unwrap();
    let (_, version) = {
        world.recover();
        watched.look(&project.manifest, Moment::now()).unwrap()
    };
    assert!(names(watched.since(0)).contains(&"much".to_owned()), "{version}");
    assert!(world.watched().contains(&root.join("new")), "{:?}", world.watched());
    assert!(assert_right_after_loss(&watched, &project, &world) >= version);
}

fn assert_right_after_loss(watched: &Watched, project: &Project, world: &World) -> u64 {
    world.recover();
    assert_right(watched, project)
}

#[test]
fn a_project_whose_folder_is_moved_is_gone() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("p");
    fs::create_dir(&folder).unwrap();
    let watched = Watched::new(Workspace::open_or_create(&folder).unwrap(), by(None)).unwrap();
    fs::rename(&folder, outer.path().join("q")).unwrap();
    let lost = watched.look(&Manifest::default(), Moment::now()).unwrap_err();
    assert!(matches!(lost, Lost::Gone(_)), "{lost}");
}

#[test]
fn fences_of_dead_processes_are_removed() {
    let project = Project::new(&[("a", "1")]);
    fs::write(project.at(".majordomo/watch-4000000000-1"), "").unwrap();
    let watched = watch(&project);
    let fences = || {
        let entries = fs::read_dir(project.at(".majordomo")).unwrap();
        entries
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("watch-"))
            .count()
    };
    assert_eq!(fences(), 1);
    drop(watched);
    assert_eq!(fences(), 0);
}

/// Something that somebody does to a project.
#[derive(Debug, Clone)]
enum Act {
    Write(String, u8),
    Folder(String),
    Remove(String),
    Rename(String, String),
    Link(String, String),
    HardLink(String, String),
    Exec(String),
    Look,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let path = prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/"));
    let act = (0..11u8, path.clone(), path, any::<u8>()).prop_map(|(kind, one, other, byte)| match kind {
        0..=2 => Act::Write(one, byte),
        3..=4 => Act::Folder(one),
        5 => Act::Remove(one),
        6..=7 => Act::Rename(one, other),
        8 => Act::Link(one, other),
        9 => Act::HardLink(one, other),
        10 if byte % 2 == 0 => Act::Exec(one),
        _ => Act::Look,
    });
    prop::collection::vec(act, 1..60)
}

/// Does it if it can be done.
fn act(root: &Path, act: &Act) {
    let at = |path: &str| root.join(path);
    match act {
        Act::Write(path, byte) => drop(fs::write(at(path), [*byte])),
        Act::Folder(path) => drop(fs::create_dir_all(at(path))),
        Act::Remove(path) if at(path).is_dir() && !at(path).is_symlink() => {
            drop(fs::remove_dir_all(at(path)))
        }
        Act::Remove(path) => drop(fs::remove_file(at(path))),
        Act::Rename(from, to) => drop(fs::rename(at(from), at(to))),
        Act::Link(target, path) => drop(std::os::unix::fs::symlink(target, at(path))),
        Act::HardLink(from, to) => drop(fs::hard_link(at(from), at(to))),
        Act::Exec(path) if at(path).is_file() => {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(at(path)).map_or(0o644, |meta| meta.permissions().mode()) ^ 0o111;
            drop(fs::set_permissions(at(path), fs::Permissions::from_mode(mode)));
        }
        Act::Exec(_) | Act::Look => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_done_a_look_is_a_scan(acts in acts()) {
        let project = Project::new(&[("a/b/c", "1")]);
        let watched = watch(&project);
        for one in &acts {
            act(project.dir.path(), one);
            if matches!(one, Act::Look) {
                let (seen, _) = watched.look(&project.manifest, Moment::now()).unwrap();
                prop_assert_eq!(shown(&seen), shown(&project.scan()));
            }
        }
        let (seen, _) = watched.look(&project.manifest, Moment::now()).unwrap();
        prop_assert_eq!(shown(&seen), shown(&project.scan()));
    }
}
