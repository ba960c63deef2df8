//! The answer to every "why?": what differed, followed down to what started it, in words and as JSON.

mod beside;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::common::private_mounts::{small_disk, unshare_mounts};
use crate::common::{Place, Project, Running};

/// What `why` says in words.
#[track_caller]
fn why(project: &Project<'_>, target: &str) -> String {
    project.ask("why", &[target]).ok().stdout
}

/// The causes of the last run, or of the run that would be now: step and its changed paths.
fn causes(run: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changed = |cause: &Value| {
        let mut paths: Vec<String> =
            cause["changes"].as_array().unwrap().iter().map(|change| text(&change["path"])).collect();
        paths.dedup();
        paths
    };
    let causes = run["causes"].as_array().unwrap().iter();
    causes.map(|cause| (text(&cause["step"]), changed(cause))).collect()
}

/// Two steps in a chain; what is written about `#` does not get through the first one.
fn chain(place: &Place) -> Project<'_> {
    let file = "[step.strip]\nrun = 'grep -v \"^#\" source > middle'\nout = 'middle'\n\
                [step.copy]\nrun = 'cp middle result'\nout = 'result'\n";
    let project = place.project("p", file);
    project.write("source", "# a\n1\n");
    project
}

#[test]
fn a_run_is_followed_down_to_the_source_that_started_it() {
    let place = Place::new();
    let project = chain(&place);
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    copy has never been made here
    it would run now, because:
      copy: it was never built here
    ");
    project.build(&[]).ok();
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    project.write("source", "# a\n22\n");
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: it was never built here
    it may run now, because:
      copy: maybe: `strip` comes before it
      strip: source changed
        content of source, a source: b3:[DIGEST] → b3:[DIGEST]
    ");
    project.builds(&["copy", "strip"]);
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: middle changed
        content of middle, made by strip: b3:[DIGEST] → b3:[DIGEST]
      strip: source changed
        content of source, a source: b3:[DIGEST] → b3:[DIGEST]
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    let json = project.ask("why", &["result", "--json"]).ok().json();
    assert_eq!(
        causes(&json["last_run"]),
        [
            ("copy".to_owned(), vec!["project/middle".to_owned()]),
            ("strip".to_owned(), vec!["project/source".to_owned()])
        ]
    );
    let change =
        &json["last_run"]["causes"][0]["changes"].as_array().unwrap().iter().find(|c| c["look"] == "content");
    let change = change.unwrap();
    assert_eq!((&change["by"], &change["origin"]), (&Value::from("strip"), &Value::from("output")));
    let (before, now) =
        (change["before"]["digest"].as_str().unwrap(), change["now"]["digest"].as_str().unwrap());
    assert!(before.len() == 67 && now.len() == 67 && before != now, "whole digests: {before} {now}");

    // The next runs have causes of their own, and an earlier run of `strip` is none of them.
    project.replace("majordomo.toml", "cp middle", "cp -f middle");
    project.builds(&["copy"]);
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: its command changed
        its command: cp middle result → cp -f middle result
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
}

