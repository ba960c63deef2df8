//! Options of `majordomo build`, and which exit code it ends with.

use crate::common::{Gate, Place};

const TWO_CHAINS: &str = r#"
[step.bad]
run = "echo about to fail >&2; exit 7"
out = "bad"
[step.behind]
run = "cat bad"
after = "bad"
[step.good]
run = "echo fine > {out}"
out = "good"
[step.last]
run = "cp good last"
out = "last"
after = "good"
"#;

#[test]
fn a_failure_ends_the_build_and_is_shown_with_its_command_and_output() {
    let place = Place::new();
    let project = place.project("p", TWO_CHAINS);
    let built = project.build(&["behind"]).failed();
    assert_eq!(built.ended_as("failed"), ["bad"]);
    assert_eq!(built.failure("bad"), "exit code 7");
    assert_eq!(built.failure("behind"), "it needs `bad`, which failed");
    insta::assert_snapshot!(built.said(), @r"
    [bad]
    about to fail
    error: bad failed: exit code 7 ([TIME])
      command: echo about to fail >&2; exit 7
    failed after [TIME]: 2 steps, 0 ran, 0 reused, 1 failed, 1 skipped
    ");
}

#[test]
fn keep_going_makes_what_does_not_need_the_failure() {
    let place = Place::new();
    let project = place.project("p", TWO_CHAINS);
    let built = project.build(&["--keep-going"]).failed();
    assert_eq!(built.ended_as("ran"), ["good", "last"]);
    assert_eq!((built.ended_as("failed"), built.ended_as("skipped")), (vec!["bad"], vec!["behind"]));
    // What could be made is handed over.
    assert_eq!((project.has("good"), project.has("last")), (true, true));
    assert_eq!(built.count("written"), 2);
    // What was made then is not made again.
    project.replace("majordomo.toml", "exit 7", "echo > bad");
    project.builds(&["bad", "behind"]);
}

#[test]
fn keep_going_leaves_alone_what_it_could_not_make() {
    let place = Place::new();
    let step = |name: &str, run: &str, out: &str| format!("[step.{name}]\nrun = '{run}'\nout = '{out}'\n");
    let both = |a: &str, run_a: &str| step(a, run_a, "a") + &step("b", "cp source b", "b");
    let project = place.project("p", &both("old-name", "cp source a"));
    project.write("source", "one");
    project.builds(&["b", "old-name"]);
    // Under another name the step fails: what the last build handed over under the old one is still what it will make.
    project.write("majordomo.toml", both("new-name", "echo no; exit 1"));
    project.write("source", "two");
    project.build(&[]).failed();
    assert_eq!((project.read("a"), project.read("b")), ("one".into(), "one".into()));
    project.build(&["--keep-going"]).failed();
    assert_eq!((project.read("a"), project.read("b")), ("one".into(), "two".into()));
    // What was handed over is no source of the next build.
    project.write("majordomo.toml", both("new-name", "cp source a"));
    project.builds(&["new-name"]);
    assert_eq!((project.read("a"), project.read("b")), ("two".into(), "two".into()));
    project.write("majordomo.toml", step("b", "cp source b", "b"));
    project.builds(&[]);
    assert!(!project.has("a"));
}

#[test]
fn keep_going_hands_over_nothing_that_two_steps_made_differently() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.a]\nrun = 'echo a > both; echo a > a'\n[step.b]\nrun = 'echo b > both; echo b > b'\n",
    );
    let built = project.build(&["--keep-going"]).failed();
    assert_eq!(built.ended_as("failed").len(), 1, "{}", built.said());
    assert!(!project.has("both"));
    assert_eq!(project.files("."), [built.ended_as("ran")[0], "majordomo.toml"]);
}

