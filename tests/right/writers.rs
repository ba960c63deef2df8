//! T7. Two steps that write one path: without an order it is an error unless they write the same; with one it is a later version.

use crate::common::{Place, Project};

#[test]
fn t7_unordered_writers_of_different_bytes_are_named_both() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.left]\nrun = 'mkdir -p made; cat one > made/both; cp one made/left'\n\
         [step.right]\nrun = 'mkdir -p made; cat two > made/both; cp two made/right'\n",
    );
    project.write("one", "1\n");
    project.write("two", "2\n");
    for arguments in [&[][..], &["-j1"], &["--cold"]] {
        let clash = project.build(arguments).failed();
        let said = clash.said();
        for named in ["left", "right", "made/both"] {
            assert!(said.contains(&format!("`{named}`")), "no `{named}` in {said}");
        }
        assert!(!project.has("made/both"), "nobody's version is handed over");
    }
    // Equal bytes clash with nobody.
    project.write("two", "1\n");
    project.build(&[]).ok();
    assert_eq!((project.read("made/both"), project.read("made/right")), ("1\n".into(), "1\n".into()));
    project.builds(&[]);
    project.write("two", "3\n");
    project.build(&[]).failed();
    project.write("one", "3\n");
    project.builds(&["left"]);
    assert_eq!(project.read("made/both"), "3\n");
}

#[test]
fn t7_promises_that_clash_are_seen_before_anything_runs() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.left]\nrun = 'echo 1 > both'\nout = 'both'\n[step.right]\nrun = 'echo 1 > both'\nout = 'both'\n",
    );
    let clash = project.build(&[]).code(2);
    assert!(clash.ran().is_empty());
    assert!(clash.said().contains("left") && clash.said().contains("right"), "{}", clash.said());
}

/// `draft` writes `text`, `stamp` appends to it, `sign` appends to it again; readers stand before, between and behind.
const VERSIONS: &str = r#"
[step.draft]
run = "cat source > text"
out = "text"
[step.stamp]
run = "echo stamped >> text"
after = "draft"
[step.sign]
run = "cat signature >> text"
after = "stamp"
[step.of-draft]
run = "cat text > of-draft"
out = "of-draft"
after = "draft"
[step.of-stamp]
run = "cat text > of-stamp"
out = "of-stamp"
after = "stamp"
[step.of-sign]
run = "cat text > of-sign"
out = "of-sign"
after = "sign"
"#;

/// What the three readers saw, and what the user has.
fn versions(project: &Project<'_>) -> [String; 4] {
    ["of-draft", "of-stamp", "of-sign", "text"].map(|path| project.read(path).replace('\n', " "))
}

#[test]
fn t7_ordered_writers_make_versions() {
    let place = Place::new();
    let project = place.project("p", VERSIONS);
    project.write("source", "one\n");
    project.write("signature", "me\n");
    project.builds(&["draft", "of-draft", "of-sign", "of-stamp", "sign", "stamp"]);
    assert_eq!(versions(&project), ["one ", "one stamped ", "one stamped me ", "one stamped me "]);
    project.builds(&[]);
    // Only what is behind the last writer is concerned.
    project.write("signature", "you\n");
    project.builds(&["of-sign", "sign"]);
    assert_eq!(versions(&project), ["one ", "one stamped ", "one stamped you ", "one stamped you "]);
    project.write("source", "two\n");
    project.builds(&["draft", "of-draft", "of-sign", "of-stamp", "sign", "stamp"]);
    assert_eq!(versions(&project), ["two ", "two stamped ", "two stamped you ", "two stamped you "]);
    project.write("source", "one\n");
    project.builds(&[]);
    assert_eq!(versions(&project), ["one ", "one stamped ", "one stamped you ", "one stamped you "]);
    // The user's version is the last one, also when it is written again.
    project.remove("text");
    assert_eq!(project.builds(&[]).count("written"), 1);
    assert_eq!(project.read("text"), "one\nstamped\nyou\n");
}

#[test]
fn t7_a_later_writer_that_leaves_goes_back_to_the_version_before() {
    let place = Place::new();
    let project = place.project("p", VERSIONS);
    project.write("source", "one\n");
    project.write("signature", "me\n");
    project.build(&[]).ok();
    project.replace("majordomo.toml", "cat signature >> text", "true");
    project.builds(&["of-sign", "sign"]);
    assert_eq!(versions(&project), ["one ", "one stamped ", "one stamped ", "one stamped "]);
    // One that writes the same bytes makes no version of its own.
    project.replace("majordomo.toml", "echo stamped >> text", "cat text > t; cat t > text; rm t");
    project.builds(&["of-sign", "of-stamp", "stamp"]);
    assert_eq!(versions(&project), ["one ", "one ", "one ", "one "]);
}
