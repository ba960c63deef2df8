//! T9. Links: where they lead to is seen, and so is each one on the way.

use std::os::unix::fs::symlink;

use crate::common::{Place, Project};

const FILE: &str = r#"
[step.read]
run = "cat current/text > read"
out = "read"
[step.further]
run = "cat read > further"
out = "further"
after = "read"
[step.maybe]
run = "cat maybe 2>/dev/null > of-maybe || echo nothing > of-maybe"
out = "of-maybe"
[step.name]
run = "readlink current > name"
out = "name"
"#;

/// `current -> v1`, beside `v2` and its twin `v3`; `maybe` leads to nothing.
fn project(place: &Place) -> Project<'_> {
    let project = place.project("p", FILE);
    project.write("v1/text", "one\n");
    project.write("v2/text", "two\n");
    project.write("v3/text", "two\n");
    symlink("v1", project.at("current")).unwrap();
    symlink("away/text", project.at("maybe")).unwrap();
    project.builds(&["further", "maybe", "name", "read"]);
    assert_eq!((project.read("further"), project.read("of-maybe")), ("one\n".into(), "nothing\n".into()));
    project
}

/// Points a link elsewhere, under the same name at once.
fn retarget(project: &Project<'_>, link: &str, target: &str) {
    symlink(target, project.at("new-link")).unwrap();
    std::fs::rename(project.at("new-link"), project.at(link)).unwrap();
}

#[test]
fn t9_a_link_points_elsewhere() {
    let place = Place::new();
    let project = project(&place);
    retarget(&project, "current", "v2");
    let changed = project.builds(&["further", "name", "read"]);
    assert_eq!(changed.reason("name"), "the link current points elsewhere");
    assert_eq!((project.read("further"), project.read("name")), ("two\n".into(), "v2\n".into()));
    // To a twin: the link is another one, what is read is the same.
    retarget(&project, "current", "v3");
    project.builds(&["name", "read"]);
    // What it does not point to any more is of no interest.
    project.write("v1/text", "uno\n");
    project.write("v2/text", "due\n");
    project.builds(&[]);
    project.write("v3/text", "tre\n");
    project.builds(&["further", "read"]);
    retarget(&project, "current", "v2");
    project.write("v2/text", "two\n");
    project.builds(&[]);
    assert_eq!((project.read("further"), project.read("name")), ("two\n".into(), "v2\n".into()));
}

#[test]
fn t9_a_link_to_something_that_is_not_there() {
    let place = Place::new();
    let project = project(&place);
    project.write("away/other", "other\n");
    project.build(&[]).ok();
    assert_eq!(project.read("of-maybe"), "nothing\n");
    project.write("away/text", "there\n");
    assert_eq!(project.builds(&["maybe"]).reason("maybe"), "away/text appeared");
    assert_eq!(project.read("of-maybe"), "there\n");
    project.remove("away/text");
    project.builds(&[]);
    assert_eq!(project.read("of-maybe"), "nothing\n");
    // To itself.
    retarget(&project, "maybe", "maybe");
    project.builds(&["maybe"]);
    assert_eq!(project.read("of-maybe"), "nothing\n");
    project.builds(&[]);
}

#[test]
fn t9_a_link_becomes_what_it_pointed_to() {
    let place = Place::new();
    let project = project(&place);
    project.remove("current");
    project.write("current/text", "one\n");
    let changed = project.build(&[]).failed();
    assert_eq!(changed.ended_as("failed"), ["name"], "`readlink` wants a link");
    assert!(changed.ran().contains(&"read") && !changed.ran().contains(&"further"), "{:?}", changed.ran());
    project.remove("current");
    symlink("v1", project.at("current")).unwrap();
    project.builds(&[]);
}

#[test]
fn t9_a_link_in_the_middle_of_a_chain() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat a/text > made'\nout = 'made'\n");
    project.write("one/text", "one\n");
    project.write("two/text", "two\n");
    symlink("b", project.at("a")).unwrap();
    symlink("./c", project.at("b")).unwrap();
    symlink("/project/one", project.at("c")).unwrap();
    project.builds(&["s"]);
    retarget(&project, "c", "two");
    project.builds(&["s"]);
    assert_eq!(project.read("made"), "two\n");
    retarget(&project, "b", "one");
    assert_eq!(project.builds(&["s"]).reason("s"), "the link b points elsewhere");
    assert_eq!(project.read("made"), "one\n");
    // Not on the way any more.
    retarget(&project, "c", "nowhere");
    project.builds(&[]);
}
