//! T12. Reads that tracers miss: static programs, where nothing can be preloaded; memory maps, where no read is called;
//! io_uring, where not even an open is: of that steps get none.

use std::path::Path;
use std::process::Command;

use crate::common::{Place, Project};

/// One step for each way to read `data`, or to ask for `maybe`.
const STEPS: &str = r#"
[step.read]
run = "tools/reader read data > {out}"
out = "out/read"
[step.mmap]
run = "tools/reader mmap data > {out}"
out = "out/mmap"
[step.stat]
run = "tools/reader stat maybe > {out}"
out = "out/stat"
[step.other]
run = "tools/reader read other > {out}"
out = "out/other"
"#;

const RING: &str = r#"
[step.uring]
run = "tools/reader uring data > {out}"
out = "out/uring"
[step.ustat]
run = "tools/reader ustat maybe > {out}"
out = "out/ustat"
"#;

/// Compiles the reader against musl, without any shared library.
fn compile(project: &Project<'_>, options: &[&str]) {
    let multiarch = Command::new("gcc").arg("-print-multiarch").output().unwrap();
    let own = format!("/usr/include/{}", String::from_utf8(multiarch.stdout).unwrap().trim());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/right/reader.c");
    let to = project.at("reader");
    let mut gcc = Command::new("musl-gcc");
    gcc.args(["-static", "-O1", "-Wall", "-idirafter", "/usr/include", "-idirafter", &own]);
    let made = gcc.args(options).arg("-o").arg(&to).arg(source).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let program = std::fs::read(&to).unwrap();
    project.remove("reader");
    project.write("tools/reader", &program);
    project.chmod("tools/reader", 0o755);
}

/// A project whose reader is compiled, and which has been built once.
fn readers<'p>(place: &'p Place, steps: &str) -> Project<'p> {
    let project = place.project("p", steps);
    compile(&project, &[]);
    project.write("data", "one\n");
    project.write("other", "other\n");
    project
}

#[test]
fn static_programs_and_memory_maps() {
    let place = Place::new();
    let project = readers(&place, STEPS);
    project.builds(&["mmap", "other", "read", "stat"]);
    assert_eq!((project.read("out/read"), project.read("out/mmap")), ("one\n".into(), "one\n".into()));
    assert_eq!(project.read("out/stat"), "not there\n");
    project.builds(&[]);

    project.write("data", "two\n");
    project.builds(&["mmap", "read"]);
    assert_eq!((project.read("out/read"), project.read("out/mmap")), ("two\n".into(), "two\n".into()));
    project.write("maybe", "");
    project.builds(&["stat"]);
    assert_eq!(project.read("out/stat"), "there\n");
    project.write("unrelated", "");
    project.builds(&[]);
    project.remove("maybe");
    project.write("data", "one\n");
    project.builds(&[]);
    assert_eq!((project.read("out/mmap"), project.read("out/stat")), ("one\n".into(), "not there\n".into()));

    // The program itself is read, too.
    compile(&project, &["-O2", "-g"]);
    project.builds(&["mmap", "other", "read", "stat"]);
}

#[test]
fn an_ordinary_user_has_them_seen_too() {
    let place = Place::ordinary();
    let project = readers(&place, STEPS);
    project.builds(&["mmap", "other", "read", "stat"]);
    project.write("data", "two\n");
    project.write("maybe", "");
    project.builds(&["mmap", "read", "stat"]);
    assert_eq!((project.read("out/mmap"), project.read("out/stat")), ("two\n".into(), "there\n".into()));
}

#[test]
fn io_uring() {
    let place = Place::new();
    let project = readers(&place, RING);
    let plain = Command::new(project.at("tools/reader")).args(["ustat", "/nowhere"]).output().unwrap();
    if plain.status.code() == Some(77) {
        println!("skipped: this kernel allows no io_uring: {}", String::from_utf8_lossy(&plain.stderr));
        return;
    }
    // A ring opens files and sockets without a system call that the fence would see, so steps get none: what wants one is told that this
    // kernel has none, as kernels before 5.1 say, and asks in the old way.
    let built = project.build(&[]).failed();
    for step in ["uring", "ustat"] {
        assert_eq!(built.output(step), ["io_uring_setup: Function not implemented"]);
    }
    assert!(!project.has("out/uring") && !project.has("out/ustat"));
}
