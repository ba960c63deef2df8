//! Projects without steps of their own: chefs are asked, traced and remembered; the surest plans.

mod bad;
mod hostile;

use crate::common::{Built, Place, Project, Running, debian};

const MAKEFILE: &str = "prog: main.o part.o\n\tcc -o $@ $^\n\n%.o: %.c part.h\n\tcc -c -o $@ $<\n";

fn made_by_make<'p>(place: &'p Place, name: &str) -> Project<'p> {
    let project = place.bare(name);
    project.write("Makefile", MAKEFILE);
    project.write("part.h", "int part(void);\n");
    project.write("part.c", "#include \"part.h\"\nint part(void) { return 1; }\n");
    project.write(
        "main.c",
        "#include <stdio.h>\n#include \"part.h\"\nint main(void) { printf(\"%d\\n\", part()); return 0; }\n",
    );
    project
}

const ASKED: [&str; 7] =
    ["chef:autotools", "chef:cargo", "chef:cmake", "chef:latex", "chef:make", "chef:meson", "chef:ninja"];

fn and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ASKED.iter().chain(more).copied().collect()
}

#[test]
fn a_makefile_is_all_that_it_takes() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    let first = project.builds(&and(&["make"]));
    assert_eq!(first.count("steps"), 8);
    assert_eq!(project.says("prog", &[]), "1\n");
    place.assert_nothing_left();
    let nothing = project.builds(&[]);
    assert_eq!((nothing.count("steps"), nothing.count("reused")), (8, 8));

    // Another checkout has everything: plan, objects and program.
    let other = project.checkout("q");
    for made in ["prog", "main.o", "part.o"] {
        other.remove(made);
    }
    other.builds(&[]);
    assert_eq!(other.says("prog", &[]), "1\n");

    // An edit remakes what it must, and the plan is not made anew.
    project.replace("part.c", "return 1", "return 2");
    let edited = project.builds(&["make"]);
    let compiled: Vec<&str> =
        edited.output("make").into_iter().filter(|line| line.starts_with("cc -c")).collect();
    assert_eq!(compiled, ["cc -c -o part.o part.c"]);
    assert_eq!(project.says("prog", &[]), "2\n");
    // A chef reads which goals there are, and its plan stays; which results an edited Makefile spoils make does not know.
    project.append("Makefile", "# a comment\n");
    let commented = project.builds(&["chef:make", "make"]);
    assert_eq!(commented.reason("make"), "from nothing: Makefile changed");
}

#[test]
fn what_a_chef_looked_at_is_planned_again_and_nothing_else() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    project.write("doc/read.me", "");
    project.builds(&and(&["make"]));
    // A folder that two of them list: one looks for documents, one for what an earlier make has left.
    project.write("doc/notes.txt", "");
    project.builds(&["chef:latex", "chef:make"]);
    // make looks for this one first.
    project.write("GNUmakefile", "include Makefile\n");
    let again = project.builds(&["chef:latex", "chef:make", "make"]);
    assert!(project.has("prog") && again.count("failed") == 0);
    project.builds(&[]);
    // A project file ends it, and what make had made and nobody makes any more goes.
    project.write("majordomo.toml", "[step.one]\nrun = 'cat part.h > one'\nout = 'one'\n");
    project.builds(&["one"]);
    assert!(!project.has("prog") && project.has("one"));
    // Without it all is as before.
    project.remove("majordomo.toml");
    project.builds(&[]);
    assert!(project.has("prog") && !project.has("one"));
}

