//! `verify`: what is wanted runs once more, and whatever comes out differently is named, with the first byte that differs. It
//! changes nothing.

use crate::common::running::Ended;
use crate::common::{Place, Project};

#[track_caller]
fn verify(project: &Project<'_>, targets: &[&str], code: i32) -> Ended {
    project.ask("verify", targets).code(code)
}

#[test]
fn nothing_differs() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.make]\nrun = 'gcc -c source.c -o made.o'\nout = 'made.o'\n\
         [step.read]\nrun = 'cksum < made.o > sum; date > date'\nout = 'sum'\n",
    );
    project.replace("majordomo.toml", "; date > date", "");
    project.write("source.c", "int made;\n");
    // It builds first, where that has to be.
    let found = verify(&project, &[], 0);
    assert_eq!(found.stdout, "2 steps ran again: nothing differs\n");
    let sum = project.read("sum");
    verify(&project, &[], 0);
    assert_eq!(project.read("sum"), sum);
    project.builds(&[]);
}

#[test]
fn steps_that_go_round_are_run_with_their_own_outputs_when_all_have_settled() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.a]\nrun = 'cat b > was || echo 0 > was; cp was a; rm was'\nout = 'a'\n\
         [step.b]\nrun = 'cat a > b'\nout = 'b'\n",
    );
    assert_eq!(verify(&project, &[], 0).stdout, "2 steps ran again: nothing differs\n");
    // Whoever goes round and goes by what it made itself is found all the same.
    project.replace("majordomo.toml", "cp was a;", "test -e a && echo again >> was; cp was a;");
    let found = verify(&project, &[], 1);
    assert!(
        found.stdout.starts_with("a makes something else when it sees its own outputs"),
        "{}",
        found.stdout
    );
}

const DICE: &str = r#"
[step.dice]
run = "printf 'the same, then ' > dice; od -An -N8 -tx1 /dev/urandom >> dice"
out = "dice"
[step.read]
run = "cat dice > read"
out = "read"
[step.steady]
run = "cp source steady"
out = "steady"
"#;

#[test]
fn a_step_that_makes_other_bytes_each_time() {
    let place = Place::new();
    let project = place.project("p", DICE);
    project.write("source", "1\n");
    project.builds(&["dice", "read", "steady"]);
    let (dice, files) = (project.read("dice"), project.files(""));
    let found = verify(&project, &[], 1);
    assert!(
        found.stdout.starts_with("dice is not deterministic: `dice` differs first at byte "),
        "{}",
        found.stdout
    );
    assert!(found.stdout.ends_with("3 steps ran again: 1 difference\n"), "{}", found.stdout);
    // Nothing of it stays: the first result is what everybody has.
    assert_eq!((project.read("dice"), project.read("read")), (dice.clone(), dice.clone()));
    assert_eq!(project.files(""), files);
    project.builds(&[]);
    project.remove("dice");
    project.builds(&[]);
    assert_eq!(project.read("dice"), dice);
    // One target alone.
    let found = verify(&project, &["steady"], 0);
    assert_eq!(found.stdout, "1 step ran again: nothing differs\n");
    let found = verify(&project, &["read", "--json"], 1).json();
    assert_eq!(found["differences"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["differences"][0]["step"], "dice");
    place.assert_nothing_left();
}

#[test]
fn a_step_that_wants_to_keep_what_it_made() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.log]\nrun = 'cat source >> log'\nout = 'log'\n[step.plain]\nrun = 'cat source > plain'\nout = 'plain'\n",
    );
    project.write("source", "1\n");
    let found = verify(&project, &[], 1);
    assert!(
        found.stdout.starts_with("log makes something else when it sees its own outputs"),
        "{}",
        found.stdout
    );
    assert!(found.stdout.contains("keep") && found.stdout.contains("`log`"), "{}", found.stdout);
    assert!(!found.stdout.contains("plain"), "{}", found.stdout);
    assert_eq!(project.read("log"), "1\n");
}

#[test]
fn what_settles_elsewhere_when_it_begins_from_nothing() {
    let place = Place::new();
    // Whoever comes first decides, for ever; and it says that it notices each edit, which nobody can hold against what it does.
    let project = place.project(
        "p",
        "[step.s]\nrun = 'if [ -e state ]; then cat state > next; cat source > /dev/null; else cat source > next; fi; cat next > state; rm next'\n\
         out = 'state'\nkeep = true\nnotices = 'source'\n",
    );
    project.write("source", "1\n");
    assert_eq!(verify(&project, &[], 0).stdout.lines().last(), Some("1 step ran again: nothing differs"));
    project.write("source", "2\n");
    project.build(&[]).ok();
    assert_eq!(project.read("state"), "1\n");
    let found = verify(&project, &[], 1);
    assert!(
        found.stdout.starts_with("s settles elsewhere when it begins from nothing: `state`"),
        "{}",
        found.stdout
    );
    assert_eq!(project.read("state"), "1\n", "it only says so");
    let cold = project.build(&["--cold"]).ok();
    assert_eq!((cold.ran(), project.read("state")), (vec!["s"], "2\n".into()));
}

#[test]
fn a_build_that_fails_is_not_verified() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat source > made; test -s made'\nout = 'made'\n");
    project.write("source", "");
    let found = verify(&project, &[], 1);
    assert_eq!(found.stdout, "");
    place.assert_nothing_left();
}
