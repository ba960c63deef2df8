//! Projects that use what others make.

use serde_json::Value;

use super::projects::{building, knows, registered};
use super::{Member, two};
use crate::common::{Project, Running};

const LIBRARY: &str = "
[step.lib]
run = 'mkdir -p lib; grep -v ^# foo.c > lib/libfoo.a; echo made lib'
out = 'lib/libfoo.a'

[step.manual]
run = 'echo manual > manual'
out = 'manual'
";

const PROGRAM: &str = "
[uses]
foo = 'project:libfoo#lib/*.a'

[step.link]
run = 'cat .uses/foo/lib/libfoo.a main > app'
out = 'app'

[step.other]
run = 'cat main > other'
out = 'other'
";

/// A library of the first pod, registered, and a program of the second one that uses it.
fn library<'a, 'b>(a: &'a Member, b: &'b Member) -> (Project<'a>, Project<'b>) {
    let library = registered(a, "libfoo", LIBRARY, b);
    library.write("foo.c", "one\n");
    let program = b.place.project("app", PROGRAM);
    program.write("main", "main\n");
    (library, program)
}

#[test]
fn what_another_project_makes_is_a_source() {
    let (_ground, _server, a, b) = two();
    let (library, program) = library(&a, &b);
    assert_eq!(program.build(&[]).ok().ran(), ["link", "other"]);
    assert_eq!(program.read("app"), "one\nmain\n");
    // Of the other one only that was made which is used, where it belongs; and here there is no more of it.
    assert_eq!(library.read("lib/libfoo.a"), "one\n");
    assert!(!library.has("manual"));
    assert_eq!(program.files(".uses"), [".uses/foo/lib/libfoo.a"]);
    assert_eq!(program.build(&[]).ok().ran(), [""; 0]);
    // A change that does not change what is made wakes nobody; another one those who read it.
    library.append("foo.c", "# a remark\n");
    assert_eq!(program.build(&[]).ok().ran(), [""; 0]);
    library.append("foo.c", "two\n");
    assert_eq!(program.build(&[]).ok().ran(), ["link"]);
    assert_eq!(program.read("app"), "one\ntwo\nmain\n");
    // What was edited here is not overwritten without a word, but put right when that is wanted.
    program.write(".uses/foo/lib/libfoo.a", "mine");
    program.write(".uses/foo/stray", "mine");
    let refused = program.build(&[]).code(2);
    assert!(refused.said().contains("`lib/libfoo.a` was edited"), "{}", refused.said());
    assert_eq!(program.read(".uses/foo/lib/libfoo.a"), "mine");
    assert_eq!(program.build(&["--take-back"]).ok().ran(), [""; 0]);
    let aside = ".uses/foo/lib/libfoo.a.mine";
    assert_eq!(program.files(".uses"), [".uses/foo/lib/libfoo.a", aside, ".uses/foo/stray"]);
    assert_eq!(
        (program.read(".uses/foo/lib/libfoo.a"), program.read(aside)),
        ("one\ntwo\n".into(), "mine".into())
    );
    program.remove(aside);
    program.remove(".uses/foo/stray");
    // A dry run has nothing built elsewhere.
    library.append("foo.c", "three\n");
    let looked = program.build(&["--dry-run"]).ok();
    assert!(looked.said().contains("`libfoo` is looked at as it stands in `.uses/foo`"), "{}", looked.said());
    assert_eq!(
        (library.read("lib/libfoo.a"), program.read(".uses/foo/lib/libfoo.a")),
        ("one\ntwo\n".into(), "one\ntwo\n".into())
    );
    library.write("foo.c", "one\ntwo\n");
    // No step writes there.
    let refused = b.place.project("bad", "[step.bad]\nrun = 'true'\nout = '.uses/x'\n").build(&[]).code(2);
    assert!(refused.said().contains("no step may write `.uses`"), "{}", refused.said());
    // All that a bare build of it wants.
    program.replace("majordomo.toml", "#lib/*.a", "");
    assert_eq!(program.build(&[]).ok().ran(), [""; 0]);
    assert_eq!(program.files(".uses"), [".uses/foo/lib/libfoo.a", ".uses/foo/manual"]);
    // What is not used any more goes.
    program.write("majordomo.toml", "[step.other]\nrun = 'cat main > other'\nout = 'other'\n");
    assert_eq!(program.build(&[]).ok().ran(), [""; 0]);
    assert!(!program.has(".uses"));
    b.leaves();
    a.leaves();
}