#[test]
fn lua_by_its_own_makefile() {
    let place = Place::new();
    let folder = place.path().join("projects/lua");
    // Debian's own Makefile is of use to Debian's rules alone.
    if !debian::unpack_upstream("lua5.4", &folder) {
        return;
    }
    let project = place.bare("lua");
    let first = project.build(&[]).ok();
    assert_eq!(first.ran(), and(&["make"]));
    let script = "print(_VERSION, 6 * 7)";
    assert_eq!(project.says("src/lua", &["-e", script]), "Lua 5.4\t42\n");
    project.builds(&[]);
    project.append("src/lvm.c", "\n/* a comment */\n");
    let edited = project.builds(&["make"]);
    let compiled = edited.output("make").into_iter().filter(|line| line.contains(" -c ")).count();
    assert_eq!(compiled, 1, "{:?}", edited.output("make"));
    project.replace(
        "src/lua.h",
        "#define LUA_VERSION_MINOR\t\"4\"",
        "#define LUA_VERSION_MINOR\t\"4 of ours\"",
    );
    project.builds(&["make"]);
    assert_eq!(project.says("src/lua", &["-e", "print(_VERSION)"]), "Lua 5.4 of ours\n");
    let tested = project.build(&["test"]).ok();
    assert!(
        tested.output("test").iter().any(|line| line.starts_with("Lua 5.4 of ours.")),
        "{:?}",
        tested.output("test")
    );
}

#[test]
fn the_example_with_a_makefile() {
    let place = Place::new();
    let project = place.example("make");
    project.build(&[]).ok();
    assert_eq!(project.says("bin/words", &["one", "two"]), "2 words\n");
    project.build(&["check"]).ok();
    project.replace("include/count.h", "\"words\"", "\"of them\"");
    project.build(&[]).ok();
    assert_eq!(project.says("bin/words", &["one", "two"]), "2 of them\n");
    assert!(project.build(&["check"]).code(1).said().contains("the rule for `check` ended with 1"));
    place.assert_nothing_left();
}

#[test]
fn all_is_what_a_bare_build_wants() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("Makefile", "all: one\none:\n\techo 1 > one\nextra:\n\techo 2 > extra\n");
    assert_eq!(project.build(&["all"]).ok().ran_without_chefs(), ["make"]);
    assert!(project.has("one") && !project.has("extra"));
    project.builds(&[]);
    // Where it is another goal than the first, it is one of its own.
    project.write("Makefile", "one:\n\techo 1 > one\nall: one\n\techo 2 > extra\n");
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["make"]);
    assert!(project.has("one") && !project.has("extra"));
    assert_eq!(project.build(&["all"]).ok().ran_without_chefs(), ["all"]);
    assert!(project.has("extra"));
    place.assert_nothing_left();
}

#[test]
fn the_project_around_the_current_folder_is_named() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("Makefile", "made:\n\techo 1 > made\n");
    project.write("docs/page", "");
    let from = |folder: &str, more: &[&str]| {
        let mut build = place.command("majordomo", &["build"]);
        build.args(more).current_dir(project.at(folder));
        Running::start(build).end().ok().stderr
    };
    let words = format!("building `{}`, the project around this folder\n", project.path().display());
    assert!(!from("", &[]).contains("the project around"));
    assert!(from("docs", &[]).starts_with(&words), "{}", from("docs", &[]));
    assert!(!from("docs", &["--quiet"]).contains("the project around"));
    assert!(!from("docs", &["-p", ".."]).contains("the project around"));
    assert!(!from("docs", &[".."]).contains("the project around"));
}

#[test]
fn the_example_with_a_configure_script() {
    let place = Place::new();
    let project = place.example("autotools");
    let made = std::process::Command::new("autoconf").current_dir(project.path()).status();
    assert!(made.expect("Debian's `autoconf`").success());
    project.builds(&and(&["configure", "make"]));
    assert_eq!(project.says("greet", &[]), "Hello, world.\n");
    project.builds(&[]);
    project.replace("greet.c", "Hello", "Hello again");
    let edited = project.build(&[]).ok();
    assert_eq!(edited.ran_without_chefs(), ["make"], "{}", edited.said());
    assert_eq!(project.says("greet", &[]), "Hello again, world.\n");
    project.replace("Makefile.in", "'^Hello", "'^Hello again");
    let edited = project.build(&[]).ok();
    assert_eq!(edited.ran_without_chefs(), ["configure", "make"], "{}", edited.said());
    project.build(&["check"]).ok();
    place.assert_nothing_left();
}

