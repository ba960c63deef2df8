//! T8, and what else may be found out too late: a reader that was there before what it reads was made, where nobody had
//! promised to make it. It runs again, not too often, and only once: the next build knows.

use crate::common::{Built, Gate, Place, Project};

#[track_caller]
fn passes(built: &Built, step: &str, expected: std::ops::RangeInclusive<usize>) {
    let passes = built.passes(step);
    assert!(expected.contains(&passes), "{step} ran {passes} times\n{}", built.ended.shown());
}

/// `reader` looks at what `writer` makes without a promise; in the given order in the file.
fn pair<'p>(place: &'p Place, name: &str, reads: &str, reader_first: bool) -> Project<'p> {
    let reader =
        format!("[step.{}]\nrun = '''\n{reads}\n'''\nout = 'read'\n", if reader_first { "a" } else { "z" });
    let writer = "[step.m]\nrun = 'mkdir -p made; cp source made/it'\n";
    let file = if reader_first { reader + writer } else { writer.to_owned() + &reader };
    let project = place.project(name, &file);
    project.write("source", "1\n");
    project
}

const READS: [&str; 5] = [
    "cat made/it > read 2>/dev/null || echo none > read",
    "if [ -e made/it ]; then cat made/it; else echo none; fi > read",
    "ls made > read 2>/dev/null || echo none > read",
    "if [ -d made ]; then cat made/*; else echo none; fi > read",
    // It fails where there is nothing.
    "cat made/it > read",
];

#[test]
fn t8_a_reader_before_its_undeclared_writer() {
    for reads in READS {
        for reader_first in [true, false] {
            let reader = if reader_first { "a" } else { "z" };
            let expected = if reads.starts_with("ls") { "it\n" } else { "1\n" };
            for jobs in ["-j1", "-j2"] {
                let place = Place::new();
                let project = pair(&place, "p", reads, reader_first);
                let first = project.build(&[jobs]).ok();
                assert_eq!(project.read("read"), expected, "{reads}\n{}", first.said());
                passes(&first, reader, 1..=2);
                passes(&first, "m", 1..=1);
                project.builds(&[]);
                // From now on the order is known.
                project.write("source", "22\n");
                let second = project.build(&[jobs]).ok();
                passes(&second, "m", 1..=1);
                passes(&second, reader, if reads.starts_with("ls") { 0..=0 } else { 1..=1 });
                project.write("source", "1\n");
                project.builds(&[]);
                assert_eq!(project.read("read"), expected);
            }
        }
    }
}

#[test]
fn a_reader_that_starts_long_after_its_undeclared_writer() {
    for reads in
        ["cat made/it > read 2>/dev/null || echo none > read", "cat made/it > read", "ls made > read || true"]
    {
        let place = Place::new();
        // More steps between them than are looked up ahead.
        let mut file = String::from("[step.a]\nrun = 'mkdir -p made; cp source made/it'\n");
        for filler in 0..20 {
            file += &format!("[step.m{filler:02}]\nrun = 'cp source {{out}}'\nout = 'filler{filler}'\n");
        }
        file += &format!("[step.z]\nrun = '{reads}'\nout = 'read'\n");
        let project = place.project("p", &file);
        project.write("source", "1\n");
        let first = project.build(&["-j1"]).ok();
        assert_eq!(project.read("read"), if reads.starts_with("ls") { "it\n" } else { "1\n" });
        passes(&first, "z", 1..=2);
        project.builds(&[]);
    }
}

#[test]
fn t8_a_reader_that_is_still_running() {
    let place = Place::new();
    let (gate, before_writer) = (Gate::new(), Gate::new());
    let project = place.project(
        "p",
        &format!(
            "[step.reader]\nnetwork = true\nrun = '''\ncat made/it > read 2>/dev/null || echo none > read\n{}\n'''\nout = 'read'\n\
             [step.writer]\nnetwork = true\nrun = '''\n{}\nmkdir -p made; cp source made/it'''\n",
            gate.command(),
            before_writer.command()
        ),
    );
    project.write("source", "1\n");
    let mut running = project.start(&["-j2"]);
    // The reader has looked in vain, and goes on only when the writer is done.
    let reader = gate.arrival();
    before_writer.arrival().go();
    running.wait_for(|event| event["event"] == "step-finished" && event["step"] == "writer");
    reader.go();
    gate.arrival().go();
    let built = running.built().ok();
    passes(&built, "reader", 2..=2);
    assert_eq!(project.read("read"), "1\n");
    project.builds(&[]);
    place.assert_nothing_left();
}

