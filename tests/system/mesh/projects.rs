//! Registered projects: named from any pod, built by the one that has them.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::steps::{alone, contents, wide};
use super::{Member, POLL, POLLS, STEPS, two};
use crate::common::{Built, Project, Running};

/// A project of a pod, registered under its folder's name, of which another pod has heard.
pub fn registered<'p>(at: &'p Member, name: &str, file: &str, heard_by: &Member) -> Project<'p> {
    let project = at.place.project(name, file);
    at.place.majordomo(&["projects", "add", name]).ok();
    knows(heard_by, name);
    project
}

/// Waits until a pod has heard of a project.
#[track_caller]
pub fn knows(pod: &Member, name: &str) {
    pod.waits_until("it has heard of all", |_| names(pod).iter().any(|known| known == name));
}

fn listed(pod: &Member) -> Value {
    pod.place.majordomo(&["projects", "list", "--json"]).ok().json()
}

fn names(pod: &Member) -> Vec<String> {
    let projects = listed(pod);
    let projects = projects["projects"].as_array().unwrap();
    projects.iter().map(|project| project["name"].as_str().unwrap().to_owned()).collect()
}

/// Begins to build by name.
pub fn building(pod: &Member, words: &[&str]) -> Running {
    Running::start(pod.place.command("majordomo", &[&["build", "--events", "-"], words].concat()))
}

fn build(pod: &Member, words: &[&str]) -> Built {
    building(pod, words).built()
}

