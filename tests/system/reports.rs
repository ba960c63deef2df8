//! What can be asked about a project and a pod without a build: status, why, trace, graph, forget, clean, fsck.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::common::{Gate, Place, Running};

/// Everything below a folder, with what changes when it is written.
fn state(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let meta = fs::symlink_metadata(&folder).unwrap();
        all.push(format!("{} {}.{}", folder.display(), meta.mtime(), meta.mtime_nsec()));
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                folders.push(entry.path());
            }
            let (path, size) = (entry.path(), meta.len());
            all.push(format!("{} {size} {}.{}", path.display(), meta.mtime(), meta.mtime_nsec()));
        }
    }
    all.sort();
    all
}

/// The bytes of every file of a home. SQLite's shared memory is left out: locks are in it, and nothing that lasts.
fn contents(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![home.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            match meta.is_dir() {
                true => folders.push(entry.path()),
                false if meta.is_symlink() => {
                    let to = fs::read_link(entry.path()).unwrap();
                    files.insert(entry.path(), to.into_os_string().into_encoded_bytes());
                }
                false if entry.file_name() == "index.sqlite-shm" => {}
                false => drop(files.insert(entry.path(), fs::read(entry.path()).unwrap())),
            }
        }
    }
    files
}

#[test]
fn status_of_a_project_that_was_never_built() {
    let place = Place::new();
    let project = place.example("hello");
    let bare = state(place.path());
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `hello`: 6 sources, 3 steps: 3 would run, 0 up to date
      compile:src/greet.c  it was never built here
      compile:src/main.c   it was never built here
      link                 it was never built here
    ");
    project.ask("graph", &[]).ok();
    assert_eq!(state(place.path()), bare, "something was made where there was no home");

    let other = place.project("other", "[step.s]\nrun = 'touch x'\nout = 'x'\n");
    other.build(&[]).ok();
    let (bare, home) = (state(project.path()), contents(place.home()));
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `hello`: 6 sources, 3 steps: 3 would run, 0 up to date
      compile:src/greet.c  it was never built here
      compile:src/main.c   it was never built here
      link                 it was never built here
    ");
    assert_eq!(state(project.path()), bare);
    assert!(contents(place.home()) == home, "the home is another one");
    project.builds(&["compile:src/greet.c", "compile:src/main.c", "link"]);
}

#[test]
fn looking_changes_nothing_on_disk() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    // Sources that the larder has never seen, one of them big, a step that looks at them through a projection.
    project.append("src/main.c", "// edited\n");
    project.write("src/big.h", vec![b' '; 3 << 20]);
    project.replace("src/greet.c", "#include", "#include \"big.h\"\n#include");
    project.write("obj/greet.o", "edited by hand");
    let (before, home) = (state(project.path()), contents(place.home()));
    let questions: [(&str, &[&str]); 5] = [
        ("status", &[]),
        ("why", &["bin/hello"]),
        ("trace", &["link"]),
        ("graph", &[]),
        ("status", &["--json"]),
    ];
    for (command, arguments) in questions {
        project.ask(command, arguments).ok();
        assert_eq!(state(project.path()), before, "`{command}` changed the project");
        let changed: Vec<_> = contents(place.home())
            .into_iter()
            .filter(|(path, bytes)| home.get(path) != Some(bytes))
            .collect();
        let changed: Vec<_> = changed.into_iter().map(|(path, _)| path).collect();
        assert_eq!(changed, Vec::<PathBuf>::new(), "`{command}` changed the home");
    }
}

#[test]
fn a_damaged_manifest_is_not_mended_by_looking() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    project.write(".majordomo/manifest", "rubbish");
    let before = state(project.path());
    let status = project.ask("status", &[]).ok().stdout;
    insta::assert_snapshot!(status, @"project `hello`: 6 sources, 3 steps, nothing to do");
    assert_eq!(state(project.path()), before);
}

