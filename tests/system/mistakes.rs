//! Bad input, the author's part: project files, plans and steps that cannot be right. Each test reads the message.

use crate::common::{Place, Running};

#[test]
fn no_project_file() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("source", "precious");
    // The chefs are asked once, in any order.
    assert_eq!(project.build(&[]).code(2).ran().len(), chef_builtin::ALL.len());
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r#"
    error: `[PLACE]/projects/p` has no project file `majordomo.toml`

    hint: write `[PLACE]/projects/p/majordomo.toml`; the smallest useful one is:
    [step.hello]
    run = "gcc -o hello hello.c"
    out = "hello"
    hint: these chefs were asked, and none knows it: `autotools`, `cargo`, `cmake`, `latex`, `make`, `meson`, `ninja`
    "#);
    assert_eq!(project.files(""), ["source"]);
}

#[test]
fn a_home_inside_of_the_project() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'find . -type f > made'\nout = 'made'\n");
    let build_at = |home: &str| {
        let mut command = place.command("majordomo", &["build", "--events", "-", "--home", home, "-p"]);
        command.arg(project.path());
        Running::start(command).built()
    };
    insta::assert_snapshot!(build_at(&project.at("cache").to_string_lossy()).code(2).said(), @r"
    error: the pod's home `[PLACE]/projects/p/cache` is inside of the project

    hint: what is in the project is a source: name a folder outside of it, by `--home DIR` or `COMPUTEPODS_HOME`
    ");
    let said = build_at(&project.path().to_string_lossy()).code(2);
    assert!(said.said().contains("is inside of the project"), "{}", said.said());
    assert_eq!(project.files(""), ["majordomo.toml"], "no home is begun there");
    // The project may well be in the home's parent, or have a name that begins as its does.
    build_at(&place.path().join("projects/p-home").to_string_lossy()).ok();
}