#[test]
fn each_build_has_an_id_of_its_own() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'echo > made'\nout = 'made'\n");
    // The second one has nothing to do.
    for _ in 0..2 {
        let running = project.start(&[]);
        let pid = u64::from(running.pid().as_raw_nonzero().get().unsigned_abs());
        let built = running.built().ok();
        let id = u128::from_str_radix(built.events[0]["build"].as_str().unwrap(), 16).unwrap();
        assert!(id as u64 != pid && (id >> 64) as u64 != pid, "{id:032x} has its process in it");
    }
}

#[test]
fn a_failure_is_no_result_and_runs_again() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'test -e wanted; echo yes > made'\nout = 'made'\n");
    for _ in 0..2 {
        assert_eq!(project.build(&[]).failed().ran(), ["s"]);
        assert!(!project.has("made"));
    }
    project.write("wanted", "");
    project.builds(&["s"]);
}

#[test]
fn a_dry_run_lists_and_changes_nothing() {
    let place = Place::new();
    let project = place.example("hello");
    let dry = project.ask("build", &["--dry-run"]).ok();
    insta::assert_snapshot!(format!("{}---\n{}", dry.stdout, dry.stderr), @r"
    compile:src/greet.c would run: it was never built here
    compile:src/main.c would run: it was never built here
    link would run: it was never built here
    ---
    dry run: 3 steps: 3 would run, 0 up to date
    ");
    assert!(!project.has("bin"));
    project.build(&[]).ok();
    project.replace("src/greet.c", "Hello", "Greetings");
    let before = project.files("");
    let dry = project.ask("build", &["--dry-run"]).ok();
    insta::assert_snapshot!(format!("{}---\n{}", dry.stdout, dry.stderr), @r"
    compile:src/greet.c would run: src/greet.c changed
    link would run: maybe: `compile:src/greet.c` comes before it
    ---
    dry run: 3 steps: 2 would run, 1 up to date
    ");
    assert_eq!(project.files(""), before);
    project.build(&[]).ok();
    let dry = project.ask("build", &["--dry-run"]).ok();
    insta::assert_snapshot!(format!("{}---\n{}", dry.stdout, dry.stderr), @r"
    ---
    dry run: 3 steps, nothing to do
    ");
}

#[test]
fn cold_takes_nothing_from_the_larder() {
    let place = Place::new();
    let project = place.example("hello");
    let all = ["compile:src/greet.c", "compile:src/main.c", "link"];
    project.builds(&all);
    let cold = project.build(&["--cold"]).ok();
    assert_eq!(cold.ran(), all);
    assert_eq!(cold.reason("link"), "a cold build was asked for");
    assert_eq!(cold.count("written"), 0);
    project.builds(&[]);
}

#[test]
fn explain_says_of_every_step_why() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    project.append("src/greet.c", "\n// more\n");
    let built = project.build(&["--explain"]).ok();
    assert_eq!(built.ran(), ["compile:src/greet.c"]);
    let said = built.said();
    assert!(said.contains("compile:src/greet.c ran: src/greet.c changed"), "{said}");
    assert!(said.contains("compile:src/main.c reused: all "), "{said}");
    assert!(said.contains("link reused: all "), "{said}");
}

#[test]
fn jobs_are_how_many_steps_run_at_once() {
    let place = Place::new();
    let gate = Gate::new();
    let file = format!(
        "[step.wait]\neach = 'in/*'\nnetwork = true\nrun = '''\n{}\ncp {{in}} {{out}}\n'''\nout = 'out/{{stem}}'\n",
        gate.command()
    );
    let project = place.project("p", &file);
    ["a", "b", "c"].iter().for_each(|name| project.write(format!("in/{name}"), name));
    let running = project.start(&["-j3"]);
    let all = [gate.arrival(), gate.arrival(), gate.arrival()];
    drop(all);
    running.built().ok();

    ["a", "b", "c"].iter().for_each(|name| project.write(format!("in/{name}"), format!("{name}2")));
    let mut running = project.start(&["-j1"]);
    for _ in 0..3 {
        gate.arrival().go();
        running.wait_for(|event| event["event"] == "step-finished");
    }
    let built = running.built().ok();
    let mut at_once = 0;
    for event in &built.events {
        match event["event"].as_str() {
            Some("step-started") => at_once += 1,
            Some("step-finished") => at_once -= 1,
            _ => {}
        }
        assert!(at_once <= 1, "{}", built.ended.stdout);
    }
}

#[test]
fn what_a_reused_step_printed_is_shown_again() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.warn]\nrun = 'echo a warning >&2; echo another >&2; cp source made'\nout = 'made'\n\
         [step.other]\nrun = 'cp second made2'\nout = 'made2'\n",
    );
    project.write("source", "1");
    project.write("second", "1");
    assert_eq!(project.builds(&["other", "warn"]).output("warn"), ["a warning", "another"]);
    let nothing = project.builds(&[]);
    assert_eq!(nothing.output("warn"), ["a warning", "another"]);
    assert!(nothing.said().contains("a warning"), "{}", nothing.said());
    project.write("second", "2");
    assert_eq!(project.builds(&["other"]).output("warn"), ["a warning", "another"]);
}

