//! Pods on hosts of their own, with a network between them whose cables can be pulled: network namespaces. Needs root.

use super::mesh::{Member, is_announced, joins_so, of};
use crate::common::{Hosts, Place};

const STEPS: &str = "
[step.upper]
run = 'tr a-z A-Z < words > upper'
out = 'upper'

[step.large]
run = 'for i in 1 2 3 4 5 6 7 8; do seq -f \"$(cat words) and %.0f\" 20000; done > large'
out = 'large'
";

/// Starts the pod of a host, which listens at its own address.
fn stands(
    hosts: &Hosts,
    host: usize,
    server: &backplane::server::Server,
    invitation: Option<&str>,
) -> Member {
    let listen = format!("/ip4/{}/tcp/0", hosts.address(host));
    let mut options = vec!["--listen", &listen];
    options.extend(invitation.into_iter().flat_map(|invitation| ["--invite", invitation]));
    joins_so(Place::on(hosts, host), server, ["a", "b", "c"][host], &options)
}

#[test]
fn what_one_host_has_built_another_need_not_build_and_a_pulled_cable_stops_nobody() {
    let Some(hosts) = Hosts::new(3) else { return };
    let ground = Place::new();
    let server = hosts.server(&ground.path().join("nats"), None);
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
    let server = hosts.server(&ground.path().join("nats"), None);
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
