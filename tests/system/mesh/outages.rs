//! The NATS server goes during a build: for longer than anybody waits for it, and with all that it had stored.

use super::steps::{Full, alone, begun_elsewhere, contents, two, wait_for_processes, wide};
use super::{Member, STEPS, is_announced, joins};
use crate::common::{Nats, Place, Project, Running};
use crate::owning::owners;

/// What is built before the server goes.
fn before<'p>(of: &'p Member) -> Project<'p> {
    let project = of.place.project("before", STEPS);
    project.write("words", "before\n");
    project
}

/// How long each step takes that runs meanwhile, in seconds; so long does no other step of this machine.
fn seconds() -> String {
    format!("2.{:05}", std::process::id() % 100_000)
}

/// What is built while it goes.
fn during<'p>(of: &'p Member) -> Project<'p> {
    let project = of.place.project("p", &wide(3, &seconds()));
    project.write("words", "meanwhile\n");
    project
}

/// A build of which a step runs on b when this returns, and none at home.
fn begun(a: &Member, project: &Project<'_>) -> (Full, Running) {
    let (full, build) = begun_elsewhere(a, project);
    wait_for_processes(&format!("sleep {}", seconds()), |count| count > 0);
    (full, build)
}

/// Its end, as right as if nothing had happened.
fn ends_well((full, build): (Full, Running), project: &Project<'_>) {
    full.ends();
    build.built().ok();
    let right = alone(&wide(3, "0"), &[("words", "meanwhile\n")], "out");
    assert_eq!(contents(project, "out"), right);
}

/// What two pods have built one way or another is known to all, and so is a newcomer.
fn come_together(server: &Nats, a: Member, b: Member) {
    for pod in [&a, &b] {
        pod.waits_until("the server is back", |pods| pods["down"].is_null());
    }
    is_announced(&b, &a);
    is_announced(&a, &b);
    let c = joins(Place::new(), server, "c", Some(&b.invitation()));
    for pod in [&a, &b, &c] {
        pod.waits_until("all see all", |pods| {
            super::others_of(pods).filter(|pod| pod["connected"] == true).count() == 2
        });
    }
    is_announced(&c, &a);
    for pod in [&b, &c] {
        before(pod).builds(&[]);
        during(pod).builds(&[]);
    }
    // Who owns what was forgotten by nobody, and can be changed again.
    let owner = a.place.pod(&["owner", "before/twice", "--json"]).ok().json();
    assert_eq!(owner["artefact"]["is_mine"], true);
    let there = format!("{}:", owner["artefact"]["workspace"].as_str().unwrap());
    a.place.pod(&["give", "before/twice", "b"]).ok();
    for (artefact, is_of) in [("twice", "b"), ("upper", "a"), ("", "a")] {
        let asked = ["owner", &format!("{there}{artefact}"), "--json"];
        for pod in [&a, &b, &c] {
            pod.waits_for(&asked, "all agree", |told| told["artefact"]["owner_name"] == is_of);
        }
    }
    [c, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn a_server_that_is_gone_for_longer_than_anybody_waits() {
    let (_ground, mut server, a, b) = two();
    before(&a).builds(&["twice", "upper"]);
    a.waits_for_artefacts("it owns all", |all| owners(all) == [". a", "twice a", "upper a"]);
    is_announced(&b, &a);
    let invitation = a.invitation();
    let project = during(&a);
    let build = begun(&a, &project);
    server.stops();
    for pod in [&a, &b] {
        pod.waits_until("the server is missed", |pods| !pods["down"].is_null());
    }
    // Nobody comes in; who knows each other serves each other, and builds go on.
    let late = Place::new();
    let join = ["join", server.url(), "--invite", &invitation];
    let refused = Running::start(late.command("pod", &join)).end().code(3);
    assert!(refused.stderr.contains("no NATS server answers"), "{}", refused.stderr);
    before(&b).builds(&[]);
    let own = b.place.project("own", STEPS);
    own.write("words", "without a server\n");
    own.builds(&["twice", "upper"]);
    // What runs on b is waited for as long as anybody waits, which is half a minute, and runs at home then.
    ends_well(build, &project);
    server.comes_back();
    come_together(&server, a, b);
}

#[test]
fn a_server_that_loses_all_that_it_had_stored() {
    let (_ground, mut server, a, b) = two();
    before(&a).builds(&["twice", "upper"]);
    a.waits_for_artefacts("it owns all", |all| owners(all) == [". a", "twice a", "upper a"]);
    is_announced(&b, &a);
    let project = during(&a);
    let build = begun(&a, &project);
    server.comes_back_empty();
    ends_well(build, &project);
    come_together(&server, a, b);
}
