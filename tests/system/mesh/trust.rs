//! Whom a federation lets in, and who is out: bans, and those who come back.

use rustix::process::Signal;
use serde_json::Value;

use super::{
    Member, POLL, POLLS, STEPS, builds_in_the_end, is_announced, joins, joins_so, of, others_of, server, two,
};
use crate::common::place::copy_all;
use crate::common::{Place, Running, Tap};

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

#[test]
fn whose_results_they_were_outlives_the_index() {
    let (_ground, server, a, b) = two();
    let c = joins(Place::new(), &server, "c", Some(&a.invitation()));
    b.sees(&["a", "c"]);
    let there = a.place.project("p", STEPS);
    there.write("words", "by a bad pod\n");
    there.builds(&["twice", "upper"]);
    is_announced(&b, &a);
    let build = |place: &Place| {
        let here = place.project("p", STEPS);
        here.write("words", "by a bad pod\n");
        here.build(&[]).ok().ran().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(build(&b.place), [""; 0]);
    // While it is away the index of its larder is lost, and the pod whose results it has is banned.
    let place = b.stops();
    for entry in std::fs::read_dir(place.home().join("larder")).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().starts_with("index.sqlite") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    assert_eq!(build(&place), [""; 0], "the index was made anew from the objects");
    c.place.pod(&["ban", "a"]).ok();
    misses(&c, "a");
    let b = joins(place, &server, "b", None);
    b.sees(&["c"]);
    builds_in_the_end(&b.place.project("p", STEPS), &["twice", "upper"]);
    [c, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn who_waits_to_be_let_in_can_be_interrupted() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let invitation = a.invitation();
    // Whoever could let it in stands still.
    a.pod.signal(Signal::STOP);
    let mut tap = Tap::new(&server);
    let place = Place::new();
    let waiting = Running::start(place.command("pod", &["join", server.url(), "--invite", &invitation]));
    let mut asked = 0;
    let mut hears = |tap: &mut Tap| {
        asked += tap.overheard().iter().filter(|(subject, _)| subject.ends_with(".join")).count();
        asked
    };
    for _ in 0..POLLS {
        if hears(&mut tap) > 0 {
            break;
        }
        std::thread::sleep(POLL);
    }
    waiting.signal(Signal::INT);
    waiting.end().code(130);
    // It would have asked six times.
    assert!((1..6).contains(&hears(&mut tap)));
    place.assert_nothing_left();
    a.pod.signal(Signal::CONT);
    a.leaves();
}
