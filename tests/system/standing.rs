//! A pod of its own: it holds a home until it is told to go, and majordomos find it.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use kitchen::{Limits, ZygoteProgram};
use node::{Home, Pod, PodOptions, PoolOptions, Sandbox};
use rustix::process::Signal;

use crate::common::{Gate, Place, Running};

const PROJECT: &str = "[step.s]\nrun = 'cp source made'\nout = 'made'\n";

#[test]
fn builds_find_it_and_it_outlives_them() {
    let place = Place::new();
    let project = place.project("p", PROJECT);
    project.write("source", "1");
    let pod = place.standing();
    project.builds(&["s"]);
    project.write("source", "22");
    project.builds(&["s"]);
    project.builds(&[]);
    let status = place.pod(&["status", "--json"]).ok().json();
    assert_eq!(status["pid"], pod.pid().as_raw_nonzero().get());
    assert_eq!(status["embedded"], false);
    insta::assert_snapshot!(place.pod(&["stop"]).ok().stdout.lines().nth(1).unwrap(), @"held by process [PID], a pod of its own");
    let ended = pod.end();
    assert_eq!(ended.code, Some(0), "{}", ended.shown());
    // The next build brings its own.
    project.write("source", "333");
    project.builds(&["s"]);
    place.assert_nothing_left();
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let place = Place::new();
    let project = place.project("p", PROJECT);
    project.write("source", "1");
    let mut pod = place.standing();
    project.builds(&["s"]);
    pod.signal(Signal::TERM);
    assert!(pod.ends_within(Duration::from_secs(10)));
    place.assert_nothing_left();
}

#[test]
fn there_is_one_in_a_home() {
    let place = Place::new();
    let pod = place.standing();
    let second = Running::start(place.command("pod", &[])).end().code(2);
    insta::assert_snapshot!(second.stderr, @r"
    error: a pod stands in the home `[PLACE]/home` already: process [PID]

    hint: `pod status` shows it, `pod stop` ends it; another pod needs a home of its own: `--home DIR`
    ");
    place.stops(pod);
}

#[test]
fn it_waits_until_a_majordomo_has_gone() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gate.step("made"));
    project.write("source", "1");
    let building = project.start(&[]);
    let visitor = gate.arrival();
    let mut pod = Running::start(place.command("pod", &[]));
    pod.wait_for_talk("holds this home: the pod starts when it has ended");
    visitor.go();
    building.built().ok();
    pod.wait_for_talk("the pod stands");
    place.stops(pod);
}

#[test]
fn who_builds_is_answered_before_it_goes() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gate.step("made"));
    project.write("source", "1");
    let mut pod = place.standing();
    let building = project.start(&[]);
    let visitor = gate.arrival();
    place.pod(&["stop"]).ok();
    pod.wait_for_talk("the pod goes");
    visitor.go();
    assert_eq!(building.built().ok().ran(), ["s"]);
    pod.end();
    place.assert_nothing_left();
}

#[test]
fn one_too_many_is_told_so() {
    let place = Place::new();
    let pod = place.standing();
    let socket = place.home().join("pod.sock");
    // They say nothing, and have some seconds for it.
    let others: Vec<_> = (0..64).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    let told = place.pod(&["status"]).code(3);
    insta::assert_snapshot!(told.stderr, @r"
    error: the pod of this home serves 64 others just now

    hint: ask again later; `watch` and `monitor` stay until they are ended
    ");
    drop(others);
    place.stops(pod);
}

#[test]
fn nobody_stands_who_could_be_stopped() {
    let place = Place::new();
    let ended = place.pod(&["stop"]).code(2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: there is no home at `[PLACE]/home`

    hint: name another one: `--home DIR`; the first build or `pod join` makes it
    ");
    let project = place.project("p", PROJECT);
    project.write("source", "1");
    project.builds(&["s"]);
    let ended = place.pod(&["stop"]).code(2);
    insta::assert_snapshot!(ended.stderr, @r"
    error: no pod of its own stands in this home

    hint: what a majordomo brings goes by itself when that has ended
    ");
}

#[test]
fn a_pod_that_goes_while_its_first_kitchen_is_started_leaves_nothing() {
    let place = Place::new();
    let zygote =
        ZygoteProgram { program: env!("CARGO_BIN_EXE_pod").into(), arguments: vec!["zygote".into()] };
    let options = PodOptions {
        zygote,
        larder: larder::Options::default(),
        limits: Limits::default(),
        tool_roots: Vec::new(),
        sandbox: Sandbox::Native,
        pool: PoolOptions::default(),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let home = Home::take(place.home()).unwrap().unwrap();
    let pod = Pod::open(home, options, runtime.handle().clone()).unwrap();
    runtime.block_on(async {
        // It is started first, and told to go before it stands.
        let (started, ()) = tokio::join!(pod.warm_up(Sandbox::Native), pod.stop());
        started.unwrap();
    });
    place.assert_nothing_left();
    let late = runtime.block_on(pod.warm_up(Sandbox::Native)).unwrap_err();
    assert_eq!(late.to_string(), "this pod is going");
}
