//! On demand: steps need no order. Whoever looks at an output that is not there yet is held in that look while it is made.

use std::time::Duration;

use crate::common::{Built, Gate, Place, Project};

/// Paths that steps were held on, in the order of the events: `step on path`.
fn holds(built: &Built) -> Vec<String> {
    let held = built.events.iter().filter(|event| event["event"] == "step-held");
    let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    held.map(|event| format!("{} on {}", word(&event["step"]), word(&event["on"]))).collect()
}

/// The steps that were ended while they were held, and started again.
fn restarted(built: &Built) -> Vec<&str> {
    let restarted = built.events.iter().filter(|event| event["event"] == "step-restarted");
    let mut steps: Vec<_> = restarted.map(|event| event["step"].as_str().unwrap()).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Each of these steps ran once.
#[track_caller]
fn ran_once(built: &Built, steps: &[&str]) {
    assert_eq!(built.ran(), steps, "{}", built.said());
    for step in steps {
        assert_eq!(built.passes(step), 1, "{step}\n{}", built.ended.shown());
    }
}

const PROGRAM: &str = r#"
[step.link]
run = "gcc -o prog obj/*.o"
out = "prog"
[step.compile]
each = "src/*.c"
run = "gcc -O1 -c {in} -o {out}"
out = "obj/{stem}.o"
"#;

fn program(place: &Place) -> Project<'_> {
    let project = place.project("p", PROGRAM);
    project.write("src/main.c", "int one(void);\nint main(void) { return one() - 1; }\n");
    project.write("src/one.c", "int one(void) { return 1; }\n");
    project
}

#[test]
fn link_is_written_before_compile() {
    for jobs in ["-j1", "-j2", "-j8"] {
        let place = Place::new();
        let project = program(&place);
        let first = project.build(&[jobs]).ok();
        ran_once(&first, &["compile:src/main.c", "compile:src/one.c", "link"]);
        assert!(std::process::Command::new(project.at("prog")).status().unwrap().success());
        project.builds(&[]);
        project.append("src/one.c", "int two(void) { return 2; }\n");
        let edited = project.build(&[jobs]).ok();
        ran_once(&edited, &["compile:src/one.c", "link"]);
        assert_eq!(holds(&edited), Vec::<String>::new(), "the last trace knows the order");
        project.append("src/one.c", "/* a comment */\n");
        ran_once(&project.build(&[jobs]).ok(), &["compile:src/one.c"]);
    }
}

#[test]
fn only_the_link_is_wanted() {
    let place = Place::new();
    let project = program(&place);
    project.append("majordomo.toml", "[step.unwanted]\nrun = 'echo > unwanted'\nout = 'unwanted'\n");
    let built = project.build(&["prog"]).ok();
    ran_once(&built, &["compile:src/main.c", "compile:src/one.c", "link"]);
    assert!(!project.has("unwanted"));
    assert!(project.has("prog"));
}

/// Each way to find out about a file, by a step that comes first; `made` and `tool` come last.
const LOOKS: &str = r#"
[step.opens]
run = "cat gen/made > opened"
out = "opened"
[step.probes]
run = "if [ -e gen/made ]; then echo there; else echo not there; fi > probed"
out = "probed"
[step.stats]
run = "stat -c %s gen/made > size"
out = "size"
[step.executes]
run = "gen/tool > said"
out = "said"
[step.by-link]
run = "cat link/made > linked"
out = "linked"
[step.in-tree]
run = "cat tree/deep/er/made > from-tree; [ ! -e tree/other ] || echo other >> from-tree"
out = "from-tree"
[step.through-a-program]
run = "sort gen/made gen/made | tr a-z A-Z > sorted"
out = "sorted"
[step.make]
run = "cp source gen/made; printf '#!/bin/sh\necho tool\n' > gen/tool; chmod +x gen/tool"
out = ["gen/made", "gen/tool"]
[step.tree]
run = "mkdir -p tree/deep/er; cp source tree/deep/er/made"
out = "tree/"
"#;

