use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::{ChefError, cmake, meson};

fn project(file: &str, text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    // The sources of those that need some.
    for source in ["a.c", "configure"] {
        fs::write(folder.path().join(source), "").unwrap();
    }
    folder
}

fn own(text: &str) -> Result<Value, ChefError> {
    let project = project("build.ninja", text);
    Ok(Value::Object(plan(project.path())?.file))
}

const COMPILE: &str =
    "rule cc\n  command = gcc -c $in -o $out -MD -MF $out.d\n  depfile = $out.d\n  deps = gcc\n";

#[test]
fn each_edge_is_a_step_in_the_order_that_it_declares() {
    let text = format!(
        "{COMPILE}rule ar\n  command = rm -f $out && ar qc $out $in\n\
         rule gen\n  command = ./gen '{{in}}'\nbuild a.o: cc a.c || gen.h\nbuild gen.h: gen\n\
         build lib.a: ar a.o\nbuild all: phony lib.a\ndefault all\n"
    );
    let expected = json!({
        "project": { "targets": ["lib.a"] },
        "alias": { "all": ["lib.a"] },
        "step": {
            "a.o": {
                "run": [["/bin/sh", "-c", "gcc -c a.c -o a.o -MD -MF a.o.d"]],
                "out": ["a.o"], "scratch": ["a.o.d"], "after": ["gen.h"], "verbatim": true,
            },
            "gen.h": { "run": [["/bin/sh", "-c", "./gen '{in}'"]], "out": ["gen.h"], "verbatim": true },
            "lib.a": {
                "run": [["/bin/sh", "-c", "rm -f lib.a && ar qc lib.a a.o"]],
                "out": ["lib.a"], "after": ["a.o"], "verbatim": true,
            },
        },
    });
    assert_eq!(own(&text).unwrap(), expected);
}

#[test]
fn names_of_steps_are_plain_and_differ() {
    let file = own("rule r\n  command = x\nbuild a$:b: r\nbuild a_b: r\nbuild .c: r\n").unwrap();
    let names: Vec<&String> = file["step"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["_.c", "a_b", "a_b-2"]);
    assert_eq!(file["step"]["a_b"]["out"], json!(["a:b"]));
    assert_eq!(file["project"]["targets"], json!(["a_b", "a_b-2", "_.c"]));
}

#[test]
fn what_writes_the_file_itself_comes_first() {
    let project = project(
        "build.ninja",
        "rule gen\n  command = ./configure\n  generator = 1\nrule r\n  command = x\n\
         build build.ninja: gen configure\nbuild a: r | build.ninja\n",
    );
    let planned = plan(project.path()).unwrap();
    assert_eq!(
        planned.file["step"],
        json!({ "build.ninja": { "run": [["/bin/sh", "-c", "./configure"]], "alters": true, "verbatim": true } })
    );
    let again = Replan { after: "build.ninja".into(), ask: Value::Null };
    assert_eq!(planned.replan, [again]);
    let planned = replan(project.path(), &Value::Null).unwrap();
    assert_eq!(
        planned.file["step"],
        json!({ "a": { "run": [["/bin/sh", "-c", "x"]], "out": ["a"], "verbatim": true } })
    );
    assert!(planned.replan.is_empty());
}

#[test]
fn mistakes_have_their_place() {
    let said = |text: &str| own(text).unwrap_err().to_string();
    assert_eq!(said("build a: nobody\n"), "build.ninja:1:10: unknown rule `nobody`");
    let circle = said("rule r\n  command = x\nbuild a: r b\nbuild b: r a\n");
    assert!(circle.contains("a") && circle.starts_with("build.ninja:"), "{circle}");
    assert!(said("rule r\n  command = x\nbuild ../a: r\n").contains("is not inside of the project"));
    let project = project("build.ninja", "rule r\n  command = ");
    let path = project.path().join("build.ninja");
    fs::write(&path, b"rule r\n  command = \xff\nbuild a: r\n").unwrap();
    let said = plan(project.path()).unwrap_err().to_string();
    assert!(said.contains("bytes that are no UTF-8"), "{said}");
}

fn configured_by(chef: fn(&Path, &Value) -> Result<Planned, ChefError>, project: &Path) -> Value {
    Value::Object(chef(project, &json!({ "folder": "build" })).unwrap().file)
}

