//! `verify`: everything is run again, and what comes out differently is named; what was there first stays.

use crate::common::Place;

/// A step of each kind that differs, and two that do not.
const PROJECT: &str = r#"
[step.fine]
run = "sort source > fine"
out = "fine"
[step.dice]
run = "echo one; head -c 8 /dev/urandom | od -An -tx1 > dice"
out = "dice"
[step.reads-dice]
run = "cp dice copied"
out = "copied"
[step.counts]
run = "n=$(cat count 2>/dev/null || echo 0); echo $((n + 1)) > count"
out = "count"
[step.turns]
keep = ["turned"]
max_passes = 20
run = "if [ -e turned ]; then cp turned next; else cat source > next; fi; mv next turned"
out = "turned"
"#;

#[test]
fn what_differs_is_named_and_nothing_changes() {
    let place = Place::new();
    let project = place.project("p", PROJECT);
    project.write("source", "b\na\n");
    project.build(&[]).ok();
    let before: Vec<String> =
        ["fine", "dice", "copied", "count", "turned"].iter().map(|path| project.read(path)).collect();

    let report = project.ask("verify", &["--json"]).code(1).json();
    let found: Vec<(&str, &str)> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["step"].as_str().unwrap(), found["differing"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("counts", "own-outputs"), ("dice", "not-deterministic")]);
    let words = report["differences"][0]["words"].as_str().unwrap();
    insta::assert_snapshot!(words, @"`count` differs first at byte 0: `1` and `2`");
    assert_eq!(report["steps"], 5);

    let after: Vec<String> =
        ["fine", "dice", "copied", "count", "turned"].iter().map(|path| project.read(path)).collect();
    assert_eq!(before, after);
    // What verifying ran is remembered by nobody.
    project.builds(&[]);
    insta::assert_snapshot!(project.ask("verify", &["-q", "fine"]).ok().stdout, @"1 step ran again: nothing differs");
    place.assert_nothing_left();
}

#[test]
fn another_end_from_nothing_is_named() {
    let place = Place::new();
    // It goes on from wherever it was, and says that it notices each edit.
    let project = place.project(
        "p",
        "[step.settles]\nkeep = true\nnotices = 'source'\n\
         run = 'if [ -e at ]; then cat source > /dev/null; cat at > new; else cat source > new; fi; mv new at'\nout = 'at'\n",
    );
    project.write("source", "1\n");
    project.build(&[]).ok();
    project.write("source", "2\n");
    project.build(&[]).ok();
    assert_eq!(project.read("at"), "1\n", "it sees what it left, and is content");
    let said = project.ask("verify", &["-q"]).code(1).stdout;
    insta::assert_snapshot!(said, @r"
    settles settles elsewhere when it begins from nothing: `at` differs first at byte 0: `1` and `2`
    1 step ran again: 1 difference
    ");
    assert_eq!(project.read("at"), "1\n");
}

#[test]
fn a_step_that_fails_is_no_difference() {
    let place = Place::new();
    let project = place.project("p", "[step.fails]\nrun = 'test -e source'\n");
    let said = project.ask("verify", &[]).code(1);
    assert!(said.stderr.contains("error: fails failed"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
}
