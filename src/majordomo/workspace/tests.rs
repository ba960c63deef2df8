//! The manifest's laws: it round-trips, keeps order, survives damage and interrupted hand-overs.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use protocol::{Digest, RelPath, StepId};

use super::*;

fn path(text: &str) -> RelPath {
    text.parse().unwrap()
}

fn file(text: &str) -> Output {
    let made = Made::File { digest: Digest::of(text.as_bytes()), size: text.len() as u64, exec: false };
    Output { made, stamp: None, step: StepId::new("step") }
}

fn made() -> impl Strategy<Value = Made> {
    prop_oneof![
        (any::<[u8; 32]>(), any::<u64>(), any::<bool>()).prop_map(|(d, size, exec)| Made::File {
            digest: Digest::from_bytes(d),
            size,
            exec
        }),
        "[a-z/.]{1,9}".prop_map(|target| Made::Link(target.as_bytes().into())),
        Just(Made::Folder),
    ]
}

fn output() -> impl Strategy<Value = Output> {
    let stamp = proptest::option::of((any::<u64>(), any::<u64>(), any::<u64>(), any::<i64>(), any::<i64>()));
    (made(), stamp, "[a-c]{1,2}").prop_map(|(made, stamp, step)| Output {
        made,
        stamp: stamp.map(|(dev, ino, size, mtime_ns, ctime_ns)| Stamp { dev, ino, size, mtime_ns, ctime_ns }),
        step: StepId::new(&step),
    })
}

proptest! {
    #[test]
    fn manifests_round_trip(entries in proptest::collection::btree_map("[ab]{1,2}(/[ab-]{1,3}){0,2}", output(), 0..30)) {
        let entries: Vec<_> = entries.into_iter().map(|(p, o)| (path(&p), o)).collect();
        let body = form::encode(&entries);
        prop_assert_eq!(form::decode(&body).unwrap(), entries);
        for cut in 0..body.len() {
            prop_assert!(form::decode(&body[..cut]).is_err());
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(form::decode(&bytes).is_err() || bytes.len() >= 3);
    }

    #[test]
    fn changes_are_those_of_a_map(
        rounds in proptest::collection::vec(
            proptest::collection::vec(("[a-d](/[a-c])?", proptest::option::of(output())), 0..8), 0..5),
    ) {
        let (mut manifest, mut model) = (Manifest::default(), BTreeMap::new());
        for changes in rounds {
            for (p, change) in &changes {
                match change {
                    Some(output) => model.insert(path(p), output.clone()),
                    None => model.remove(&path(p)),
                };
            }
            manifest.apply(changes.into_iter().map(|(p, o)| (path(&p), o)).collect());
            let wanted: Vec<_> = model.clone().into_iter().collect();
            prop_assert_eq!(manifest.entries(), &wanted[..]);
        }
    }
}

#[test]
fn a_damaged_manifest_is_recovered_from_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::open_or_create(dir.path()).unwrap();
    let mut manifest = Manifest::default();
    manifest.apply(vec![(path("a"), Some(file("A"))), (path("b"), Some(file("B")))]);
    manifest.save(&workspace).unwrap();
    fs::write(dir.path().join("a"), "A").unwrap();
    fs::write(dir.path().join("b"), "edited").unwrap();
    assert_eq!(Manifest::load(&workspace).unwrap().entries(), manifest.entries());

    let at = workspace.manifest_path();
    let mut bytes = fs::read(&at).unwrap();
    bytes[20] ^= 1;
    fs::write(&at, bytes).unwrap();
    let error = Manifest::load(&workspace).unwrap_err();
    assert!(matches!(error, WorkspaceError::Damaged { .. }), "{error}");

    let known =
        ["a", "b", "c"].map(|name| (path(name), file(&name.to_uppercase()).made, StepId::new("step")));
    let recovered = Manifest::recover(&workspace, known).unwrap();
    assert_eq!(recovered.differing, [path("b")]);
    assert_eq!(recovered.aside.len(), 1);
    let names: Vec<_> = Manifest::load(&workspace).unwrap().entries().iter().map(|e| e.0.clone()).collect();
    assert_eq!(names, [path("a")]);
}

#[test]
fn intents_are_settled_by_what_stands_there() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::open_or_create(dir.path()).unwrap();
    let mut manifest = Manifest::default();
    manifest.apply(["old", "new", "mine"].map(|n| (path(n), Some(file("1")))).to_vec());
    manifest.save(&workspace).unwrap();
    let names = ["done", "fresh", "mine", "new", "old", "strange"];
    let intended: Vec<_> = names.iter().map(|n| (path(n), file("2"))).collect();
    intents::write(&workspace, &manifest, &intended).unwrap();
    for (name, text) in [("old", "1"), ("new", "2"), ("mine", "edited"), ("done", "2"), ("strange", "mine")] {
        fs::write(dir.path().join(name), text).unwrap();
    }

    let mut settled = Manifest::load(&workspace).unwrap();
    assert!(settled.is_unsaved());
    let made = |name: &str| settled.get(&path(name)).map(|output| output.made.clone());
    assert_eq!(made("old"), Some(file("1").made), "not reached");
    assert_eq!(made("new"), Some(file("2").made), "replaced");
    assert_eq!(made("done"), Some(file("2").made), "written");
    assert_eq!(made("fresh"), None, "not reached");
    assert_eq!(made("mine"), Some(file("1").made), "edited: still differs");
    assert_eq!(made("strange"), Some(file("2").made), "differs: must not be overwritten");

    settled.save(&workspace).unwrap();
    assert!(!workspace.intents_path().exists());
    intents::write(&workspace, &manifest, &intended).unwrap();
    let again = Manifest::load(&workspace).unwrap();
    assert!(!again.is_unsaved(), "intents of an older manifest");
    assert_eq!(again.entries(), settled.entries());
}

/// Prints what loading 100 000 entries costs.
#[test]
#[ignore = "a benchmark"]
fn loading_100_000_entries() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::open_or_create(dir.path()).unwrap();
    let stamp = Stamp { dev: 1, ino: 2, size: 3, mtime_ns: 4, ctime_ns: 5 };
    let entry = |n: u32| {
        let output = Output { stamp: Some(stamp), step: StepId::new(&format!("compile:{n}")), ..file("x") };
        (path(&format!("build/folder-{:04}/object-{:06}.o", n / 100, n)), Some(output))
    };
    let mut manifest = Manifest::default();
    manifest.apply((0..100_000).map(entry).collect());
    for _ in 0..5 {
        let start = std::time::Instant::now();
        manifest.save(&workspace).unwrap();
        let saved = start.elapsed();
        let start = std::time::Instant::now();
        let loaded = Manifest::load(&workspace).unwrap();
        let bytes = fs::metadata(workspace.manifest_path()).unwrap().len();
        println!("save {saved:?}, load {:?}, {bytes} bytes", start.elapsed());
        assert_eq!(loaded.len(), 100_000);
    }
}
