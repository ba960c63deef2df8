//! Builds at one time: of one project, and of two projects in one home.

use std::time::Duration;

use rustix::process::Signal;

use crate::common::{Gate, Place, Running};

#[test]
fn two_builds_of_one_project_at_once() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gate.step("made"));
    project.write("source", "1");
    let first = project.start(&[]);
    let visitor = gate.arrival();
    let mut second = project.start(&[]);
    let said = second.wait_for_talk("waiting");
    insta::assert_snapshot!(said, @"waiting: another build of this project is running (process [PID]): this one waits for it");
    visitor.go();
    assert_eq!(first.built().ok().ran(), ["s"]);
    let second = second.built().ok();
    assert_eq!((second.ran(), second.count("reused")), (vec![], 1));
    assert_eq!(project.read("made"), "1");
    place.assert_nothing_left();
}

#[test]
fn two_builds_of_one_project_with_homes_of_their_own() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gate.step("made"));
    project.write("source", "1");
    let first = project.start(&[]);
    let visitor = gate.arrival();
    let mut command = place.command("majordomo", &["build", "p", "--events", "-", "--home"]);
    command.arg(place.path().join("other-home"));
    let mut second = Running::start(command);
    second.wait_for_talk("waiting");
    visitor.go();
    first.built().ok();
    gate.arrival().go();
    assert_eq!(second.built().ok().ran(), ["s"]);
    assert_eq!(project.read("made"), "1");
}

#[test]
fn the_second_build_in_a_home_is_a_client_of_the_first() {
    let place = Place::new();
    let gate = Gate::new();
    let first = place.project("a", &gate.step("a"));
    let second = place.project("b", "[step.s]\nrun = 'cp source b; echo from b'\nout = 'b'\n");
    first.write("source", "1");
    second.write("source", "2");
    let holding = first.start(&[]);
    let visitor = gate.arrival();
    // The first one stands still, and the second one comes to its end all the same.
    let built = second.builds(&["s"]);
    assert_eq!(built.output("s"), ["from b"]);
    assert_eq!(second.read("b"), "2");
    let status = place.pod(&["status", "--json"]).ok().json();
    assert_eq!(status["pid"], holding.pid().as_raw_nonzero().get(), "the first one holds the pod");
    visitor.go();
    holding.built().ok();
    assert_eq!(first.read("a"), "1");
    place.assert_nothing_left();
}

#[test]
fn who_does_not_read_stops_nobody_else() {
    let place = Place::new();
    let steps = |name: &str| {
        format!("[step.{name}]\nrun = 'yes {name} | head -n 40000; touch {name}'\nout = '{name}'\n")
    };
    let project = place.project("p", &(steps("a") + &steps("b")));
    let pod = place.standing();
    let mut flooded = project.start(&["-j2"]);
    flooded.wait_for_output("a");
    flooded.signal(Signal::STOP);
    // What its pipes and queues hold is full long before the last of these.
    for _ in 0..30 {
        place.pod(&["status"]).ok();
        std::thread::sleep(Duration::from_millis(50));
    }
    flooded.signal(Signal::CONT);
    assert_eq!(flooded.built().ok().ran(), ["a", "b"]);
    place.stops(pod);
}

#[test]
fn the_holder_stays_until_its_last_client_has_left() {
    let place = Place::new();
    let gate = Gate::new();
    let gate_of_first = Gate::new();
    let first = place.project("a", &gate_of_first.step("a"));
    let second = place.project("b", &gate.step("b"));
    first.write("source", "1");
    second.write("source", "2");
    let mut holding = first.start(&[]);
    let visitor_of_first = gate_of_first.arrival();
    let client = second.start(&[]);
    let visitor = gate.arrival();
    visitor_of_first.go();
    let said = holding.wait_for_talk("waiting");
    assert!(said.contains("this process holds the pod"), "{said}");
    visitor.go();
    client.built().ok();
    holding.built().ok();
    assert_eq!((first.read("a"), second.read("b")), ("1".into(), "2".into()));
    place.assert_nothing_left();
}

#[test]
fn a_killed_holder_takes_its_clients_along_and_the_next_build_is_right() {
    let place = Place::new();
    let gate = Gate::new();
    let gate_of_first = Gate::new();
    let first = place.project("a", &gate_of_first.step("a"));
    let second = place.project("b", &gate.step("b"));
    first.write("source", "1");
    second.write("source", "2");
    let holding = first.start(&[]);
    let _before = gate_of_first.arrival();
    let client = second.start(&[]);
    let visitor = gate.arrival();
    holding.signal(rustix::process::Signal::KILL);
    assert_eq!(holding.end().signal, Some(9));
    let ended = client.end();
    assert_eq!(ended.code, Some(3));
    insta::assert_snapshot!(ended.stderr, @r"
    error: the pod of this home ended in the middle
      caused by: unexpected end of file

    hint: ask again: a new pod starts by itself, and nothing that was finished is lost
    ");
    drop(visitor);
    let again = second.start(&[]);
    gate.arrival().go();
    assert_eq!(again.built().ok().ran(), ["s"]);
    assert_eq!(second.read("b"), "2");
    place.assert_nothing_left();
}

#[test]
fn many_builds_of_many_projects_at_once() {
    let place = Place::new();
    let projects: Vec<_> = (0..6).map(|i| place.example("hello").checkout(&format!("copy{i}"))).collect();
    let running: Vec<_> = projects.iter().map(|project| project.start(&[])).collect();
    for build in running {
        build.built().ok();
    }
    for project in &projects {
        assert!(project.has("bin/hello"));
        project.builds(&[]);
    }
    place.assert_nothing_left();
}
