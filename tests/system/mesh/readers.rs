//! Readers that stop for longer than a pod may be silent, as a pager does, or Ctrl-S: they end no build.

use std::time::Duration;

use rustix::process::Signal;

use super::projects::{building, registered};
use super::two;

/// Longer than pods wait for one that says nothing, once there is no room left for what is printed.
const STOPPED: Duration = Duration::from_secs(20);

/// What all that may wait on the way can hold, and more.
const LINES: usize = 40_000;

#[test]
fn a_build_by_name_waits_for_its_reader() {
    let (_ground, _server, a, b) = two();
    let line = "x".repeat(1000);
    let file = format!(
        "[step.much]
run = 'echo begun; yes {line} | head -n {LINES}; echo all is said; cat words > much'
out = 'much'
"
    );
    let project = registered(&a, "p", &file, &b);
    project.write("words", "made\n");
    let mut build = building(&b, &["p"]);
    build.wait_for_output("begun");
    build.signal(Signal::STOP);
    std::thread::sleep(STOPPED);
    build.signal(Signal::CONT);
    let built = build.built().ok();
    assert_eq!(built.output("much").last(), Some(&"all is said"));
    assert_eq!(project.read("much"), "made\n");
    b.leaves();
    a.leaves();
}
