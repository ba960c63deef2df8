//! `examples/hello` as its README tells it: what is run after which change, and what is not.

use std::process::Command;

use crate::common::{Place, Project};

const GREET: &str = "compile:src/greet.c";
const MAIN: &str = "compile:src/main.c";

/// What the program says.
fn hello(project: &Project<'_>) -> String {
    let said = Command::new(project.at("bin/hello")).output().unwrap();
    assert!(said.status.success());
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn it_builds_and_runs_and_then_there_is_nothing_to_do() {
    let place = Place::new();
    let project = place.example("hello");
    let first = project.builds(&[GREET, MAIN, "link"]);
    assert_eq!((first.count("ran"), first.count("reused"), first.count("written")), (3, 0, 3));
    assert_eq!(first.reason("link"), "it was never built here");
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
    place.assert_nothing_left();

    let again = project.builds(&[]);
    assert_eq!((again.count("steps"), again.count("reused"), again.count("written")), (3, 3, 0));
    assert_eq!(again.said(), "nothing to do\n");
}

#[test]
fn an_ordinary_user_builds_it_too() {
    let place = Place::ordinary();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
    project.builds(&[]);
    project.append("src/greet.c", "\n// more\n");
    project.builds(&[GREET]);
    place.assert_nothing_left();
}

#[test]
fn a_comment_compiles_one_file_and_links_nothing() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    let before = project.read("src/greet.c");
    project.append("src/greet.c", "\n// A comment changes no object.\n");
    let edited = project.builds(&[GREET]);
    assert_eq!(edited.reason(GREET), "src/greet.c changed");
    assert_eq!(edited.count("written"), 0);
    project.write("src/greet.c", before);
    project.builds(&[]);
}

#[test]
fn a_touched_file_runs_nothing() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    let text = project.read("src/greet.c");
    project.write("src/greet.c", text);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    std::fs::File::options().write(true).open(project.at("src/main.c")).unwrap().set_modified(later).unwrap();
    project.builds(&[]);
}

#[test]
fn a_header_compiles_exactly_its_users() {
    let place = Place::new();
    let project = place.example("hello");
    project.write("include/only_main.h", "#define ANSWER 42\n");
    let main = project.read("src/main.c");
    project.write("src/main.c", format!("#include \"only_main.h\"\n{main}"));
    project.builds(&[GREET, MAIN, "link"]);

    project.write("include/only_main.h", "#define ANSWER 43\n");
    assert_eq!(project.builds(&[MAIN]).reason(MAIN), "include/only_main.h changed");

    project.replace("include/greet.h", "ComputePods", "everywhere");
    let both = project.builds(&[GREET, MAIN, "link"]);
    assert_eq!(both.reason(GREET), "include/greet.h changed");
    assert_eq!(hello(&project), "Hello from everywhere!\n");

    project.replace("include/greet.h", "everywhere", "ComputePods");
    let undone = project.builds(&[]);
    assert!(undone.count("written") > 0);
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
}

#[test]
fn a_new_header_that_shadows_another_one_is_seen() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    let header = project.read("include/greet.h").replace("ComputePods", "the shadow");
    project.write("src/greet.h", header);
    let shadowed = project.builds(&[GREET, MAIN, "link"]);
    assert_eq!(shadowed.reason(MAIN), "src/greet.h appeared");
    assert_eq!(hello(&project), "Hello from the shadow!\n");
    project.remove("src/greet.h");
    project.builds(&[]);
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
}

#[test]
fn deleted_outputs_come_back_without_a_command() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    project.remove("bin");
    project.remove("obj");
    let restored = project.builds(&[]);
    assert_eq!(restored.count("written"), 3);
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
    project.remove("obj/greet.o");
    assert_eq!(project.builds(&[]).count("written"), 1);
}

#[test]
fn another_checkout_with_the_same_home_runs_nothing() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    let other = project.checkout("elsewhere");
    assert!(!other.has("bin"));
    other.builds(&[]);
    assert_eq!(hello(&other), "Hello from ComputePods!\n");
    // What one makes does not change what the other one has.
    other.replace("include/greet.h", "ComputePods", "elsewhere");
    other.builds(&[GREET, MAIN, "link"]);
    project.builds(&[]);
    assert_eq!(hello(&project), "Hello from ComputePods!\n");
    assert_eq!(hello(&other), "Hello from elsewhere!\n");
}

#[test]
fn a_source_that_comes_or_goes_is_a_step_that_comes_or_goes() {
    let place = Place::new();
    let project = place.example("hello");
    project.builds(&[GREET, MAIN, "link"]);
    project.write("src/extra.c", "int extra(void) { return 1; }\n");
    let more = project.builds(&["compile:src/extra.c", "link"]);
    assert_eq!(more.reason("link"), "names in obj changed");
    assert!(project.has("obj/extra.o"));
    project.remove("src/extra.c");
    project.builds(&[]);
    assert!(!project.has("obj/extra.o"), "what no step makes any more is removed");
}
