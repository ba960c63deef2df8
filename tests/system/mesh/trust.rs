//! Whom a federation lets in, and who is out: bans, and those who come back.

use serde_json::Value;

use super::{Member, joins, joins_so, of, others_of, server, two};
use crate::common::place::copy_all;
use crate::common::{Place, Running};

/// The names of all that a pod sees, its own among them.
fn names(pods: &Value) -> Vec<&str> {
    let mut names: Vec<&str> =
        pods["pods"].as_array().unwrap().iter().map(|pod| pod["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Waits until a pod has forgotten another one.
#[track_caller]
fn misses(pod: &Member, name: &str) {
    pod.waits_until(&format!("`{name}` is out"), |pods| of(pods, name).is_null());
}

/// `pod join` of a home that belongs to a federation: what it says when it is not let in.
fn refused(place: &Place, server: &str, more: &[&str]) -> String {
    let join = [&["join", server][..], more].concat();
    Running::start(place.command("pod", &join)).end().code(2).stderr
}

#[test]
fn a_federation_goes_on_without_its_founder() {
    let (_ground, server, a, b) = two();
    let by_a = a.invitation();
    let c = joins(Place::new(), &server, "c", Some(&b.invitation()));
    b.place.pod(&["ban", "a"]).ok();
    misses(&b, "a");
    // Newcomers come in by each of those who stay, and all see the same.
    let d = joins(Place::new(), &server, "d", Some(&b.invitation()));
    let e = joins(Place::new(), &server, "e", Some(&d.invitation()));
    for pod in [&b, &c, &d, &e] {
        pod.waits_until("all that stay", |pods| {
            names(pods) == ["b", "c", "d", "e"] && others_of(pods).all(|pod| pod["connected"] == true)
        });
    }
    let late = Place::new();
    let said = refused(&late, server.url(), &["--invite", &by_a]);
    assert!(said.contains("the pod that made the invitation was banned"), "{said}");
    b.waits_until("nobody came in by that", |pods| names(pods) == ["b", "c", "d", "e"]);
    // Who was banned is told so when it comes again.
    let place = a.stops();
    let said = refused(&place, server.url(), &["--name", "a"]);
    assert!(said.contains("this pod was banned from the federation"), "{said}");
    let said = refused(&place, server.url(), &["--invite", &b.invitation()]);
    assert!(said.contains("this pod was banned from the federation"), "{said}");
    place.assert_nothing_left();
    [e, d, c, b].into_iter().for_each(Member::leaves);
}

#[test]
fn whom_a_banned_pod_let_in_stays_for_all() {
    let (_ground, server, a, b) = two();
    let c = joins(Place::new(), &server, "c", Some(&b.invitation()));
    a.sees(&["b", "c"]);
    a.place.pod(&["ban", "b"]).ok();
    misses(&a, "b");
    let d = joins(Place::new(), &server, "d", Some(&a.invitation()));
    for pod in [&a, &c, &d] {
        pod.waits_until("all that stay", |pods| {
            names(pods) == ["a", "c", "d"] && others_of(pods).all(|pod| pod["connected"] == true)
        });
    }
    [d, c, a, b].into_iter().for_each(Member::leaves);
}

#[test]
fn a_copy_of_a_home_does_not_join_beside_it() {
    let (_ground, server, a, b) = two();
    let (place, copy) = (b.stops(), Place::new());
    copy_all(place.home(), copy.home());
    let b = joins(place, &server, "b", None);
    let said = refused(&copy, server.url(), &[]);
    assert!(said.contains("another process speaks as this pod"), "{said}");
    a.sees(&["b"]);
    b.leaves();
    // Without the other one it is that pod.
    let b = joins(copy, &server, "b", None);
    a.sees(&["b"]);
    b.leaves();
    a.leaves();
}

#[test]
fn an_invitation_is_read_from_a_file() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let place = Place::new();
    std::fs::write(place.path().join("invitation"), a.invitation()).unwrap();
    let file = format!("@{}", place.path().join("invitation").display());
    let nowhere = refused(&place, server.url(), &["--invite", "@none"]);
    assert!(nowhere.contains("cannot read the invitation"), "{nowhere}");
    let b = joins_so(place, &server, "b", &["--invite", &file]);
    a.sees(&["b"]);
    b.leaves();
    a.leaves();
}

#[test]
fn what_cannot_be_listened_at_founds_nothing_and_no_question_makes_a_home() {
    let ground = Place::new();
    let server = server(&ground);
    let place = Place::new();
    let said = refused(&place, server.url(), &["--listen", "/ip4/8.8.8.8/tcp/1"]);
    assert!(said.contains("cannot listen on `/ip4/8.8.8.8/tcp/1`: "), "{said}");
    assert!(!place.home().join("federation.json").exists());
    let typo = Place::new();
    for question in [&["pods"][..], &["invite"], &["ban", "x"], &["artefacts"], &["leave"]] {
        let said = typo.pod(question).code(2).stderr;
        assert!(said.contains("this pod is in no federation"), "{said}");
        assert!(!typo.home().exists(), "{question:?}");
    }
}
