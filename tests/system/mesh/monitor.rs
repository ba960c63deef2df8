//! Builds that are followed from another pod.

use rustix::process::Signal;

use super::projects::registered;
use super::{Member, STEPS, two};
use crate::common::Running;

fn follows(pod: &Member, words: &[&str]) -> Running {
    Running::start(pod.place.command("majordomo", &[&["monitor", "--json"], words].concat()))
}

#[test]
fn the_builds_of_a_project_are_followed_from_anywhere() {
    let (_ground, _server, a, b) = two();
    let project = registered(&a, "p", STEPS, &b);
    project.write("words", "one\n");
    let never = follows(&b, &["p", "--once"]).end().code(2);
    assert!(never.stderr.contains("no build of this project was written down"), "{}", never.stderr);
    // As it is built, whoever builds it.
    let mut live = follows(&b, &["p"]);
    project.build(&[]).ok();
    live.wait_for_output("made upper");
    live.wait_for(|event| event["event"] == "build-finished" && event["ran"] == 2);
    project.write("words", "two\n");
    project.build(&["upper"]).ok();
    live.wait_for_output("made upper");
    live.wait_for(|event| event["event"] == "build-finished" && event["ran"] == 1);
    live.signal(Signal::INT);
    assert_eq!(live.end().code, Some(130));
    // And afterwards, from its beginning.
    project.build(&[]).ok();
    let again = follows(&b, &["p", "--once"]).end().ok();
    let steps = |text: &str| {
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let mut steps: Vec<String> =
            events.filter_map(|event| event["step"].as_str().map(str::to_owned)).collect();
        steps.dedup();
        steps
    };
    assert!(again.stdout.starts_with("{\"at\":"), "{}", again.stdout);
    assert_eq!(steps(&again.stdout), ["upper", "twice"]);
    assert_eq!(steps(&follows(&b, &["p", "twice", "--once"]).end().ok().stdout), ["twice"]);
    // In words, and by its folder at home.
    let shown = a.place.majordomo(&["monitor", "p", "--once"]).ok();
    assert!(shown.stderr.contains("built in"), "{}", shown.stderr);
    // How it ended is the exit code.
    project.write("majordomo.toml", "[step.bad]\nrun = 'echo no; exit 7'\n");
    project.build(&[]).code(1);
    let bad = b.place.majordomo(&["monitor", "p", "--once"]).code(1);
    assert!(bad.stderr.contains("bad failed: exit code 7"), "{}", bad.stderr);
    // A look leaves it there, whoever looks.
    project.build(&["--dry-run"]).ok();
    b.place.majordomo(&["build", "p", "--dry-run"]).ok();
    b.place.majordomo(&["monitor", "p", "--once"]).code(1);
    project.write("majordomo.toml", STEPS);
    project.build(&["nothing"]).code(2);
    let refused = b.place.majordomo(&["monitor", "p", "--once"]).code(2);
    assert!(refused.stderr.contains("no step makes `nothing`"), "{}", refused.stderr);
    b.leaves();
    a.leaves();
}

#[test]
fn who_follows_is_told_that_the_pod_goes() {
    let (_ground, _server, mut a, b) = two();
    let project = registered(&a, "p", "[step.long]\nrun = 'echo begun; sleep 1000'\n", &b);
    let build = project.start(&[]);
    let mut live = follows(&b, &["p"]);
    live.wait_for_output("begun");
    a.pod.signal(Signal::KILL);
    let ended = live.end().code(3);
    assert!(ended.stderr.contains("the pod `a`, which has the project `p`, went"), "{}", ended.stderr);
    drop(build);
    // What it had said is still there, and that it has no end.
    a.comes_back();
    let said = a.place.majordomo(&["monitor", "project:p", "--once"]).code(3);
    assert!(said.stderr.contains("its pod was killed in the middle of it"), "{}", said.stderr);
    b.leaves();
    a.leaves();
}
