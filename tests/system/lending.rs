//! Chefs that one pod has registered and another uses.

use rustix::process::Signal;

use crate::common::{Clock, Place, Project, Running};
use crate::mesh::{Member, joins, of, server};
use crate::registered::of_the_book;

/// Waits until a pod knows a chef, in this version, or none.
fn knows(pod: &Member, version: Option<&str>) {
    pod.waits_for(&["chef", "list", "--json"], "the chef", |list| {
        let chefs = list["chefs"].as_array().unwrap();
        let found = chefs.iter().find(|chef| chef["name"] == "notes");
        found.and_then(|chef| chef["version"].as_str()) == version
    });
}

/// Registers the chef of the book; the folder that it is in.
fn lends(pod: &Member) -> Project<'_> {
    let tools = pod.place.bare("tools");
    tools.write("notes.py", of_the_book());
    tools.chmod("notes.py", 0o755);
    pod.place.pod(&["chef", "add", tools.at("notes.py").to_str().unwrap()]).ok();
    tools
}

#[test]
fn a_pod_builds_with_a_chef_that_only_another_has_registered() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let tools = lends(&a);
    // It was registered before anybody else was there: a newcomer asks.
    let b = joins(Place::new(), &server, "b", Some(&a.invitation()));
    knows(&b, Some("1.0"));
    let project = b.place.bare("p");
    project.write("one.note", "# One\nfirst\n");
    let built = project.build(&[]).ok();
    assert!(built.ran().contains(&"chef:notes"), "{:?}", built.ran());
    assert_eq!(project.read("site/one.html"), "<h1>One</h1>\nfirst\n");
    let shown = b.place.pod(&["chef", "show", "notes", "--json"]).ok().json();
    assert_eq!(
        shown["chefs"][0]["lent_by"],
        a.pods()["pods"].as_array().unwrap().iter().find(|pod| pod["is_me"] == true).unwrap()["pod"]
    );
    let refused = b.place.pod(&["chef", "remove", "notes"]).code(2);
    assert!(refused.stderr.contains("is lent by another pod"), "{}", refused.stderr);
    // Another version, while both are there; and none.
    tools.write("notes.py", of_the_book().replace("1.0", "1.1"));
    tools.chmod("notes.py", 0o755);
    a.place.pod(&["chef", "add", tools.at("notes.py").to_str().unwrap()]).ok();
    knows(&b, Some("1.1"));
    a.place.pod(&["chef", "remove", "notes"]).ok();
    knows(&b, None);
    drop(project);
    b.leaves();
    drop(tools);
    a.leaves();
}

#[test]
fn what_a_pod_lent_goes_when_its_lease_ends() {
    let ground = Place::new();
    let Some(clock) = Clock::new(ground.path()) else { return };
    let server = server(&ground);
    let mut a = joins(Place::new(), &server, "a", None);
    drop(lends(&a));
    let stands = |place: &Place, words: &[&str]| {
        let mut pod = Running::start(clock.rules(place.command("pod", words)));
        pod.wait_for_talk("the pod stands");
        pod
    };
    let place = Place::new();
    let pod = stands(&place, &["join", server.url(), "--name", "b", "--invite", &a.invitation()]);
    let mut b = Member { place, pod };
    knows(&b, Some("1.0"));
    b.hears_all();
    a.pod.signal(Signal::KILL);
    let is_late = |b: &Member, seconds: u32| {
        clock.goes_ahead(seconds);
        b.waits_until("time has gone by", |pods| {
            of(pods, "a")["heard_seconds_ago"].as_u64().is_some_and(|ago| ago >= seconds.into())
        });
    };
    // A lease of 300 seconds is told again each 100.
    is_late(&b, 190);
    knows(&b, Some("1.0"));
    is_late(&b, 310);
    knows(&b, None);
    // Back again it lends as before.
    a.comes_back();
    knows(&b, Some("1.0"));
    // Who comes back while the other is away hears nothing of it, and what its list says ends as well.
    a.pod.signal(Signal::KILL);
    b.pod.signal(Signal::KILL);
    let again = stands(&b.place, &[]);
    std::mem::replace(&mut b.pod, again).end();
    knows(&b, Some("1.0"));
    clock.goes_ahead(620);
    knows(&b, None);
    a.comes_back();
    knows(&b, Some("1.0"));
    b.leaves();
    a.leaves();
}
