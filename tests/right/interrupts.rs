//! Ctrl-C while steps are held in a look-up: the look-ups are answered before anybody is killed, so the build ends within a second and
//! leaves nothing.

use rustix::process::Signal;

use crate::common::{Gate, Place, Project, left};

/// Many steps that look at `base`, each in its own way, and a producer before a gate. Some make their way there again and again,
/// from children of children, and do not listen to signals.
fn held<'p>(place: &'p Place, gate: &Gate) -> Project<'p> {
    let project = place.project(
        "p",
        &format!(
            r#"
            [step.read]
            each = "in/*"
            run = "cat base {{in}} > {{out}}"
            out = "out/{{stem}}"
            [step.stubborn]
            run = "trap '' INT TERM HUP; (setsid sh -c 'cat base; cat base' &) ; while ! [ -e base ]; do :; done; sleep 3600"
            [step.create]
            run = "mkdir -p out; echo x > out/new; ls out; cat base > out/created"
            out = "out/created"
            [step.base]
            network = true
            run = '''
{}
cp source base'''
            out = "base"
            "#,
            gate.command()
        ),
    );
    project.write("source", "base\n");
    (0..6).for_each(|i| project.write(format!("in/{i}"), format!("{i}\n")));
    project
}

#[test]
fn while_steps_are_held() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        for is_ordinary in [false, true] {
            let place = if is_ordinary { Place::ordinary() } else { Place::new() };
            let gate = Gate::new();
            let project = held(&place, &gate);
            let mut running = project.start(&["-j3"]);
            let visitor = gate.arrival();
            for _ in 0..8 {
                running.wait_for(|event| event["event"] == "step-held");
            }
            running.signal(signal);
            running.ends_at_once();
            let built = running.built().code(code);
            assert_eq!(built.events.last().unwrap()["outcome"], "cancelled");
            assert!(built.ended_as("ran").is_empty(), "{}", built.ended.shown());
            assert!(!project.has("out") && !project.has("base"));
            place.assert_nothing_left();
            drop(visitor);
            // The next build is none the wiser.
            project.replace("majordomo.toml", "sleep 3600", "true");
            let running = project.start(&[]);
            gate.arrival().go();
            running.built().ok();
            assert_eq!(project.read("out/5"), "base\n5\n");
            assert_eq!(project.read("out/created"), "base\n");
        }
    }
}

#[test]
fn a_client_whose_steps_are_held() {
    let place = Place::new();
    let (gate, holding_gate) = (Gate::new(), Gate::new());
    let holder = place.project(
        "holder",
        &format!(
            "[step.s]\nnetwork = true\nrun = '''\n{}\necho a > a'''\nout = 'a'\n",
            holding_gate.command()
        ),
    );
    let project = held(&place, &gate);
    let holding = holder.start(&[]);
    let holder_visitor = holding_gate.arrival();
    let mut running = project.start(&["-j3"]);
    let visitor = gate.arrival();
    running.wait_for(|event| event["event"] == "step-held");
    running.signal(Signal::INT);
    running.ends_at_once();
    running.built().code(130);
    drop(visitor);
    // The pod goes on as if nothing had been.
    holder_visitor.go();
    holding.built().ok();
    assert_eq!(holder.read("a"), "a\n");
    place.assert_nothing_left();
}

#[test]
fn kill_nine_while_steps_are_held() {
    let place = Place::new();
    let gate = Gate::new();
    let project = held(&place, &gate);
    project.replace("majordomo.toml", "sleep 3600", "true");
    for _ in 0..3 {
        let mut running = project.start(&["-j3"]);
        let visitor = gate.arrival();
        for _ in 0..8 {
            running.wait_for(|event| event["event"] == "step-held");
        }
        running.signal(Signal::KILL);
        assert_eq!(running.end().signal, Some(9));
        left::assert_nothing(place.path());
        drop(visitor);
    }
    let running = project.start(&[]);
    gate.arrival().go();
    running.built().ok();
    assert_eq!(project.read("out/5"), "base\n5\n");
    place.assert_nothing_left();
}
