//! Chefs that crash, hang, flood or talk nonsense: they are named, and the build goes on without them.

use super::{asks, chef, saying, sure};
use crate::common::Place;

/// What is said of a chef that is asked alone, and of a build that goes on without it.
#[track_caller]
fn refused(program: &str, words: &str) {
    let place = Place::new();
    let project = place.bare("p");
    chef(&project, "bad", program);
    chef(&project, "good", &sure(1, "s"));
    asks(&project, &["bad"]);
    let alone = project.build(&[]).code(2);
    let expected = format!("the chef `bad` could not be asked: {words}");
    assert!(alone.said().contains(&expected), "{}", alone.said());
    assert!(
        alone.said().contains("hint: the chef has to be mended; a `majordomo.toml` with"),
        "{}",
        alone.said()
    );
    // It is said once, and is no failed step.
    assert!(!alone.said().contains("chef:bad failed"), "{}", alone.said());
    asks(&project, &["bad", "good"]);
    let both = project.build(&[]).ok();
    assert_eq!(project.read("made"), "by s\n");
    assert_eq!(both.notes().iter().filter(|note| note.contains(&expected)).count(), 1, "{:?}", both.notes());
    assert!(both.count("failed") == 0 && !both.said().contains("chef:bad failed"), "{}", both.said());
    place.assert_nothing_left();
}

#[test]
fn a_chef_that_crashes() {
    refused(
        "#!/bin/sh\necho the first line >&2\necho the second >&2\nexit 3\n",
        "exit code 3: the first line",
    );
}

#[test]
fn a_chef_that_hangs() {
    refused("#!/bin/sh\nexec sleep 1000\n", "it was ended after 1 s, its `timeout`");
}

#[test]
fn a_chef_that_floods() {
    refused("#!/bin/sh\nexec yes\n", "it answered with more than 64 MiB");
}

#[test]
fn a_chef_that_talks_nonsense() {
    refused(&saying("What?"), "it is not in the form of the chefs' protocol");
}

#[test]
fn a_chef_that_says_nothing() {
    refused("#!/bin/sh\n", "nothing was said");
}

#[test]
fn a_chef_of_another_version() {
    refused(
        &saying(r#"{"protocol":7}"#),
        "version 7 of the chefs' protocol was spoken, and version 1 is understood",
    );
}

#[test]
fn a_chef_that_is_no_program() {
    refused("\x7fELF", "exit code 126");
}

#[test]
fn a_tie_too_tells_who_could_not_be_asked() {
    let place = Place::new();
    let project = place.bare("p");
    chef(&project, "bad", "#!/bin/sh\nexit 3\n");
    chef(&project, "one", &sure(10, "first"));
    chef(&project, "two", &sure(10, "second"));
    asks(&project, &["bad", "one", "two"]);
    let tie = project.build(&[]).code(2);
    assert!(tie.said().contains("the chef `bad` could not be asked: exit code 3"), "{}", tie.said());
    assert!(tie.said().contains("are equally sure"), "{}", tie.said());
}

#[test]
fn a_chef_that_is_a_pipe() {
    let place = Place::new();
    let project = place.bare("p");
    project.write("majordomo.toml", "[project]\nchef = './pipe'\n");
    rustix::fs::mkfifoat(rustix::fs::CWD, project.at("pipe"), rustix::fs::Mode::from(0o755)).unwrap();
    let refused = project.build(&[]).code(2);
    assert!(refused.said().contains("pipe"), "{}", refused.said());
}