#[test]
fn t8_a_reader_that_failed_before_its_writer_is_done() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project(
        "p",
        &format!(
            "[step.reader]\nrun = 'cat made/it > read || {{ echo not there >&2; exit 1; }}'\nout = 'read'\n\
             [step.writer]\nnetwork = true\nrun = '''\n{}\nmkdir -p made; cp source made/it'''\n",
            gate.command()
        ),
    );
    project.write("source", "1\n");
    let mut running = project.start(&["-j2"]);
    let writer = gate.arrival();
    running.wait_for_output("not there");
    writer.go();
    let built = running.built().ok();
    assert_eq!(built.count("failed"), 0);
    assert_eq!(project.read("read"), "1\n");
    project.builds(&[]);
    // Where nobody makes it any more, it fails for good.
    project.replace("majordomo.toml", "cp source made/it", "cp source made/other");
    let running = project.start(&["-j2"]);
    gate.arrival().go();
    let built = running.built().failed();
    assert_eq!(built.ended_as("failed"), ["reader"]);
    place.assert_nothing_left();
}

#[test]
fn undeclared_outputs_through_many_hands() {
    let place = Place::new();
    // Each copies what the one below it in the file makes, and nobody promises anything.
    let mut file = String::new();
    for hand in 0..6 {
        let next = hand + 1;
        file += &format!(
            "[step.hand{hand}]\nrun = 'mkdir -p h; cat h/{next} > h/{hand} 2>/dev/null || echo none > h/{hand}'\n"
        );
    }
    file += "[step.hand6]\nrun = 'mkdir -p h; cp source h/6'\n";
    let project = place.project("p", &file);
    project.write("source", "1\n");
    let first = project.build(&["-j1"]).ok();
    assert_eq!(project.read("h/0"), "1\n");
    (0..6).for_each(|hand| passes(&first, &format!("hand{hand}"), 1..=8));
    project.builds(&[]);
    project.write("source", "2\n");
    let second = project.build(&["-j1"]).ok();
    assert_eq!(project.read("h/0"), "2\n");
    (0..=6).for_each(|hand| passes(&second, &format!("hand{hand}"), 1..=1));
    // In a fresh folder everything is known, in whatever order it is looked at.
    let fresh = place.project("fresh", &file);
    fresh.write("source", "2\n");
    fresh.builds(&[]);
    assert_eq!(fresh.read("h/0"), "2\n");
}

#[test]
fn re_runs_are_bounded_and_the_edges_are_named() {
    let place = Place::new();
    // Each makes the other one's input longer, for ever.
    let project = place.project(
        "p",
        "[step.left]\nrun = 'mkdir -p n; cat n/right > n/left 2>/dev/null || true; echo x >> n/left'\n\
         [step.right]\nrun = 'mkdir -p n; cat n/left > n/right 2>/dev/null || true; echo x >> n/right'\n",
    );
    for _ in 0..2 {
        let built = project.build(&[]).failed();
        for named in ["left", "right"] {
            assert!(built.said().contains(named), "no `{named}` in {}", built.said());
            passes(&built, named, 0..=9);
        }
        assert!(!project.has("n"), "nothing of it is handed over");
        place.assert_nothing_left();
    }
}

#[test]
fn a_step_that_changes_a_source() {
    let place = Place::new();
    for (command, named) in [
        ("echo more >> source", "source"),
        ("rm source", "source"),
        ("sed -i s/1/2/ folder/deep", "folder/deep"),
        ("rm -r folder", "folder"),
        ("mv source moved", "source"),
        ("ln -sf elsewhere source", "source"),
    ] {
        let project = place.project("p", &format!("[step.s]\nrun = '{command}'\n"));
        project.write("source", "1\n");
        project.write("folder/deep", "1\n");
        let built = project.build(&[]).failed();
        assert!(built.failure("s").contains(named), "{command}: {}", built.failure("s"));
        assert_eq!((project.read("source"), project.read("folder/deep")), ("1\n".into(), "1\n".into()));
    }
    // The same bytes are no change.
    let project =
        place.project("p", "[step.s]\nrun = 'cat source > copy; cat copy > source; chmod 644 source'\n");
    project.builds(&["s"]);
    project.builds(&[]);
}

#[test]
fn a_step_that_makes_other_bytes_each_time_is_warned_of() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.dice]\nrun = 'printf \"the same, then \" > dice; od -An -N8 -tx1 /dev/urandom >> dice'\nout = 'dice'\n\
         [step.reader]\nrun = 'cat dice > read'\nout = 'read'\n",
    );
    project.build(&[]).ok();
    let first = project.read("dice");
    let cold = project.build(&["--cold"]).ok();
    let said = cold.said();
    assert!(said.contains("dice") && said.contains("byte"), "{said}");
    // The bytes differ from the 17th on, or a little later by chance.
    let at = said.split("byte ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    let at: usize = at.unwrap().parse().unwrap();
    assert!((14..60).contains(&at), "{said}");
    // The first result stays.
    assert_eq!((project.read("dice"), project.read("read")), (first.clone(), first));
    project.builds(&[]);
}
