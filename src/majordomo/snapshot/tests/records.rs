//! The stamp record: holds while nothing changes, and never longer.

use proptest::prelude::*;

use super::*;

fn take(project: &Project, snapshot: &Snapshot, host: &[HostFile]) -> Result<StampRecord, NoRecord> {
    StampRecord::take(snapshot, &project.manifest, host, b"blob".to_vec())
}

/// A project with sources and outputs, settled, and its record.
fn recorded() -> (Project, StampRecord) {
    let mut project = Project::new(&[("a.c", "1"), ("sub/b.c", "1"), ("sub/c.c", "1"), ("empty/x/y", "1")]);
    fs::remove_file(project.at("empty/x/y")).unwrap();
    symlink("a.c", project.at("link")).unwrap();
    let snapshot = project.scan();
    project.output("obj/a.o", "object");
    project.output("sub/made", "made");
    let record = take(&project, &snapshot, &[]).unwrap();
    (project, record)
}

#[test]
fn it_holds_until_something_changes() {
    type Change = fn(&Project);
    let changes: [(&str, Change); 14] = [
        ("same-size edit", |p| fs::write(p.at("a.c"), "2").unwrap()),
        ("edit with the old time", |p| {
            let time = fs::metadata(p.at("sub/b.c")).unwrap().modified().unwrap();
            fs::write(p.at("sub/b.c"), "2").unwrap();
            fs::File::options().write(true).open(p.at("sub/b.c")).unwrap().set_modified(time).unwrap();
        }),
        ("new file", |p| write(p.dir.path(), "sub/new", "x")),
        ("new folder", |p| fs::create_dir(p.at("new")).unwrap()),
        ("new file in an empty folder", |p| write(p.dir.path(), "empty/x/new", "x")),
        ("new file beside an output", |p| write(p.dir.path(), "obj/new", "x")),
        ("source gone", |p| fs::remove_file(p.at("sub/c.c")).unwrap()),
        ("output gone", |p| fs::remove_file(p.at("obj/a.o")).unwrap()),
        ("output edited", |p| fs::write(p.at("sub/made"), "edit").unwrap()),
        ("exec bit", |p| fs::set_permissions(p.at("a.c"), fs::Permissions::from_mode(0o755)).unwrap()),
        ("link to elsewhere", |p| {
            fs::remove_file(p.at("link")).unwrap();
            symlink("b.c", p.at("link")).unwrap();
        }),
        ("renamed over", |p| {
            write(p.workspace.folder(), "x", "1");
            fs::rename(p.workspace.folder().join("x"), p.at("a.c")).unwrap();
        }),
        ("folder for file", |p| {
            fs::remove_file(p.at("a.c")).unwrap();
            fs::create_dir(p.at("a.c")).unwrap();
        }),
        ("link for folder", |p| {
            fs::rename(p.at("sub"), p.workspace.folder().join("sub")).unwrap();
            symlink(".majordomo/sub", p.at("sub")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let (project, record) = recorded();
        record.save(&project.workspace).unwrap();
        let record = StampRecord::load(&project.workspace).unwrap();
        assert_eq!(record.blob(), b"blob");
        assert!(record.still_holds(project.dir.path()), "{what}: before");
        fs::write(project.workspace.folder().join("anything"), "x").unwrap();
        assert!(record.still_holds(project.dir.path()), "{what}: our own folder does not matter");
        change(&project);
        assert!(!record.still_holds(project.dir.path()), "{what}");
    }
}

#[test]
fn the_hosts_files_count() {
    let (project, _) = recorded();
    let snapshot = project.scan();
    let host = tempfile::tempdir().unwrap();
    let at = |name: &str| host.path().join(name);
    for name in ["a", "b", "c", "d", "e"] {
        fs::write(at(name), name).unwrap();
    }
    let entry = |name: &str| HostFile {
        path: at(name).as_os_str().as_bytes().into(),
        stamp: rustix::fs::lstat(at(name)).ok().map(|stat| crate::majordomo::workspace::stamp_of(&stat)),
    };
    for (some, absent) in [(vec!["a"], "none"), (vec!["a", "b", "c", "d", "e"], "no/such/file")] {
        let mut files: Vec<HostFile> = some.iter().map(|name| entry(name)).collect();
        files.push(entry(absent));
        files.push(HostFile { path: b"/".as_slice().into(), stamp: Some(stamp(Path::new("/"))) });
        let record = take(&project, &snapshot, &files).unwrap();
        assert!(record.still_holds(project.dir.path()));
        write(host.path(), absent, "now there");
        assert!(!record.still_holds(project.dir.path()), "{absent}");
        files.remove(some.len());
        let record = take(&project, &snapshot, &files).unwrap();
        fs::write(at("a"), "b").unwrap();
        assert!(!record.still_holds(project.dir.path()));
    }
}

#[test]
fn there_is_none_of_a_project_that_changed_meanwhile() {
    let mut project = Project::new(&[("a.c", "1"), ("sub/b.c", "1")]);
    let snapshot = project.scan();
    project.output("sub/made", "made");
    write(project.dir.path(), "sub/new", "mine");
    assert_eq!(take(&project, &snapshot, &[]), Err(NoRecord::Changed(path("sub"))));
    let snapshot = project.scan();
    project.output("sub/made", "again");
    assert!(take(&project, &snapshot, &[]).is_ok());
    fs::write(project.at("sub/made"), "edited").unwrap();
    assert_eq!(take(&project, &snapshot, &[]), Err(NoRecord::Changed(path("sub/made"))));
}

#[test]
fn a_damaged_record_is_none() {
    let (project, record) = recorded();
    assert!(StampRecord::load(&project.workspace).is_none());
    record.save(&project.workspace).unwrap();
    let at = project.workspace.stamps_path();
    let mut bytes = fs::read(&at).unwrap();
    bytes[9] ^= 1;
    fs::write(&at, bytes).unwrap();
    assert!(StampRecord::load(&project.workspace).is_none());
    StampRecord::forget(&project.workspace).unwrap();
    StampRecord::forget(&project.workspace).unwrap();
    assert!(!at.exists());
}

/// What stands in a project, contents included.
fn contents(dir: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let at = entry.unwrap().path();
            let name = at.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if name == ".majordomo" {
                continue;
            }
            if at.is_dir() {
                all.push((name, "folder".to_owned()));
                open.push(at);
            } else {
                all.push((name, fs::read_to_string(at).unwrap()));
            }
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    /// No wait between scan, record and edits: whatever is in the same tick must show.
    #[test]
    fn a_change_always_shows(
        before in proptest::collection::vec(("[ab](/[ab]){0,2}x", 0u8..3), 1..6),
        edits in proptest::collection::vec(("[ab](/[ab]){0,2}x", proptest::option::of(0u8..3)), 0..4),
    ) {
        let project = Project::new(&[]);
        for (name, text) in &before {
            write(project.dir.path(), name, &text.to_string());
        }
        let snapshot = project.scan();
        let recorded = take(&project, &snapshot, &[]);
        let was = contents(project.dir.path());
        for (name, text) in &edits {
            match text {
                Some(text) => write(project.dir.path(), name, &text.to_string()),
                None => drop(fs::remove_file(project.at(name))),
            }
        }
        let record = recorded.map_err(|why| TestCaseError::fail(why.to_string()))?;
        if contents(project.dir.path()) != was {
            prop_assert!(!record.still_holds(project.dir.path()));
        } else if edits.is_empty() {
            prop_assert!(record.still_holds(project.dir.path()));
        }
    }
}
