//! Projects of Debian's that CMake and Meson configure, without a project file; their own tests run and pass.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use crate::common::{Built, Place, Project, debian, engine};

fn project<'p>(place: &'p Place, package: &str) -> Option<Project<'p>> {
    let folder = place.path().join("projects").join(package);
    debian::unpack(package, &folder).then(|| Project::new(place, folder))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let ended = command.env("LC_ALL", "C").output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// The objects that a ninja which has built these targets would make anew after an edit of a file.
fn compiles_of_ninja(project: &Project<'_>, edited: &str, targets: &[&str]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("cp").arg("-r").arg(project.at(".")).arg(folder.path().join("copy")));
    let copy = folder.path().join("copy");
    run(Command::new("rm").args(["-rf", "build", ".majordomo"]).current_dir(&copy));
    run(Command::new("cmake").args(["-G", "Ninja", "-S", ".", "-B", "build"]).current_dir(&copy));
    // What is read is found by the preprocessor already; nothing can be linked then.
    let rules = "build/CMakeFiles/rules.ninja";
    run(Command::new("sed").args(["-i", "s/ -c $in/ -E $in/", rules]).current_dir(&copy));
    let ninja = |flags: &[&str]| {
        let mut ninja = Command::new("ninja");
        ninja.args(["-C", "build"]).args(flags).args(targets).current_dir(&copy);
        ninja
    };
    ninja(&["-k0"]).output().unwrap();
    let compiles = || -> BTreeSet<String> {
        let said = run(&mut ninja(&["-n", "-k0"]));
        let object = |line: &str| {
            let (_, rest) = line.split_once("] Building C")?;
            Some(format!("build/{}", rest.split_once(" object ")?.1))
        };
        said.lines().filter_map(object).collect()
    };
    assert_eq!(compiles(), BTreeSet::new(), "not all is made");
    let text = std::fs::read_to_string(copy.join(edited)).unwrap();
    std::fs::write(copy.join(edited), format!("{text}\n/* edited */\n")).unwrap();
    compiles()
}

/// Edits a file: what is made anew is what ninja would compile, and nothing is configured.
#[track_caller]
fn compiles_as_ninja(project: &Project<'_>, edited: &str, targets: &[&str]) -> Vec<String> {
    let expected = compiles_of_ninja(project, edited, targets);
    project.append(edited, "\n/* edited */\n");
    let built = project.build(targets).ok();
    // A comment makes no other object, so nothing is linked.
    let ran: BTreeSet<String> = built.ran().into_iter().map(str::to_owned).collect();
    assert_eq!(ran, expected, "{}", built.said());
    ran.into_iter().collect()
}

#[test]
fn zlib_by_cmake() {
    let place = Place::new();
    let Some(project) = project(&place, "zlib") else { return };
    // Debian's archive has no `win32/`, of which CMake wants a file to be there that it does not use here.
    project.write("win32/zlib1.rc", "");
    let its_own = project.read("zconf.h");
    project.build(&[]).ok();
    let made = [
        "example",
        "example64",
        "libz.a",
        "libz.so",
        "libz.so.1",
        "libz.so.1.2.13",
        "minigzip",
        "minigzip64",
    ];
    assert_eq!(project.files("build"), made.map(|name| format!("build/{name}")));
    // Its CMakeLists.txt renames this one: for the build, not for the user.
    assert_eq!(project.read("zconf.h"), its_own);
    assert!(!project.has("zconf.h.included"));
    let folder = tempfile::tempdir().unwrap();
    assert!(
        run(Command::new(project.at("build/example")).current_dir(folder.path())).contains("hello, hello!")
    );
    project.builds(&[]);

    let test = project.build(&["test"]).ok();
    let passed = test.output("build/CMakeFiles/test.util").join("\n");
    assert!(passed.contains("100% tests passed, 0 tests failed out of 2"), "{passed}");

    let by_header = compiles_as_ninja(&project, "zutil.h", &[]);
    assert!(by_header.len() > 10, "{by_header:?}");
    // Of each library one.
    assert_eq!(compiles_as_ninja(&project, "adler32.c", &[]).len(), 2);
    project.builds(&[]);

    // An option more is configured, and what it does not touch is not compiled.
    project.append(
        "CMakeLists.txt",
        "\nadd_executable(more test/example.c)\ntarget_link_libraries(more zlib)\n",
    );
    let more = project.build(&[]).ok();
    let expected = [
        "build/CMakeFiles/more.dir/test/example.o",
        "build/more",
        "chef:cmake",
        "chef:cmake:2:configure",
        "configure",
    ];
    assert_eq!(more.ran(), expected);

    let other = project.checkout("again");
    other.remove("build");
    other.builds(&[]);
    place.assert_nothing_left();
}

/// Programs of fmtlib's tests. Those that are left out take more than a third of the time of all; [`ALL`] has them made, too.
const TESTS: [&str; 14] = [
    "args-test",
    "assert-test",
    "os-test",
    "scan-test",
    "color-test",
    "compile-test",
    "compile-fp-test",
    "format-impl-test",
    "gtest-extra-test",
    "ostream-test",
    "posix-mock-test",
    "ranges-test",
    "std-test",
    "unicode-test",
];

