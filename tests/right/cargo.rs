//! Rust projects without a project file: cargo goes on from what it left, and compiles what it has to; the programs are those that
//! it would make by itself.

use crate::common::place::copy_all;
use crate::common::{Built, Place, Project};

/// Notes each crate that is compiled, beside what cargo makes of it; a vendored one is compiled in its own folder. What it printed cargo would print again.
const WRAPPER: &str = "#!/bin/sh\nif [ \"$2\" = --crate-name ] && [ \"$3\" != ___ ]; then\n  echo \"$3\" >> /project/target/majordomo/compiled\nfi\n\
                       exec \"$@\"\n";
const COMPILED: &str = "target/majordomo/compiled";

fn watched(project: &Project<'_>) {
    project.write(".cargo/config.toml", "[build]\nrustc-wrapper = \"./noting.sh\"\n");
    project.write("noting.sh", WRAPPER);
    project.chmod("noting.sh", 0o755);
}

/// A place whose user has the toolchain that runs this test, by rustup.
fn place() -> Place {
    let place = Place::new();
    let asked = std::process::Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let toolchain = String::from_utf8(asked.stdout).unwrap();
    let rustup = place.path().join("user/.rustup");
    std::fs::create_dir_all(rustup.join("toolchains")).unwrap();
    // A Rust of the system is found without it.
    if toolchain.trim() != "/usr" {
        std::fs::write(rustup.join("settings.toml"), "default_toolchain = 'here'\n").unwrap();
        std::os::unix::fs::symlink(toolchain.trim(), rustup.join("toolchains/here")).unwrap();
    }
    place
}

/// Builds a program, and gives the crates that were compiled since the project was built the last time.
#[track_caller]
fn compiles(project: &Project<'_>, program: &str) -> Vec<String> {
    let noted = || if project.has(COMPILED) { project.read(COMPILED) } else { String::new() };
    let before = noted().lines().count();
    project.build(&[program, COMPILED]).ok();
    noted().lines().skip(before).map(str::to_owned).collect()
}

const TALLY: &str = "target/majordomo/debug/tally";

#[test]
fn the_example_compiles_what_it_has_to() {
    let place = place();
    let project = place.example("cargo");
    watched(&project);
    // What a cargo of the user's own has left there is nobody's business.
    project.write("target/debug/tally", "mine");
    project.build(&[]).ok();
    assert_eq!(project.says(TALLY, &[]), "2 a\n1 and\n2 is\n1 it\n1 seen\n1 sees\n2 step\n1 what\n");
    place.assert_nothing_left();
    assert_eq!(project.files("target"), ["target/debug/tally", TALLY]);
    project.builds(&[]);
    // Another checkout has it all.
    let other = project.checkout("other");
    other.remove("target/majordomo");
    other.builds(&[]);
    assert!(other.says(TALLY, &[]).starts_with("2 a\n"));
    assert_eq!(compiles(&project, TALLY), ["count", "tally"]);

    project.append("Cargo.toml", "\n[package.metadata.nobody]\n");
    assert_eq!(compiles(&project, TALLY), [] as [&str; 0]);
    project.append("poem.txt", "a step\n");
    assert_eq!(compiles(&project, TALLY), ["tally"]);
    assert!(project.says(TALLY, &[]).starts_with("3 a\n"));
    project.replace("count/src/lib.rs", "+= 1", "+= 2");
    assert_eq!(compiles(&project, TALLY), ["count", "tally"]);
    assert!(project.says(TALLY, &[]).starts_with("6 a\n"));
    // A result that was there before is there still.
    project.replace("count/src/lib.rs", "+= 2", "+= 1");
    project.build(&[]).ok();
    assert!(project.says(TALLY, &[]).starts_with("3 a\n"));
    let tested = project.build(&["test"]).ok();
    assert!(tested.output("test").iter().any(|line| line.contains("1 passed")), "{}", tested.said());
    project.append("src/main.rs", "fn broken() { let x = ; }\n");
    let wrong = project.build(&[]).failed();
    assert!(wrong.said().contains("why: src/main.rs:6: expected expression, found `;`"), "{}", wrong.said());
    assert_eq!(project.read("target/debug/tally"), "mine");
}

