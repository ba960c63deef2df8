//! `majordomo shell`: the root of a step as the step finds it, or left it; and nothing that is done there stays.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::common::terminal::Terminal;
use crate::common::{Place, Project, Running};
use crate::security::{Subject, for_each_subject};

for_each_subject! {
    a_command_sees_what_the_step_would, nothing_stays, what_a_failed_step_left, a_terminal, commands_from_stdin,
    what_only_the_step_has,
}

/// `made` needs what `gen` makes, and what `other` has promised; it fails as long as there is no `good`.
const FILE: &str = r#"
[step.gen]
run = "echo generated > gen"
out = "gen"
[step.other]
run = "echo other > other"
out = "other"
[step.made]
run = "echo half > half; rm source; mkdir tree; test -e good; cat gen other > made"
out = ["made"]
scratch = ["half"]
env = { FLAVOUR = "sweet" }
after = "gen"
alters = true
cwd = ""
"#;

fn project(place: &Place) -> Project<'_> {
    let project = place.project("p", &FILE.replace("cwd = \"\"\n", ""));
    project.write("source", "source\n");
    project
}

/// `majordomo shell` about a project, in the subject's engine.
fn shell(subject: Subject, place: &Place, project: &Project<'_>, arguments: &[&str]) -> Command {
    let mut command = place.command("majordomo", &["shell", "--sandbox", subject.engine, "-p"]);
    command.arg(project.path()).args(arguments);
    command
}

fn a_command_sees_what_the_step_would(subject: Subject) {
    let place = subject.place();
    let project = project(&place);
    // Nothing was ever built: what it needs is made first, what it looks at is made when it does.
    let script = "id -u; id -un; hostname; pwd; echo $FLAVOUR $TERM; cat gen other; ls; grep -c . /proc/net/dev; exit 7";
    let looked =
        Running::start(shell(subject, &place, &project, &["made", "--", "sh", "-c", script])).end().code(7);
    let said: Vec<&str> = looked.stdout.lines().collect();
    assert_eq!(said[..7], ["1000", "build", "kitchen", "/project", "sweet", "generated", "other"]);
    // Its own outputs are not there, those of others are.
    assert_eq!(said[7..11], ["gen", "majordomo.toml", "other", "source"]);
    // The header's two lines and `lo`.
    assert_eq!(said[11..], ["3"]);
    assert!(looked.stderr.contains("gen ran"), "{}", looked.stderr);
    // Its own folder is as it was: there is nothing in it that was made.
    assert_eq!(project.files(""), ["majordomo.toml", "source"]);
    for (script, code) in [("kill -9 $$", 137), ("exit 0", 0), ("exit 255", 255)] {
        Running::start(shell(subject, &place, &project, &["made", "--", "sh", "-c", script]))
            .end()
            .code(code);
    }
    let said =
        Running::start(shell(subject, &place, &project, &["made", "--", "no-such"])).end().code(127).stderr;
    assert!(said.contains("there is no program `no-such`"), "{said}");
    place.assert_nothing_left();
}

fn nothing_stays(subject: Subject) {
    let place = subject.place();
    let project = project(&place);
    project.write("good", "");
    let before = project.build(&["--sandbox", subject.engine]).ok();
    assert_eq!(before.ran(), ["gen", "made", "other"]);
    let script = "echo bad > source; echo bad > gen; rm -f other; echo bad > made; mkdir new; ls";
    let looked =
        Running::start(shell(subject, &place, &project, &["made", "--", "sh", "-c", script])).end().ok();
    assert_eq!(
        looked.stdout.lines().collect::<Vec<_>>(),
        ["gen", "good", "made", "majordomo.toml", "new", "source"]
    );
    assert_eq!(
        (project.read("source").as_str(), project.read("made").as_str()),
        ("source\n", "generated\nother\n")
    );
    // It has not run, and what is known of it is what was known before.
    assert!(project.build(&["--sandbox", subject.engine]).ok().ran().is_empty());
    project.remove("made");
    assert!(project.build(&["--sandbox", subject.engine]).ok().ran().is_empty());
    assert_eq!(project.read("made"), "generated\nother\n");
}

