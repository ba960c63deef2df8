//! Edges as steps.

use super::manifest;
use crate::{BuildPath, Layout, Plan, PlanError, Step};

fn path(text: &str) -> BuildPath {
    BuildPath::new(text.as_bytes()).unwrap()
}

fn layout() -> Layout {
    Layout { build: "b".parse().unwrap(), project: path("/project") }
}

fn plan(text: &str) -> Plan {
    Plan::new(&manifest(text), &layout()).unwrap()
}

fn refused(text: &str) -> PlanError {
    Plan::new(&manifest(text), &layout()).unwrap_err()
}

fn ids(plan: &Plan, steps: &[usize]) -> String {
    steps.iter().map(|&step| plan.steps[step].id.to_string()).collect::<Vec<_>>().join(" ")
}

fn words(step: &Step) -> Vec<String> {
    step.commands
        .iter()
        .map(|command| {
            command
                .iter()
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

const RULE: &str = "rule cc\n  command = cc $in -o $out\n";

#[test]
fn phony_names_stand_for_the_steps_behind_them() {
    let text = format!(
        "{RULE}\
build gen.h: cc gen.c
build order: phony || gen.h nothing.h
build nothing.h: phony
build deep: phony order ../source.h
build a.o: cc ../a.c | deep || order
build b.o: cc ../b.c || order
build sub/lib.a | /project/b/sub/lib.a: cc a.o b.o
build all: phony sub/lib.a deep
default all
"
    );
    let plan = plan(&text);
    assert_eq!(ids(&plan, &[0, 1, 2, 3]), "b/gen.h b/a.o b/b.o b/sub/lib.a");
    let [generated, a, b, lib] = &plan.steps[..] else { panic!() };
    assert!(generated.needs.is_empty());
    assert_eq!((&*a.needs, &*a.order_only), (&[0][..], &[0][..]));
    assert_eq!((&*b.needs, &*b.order_only), (&[][..], &[0][..]));
    assert_eq!(ids(&plan, &lib.needs), "b/a.o b/b.o");
    // One file under two names is one output.
    assert_eq!(lib.out, ["b/sub/lib.a".parse().unwrap()]);
    assert_eq!(a.cwd, "b".parse().unwrap());
    assert_eq!(ids(&plan, &plan.wanted.steps), "b/gen.h b/sub/lib.a");
    assert_eq!(plan.target(&path("all")), Some(&plan.wanted));
    assert!(plan.target(&path("nothing.h")).unwrap().steps.is_empty());
    assert_eq!(plan.target(&path("../source.h")), None);
}

#[test]
fn one_phony_list_is_shared_by_all_who_need_it() {
    let text = format!(
        "{RULE}build x: cc\nbuild y: cc\nbuild o: phony x y\nbuild o2: phony o\nbuild a: cc || o\nbuild b: cc || o2\n"
    );
    let plan = plan(&text);
    assert_eq!(*plan.steps[2].order_only, [0, 1]);
    assert!(std::sync::Arc::ptr_eq(&plan.steps[2].order_only, &plan.steps[3].order_only));
}

#[test]
fn validations_come_with_what_asks_for_them_also_through_phony() {
    let text = format!(
        "{RULE}\
build lint: cc a
build all-lints: phony lint |@ meta
build meta: cc
build a: cc ../a.c |@ all-lints
build p: phony a |@ lint
build c: cc p
default p
"
    );
    let plan = plan(&text);
    let [lint, meta, a, c] = &plan.steps[..] else { panic!() };
    assert!(lint.validations.is_empty() && meta.validations.is_empty());
    assert_eq!(ids(&plan, &a.validations), "b/lint b/meta");
    assert_eq!(ids(&plan, &c.validations), "b/lint");
    assert_eq!(
        (ids(&plan, &plan.wanted.steps), ids(&plan, &plan.wanted.validations)),
        ("b/a".into(), "b/lint".into())
    );
}

#[test]
fn a_response_file_is_written_before_and_removed_behind() {
    let text = "\
rule link
  command = ld @$rspfile -o $out
  rspfile = $out.rsp
  rspfile_content = $in
  depfile = deps/$out.d
build app: link a.o b$ c.o
build lib/x: link
  rspfile = rsp/x/y z
  rspfile_content =
";
    let plan = plan(text);
    insta::assert_snapshot!(words(&plan.steps[0]).join("\n"), @r#"
    mkdir -p -- deps
    /bin/sh -c printf %s "$@" > "$0" app.rsp a.o 'b c.o'
    /bin/sh -c ld @app.rsp -o app
    rm -f -- app.rsp
    "#);
    insta::assert_snapshot!(words(&plan.steps[1]).join("\n"), @r#"
    mkdir -p -- deps/lib rsp/x
    /bin/sh -c printf %s "$@" > "$0" rsp/x/y z
    /bin/sh -c ld @rsp/x/y z -o lib/x
    rm -f -- rsp/x/y z
    "#);
    assert_eq!(plan.steps[0].scratch, ["b/deps/app.d".parse().unwrap()]);
}

#[test]
fn a_long_response_file_arrives_whole() {
    let content: String = (0..400_000).map(|n| format!("{n:07}")).collect();
    let text = format!(
        "rule r\n  command = cat $rspfile > $out\n  rspfile = sub/r\n  rspfile_content = {content}\nbuild o: r\n"
    );
    let folder = tempfile::tempdir().unwrap();
    for command in &plan(&text).steps[0].commands {
        use std::os::unix::ffi::OsStrExt;
        let words: Vec<_> = command.iter().map(|word| std::ffi::OsStr::from_bytes(word)).collect();
        let status =
            std::process::Command::new(words[0]).args(&words[1..]).current_dir(&folder).status().unwrap();
        assert!(status.success());
    }
    assert!(std::fs::read(folder.path().join("o")).unwrap() == content.as_bytes());
    assert!(!folder.path().join("sub/r").exists());
}

#[test]
fn what_is_not_in_the_project_cannot_be_made() {
    for (out, error) in [
        ("/etc/x", "build.ninja:3:1: the output `/etc/x` is not inside of the project"),
        ("../../x", "build.ninja:3:1: the output `../../x` is not inside of the project"),
        ("..", "build.ninja:3:1: the output `..` is not inside of the project"),
    ] {
        assert_eq!(refused(&format!("{RULE}build {out}: cc\n")).to_string(), error);
    }
    // A name is no file.
    plan("build /etc/x: phony\n");
}

#[test]
fn one_file_under_two_names_is_made_twice() {
    let error = refused(&format!("{RULE}build x: cc\nbuild /project/b/x: cc\n"));
    insta::assert_snapshot!(error, @"build.ninja:4:1: the output `b/x` a second time, under another name: first at build.ninja:3:1");
}

#[test]
fn a_command_that_the_system_would_refuse_is_refused() {
    let error = refused(&format!("rule r\n  command = echo {}\nbuild x: r\n", "a".repeat(131_072)));
    insta::assert_snapshot!(error, @"build.ninja:3:1: the command has 131077 bytes, and the system takes 131071 at most; use `rspfile`");
}

#[test]
fn flags_go_along() {
    let text = "\
pool one
  depth = 1
rule r
  command = r
  generator = 1
  pool = one
  description = make $out
build build.ninja: r x || x.dd
  dyndep = x.dd
";
    let plan = plan(text);
    let step = &plan.steps[0];
    assert!(step.generator);
    assert_eq!(step.pool.as_ref().unwrap().to_string(), "one");
    assert_eq!(step.dyndep, Some(path("x.dd")));
    assert_eq!(step.description, b"make build.ninja");
}