#[test]
fn gnu_hello_by_its_configure_script() {
    let place = Place::new();
    let folder = place.path().join("projects/hello");
    if !debian::unpack("hello", &folder) {
        return;
    }
    let project = place.bare("hello");
    project.builds(
        &and(&["configure", "make"])
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>(),
    );
    assert_eq!(project.says("hello", &[]), "Hello, world!\n");
    project.builds(&[]);
    // `configure` asks whether this file is there, and so learns its size.
    project.replace("src/hello.c", "Hello, world!", "Hello, earth!");
    project.builds(&["make"]);
    assert_eq!(project.says("hello", &[]), "Hello, earth!\n");
    // Its own tests, which greet the world.
    project.replace("src/hello.c", "Hello, earth!", "Hello, world!");
    let checked = project.build(&["check"]).ok();
    let said = checked.output("check");
    let count = |what: &str| said.iter().find_map(|line| line.strip_prefix(what)?.trim().parse::<u32>().ok());
    assert!(
        count("# PASS:") > Some(3) && count("# FAIL:") == Some(0) && count("# ERROR:") == Some(0),
        "{said:?}"
    );
    place.assert_nothing_left();
}

/// A chef in a folder of the project.
fn chef(project: &Project<'_>, name: &str, program: &str) {
    let timeout = if program.contains("sleep") { 1 } else { 60 };
    let about =
        format!("name = \"{name}\"\nversion = \"1\"\nprotocol = 1\nprogram = \"run\"\ntimeout = {timeout}\n");
    project.write(format!("chefs/{name}/chef.toml"), about);
    project.write(format!("chefs/{name}/run"), program);
    project.chmod(&format!("chefs/{name}/run"), 0o755);
}

/// A chef that answers this to whatever it is asked.
fn saying(answer: &str) -> String {
    format!("#!/bin/sh\ncat > /dev/null\ncat <<'EOF'\n{answer}\nEOF\n")
}

fn sure(sure: u8, step: &str) -> String {
    saying(&format!(
        r#"{{"protocol":1,"answer":"detect","sure":{sure},"plan":{{"file":{{"step":{{"{step}":{{"run":"echo by {step} > made"}}}}}}}}}}"#
    ))
}

/// The project file that an error shows at its end.
pub fn shown_file(built: &Built) -> String {
    let (_, file) = built.said().split_once("decide in `majordomo.toml`:\n").expect("a file is shown");
    file.to_owned()
}

fn asks(project: &Project<'_>, chefs: &[&str]) {
    let chefs: Vec<String> = chefs.iter().map(|chef| format!("'chefs/{chef}'")).collect();
    project.write("majordomo.toml", format!("[project]\nchef = [{}]\n", chefs.join(", ")));
}