#[test]
fn a_step_that_made_the_same_again_wakes_nobody_and_why_says_so() {
    let place = Place::new();
    let project = chain(&place);
    project.build(&[]).ok();
    project.write("source", "# b\n1\n");
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: it was never built here
    it may run now, because:
      copy: maybe: `strip` comes before it
      strip: source changed
        content of source, a source: b3:[DIGEST] → b3:[DIGEST]
    ");
    project.builds(&["strip"]);
    insta::assert_snapshot!(why(&project, "result"), @r"
    result is made by copy
    the last trace of copy is b3:[DIGEST]
    it read outputs of strip
    it last ran because:
      copy: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
      strip ran later, and changed nothing that it saw: source changed
    ");
    // Back to what it was: nothing runs, and the trace from before answers.
    project.write("source", "# a\n1\n");
    project.builds(&[]);
    insta::assert_snapshot!(why(&project, "middle"), @r"
    middle is made by strip
    the last trace of strip is b3:[DIGEST]
    it last ran, and made trace b3:[DIGEST], because:
      strip: source changed
        content of source, a source: b3:[DIGEST] → b3:[DIGEST]
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
}

#[test]
fn variables_commands_and_tools_are_named() {
    // Tools have to be where a step has nothing of its own, and everybody may read.
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    fs::create_dir_all("/mnt/tools/bin").unwrap();
    let tool = Path::new("/mnt/tools/bin/shout");
    let write = |text: &str| {
        fs::write(tool, format!("#!/bin/sh\necho {text} $1\n")).unwrap();
        fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("AH");
    let file = "[tools]\nroots = ['/mnt/tools']\n\
                [step.s]\nenv = ['MOOD']\nrun = 'shout $MOOD > made'\nout = 'made'\n";
    let project = place.project("p", file);
    let with = |command: &str, mood: &str, more: &[&str]| {
        let mut command = place.command("majordomo", &[command, "-p"]);
        command.arg(project.path()).args(more).env("MOOD", mood);
        Running::start(command).end().ok().stdout
    };
    with("build", "secret-one", &[]);
    let asked = with("why", "secret-two", &["made"]);
    assert!(!asked.contains("secret"), "values of variables may be secrets: {asked}");
    insta::assert_snapshot!(asked, @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: it was never built here
    it would run now, because:
      s: the variable `MOOD` changed
        the variable `MOOD`: b3:[DIGEST] → b3:[DIGEST]
    ");
    with("build", "secret-two", &[]);
    insta::assert_snapshot!(with("why", "secret-two", &["made"]), @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: the variable `MOOD` changed
        the variable `MOOD`: b3:[DIGEST] → b3:[DIGEST]
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    write("OH");
    insta::assert_snapshot!(with("why", "secret-two", &["made"]), @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: the variable `MOOD` changed
        the variable `MOOD`: b3:[DIGEST] → b3:[DIGEST]
    it would run now, because:
      s: /mnt/tools/bin/shout changed
        content of /mnt/tools/bin/shout, a tool: b3:[DIGEST] (exec) → b3:[DIGEST] (exec)
    ");
    project.replace("majordomo.toml", "shout $MOOD", "shout very $MOOD");
    insta::assert_snapshot!(with("why", "secret-two", &["made"]), @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: the variable `MOOD` changed
        the variable `MOOD`: b3:[DIGEST] → b3:[DIGEST]
    it would run now, because:
      s: its command changed
        its command: shout $MOOD > made → shout very $MOOD > made
        content of /mnt/tools/bin/shout, a tool: b3:[DIGEST] (exec) → b3:[DIGEST] (exec)
    ");
}

#[test]
fn what_a_projection_hides_is_told() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.cites]\nproject = { '*.aux' = 'bibtex-aux' }\nrun = 'grep citation report.aux > cites'\nout = 'cites'\n",
    );
    project.write("report.aux", "\\relax \n\\citation{a}\n\\page{1}\n");
    project.build(&[]).ok();
    project.write("report.aux", "\\relax \n\\citation{a}\n\\page{2}\n");
    insta::assert_snapshot!(why(&project, "cites"), @r"
    the last trace of cites is b3:[DIGEST]
    it last ran because:
      cites: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
      report.aux changed (b3:[DIGEST] → b3:[DIGEST]), and bibtex-aux leaves that out
    ");
    project.builds(&[]);
    let json = project.ask("why", &["cites", "--json"]).ok().json();
    assert_eq!(json["now"]["hidden"][0]["path"], "project/report.aux");
    // One that matters is shown raw and projected.
    project.write("report.aux", "\\relax \n\\citation{b}\n\\page{2}\n");
    insta::assert_snapshot!(why(&project, "cites"), @r"
    the last trace of cites is b3:[DIGEST]
    it last ran because:
      cites: it was never built here
    it would run now, because:
      cites: report.aux changed
        content of report.aux, a source: b3:[DIGEST] → b3:[DIGEST]
          seen through bibtex-aux; the whole file: b3:[DIGEST] → b3:[DIGEST]
    ");
    project.builds(&["cites"]);
    insta::assert_snapshot!(why(&project, "cites"), @r"
    the last trace of cites is b3:[DIGEST]
    it last ran because:
      cites: report.aux changed
        content of report.aux, a source: b3:[DIGEST] → b3:[DIGEST]
          seen through bibtex-aux; the whole file: b3:[DIGEST] → b3:[DIGEST]
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    let trace = project.ask("trace", &["cites", "--path", "*.aux", "--kind", "content"]).ok().stdout;
    insta::assert_snapshot!(trace, @r"
    cites: trace b3:[DIGEST], ran for [TIME]
    of [N] things that it saw 1 as asked:
      report.aux  content  b3:[DIGEST]  of b3:[DIGEST]
    it made 1 thing:
      cites  b3:[DIGEST]
    ");
}

#[test]
fn an_order_that_nobody_declared_is_followed_too() {
    let place = Place::new();
    // The reader comes first in the file, and neither promises nor declares anything.
    let file =
        "[step.reader]\nrun = 'cat made-by-writer > read'\n[step.writer]\nrun = 'cp source made-by-writer'\n";
    let project = place.project("p", file);
    project.write("source", "1");
    project.build(&[]).ok();
    project.write("source", "2");
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `p`: 2 sources, 2 steps: 2 would run, 0 up to date
      reader  maybe: `writer` comes before it
      writer  source changed
    ");
    project.build(&[]).ok();
    let json = project.ask("why", &["read", "--json"]).ok().json();
    let causes = causes(&json["last_run"]);
    assert_eq!(causes.iter().map(|(step, _)| step.as_str()).collect::<Vec<_>>(), ["reader", "writer"]);
    assert_eq!(causes[1].1, ["project/source"]);
}

#[test]
fn a_step_that_keeps_is_up_to_date_when_it_has_settled() {
    let place = Place::new();
    let file = "[step.s]\nkeep = true\nout = 'log'\n\
                run = 'n=$(wc -l < log 2>/dev/null || echo 0); [ $n -ge 2 ] || echo $(cat source) >> log'\n";
    let project = place.project("p", file);
    project.write("source", "1");
    project.build(&[]).ok();
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @"project `p`: 2 sources, 1 step, nothing to do");
    insta::assert_snapshot!(why(&project, "log"), @r"
    log is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
}

#[test]
fn what_a_step_left_itself_is_no_source() {
    let place = Place::new();
    let file = "[step.mk]\nkeep = true\n\
                run = 'mkdir -p obj; cp -u src/* obj; for f in obj/*; do [ -e src/${f#obj/} ] || rm $f; done; cat obj/* > all'\n";
    let project = place.project("p", file);
    project.write("src/b", "1");
    project.write("src/c", "2");
    project.build(&[]).ok();
    fs::rename(project.at("src/c"), project.at("src/d")).unwrap();
    project.build(&[]).ok();
    let said = why(&project, "all");
    assert!(said.contains("listing of src: d appeared, c gone, a source"), "{said}");
    assert!(said.contains("listing of obj: d appeared, c gone, made by mk"), "{said}");
}

#[test]
fn a_source_that_is_gone_is_found_behind_the_step_that_went_with_it() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.each]\neach = 'parts/*'\nrun = 'mkdir -p made && cp {in} {out}'\nout = 'made/{stem}'\n\
         [step.all]\nrun = 'cat made/* > all'\nout = 'all'\n",
    );
    for part in ["a", "b"] {
        project.write(format!("parts/{part}"), part);
    }
    project.build(&[]).ok();
    project.remove("parts/b");
    insta::assert_snapshot!(why(&project, "all"), @r"
    the last trace of all is b3:[DIGEST]
    it read outputs of each:parts/a
    it last ran because:
      all: it was never built here
    it would run now, because:
      all: names in made changed
        listing of made: b gone, made by each:parts/b (b3:[DIGEST] → b3:[DIGEST])
        content of made/b, made by each:parts/b: b3:[DIGEST] → absent
      each:parts/b: it is no step any more: parts/b is gone
        content of parts/b, a source: b3:[DIGEST] → absent
    ");
    project.builds(&["all"]);
    insta::assert_snapshot!(why(&project, "all"), @r"
    the last trace of all is b3:[DIGEST]
    it read outputs of each:parts/a
    it last ran because:
      all: names in made changed
        listing of made: b gone, made by each:parts/b (b3:[DIGEST] → b3:[DIGEST])
      each:parts/b: it is no step any more: parts/b is gone
        content of parts/b, a source: b3:[DIGEST] → absent
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    project.write("parts/c", "c");
    insta::assert_snapshot!(why(&project, "all"), @r"
    the last trace of all is b3:[DIGEST]
    it read outputs of each:parts/a
    it last ran because:
      all: names in made changed
        listing of made: b gone, made by each:parts/b (b3:[DIGEST] → b3:[DIGEST])
      each:parts/b: it is no step any more: parts/b is gone
        content of parts/b, a source: b3:[DIGEST] → absent
    it would run now, because:
      all: names in made changed
        listing of made: c appeared, made by each:parts/c (b3:[DIGEST] → b3:[DIGEST])
      each:parts/c: it was never built here
    ");
    let said = ["made/b", "each:parts/b"].map(|gone| project.ask("why", &[gone]).code(2).stderr).concat();
    insta::assert_snapshot!(said, @r"
    error: nothing makes `made/b` any more: `each:parts/b` did, and is no step now

    hint: `majordomo graph` shows all steps
    error: `each:parts/b` is no step any more

    hint: `majordomo graph` shows all steps
    ");
}

#[test]
fn what_cannot_be_asked_about_is_said_with_what_can_be() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    let said = |target: &str| project.ask("why", &[target]).code(2).stderr;
    let all = ["src/main.c", "README.md", "compile", "obj", "bin/helo", "../x"].map(said).concat();
    insta::assert_snapshot!(all, @r"
    error: `src/main.c` is a source: no step makes it

    hint: ask about a step that reads it: `compile:src/main.c`
    error: `README.md` is a source: no step makes it

    hint: no step has read it either
    error: `compile` is a rule with 2 steps

    hint: name one of them: `compile:src/greet.c`, `compile:src/main.c`
    error: `obj` is a folder in which steps make things

    hint: name one of them: `obj/greet.o`, `obj/main.o`
    error: no step makes `bin/helo`, and none has this id

    hint: did you mean `bin/hello`?
    error: no step makes `../x`, and none has this id

    hint: `majordomo graph` shows all steps
    ");
    // What a step made stands for the step.
    let by_path = project.ask("trace", &["bin/hello", "--json"]).ok().json();
    assert_eq!(by_path["step"], "link");
}

#[test]
fn a_run_that_failed_is_remembered_until_a_good_one() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'grep good source > made'\nout = 'made'\n");
    project.write("source", "bad");
    project.build(&[]).failed();
    insta::assert_snapshot!(why(&project, "made"), @r"
    made is made by s
    s has never been made here
    it ran and failed: exit code 1
    it would run now, because:
      s: it was never built here
    ");
    project.write("source", "good");
    project.build(&[]).ok();
    project.write("source", "as bad");
    project.build(&[]).failed();
    insta::assert_snapshot!(why(&project, "made"), @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: it was never built here
    since then it ran again and failed: exit code 1
    it would run now, because:
      s: source changed
        content of source, a source: b3:[DIGEST] → b3:[DIGEST]
    ");
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `p`: 2 sources, 1 step: 1 would run, 0 up to date
      s  source changed; its last run failed: exit code 1
    ");
    // Nothing runs, and what was good is good again.
    project.write("source", "good");
    project.builds(&[]);
    insta::assert_snapshot!(why(&project, "made"), @r"
    made is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
}

#[test]
fn all_steps_of_a_circle_may_run_when_one_would() {
    let place = Place::new();
    let file = "[step.a]\nrun = 'cat from-b seed > from-a 2>/dev/null || cat seed > from-a'\n\
                [step.b]\nrun = 'sort -u from-a > from-b'\n[step.last]\nrun = 'wc -l < from-b > count'\n";
    let project = place.project("p", file);
    project.write("seed", "1\n");
    project.build(&[]).ok();
    project.write("seed", "2\n");
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `p`: 2 sources, 3 steps: 3 would run, 0 up to date
      a     seed changed
      b     maybe: `a` comes before it
      last  maybe: `b` comes before it
    ");
    project.build(&[]).ok();
    insta::assert_snapshot!(why(&project, "count"), @r"
    count is made by last
    the last trace of last is b3:[DIGEST]
    it read outputs of b
    it last ran because:
      last: from-b changed
        content of from-b, made by b: b3:[DIGEST] → b3:[DIGEST]
      b: from-a changed
        content of from-a, made by a: b3:[DIGEST] → b3:[DIGEST]
      a: seed changed
        content of from-b, made by b: b3:[DIGEST] → b3:[DIGEST]
        content of seed, a source: b3:[DIGEST] → b3:[DIGEST]
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
}

#[test]
fn links_are_followed_and_names_are_told_from_what_is_read() {
    let place = Place::new();
    let file = "[step.s]\nrun = 'cat current/data > got'\nout = 'got'\n\
                [step.l]\nrun = 'mkdir -p sub && cp got sub/copy'\n[step.n]\nafter = ['l']\nrun = 'ls sub > names'\n";
    let project = place.project("p", file);
    for version in ["v1", "v2"] {
        project.write(format!("{version}/data"), version);
    }
    std::os::unix::fs::symlink("v1", project.at("current")).unwrap();
    project.build(&[]).ok();
    project.remove("current");
    std::os::unix::fs::symlink("v2", project.at("current")).unwrap();
    insta::assert_snapshot!(why(&project, "got"), @r"
    got is made by s
    the last trace of s is b3:[DIGEST]
    it last ran because:
      s: it was never built here
    it would run now, because:
      s: the link current points elsewhere
        link of current, a source: link to `v1` → link to `v2`
    ");
    insta::assert_snapshot!(project.ask("graph", &[]).ok().stdout, @r"
    project `p`: 3 steps
      s
      l
        reads got of s
      n
        lists sub/copy of l
    ");
}

#[test]
fn what_never_settles_and_what_is_volatile_are_not_called_up_to_date() {
    let place = Place::new();
    let file = "[step.flip]\nkeep = true\nout = 'flip'\n\
                run = 'if [ \"$(cat flip)\" = 1 ]; then echo 0 > flip; else echo 1 > flip; fi'\n\
                [step.now]\nvolatile = true\nrun = 'echo now > now'\nout = 'now'\n\
                [step.reader]\nrun = 'cat now > read'\nout = 'read'\n";
    let project = place.project("p", file);
    project.build(&["-k"]).failed();
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `p`: 1 source, 3 steps: 3 would run, 0 up to date
      flip    its last run failed: it oscillates: what is there after pass 3 was there before; its period is 2
      now     it is volatile
      reader  maybe: `now` comes before it
    ");
    let said = ["flip", "now", "read"].map(|target| why(&project, target)).concat();
    insta::assert_snapshot!(said, @r"
    flip has never been made here
    it ran and failed: it oscillates: what is there after pass 3 was there before; its period is 2:
      `flip` is b3:[DIGEST], then b3:[DIGEST]
        - 0
        + 1
    it would run now, because:
      flip: its last run failed
    now runs in every build, and no trace of it is kept
    it would run now, because:
      now: it is volatile
    read is made by reader
    the last trace of reader is b3:[DIGEST]
    it read outputs of now
    it last ran because:
      reader: it was never built here
    it may run now, because:
      reader: maybe: `now` comes before it
        content of now, made by now: b3:[DIGEST] → not made yet
      now: it is volatile
    ");
    insta::assert_snapshot!(project.ask("trace", &["flip"]).code(2).stderr, @r"
    error: `flip` left no trace: it failed whenever it ran here

    hint: `majordomo why flip` tells how
    ");
    insta::assert_snapshot!(project.ask("graph", &[]).ok().stdout, @r"
    project `p`: 3 steps
      flip
      now
      reader
        reads now of now
    ");
}