#[test]
fn every_look_at_an_output_that_is_not_there_yet_is_held() {
    for jobs in ["-j1", "-j3"] {
        let place = Place::new();
        let project = place.project("p", LOOKS);
        project.write("source", "made\n");
        std::os::unix::fs::symlink("gen", project.at("link")).unwrap();
        let all = [
            "by-link",
            "executes",
            "in-tree",
            "make",
            "opens",
            "probes",
            "stats",
            "through-a-program",
            "tree",
        ];
        ran_once(&project.build(&[jobs]).ok(), &all);
        let made = |path: &str| project.read(path);
        assert_eq!(
            (made("opened"), made("probed"), made("size")),
            ("made\n".into(), "there\n".into(), "5\n".into())
        );
        assert_eq!(
            (made("said"), made("linked"), made("sorted")),
            ("tool\n".into(), "made\n".into(), "MADE\nMADE\n".into())
        );
        assert_eq!(made("from-tree"), "made\n");
        project.builds(&[]);
        // As many bytes as before: whoever asked only for the size need not ask again.
        project.write("source", "edam\n");
        let edited = project.build(&[jobs]).ok();
        ran_once(&edited, &["by-link", "in-tree", "make", "opens", "through-a-program", "tree"]);
        assert_eq!(holds(&edited), Vec::<String>::new());
    }
}

#[test]
fn one_slot_and_a_chain_of_ten_holds() {
    let mut holding = 0;
    // Along the file and against it, as steps are started in the order that they have there.
    for is_reversed in [false, true] {
        let place = Place::new();
        let link = |link: usize| {
            format!(
                "[step.link{link}]\nrun = 'cat chain/{} > {{out}}; echo {link} >> {{out}}'\nout = 'chain/{link}'\n",
                link + 1
            )
        };
        let mut steps: Vec<String> = (0..10).map(link).collect();
        steps.push("[step.link10]\nrun = 'cat source > {out}'\nout = 'chain/10'\n".to_owned());
        if is_reversed {
            steps.reverse();
        }
        let project = place.project("p", &steps.concat());
        project.write("source", "source\n");
        let built = project.build(&["-j1"]).ok();
        assert_eq!(built.ended_as("ran").len(), 11);
        assert!(!built.said().contains("cat:"), "it tells how runs were ended: {}", built.said());
        assert_eq!(project.read("chain/0"), "source\n9\n8\n7\n6\n5\n4\n3\n2\n1\n0\n");
        let mut held = holds(&built);
        held.sort();
        held.dedup();
        // One slot lets four be held: the newest of more give way, and run again later.
        assert!(restarted(&built).len() >= held.len().saturating_sub(4), "{}", built.ended.shown());
        holding = holding.max(held.len());
        project.builds(&[]);
        project.write("source", "other\n");
        let edited = project.build(&["-j1"]).ok();
        assert_eq!(holds(&edited), Vec::<String>::new());
        assert!(edited.ran().iter().all(|step| edited.passes(step) == 1) && edited.ran().len() == 11);
        assert_eq!(project.read("chain/0"), "other\n9\n8\n7\n6\n5\n4\n3\n2\n1\n0\n");
    }
    assert_eq!(holding, 10, "whoever comes first in the chain has to wait");
}

#[test]
fn more_steps_look_than_may_be_held() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project(
        "p",
        &format!(
            "[step.read]\neach = 'in/*'\nrun = 'cat base {{in}} > {{out}}'\nout = 'out/{{stem}}'\n\
             [step.base]\nnetwork = true\nrun = '''\n{}\ncp source base'''\nout = 'base'\n",
            gate.command()
        ),
    );
    project.write("source", "base\n");
    (0..30).for_each(|i| project.write(format!("in/{i:02}"), format!("{i}\n")));
    let mut running = project.start(&["-j2"]);
    let visitor = gate.arrival();
    for _ in 0..30 {
        running.wait_for(|event| event["event"] == "step-held");
    }
    visitor.go();
    let built = running.built().ok();
    // Four for each of two slots stayed; all others gave way.
    assert_eq!(restarted(&built).len(), 22, "{:?}", restarted(&built));
    assert_eq!(built.ended_as("ran").len(), 31);
    for i in 0..30 {
        assert_eq!(project.read(format!("out/{i:02}")), format!("base\n{i}\n"));
    }
    place.assert_nothing_left();
    let again = project.start(&[]).built().ok();
    assert!(again.ran().is_empty());
}

