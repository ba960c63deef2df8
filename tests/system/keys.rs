//! The keys of a step in `majordomo.toml`, each by what it changes in builds.

use crate::common::{Gate, Place};

#[test]
fn each_makes_a_step_for_every_match_sources_and_outputs_alike() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.upper]
        each = "words/*.txt"
        run = "tr a-z A-Z < {in} > {out}"
        out = "upper/{stem}.up"
        [step.count]
        each = "upper/*.up"
        run = "wc -c < {in} > {out}"
        out = "count/{stem}"
        "#,
    );
    project.write("words/a.txt", "one");
    project.write("words/it's b.txt", "three");
    let built = project.builds(&[
        "count:upper/a.up",
        "count:upper/it's b.up",
        "upper:words/a.txt",
        "upper:words/it's b.txt",
    ]);
    assert_eq!(built.count("steps"), 4);
    assert_eq!(project.read("upper/it's b.up"), "THREE");
    assert_eq!(project.read("count/a").trim(), "3");
    project.write("words/a.txt", "two");
    // Other bytes, and as many of them: `wc -c` asks for nothing but the size.
    let edited = project.builds(&["upper:words/a.txt"]);
    assert_eq!(edited.count("written"), 1);
}

#[test]
fn in_gives_the_order_and_triggers_nothing_by_itself() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.use]
        in = ["made", "unread"]
        run = "cat made > {out}"
        out = "used"
        [step.make]
        run = "cat source > {out}"
        out = "made"
        "#,
    );
    project.write("source", "1");
    project.write("unread", "1");
    project.builds(&["make", "use"]);
    assert_eq!(project.read("used"), "1");
    project.write("unread", "2");
    project.builds(&[]);
    project.write("source", "2");
    project.builds(&["make", "use"]);
    assert_eq!(project.read("used"), "2");
}

#[test]
fn after_shows_undeclared_outputs_before_the_first_look() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.make]
        run = "mkdir -p made && cp source made/hidden"
        [step.later]
        run = "ls made > {out}"
        out = "later"
        after = "make"
        [step.apart]
        run = "cat made/other > {out} 2>/dev/null || echo none > {out}"
        out = "apart"
        "#,
    );
    project.write("source", "1");
    let built = project.builds(&["apart", "later", "make"]);
    assert_eq!(built.passes("later"), 1, "{}", built.said());
    assert_eq!(project.read("later"), "hidden\n");
    assert_eq!(project.read("apart"), "none\n");
    assert!(project.has("made/hidden"), "undeclared outputs are handed over, too");
    project.builds(&[]);
    project.remove("made");
    assert_eq!(project.builds(&[]).count("written"), 1);
}

#[test]
fn what_a_step_lists_has_the_undeclared_outputs_of_the_others() {
    let place = Place::new();
    let steps = "[step.apart]\nrun = 'ls > {out}'\nout = 'apart'\n\n[step.make]\nrun = 'mkdir -p made && cp source made/hidden'\n";
    let project = place.project("p", steps);
    project.write("source", "1");
    project.builds(&["apart", "make"]);
    // A clean build of the whole comes to the same, whoever is first.
    assert_eq!(project.read("apart"), "apart\nmade\nmajordomo.toml\nsource\n");
    project.builds(&[]);
}

#[test]
fn env_is_all_that_a_step_sees_of_the_callers_environment() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.set]
        run = "env | sort > {out}"
        out = "set"
        env = { COLOUR = "green" }
        [step.passed]
        run = "echo ${SHADE-none} ${CHANNEL} > {out}"
        out = "passed"
        env = ["SHADE", "CHANNEL=beta"]
        "#,
    );
    let mut command = place.command("majordomo", &["build", "p"]);
    command.env("SHADE", "dark").env("SECRET", "x");
    assert!(command.output().unwrap().status.success());
    assert_eq!(project.read("passed"), "dark beta\n");
    insta::assert_snapshot!(project.read("set"), @r"
    COLOUR=green
    HOME=/home/build
    LC_ALL=C.UTF-8
    PATH=/usr/local/bin:/usr/bin:/bin
    PWD=/project
    SOURCE_DATE_EPOCH=946684800
    TZ=UTC
    USER=build
    ");
    let built = project.builds(&["passed"]);
    assert_eq!(built.reason("passed"), "the variable `SHADE` is gone");
    assert_eq!(project.read("passed"), "none beta\n");
}

#[test]
fn cwd_is_where_commands_start() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.here]
        cwd = "deep/er"
        run = "pwd > {out}; cat word >> {out}"
        out = "deep/out"
        "#,
    );
    project.write("deep/er/word", "w\n");
    project.builds(&["here"]);
    assert_eq!(project.read("deep/out"), "/project/deep/er\nw\n");
}