#[test]
fn a_project_is_built_by_its_name_from_another_pod() {
    let (_ground, _server, a, b) = two();
    let project = registered(&a, "p", STEPS, &b);
    project.write("words", "by name\n");
    let known = &listed(&b)["projects"][0];
    assert_eq!(
        (&known["owner_name"], &known["is_mine"], &known["is_there"]),
        (&"a".into(), &false.into(), &true.into())
    );
    assert_eq!(known["folder"], project.path().to_str().unwrap());
    let targets = b.place.majordomo(&["projects", "targets", "p"]).ok();
    insta::assert_snapshot!(targets.stdout, @r"
      upper  a step
      upper  made by `upper`
      twice  a step
      twice  made by `twice`
    a bare build wants: everything
    ");
    // What is printed comes as it is printed, and what is made stays where it was made.
    let built = build(&b, &["p"]).ok();
    assert_eq!(built.ran(), ["twice", "upper"]);
    assert_eq!(built.output("upper"), ["made upper"]);
    let started = built.events.iter().filter(|event| event["event"] == "step-started");
    assert!(started.clone().count() == 2 && started.clone().all(|event| event["pod"] == "a"));
    assert!(built.said().contains("of the pod `a`; `--out DIR` brings them"), "{}", built.said());
    assert_eq!(project.read("twice"), "BY NAME\n".repeat(2));
    // Where it is wanted it is brought: all, or what a target means.
    assert_eq!(build(&b, &["p", "--out", "got"]).ok().ran(), [""; 0]);
    let got = b.place.bare("got");
    assert_eq!(got.files("."), ["twice", "upper"]);
    assert_eq!(got.read("upper"), "BY NAME\n");
    build(&b, &["project:p", "upper", "--out", "one"]).ok();
    assert_eq!(b.place.bare("one").files("."), ["upper"]);
    // The pod that has it knows it by its name, too.
    assert_eq!(build(&a, &["project:p"]).ok().ran(), [""; 0]);
    // A step that fails fails the build here.
    project.write("majordomo.toml", "[step.bad]\nrun = 'echo no; exit 7'\nout = 'bad'\n");
    let built = build(&b, &["p"]).code(1);
    assert_eq!(built.output("bad"), ["no"]);
    let refused = building(&b, &["p", "nothing"]).end().code(2);
    assert!(refused.stderr.contains("no step makes `nothing`"), "{}", refused.stderr);
    b.leaves();
    a.leaves();
}

#[test]
fn a_name_belongs_to_one_project_until_it_is_given_up() {
    let (_ground, _server, a, b) = two();
    registered(&a, "p", STEPS, &b);
    b.place.project("p", STEPS);
    let refused = b.place.majordomo(&["projects", "add", "p"]).code(2);
    let (ours, theirs) = (b.place.path().join("projects/p"), a.place.path().join("projects/p"));
    for said in [
        "the name `p` is taken by",
        "of the pod `a`",
        ours.to_str().unwrap(),
        theirs.to_str().unwrap(),
        "--name NAME",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    b.place.majordomo(&["projects", "add", "p", "--name", "other"]).ok();
    assert_eq!(names(&b), ["other", "p"]);
    let bad = b.place.majordomo(&["projects", "add", "p", "--name", "a b"]).code(2);
    assert!(bad.stderr.contains("`a b` cannot name a project"), "{}", bad.stderr);
    // Said again it is no other one.
    a.place.majordomo(&["projects", "add", "p"]).ok();
    b.place.majordomo(&["projects", "remove", "p"]).ok();
    b.place.majordomo(&["projects", "add", "p"]).ok();
    assert_eq!(names(&b), ["other", "p"]);
    b.place.majordomo(&["projects", "remove", "p"]).ok();
    let gone = building(&b, &["p"]).end();
    // A folder of that name is there.
    assert_eq!(gone.code, Some(1), "{}", gone.shown());
    let unknown = building(&b, &["project:p"]).end().code(2);
    assert!(unknown.stderr.contains("no project of the federation is called `p`"), "{}", unknown.stderr);
    let unknown = building(&b, &["nowhere"]).end().code(2);
    assert!(
        unknown.stderr.contains("no project of the federation is called `nowhere`"),
        "{}",
        unknown.stderr
    );
    b.leaves();
    a.leaves();
}

#[test]
fn a_build_by_name_ends_when_nobody_wants_it() {
    let (_ground, _server, a, b) = two();
    let project =
        registered(&a, "p", "[step.long]\nrun = 'echo begun; sleep 1000; echo > made'\nout = 'made'\n", &b);
    let mut asked = building(&b, &["p"]);
    asked.wait_for_output("begun");
    asked.signal(Signal::INT);
    let ended = asked.built();
    assert_eq!(ended.ended.code, Some(130), "{}", ended.said());
    assert_eq!(ended.events.last().unwrap()["outcome"], "cancelled");
    // Nor does it hold the workspace any more; and one that dies is heard of, too.
    project.replace("majordomo.toml", "begun", "again");
    let mut asked = building(&b, &["p"]);
    asked.wait_for_output("again");
    asked.signal(Signal::KILL);
    asked.end();
    project.replace("majordomo.toml", "sleep 1000; ", "");
    assert_eq!(project.build(&[]).ok().ran(), ["long"]);
    b.leaves();
    a.leaves();
}

#[test]
fn that_the_pod_is_not_there_is_said() {
    let (_ground, _server, mut a, b) = two();
    let project = registered(&a, "p", "[step.long]\nrun = 'echo begun; sleep 1000'\n", &b);
    let mut asked = building(&b, &["p"]);
    asked.wait_for_output("begun");
    a.pod.signal(Signal::KILL);
    assert!(asked.ends_within(Duration::from_secs(60)), "whoever asked is told");
    let ended = asked.end().code(3);
    assert!(
        ended.stderr.contains("the pod `a`, which has the project `p`, went in the middle of it"),
        "{}",
        ended.stderr
    );
    let absent = building(&b, &["p"]).end().code(3);
    assert!(
        absent.stderr.contains("the pod `a`, which has the project `p`, is not there"),
        "{}",
        absent.stderr
    );
    // It is back, and so is what it has registered.
    project.replace("majordomo.toml", "; sleep 1000", "");
    a.comes_back();
    let back = (0..POLLS).map(|_| {
        std::thread::sleep(POLL);
        building(&b, &["p"]).end()
    });
    let built = Built::new(back.into_iter().find(|ended| ended.code != Some(3)).unwrap()).ok();
    assert_eq!(built.ran(), ["long"]);
    b.leaves();
    a.leaves();
}

#[test]
fn what_is_the_owners_alone_others_do_not_get() {
    let (_ground, _server, a, b) = two();
    let key = a.place.path().join("key");
    std::fs::write(&key, "hush").unwrap();
    let project = registered(
        &a,
        "p",
        &format!(
            "[step.open]
run = 'cat words > open'
out = 'open'
[step.sign]
run = 'cat /run/secrets/KEY > signed'
out = 'signed'
secrets = {{ KEY = '{}' }}
",
            key.display()
        ),
        &b,
    );
    project.write("words", "1\n");
    // What a step with secrets made stays, and that is said.
    let built = build(&b, &["p", "--out", "got"]).ok();
    assert_eq!(b.place.bare("got").files("."), ["open"]);
    assert!(built.said().contains("step `sign` has secrets"), "{}", built.said());
    // How the owner's machine builds, and what of the owner's edits it overwrites, others do not say.
    project.write("open", "mine");
    for option in [&["--take-back"][..], &["--sandbox", "native"]] {
        let refused = building(&b, &[&["p"], option].concat()).end().code(2);
        assert!(
            refused.stderr.contains(&format!("`{}` is the matter of whoever", option[0])),
            "{}",
            refused.stderr
        );
    }
    let refused = building(&b, &["p"]).end().code(2);
    assert!(refused.stderr.contains("`open` was edited"), "{}", refused.stderr);
    assert_eq!(project.read("open"), "mine");
    project.build(&["--take-back"]).ok();
    // Nor is what stands in the folder overwritten; what was brought there before is.
    let got = b.place.bare("got");
    got.write("note", "mine");
    project.write("words", "2\n");
    build(&b, &["p", "--out", "got"]).ok();
    assert_eq!((got.read("open"), got.read("note")), ("2\n".into(), "mine".into()));
    got.write("open", "mine");
    project.write("words", "3\n");
    let refused = building(&b, &["p", "--out", "got"]).end().code(2);
    assert!(refused.stderr.contains("`open` was edited"), "{}", refused.stderr);
    assert_eq!(got.read("open"), "mine");
    let other = b.place.project("other", STEPS);
    let refused = building(&b, &["project:p", "--out", other.path().to_str().unwrap()]).end().code(2);
    assert!(refused.stderr.contains("is a project itself"), "{}", refused.stderr);
    // A file is no place for it, and that is said before anything is built.
    for file in ["words", "words/below"] {
        let file = other.at(file);
        other.write("words", "mine");
        project.write("words", "4\n");
        let refused = building(&b, &["project:p", "--out", file.to_str().unwrap()]).end().code(2);
        assert!(refused.stderr.contains("is no folder"), "{}", refused.shown());
        assert!(!refused.stdout.contains("step-started"), "{}", refused.shown());
    }
    assert_eq!(other.read("words"), "mine");
    b.leaves();
    a.leaves();
}

#[test]
fn two_majordomos_build_one_registered_project_at_once() {
    let (_ground, _server, a, b) = two();
    a.sees(&["b"]);
    b.sees(&["a"]);
    let file = wide(10, "0.2");
    let project = registered(&a, "p", &file, &b);
    project.write("words", "both\n");
    let both = [building(&a, &["p"]), building(&b, &["p", "--out", "got"])].map(|build| build.built().ok());
    let right = alone(&file, &[("words", "both\n")], "out");
    assert_eq!([contents(&project, "out"), contents(&b.place.bare("got"), "out")], [right.clone(), right]);
    // What one of them runs the other one has from it.
    let ran: Vec<&str> = both.iter().flat_map(Built::ran).collect();
    assert_eq!(ran.len(), 10, "{ran:?}");
    for pod in [&a, &b] {
        pod.waits_for_artefacts("each has one owner", |all| {
            let outputs = all.iter().filter(|one| one["path"].as_str().unwrap().starts_with("out/"));
            let of_a = outputs.clone().filter(|one| one["owner_name"] == "a").count();
            (outputs.count(), of_a) == (10, 10)
        });
    }
    [b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn two_homes_build_one_folder_at_once() {
    let (_ground, _server, a, b) = two();
    a.sees(&["b"]);
    b.sees(&["a"]);
    let file = wide(10, "0.2");
    let project = a.place.project("p", &file);
    project.write("words", "both\n");
    let path = project.path().to_str().unwrap();
    let both = [&a, &b].map(|pod| building(pod, &["-p", path])).map(|build| build.built().ok());
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "both\n")], "out"));
    let ran = both.iter().map(|built| built.ran().len()).sum::<usize>();
    assert!((10..=20).contains(&ran), "{ran}");
    // Each of the two is right about it from then on.
    project.write("words", "again\n");
    assert_eq!(building(&b, &["-p", path]).built().ok().ran().len(), 10);
    assert_eq!(building(&a, &["-p", path]).built().ok().ran(), [""; 0]);
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "again\n")], "out"));
    [b, a].into_iter().for_each(Member::leaves);
}
