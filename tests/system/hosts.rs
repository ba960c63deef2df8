//! Pods on hosts of their own, with a network between them whose cables can be pulled: network namespaces. Needs root.

use rustix::process::Signal;
use serde_json::Value;

use super::mesh::{Member, is_announced, joins_over, joins_so, of, others_of};
use crate::common::{Hosts, Nats, Place, Running};

const STEPS: &str = "
[step.upper]
run = 'tr a-z A-Z < words > upper'
out = 'upper'

[step.large]
run = 'for i in 1 2 3 4 5 6 7 8; do seq -f \"$(cat words) and %.0f\" 20000; done > large'
out = 'large'
";

/// Starts the pod of a host, which listens at its own address.
fn stands(hosts: &Hosts, host: usize, server: &Nats, invitation: Option<&str>) -> Member {
    let listen = format!("/ip4/{}/tcp/0", hosts.address(host));
    let mut options = vec!["--listen", &listen];
    options.extend(invitation.into_iter().flat_map(|invitation| ["--invite", invitation]));
    joins_so(Place::on(hosts, host), server, ["a", "b", "c"][host], &options)
}

#[test]
fn what_one_host_has_built_another_need_not_build_and_a_pulled_cable_stops_nobody() {
    let Some(hosts) = Hosts::new(3) else { return };
    let ground = Place::new();
    let server = hosts.server(&ground.path().join("nats"));
    let a = stands(&hosts, 0, &server, None);
    let b = stands(&hosts, 1, &server, Some(&a.invitation()));
    let c = stands(&hosts, 2, &server, Some(&a.invitation()));
    a.sees(&["b", "c"]);
    b.sees(&["a", "c"]);
    let there = a.place.project("p", STEPS);
    there.write("words", "once\n");
    there.builds(&["large", "upper"]);
    is_announced(&b, &a);
    let here = b.place.project("p", STEPS);
    here.write("words", "once\n");
    here.builds(&[]);
    assert_eq!(here.read("large"), there.read("large"));

    // Cut off it builds as ever, and the others do not miss it for long.
    hosts.unplug(1);
    here.write("words", "alone\n");
    here.builds(&["large", "upper"]);
    a.waits_until("`b` is missed", |pods| of(pods, "b")["connected"] == false);
    there.write("words", "without b\n");
    there.builds(&["large", "upper"]);
    is_announced(&c, &a);
    let third = c.place.project("p", STEPS);
    third.write("words", "without b\n");
    third.builds(&[]);

    // Back again it learns what it has missed, and they learn what it did meanwhile.
    hosts.plug(1);
    b.sees(&["a", "c"]);
    is_announced(&b, &a);
    is_announced(&a, &b);
    here.write("words", "without b\n");
    here.builds(&[]);
    there.write("words", "alone\n");
    there.builds(&[]);
    [c, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn what_two_cannot_send_each_other_a_third_one_passes_on() {
    let Some(hosts) = Hosts::new(3) else { return };
    let ground = Place::new();
    let server = hosts.server(&ground.path().join("nats"));
    hosts.part(0, 2);
    let a = stands(&hosts, 0, &server, None);
    let b = stands(&hosts, 1, &server, Some(&a.invitation()));
    let c = stands(&hosts, 2, &server, Some(&a.invitation()));
    a.waits_until("`b` is reached, and `c` through it", |pods| {
        of(pods, "b")["connected"] == true && of(pods, "c")["name"] == "c"
    });
    c.waits_until("`a` is named as out of reach", |pods| {
        of(pods, "b")["connected"] == true && of(pods, "a")["connected"] == false
    });
    let said = c.place.pod(&["pods"]).ok().stdout;
    assert!(said.contains("cannot be reached from here"), "{said}");
    let there = a.place.project("p", STEPS);
    there.write("words", "by a third one\n");
    there.builds(&["large", "upper"]);
    is_announced(&c, &a);
    let here = c.place.project("p", STEPS);
    here.write("words", "by a third one\n");
    here.builds(&[]);
    assert_eq!(here.read("large"), there.read("large"));
    [c, b, a].into_iter().for_each(Member::leaves);
}

/// Who owns the artefact that is handed over in these tests, as a pod knows it; none while it is promised.
fn owner(artefacts: &[Value]) -> Option<&str> {
    let one = artefacts.iter().find(|one| one["path"] == "upper")?;
    one["promised_to"].is_null().then(|| one["owner_name"].as_str().unwrap())
}

/// Three hosts; the first has built, and has promised one of its artefacts to the second, which stands still.
fn promised(hosts: &Hosts, ground: &Place) -> (Nats, [Member; 3], Running) {
    let server = hosts.server(&ground.path().join("nats"));
    let a = stands(hosts, 0, &server, None);
    let b = stands(hosts, 1, &server, Some(&a.invitation()));
    let c = stands(hosts, 2, &server, Some(&a.invitation()));
    a.sees(&["b", "c"]);
    b.sees(&["a", "c"]);
    let project = a.place.project("p", STEPS);
    project.write("words", "to be given\n");
    project.builds(&["large", "upper"]);
    for pod in [&a, &b, &c] {
        pod.waits_for_artefacts("the builder owns all", |all| owner(all) == Some("a"));
    }
    c.place.pod(&["pull", "p:upper"]).ok();
    b.pod.signal(Signal::STOP);
    let giving = Running::start(a.place.command("pod", &["give", "p:upper", "b"]));
    a.waits_for_artefacts("it is promised", |all| owner(all).is_none());
    (server, [a, b, c], giving)
}

#[test]
fn a_receiver_that_is_cut_off_in_a_hand_over_gets_nothing() {
    let Some(hosts) = Hosts::new(3) else { return };
    let ground = Place::new();
    let (_server, [a, b, c], giving) = promised(&hosts, &ground);
    hosts.unplug(1);
    b.pod.signal(Signal::CONT);
    // It is given up, and what was promised to it taken back: by the log, which it cannot reach.
    let ended = giving.end().code(3);
    assert!(ended.stderr.contains("it was not taken, and stays here"), "{}", ended.stderr);
    for pod in [&a, &c] {
        pod.waits_for_artefacts("it was taken back", |all| owner(all) == Some("a"));
    }
    hosts.plug(1);
    for pod in [&a, &b, &c] {
        pod.waits_until("all see all", |pods| {
            others_of(pods).filter(|pod| pod["connected"] == true).count() == 2
        });
        pod.waits_for_artefacts("it is still the first one's", |all| owner(all) == Some("a"));
    }
    // And goes over when it is given again.
    a.place.pod(&["give", "p:upper", "b"]).ok();
    for pod in [&a, &b, &c] {
        pod.waits_for_artefacts("it is the other's", |all| owner(all) == Some("b"));
    }
    [c, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn an_owner_that_is_cut_off_in_a_hand_over_has_given_it() {
    let Some(hosts) = Hosts::new(3) else { return };
    let ground = Place::new();
    let (_server, [a, b, c], giving) = promised(&hosts, &ground);
    hosts.unplug(0);
    b.pod.signal(Signal::CONT);
    // The bytes come from whoever has them, and the promise stands in the log: it is accepted without the one that gave it.
    for pod in [&b, &c] {
        pod.waits_for_artefacts("it is the other's", |all| owner(all) == Some("b"));
    }
    hosts.plug(0);
    for pod in [&a, &b, &c] {
        pod.waits_for_artefacts("it is the other's", |all| owner(all) == Some("b"));
    }
    // Whoever asked is told, one way or the other.
    drop(giving.end());
    let refused = a.place.pod(&["give", "p:upper", "c"]).code(2);
    assert!(refused.stderr.contains("this pod does not own it"), "{}", refused.stderr);
    [c, b, a].into_iter().for_each(Member::leaves);
}

#[test]
fn pods_that_nobody_told_of_each_other_find_each_other_on_the_local_network() {
    let Some(hosts) = Hosts::new(2) else { return };
    let ground = Place::new();
    let mut server = hosts.server(&ground.path().join("nats"));
    let server_url = server.url().to_owned();
    let stands_at = |place: Place, host: usize, port: &str, options: &[&str]| {
        let listen = format!("/ip4/{}/tcp/{port}", hosts.address(host));
        let options = [&["--listen", &listen][..], options].concat();
        joins_over(place, &server_url, ["a", "b"][host], &options)
    };
    let a = stands_at(Place::on(&hosts, 0), 0, "4801", &["--mdns"]);
    let b = stands_at(Place::on(&hosts, 1), 1, "4801", &["--mdns", "--invite", &a.invitation()]);
    a.sees(&["b"]);
    b.sees(&["a"]);
    // The server is away, and so nobody hears where they listen from now on.
    let places = [a.stops(), b.stops()];
    server.stops();
    let mut hosts_of = [0, 1].into_iter();
    let [a, b] = places.map(|place| stands_at(place, hosts_of.next().unwrap(), "4802", &[]));
    for (pod, other) in [(&a, "b"), (&b, "a")] {
        pod.waits_until("it has found the other one", |pods| {
            assert!(!pods["down"].is_null(), "the server is back");
            of(pods, other)["connected"] == true
        });
    }
    [b, a].into_iter().for_each(Member::leaves);
}