#[test]
fn much_that_was_printed_is_shown_again_where_there_is_nothing_to_do() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'seq 1 5000'\n[step.t]\nrun = 'seq 1 200'\n");
    let first = project.builds(&["s", "t"]);
    let again = project.builds(&[]);
    for step in ["s", "t"] {
        assert_eq!(again.output(step), first.output(step));
    }
    assert_eq!((again.output("s").len(), again.output("t").len()), (5000, 200));
}

#[test]
fn targets_choose_what_is_made() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [project]
        targets = ["a"]
        [step.a]
        run = "cat source > a"
        out = "a"
        [step.b]
        run = "cat source > b"
        out = "b"
        [step.tree]
        run = "mkdir -p t && cat source > t/x"
        out = "t/"
        [step.silent]
        run = "cat source > undeclared"
        "#,
    );
    project.write("source", "1");
    project.builds(&["a"]);
    assert!(!project.has("b"));
    assert_eq!(project.build(&["b"]).ok().ran(), ["b"]);
    assert_eq!(project.build(&["t/x"]).ok().ran(), ["tree"]);
    assert_eq!(project.build(&["undeclared"]).ok().ran(), ["silent"]);
    assert_eq!(project.read("undeclared"), "1");
    let unknown = project.build(&["nowhere"]).code(2);
    insta::assert_snapshot!(unknown.said(), @r"
    error: no step makes `nowhere`

    hint: `majordomo graph` shows all steps
    ");
}

#[test]
fn quiet_says_nothing_but_failures() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'echo noise; cat source > made'\nout = 'made'\n");
    project.write("source", "1");
    assert_eq!(project.build(&["--quiet"]).ok().said(), "");
    project.remove("source");
    let failed = project.build(&["--quiet"]).failed();
    assert!(
        failed.said().contains("s failed: exit code 1") && failed.said().contains("noise"),
        "{}",
        failed.said()
    );
}

#[test]
fn events_may_go_to_a_file() {
    let place = Place::new();
    let project = place.example("hello");
    let file = place.path().join("events.jsonl");
    let ended = project.ask("build", &["--events", file.to_str().unwrap()]).ok();
    assert_eq!(ended.stdout, "");
    let events = std::fs::read_to_string(&file).unwrap();
    let names = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned()
    };
    let names: Vec<_> = events.lines().map(names).collect();
    assert_eq!(
        (names.first().unwrap().as_str(), names.last().unwrap().as_str()),
        ("build-started", "build-finished")
    );
    let nowhere = project.ask("build", &["--events", "/nowhere/events"]).code(2);
    insta::assert_snapshot!(nowhere.stderr, @r"
    error: could not open the events file `/nowhere/events`
      caused by: No such file or directory (os error 2)
    ");
}
