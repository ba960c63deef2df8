//! Output while a step runs, and what is left of it when the step is ended, however that comes.

use rustix::process::Signal;

use crate::common::{Gate, Running};
use crate::security::{Subject, for_each_subject, hostile};

for_each_subject! { lines_come_while_the_step_runs, time_out, interrupted, out_of_memory }

/// Prints a line on each stream, and a part of one that nobody ends.
const SAYS: &str = "echo out; echo err >&2; printf part";

/// Asserts that all of it was kept and shown.
#[track_caller]
fn is_all_there(built: &crate::common::Built) {
    let mut said = built.output("s");
    said.sort_unstable();
    assert_eq!(said, ["err", "out", "part"], "{}", built.said());
}

fn lines_come_while_the_step_runs(subject: Subject) {
    let place = subject.place();
    let gate = Gate::new();
    let step =
        format!("[step.s]\nnetwork = true\nrun = '''\necho first\n{}\necho second\n'''\n", gate.command());
    let project = place.project("p", &step);
    // As events, while the step stands before the gate.
    let mut running = project.start(&["--sandbox", subject.engine]);
    running.wait_for_output("first");
    let visitor = gate.arrival();
    visitor.go();
    let built = running.built().ok();
    assert_eq!(built.output("s"), ["first", "second"]);
    // As words for people.
    project.append("majordomo.toml", "env = { AGAIN = '1' }\n");
    let mut command = place.command("majordomo", &["build", "--sandbox", subject.engine, "-p"]);
    command.arg(project.path());
    let mut running = Running::start(command);
    running.wait_for_talk("first");
    gate.arrival().go();
    running.wait_for_talk("second");
    running.end().ok();
}

fn time_out(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let built = subject.build(&project, "timeout = '1s'", &format!("{SAYS}; sleep 86430")).failed();
    is_all_there(&built);
    assert_eq!(built.failure("s"), "it was ended after 1 s, its `timeout`");
}

fn interrupted(subject: Subject) {
    let place = subject.place();
    let gate = Gate::new();
    let step = format!("[step.s]\nnetwork = true\nrun = '''\n{SAYS}\n{}\n'''\n", gate.command());
    let project = place.project("p", &step);
    let mut running = project.start(&["--sandbox", subject.engine]);
    running.wait_for_output("err");
    let visitor = gate.arrival();
    running.signal(Signal::INT);
    let built = running.built().code(130);
    drop(visitor);
    assert_eq!(built.ended_as("cancelled"), ["s"]);
    is_all_there(&built);
    place.assert_nothing_left();
}

fn out_of_memory(subject: Subject) {
    let place = subject.place();
    let project = hostile(&place);
    let built =
        subject.build(&project, "limits = { memory = '64M' }", &format!("{SAYS}; exec ./hostile hogs 300"));
    if subject.has_groups() {
        is_all_there(&built);
        assert_eq!(built.failed().failure("s"), "killed: over its memory limit of 64 MiB");
    } else {
        // Its memory is refused to it, and it says so.
        assert!(["err", "out"].iter().all(|line| built.output("s").contains(line)), "{}", built.said());
        assert!(
            built.output("s").iter().any(|line| line.starts_with("partrefused hogs")),
            "{}",
            built.said()
        );
    }
}