#[test]
fn what_cannot_be_had_is_said() {
    let (_ground, _server, a, b) = two();
    let (library, program) = library(&a, &b);
    library.write("majordomo.toml", LIBRARY.replace("grep -v", "echo no; false; grep -v"));
    let failed = program.build(&[]).code(1);
    for said in ["`libfoo`, which this project uses, could not be built by `a`", "step `lib`: exit code 1"] {
        assert!(failed.said().contains(said), "{}", failed.said());
    }
    library.write("majordomo.toml", LIBRARY);
    program.build(&[]).ok();
    // What failed is not what is away: nothing old is built with.
    library.write(
        "majordomo.toml",
        LIBRARY.replace("out = 'lib/libfoo.a'", "out = 'lib/libfoo.a'\nsandbox = 7"),
    );
    let broken = program.build(&[]).code(2);
    assert!(!broken.said().contains("used as it was last"), "{}", broken.said());
    let folder = library.path().with_extension("away");
    std::fs::rename(library.path(), &folder).unwrap();
    let broken = program.build(&[]);
    assert_ne!(broken.ended.code, Some(0), "{}", broken.said());
    assert!(!broken.said().contains("used as it was last"), "{}", broken.said());
    std::fs::rename(&folder, library.path()).unwrap();
    library.write("majordomo.toml", LIBRARY);
    // When its pod is away what is here is used.
    a.leaves();
    program.write("main", "alone\n");
    let built = program.build(&[]).ok();
    assert_eq!(built.ran(), ["link", "other"]);
    let note =
        built.events.iter().find(|event| event["event"] == "note" && event["warning"] == true).unwrap();
    assert!(
        note["text"].as_str().unwrap().contains("`libfoo` is used as it was last: the pod `a`"),
        "{note}"
    );
    assert_eq!(program.read("app"), "one\nalone\n");
    // What never came cannot be used.
    program.replace("majordomo.toml", "#lib/*.a", "");
    let absent = program.build(&[]).code(3);
    assert!(absent.said().contains("which has the project `libfoo`, is not there"), "{}", absent.said());
    program.replace("majordomo.toml", "libfoo", "libbar");
    let unknown = program.build(&[]).code(2);
    assert!(unknown.said().contains("no project of the federation is called `libbar`"), "{}", unknown.said());
    b.leaves();
}

#[test]
fn projects_that_use_each_other_are_an_error() {
    let (_ground, _server, a, b) = two();
    let file = |other: &str| {
        format!("[uses]\nit = 'project:{other}'\n[step.s]\nrun = 'cat .uses/it/s > s'\nout = 's'\n")
    };
    registered(&a, "p", &file("q"), &b);
    registered(&b, "q", &file("p"), &a);
    knows(&b, "p");
    let refused = building(&a, &["project:q"]).end().code(2);
    assert!(
        refused.stderr.contains("projects use each other in a circle: `q` → `p` → `q`"),
        "{}",
        refused.stderr
    );
    b.leaves();
    a.leaves();
}

#[test]
fn what_is_made_anew_is_built_with_by_whoever_watches() {
    let (_ground, _server, a, b) = two();
    let (library, program) = library(&a, &b);
    let mut command = b.place.command("majordomo", &["watch", "--events", "-", "-p"]);
    command.arg(program.path());
    let mut watch = Running::start(command);
    let is_over = |event: &Value| event["event"] == "build-finished";
    watch.wait_for(is_over);
    assert_eq!(program.read("app"), "one\nmain\n");
    // Built where it is, for its own sake.
    library.write("foo.c", "two\n");
    library.build(&[]).ok();
    watch.wait_for(|event| event["event"] == "step-started" && event["step"] == "link");
    watch.wait_for(is_over);
    assert_eq!(program.read("app"), "two\nmain\n");
    watch.signal(rustix::process::Signal::INT);
    watch.end();
    b.leaves();
    a.leaves();
}

#[test]
fn what_is_never_the_same_is_not_made_for_ever_by_whoever_watches() {
    let (_ground, _server, a, b) = two();
    let library = registered(
        &a,
        "libfoo",
        "[step.date]
run = 'date +%N > date'
out = 'date'
volatile = true
[step.lib]
run = 'cat date > lib'
out = 'lib'
",
        &b,
    );
    let program = b.place.project(
        "app",
        "[uses]
foo = 'project:libfoo#lib'
[step.link]
run = 'cat .uses/foo/lib words > app'
out = 'app'
",
    );
    program.write("words", "1\n");
    let mut command = b.place.command("majordomo", &["watch", "--events", "-", "-p"]);
    command.arg(program.path());
    let mut watch = Running::start(command);
    let is_over = |event: &Value| event["event"] == "build-finished";
    watch.wait_for(is_over);
    // Built for its own sake, it is taken as it is; not made once more for that, which would be a change again.
    library.build(&[]).ok();
    watch.wait_for(|event| event["event"] == "step-started" && event["step"] == "link");
    watch.wait_for(is_over);
    assert!(program.read("app").starts_with(&library.read("lib")));
    let made = library.read("date");
    program.write("words", "2\n");
    watch.wait_for(is_over);
    program.write("words", "3\n");
    watch.wait_for(is_over);
    assert_eq!(library.read("date"), made);
    watch.signal(rustix::process::Signal::INT);
    watch.end();
    b.leaves();
    a.leaves();
}
