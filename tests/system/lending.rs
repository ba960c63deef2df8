//! Chefs that one pod has registered and another uses.

use rustix::process::Signal;

use crate::chefs::shown_file;
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
    // Nobody here has said that it may be asked.
    let unasked = project.build(&[]).code(2);
    assert!(!unasked.said().contains("`notes`"), "{}", unasked.said());
    project.write("majordomo.toml", "[project]\nchef = 'notes'\n");
    let built = project.build(&[]).ok();
    assert!(built.ran().contains(&"chef:notes"), "{:?}", built.ran());
    assert_eq!(project.read("site/one.html"), "<h1>One</h1>\nfirst\n");
    project.remove("majordomo.toml");
    b.place.pod(&["chef", "enable", "notes"]).ok();
    project.write("one.note", "# One\nsecond\n");
    project.build(&[]).ok();
    assert_eq!(project.read("site/one.html"), "<h1>One</h1>\nsecond\n");
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
    let stands = |place: &Place, words: &[&str]| Running::standing(clock.rules(place.command("pod", words)));
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

/// A chef that knows every project best, and plans a step with more than it needs.
fn greedy(more: &str) -> String {
    format!(
        "#!/usr/bin/env python3\n# /// chef\n# name = \"greedy\"\n# version = \"999\"\n# protocol = 1\n# tools = [\"python3\"]\n# ///\n\
         import json\n\
         step = {{\"run\": \"echo taken > taken\", \"out\": \"taken\", **{more}}}\n\
         plan = {{\"file\": {{\"step\": {{\"take\": step}}}}}}\n\
         print(json.dumps({{\"protocol\": 1, \"answer\": \"detect\", \"sure\": 100, \"plan\": plan}}))\n"
    )
}

/// A chef that is so sure of every project, and plans one step.
fn claims(name: &str, sure: u8) -> String {
    format!(
        "#!/bin/sh\n# /// chef\n# name = \"{name}\"\n# version = \"{sure}\"\n# protocol = 1\n# ///\n\
         echo '{{\"protocol\":1,\"answer\":\"detect\",\"sure\":{sure},\
         \"plan\":{{\"file\":{{\"step\":{{\"s\":{{\"run\":\"echo by {name} > made\"}}}}}}}}}}'\n"
    )
}

#[test]
fn of_chefs_that_are_registered_and_lent_the_surer_plans_and_a_tie_is_told() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let b = joins(Place::new(), &server, "b", Some(&a.invitation()));
    let registers = |pod: &Member, name: &str, sure: u8| {
        let tools = pod.place.bare("tools");
        tools.write(name, claims(name, sure));
        tools.chmod(name, 0o755);
        pod.place.pod(&["chef", "add", tools.at(name).to_str().unwrap()]).ok();
    };
    let lends = |sure: u8| {
        registers(&a, "lent", sure);
        let version = sure.to_string();
        b.waits_for(&["chef", "list", "--json"], "the chef is lent", |list| {
            let mut chefs = list["chefs"].as_array().unwrap().iter();
            chefs.any(|chef| chef["name"] == "lent" && chef["version"] == *version)
        });
        b.place.pod(&["chef", "enable", "lent"]).ok();
    };
    let project = b.place.bare("p");
    // A built-in chef is sure of it by 50.
    project.write("Makefile", "made:\n\techo by make > made\n");
    let made = || {
        project.build(&[]).ok();
        project.read("made").trim_end().to_owned()
    };
    let tie = |words: &str| {
        let tie = project.build(&[]).code(2);
        assert!(tie.said().contains(words), "{}", tie.said());
        shown_file(&tie)
    };
    registers(&b, "own", 60);
    lends(61);
    assert_eq!(made(), "by lent");
    registers(&b, "own", 62);
    assert_eq!(made(), "by own");
    lends(62);
    let file = tie("the chefs `lent` and `own` are equally sure of this project");
    // The file that is shown decides, and so does the other chef that it names.
    project.write("majordomo.toml", &file);
    assert_eq!(made(), "by lent");
    project.write("majordomo.toml", "[project]\nchef = \"own\"\n");
    assert_eq!(made(), "by own");
    project.remove("majordomo.toml");
    // One that is built in claims it, too.
    registers(&b, "own", 49);
    lends(50);
    let file = tie("the chefs `lent` and `make` are equally sure of this project");
    assert!(file.contains("chef = \"lent\"   # or \"make\""), "{file}");
    lends(49);
    assert_eq!(made(), "by make");
    project.write("majordomo.toml", file);
    assert_eq!(made(), "by lent");
    drop(project);
    b.leaves();
    a.leaves();
}

#[test]
fn a_member_that_lends_what_nobody_wants_has_nothing_run() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let tools = a.place.bare("tools");
    let lends = |more: &str| {
        tools.write("greedy.py", greedy(more));
        tools.chmod("greedy.py", 0o755);
        a.place.pod(&["chef", "add", tools.at("greedy.py").to_str().unwrap()]).ok();
        let shown = a.place.pod(&["chef", "show", "greedy", "--json"]).ok().json();
        shown["chefs"][0]["tree"].clone()
    };
    let tree = lends("{\"network\": True}");
    let b = joins(Place::new(), &server, "b", Some(&a.invitation()));
    let knows = |tree: &serde_json::Value| {
        b.waits_for(&["chef", "list", "--json"], "the chef is lent", |list| {
            let mut chefs = list["chefs"].as_array().unwrap().iter();
            chefs.any(|chef| chef["name"] == "greedy" && chef["tree"] == *tree && chef["asked"] == false)
        });
    };
    knows(&tree);
    // It is not asked, however sure it is.
    let project = b.place.bare("p");
    project.write("Makefile", "made: words\n\tcp words made\n");
    project.write("words", "words\n");
    let built = project.build(&[]).ok();
    assert!(!built.ran().contains(&"chef:greedy"), "{:?}", built.ran());
    assert!(project.has("made") && !project.has("taken"));
    // Where it is named, nothing of its plan leaves the machine, takes along what is whoever builds' or changes sources by itself.
    project.write("majordomo.toml", "[project]\nchef = 'greedy'\n");
    let wants = [
        ("{\"network\": True}", "reach the network"),
        ("{\"alters\": True}", "change sources"),
        ("{\"env\": [\"PATH=/bin\", \"TOKEN\"]}", "have your variable `TOKEN`"),
        ("{\"on\": {\"of\": \"theirs\"}}", "run on pods of its choice"),
        ("{\"image\": \"theirs\"}", "run in an image of its choice"),
    ];
    for (more, what) in wants {
        knows(&lends(more));
        let refused = project.build(&[]).code(2);
        let said = format!("which another pod lends, lets `take` {what}");
        assert!(refused.said().contains(&said), "{}", refused.said());
    }
    assert!(!project.has("taken"));
    let tree = lends("{}");
    knows(&tree);
    project.build(&[]).ok();
    assert_eq!(project.read("taken"), "taken\n");
    // What was lent is out of the list of who leaves.
    b.place.pod(&["leave"]).ok();
    drop(project);
    let Member { place, pod } = b;
    pod.end();
    let left = place.pod(&["chef", "list"]).ok().stdout;
    assert!(!left.contains("greedy"), "{left}");
    place.assert_nothing_left();
    drop(tools);
    a.leaves();
}
