//! Secrets: a step has them, and nothing that lasts does.

use std::fs;
use std::path::Path;

use crate::common::{Place, Project, Running};

const VALUE: &str = "correct-horse-battery-staple";

/// Builds with the secret in the caller's environment, with all diagnostics; gives the build and the diagnostics.
fn build(place: &Place, project: &Project<'_>, arguments: &[&str]) -> crate::common::Built {
    let mut command = place.command("majordomo", &["build", "--events", "-", "--explain", "-p"]);
    command.arg(project.path()).args(arguments).env("TOKEN", VALUE).env("COMPUTEPODS_LOG", "trace");
    Running::start(command).built()
}

/// Asserts that no file below a folder has the secret's bytes, plainly or in a form that we would write.
fn assert_nowhere(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                files += 1;
                let digest = protocol::Digest::of(VALUE.as_bytes());
                for trace in [VALUE.as_bytes(), digest.to_string().as_bytes(), digest.as_bytes()] {
                    assert!(
                        !bytes.windows(trace.len()).any(|window| window == trace),
                        "{}",
                        entry.path().display()
                    );
                }
            }
        }
    }
    assert!(files > 0);
}

#[test]
fn a_step_has_its_secrets_and_nothing_that_lasts_does() {
    let place = Place::new();
    let file = place.path().join("key");
    fs::write(&file, "of a file\n").unwrap();
    let project = place.project("p", "");
    let keyed = format!(
        "[step.other]\nsecrets = {{ KEY = '{}' }}\nrun = 'cat /run/secrets/KEY > other'\nout = 'other'\n",
        file.display()
    );
    project.write(
        "majordomo.toml",
        "[step.s]\nsecrets = 'TOKEN'\nrun = '''\nset -x\ncat /run/secrets/TOKEN; echo; cat /run/secrets/TOKEN >&2\n\
         stat -c '%a %U' /run/secrets/TOKEN; ls /run/secrets /run\n\
         test \"$(cat /run/secrets/TOKEN)\" = correct-horse-battery-stap\"le\"\nwc -c < /run/secrets/TOKEN > made\n'''\nout = 'made'\n\
         [step.without]\nrun = 'ls /run /run/secrets 2>/dev/null || echo none; env | grep -c TOKEN || true'\n"
            .to_owned()
            + &keyed,
    );
    let built = build(&place, &project, &[]).ok();
    assert_eq!(
        (project.read("made").trim(), project.read("other").as_str()),
        (VALUE.len().to_string().as_str(), "of a file\n")
    );
    let said = built.output("s").join("\n");
    assert!(said.contains("***") && said.contains("400 build"), "{said}");
    assert_eq!(built.output("without"), ["none", "0"]);
    // In no event, message or diagnostics, and nowhere in home and workspace.
    assert!(!built.ended.stdout.contains(VALUE) && !built.ended.stderr.contains(VALUE), "{}", built.said());
    assert_nowhere(place.home());
    assert_nowhere(&project.path().join(".majordomo"));
    // It is not used again: what it would do depends on what nobody may keep.
    assert_eq!(build(&place, &project, &[]).ok().ran(), ["other", "s"]);
    for question in ["why", "trace"] {
        let answer = project.ask(question, &["s"]);
        assert!(!(answer.stdout + &answer.stderr).contains(VALUE));
    }
    place.assert_nothing_left();
}

#[test]
fn with_cache_it_is_used_again_whatever_the_secret() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.s]\nsecrets = ['TOKEN']\ncache = true\nrun = 'wc -c < /run/secrets/TOKEN > made'\nout = 'made'\n",
    );
    assert_eq!(build(&place, &project, &[]).ok().ran(), ["s"]);
    // Another secret, and none at all.
    let mut command = place.command("majordomo", &["build", "--events", "-", "-p"]);
    command.arg(project.path()).env("TOKEN", "other");
    assert!(Running::start(command).built().ok().ran().is_empty());
    project.builds(&[]);
    assert_nowhere(place.home());
}

#[test]
fn the_names_of_secrets_are_part_of_what_a_step_does() {
    let place = Place::new();
    let step = |secrets: &str| {
        format!(
            "[step.s]\n{secrets}cache = true\nrun = 'ls /run/secrets > made 2>&1 || true'\nout = 'made'\n"
        )
    };
    let project = place.project("p", &step(""));
    project.builds(&["s"]);
    project.write("majordomo.toml", step("secrets = ['TOKEN']\n"));
    let built = build(&place, &project, &[]).ok();
    assert_eq!((built.ran(), project.read("made").as_str()), (vec!["s"], "TOKEN\n"));
    insta::assert_snapshot!(built.reason("s"), @"its `secrets` is new");
    // By another name it is another step; by this one it is the one from before.
    project.write("majordomo.toml", step("secrets = { OTHER = '/etc/hostname' }\n"));
    assert_eq!(build(&place, &project, &[]).ok().ran(), ["s"]);
    assert_eq!(project.read("made"), "OTHER\n");
    project.write("majordomo.toml", step("secrets = ['TOKEN']\n"));
    assert!(build(&place, &project, &[]).ok().ran().is_empty());
    assert_eq!(project.read("made"), "TOKEN\n");
}

#[test]
fn a_secret_that_is_not_there() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nsecrets = ['TOKEN']\nrun = 'true'\n");
    insta::assert_snapshot!(project.build(&[]).failed().failure("s"), @"its secret `TOKEN` is not in the caller's environment: set `TOKEN` and build again");
    project.write("majordomo.toml", "[step.s]\nsecrets = { KEY = '/no/such/key' }\nrun = 'true'\n");
    insta::assert_snapshot!(project.build(&[]).failed().failure("s"), @"its secret `KEY` cannot be read from `/no/such/key`: No such file or directory (os error 2)");
    project.write("majordomo.toml", "[step.s]\nsecrets = { KEY = 'key' }\nrun = 'true'\n");
    let said = project.build(&[]).code(2).said().to_owned();
    assert!(said.contains("a file outside of the project"), "{said}");
}

#[test]
fn a_secret_that_is_no_file_is_refused_at_once() {
    let place = Place::new();
    let fifo = place.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    for at in [&fifo, Path::new("/dev/zero"), Path::new("/etc")] {
        let project = place
            .project("p", &format!("[step.s]\nsecrets = {{ KEY = '{}' }}\nrun = 'true'\n", at.display()));
        let built = project.build(&[]).failed();
        let words = format!("its secret `KEY` cannot be read from `{}`: it is no regular file", at.display());
        assert!(built.said().contains(&words), "{}", built.said());
    }
}
