//! Who owns what builds make: claims, questions, gifts, and hand-overs that somebody dies in.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Nats, Place, Running};
use crate::mesh::{Member, STEPS, joins, server};

/// Which artefacts there are, and whose: `path owner`.
pub fn owners(artefacts: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    artefacts.iter().map(|one| format!("{} {}", text(&one["path"]), text(&one["owner_name"]))).collect()
}

/// Two pods, and a project that the first has built.
fn two(server: &Nats) -> (Member, Member) {
    let a = joins(Place::new(), server, "a", None);
    let b = joins(Place::new(), server, "b", Some(&a.invitation()));
    a.sees(&["b"]);
    b.sees(&["a"]);
    let project = a.place.project("p", STEPS);
    project.write("words", "to be owned\n");
    assert_eq!(project.build(&[]).ok().ran(), ["twice", "upper"]);
    for pod in [&a, &b] {
        pod.waits_for_artefacts("the builder owns all", |all| owners(all) == [". a", "twice a", "upper a"]);
    }
    (a, b)
}

#[test]
fn what_has_just_been_built_can_be_given_at_once() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let b = joins(Place::new(), &server, "b", Some(&a.invitation()));
    a.sees(&["b"]);
    let project =
        a.place.project("p", "[step.big]\nrun = 'head -c 100000000 /dev/urandom > big'\nout = 'big'\n");
    project.build(&[]).ok();
    let given = a.place.pod(&["give", "p/big", "b", "--json"]).ok().json();
    assert_eq!(given["artefact"]["owner_name"], "b");
    b.leaves();
    a.leaves();
}

