//! What a scan sees, on real folders.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use protocol::{Digest, StepId};
use tempfile::TempDir;

use super::*;

mod records;
mod speed;

use crate::majordomo::workspace::{Made, Output};

pub fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

pub struct Project {
    pub dir: TempDir,
    pub workspace: Workspace,
    pub manifest: Manifest,
}

impl Project {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write(dir.path(), name, text);
        }
        let workspace = Workspace::open_or_create(dir.path()).unwrap();
        Self { dir, workspace, manifest: Manifest::default() }
    }

    /// Writes an output as a hand-over would, folders above it included.
    pub fn output(&mut self, name: &str, text: &str) {
        let at = path(name);
        let step = StepId::new("step");
        for folder in at.ancestors() {
            if !folder.under(self.dir.path()).exists() {
                let output = Output { made: Made::Folder, stamp: None, step: step.clone() };
                self.manifest.apply(vec![(folder, Some(output))]);
            }
        }
        write(self.dir.path(), name, text);
        let stamp = stamp(&at.under(self.dir.path()));
        let made = Made::File { digest: Digest::of(text.as_bytes()), size: text.len() as u64, exec: false };
        self.manifest.apply(vec![(at, Some(Output { made, stamp: Some(stamp), step }))]);
    }

    pub fn scan(&self) -> Snapshot {
        Snapshot::scan(&self.workspace, &self.manifest, Moment::now()).unwrap()
    }

    pub fn at(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
}

pub fn stamp(path: &Path) -> Stamp {
    crate::majordomo::workspace::stamp_of(&rustix::fs::lstat(path).unwrap())
}