/// Where it is set, all of fmtlib's tests are made and run, as `tests/soak` does.
const ALL: &str = "COMPUTEPODS_FMTLIB";

/// Builds what takes longer than anything else here.
#[track_caller]
fn builds_for_long(project: &Project<'_>, targets: &[&str]) -> Built {
    let mut building = project.start(targets);
    assert!(building.ends_within(Duration::from_secs(1500)), "it hangs");
    building.built().ok()
}

#[test]
fn fmtlib_by_cmake() {
    let place = Place::new();
    let Some(project) = project(&place, "fmtlib") else { return };
    // In the second pass over all tests a few will do.
    let tests = if engine::is_podman() { &TESTS[..3] } else { &TESTS };
    let built = builds_for_long(&project, tests);
    assert!(built.ran().contains(&"build/libfmt.a"), "{:?}", built.ran());
    // Some of them write files where they stand.
    let folder = tempfile::tempdir().unwrap();
    for test in tests {
        let test = project.at(format!("build/bin/{test}"));
        let said = run(Command::new(&test).current_dir(folder.path()));
        assert!(said.contains("[  PASSED  ]"), "{}: {said}", test.display());
    }
    project.build(tests).ok();
    let few = &tests[..3];
    let by_source = compiles_as_ninja(&project, "src/os.cc", few);
    assert_eq!(by_source, ["build/CMakeFiles/fmt.dir/src/os.cc.o"]);
    let by_header = compiles_as_ninja(&project, "include/fmt/args.h", few);
    assert_eq!(by_header, ["build/test/CMakeFiles/args-test.dir/args-test.cc.o"]);
    if std::env::var_os(ALL).is_none() {
        return;
    }
    builds_for_long(&project, &[]);
    let tested = builds_for_long(&project, &["test"]);
    let passed = tested.output("build/CMakeFiles/test.util").join("\n");
    assert!(passed.contains("100% tests passed, 0 tests failed out of 20"), "{passed}");
    assert_eq!(project.build(&["test"]).ok().ran(), [] as [&str; 0]);
}

#[test]
fn serd_by_meson() {
    let place = Place::new();
    let Some(project) = project(&place, "serd") else { return };
    project.build(&[]).ok();
    assert!(project.has("build/libserd-0.so.0") && project.has("build/libserd-0.so"));
    let read = run(Command::new(project.at("build/serdi")).arg("-s").arg("<urn:a> <urn:b> <urn:c> ."));
    assert_eq!(read, "<urn:a> <urn:b> <urn:c> .\n");
    let test = project.build(&["test"]).ok();
    let said = test.output("build/meson-internal__test");
    let line = |name: &str| said.iter().any(|line| line.split_whitespace().eq(name.split_whitespace()));
    assert!(line("Ok: 23") && line("Expected Fail: 20") && line("Fail: 0"), "{said:?}");
    let again = project.build(&["test"]).ok();
    assert_eq!(again.ran(), [] as [&str; 0]);
    place.assert_nothing_left();
}

/// Its sources come without the file, and its `configure.py` writes one that has a rule for itself.
#[test]
fn ninja_by_a_ninja_file_alone() {
    let place = Place::new();
    let Some(project) = project(&place, "ninja-build") else { return };
    run(Command::new("python3").arg("configure.py").current_dir(project.path()));
    let written = project.read("build.ninja");
    // It can be built by CMake, too.
    project.write("majordomo.toml", "[project]\nchef = 'ninja'\n");
    let built = project.build(&["ninja"]).ok();
    assert!(
        built.ran().contains(&"build.ninja") && built.ran().contains(&"build/ninja.o"),
        "{:?}",
        built.ran()
    );
    assert_eq!(project.read("build.ninja"), written);
    let version = run(Command::new(project.at("ninja")).arg("--version"));
    assert!(version.starts_with("1."), "{version}");
    assert_eq!(project.build(&["ninja"]).ok().ran(), [] as [&str; 0]);
    // What it makes anew itself after an edit is compiled; a comment links nothing.
    for file in ["src/version.cc", "src/metrics.h"] {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-a").arg(project.at(".")).arg(folder.path().join("copy")));
        let copy = folder.path().join("copy");
        project.append(file, "\n// edited\n");
        let compiled = project.build(&["ninja"]).ok();
        let users = run(Command::new("sh")
            .args(["-c", "for f in src/*.cc; do c++ -MM $f 2> /dev/null; done; true"])
            .current_dir(&copy));
        let users = users.replace("\\\n", " ");
        let is_user = |object: &str| {
            let name = object.trim_start_matches("build/");
            users.lines().any(|line| {
                line.starts_with(&format!("{name}:")) && line.split_whitespace().any(|one| one == file)
            })
        };
        let ran = compiled.ran_without_chefs();
        assert!(!ran.is_empty() && ran.iter().all(|object| is_user(object)), "{file}: {ran:?}");
    }
    place.assert_nothing_left();
}