#[test]
fn each_client_asks_with_its_own_environment() {
    let place = Place::new();
    let gate = Gate::new();
    let gated = format!("[step.s]\nnetwork = true\nrun = '''\n{}\ntouch x'''\nout = 'x'\n", gate.command());
    let holder = place.project("holder", &gated);
    let project = place.project("p", "[step.s]\nenv = ['A']\nrun = 'echo $A > x'\nout = 'x'\n");
    let with = |command: &str, value: &str| {
        let mut command = place.command("majordomo", &[command, "-p"]);
        command.arg(project.path()).env("A", value);
        command
    };
    Running::start(with("build", "one")).end().ok();
    // The holder of the pod knows no `A` at all.
    let holding = holder.start(&[]);
    let visitor = gate.arrival();
    let status = |value: &str| Running::start(with("status", value)).end().ok().stdout;
    insta::assert_snapshot!(status("one"), @"project `p`: 1 source, 1 step, nothing to do");
    insta::assert_snapshot!(status("two"), @r"
    project `p`: 1 source, 1 step: 1 would run, 0 up to date
      s  the variable `A` changed
    ");
    visitor.go();
    holding.built().ok();
}

#[test]
fn status_says_what_a_build_would_do_and_changes_nothing() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    let built = state(project.path());
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @"project `hello`: 6 sources, 3 steps, nothing to do");
    project.write("obj/greet.o", "edited");
    project.remove("bin/hello");
    project.append("src/main.c", "\n");
    let edited = state(project.path());
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `hello`: 7 sources, 3 steps: 2 would run, 1 up to date
      compile:src/main.c  src/main.c changed
      link                maybe: `compile:src/main.c` comes before it
    edited by hand:
      obj/greet.o
    gone, to be written again:
      bin/hello
    ");
    assert_eq!(state(project.path()), edited);
    assert_ne!(built, edited);
    let json = project.ask("status", &["--json"]).ok().json();
    assert_eq!(json["missing"], serde_json::json!(["bin/hello"]));
    assert_eq!(json["edited"], serde_json::json!(["obj/greet.o"]));
}

#[test]
fn outputs_that_were_cleaned_away_are_said_to_be_written_again() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    project.ask("clean", &[]).ok();
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @r"
    project `hello`: 6 sources, 3 steps: nothing would run, 3 outputs would be written
    gone, to be written again:
      bin/hello
      obj/greet.o
      obj/main.o
    ");
    insta::assert_snapshot!(project.ask("build", &["--dry-run"]).ok().stdout, @r"
    bin/hello would be written again
    obj/greet.o would be written again
    obj/main.o would be written again
    ");
    assert_eq!(project.builds(&[]).count("written"), 3);
    insta::assert_snapshot!(project.ask("status", &[]).ok().stdout, @"project `hello`: 6 sources, 3 steps, nothing to do");
}