pub fn write(base: &Path, name: &str, text: &str) {
    let at = base.join(name);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

fn names(snapshot: &Snapshot, folder: &str) -> Vec<String> {
    let names = snapshot.list(&path(folder)).unwrap();
    names.map(|(name, kind)| format!("{} {}", kind.word(), protocol::path::escape(name))).collect()
}

#[test]
fn sources_are_everything_but_what_is_hidden() {
    let project =
        Project::new(&[("a.c", "1"), ("sub/b.c", "22"), ("sub/.majordomo/id", "x"), (".git/HEAD", "x")]);
    write(project.dir.path(), "sub/.git", "gitdir: elsewhere");
    symlink("a.c", project.at("link")).unwrap();
    fs::set_permissions(project.at("a.c"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(project.dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
    fs::create_dir(project.at("empty")).unwrap();
    let snapshot = project.scan();
    assert_eq!(
        names(&snapshot, "."),
        ["file a.c", "folder empty", "link link", "folder sub", "file \\xff\\xfe"]
    );
    assert_eq!(names(&snapshot, "sub"), ["file b.c"]);
    assert_eq!(names(&snapshot, "empty"), [""; 0]);
    assert!(snapshot.list(&path("a.c")).is_none());
    assert!(matches!(snapshot.get(&path("a.c")), Some(Entry::File { size: 1, exec: true, .. })));
    assert!(matches!(snapshot.get(&path("sub/b.c")), Some(Entry::File { size: 2, exec: false, .. })));
    assert_eq!(snapshot.get(&path("link")), Some(Entry::Link { target: b"a.c" }));
    assert_eq!(snapshot.get(&RelPath::root()), Some(Entry::Dir));
    for absent in ["b", ".git", ".majordomo", "sub/.git", "a.c/x", "link/x"] {
        assert_eq!(snapshot.get(&path(absent)), None, "{absent}");
    }
    let files: Vec<String> = snapshot.files().iter().map(ToString::to_string).collect();
    assert_eq!(files, ["a.c", "link", "sub/b.c", "\\xff\\xfe"]);
    assert!(snapshot.is_settled(&path("a.c")), "the scan waits for the tick's end");
}

#[test]
fn outputs_are_no_sources_until_they_are_edited() {
    let mut project = Project::new(&[("a.c", "1"), ("docs/manual", "m")]);
    project.output("obj/deep/a.o", "object");
    project.output("docs/index", "index");
    let snapshot = project.scan();
    assert_eq!(
        names(&snapshot, "."),
        ["file a.c", "folder docs"],
        "a folder that we made is none of the user's"
    );
    assert_eq!(names(&snapshot, "docs"), ["file manual"]);

    write(project.dir.path(), "obj/mine", "m");
    fs::write(project.at("docs/index"), "edited").unwrap();
    let snapshot = project.scan();
    assert_eq!(snapshot.report().edited, [path("docs/index")]);
    assert_eq!(names(&snapshot, "obj"), ["file mine"]);
    assert_eq!(names(&snapshot, "docs"), ["file index", "file manual"]);

    fs::write(project.at("docs/index"), "index").unwrap();
    fs::remove_dir_all(project.at("obj/deep")).unwrap();
    let snapshot = project.scan();
    assert!(snapshot.report().edited.is_empty());
    assert_eq!(snapshot.report().missing, [path("obj/deep"), path("obj/deep/a.o")]);
    assert_eq!(names(&snapshot, "docs"), ["file manual"]);
    let restamped =
        |snapshot: &Snapshot| snapshot.report().restamped.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
    assert_eq!(restamped(&snapshot), [path("docs/index")]);
    project.manifest.restamp(snapshot.report().restamped.clone());
    assert!(restamped(&project.scan()).is_empty());
}

#[test]
fn what_is_neither_file_nor_folder_is_noted() {
    let project = Project::new(&[("sub/a", "1")]);
    let _socket = std::os::unix::net::UnixListener::bind(project.at("sub/socket")).unwrap();
    let snapshot = project.scan();
    assert_eq!(snapshot.report().special, [path("sub/socket")]);
    assert_eq!(names(&snapshot, "sub"), ["file a"]);
}

#[test]
fn a_source_is_read_as_it_was_or_not_at_all() {
    let project = Project::new(&[("a", "1"), ("b", "1"), ("c", "1"), ("d/e", "1")]);
    let snapshot = project.scan();
    let pinned = snapshot.open(&path("a")).unwrap();
    pinned.check().unwrap();
    assert_eq!(pinned.memorable(), Some(stamp(&project.at("a"))));
    fs::write(project.at("a"), "2").unwrap();
    assert!(matches!(pinned.check(), Err(SourceError::Changed(_))), "edited in place, same size");
    assert!(matches!(snapshot.open(&path("a")), Err(SourceError::Changed(_))));
    fs::remove_file(project.at("b")).unwrap();
    assert!(matches!(snapshot.open(&path("b")), Err(SourceError::Changed(_))));
    fs::rename(project.at("d"), project.at("moved")).unwrap();
    symlink("moved", project.at("d")).unwrap();
    assert!(matches!(snapshot.open(&path("d/e")), Err(SourceError::Changed(_))), "through a link");
    fs::remove_file(project.at("c")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, project.at("c"), rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(snapshot.open(&path("c")), Err(SourceError::Changed(_))), "does not block");
    assert!(matches!(snapshot.open(&path("nothing")), Err(SourceError::NoFile(_))));
}

#[test]
fn links_that_lead_out_are_known() {
    let project = Project::new(&[("a/b/file", "1")]);
    let links = [
        ("a/in", "b/file", false),
        ("a/up", "../a/b", false),
        ("a/out", "../../x", true),
        ("absolute", "/usr", true),
        ("deep", "a/b", false),
        ("tricky", "deep/../../..", true),
        ("fine", "deep/../..", false),
        ("round", "round", false),
        ("by-way", "a/out", true),
    ];
    for (name, target, _) in links {
        symlink(target, project.at(name)).unwrap();
    }
    let snapshot = project.scan();
    for (name, _, out) in links {
        assert_eq!(snapshot.escapes(&path(name)), out, "{name}");
    }
    assert!(links::escapes(&path("a/l"), b"../../x"));
    assert!(links::escapes(&path("l"), b"/x"));
    assert!(!links::escapes(&path("a/l"), b"..//./x"));
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let project = Project::new(&[("a/b/c", "1")]);
    if rustix::process::geteuid().is_root() {
        // Nothing is unreadable to root.
        return;
    }
    fs::set_permissions(project.at("a/b"), fs::Permissions::from_mode(0o000)).unwrap();
    let error = Snapshot::scan(&project.workspace, &project.manifest, Moment::now()).unwrap_err();
    assert!(error.to_string().contains("`a/b`"), "{error}");
}

#[test]
fn deep_folders_do_not_matter() {
    let project = Project::new(&[]);
    let mut dir = rustix::fs::openat(
        rustix::fs::CWD,
        project.dir.path(),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..300 {
        let name = "a-rather-long-name-of-a-folder";
        rustix::fs::mkdirat(&dir, name, rustix::fs::Mode::RWXU).unwrap();
        dir =
            rustix::fs::openat(&dir, name, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap();
    }
    assert_eq!(project.scan().len(), 301);
}
