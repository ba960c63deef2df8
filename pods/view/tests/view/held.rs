//! Held look-ups: they wait alone, are answered when their source answers, and never outlive their root.

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

use view::{Flavour, MemorySource, Options};

use crate::stage::{Stage, observed, path};

#[test]
fn a_held_look_up_stops_nothing_else() {
    // Even one session thread is enough, and the same folder may be looked at.
    let one_thread = Options { uid: 0, gid: 0, threads: 1, ..Options::default() };
    let Some(stage) = Stage::with(Flavour::Project, one_thread) else { return };
    let source = Arc::new(MemorySource::new());
    source.file(&path("gen/parser.h"), "made");
    source.file(&path("gen/other.h"), "there");
    source.hold(&path("gen/parser.h"));
    let (root, at) = stage.root(1, source.clone());
    let (_other_root, other_at) = stage.root(2, source.clone());

    let held = thread::spawn({
        let file = at.join("gen/parser.h");
        move || fs::read(file)
    });
    stage.runtime.block_on(source.waiting(&path("gen/parser.h")));
    assert_eq!(fs::read(at.join("gen/other.h")).unwrap(), b"there");
    assert_eq!(fs::read_dir(at.join("gen")).unwrap().count(), 2);
    assert!(fs::metadata(at.join("gen/none.h")).is_err());
    assert!(fs::metadata(other_at.join("gen/none.h")).is_err());
    assert!(!held.is_finished());
    assert!(!observed(&root).contains(&"gen/parser.h probe".to_owned()));

    source.release(&path("gen/parser.h"));
    assert_eq!(held.join().unwrap().unwrap(), b"made");
    assert!(observed(&root).contains(&"gen/parser.h content".to_owned()));
}

#[test]
fn what_a_held_look_up_finds_absent_is_absent() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = Arc::new(MemorySource::new());
    source.hold(&path("never"));
    let (root, at) = stage.root(1, source.clone());
    let held = thread::spawn(move || fs::metadata(at.join("never")));
    stage.runtime.block_on(source.waiting(&path("never")));
    source.release(&path("never"));
    assert_eq!(held.join().unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(observed(&root), ["never probe"]);
}

#[test]
fn removing_a_root_answers_what_is_held_in_it() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = Arc::new(MemorySource::new());
    source.hold(&path("a"));
    source.hold(&path("b"));
    let (root, at) = stage.root(1, source.clone());
    let held: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let at = at.clone();
            thread::spawn(move || fs::metadata(at.join(name)))
        })
        .collect();
    for name in ["a", "b"] {
        stage.runtime.block_on(source.waiting(&path(name)));
    }
    drop(root);
    for held in held {
        assert_eq!(held.join().unwrap().unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    assert_eq!(source.waiting_now(&path("a")), 0);
    assert!(fs::metadata(at.join("new")).is_err());
}

#[test]
fn cancelling_keeps_what_was_observed() {
    let Some(stage) = Stage::new(Flavour::Project) else { return };
    let source = Arc::new(MemorySource::new());
    source.file(&path("seen"), "1");
    source.hold(&path("held"));
    let (root, at) = stage.root(1, source.clone());
    fs::read(at.join("seen")).unwrap();
    let held = thread::spawn({
        let at = at.clone();
        move || fs::metadata(at.join("held"))
    });
    stage.runtime.block_on(source.waiting(&path("held")));
    root.cancel();
    assert!(held.join().unwrap().is_err());
    assert!(fs::metadata(at.join("held")).is_err(), "a new question that would wait is refused, too");
    assert_eq!(observed(&root), ["seen probe", "seen content"]);
    assert_eq!(root.failures().len(), 2);
}