#[test]
fn the_surest_of_those_that_are_named_plans() {
    let place = Place::new();
    let project = place.bare("p");
    chef(&project, "one", &sure(10, "first"));
    chef(&project, "two", &sure(20, "second"));
    asks(&project, &["one", "two"]);
    project.builds(&["chef:one", "chef:two", "second"]);
    assert_eq!(project.read("made"), "by second\n");
    project.builds(&[]);
    // A chef that is mended is asked again.
    project.replace("chefs/one/run", "\"sure\":10", "\"sure\":30");
    project.builds(&["chef:one", "first"]);
    assert_eq!(project.read("made"), "by first\n");

    chef(&project, "two", &sure(30, "second"));
    let tie = project.build(&[]).code(2);
    insta::assert_snapshot!(tie.said(), @r#"
    chef:two ran: .majordomo/chef/two/chef/run changed ([TIME])
    error: the chefs `one` and `two` are equally sure of this project

    hint: decide in `majordomo.toml`:
    [project]
    chef = "chefs/one"   # or "chefs/two"
    "#);
    // The line that it shows decides.
    project.write("majordomo.toml", shown_file(&tie));
    project.builds(&[]);
    assert_eq!(project.read("made"), "by first\n");
    project.write("majordomo.toml", "[project]\nchef = 'chefs/two'\n");
    project.builds(&[]);
    assert_eq!(project.read("made"), "by second\n");
}

#[test]
fn a_chef_may_be_asked_for_its_plan_apart() {
    let place = Place::new();
    let project = place.bare("p");
    let program = r#"#!/bin/sh
case "$(cat)" in
    *'"detect"'*) echo '{"protocol":1,"answer":"detect","sure":1}' ;;
    *'"plan"'*) echo '{"protocol":1,"answer":"plan","file":{"step":{"s":{"run":"cat input > made"}}},"notes":["one step"]}' ;;
esac
"#;
    chef(&project, "two", program);
    project.write("input", "1\n");
    asks(&project, &["two"]);
    let first = project.builds(&["chef:two", "chef:two:plan", "s"]);
    assert!(first.notes().contains(&"two: one step"), "{:?}", first.notes());
    project.builds(&[]);
    project.write("input", "2\n");
    project.builds(&["s"]);
}