#[test]
fn the_targets_of_cmake() {
    let text = "rule C\n  command = cc $out\nrule CMAKE_SYMLINK_LIBRARY\n  command = ln $in $out\n\
        rule CUSTOM_COMMAND\n  command = $COMMAND\nrule RERUN_CMAKE\n  command = cmake\n  generator = 1\n\
        rule CLEAN\n  command = ninja clean\n\
        build cmake_object_order_depends_target_z: phony || CMakeFiles/z.dir\n\
        build CMakeFiles/z.dir/a.o: C ../a.c || cmake_object_order_depends_target_z\n\
        build libz.so.1: C CMakeFiles/z.dir/a.o\nbuild libz.so: CMAKE_SYMLINK_LIBRARY libz.so.1\n\
        build CMakeFiles/test.util: CUSTOM_COMMAND\n  COMMAND = cd /project/build && ctest\n\
        build test: phony CMakeFiles/test.util\n\
        build CMakeFiles/install.util: CUSTOM_COMMAND all\n  COMMAND = cmake --install\n\
        build install: phony CMakeFiles/install.util\nbuild CMakeFiles/docs: CUSTOM_COMMAND\n  COMMAND = true\n\
        build docs: phony CMakeFiles/docs\nbuild z: phony libz.so\nbuild all: phony libz.so docs\n\
        build /project/build/all: phony all\nbuild build.ninja: RERUN_CMAKE | ../CMakeLists.txt\n\
        build ../CMakeLists.txt: phony\nbuild clean: CLEAN\ndefault all\n";
    let project = project("build/build.ninja", text);
    let file = configured_by(cmake::replan, project.path());
    let steps: Vec<&String> = file["step"].as_object().unwrap().keys().collect();
    let expected =
        ["CMakeFiles/docs", "CMakeFiles/test.util", "CMakeFiles/z.dir/a.o", "libz.so", "libz.so.1"];
    assert_eq!(steps, expected.map(|name| format!("build/{name}")).iter().collect::<Vec<_>>());
    let test = &file["step"]["build/CMakeFiles/test.util"];
    assert_eq!(test["run"][1], json!(["touch", "--", "CMakeFiles/test.util"]));
    assert_eq!((&test["after"], &test["cwd"]), (&json!(["configure"]), &json!("build")));
    assert_eq!(file["step"]["build/CMakeFiles/z.dir/a.o"]["after"], json!(["configure"]));
    assert_eq!(file["step"]["build/libz.so.1"]["after"], json!(["build/CMakeFiles/z.dir/a.o"]));
    let targets = json!(["build/libz.so.1", "build/libz.so", "build/CMakeFiles/docs"]);
    assert_eq!(file["project"]["targets"], targets);
    let alias = json!({
        "all": ["build/CMakeFiles/docs", "build/libz.so"], "docs": ["build/CMakeFiles/docs"],
        "test": ["build/CMakeFiles/test.util"], "z": ["build/libz.so"],
        "libz.so": ["build/libz.so"], "libz.so.1": ["build/libz.so.1"],
    });
    assert_eq!(file["alias"], alias);
}

#[test]
fn the_links_that_meson_makes_come_with_their_library() {
    let text = "rule l\n  command = l $out\nrule CUSTOM_COMMAND\n  command = $COMMAND\nbuild PHONY: phony\n\
        build libz.so.1.0: l\nbuild meson-internal__test: CUSTOM_COMMAND all PHONY\n  COMMAND = meson test\n\
        build test: phony meson-internal__test\nbuild meson-internal__install: CUSTOM_COMMAND PHONY\n  COMMAND = x\n\
        build all: phony libz.so.1.0\ndefault all\n";
    let project = project("build/build.ninja", text);
    for (link, target) in [("libz.so", "libz.so.1"), ("libz.so.1", "libz.so.1.0"), ("other", "nothing")] {
        std::os::unix::fs::symlink(target, project.path().join("build").join(link)).unwrap();
    }
    let file = configured_by(meson::replan, project.path());
    let targets = json!(["build/libz.so.1.0", "./build/libz.so", "./build/libz.so.1"]);
    assert_eq!(file["project"]["targets"], targets);
    assert_eq!(file["step"]["build/meson-internal__test"]["after"], json!(["build/libz.so.1.0"]));
    assert!(file["step"].get("build/meson-internal__install").is_none());
}

#[test]
fn a_project_that_builds_nothing_is_configured() {
    let project = project("build/build.ninja", "build all: phony\ndefault all\n");
    let file = configured_by(cmake::replan, project.path());
    assert_eq!(file, json!({ "step": {}, "project": { "targets": ["configure"] } }));
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let project = project("build/build.ninja", "");
    for ask in [json!(null), json!({ "folder": "../x" }), json!({ "folder": 1 })] {
        assert!(matches!(cmake::replan(project.path(), &ask), Err(ChefError::Again)), "{ask}");
    }
}

#[test]
fn a_source_that_is_wanted_and_not_there() {
    let text = "rule r\n  command = x\nbuild b: phony nowhere.c\nbuild a: r a.c || b\nbuild c: r neither.c\ndefault a\n";
    let error = own(text).unwrap_err().to_string();
    assert_eq!(error, "build.ninja:3:1: `nowhere.c` is needed here, is not there, and no edge makes it");
    own(&text.replace("phony nowhere.c", "phony a.c")).unwrap();
}

#[test]
fn pools_with_a_bound() {
    let text = "pool few\n  depth = 2\npool any\n  depth = 0\nrule r\n  command = x\nbuild a: r\n  pool = few\nbuild b: r\n  pool = any\n\
                build c: r\n  pool = console\n";
    let file = own(text).unwrap();
    assert_eq!(file["pools"], json!({ "few": 2, "console": 1 }));
    let pools = ["a", "b", "c"].map(|step| file["step"][step]["pool"].clone());
    assert_eq!(pools, [json!("few"), Value::Null, json!("console")]);
}