fn what_a_failed_step_left(subject: Subject) {
    let place = subject.place();
    let project = project(&place);
    let kept = || walk(&place.home().join("failed"));
    let look = |arguments: &[&str]| {
        let ended = Running::start(shell(subject, &place, &project, arguments)).end().ok();
        ended.stdout.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    project.build(&["--sandbox", subject.engine]).failed();
    assert!(kept() > 0);
    let left = ["gen", "half", "majordomo.toml", "other", "tree"];
    assert_eq!(look(&["made", "--", "ls"]), left);
    // What is done to it there is gone when the next one looks.
    assert_eq!(
        look(&["made", "--", "sh", "-c", "rm -r tree; echo more >> half; cat half"]),
        ["half", "more"]
    );
    assert_eq!(look(&["made", "--", "sh", "-c", "ls; cat half"]), [&left[..], &["half"]].concat());
    assert_eq!(look(&["made", "--fresh", "--", "ls"]), ["gen", "majordomo.toml", "other", "source"]);
    // It failed again, otherwise: what it left the last time is what is there.
    project.replace("majordomo.toml", "mkdir tree", "mkdir tree2");
    project.build(&["--sandbox", subject.engine]).failed();
    assert_eq!(look(&["made", "--", "ls"])[4], "tree2");
    // A good end leaves nothing.
    project.write("good", "");
    project.build(&["--sandbox", subject.engine]).ok();
    assert_eq!(kept(), 0);
    assert_eq!(look(&["made", "--", "ls"]), ["gen", "good", "majordomo.toml", "other", "source"]);
    // Nor does one that an earlier build answers for.
    project.remove("good");
    project.build(&["--sandbox", subject.engine]).failed();
    assert!(kept() > 0);
    project.write("good", "");
    assert!(project.build(&["--sandbox", subject.engine]).ok().ran().is_empty());
    assert_eq!(kept(), 0);
    place.assert_nothing_left();
}

/// How many files there are below a folder.
#[test]
fn what_an_older_failure_left_is_not_of_one_that_did_not_settle() {
    let place = Place::new();
    let project = place.project("p", "[step.k]\nrun = 'echo part >> kk; grep -q ok flag'\nkeep = true\n");
    project.write("flag", "no\n");
    let look = || project.ask("shell", &["k", "--", "sh", "-c", "cat kk 2>&1 || true"]);
    project.build(&[]).failed();
    assert_eq!(look().ok().stdout, "part\n");
    project.write("flag", "ok\n");
    let built = project.build(&[]).failed();
    assert!(built.said().contains("it did not settle in 8 passes"), "{}", built.said());
    let looked = look();
    assert!(!looked.stderr.contains("when it failed"), "{}", looked.stderr);
    assert_ne!(looked.stdout, "part\n");
}

fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

fn a_terminal(subject: Subject) {
    let place = subject.place();
    let project = project(&place);
    let mut command = shell(subject, &place, &project, &["made"]);
    command.env("TERM", "vt220");
    let mut terminal = Terminal::start(command, (33, 101));
    let said = terminal.shows("nothing that is done here stays");
    assert!(said.contains("in the sandbox of made"), "{said}");
    // What it shows of a key cannot be taken for what a command prints.
    terminal.types("test -t 0 && test -t 1 && echo term-$TERM-inal; stty size\n");
    terminal.shows("term-vt220-inal");
    terminal.shows("33 101");
    // Ctrl-C is for what runs in there, and only for that.
    terminal.types("sh -c 'echo g\"\"o; exec sleep 86420'\n");
    // Whoever says so is in the foreground by then.
    terminal.shows("go\r\n");
    terminal.types("\x03");
    terminal.types("echo code-$?-still\n");
    terminal.shows("code-130-still");
    // The window changes, and the shell's does.
    terminal.resize((20, 77));
    terminal.types("until test \"$(stty size)\" = '20 77'; do sleep 0.1; done; echo re''sized\n");
    terminal.shows("resized");
    // Job control: what is stopped can be brought back.
    terminal.types("sleep 86421 &\njobs | sed 's/Running/is run''ning/'\nkill %1\n");
    terminal.shows("is running");
    assert!(!terminal.is_cooked(), "keys are the shell's to understand");
    terminal.types("exit 5\n");
    assert_eq!(terminal.ends(), Some(5));
    assert!(terminal.is_cooked(), "the terminal is given back as it was");
    place.assert_nothing_left();
    // A command on a terminal; the terminal goes away.
    let command =
        shell(subject, &place, &project, &["made", "--", "sh", "-c", "tty; echo here; sleep 86422"]);
    let mut terminal = Terminal::start(command, (24, 80));
    terminal.shows("here");
    terminal.hangs_up();
    assert_eq!(terminal.ends(), Some(129));
    place.assert_nothing_left();
}

fn commands_from_stdin(subject: Subject) {
    let place = subject.place();
    let project = project(&place);
    let mut child = shell(subject, &place, &project, &["--quiet", "made"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let script = "cat gen\necho to-stderr >&2\nhead -c 300000 /dev/zero | tr '\\0' x\nexit 3\n";
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(ended.stdout.len(), "generated\n".len() + 300_000);
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "to-stderr\n");
}

fn what_only_the_step_has(subject: Subject) {
    let place = subject.place();
    let project = place.project(
        "p",
        "[step.s]\nsecrets = 'TOKEN'\nlimits = { open_files = 50, disk = '1M' }\ntimeout = '1s'\n\
         run = 'cp /run/secrets/TOKEN made; false'\nout = 'made'\n",
    );
    let build = |program: &mut Command| {
        program.env("TOKEN", "correct-horse");
        Running::start(std::mem::replace(program, Command::new("true"))).end()
    };
    let mut command = place.command("majordomo", &["build", "--sandbox", subject.engine, "-p"]);
    build(command.arg(project.path())).code(1);
    // It may have written its secret anywhere: nothing of it is kept.
    assert_eq!(walk(&place.home().join("failed")), 0);
    // The caller's streams are shown what the caller has; the step's time is not the visitor's.
    let script =
        "ls; cat /run/secrets/TOKEN; ulimit -n; head -c 3M /dev/zero > made; echo $?; sleep 1.2; echo end";
    let ended = build(&mut shell(subject, &place, &project, &["s", "--", "sh", "-c", script])).ok();
    let said: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(said, ["majordomo.toml", "correct-horse50", "153", "end"], "{}", ended.stderr);
    let ended = Running::start(shell(subject, &place, &project, &["s", "--", "true"])).end().code(1);
    assert!(
        ended.stderr.contains("its secret `TOKEN` is not in the caller's environment"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_producer_that_fails_and_one_that_is_interrupted() {
    let place = Place::new();
    let project = project(&place);
    project.replace("majordomo.toml", "echo generated > gen", "echo broken; false");
    let ended = project.ask("shell", &["made", "--", "true"]).code(1);
    assert!(ended.stderr.contains("gen failed: exit code 1"), "{}", ended.stderr);
    project.replace("majordomo.toml", "echo broken; false", "echo g > gen");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut command = place.command("majordomo", &["shell", "-p"]);
        command.arg(project.path()).args([
            "made",
            "--",
            "sh",
            "-c",
            "echo here >&2; trap '' INT TERM; sleep 86423",
        ]);
        let mut running = Running::start(command);
        running.wait_for_talk("here");
        running.signal(signal);
        running.end().code(code);
        place.assert_nothing_left();
    }
}

#[test]
fn by_a_pod_that_stands_and_beside_other_builds() {
    let place = Place::new();
    let project = project(&place);
    let pod = place.standing();
    let ended = project.ask("shell", &["made", "--", "sh", "-c", "cat gen; exit 4"]).code(4);
    assert_eq!(ended.stdout, "generated\n");
    let other = place.project("other", "[step.s]\nrun = 'echo x > made'\nout = 'made'\n");
    let mut command = place.command("majordomo", &["shell", "-p"]);
    command.arg(project.path()).args(["made", "--", "sh", "-c", "echo here >&2; sleep 86424"]);
    let mut running = Running::start(command);
    running.wait_for_talk("here");
    other.builds(&["s"]);
    // The client dies: so does what it had opened, and the pod goes on.
    running.signal(Signal::KILL);
    running.end();
    other.builds(&[]);
    place.stops(pod).ok();
    place.assert_nothing_left();
}

#[test]
fn what_cannot_be_looked_into() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\neach = '*.c'\nrun = 'cp {in} {out}'\nout = '{stem}.o'\n");
    project.write("a.c", "");
    project.write("b.c", "");
    let said = |arguments: &[&str]| project.ask("shell", arguments).code(2).stderr;
    insta::assert_snapshot!(said(&["nowhere", "--", "true"]), @r"
    error: no step makes `nowhere`, and none has this id

    hint: `majordomo graph` shows all steps
    ");
    insta::assert_snapshot!(said(&["s", "--", "true"]), @r"
    error: `s` is a rule with 2 steps

    hint: name one of them: `s:a.c`, `s:b.c`
    ");
    insta::assert_snapshot!(said(&["s:c.c", "--", "true"]), @r"
    error: no step makes `s:c.c`, and none has this id

    hint: did you mean `s:a.c`?
    ");
    insta::assert_snapshot!(place.majordomo(&["shell", "-p", "/no/such/project", "s"]).code(2).stderr, @r"
    error: cannot use the project folder `/no/such/project`
      caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(place.majordomo(&["shell", "s"]).code(2).stderr, @r"
    error: no `majordomo.toml` in `[PLACE]/projects` or in a folder above it, and no chef knows that folder

    hint: go to a project, name its folder, or write a `majordomo.toml`
    ");
    insta::assert_snapshot!(place.majordomo(&["shell"]).code(2).stderr, @r"
    error: the following required arguments were not provided:
      <STEP>

    Usage: majordomo shell [OPTIONS] STEP [-- COMMAND...]

    For more information, try '--help'.
    ");
    // A path that a step promises is as good as its id.
    assert_eq!(project.ask("shell", &["b.o", "--", "ls"]).code(0).stdout, "a.c\na.o\nb.c\nmajordomo.toml\n");
}
