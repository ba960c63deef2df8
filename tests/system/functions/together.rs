//! Launches beside other requests of the same pod, and after pods that died.

use rustix::process::Signal;

use super::Program;
use crate::common::{Gate, Place};

/// A call that waits for a visitor, and one that does not.
fn gated(gate: &Gate) -> String {
    format!(
        "@app.function(network=True)\ndef wait():\n    import subprocess\n    return subprocess.run({:?}, shell=True, executable='/bin/bash').returncode\n\
         @app.function()\ndef one(): return 1\n\
         def main(kind: str = 'wait'):\n    print(wait.remote() if kind == 'wait' else one.remote())\n",
        gate.command()
    )
}

#[test]
fn a_launch_is_served_by_a_pod_that_is_there() {
    let place = Place::new();
    let gate = Gate::new();
    let program = Program::new(&place, &gated(&gate));
    let holding = program.start(&[]);
    let visitor = gate.arrival();
    // It asks the first one's pod.
    assert_eq!(program.launch(&["--kind", "one"]).ok().stdout, "1\n");
    let project = place.project("p", "[step.s]\nrun = 'echo x > {out}'\nout = 'x'\n");
    project.builds(&["s"]);
    visitor.go();
    assert_eq!(holding.end().ok().stdout, "0\n");
    place.assert_nothing_left();
}

#[test]
fn a_pod_that_is_killed_takes_the_program_along_and_leaves_nothing() {
    let place = Place::new();
    let gate = Gate::new();
    let program = Program::new(&place, &gated(&gate));
    let holding = program.start(&[]);
    let _visitor = gate.arrival();
    holding.signal(Signal::KILL);
    assert_eq!(holding.end().signal, Some(9));
    std::fs::write(place.home().join("launch/1-0.sock"), "left by one that died").unwrap();
    assert_eq!(program.launch(&["--kind", "one"]).ok().stdout, "1\n");
    assert_eq!(std::fs::read_dir(place.home().join("launch")).unwrap().count(), 0);
    place.assert_nothing_left();
}

#[test]
fn a_client_whose_pod_is_killed_says_so() {
    let place = Place::new();
    let gate = Gate::new();
    let program = Program::new(&place, &gated(&gate));
    let holding = program.start(&[]);
    let _first = gate.arrival();
    let client = program.start(&[]);
    let _second = gate.arrival();
    holding.signal(Signal::KILL);
    holding.end();
    let ended = client.end().code(3);
    assert!(ended.stderr.contains("error: the pod of this home ended in the middle"), "{}", ended.shown());
    assert!(!ended.stderr.contains("Traceback"), "{}", ended.stderr);
    program.launch(&["--kind", "one"]).ok();
    place.assert_nothing_left();
}
