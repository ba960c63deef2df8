//! Machines that lack something: what it is, why it is needed, and which command mends it. Root only: root takes it away.

use std::fs;

use crate::common::private_mounts::{overlay, put_fuse, unshare_mounts};
use crate::common::{Place, Running, engine};

#[test]
fn a_fuse_device_that_the_user_may_not_open() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::ordinary();
    put_fuse(0o600);
    let project = place.example("hello");
    let refused = project.build(&[]).code(3);
    insta::assert_snapshot!(refused.said(), @r"
    error: the kitchen failed
      caused by: this user may not open /dev/fuse

    hint: each step sees the machine through a traced file system, which is served over FUSE
    hint: sudo chmod 666 /dev/fuse
    ");
    place.assert_nothing_left();
    // An ordinary user's podman keeps a process with the mounts of its first start.
    engine::end_pause(&place.path().join("run"));
    put_fuse(0o666);
    project.build(&[]).ok();
}

#[test]
fn a_home_on_an_overlay() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::new();
    overlay(place.home());
    let project = place.example("hello");
    project.build(&[]).ok();
    assert!(project.has("bin/hello"));
    project.builds(&[]);
    place.assert_nothing_left();
    // What a failed step wrote is kept where steps write, until it comes to a good end.
    let failing = place.project("failing", "[step.s]\nrun = 'echo half > half; test -e good'\n");
    failing.build(&[]).failed();
    assert_eq!(failing.ask("shell", &["s", "--", "cat", "half"]).ok().stdout, "half\n");
    failing.write("good", "");
    failing.build(&[]).ok();
    // Steps have written elsewhere, and nothing of that is left.
    let report = Running::start(place.command("pod", &["doctor", "--json"])).end().ok().json();
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["name"] == "upper folders").unwrap();
    let said = found["found"].as_str().unwrap();
    let (before, at) = said.trim_end_matches('`').split_once('`').unwrap();
    assert_eq!(before, "the home is on overlayfs, so steps write to ");
    assert_eq!((&found["state"], std::fs::exists(at).unwrap()), (&"slower".into(), false), "{found:#}");
    assert!(!std::fs::exists(format!("{at}-failed")).unwrap());
}

#[test]
fn a_project_that_may_not_be_written() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::ordinary();
    let project = place.example("hello");
    std::os::unix::fs::chown(project.path(), Some(0), Some(0)).unwrap();
    let refused = project.build(&[]).code(2);
    insta::assert_snapshot!(refused.said(), @r"
    error: the project cannot be written to: `[PLACE]/projects/hello/.majordomo`

    hint: copy the project to a place that you can write to, and build it there
    ");
    assert!(!project.has("bin"));
}

#[test]
fn a_folder_of_outputs_that_may_not_be_written() {
    if !unshare_mounts() {
        return;
    }
    let place = Place::ordinary();
    let project = place.example("hello");
    fs::create_dir(project.at("bin")).unwrap();
    let refused = project.build(&["--quiet"]).code(2);
    insta::assert_snapshot!(refused.said(), @r"
    error: `bin/hello` cannot be written: its folder is read-only

    hint: make the folder writable, or build a copy of the project
    ");
    place.give(&project.at("bin"));
    project.builds(&[]);
    assert!(project.has("bin/hello"));
}
