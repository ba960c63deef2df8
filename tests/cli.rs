//! The real binaries, where no engine is needed: mistakes in arguments, help, closed streams.

use std::borrow::Cow;
use std::process::{Command, Stdio};

fn majordomo() -> Command {
    hermetic(env!("CARGO_BIN_EXE_majordomo"))
}

fn pod() -> Command {
    hermetic(env!("CARGO_BIN_EXE_pod"))
}

fn hermetic(binary: &str) -> Command {
    let mut command = Command::new(binary);
    command.env_clear().stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[test]
fn mistakes_in_arguments_are_exit_code_2_on_stderr() {
    for arguments in [
        &["build", "--jobs", "0"][..],
        &["build", "--sandbox", "docker"],
        &["build", "--quiet", "--verbose"],
        &["biuld"],
        &["why"],
        &["graph", "--dot", "--json"],
        &["status", ".", "--project", "."],
        &[],
    ] {
        let ended = majordomo().args(arguments).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&ended.stdout), "", "{arguments:?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_nearest_word_is_proposed() {
    let ended = majordomo().arg("biuld").output().unwrap();
    assert!(text(&ended.stderr).contains("a similar subcommand exists: 'build'"), "{}", text(&ended.stderr));
}

#[test]
fn no_project_is_a_mistake_with_a_hint() {
    let scratch = tempfile::tempdir().unwrap();
    let ended =
        majordomo().arg("status").current_dir(scratch.path()).env("HOME", "/nowhere").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr).replace(&*scratch.path().canonicalize().unwrap().to_string_lossy(), "DIR");
    insta::assert_snapshot!(said, @r"
    error: no `majordomo.toml` in `DIR` or in a folder above it, and no chef knows that folder

    hint: go to a project, name its folder, or write a `majordomo.toml`
    ");
}

#[test]
fn no_home_is_a_mistake_with_a_hint() {
    let ended = pod().arg("status").output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("hint: name one: `--home DIR`"), "{}", text(&ended.stderr));
}

#[test]
fn a_bare_pod_needs_a_home() {
    let ended = pod().output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(text(&ended.stdout), "");
    assert!(text(&ended.stderr).contains("hint: name one: `--home DIR`"), "{}", text(&ended.stderr));
}

#[test]
fn help_and_version_are_data() {
    for arguments in [&["--help"][..], &["build", "--help"], &["--version"]] {
        let ended = majordomo().args(arguments).output().unwrap();
        assert_eq!((ended.status.code(), &*text(&ended.stderr)), (Some(0), ""), "{arguments:?}");
        assert!(!ended.stdout.is_empty());
    }
}

#[test]
fn the_zygote_is_not_in_the_help() {
    for mut command in [majordomo(), pod()] {
        assert!(!text(&command.arg("--help").output().unwrap().stdout).contains("zygote"));
    }
}

#[test]
fn a_closed_stdout_is_no_panic() {
    for arguments in [&["completions", "bash"][..], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = majordomo().args(arguments).stdout(writer).output().unwrap();
        assert_eq!((ended.status.code(), &*text(&ended.stderr)), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn events_that_nobody_reads_stop_the_build_before_it_starts() {
    let scratch = tempfile::tempdir().unwrap();
    std::fs::write(scratch.path().join("majordomo.toml"), "").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = majordomo();
    command.args(["build", "--events", "-"]).current_dir(scratch.path()).stdout(writer);
    let ended = command.output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(text(&ended.stderr), "error: nobody reads the events that go to stdout\n");
}
