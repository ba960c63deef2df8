//! A hand-over that is killed at every boundary between two writes, and by SIGKILL at random instants.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const BEFORE: [(&str, &str); 5] =
    [("kept", "same"), ("d/changes", "old"), ("d/goes", "old"), ("turns", "file"), ("l", "-> old")];
const AFTER: [(&str, &str); 6] = [
    ("kept", "same"),
    ("d/changes", "new"),
    ("n/e/w", "new"),
    ("turns/x", "folder"),
    ("l", "-> new"),
    ("e/", ""),
];
const OBSOLETE: [&str; 2] = ["d/goes", "turns"];

/// Every output must be recognised as ours, nothing of the user's touched, and the next hand-over complete the job.
fn check_and_finish(bench: &Bench, what: &str) {
    let scan = bench.scan();
    assert!(scan.report().edited.is_empty(), "{what}: {:?}", scan.report().edited);
    let files: Vec<String> = scan.files().iter().map(ToString::to_string).collect();
    assert_eq!(files, ["source"], "{what}");
    bench.hand(&AFTER, &OBSOLETE).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(bench.text("source"), "mine");
    for (name, text) in AFTER {
        match text.strip_prefix("-> ") {
            Some(target) => assert_eq!(fs::read_link(bench.at(name)).unwrap(), Path::new(target), "{what}"),
            None if name.ends_with('/') => assert!(bench.at(name).is_dir(), "{what}"),
            None => assert_eq!(bench.text(name), text, "{what}: {name}"),
        }
    }
    assert!(!bench.at("d/goes").exists(), "{what}");
    let folders: Vec<String> =
        bench.scan().list(&RelPath::root()).unwrap().map(|(name, _)| protocol::path::escape(name)).collect();
    assert_eq!(folders, ["source"], "{what}: folders that we made are ours");
}

#[test]
fn at_every_boundary() {
    let mut boundaries = 0;
    for point in 0.. {
        let bench = Bench::new();
        fs::write(bench.at("source"), "mine").unwrap();
        bench.hand(&BEFORE, &[]).unwrap();
        let fault = Fault { left: Some(point.into()) };
        let site = Site::new(&bench.workspace, fault).unwrap();
        let delivery = bench.delivery(&AFTER, &OBSOLETE);
        let result = site.deliver(&mut bench.manifest(), &bench.shelf, &delivery);
        check_and_finish(&bench, &format!("boundary {point}"));
        match result {
            Err(HandOverError::Crashed) => boundaries += 1,
            Ok(_) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(boundaries > 20, "{boundaries}");
}

#[test]
fn an_edit_after_a_crash_is_still_the_users() {
    for point in 0..20 {
        let bench = Bench::new();
        bench.hand(&[("a", "old")], &[]).unwrap();
        let site = Site::new(&bench.workspace, Fault { left: Some(point.into()) }).unwrap();
        let delivery = bench.delivery(&[("a", "new"), ("b", "new")], &[]);
        let crashed = site.deliver(&mut bench.manifest(), &bench.shelf, &delivery).is_err();
        fs::write(bench.at("a"), "edited").unwrap();
        fs::write(bench.at("b"), "edited").unwrap();
        let found = conflicts(bench.hand(&[("a", "new"), ("b", "new")], &[]));
        assert_eq!(found.len(), 2, "boundary {point}");
        assert_eq!((bench.text("a"), bench.text("b")), ("edited".to_owned(), "edited".to_owned()));
        if !crashed {
            return;
        }
    }
}

const CHILD: &str = "COMPUTEPODS_TEST_HANDOVER";
const FILES: usize = 40;

fn many(round: usize) -> Vec<(String, String)> {
    (0..FILES).map(|n| (format!("d{}/f{n}", n % 7), format!("round {round} file {n}"))).collect()
}

fn hand_many(bench: &Bench, round: usize) {
    let files = many(round);
    let wanted: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    bench.hand(&wanted, &[]).unwrap();
}

/// Not a test: what the killed process runs.
#[test]
#[ignore = "the child of `by_sigkill`"]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let workspace = Workspace::open_or_create(Path::new(&dir)).unwrap();
    let bench = Bench { dir: tempfile::tempdir().unwrap(), workspace, shelf: Shelf::default() };
    for round in 0.. {
        hand_many(&bench, round);
    }
}

#[test]
fn by_sigkill() {
    let bench = Bench::new();
    fs::write(bench.at("source"), "mine").unwrap();
    let program = std::env::current_exe().unwrap();
    let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
    for kill in 0..12u64 {
        let mut child = Command::new(&program)
            .args(["--exact", &name, "--ignored"])
            .env(CHILD, bench.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It is under way once it has written something; then some more, each time another instant.
        let manifest = bench.workspace.folder().join("manifest");
        let before = fs::metadata(&manifest).ok().and_then(|meta| meta.modified().ok());
        while fs::metadata(&manifest).ok().and_then(|meta| meta.modified().ok()) == before {
            assert!(child.try_wait().unwrap().is_none(), "the child runs until it is killed");
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_micros(kill * kill * 97));
        child.kill().unwrap();
        child.wait().unwrap();

        let scan = bench.scan();
        assert!(scan.report().edited.is_empty(), "{:?}", scan.report().edited);
        assert_eq!(scan.files(), [path("source")]);
        for (name, _) in many(0) {
            let text = bench.text(&name);
            assert!(
                text.starts_with("round ") && text.ends_with(&format!(" file {}", &name[4..])),
                "{name}: {text}"
            );
        }
    }
    hand_many(&bench, 1_000_000);
    assert_eq!(bench.text("d0/f0"), "round 1000000 file 0");
}