#[test]
fn what_a_pod_has_built_is_its_own_until_it_gives_it_away() {
    let ground = Place::new();
    let server = server(&ground);
    let (a, b) = two(&server);
    // By a path on this machine, and by its name in the federation.
    let here = a.place.pod(&["owner", "p/upper", "--json"]).ok().json();
    let there = b.place.pod(&["owner", "p:upper", "--json"]).ok().json();
    assert_eq!((&here["artefact"]["is_mine"], &there["artefact"]["is_mine"]), (&true.into(), &false.into()));
    assert_eq!(here["file"]["digest"], there["file"]["digest"]);
    assert_eq!(there["file"]["holder_names"], serde_json::json!(["a"]));
    assert_eq!(here["artefact"]["label"], "p: upper");
    assert_eq!(b.place.pod(&["owner", "p:", "--json"]).ok().json()["artefact"]["is_sources"], true);
    assert_eq!(b.place.pod(&["owner", "p:words", "--json"]).ok().json()["file"]["bytes"], 12);
    // Bytes come; the owner stays.
    let pulled = b.place.pod(&["pull", "p:upper", "--json"]).ok().json();
    assert_eq!((&pulled["files"], &pulled["bytes"]), (&1.into(), &12.into()));
    assert_eq!(b.pods()["pods"].as_array().unwrap().iter().filter(|pod| pod["received"] != 0).count(), 1);
    assert_eq!(pulled["artefact"]["owner_name"], "a");
    // What is given is the other's, and only it can give it away.
    let given = a.place.pod(&["give", "p/twice", "b", "--json"]).ok().json();
    assert_eq!(given["artefact"]["owner_name"], "b");
    b.waits_for_artefacts("it was given one", |all| owners(all) == [". a", "twice b", "upper a"]);
    let refused = a.place.pod(&["give", "p:twice", "b"]).code(2);
    assert!(refused.stderr.contains("this pod does not own it"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`b` does"), "{}", refused.stderr);
    // Who leaves hands over what it has.
    a.place.pod(&["leave"]).ok();
    a.pod.end();
    b.waits_for_artefacts("all is its own", |all| owners(all) == [". b", "twice b", "upper b"]);
    let pulled = b.place.pod(&["pull", "p:", "--json"]).ok().json();
    assert_eq!(pulled["files"], 1, "the source came with its owner's leave");
    b.leaves();
}

#[test]
fn copies_leave_the_owner_and_are_brought_up_to_date() {
    let ground = Place::new();
    let server = server(&ground);
    let (a, b) = two(&server);
    let refresh = |code: i32| b.place.pod(&["pull", "--refresh", "--json"]).code(code).json();
    assert_eq!(
        (refresh(0)["pulled"].clone(), refresh(0)["up_to_date"].clone()),
        (serde_json::json!([]), 0.into())
    );
    b.place.pod(&["pull", "p:upper"]).ok();
    let copied = a.place.pod(&["give", "--copy", "p/twice", "b", "--json"]).ok().json();
    assert_eq!(copied["artefact"]["owner_name"], "a");
    for path in ["p:upper", "p:twice"] {
        let held = b.place.pod(&["owner", path, "--json"]).ok().json();
        let mut holders = held["file"]["holder_names"].as_array().unwrap().clone();
        holders.sort_by_key(ToString::to_string);
        assert_eq!((&held["artefact"]["owner_name"], holders), (&"a".into(), vec!["a".into(), "b".into()]));
    }
    // Nothing comes by itself, and all that was pulled on request.
    let all = b.place.pod(&["artefacts", "--json"]).ok().json();
    let before: Vec<Value> =
        all["artefacts"].as_array().unwrap().iter().map(|one| one["digest"].clone()).collect();
    let project = a.place.project("p", STEPS);
    project.write("words", "to be owned anew\n");
    assert_eq!(project.build(&[]).ok().ran(), ["twice", "upper"]);
    b.waits_for_artefacts("all is claimed anew", |all| {
        all.len() == before.len() && all.iter().all(|one| !before.contains(&one["digest"]))
    });
    let came = refresh(0);
    let paths: Vec<_> =
        came["pulled"].as_array().unwrap().iter().map(|one| one["artefact"]["path"].clone()).collect();
    assert_eq!((paths, &came["up_to_date"]), (vec!["twice".into(), "upper".into()], &0.into()));
    assert_eq!(refresh(0)["up_to_date"], 2);
    // The bytes are here, whoever goes.
    let a = a.stops();
    b.place.pod(&["pull", "p:twice"]).ok();
    b.place.pod(&["pull", "p:"]).code(3);
    drop(a);
    b.leaves();
}

#[test]
fn what_was_built_alone_is_claimed_by_a_build_that_has_nothing_to_do() {
    let ground = Place::new();
    let server = server(&ground);
    let place = Place::new();
    let project = place.project("p", STEPS);
    project.write("words", "early\n");
    assert_eq!(project.build(&[]).ok().ran(), ["twice", "upper"]);
    drop(project);
    let a = joins(place, &server, "a", None);
    assert_eq!(
        owners(a.place.pod(&["artefacts", "--json"]).ok().json()["artefacts"].as_array().unwrap()),
        [""; 0]
    );
    a.place.majordomo(&["build", "p"]).ok();
    a.waits_for_artefacts("it owns all", |all| owners(all) == [". a", "twice a", "upper a"]);
    a.leaves();
}

/// A hand-over that has begun: promised by the log, and the receiver stands still.
fn begun(a: &Member, b: &Member) -> Running {
    b.pod.signal(Signal::STOP);
    let giving = Running::start(a.place.command("pod", &["give", "p:upper", "b"]));
    a.waits_for_artefacts("it is promised", |all| all.iter().any(|one| !one["promised_to"].is_null()));
    giving
}

#[test]
fn who_is_interrupted_while_it_hands_over_stays() {
    let ground = Place::new();
    let server = server(&ground);
    let (a, b) = two(&server);
    b.pod.signal(Signal::STOP);
    let leaving = Running::start(a.place.command("pod", &["leave"]));
    // Nothing waits for anything else.
    a.waits_for_artefacts("all is promised", |all| all.iter().all(|one| !one["promised_to"].is_null()));
    leaving.signal(Signal::INT);
    leaving.end().code(130);
    b.pod.signal(Signal::CONT);
    a.waits_for_artefacts("all is settled", |all| all.iter().all(|one| one["promised_to"].is_null()));
    a.sees(&["b"]);
    b.leaves();
    a.leaves();
}

fn is_settled(all: &[Value]) -> bool {
    owners(all) == [". a", "twice a", "upper b"] && all.iter().all(|one| one["promised_to"].is_null())
}

#[test]
fn a_receiver_that_dies_takes_it_when_it_is_back() {
    let ground = Place::new();
    let server = server(&ground);
    let (a, mut b) = two(&server);
    let giving = begun(&a, &b);
    b.comes_back();
    giving.end().ok();
    a.waits_for_artefacts("it is the other's", is_settled);
    b.waits_for_artefacts("it is its own", is_settled);
    b.leaves();
    a.leaves();
}

#[test]
fn an_owner_that_dies_sees_it_through_when_it_is_back() {
    let ground = Place::new();
    let server = server(&ground);
    let (mut a, b) = two(&server);
    let mut giving = begun(&a, &b);
    a.comes_back();
    assert!(giving.ends_within(Duration::from_secs(60)), "whoever asked is told");
    assert_ne!(giving.end().code, Some(0));
    b.pod.signal(Signal::CONT);
    b.waits_for_artefacts("it is its own", is_settled);
    a.waits_for_artefacts("it is the other's", is_settled);
    b.leaves();
    a.leaves();
}

#[test]
fn mistakes_are_told() {
    let ground = Place::new();
    let server = server(&ground);
    let (a, b) = two(&server);
    for (words, said) in [
        (vec!["owner", "nowhere"], "`nowhere` is in no project that was built"),
        (vec!["owner", "p/words-that-are-not-there"], "nobody owns `p/words-that-are-not-there`"),
        (vec!["owner", "q:x"], "no project of the federation is called `q`"),
        (vec!["owner", "p:../x"], "has an empty, `.` or `..` part"),
        (vec!["give", "p:upper", "nobody"], "no pod of the federation is called `nobody`"),
        (vec!["pull", "p:nothing"], "nobody owns `p:nothing`"),
    ] {
        let refused = a.place.pod(&words).code(2);
        assert!(refused.stderr.contains(said), "{words:?}: {}", refused.stderr);
    }
    b.leaves();
    // Nobody is there who could take it.
    let stays = a.place.pod(&["leave"]).code(2);
    assert!(stays.stderr.contains("this pod owns 3 artefacts that nobody took"), "{}", stays.stderr);
    assert_eq!(a.pods()["pods"].as_array().unwrap().len(), 2, "it has not left");
    let left = a.place.pod(&["leave", "--anyway", "--json"]).ok().json();
    assert_eq!(left["kept"], 3);
    a.pod.end();
}
