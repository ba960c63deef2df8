//! Chefs that one pod has registered and another uses.

use crate::common::Place;
use crate::mesh::{Member, joins, server};
use crate::registered::of_the_book;

/// Waits until a pod knows a chef, in this version, or none.
fn knows(pod: &Member, version: Option<&str>) {
    pod.waits_for(&["chef", "list", "--json"], "the chef", |list| {
        let chefs = list["chefs"].as_array().unwrap();
        let found = chefs.iter().find(|chef| chef["name"] == "notes");
        found.and_then(|chef| chef["version"].as_str()) == version
    });
}

#[test]
fn a_pod_builds_with_a_chef_that_only_another_has_registered() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let tools = a.place.bare("tools");
    tools.write("notes.py", of_the_book());
    tools.chmod("notes.py", 0o755);
    a.place.pod(&["chef", "add", tools.at("notes.py").to_str().unwrap()]).ok();
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
