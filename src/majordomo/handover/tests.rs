//! Hand-overs into real folders: what they write, what they leave alone, what a crash leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::majordomo::snapshot::Snapshot;
use crate::majordomo::workspace::Moment;

mod crashes;
mod full;
mod oracle;
mod speed;

pub fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

/// Blobs in memory.
#[derive(Default)]
pub struct Shelf(Mutex<BTreeMap<Digest, Vec<u8>>>);

impl Shelf {
    pub fn put(&self, text: &str) -> Made {
        let digest = Digest::of(text.as_bytes());
        self.0.lock().insert(digest, text.as_bytes().to_vec());
        Made::File { digest, size: text.len() as u64, exec: false }
    }
}

impl Blobs for Shelf {
    fn open_blob(
        &self,
        digest: &Digest,
    ) -> Result<Option<Content>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.lock().get(digest).map(|bytes| Content::Bytes(bytes.clone().into())))
    }
}

/// A project that is built again and again.
pub struct Bench {
    pub dir: TempDir,
    pub workspace: Workspace,
    pub shelf: Shelf,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::open_or_create(dir.path()).unwrap();
        Self { dir, workspace, shelf: Shelf::default() }
    }

    pub fn delivery(&self, wanted: &[(&str, &str)], obsolete: &[&str]) -> Delivery {
        let step = StepId::new("step");
        let wanted = wanted.iter().map(|(name, text)| {
            let made = match text.strip_prefix("-> ") {
                Some(target) => Made::Link(target.as_bytes().into()),
                None if name.ends_with('/') => Made::Folder,
                None => self.shelf.put(text),
            };
            Wanted { path: path(name.trim_end_matches('/')), made, step: step.clone() }
        });
        Delivery { wanted: wanted.collect(), obsolete: obsolete.iter().map(|name| path(name)).collect() }
    }

    pub fn hand(&self, wanted: &[(&str, &str)], obsolete: &[&str]) -> Result<Report, HandOverError> {
        let lock = self.workspace.try_lock().unwrap().unwrap();
        let mut manifest = self.manifest();
        let delivery = self.delivery(wanted, obsolete);
        let result = hand_over(&self.workspace, &lock, &mut manifest, &self.shelf, &delivery);
        assert_eq!(manifest.entries(), self.manifest().entries(), "what is returned is on disk");
        assert_eq!(fs::read_dir(self.workspace.tmp()).unwrap().count(), 0, "nothing is left in tmp");
        result
    }

    pub fn manifest(&self) -> Manifest {
        Manifest::load(&self.workspace).unwrap()
    }

    pub fn scan(&self) -> Snapshot {
        Snapshot::scan(&self.workspace, &self.manifest(), Moment::now()).unwrap()
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }
}