#[test]
fn a_crate_that_cargo_has_vendored() {
    let place = place();
    let project = place.bare("p");
    let manifest = "[package]\nname = \"quoted\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[dependencies]\npercent-encoding = \"2\"\n";
    project.write("Cargo.toml", manifest);
    project.write("src/main.rs", "");
    // One that this workspace depends on: whoever runs this test has it, and no network is needed.
    let mut vendor = std::process::Command::new("cargo");
    let ended = vendor.args(["vendor", "--offline", "--quiet"]).current_dir(project.path()).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    watched(&project);
    project.append(
        ".cargo/config.toml",
        "[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = \"vendor\"\n",
    );
    let main = "use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};\n\
                fn main() {\n    println!(\"{}\", utf8_percent_encode(\"an owl\", NON_ALPHANUMERIC));\n}\n";
    project.write("src/main.rs", main);
    let program = "target/majordomo/debug/quoted";
    // From now on it is known who makes what is noted, and no other step is asked for it.
    project.build(&[]).ok();
    assert_eq!(compiles(&project, program), ["percent_encoding", "quoted"]);
    assert_eq!(project.says(program, &[]), "an%20owl\n");
    project.replace("src/main.rs", "owl", "owlet");
    assert_eq!(compiles(&project, program), ["quoted"]);
    assert_eq!(project.says(program, &[]), "an%20owlet\n");
    project.builds(&[]);
    // One program more is one more promise, and no other command.
    project.write("src/bin/more.rs", "fn main() {}\n");
    assert_eq!(compiles(&project, program), ["more"]);
}

#[test]
fn crates_that_are_not_here() {
    let place = place();
    let project = place.example("cargo");
    project.remove("Cargo.lock");
    project.replace("Cargo.toml", "[dependencies]\n", "[dependencies]\nnosuchcrate = \"1\"\n");
    let wrong = project.build(&[]).failed();
    let words = "why: Cargo.toml: the crate `nosuchcrate` is not here, and steps have no network: `cargo vendor` brings it into the project";
    assert!(wrong.said().contains(words), "{}", wrong.said());
    assert!(!project.has("target") && !project.has("Cargo.lock"));
    project.write("Cargo.toml", "[package\n");
    let wrong = project.build(&[]).code(2).said().to_owned();
    assert!(wrong.contains("`./Cargo.toml` cannot be understood"), "{wrong}");
}

#[test]
fn what_a_build_script_had_read() {
    let place = place();
    let project = place.bare("p");
    project.write("Cargo.toml", "[package]\nname = \"said\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
    // It says itself that nothing else matters to it.
    let script = "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
                  println!(\"cargo:rustc-env=SAID={}\", std::fs::read_to_string(\"said.txt\").unwrap().trim());\n}\n";
    project.write("build.rs", script);
    project.write("said.txt", "one\n");
    project.write("src/main.rs", "fn main() {\n    println!(\"{}\", env!(\"SAID\"));\n}\n");
    let program = "target/majordomo/debug/said";
    project.build(&[]).ok();
    assert_eq!(project.says(program, &[]), "one\n");
    project.write("said.txt", "two\n");
    project.build(&[]).ok();
    assert_eq!(project.says(program, &[]), "two\n");
    project.builds(&[]);
}

/// A crate that this workspace depends on, and that depends on none: whoever runs this test has it.
fn a_crate_of_others<'p>(place: &'p Place, name: &str) -> Project<'p> {
    // Cargo compiles it for us from there.
    let home = std::env::var_os("CARGO_HOME").map(std::path::PathBuf::from);
    let home =
        home.or_else(|| Some(std::path::Path::new(&std::env::var_os("HOME")?).join(".cargo"))).unwrap();
    let registries = std::fs::read_dir(home.join("registry/src")).unwrap().flatten();
    let crates = registries.flat_map(|registry| std::fs::read_dir(registry.path()).unwrap().flatten());
    let is_it = |found: &str| {
        let version = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    let found = crates.filter(|found| found.file_name().to_str().is_some_and(is_it));
    let found =
        found.max_by_key(std::fs::DirEntry::path).expect("it was fetched, since it is compiled for us");
    let project = place.bare(name);
    copy_all(&found.path(), project.path());
    place.give(project.path());
    project
}

#[test]
fn a_crate_that_others_wrote_is_built_and_passes_its_own_tests() {
    let place = place();
    let project = a_crate_of_others(&place, "shlex");
    assert_eq!(project.build(&[]).ok().ran_without_chefs(), ["cargo"]);
    let tested = project.build(&["test"]).ok();
    assert_eq!(tested.ran_without_chefs(), ["test"]);
    let passed = |built: &Built| {
        let said = built.output("test");
        said.iter()
            .filter(|line| line.starts_with("test result: ok.") && !line.contains("ok. 0 passed"))
            .count()
    };
    assert!(passed(&tested) >= 1, "{:?}", tested.output("test"));
    assert_eq!(project.build(&["test"]).ok().ran(), [] as [&str; 0]);
    // An edit is compiled, and tested anew.
    project.append("src/lib.rs", "\n#[test]\nfn of_ours() { assert_eq!(1 + 1, 3); }\n");
    let wrong = project.build(&["test"]).failed();
    assert_eq!(wrong.ended_as("failed"), ["test"], "{}", wrong.said());
    project.replace("src/lib.rs", "1 + 1, 3", "1 + 1, 2");
    assert!(passed(&project.build(&["test"]).ok()) >= 1);
    place.assert_nothing_left();
}