#[test]
fn a_listing_never_waits() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project(
        "p",
        &format!(
            "[step.list]\nrun = 'ls gen > names'\nout = 'names'\n\
             [step.make]\nnetwork = true\nrun = '''\n{}\ncp source gen/made'''\nout = 'gen/made'\n",
            gate.command()
        ),
    );
    project.write("source", "1\n");
    project.write("gen/source", "1\n");
    let mut running = project.start(&["-j2"]);
    let visitor = gate.arrival();
    running.wait_for(|event| event["event"] == "step-finished" && event["step"] == "list");
    visitor.go();
    let built = running.built().ok();
    ran_once(&built, &["list", "make"]);
    assert_eq!(holds(&built), Vec::<String>::new());
    assert_eq!(project.read("names"), "made\nsource\n");
}

#[test]
fn the_time_of_a_held_step_stands_still() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.read]\ntimeout = 1\nrun = 'cat made > read'\nout = 'read'\n\
         [step.make]\nrun = 'sleep 2.5; cp source made'\nout = 'made'\n",
    );
    project.write("source", "1\n");
    let built = project.build(&["-j2"]).ok();
    ran_once(&built, &["make", "read"]);
    assert_eq!(holds(&built), ["read on made"]);
    // It goes on afterwards.
    project.replace("majordomo.toml", "cat made > read", "cat made > read; sleep 3600");
    project.replace("majordomo.toml", "sleep 2.5", "sleep 0.5");
    let ended = project.build(&["-j1"]).failed();
    assert!(ended.failure("read").contains("timeout"), "{}", ended.failure("read"));
}

#[test]
fn a_producer_that_fails_fails_the_build_and_not_its_readers_results() {
    for reads in
        ["cat made > read", "cat made > read || echo none > read", "if [ -e made ]; then cat made; fi > read"]
    {
        let place = Place::new();
        let project = place.project(
            "p",
            &format!(
                "[step.read]\nrun = '{reads}'\nout = 'read'\n\
                 [step.make]\nrun = 'cat source > made; test -s source'\nout = 'made'\n\
                 [step.apart]\nrun = 'cp source apart'\nout = 'apart'\n"
            ),
        );
        project.write("source", "");
        for arguments in [&["-j1"][..], &["-j2"], &["-k"]] {
            let built = project.build(arguments).failed();
            assert!(built.ended_as("failed").contains(&"make"), "{}", built.said());
            assert!(!built.ended_as("ran").contains(&"read"), "{}", built.said());
            assert!(!project.has("read"));
            place.assert_nothing_left();
        }
        // What it saw of the failure is remembered by nobody.
        project.write("source", "1\n");
        let built = project.build(&[]).ok();
        assert_eq!(project.read("read"), "1\n");
        assert!(built.ran().contains(&"read"));
        project.builds(&[]);
    }
}

#[test]
fn two_steps_that_wait_for_each_other() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.one]\nrun = 'cat two > one'\nout = 'one'\n[step.two]\nrun = 'cat one > two'\nout = 'two'\n",
    );
    for jobs in ["-j1", "-j2"] {
        let built = project.build(&[jobs]).failed();
        // The circle is opened at `one`, which sees nothing of `two`; whatever is said, it names both paths.
        assert!(built.said().contains("one") && built.said().contains("two"), "{}", built.said());
        assert!(!project.has("one") && !project.has("two"));
        place.assert_nothing_left();
    }
    project.write(
        "majordomo.toml",
        "[step.one]\nrun = 'cat two > one'\nout = 'one'\n[step.two]\nrun = 'echo 2 > two'\nout = 'two'\n",
    );
    project.build(&[]).ok();
    assert_eq!(project.read("one"), "2\n");
}