#[test]
fn why_names_the_step_its_inputs_and_what_changed() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    insta::assert_snapshot!(project.ask("why", &["bin/hello"]).ok().stdout, @r"
    bin/hello is made by link
    the last trace of link is b3:[DIGEST]
    it read outputs of compile:src/greet.c, compile:src/main.c
    it last ran because:
      link: it was never built here
    it would not run now: all [N] observations of trace b3:[DIGEST] hold
    ");
    project.replace("include/greet.h", "ComputePods", "elsewhere");
    insta::assert_snapshot!(project.ask("why", &["compile:src/main.c"]).ok().stdout, @r"
    the last trace of compile:src/main.c is b3:[DIGEST]
    it last ran because:
      compile:src/main.c: it was never built here
    it would run now, because:
      compile:src/main.c: include/greet.h changed
        content of include/greet.h, a source: b3:[DIGEST] → b3:[DIGEST]
    ");
    insta::assert_snapshot!(project.ask("why", &["bin/helo"]).code(2).stderr, @r"
    error: no step makes `bin/helo`, and none has this id

    hint: did you mean `bin/hello`?
    ");
}

#[test]
fn trace_shows_all_that_a_step_saw_and_made() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    let json = project.ask("trace", &["compile:src/main.c", "--json"]).ok().json();
    let seen: Vec<String> = json["observations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["path"].as_str().unwrap().starts_with("project/") && row["look"] == "content")
        .map(|row| row["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(seen, ["project/include/greet.h", "project/src/main.c"]);
    let absent = |row: &serde_json::Value| row["path"] == "project/src/greet.h" && row["text"] == "absent";
    assert!(json["observations"].as_array().unwrap().iter().any(absent));
    assert_eq!(json["outputs"][0]["path"], "obj/main.o");
    let text = project.ask("trace", &["compile:src/main.c"]).ok().stdout;
    assert!(text.contains("src/greet.h") && text.contains("absent"), "{text}");
    assert!(text.contains("/usr/include/stdio.h"), "tools are traced: {text}");
}

#[test]
fn graph_shows_what_flows_between_steps() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    insta::assert_snapshot!(project.ask("graph", &[]).ok().stdout, @r"
    project `hello`: 3 steps
      compile:src/greet.c
      compile:src/main.c
      link
        reads obj/greet.o of compile:src/greet.c
        reads obj/main.o of compile:src/main.c
    ");
    insta::assert_snapshot!(project.ask("graph", &["--dot"]).ok().stdout, @r#"
    digraph "hello" {
      rankdir=LR;
      node [shape=box];
      "compile:src/greet.c";
      "compile:src/main.c";
      "link";
      "compile:src/greet.c" -> "link" [label="obj/greet.o"];
      "compile:src/main.c" -> "link" [label="obj/main.o"];
    }
    "#);
    let json = project.ask("graph", &["--json"]).ok().json();
    assert_eq!(json["steps"].as_array().unwrap().len(), 3);
    let edge = json["edges"].as_array().unwrap().iter().find(|edge| edge["from"] == "compile:src/main.c");
    assert_eq!(edge.unwrap()["paths"], serde_json::json!(["obj/main.o"]), "{json}");
}

#[test]
fn forget_makes_a_step_run_again() {
    let place = Place::new();
    let project = place.example("hello");
    project.build(&[]).ok();
    project.ask("forget", &["link"]).ok();
    assert_eq!(project.builds(&["link"]).reason("link"), "its traces were revoked");
    project.builds(&[]);
    project.ask("forget", &["compile"]).ok();
    project.builds(&["compile:src/greet.c", "compile:src/main.c"]);
    insta::assert_snapshot!(project.ask("forget", &["compil"]).code(2).stderr, @r"
    error: no step `compil` was ever built here

    hint: `majordomo graph` shows all steps
    ");
}

#[test]
fn clean_removes_outputs_and_spares_what_was_edited() {
    let place = Place::new();
    let project = place.example("hello");
    let sources = project.files("");
    project.build(&[]).ok();
    project.write("obj/greet.o", "edited");
    let cleaned = project.ask("clean", &[]).ok();
    insta::assert_snapshot!(format!("{}{}", cleaned.stdout, cleaned.stderr), @r"
    2 outputs removed
    kept `obj/greet.o`: it was edited by hand
    ");
    let left: Vec<_> = project.files("").into_iter().filter(|file| !sources.contains(file)).collect();
    assert_eq!(left, ["obj/greet.o"]);
    project.remove("obj");
    assert_eq!(project.builds(&[]).count("written"), 3);
}

#[test]
fn fsck_and_pod_status_of_a_sound_home() {
    let place = Place::new();
    place.example("hello").build(&[]).ok();
    let checked = place.pod(&["fsck", "--json"]).ok().json();
    assert_eq!(checked["quarantined"], serde_json::json!([]));
    let status = place.pod(&["status", "--json"]).ok().json();
    assert_eq!(status["objects"], checked["objects"]);
    assert_eq!(status["repairs"], serde_json::json!([]));
    assert_eq!(status["home"].as_str().unwrap(), place.home().to_str().unwrap());
}

#[test]
fn completions_know_every_command() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        for (program, word) in [("majordomo", "take-back"), ("pod", "fsck")] {
            let script =
                crate::common::Running::start(place.command(program, &["completions", shell])).end().ok();
            assert!(script.stdout.contains(word), "{shell}: {}", script.stdout);
        }
    }
    let bash = place.majordomo(&["completions", "bash"]).stdout;
    let check = format!(
        "{bash}\nCOMP_WORDS=(majordomo b); COMP_CWORD=1; _majordomo majordomo b majordomo; echo ${{COMPREPLY[@]}}"
    );
    let words = std::process::Command::new("bash").args(["-c", &check]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&words.stdout).trim(), "build");
}
