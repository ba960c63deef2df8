//! What goes on while a step runs on another pod.

use rustix::process::Signal;

use super::of;
use super::steps::{Full, starts_at, two, wait_for_processes};

/// Bytes that the step reads when it is about to end.
const LATE: usize = 1 << 20;

#[test]
fn what_a_step_will_read_comes_before_it_looks_and_what_it_says_before_it_ends() {
    let (_ground, _server, a, b) = two();
    let steps =
        "[step.first]\nrun = 'cat pause'\n[step.late]\nrun = 'echo begun; sleep $(cat pause); cat late'\n";
    let project = a.place.project("p", steps);
    project.write("pause", "0");
    project.write("late", vec![b'x'; LATE]);
    // What it reads is known from now on, and nothing of it is at b.
    project.build(&[]).ok();
    let received = |pods: &serde_json::Value| of(pods, "a")["received"].as_u64().unwrap();
    assert!(received(&b.pods()) < LATE as u64);
    // No other step of this machine sleeps for just so long.
    let seconds = format!("{}.75", 4000 + std::process::id() % 1000);
    project.write("pause", &seconds);
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    starts_at(&mut build, "b");
    build.wait_for_output("begun");
    let sleeps = format!("sleep {seconds}");
    wait_for_processes(&sleeps, |count| count == 1);
    b.waits_until("what it will read is there", |pods| received(pods) >= LATE as u64);
    wait_for_processes(&sleeps, |count| count == 1);
    build.signal(Signal::INT);
    build.end().code(130);
    wait_for_processes(&sleeps, |count| count == 0);
    full.ends();
    b.leaves();
    a.leaves();
}
