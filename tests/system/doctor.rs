//! `pod doctor`: what it finds here, and what it says where something is missing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::Place;
use crate::common::private_mounts::{put_fuse, unshare_mounts};
use crate::common::running::{Ended, Running};

/// The finding of a name.
fn finding(report: &Value, name: &str) -> Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["name"] == name)
        .unwrap_or_else(|| panic!("no `{name}`: {report:#}"))
        .clone()
}

/// Asks it, in one mount namespace with what the test has put in place.
fn doctor(place: &Place, arguments: &[&str]) -> Ended {
    Running::start(place.command("pod", &[&["doctor", "--json"], arguments].concat())).end()
}

#[test]
fn a_machine_that_builds_is_said_to() {
    for place in [Place::new(), Place::ordinary()] {
        let report = doctor(&place, &[]).ok().json();
        assert_eq!((&report["schema"], &report["can_build"]), (&Value::from(1), &Value::from(true)));
        for name in ["kernel", "native engine", "disk", "FUSE time-out"] {
            assert_ne!(finding(&report, name)["state"], "missing", "{report:#}");
        }
        // Each that is not fine says what mends it, each why it matters.
        for finding in report["findings"].as_array().unwrap() {
            assert_eq!(finding["state"] == "fine", finding["mend"].is_null(), "{finding:#}");
            assert!(finding["why"].as_str().is_some_and(|why| why.len() > 20), "{finding:#}");
        }
        // Nothing is left beside the home, and the home is not made.
        assert!(!place.home().exists());
        let left = std::fs::read_dir(place.path()).unwrap().flatten();
        assert!(!left.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains("doctor")));
        place.assert_nothing_left();
        let said = Running::start(place.command("pod", &["doctor"])).end().ok().stdout;
        assert!(said.ends_with("a build can run here\n"), "{said}");
    }
}

#[test]
fn podman_is_tried_for_real() {
    let has = |program: &str| Path::new("/usr/bin").join(program).exists();
    let place = Place::new();
    let report = doctor(&place, &[]).ok().json();
    for runtime in ["crun", "runc"] {
        let found = finding(&report, &format!("podman with {runtime}"));
        if !has("podman") {
            assert_eq!(
                (&found["state"], &found["found"]),
                (&"missing".into(), &"podman is not installed".into())
            );
        } else if found["state"] == "fine" {
            assert_eq!(found["found"], "a step has run");
        } else {
            println!("{found:#}");
        }
    }
    if has("podman") {
        let left = Command::new("podman").args(["ps", "--all", "--format", "{{.Labels}}"]).output().unwrap();
        assert!(!String::from_utf8_lossy(&left.stdout).contains("computepods.home=doctor-"));
    }
}

#[test]
fn what_is_missing_is_named_with_what_mends_it() {
    if !unshare_mounts() {
        return;
    }
    put_fuse(0o600);
    let place = Place::ordinary();
    // `Place::ordinary` opens the device to all; here it is closed again.
    put_fuse(0o600);
    // Without podman, which may have a device of its own from elsewhere.
    let doctor = |arguments: &[&str]| {
        let mut command = place.command("pod", arguments);
        command.env("PATH", "/nowhere");
        Running::start(command).end().code(3)
    };
    let report = doctor(&["doctor", "--json"]).json();
    let native = finding(&report, "native engine");
    assert_eq!(native["state"], "missing", "{native:#}");
    assert_eq!(native["mend"], "sudo chmod 666 /dev/fuse");
    assert_eq!(finding(&report, "podman with runc")["found"], "podman is not installed");
    let said = doctor(&["doctor"]).stdout;
    assert!(
        said.contains("mend: sudo chmod 666 /dev/fuse") && said.ends_with("no build can run here\n"),
        "{said}"
    );
}

#[test]
fn leftovers_and_a_server_that_is_not_there() {
    let place = Place::new();
    place.project("p", "[step.s]\nrun = 'true'\n").build(&[]).ok();
    std::fs::create_dir_all(place.home().join("scratch/3-1/1/upper")).unwrap();
    let report = doctor(&place, &["--nats", "nats://me:word@127.0.0.1:1"]).ok().json();
    assert_eq!(finding(&report, "leftovers")["found"], "folders that steps wrote: 1");
    let bus = finding(&report, "NATS");
    // A machine alone builds without; and what the doctor says is passed on to whoever helps.
    assert_eq!((&bus["state"], &report["can_build"]), (&Value::from("missing"), &Value::from(true)));
    assert!(!report.to_string().contains("word"), "{report}");
    assert!(place.home().join("scratch/3-1/1/upper").exists(), "the doctor changes nothing");
}