#[test]
fn targets_that_nobody_declares() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.reader]
        run = "cat extra/one > read"
        out = "read"
        [step.maker]
        run = "mkdir -p extra; cp source extra/one"
        [step.declared]
        run = "mkdir -p extra; cp source declared; cp other extra/two"
        out = "declared"
        [step.apart]
        run = "cp other apart"
        out = "apart"
        "#,
    );
    project.write("source", "1\n");
    project.write("other", "1\n");
    project.write("extra/source", "a folder of the user's, too\n");
    // Nobody knows who makes it: the steps that declare nothing may.
    let first = project.build(&["extra/one"]).ok();
    assert_eq!(first.ran(), ["maker"]);
    assert_eq!(project.read("extra/one"), "1\n");
    assert!(project.build(&["extra/three"]).code(2).said().contains("extra/three"));
    project.build(&[]).ok();
    assert_eq!(project.read("read"), "1\n");
    // Now the traces know.
    project.write("source", "2\n");
    project.write("other", "2\n");
    let second = project.build(&["extra/two"]).ok();
    assert_eq!(second.ran(), ["declared"]);
    assert_eq!((project.read("extra/two"), project.read("extra/one")), ("2\n".into(), "1\n".into()));
    project.builds(&["apart", "maker", "reader"]);
    project.remove("extra/one");
    project.remove("extra/two");
    project.build(&["extra/one"]).ok();
    assert_eq!(project.files("extra"), ["extra/one", "extra/source"]);
}

#[test]
fn from_the_second_build_on_producers_start_ahead() {
    let place = Place::new();
    // A reader of each kind before its producer, undeclared ones too, three layers deep.
    let project = place.project(
        "p",
        r#"
        [step.last]
        run = "cat middle/* extra/* > last"
        out = "last"
        [step.middle]
        each = "words/*"
        run = "cat base {in} > {out}; if [ -e early ]; then cat early >> {out}; fi"
        out = "middle/{stem}"
        [step.early]
        run = "cat extra/number > early"
        out = "early"
        [step.extra]
        run = "mkdir -p extra; wc -l < source > extra/number"
        [step.base]
        run = "sort source > base"
        out = "base"
        "#,
    );
    project.write("source", "b\na\n");
    ["x", "y", "z"].iter().for_each(|word| project.write(format!("words/{word}"), format!("{word}\n")));
    project.build(&["-j2"]).ok();
    project.builds(&[]);
    let right = |lines: &str, number: usize| {
        let middle: String = ["x", "y", "z"].map(|word| format!("{lines}{word}\n{number}\n")).concat();
        assert_eq!(project.read("last"), format!("{middle}{number}\n"));
    };
    right("a\nb\n", 2);
    for (source, lines, number) in [("c\nb\na\n", "a\nb\nc\n", 3), ("d\n", "d\n", 1)] {
        project.write("source", source);
        let edited = project.build(&["-j1"]).ok();
        let all = ["base", "early", "extra", "last", "middle:words/x", "middle:words/y", "middle:words/z"];
        ran_once(&edited, &all);
        assert_eq!(holds(&edited), Vec::<String>::new());
        right(lines, number);
    }
    // The same elsewhere, where nothing was ever built: no run, so nobody can be held.
    let fresh = place.project("elsewhere", &project.read("majordomo.toml"));
    fresh.write("source", "d\n");
    ["x", "y", "z"].iter().for_each(|word| fresh.write(format!("words/{word}"), format!("{word}\n")));
    fresh.builds(&[]);
    assert_eq!(fresh.read("last"), project.read("last"));
}

#[test]
fn a_held_step_gives_its_slot_back() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.a]\nrun = 'cat made > a'\nout = 'a'\n[step.b]\nrun = 'cat made > b'\nout = 'b'\n\
         [step.made]\nrun = 'sleep 0.2; cat deeper > made'\nout = 'made'\n\
         [step.deeper]\nrun = 'cp source deeper'\nout = 'deeper'\n",
    );
    project.write("source", "1\n");
    let limit = Duration::from_secs(60);
    let mut running = project.start(&["-j1"]);
    assert!(running.ends_within(limit), "one slot, and nobody gives it back");
    ran_once(&running.built().ok(), &["a", "b", "deeper", "made"]);
    place.assert_nothing_left();
}