#[test]
fn malformed_project_files() {
    let place = Place::new();
    let project = place.project("p", "");
    project.write("source", "precious");
    let said = |file: &str| {
        project.write("majordomo.toml", file);
        project.build(&[]).code(2).said().to_owned()
    };
    insta::assert_snapshot!(said("[step.a\nrun = 'x'\n"), @r"
    error: [PLACE]/projects/p/majordomo.toml:1:8: no valid TOML: unclosed table, expected `]`
      |
    1 | [step.a
      |        ^
    ");
    insta::assert_snapshot!(said("[step.a]\nrun = 'x'\noutt = 'y'\n"), @r"
    error: [PLACE]/projects/p/majordomo.toml:3:1: unknown key `outt` in `[step.a]`; the nearest known key is `out`
      |
    3 | outt = 'y'
      | ^^^^

    hint: known here: `run`, `each`, `out`, `in`, `after`, `env`, `cwd`, `timeout`, `limits`, `image`, `pool`, `on`, `secrets`, `cache`, `network`, `keep`, `anew`, `notices`, `max_passes`, `project`, `normalise`, `scratch`, `alters`, `sizes`, `verbatim`, `volatile`, `strict`
    ");
    insta::assert_snapshot!(said("[step.a]\nout = 'y'\n"), @r#"
    error: [PLACE]/projects/p/majordomo.toml:1:7: step `a` has no `run`, so it does nothing
      |
    1 | [step.a]
      |       ^

    hint: say what it runs: `run = "…"`
    "#);
    insta::assert_snapshot!(said("[step.a]\nrun = 'x'\ntimeout = 'soon'\n"), @r#"
    error: [PLACE]/projects/p/majordomo.toml:3:11: `soon` is no time-out between 1 ms and 30 days
      |
    3 | timeout = 'soon'
      |           ^^^^^^

    hint: write `"90s"`, `"5m"`, `"1h30m"`, or whole seconds; take `timeout` out for none
    "#);
    insta::assert_snapshot!(said("[step.a]\nrun = 'cp {inn} b'\n[step.b]\nrun = 'x'\nafter = 'c'\n"), @r"
    error: [PLACE]/projects/p/majordomo.toml:5:9: `after` of `b` names `c`, and there is no such step
      |
    5 | after = 'c'
      |         ^^^

    hint: `after` takes names of rules (`compile`) and ids of steps (`compile:src/a.c`)
    ");
    insta::assert_snapshot!(said("[project]\ntargets = ['nothing']\n[step.a]\nrun = 'x'\nout = 'y'\n"), @r"
    error: no step makes `nothing`

    hint: `majordomo graph` shows all steps
    ");
    insta::assert_snapshot!(said("[step.a]\nrun = 'x'\nafter = 'b'\n[step.b]\nrun = 'x'\nafter = 'a'\n"), @r"
    error: [PLACE]/projects/p/majordomo.toml:1:7: steps wait for each other: `a` is after `b`, `b` is after `a`
      |
    1 | [step.a]
      |       ^

    hint: take one of these arrows out; a step that needs several passes over its own outputs takes `keep`
    ");
    assert_eq!(project.read("source"), "precious");
}

#[test]
fn a_glob_that_matches_nothing() {
    let place = Place::new();
    let project = place.project("p", "[step.a]\neach = 'scr/*.c'\nrun = 'cc {in}'\n");
    project.write("src/a.c", "");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: [PLACE]/projects/p/majordomo.toml:2:8: `scr/*.c` in `each` of `a` matches no source and no declared output
      |
    2 | each = 'scr/*.c'
      |        ^^^^^^^^^

    hint: there is no folder `scr/`; did you mean `src/`?
    ");
}

#[test]
fn two_unordered_steps_that_promise_one_output() {
    let place = Place::new();
    let project = place
        .project("p", "[step.a]\nrun = 'echo a > o'\nout = 'o'\n[step.b]\nrun = 'echo b > o'\nout = 'o'\n");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r#"
    error: [PLACE]/projects/p/majordomo.toml:6:7: `a` and `b` both make `o`, and neither is after the other
      |
    6 | out = 'o'
      |       ^^^

    hint: let only one of them make it, or give the later one `after`, as in `after = "a"` of `b`
    "#);
    project.append("majordomo.toml", "after = 'a'\n");
    project.builds(&["a", "b"]);
    assert_eq!(project.read("o"), "b\n");
}

#[test]
fn two_unordered_steps_that_make_one_output_without_a_word() {
    let place = Place::new();
    let project = place.project("p", "[step.a]\nrun = 'echo a > o'\n[step.b]\nrun = 'echo b > o'\n");
    let built = project.build(&["-j1"]).failed();
    let said = built.said();
    let [step] = built.ended_as("failed")[..] else { panic!("{said}") };
    let (first, second) = if step == "a" { ("b", "a") } else { ("a", "b") };
    let words = format!(
        "`{first}` and `{second}` both make `o`, with different bytes, and neither is `after` the other"
    );
    assert_eq!(built.failure(step), words);
    assert!(!project.has("o"));
    // The same bytes from both are no quarrel.
    project.replace("majordomo.toml", "echo b > o", "sleep 0; echo a > o");
    project.build(&[]).ok();
    assert_eq!(project.read("o"), "a\n");
}

#[test]
fn a_step_that_changes_a_source() {
    let place = Place::new();
    let project = place.project("p", "");
    project.write("source", "precious");
    project.write("folder/inner", "precious");
    let failure = |run: &str| {
        project.write("majordomo.toml", format!("[step.s]\nrun = '''{run}'''\n"));
        project.build(&[]).failed().failure("s").to_owned()
    };
    insta::assert_snapshot!(failure("echo more >> source"), @"it changed the source `source`: a step may not change what it is made from");
    insta::assert_snapshot!(failure("rm source"), @"it changed the source `source`: a step may not change what it is made from");
    insta::assert_snapshot!(failure("rm -r folder"), @"it changed the source `folder/inner`: a step may not change what it is made from");
    insta::assert_snapshot!(failure("chmod +x source"), @"it changed the source `source`: a step may not change what it is made from");
    insta::assert_snapshot!(failure("mv folder/inner other"), @"it changed the source `folder/inner`: a step may not change what it is made from");
    insta::assert_snapshot!(failure("rm source; mkdir source; touch source/x"), @"it changed the source `source`: a step may not change what it is made from");
    assert_eq!(
        (project.read("source"), project.read("folder/inner")),
        ("precious".into(), "precious".into())
    );
    project.write("majordomo.toml", "[step.s]\nrun = 'echo precious | tr -d \"\\n\" > source'\n");
    project.builds(&["s"]);
}

#[test]
fn a_tool_that_is_missing() {
    let place = Place::new();
    let project = place.project("p", "[step.words]\nrun = ['no-such-compiler', 'a.c']\n");
    insta::assert_snapshot!(project.build(&[]).failed().said(), @r"
    error: words failed: there is no program `no-such-compiler` in its `PATH`: install it, or name its folder in `[tools] roots` ([TIME])
      command: no-such-compiler a.c
    failed after [TIME]: 1 step, 0 ran, 0 reused, 1 failed
    ");
    project.write("majordomo.toml", "[step.text]\nrun = 'no-such-compiler a.c'\n");
    insta::assert_snapshot!(project.build(&[]).failed().said(), @r"
    [text]
    /bin/sh: 1: no-such-compiler: not found
    error: text failed: exit code 127 ([TIME])
      command: no-such-compiler a.c
      why: the program `no-such-compiler` is not installed where steps see it
    failed after [TIME]: 1 step, 0 ran, 0 reused, 1 failed
    ");
}

#[test]
fn a_promise_that_is_not_kept() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'echo x > made'\nout = ['made', 'other', 'tree/']\n");
    insta::assert_snapshot!(project.build(&[]).failed().said(), @r"
    error: s failed: it did not make `other`, which it promises in `out` ([TIME])
      command: echo x > made
    failed after [TIME]: 1 step, 0 ran, 0 reused, 1 failed
    ");
    assert!(!project.has("made"), "a failed step hands nothing over");
}

#[test]
fn what_cannot_be_an_output() {
    let place = Place::new();
    let project = place.project("p", "");
    let failure = |run: &str| {
        project.write("majordomo.toml", format!("[step.s]\nrun = '''{run}'''\n"));
        project.build(&[]).failed().failure("s").to_owned()
    };
    insta::assert_snapshot!(failure("mkfifo pipe"), @"it made `pipe`, which is a FIFO: only files, folders and links can be outputs");
    insta::assert_snapshot!(failure("touch tool; chmod u+s tool"), @"it made `tool`, which is a set-id file: only files, folders and links can be outputs");
}

#[test]
fn a_link_out_of_the_project() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat secret > made'\nout = 'made'\n");
    std::fs::write(place.path().join("outside"), "not yours").unwrap();
    std::os::unix::fs::symlink("../../outside", project.at("secret")).unwrap();
    let built = project.build(&[]).failed();
    insta::assert_snapshot!(built.said(), @r"
    [s]
    cat: secret: No such file or directory
    error: s failed: exit code 1; `secret` is a link out of the project, to `../../outside`, which steps see only in tool roots ([TIME])
      command: cat secret > made
    failed after [TIME]: 1 step, 0 ran, 0 reused, 1 failed
    ");
    project.remove("secret");
    std::os::unix::fs::symlink("/etc/shadow", project.at("secret")).unwrap();
    let built = project.build(&[]).failed();
    insta::assert_snapshot!(built.failure("s"), @"exit code 1; `secret` is a link out of the project, to `/etc/shadow`, which steps see only in tool roots");
    assert!(!project.has("made"));
}

#[test]
fn a_home_that_is_not_there_is_not_made_to_be_asked() {
    let place = Place::new();
    for words in [
        &["status"][..],
        &["pods"],
        &["fsck"],
        &["invite"],
        &["ban", "x"],
        &["leave"],
        &["artefacts"],
        &["owner", "p:x"],
        &["stop"],
        &["chef", "list"],
        &["chef", "show", "make"],
        &["chef", "remove", "x"],
    ] {
        let typo = place.path().join("typo");
        let ended = place.pod(&[words, &["--home", typo.to_str().unwrap()]].concat()).code(2);
        assert!(!typo.exists(), "{words:?} made it: {}", ended.shown());
    }
    let own = place.project("own", "[step.s]\nrun = 'echo own'\n");
    // Where nobody has named a home, what needs none is answered without one.
    for words in [&["status", "own"][..], &["graph", "own"], &["why", "s", "--project", "own"]] {
        place.majordomo(words).ok();
    }
    place.pod(&["chef", "list"]).ok();
    let unbuilt = place.majordomo(&["trace", "s", "--project", "own"]).code(2);
    assert!(unbuilt.stderr.contains("was never built"), "{}", unbuilt.shown());
    assert!(!place.home().exists());
    own.build(&[]).ok();
    for words in [
        &["status", "own"][..],
        &["graph", "own"],
        &["why", "s", "--project", "own"],
        &["trace", "s", "--project", "own"],
        &["forget", "s", "--project", "own"],
        &["monitor", "own"],
    ] {
        let typo = place.path().join("typo");
        let ended = place.majordomo(&[words, &["--home", typo.to_str().unwrap()]].concat()).code(2);
        assert!(!typo.exists(), "{words:?} made it: {}", ended.shown());
        assert!(ended.stderr.contains("there is no home at"), "{words:?}: {}", ended.shown());
    }
    for words in [
        &["projects", "list"][..],
        &["projects", "add", "own"],
        &["projects", "remove", "x"],
        &["projects", "targets", "x"],
        &["build", "project:x"],
        &["monitor", "x"],
    ] {
        let typo = place.path().join("typo");
        let ended = place.majordomo(&[words, &["--home", typo.to_str().unwrap()]].concat()).code(2);
        assert!(!typo.exists(), "{words:?} made it: {}", ended.shown());
        assert!(ended.stderr.contains("this pod is in no federation"), "{words:?}: {}", ended.shown());
    }
    insta::assert_snapshot!(place.pod(&["fsck", "--home", "typo"]).code(2).stderr, @r"
    error: there is no home at `[PLACE]/projects/typo`

    hint: name another one: `--home DIR`; the first build or `pod join` makes it
    ");
    // One that nobody holds says so.
    let project = place.project("p", "[step.s]\nrun = 'true'\n");
    project.builds(&["s"]);
    let said = place.pod(&["status"]).ok().stdout;
    assert!(said.contains("\nheld by nobody\n"), "{said}");
    assert!(place.pod(&["status", "--json"]).ok().json()["pid"].is_null());
}

#[test]
fn a_path_in_a_promised_tree_that_nobody_makes() {
    let place = Place::new();
    let file = "[step.x]\nrun = 'mkdir -p docs/empty; echo a > docs/a'\nout = 'docs/'\n\
                [step.y]\nrun = 'cat docs/a > more'\nout = 'more'\n";
    let project = place.project("p", file);
    for _ in 0..2 {
        let refused = project.build(&["docs/typo"]).code(2);
        let words = "no step makes `docs/typo`: it is in a folder that `x` promises, and not there";
        assert!(refused.said().contains(words), "{}", refused.said());
    }
    project.build(&["docs/a", "docs/empty"]).ok();
    assert_eq!(project.read("docs/a"), "a\n");
    assert_eq!(project.build(&["docs/a", "docs/empty"]).ok().ran(), [] as [&str; 0]);
    project.remove("docs/a");
    project.build(&["docs/"]).ok();
    assert_eq!(project.read("docs/a"), "a\n");
}

#[test]
fn a_folder_that_is_no_project_does_not_become_one() {
    let place = Place::new();
    // Somebody else holds the home by now.
    let pod = place.standing();
    let around = place.home().parent().unwrap().to_owned();
    let refused = place.majordomo(&["build", "typo", "--project", around.to_str().unwrap()]).code(2);
    assert!(refused.stderr.contains("is inside of the project"), "{}", refused.shown());
    assert!(!around.join(".majordomo").exists());
    let bare = place.bare("bare");
    let refused = place.majordomo(&["projects", "add", bare.path().to_str().unwrap()]).code(2);
    assert!(refused.stderr.contains("is no project"), "{}", refused.shown());
    assert!(!bare.has(".majordomo"));
    place.stops(pod);
}