#[test]
fn plans_are_held_to_the_rules_of_project_files() {
    let place = Place::new();
    let project = place.bare("p");
    let plan = |file: &str| {
        saying(&format!(r#"{{"protocol":1,"answer":"detect","sure":1,"plan":{{"file":{file}}}}}"#))
    };
    asks(&project, &["c"]);
    let said = |file: &str| {
        chef(&project, "c", &plan(file));
        project.build(&[]).code(2).said().to_owned()
    };
    insta::assert_snapshot!(said(r#"{"step":{"s":{"runs":"true"}}}"#), @r#"
    chef:c ran: it was never built here ([TIME])
    error: the plan of the chef `c`, in `[step.s]`: unknown key `runs` in `[step.s]`; the nearest known key is `run`
      |
    2 | runs = "true"
      | ^^^^

    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    hint: the chef has to be mended; a `majordomo.toml` with steps builds the project without it
    "#);
    // Where a step may make something is the same for all.
    let out = |path: &str| said(&format!(r#"{{"step":{{"s":{{"run":"true","out":"{path}"}}}}}}"#));
    for path in ["../x", "/etc/x", "a/../../x", ".majordomo/x", ".git/x"] {
        let words = out(path);
        assert!(words.contains("the plan of the chef `c`") && words.contains(path), "{words}");
    }
    let circle = said(r#"{"step":{"s":{"run":"true","after":"t"},"t":{"run":"true","after":"s"}}}"#);
    assert!(circle.contains("the plan of the chef `c`"), "{circle}");
    let clash = said(r#"{"step":{"s":{"run":"true","out":"x"},"t":{"run":"true","out":"x"}}}"#);
    assert!(clash.contains("the plan of the chef `c`") && clash.contains("`x`"), "{clash}");
    assert!(said("{}").contains("the file has no step"));
    assert!(said(r#"{"step":{"s":{"run":null}}}"#).contains("the plan of the chef `c` is none"));
    let secret = said(r#"{"step":{"s":{"run":"true","secrets":{"K":"/etc/shadow"}}}}"#);
    assert!(secret.contains("it gives a secret to `s`, which only a project's own file may do"), "{secret}");
    let folders = said(r#"{"step":{"s":{"run":"true"}},"tools":{"roots":["/opt"]}}"#);
    assert!(folders.contains("it shows folders of this machine to steps"), "{folders}");
    assert!(said(r#"{"project":{"chef":"make"}}"#).contains("it leaves the plan to another chef"));
}

#[test]
fn nobody_knows_it() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("a.txt", "");
    let unknown = project.build(&[]).code(2);
    assert!(unknown.said().contains("has no project file `majordomo.toml`"), "{}", unknown.said());
    assert!(
        unknown
            .said()
            .contains("none knows it: `autotools`, `cargo`, `cmake`, `latex`, `make`, `meson`, `ninja`"),
        "{}",
        unknown.said()
    );
    project.write("majordomo.toml", "[project]\nchef = 'make'\n");
    let unknown = project.build(&[]).code(2);
    assert!(unknown.said().contains("no chef knows the project"), "{}", unknown.said());
    project.write("majordomo.toml", "[project]\nchef = 'nobody'\n");
    let unknown = project.build(&[]).code(2);
    let words = "the chef `nobody` could not be asked: there is no such chef: the built-in ones are `autotools`, `cargo`, `cmake`, `latex`, `make`, `meson`, `ninja`";
    assert!(unknown.said().contains(words), "{}", unknown.said());
}

/// A chef whose first step says which steps there are.
const STAGES: &str = r#"#!/bin/sh
case "$(cat)" in
    *'"detect"'*) cat <<'EOF'
{"protocol":1,"answer":"detect","sure":1,"plan":{
    "file":{"step":{"list":{"run":"echo listing; ls; mkdir out; cat names > out/list"}}},
    "replan":[{"after":"list","ask":{"from":"out/list"}}]}}
EOF
        ;;
    *'"from":"out/list"'*)
        steps=
        for name in $(cat out/list); do steps="$steps\"$name\":{\"run\":\"cat text > out/$name\",\"out\":\"out/$name\"},"; done
        echo "{\"protocol\":1,\"answer\":\"plan\",\"file\":{\"step\":{${steps%,}}}}" ;;
    *'"explain"'*) echo '{"protocol":1,"answer":"explain","reasons":[{"text":"a reason","path":"names"}]}' ;;
    *) exit 9 ;;
esac
"#;

#[test]
fn a_plan_grows_from_what_a_step_makes() {
    let place = Place::new();
    let project = place.bare("p");
    chef(&project, "s", STAGES);
    project.write("names", "a b\n");
    project.write("text", "1\n");
    asks(&project, &["s"]);
    let dry = project.build(&["--dry-run"]).ok();
    assert_eq!(dry.ran(), ["chef:s"]);
    assert!(dry.notes().iter().any(|note| note.contains("the beginning of the plan")), "{:?}", dry.notes());
    // The step that all others come from runs once, though it lists a folder in which they make things.
    let first = project.builds(&["a", "b", "chef:s:2:list", "list"]);
    assert_eq!(first.count("steps"), 5);
    assert_eq!(first.output("list").iter().filter(|line| **line == "listing").count(), 1);
    assert_eq!((project.read("out/a"), project.read("out/b")), ("1\n".into(), "1\n".into()));
    let nothing = project.builds(&[]);
    assert_eq!((nothing.count("steps"), nothing.count("reused")), (5, 5));
    let shown = |command: &str, arguments: &[&str]| project.ask(command, arguments).ok().stdout;
    assert!(shown("graph", &[]).contains("comes after list"), "{}", shown("graph", &[]));
    assert!(shown("trace", &["chef:s:2:list"]).contains("out/list"));

    project.write("text", "2\n");
    project.builds(&["a", "b"]);
    project.write("names", "b c\n");
    let other = project.builds(&["c", "chef:s:2:list", "list"]);
    assert!(other.reason("chef:s:2:list").contains("out/list"), "{}", other.reason("chef:s:2:list"));
    assert!(!project.has("out/a") && project.has("out/c"));
    // All over again is once each.
    let cold = project.build(&["--cold"]).ok();
    assert_eq!(cold.ran(), ["b", "c", "chef:s", "chef:s:2:list", "list"]);
    assert_eq!(cold.output("list").iter().filter(|line| **line == "listing").count(), 1);
    // A step that fails has failed, and nobody plans on.
    project.remove("names");
    let failed = project.build(&[]).failed();
    assert!(failed.ended.stderr.contains("list failed"), "{}", failed.ended.stderr);
    assert!(failed.ended.stderr.contains("why: names: a reason"), "{}", failed.ended.stderr);
    project.write("names", "b c\n");
    project.builds(&[]);
    place.assert_nothing_left();
}

#[test]
fn a_plan_that_grows_is_held_to_rules() {
    let place = Place::new();
    let project = place.bare("p");
    asks(&project, &["c"]);
    let said = |replan: &str, more: &str| {
        let program = format!(
            r#"#!/bin/sh
case "$(cat)" in
    *'"detect"'*) echo '{{"protocol":1,"answer":"detect","sure":1,"plan":{{"file":{{"step":{{"s":{{"run":"true"}}}}}},"replan":[{replan}]}}}}' ;;
    *) echo '{{"protocol":1,"answer":"plan",{more}}}' ;;
esac
"#
        );
        chef(&project, "c", &program);
        project.build(&[]).code(2).said().to_owned()
    };
    let wish = r#"{"after":"s"}"#;
    let none = said(r#"{"after":"t"}"#, "");
    assert!(none.contains("again after `t`") && none.contains("its plan has no such step"), "{none}");
    let twice = said(r#"{"after":"s"},{"after":"s","ask":1}"#, "");
    assert!(twice.contains("it wants that twice"), "{twice}");
    let again = said(wish, r#""file":{"step":{"s":{"run":"false"}}}"#);
    assert!(again.contains("`step.s` was planned before"), "{again}");
    let unknown = said(wish, r#""file":{"step":{"t":{"runs":"false"}}}"#);
    assert!(unknown.contains("unknown key `runs`"), "{unknown}");
    let endless = said(wish, r#""file":{},"replan":[{"after":"s","ask":{}}]"#);
    assert!(endless.contains("wants to be asked again after 8 stages"), "{endless}");
    let nonsense = said(wish, r#""file":1"#);
    assert!(nonsense.contains("it is not in the form of the chefs' protocol"), "{nonsense}");
}

#[test]
fn what_chefs_plan_is_verified_cleaned_and_forgotten_like_any_work() {
    let place = Place::new();
    let project = place.bare("p");
    chef(&project, "one", &sure(1, "s"));
    asks(&project, &["one"]);
    project.builds(&["chef:one", "s"]);
    project.ask("verify", &[]).ok();
    project.builds(&[]);
    project.ask("clean", &[]).ok();
    assert!(!project.has("made"));
    // Nothing runs for it: all is in the larder.
    project.builds(&[]);
    assert_eq!(project.read("made"), "by s\n");
    project.ask("forget", &["s"]).ok();
    project.builds(&["s"]);
    // A chef that was forgotten is asked again, and its plan is the same.
    project.ask("forget", &["chef:one"]).ok();
    project.builds(&["chef:one"]);
    place.assert_nothing_left();
}

#[test]
fn the_project_file_may_say_the_rest() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    project.write("paper.tex", "\\documentclass{article}\\begin{document}Text\\end{document}\n");
    project.write("majordomo.toml", "[project]\nname = 'mine'\nchef = 'make'\ntargets = 'prog'\n");
    project.builds(&["chef:make", "make"]);
    let status = project.ask("status", &["--json"]).ok().json();
    assert_eq!(status["project"], "mine");
}

#[test]
fn who_only_looks_sees_the_plan_of_the_last_build() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    let before = project.ask("status", &[]).code(2);
    assert!(before.stderr.contains("no chef was asked yet"), "{}", before.stderr);
    let planned: Built = project.build(&["--dry-run"]);
    assert_eq!(planned.ok().ran(), ASKED);
    assert!(!project.has("prog"));
    project.builds(&["make"]);
    let shown = |command: &str, arguments: &[&str]| project.ask(command, arguments).ok().stdout;
    assert!(shown("graph", &[]).contains("make"));
    project.replace("part.c", "return 1", "return 2");
    let status = project.ask("status", &["--json"]).ok().json();
    let steps = status["steps"].as_array().unwrap();
    let due: Vec<&str> = steps
        .iter()
        .filter(|step| step["up_to_date"] == false)
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(due, ["make"]);
    assert!(shown("why", &["prog"]).contains("part.c"));
    assert!(shown("trace", &["chef:make"]).contains("Makefile"));
}

#[test]
fn init_writes_the_plan_down() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    project.builds(&and(&["make"]));
    let said = project.ask("init", &[]).ok();
    assert_eq!(said.stderr, "wrote `majordomo.toml`: the chef `make` found a `Makefile`\n");
    insta::assert_snapshot!(project.read("majordomo.toml"), @r#"
    # What the chef `make` plans, which found a `Makefile`.
    # This file counts from now on, and no chef is asked: edit it as you like.

    [step.make]
    alters = true
    anew = [
        "**/GNUmakefile",
        "**/[Mm]akefile",
        "**/*.mk",
    ]
    keep = true
    run = "make"
    "#);
    // make lists the folder, and finds a name in it that is of no use to it.
    let built = project.builds(&["make"]);
    assert_eq!(built.output("make"), ["make: 'prog' is up to date."]);
    project.append("majordomo.toml", "# mine\n");
    let refused = project.ask("init", &[]).code(2);
    assert!(refused.stderr.contains("has a `majordomo.toml`"), "{}", refused.stderr);
    assert!(project.read("majordomo.toml").ends_with("# mine\n"));

    let empty = place.bare("empty");
    let unknown = empty.ask("init", &[]).code(2);
    assert!(unknown.stderr.contains("none knows it"), "{}", unknown.stderr);
    assert!(!empty.has("majordomo.toml"));
}

#[test]
fn steps_of_the_project_file_stand_beside_those_of_a_chef() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    let file = "[project]\nchef = 'make'\n\n[step.number]\nrun = 'echo 7 > number.txt'\n\n[step.shown]\nrun = './prog > shown.txt'\nafter = 'make'\n";
    project.write("majordomo.toml", file);
    project.builds(&["chef:make", "make", "number", "shown"]);
    assert_eq!((project.read("number.txt").as_str(), project.read("shown.txt").as_str()), ("7\n", "1\n"));
    project.builds(&[]);
    // A step with the name of a planned one stands in its place.
    project.append("majordomo.toml", "\n[step.make]\nrun = 'make CFLAGS=-O1'\nkeep = true\n");
    project.builds(&["make"]);
    // What is wrong is told with its place in the file.
    project.append("majordomo.toml", "\n[step.more]\nrun = 'true'\nafter = 'nobody'\n");
    let wrong = project.build(&[]).code(2);
    assert!(wrong.said().contains("majordomo.toml:17:9"), "{}", wrong.said());
    let status = project.ask("status", &[]).code(2);
    assert!(status.stderr.contains("majordomo.toml:17:9"), "{}", status.stderr);
}

/// A step that is called as those are that ask would be taken for one of them.
#[test]
fn no_step_beside_a_chef_is_called_as_those_that_ask() {
    let place = Place::new();
    let project = made_by_make(&place, "p");
    let own = "[step.chef]\neach = 'make'\nrun = 'cat {in} > x'\nout = 'x'\n";
    project.write("make", "");
    project.write("majordomo.toml", format!("[project]\nchef = 'make'\n{own}"));
    let refused = project.build(&[]).code(2);
    let words =
        "a project that a chef plans has a step `chef`, and the steps that ask chefs are called so, too";
    assert!(refused.said().contains(words), "{}", refused.said());
    // Without a chef it is a name like any other.
    project.write("majordomo.toml", own);
    project.builds(&["chef:make"]);
}
