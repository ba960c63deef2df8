//! Ctrl-C and its relatives: the build ends within a second, and nothing is left mounted or running.

use rustix::process::Signal;

use crate::common::{Gate, Place};

/// Two steps: one that ends at once, and one that a polite signal does not end, with children that do not either.
const STUBBORN: &str = r#"
[step.quick]
run = "cp source quick"
out = "quick"
[step.stubborn]
run = "trap '' INT TERM HUP; (setsid sleep 3600 &) ; sleep 3600 & echo ready; sleep 3600"
after = "quick"
"#;

#[test]
fn an_interrupted_build_is_gone_within_a_second() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = Place::new();
        let project = place.project("p", STUBBORN);
        project.write("source", "1");
        let mut running = project.start(&[]);
        running.wait_for_output("ready");
        running.signal(signal);
        running.ends_at_once();
        let built = running.built().code(code);
        assert_eq!(built.ended_as("cancelled"), ["stubborn"], "{}", built.said());
        assert_eq!(built.output("stubborn"), ["ready"], "what it had printed is kept");
        assert_eq!(built.events.last().unwrap()["outcome"], "cancelled");
        place.assert_nothing_left();

        // What was finished is not made again.
        project.replace("majordomo.toml", "sleep 3600\"\nafter", "true\"\nafter");
        project.replace("majordomo.toml", "(setsid sleep 3600 &) ; sleep 3600 &", "");
        project.builds(&["stubborn"]);
    }
}

#[test]
fn an_ordinary_user_may_interrupt_too() {
    let place = Place::ordinary();
    let project = place.project("p", STUBBORN);
    project.write("source", "1");
    let mut running = project.start(&[]);
    running.wait_for_output("ready");
    running.signal(Signal::INT);
    running.ends_at_once();
    running.built().code(130);
    place.assert_nothing_left();
}

#[test]
fn a_second_interrupt_changes_nothing_for_the_worse() {
    let place = Place::new();
    let project = place.project("p", STUBBORN);
    project.write("source", "1");
    let mut running = project.start(&[]);
    running.wait_for_output("ready");
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    running.ends_at_once();
    assert_eq!(running.end().code, Some(130));
    // The home may be left as a dead pod's: the next start cleans up.
    project.replace("majordomo.toml", "sleep 3600\"\nafter", "true\"\nafter");
    project.replace("majordomo.toml", "(setsid sleep 3600 &) ; sleep 3600 &", "");
    project.builds(&["stubborn"]);
    place.assert_nothing_left();
}

#[test]
fn an_interrupt_while_many_steps_start() {
    let place = Place::new();
    let project = place
        .project("p", "[step.s]\neach = 'in/*'\nrun = 'sleep 0.01; cp {in} {out}'\nout = 'out/{stem}'\n");
    (0..200).for_each(|i| project.write(format!("in/f{i:03}"), i.to_string()));
    let mut running = project.start(&["-j4"]);
    for _ in 0..20 {
        running.wait_for(|event| event["event"] == "step-finished");
    }
    running.signal(Signal::INT);
    running.ends_at_once();
    let first = running.built().code(130);
    place.assert_nothing_left();
    let second = project.build(&[]).ok();
    let ran = |how: &[&str]| how.len();
    assert_eq!(
        ran(&first.ended_as("ran")) + ran(&second.ran()),
        200,
        "finished results were lost, or made twice"
    );
}

#[test]
fn a_client_that_is_interrupted_ends_its_own_build_alone() {
    let place = Place::new();
    let gate = Gate::new();
    let holder = place.project(
        "a",
        &format!("[step.s]\nnetwork = true\nrun = '''\n{}\necho a > a\n'''\nout = 'a'\n", gate.command()),
    );
    let client = place.project("b", STUBBORN);
    client.write("source", "1");
    let holding = holder.start(&[]);
    let visitor = gate.arrival();
    let mut running = client.start(&[]);
    running.wait_for_output("ready");
    running.signal(Signal::INT);
    running.ends_at_once();
    running.built().code(130);
    visitor.go();
    holding.built().ok();
    assert_eq!(holder.read("a"), "a\n");
    place.assert_nothing_left();
}

#[test]
fn a_holder_that_is_interrupted_ends_its_own_build_alone() {
    let place = Place::new();
    let (first, second) = (Gate::new(), Gate::new());
    let holding = place.project("a", &first.step("a"));
    let other = place.project("b", &second.step("b"));
    holding.write("source", "1");
    other.write("source", "2");
    let mut held = holding.start(&[]);
    let _at_first = first.arrival();
    let asked = other.start(&[]);
    let visitor = second.arrival();
    held.signal(Signal::INT);
    held.wait_for_talk(
        "it stays until 1 other request(s) are answered (the same signal again ends them, too)",
    );
    visitor.go();
    assert_eq!(asked.built().ok().ran(), ["s"]);
    assert_eq!(held.built().code(130).ended_as("cancelled"), ["s"]);
    place.assert_nothing_left();
}

#[test]
fn nobody_reads_the_events_any_more() {
    let place = Place::new();
    let project =
        place.project("p", "[step.s]\nrun = 'for i in $(seq 100000); do echo line $i; done; sleep 3600'\n");
    let mut command = place.command("majordomo", &["build", "p", "--events", "-"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command.stdout(writer).stderr(std::process::Stdio::null()).spawn().unwrap();
    drop(command);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut line).unwrap();
    assert!(line.contains("build-started"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    place.assert_nothing_left();
    assert!(project.has("majordomo.toml"));
}
