//! Clocks that are an hour apart, by `libfaketime`, which tells a process another time of day; how fast time goes stays as it is.

use std::process::Command;

use super::steps::{alone, begun_elsewhere, contents, wide};
use super::{Member, STEPS, is_announced, joins, of, server};
use crate::common::clock::{Clock, library};
use crate::common::{Nats, Place, Running};
use crate::owning::owners;

/// A pod joins whose clock is elsewhere.
fn joins_at(
    offset: &str,
    place: Place,
    server: &Nats,
    name: &str,
    invitation: Option<&str>,
) -> Option<Member> {
    let library = library()?;
    let elsewhere = |mut command: Command| {
        command.env("LD_PRELOAD", library).env("FAKETIME", offset).env("NO_FAKE_STAT", "1");
        command
    };
    Some(joins_ruled(elsewhere, place, server, name, invitation))
}

/// A pod joins that goes by another time of day.
fn joins_ruled(
    rules: impl FnOnce(Command) -> Command,
    place: Place,
    server: &Nats,
    name: &str,
    invitation: Option<&str>,
) -> Member {
    let invitation = invitation.into_iter().flat_map(|invitation| ["--invite", invitation]);
    let words: Vec<&str> = ["join", server.url(), "--name", name].into_iter().chain(invitation).collect();
    let mut command = rules(place.command("pod", &words));
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Member { place, pod: Running::standing(command) }
}

fn an_hour_apart(offset: &str) {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let Some(b) = joins_at(offset, Place::new(), &server, "b", Some(&a.invitation())) else {
        return a.leaves();
    };
    a.sees(&["b"]);
    b.sees(&["a"]);
    a.hears_all();
    b.hears_all();
    // Results, steps and artefacts go both ways.
    let file = wide(6, "0.1");
    let project = a.place.project("p", &file);
    project.write("words", "early\n");
    let (full, build) = begun_elsewhere(&a, &project);
    full.ends();
    build.built().ok();
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "early\n")], "out"));
    let there = b.place.project("q", STEPS);
    there.write("words", "late\n");
    there.builds(&["twice", "upper"]);
    is_announced(&a, &b);
    let here = a.place.project("q", STEPS);
    here.write("words", "late\n");
    here.builds(&[]);
    for pod in [&a, &b] {
        pod.waits_for_artefacts("b owns what it has built", |all| {
            ["upper b", "twice b"].iter().all(|one| owners(all).contains(&(*one).to_owned()))
        });
    }
    b.place.pod(&["give", "q/twice", "a"]).ok();
    for pod in [&a, &b] {
        pod.waits_for_artefacts("it is a's", |all| owners(all).contains(&"twice a".to_owned()));
    }
    // The later clock wins nothing: whoever is sent away is out, by whichever clock.
    let (bans, banned) = if offset.starts_with('+') { (&a, "b") } else { (&b, "a") };
    bans.place.pod(&["ban", banned]).ok();
    bans.sees(&[]);
    b.leaves();
    a.leaves();
}

#[test]
fn a_clock_an_hour_ahead() {
    an_hour_apart("+1h");
}

#[test]
fn a_clock_an_hour_behind() {
    an_hour_apart("-1h");
}

#[test]
fn an_old_invitation_is_told_to_be_old() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let hour = a.place.pod(&["invite", "--hours", "1"]).ok().stdout.trim().to_owned();
    let Some(a) = joins_at("+2h", a.stops(), &server, "a", None) else { return };
    let late = Place::new();
    let refused =
        Running::start(late.command("pod", &["join", server.url(), "--invite", &hour])).end().code(2);
    assert!(refused.stderr.contains("the invitation is too old"), "{}", refused.stderr);
    assert!(!late.home().join("federation.json").exists());
    a.leaves();
}

#[test]
fn a_clock_that_is_too_far_away_is_told_on_both_sides() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let Some(b) = joins_at("+2h", Place::new(), &server, "b", Some(&a.invitation())) else {
        return a.leaves();
    };
    for (pod, other, clock) in [(&a, "b", "2 h 0 min ahead of"), (&b, "a", "2 h 0 min behind")] {
        pod.waits_for(&["pods", "--json"], "it says why the other one is not heard", |pods| {
            let trouble = &of(pods, other)["trouble"];
            trouble.as_str().is_some_and(|trouble| trouble.contains(clock))
        });
    }
    b.leaves();
    a.leaves();
}

/// Seconds of five days.
const DAYS: u32 = 5 * 24 * 3600;

#[test]
fn a_pod_comes_back_after_days() {
    let ground = Place::new();
    let server = server(&ground);
    let Some(clock) = Clock::new(ground.path()) else { return };
    let joins = |place, name: &str, invitation: Option<&str>| {
        joins_ruled(|command| clock.rules(command), place, &server, name, invitation)
    };
    let a = joins(Place::new(), "a", None);
    let b = joins(Place::new(), "b", Some(&a.invitation()));
    a.sees(&["b"]);
    let built = |pod: &Member, name: &str, words: &str, ran: &[&str]| {
        let project = pod.place.project(name, STEPS);
        project.write("words", words);
        project.builds(ran);
    };
    let all = ["twice", "upper"];
    built(&b, "early", "of the first day\n", &all);
    is_announced(&a, &b);
    let away = b.stops();
    clock.goes_ahead(DAYS);
    // Meanwhile somebody else comes, and things are made and change hands.
    let c = joins(Place::new(), "c", Some(&a.invitation()));
    a.waits_until("c is heard", |pods| !of(pods, "c")["heard_seconds_ago"].is_null());
    built(&a, "late", "of the last day\n", &all);
    a.waits_for_artefacts("it owns what it has built", |all| owners(all).contains(&"twice a".to_owned()));
    a.place.pod(&["give", "late/twice", "c"]).ok();
    let b = joins(away, "b", None);
    b.sees(&["a", "c"]);
    for pod in [&a, &b, &c] {
        pod.hears_all();
    }
    is_announced(&b, &a);
    let owned = [". a", ". b", "twice b", "twice c", "upper a", "upper b"];
    for pod in [&a, &b, &c] {
        pod.waits_for_artefacts("all know who owns what", |all| {
            let mut known = owners(all);
            known.sort();
            known == owned
        });
    }
    // What was made meanwhile it need not make, and what it had made nobody else.
    built(&b, "late", "of the last day\n", &[]);
    is_announced(&c, &b);
    built(&c, "early", "of the first day\n", &[]);
    for pod in [b, c, a] {
        pod.leaves();
    }
}
