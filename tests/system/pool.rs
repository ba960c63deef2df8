//! The pool of containers: as many as the owner of the pod says.

use std::fs;
use std::time::Instant;

use crate::common::engine::{assert_no_container, containers};
use crate::common::running::LIMIT;
use crate::common::{Gate, Place};
use crate::engines::has_podman;

/// Waits until a place has so many containers.
#[track_caller]
fn wait_for(place: &Place, count: usize) {
    let deadline = Instant::now() + LIMIT;
    // Each look takes podman some hundredths of a second.
    while containers(&mut place.podman(), place.home()).len() != count {
        assert!(Instant::now() < deadline, "there are never {count} containers");
    }
}

#[test]
fn containers_come_with_the_steps_and_go_when_they_are_idle() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    let file = "sandbox = 'podman'\npool = { minimum = 1, maximum = 2, steps = 1, idle = '1s' }\n";
    fs::write(place.home().join("pod.toml"), file).unwrap();
    let gate = Gate::new();
    let step = |i| format!("[step.s{i}]\nnetwork = true\nrun = '''\n{}\necho {i}\n'''\n", gate.command());
    let project = place.project("p", &(0..3).map(step).collect::<String>());
    let pod = place.standing();
    let build = project.start(&["-j3"]);
    let visitors: Vec<_> = (0..3).map(|_| gate.arrival()).collect();
    wait_for(&place, 2);
    drop(visitors);
    assert_eq!(build.built().ok().ran().len(), 3);
    wait_for(&place, 1);
    place.pod(&["stop"]).ok();
    assert_eq!(pod.end().code, Some(0));
    assert_no_container(|| place.podman(), place.home());
    place.assert_nothing_left();
}