/// `reads` looks for a file that `writes` makes without having promised it.
const UNPROMISED: &str = r#"
[step.reads]
run = "if [ -e x ]; then cat x > y; else echo none > y; fi"
out = "y"
[step.writes]
run = "cp source x"
"#;

#[test]
fn what_comes_out_for_a_target_does_not_depend_on_what_was_built_before() {
    let place = Place::new();
    for targets in [&["y"][..], &[]] {
        let name = format!("p{}", targets.len());
        let head = if targets.is_empty() { "[project]\ntargets = 'y'\n" } else { "" };
        let project = place.project(&name, &format!("{head}{UNPROMISED}"));
        project.write("source", "1\n");
        let first = project.build(targets).ok();
        assert_eq!(project.read("y"), "1\n", "{}", first.said());
        assert!(!project.has("x"), "nobody asked for it");
        assert_eq!(project.build(targets).ok().ran(), [] as [&str; 0]);
        project.write("source", &name);
        assert_eq!(project.build(targets).ok().ran(), ["reads", "writes"]);
        assert_eq!(project.read("y"), name);
        assert_eq!(project.build(targets).ok().ran(), [] as [&str; 0]);
    }
}

#[test]
fn who_made_the_last_time_what_is_looked_for_now_is_called_in() {
    let place = Place::new();
    let blind = UNPROMISED.replace("[ -e x ]", "false");
    let project = place.project("p", &blind);
    project.write("source", "1\n");
    project.build(&[]).ok();
    assert_eq!(project.read("y"), "none\n");
    project.remove("x");
    project.write("majordomo.toml", UNPROMISED);
    let seeing = project.build(&["y"]).ok();
    assert_eq!(seeing.ran(), ["reads"], "{}", seeing.said());
    assert_eq!(project.read("y"), "1\n");
}

#[test]
fn who_is_called_in_and_not_needed_costs_the_target_nothing() {
    let place = Place::new();
    let file = format!(
        "{UNPROMISED}[step.test]\nrun = 'cat y; exit 3'\n[step.later]\nrun = 'echo > later'\nafter = 'reads'\n\
         [step.sends]\nrun = 'echo > sent'\nnetwork = true\n"
    );
    let project = place.project("p", &file);
    project.write("source", "1\n");
    let built = project.build(&["y"]).ok();
    assert_eq!(project.read("y"), "1\n");
    assert!(
        built.notes().iter().any(|note| note.contains("`test` failed, and nobody asked for it")),
        "{}",
        built.said()
    );
    // What comes after the target is for later, and what is seen outside of the project is for who asks.
    assert_eq!(built.ran(), ["reads", "test", "writes"], "{}", built.said());
    project.build(&[]).failed();
}

#[test]
fn a_step_waits_for_others_in_a_new_checkout_too() {
    let place = Place::new();
    let file = "[step.all]\nrun = 'cat o/*.txt > all'\nout = 'all'\n\
                [step.one]\neach = 'src/*.in'\nrun = 'cat {in} common > {out}; mkdir -p d/{stem}'\nout = 'o/{stem}.txt'\n";
    let project = place.project("p", file);
    let sources = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for name in sources {
        project.write(format!("src/{name}.in"), format!("{name}\n"));
    }
    project.write("common", "1\n");
    let other = project.checkout("other");
    project.build(&[]).ok();
    other.write("common", "2\n");
    let built = other.build(&["-j2"]).ok();
    assert!(!restarted(&built).contains(&"all"), "{}", built.said());
    assert_eq!(built.passes("all"), 1, "{}", built.said());
    assert_eq!(other.read("all"), sources.map(|name| format!("{name}\n2\n")).concat());
}