#[test]
fn timeout_ends_the_step_with_all_its_processes() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.slow]
        run = "echo before; sleep 1000 & sleep 1000"
        timeout = 1
        "#,
    );
    let built = project.build(&[]).failed();
    assert_eq!(built.failure("slow"), "it was ended after 1 s, its `timeout`");
    assert_eq!(built.output("slow"), ["before"]);
    place.assert_nothing_left();
    project.replace("majordomo.toml", "sleep 1000 & sleep 1000", "sleep 0");
    project.builds(&["slow"]);
}

#[test]
fn network_is_there_only_when_asked_for() {
    let place = Place::new();
    let gate = Gate::new();
    let file = |network: bool| {
        format!(
            "[step.call]\nnetwork = {network}\nrun = '''\n{}\necho through > called\n'''\n",
            gate.command()
        )
    };
    let project = place.project("p", &file(false));
    project.build(&[]).failed();
    assert!(!project.has("called"));
    project.write("majordomo.toml", file(true));
    let running = project.start(&[]);
    gate.arrival().go();
    running.built().ok();
    assert_eq!(project.read("called"), "through\n");
}

#[test]
fn keep_shows_a_step_its_earlier_outputs_until_it_settles() {
    let place = Place::new();
    let script = "n=$(cat log 2>/dev/null | wc -l); [ $n -ge 3 ] || echo line >> log";
    let project =
        place.project("p", &format!("[step.grow]\nkeep = true\nrun = '''{script}'''\nout = 'log'\n"));
    project.builds(&["grow"]);
    assert_eq!(project.read("log"), "line\nline\nline\n");
    project.builds(&[]);
    project.remove("log");
    assert_eq!(project.builds(&[]).count("written"), 1);

    // Without `keep` the step starts from nothing each time.
    let fresh = place.project("q", &format!("[step.grow]\nrun = '''{script}'''\nout = 'log'\n"));
    fresh.builds(&["grow"]);
    assert_eq!(fresh.read("log"), "line\n");
}

#[test]
fn keep_that_never_settles_names_its_paths() {
    let place = Place::new();
    let script = "if [ \"$(cat state 2>/dev/null)\" = a ]; then echo b; else echo a; fi > new; mv new state";
    let project =
        place.project("p", &format!("[step.flip]\nkeep = ['state']\nrun = '''{script}'''\nout = 'state'\n"));
    let built = project.build(&[]).failed();
    insta::assert_snapshot!(built.failure("flip"), @r"
    it oscillates: what is there after pass 3 was there before; its period is 2:
      `state` is b3:[DIGEST], then b3:[DIGEST]
        - b
        + a
    ");
    let again = project.build(&[]).failed();
    assert_eq!(again.failure("flip"), built.failure("flip"));
    assert!(!project.has("state"), "what never settled is not published");
}

#[test]
fn volatile_runs_in_every_build_and_its_readers_only_when_bytes_differ() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.stamp]
        volatile = true
        run = "cut -c1 source > {out}"
        out = "stamp"
        [step.use]
        run = "cp stamp used"
        out = "used"
        after = "stamp"
        "#,
    );
    project.write("source", "1a");
    project.builds(&["stamp", "use"]);
    project.builds(&["stamp"]);
    project.write("source", "2a");
    project.builds(&["stamp", "use"]);
    assert_eq!(project.read("used"), "2\n");
}

#[test]
fn strict_refuses_what_is_not_declared() {
    let place = Place::new();
    let file = |more: &str, run: &str| {
        format!("[step.s]\nstrict = true\nin = ['a'{more}]\nrun = '{run}'\nout = 'o'\n")
    };
    let project = place.project("p", &file("", "cat a b > o"));
    project.write("a", "1");
    project.write("b", "2");
    let reads = project.build(&[]).failed();
    assert_eq!(reads.failure("s"), "it is strict, and read `b`, which `in` does not name");
    project.write("majordomo.toml", file("", "cat a > o; touch more"));
    let makes = project.build(&[]).failed();
    assert_eq!(makes.failure("s"), "it is strict, and made `more`, which `out` does not name");
    assert!(!project.has("o") && !project.has("more"));
    project.write("majordomo.toml", file(", 'b'", "cat a b > o"));
    project.builds(&["s"]);
    assert_eq!(project.read("o"), "12");
}

#[test]
fn run_takes_a_shell_text_words_and_a_list_of_commands() {
    let place = Place::new();
    let project = place.project(
        "p",
        r#"
        [step.text]
        run = "echo \"$0\" '$x' > {out}"
        out = "text"
        [step.words]
        run = ["cp", "$HOME a", "words"]
        out = "words"
        [step.list]
        run = [["cp", "$HOME a", "list"], "echo more >> list"]
        out = "list"
        "#,
    );
    project.write("$HOME a", "verbatim\n");
    project.builds(&["list", "text", "words"]);
    assert_eq!(project.read("words"), "verbatim\n");
    assert_eq!(project.read("list"), "verbatim\nmore\n");
}
