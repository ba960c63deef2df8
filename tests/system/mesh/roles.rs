//! What a pod is in the federation: a *store* runs nothing and gives, a *guest* gives nothing and is not believed.

use std::sync::Arc;
use std::time::Duration;

use backplane::mesh::AskError;
use futures::FutureExt;
use protocol::mesh::NewsAnswer;
use protocol::mesh::run::{RUN, RUN_NEWS, RunAnswer, RunLimits, RunOrder};
use protocol::{Digest, WorkspaceId};

use super::insider::{self, Insider};
use super::steps::{Full, starts_at, wide};
use super::{Member, STEPS, is_announced, joins, joins_so, me, of, two};
use crate::common::Place;

/// A pod that wants to be everything comes in by an invitation for less.
fn joins_as(role: &str, by: &Member, server: &crate::common::Nats) -> Member {
    let invitation = by.place.pod(&["invite", "--role", role]).ok().stdout.trim().to_owned();
    let options = ["--role", "full", "--slots", "8", "--invite", &invitation];
    let pod = joins_so(Place::new(), server, role, &options);
    by.waits_until("it is no more than it was invited to be", |pods| {
        let it = of(pods, role);
        it["role"] == role && it["connected"] == true && it["load"]["slots"] == 0
    });
    pod
}

/// Builds the usual project.
#[track_caller]
fn builds(member: &Member, words: &str, ran: &[&str]) {
    let project = member.place.project("p", STEPS);
    project.write("words", words);
    project.builds(ran);
}

/// What a pod has learned of another one that is gone since a third one gets, or not: which steps that one has to run.
fn from_what_is_left(role: &str, ran: &[&str]) {
    let (_ground, server, a, b) = two();
    b.leaves();
    let kept = joins_as(role, &a, &server);
    builds(&a, "learned\n", &["twice", "upper"]);
    is_announced(&kept, &a);
    builds(&kept, "learned\n", &[]);
    let c = joins(Place::new(), &server, "c", Some(&a.invitation()));
    c.waits_until("it is connected", |pods| of(pods, role)["connected"] == true);
    is_announced(&c, &a);
    a.leaves();
    c.waits_until("the maker is gone", |pods| of(pods, "a")["connected"] == false);
    builds(&c, "learned\n", ran);
    [c, kept].into_iter().for_each(Member::leaves);
}

#[test]
fn a_store_gives_what_it_has() {
    from_what_is_left("store", &[]);
}

#[test]
fn a_guest_gives_nothing() {
    from_what_is_left("guest", &["twice", "upper"]);
}

#[test]
fn neither_runs_anything_and_a_guest_is_not_believed() {
    let (_ground, server, a, b) = two();
    let (guest, store) = (joins_as("guest", &a, &server), joins_as("store", &a, &server));
    a.hears_all();
    // With no slot free at home all goes to the one that runs steps.
    let project = a.place.project("wide", &wide(6, "0.1"));
    project.write("words", "somewhere\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    (0..5).for_each(|_| drop(starts_at(&mut build, "b")));
    full.ends();
    let built = build.built().ok();
    for event in built.events.iter().filter(|event| event["event"] == "step-started") {
        assert!(event["pod"] == "b" || event["pod"] == "here", "{event}");
    }
    // What they have made is made again; what others have made they take.
    for pod in [&guest, &store] {
        builds(pod, "by less than a full member\n", &["twice", "upper"]);
    }
    builds(&a, "by less than a full member\n", &["twice", "upper"]);
    builds(&a, "by a full member\n", &["twice", "upper"]);
    for pod in [&guest, &store] {
        is_announced(pod, &a);
        builds(pod, "by a full member\n", &[]);
    }
    for pod in [&guest, &store] {
        let refused = pod.place.majordomo(&["projects", "add", "p"]).code(2);
        assert!(
            refused.stderr.contains("error: this pod is no full member, and cannot say"),
            "{}",
            refused.shown()
        );
    }
    [store, guest, b, a].into_iter().for_each(Member::leaves);
}

/// What a pod answers to an order of a member of a role, whose program asks nobody whether it may, and when that comes again.
fn answers_to(role: &str) -> [Result<RunAnswer, String>; 2] {
    let (_ground, server, a, b) = two();
    let invitation = a.place.pod(&["invite", "--role", role]).ok().stdout.trim().to_owned();
    let insider = Insider::new(&server, &invitation);
    b.waits_until("it is what it was invited to be", |pods| of(pods, insider::NAME)["role"] == role);
    let it = me(&b.pods())["pod"].as_str().unwrap().parse().unwrap();
    let nothing = Digest::of(b"nothing");
    let order = RunOrder {
        run: 1,
        workspace: WorkspaceId::from_random(7),
        label: String::new(),
        plan: nothing,
        step: 0,
        sources: nothing,
        over: Vec::new(),
        made: Vec::new(),
        ahead: Vec::new(),
        lists: None,
        tool_roots: Vec::new(),
        timeout: None,
        limits: RunLimits::default(),
        may_wait: false,
        memory: None,
    };
    // It never has room for what becomes of it.
    let later = serde_json::to_value(NewsAnswer::Later).unwrap();
    insider.mesh.serve(RUN_NEWS, Arc::new(move |_, _| std::future::ready(Ok(later.clone())).boxed()));
    let answers = [(), ()].map(|()| {
        let asked = insider.mesh.ask::<_, RunAnswer>(&it, RUN, &order, Duration::from_secs(20));
        insider.runtime.block_on(asked).map_err(|error| match error {
            AskError::Refused(why) => why,
            error => panic!("{error}"),
        })
    });
    drop(insider);
    [b, a].into_iter().for_each(Member::leaves);
    answers
}

#[test]
fn nobody_runs_steps_of_those_who_are_not_believed() {
    assert_eq!(answers_to("full"), [Ok(RunAnswer::Accepted), Err("it has that run already".to_owned())]);
    for role in ["store", "guest"] {
        let refused = Err("only full members of the federation may have steps run here".to_owned());
        assert_eq!(answers_to(role), [refused.clone(), refused], "{role}");
    }
}
