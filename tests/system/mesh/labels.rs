//! Labels: steps that want one run on the pods that have it, and nowhere else.

use super::{is_announced, joins, joins_so, of, server};
use crate::common::Place;

const STEPS: &str = "
[step.drawn]
run = 'tr a-z A-Z < words > drawn'
out = 'drawn'
on = { gpu = 'yes' }

[step.here]
run = 'cat drawn words > here'
out = 'here'
";

#[test]
fn a_step_that_wants_a_label_runs_where_it_is() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let options = ["--label", "gpu=yes", "--invite", &a.invitation()];
    let b = joins_so(Place::new(), &server, "b", &options);
    a.sees(&["b"]);
    b.sees(&["a"]);
    // The first beat of a pod that joins may come before it knows what it offers.
    a.waits_until("its labels are heard", |pods| of(pods, "b")["load"]["labels"]["gpu"] == "yes");
    // All slots of this pod are free.
    let project = a.place.project("p", STEPS);
    project.write("words", "drawn\n");
    let built = project.build(&[]).ok();
    let started = ["drawn", "here"].map(|step| built.started_at(step));
    assert_eq!(started, [["b"], ["here"]], "{}", built.said());
    assert_eq!(project.read("here"), "DRAWN\ndrawn\n");
    // It is about the place, and in no key.
    project.replace("majordomo.toml", "on = { gpu = 'yes' }", "");
    project.builds(&[]);
    // At home it is where it is at home.
    is_announced(&b, &a);
    let there = b.place.project("p", STEPS);
    there.write("words", "drawn at home\n");
    let built = there.build(&["--jobs", "1"]).ok();
    assert_eq!(built.started_on().into_iter().collect::<Vec<_>>(), [("here".to_owned(), 2)]);
    // Nobody has it, or whoever has it may not be given the step: said, and not waited for.
    let lacking = a.place.project("lacking", &STEPS.replace("'yes'", "'no'"));
    lacking.write("words", "never\n");
    let built = lacking.build(&[]).failed();
    assert_eq!(built.ran(), [""; 0]);
    let why = built.failure("drawn");
    assert!(why.contains("only on a pod with `gpu=no`, and none is there"), "{why}");
    let bound = a.place.project("bound", &STEPS.replace("[step.here]", "network = true\n[step.here]"));
    bound.write("words", "never\n");
    let built = bound.build(&[]).failed();
    let why = built.failure("drawn");
    assert!(why.contains("it cannot go to another one"), "{why}");
    b.leaves();
    let built = lacking.build(&[]).failed();
    assert!(built.failure("drawn").contains("none is there"), "{}", built.said());
    a.leaves();
}

#[test]
fn a_pod_alone_has_the_labels_of_its_machine() {
    let place = Place::new();
    let steps = STEPS.replace("gpu = 'yes'", &format!("os = 'linux', arch = '{}'", std::env::consts::ARCH));
    let project = place.project("p", &steps);
    project.write("words", "alone\n");
    project.builds(&["drawn", "here"]);
    let lacking = place.project("lacking", STEPS);
    lacking.write("words", "never\n");
    let built = lacking.build(&[]).failed();
    assert!(built.failure("drawn").contains("only on a pod with `gpu=yes`"), "{}", built.said());
}
