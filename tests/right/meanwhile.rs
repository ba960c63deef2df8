//! T17. Sources edited while a step runs: a step sees one state and no mixture, and what it made is remembered for that state only.

use crate::common::{Gate, Place, Project, Running};

/// It looks at `before`, stands before a gate, and then looks at `after`.
fn gated<'p>(place: &'p Place, gate: &Gate, before: &str, after: &str) -> Project<'p> {
    let gate = gate.command();
    let project = place.project(
        "p",
        &format!(
            "[step.s]\nnetwork = true\nrun = '''\n{{ {before}; }} > one\n{gate}\n{{ {after}; }} > two\n'''\n\
             out = ['one', 'two']\n"
        ),
    );
    project.write("source", "old\n");
    project.write("words/a", "a\n");
    project
}

/// Builds on, letting every step through.
#[track_caller]
fn on(project: &Project<'_>, gate: &Gate, ran: &[&str]) {
    let running: Running = project.start(&[]);
    ran.iter().for_each(|_| gate.arrival().go());
    let built = running.built().ok();
    assert_eq!(built.ran(), ran, "{}", built.said());
}

#[test]
fn t17_a_source_that_was_read_belongs_to_the_next_build() {
    let place = Place::new();
    let gate = Gate::new();
    let project = gated(&place, &gate, "cat source", "cat source");
    let running = project.start(&[]);
    let visitor = gate.arrival();
    project.write("source", "new\n");
    visitor.go();
    let built = running.built().ok();
    assert!(!built.has_restarted(), "{}", built.said());
    // Read twice, and the same both times: never a bit of each.
    assert_eq!((project.read("one"), project.read("two")), ("old\n".into(), "old\n".into()));
    on(&project, &gate, &["s"]);
    assert_eq!((project.read("one"), project.read("two")), ("new\n".into(), "new\n".into()));
    // What was made while the edit came is remembered for what it was made of.
    project.write("source", "old\n");
    on(&project, &gate, &[]);
    assert_eq!((project.read("one"), project.read("two")), ("old\n".into(), "old\n".into()));
}

#[test]
fn t17_an_edit_and_its_undoing_while_a_step_runs() {
    let place = Place::new();
    let gate = Gate::new();
    let project = gated(&place, &gate, "cat source", "cat source");
    let running = project.start(&[]);
    let visitor = gate.arrival();
    project.write("source", "new\n");
    project.write("source", "old\n");
    visitor.go();
    running.built().ok();
    on(&project, &gate, &[]);
    project.write("source", "new\n");
    on(&project, &gate, &["s"]);
    assert_eq!(project.read("one"), "new\n");
}

#[test]
fn t17_names_that_come_and_go_before_they_are_listed() {
    let place = Place::new();
    let gate = Gate::new();
    let project = gated(&place, &gate, "cat source", "ls words; cat words/b || echo no b");
    let running = project.start(&[]);
    let visitor = gate.arrival();
    project.write("words/b", "b\n");
    visitor.go();
    let built = running.built().ok();
    assert!(!built.has_restarted(), "{}", built.said());
    assert_eq!(project.read("two"), "a\nno b\n", "names are those of the snapshot");
    on(&project, &gate, &["s"]);
    assert_eq!(project.read("two"), "a\nb\nb\n");
    project.remove("words/b");
    on(&project, &gate, &[]);
    assert_eq!(project.read("two"), "a\nno b\n");
}

#[test]
fn t17_a_source_not_read_yet_starts_the_build_again() {
    let place = Place::new();
    let gate = Gate::new();
    let project = gated(&place, &gate, "cat words/a", "cat words/a source");
    let running = project.start(&[]);
    let visitor = gate.arrival();
    project.write("source", "newer\n");
    project.write("words/a", "aa\n");
    visitor.go();
    gate.arrival().go();
    let built = running.built().ok();
    assert!(built.has_restarted(), "{}", built.said());
    assert_eq!((project.read("one"), project.read("two")), ("aa\n".into(), "aa\nnewer\n".into()));
    on(&project, &gate, &[]);
    // The mixture that there was for a moment was never stored.
    project.write("words/a", "a\n");
    on(&project, &gate, &["s"]);
    assert_eq!((project.read("one"), project.read("two")), ("a\n".into(), "a\nnewer\n".into()));
}

#[test]
fn t17_a_header_that_shadows_another_one_while_the_compiler_runs() {
    let place = Place::new();
    let gate = Gate::new();
    let project = gated(&place, &gate, "cat first/h 2>/dev/null || cat source", "cat first/h || cat source");
    let running = project.start(&[]);
    let visitor = gate.arrival();
    project.write("first/h", "shadow\n");
    visitor.go();
    running.built().ok();
    assert_eq!((project.read("one"), project.read("two")), ("old\n".into(), "old\n".into()));
    on(&project, &gate, &["s"]);
    assert_eq!((project.read("one"), project.read("two")), ("shadow\n".into(), "shadow\n".into()));
}