fn conflicts(result: Result<Report, HandOverError>) -> Vec<(String, InTheWay)> {
    match result {
        Err(HandOverError::Conflicts(found)) => {
            found.into_iter().map(|conflict| (conflict.path.to_string(), conflict.what)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn outputs_are_written_once() {
    let bench = Bench::new();
    let wanted = [("obj/deep/a.o", "object"), ("bin/tool", "program"), ("l", "-> bin/tool"), ("empty/", "")];
    let report = bench.hand(&wanted, &[]).unwrap();
    assert_eq!((report.written, report.untouched), (4, 0));
    assert_eq!(bench.text("obj/deep/a.o"), "object");
    assert_eq!(fs::read_link(bench.at("l")).unwrap(), Path::new("bin/tool"));
    assert!(bench.at("empty").is_dir());
    assert_eq!((mode(&bench.at("obj/deep/a.o")), mode(&bench.at("obj/deep"))), (0o644, 0o755));
    assert_eq!(bench.scan().len(), 8);
    assert!(bench.scan().files().is_empty(), "outputs are no sources");
    assert!(bench.scan().list(&RelPath::root()).unwrap().next().is_none(), "nor are their folders");

    let report = bench.hand(&wanted, &[]).unwrap();
    assert_eq!((report.written, report.untouched), (0, 4));
    let report = bench.hand(&[("bin/tool", "better")], &[]).unwrap();
    assert_eq!((report.written, report.untouched), (1, 0));
    assert_eq!(bench.text("bin/tool"), "better");
    assert_eq!(bench.manifest().len(), 7);
}

#[test]
fn the_exec_bit_is_put_right_and_is_no_edit() {
    let bench = Bench::new();
    bench.hand(&[("a", "1")], &[]).unwrap();
    fs::set_permissions(bench.at("a"), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(bench.scan().report().edited.is_empty());
    assert_eq!(bench.hand(&[("a", "1")], &[]).unwrap().written, 1);
    assert_eq!(mode(&bench.at("a")), 0o644);
    let mut delivery = bench.delivery(&[("a", "1")], &[]);
    let Made::File { exec, .. } = &mut delivery.wanted[0].made else { panic!() };
    *exec = true;
    let lock = bench.workspace.try_lock().unwrap().unwrap();
    hand_over(&bench.workspace, &lock, &mut bench.manifest(), &bench.shelf, &delivery).unwrap();
    assert_eq!(mode(&bench.at("a")), 0o755);
}

#[test]
fn nothing_of_the_users_is_overwritten() {
    let bench = Bench::new();
    bench.hand(&[("a", "1"), ("b", "1"), ("c", "1")], &[]).unwrap();
    fs::write(bench.at("a"), "edited").unwrap();
    fs::write(bench.at("b"), "2").unwrap();
    fs::write(bench.at("own"), "mine").unwrap();
    fs::write(bench.at("same"), "same").unwrap();
    fs::create_dir(bench.at("folder")).unwrap();
    let wanted =
        [("a", "2"), ("b", "1"), ("c", "2"), ("own", "2"), ("folder", "2"), ("new", "2"), ("same", "same")];
    let found = conflicts(bench.hand(&wanted, &[]));
    let expected = [
        ("a", InTheWay::Edited),
        ("b", InTheWay::Edited),
        ("folder", InTheWay::Folder),
        ("own", InTheWay::Own),
    ];
    assert_eq!(found, expected.map(|(name, what)| (name.to_owned(), what)));
    assert_eq!(
        (bench.text("a"), bench.text("c"), bench.at("new").exists()),
        ("edited".into(), "1".into(), false)
    );

    let lock = bench.workspace.try_lock().unwrap().unwrap();
    let paths: Vec<RelPath> = ["a", "b", "folder", "own", "nothing"].map(path).to_vec();
    fs::write(bench.at("a.mine"), "older").unwrap();
    let moved = take_back(&bench.workspace, &lock, &mut bench.manifest(), &paths).unwrap();
    drop(lock);
    let to: Vec<String> = moved.iter().map(|(_, to)| to.to_string()).collect();
    assert_eq!(to, ["a.mine.2", "b.mine", "folder.mine", "own.mine"]);
    let report = bench.hand(&wanted, &[]).unwrap();
    assert_eq!((report.written, report.own), (6, vec![path("same")]));
    assert_eq!(
        (bench.text("a"), bench.text("a.mine.2"), bench.text("own.mine")),
        ("2".into(), "edited".into(), "mine".into())
    );
    assert!(bench.scan().get(&path("same")).is_some(), "stays a source");
}

#[test]
fn what_no_step_makes_any_more_goes() {
    let bench = Bench::new();
    bench.hand(&[("d/e/a", "1"), ("d/b", "1"), ("x/edited", "1"), ("y/kept", "1")], &[]).unwrap();
    fs::write(bench.at("x/edited"), "mine").unwrap();
    fs::write(bench.at("y/mine"), "mine").unwrap();
    let report = bench.hand(&[("n", "1")], &["d/e/a", "d/b", "x/edited", "y/kept", "unknown"]).unwrap();
    assert_eq!((report.removed, report.left), (3, vec![path("x/edited")]));
    assert!(!bench.at("d").exists());
    assert!(bench.at("y").is_dir());
    let names: Vec<String> = bench.manifest().entries().iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(names, ["n", "x", "y"]);
    assert!(bench.scan().get(&path("x/edited")).is_some(), "the user's from now on");
}

#[test]
fn files_become_folders_and_folders_files() {
    let bench = Bench::new();
    bench.hand(&[("a", "1"), ("b/c", "1"), ("e", "1"), ("f/", "")], &[]).unwrap();
    let report = bench.hand(&[("a/x", "2"), ("b", "2"), ("e/", ""), ("f", "2")], &["a", "b/c"]).unwrap();
    assert_eq!(report.written, 4);
    assert_eq!((bench.text("a/x"), bench.text("b"), bench.text("f")), ("2".into(), "2".into(), "2".into()));
    assert!(bench.at("e").is_dir());
    assert!(bench.scan().is_empty() || bench.scan().files().is_empty());
    fs::write(bench.at("a/mine"), "mine").unwrap();
    let error = bench.hand(&[("a", "3")], &["a/x"]).unwrap_err();
    assert!(matches!(error, HandOverError::Conflicts(_)), "{error}");
    assert_eq!(bench.text("a/mine"), "mine");
}

#[test]
fn no_link_is_followed() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    bench.hand(&[("out/a", "1"), ("out/b", "1")], &[]).unwrap();
    fs::rename(bench.at("out"), outside.path().join("out")).unwrap();
    symlink(outside.path().join("out"), bench.at("out")).unwrap();
    let error = bench.hand(&[("out/a", "2")], &["out/b"]).unwrap_err();
    assert!(matches!(&error, HandOverError::NoFolder { part, .. } if *part == path("out")), "{error:?}");
    let lock = bench.workspace.try_lock().unwrap().unwrap();
    assert_eq!(clean(&bench.workspace, &lock).unwrap(), Cleaned::default());
    assert_eq!(fs::read_to_string(outside.path().join("out/a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(outside.path().join("out/b")).unwrap(), "1");
    assert!(bench.at("out").is_symlink());
}

#[test]
fn clean_takes_all_but_edits() {
    let bench = Bench::new();
    bench.hand(&[("d/a", "1"), ("b", "1"), ("l", "-> b"), ("e/", "")], &[]).unwrap();
    fs::write(bench.at("b"), "edited").unwrap();
    let lock = bench.workspace.try_lock().unwrap().unwrap();
    let cleaned = clean(&bench.workspace, &lock).unwrap();
    assert_eq!(cleaned, Cleaned { removed: 2, kept: vec![path("b")] });
    let names = fs::read_dir(bench.dir.path()).unwrap().count();
    assert_eq!(names, 2, "`.majordomo` and `b`");
    assert_eq!(bench.scan().report().edited, [path("b")], "still known as ours");
}

#[test]
fn a_failure_keeps_what_was_done() {
    let bench = Bench::new();
    let lock = bench.workspace.try_lock().unwrap().unwrap();
    let mut delivery = bench.delivery(&[("a", "1"), ("b", "1"), ("c", "1")], &[]);
    delivery.wanted[1].made = Made::File { digest: Digest::of(b"gone"), size: 4, exec: false };
    let mut manifest = bench.manifest();
    let error = hand_over(&bench.workspace, &lock, &mut manifest, &bench.shelf, &delivery).unwrap_err();
    assert!(matches!(&error, HandOverError::Gone { path: p, .. } if *p == path("b")), "{error}");
    let scan = bench.scan();
    assert!(scan.report().edited.is_empty() && scan.files().is_empty());
    assert!(!bench.manifest().is_unsaved());
    drop(lock);
    bench.hand(&[("a", "1"), ("b", "1"), ("c", "1")], &[]).unwrap();
}

#[test]
fn a_stamp_is_believed_at_once() {
    let bench = Bench::new();
    for round in 0..50 {
        let text = format!("{round:04}");
        bench.hand(&[("a", &text)], &[]).unwrap();
        assert!(bench.manifest().get(&path("a")).unwrap().stamp.is_some());
        // In place, the same length, in the same tick most of the time.
        fs::write(bench.at("a"), "edit").unwrap();
        assert_eq!(bench.scan().report().edited, [path("a")], "round {round}");
        fs::remove_file(bench.at("a")).unwrap();
    }
}
