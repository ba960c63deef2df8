//! `majordomo build`: what a person sees of it.

use super::*;
use crate::cli::border;
use crate::cli::progress::{BuildView, Detail};
use crate::interrupt::Signal;
use crate::majordomo::request::{BuildOptions, FailureKind, Sandbox, StatusReport, StepState};

/// One step runs, one is reused silently, one is reused and printed something when it ran.
fn edited() -> Story {
    Story::new(4)
        .ends("compile:src/a.c", How::Reused, Some("all as before"))
        .prints("compile:src/b.c", "src/b.c:7: warning: unused variable `x`")
        .ends("compile:src/b.c", How::Reused, Some("all as before"))
        .starts("compile:src/lapi.c", "src/lapi.h changed")
        .ends("compile:src/lapi.c", How::Ran, None)
        .starts("link", "obj/lapi.o changed")
        .prints("link", "linking")
        .ends("link", How::Ran, None)
}

#[test]
fn plain_lines_say_what_ran_and_why() {
    insta::assert_snapshot!(run("majordomo build", edited().done(Outcome::Success)).shown(), @r"
    --- stderr
    [compile:src/b.c] printed when it ran:
    src/b.c:7: warning: unused variable `x`
    compile:src/lapi.c ran: src/lapi.h changed (0.21 s)
    [link]
    linking
    link ran: obj/lapi.o changed (0.21 s)
    built in 1.3 s: 4 steps, 2 ran, 2 reused
    --- exit code 0
    ");
}

#[test]
fn explain_says_it_of_reused_steps_too() {
    insta::assert_snapshot!(run("majordomo build --explain", edited().done(Outcome::Success)).shown(), @r"
    --- stderr
    compile:src/a.c reused: all as before
    [compile:src/b.c] printed when it ran:
    src/b.c:7: warning: unused variable `x`
    compile:src/b.c reused: all as before
    compile:src/lapi.c ran: src/lapi.h changed (0.21 s)
    [link]
    linking
    link ran: obj/lapi.o changed (0.21 s)
    built in 1.3 s: 4 steps, 2 ran, 2 reused
    --- exit code 0
    ");
}

#[test]
fn verbose_says_when_steps_start_and_wait() {
    let step = || StepId::new("test");
    let story = Story::new(1)
        .starts("test", "never ran")
        .then(Event::StepHeld { step: step(), on: "bin/lua".parse().unwrap() })
        .then(Event::StepResumed { step: step() })
        .then(Event::StepRestarted { step: step(), why: "bin/lua was made anew".into() })
        .ends("test", How::Ran, None);
    insta::assert_snapshot!(run("majordomo build -v", story.done(Outcome::Success)).shown(), @r"
    --- stderr
    test starts on here: never ran
    test waits for bin/lua
    test goes on
    test starts again: bin/lua was made anew
    test ran: bin/lua was made anew (0.21 s)
    built in 1.3 s: 1 step, 1 ran, 0 reused
    --- exit code 0
    ");
}

#[test]
fn nothing_to_do_is_three_words() {
    let story = || Story::new(1).ends("a", How::Reused, None);
    let nothing = run("majordomo build", story().done(Outcome::Success));
    assert_eq!((nothing.talk.as_str(), nothing.code), ("nothing to do\n", 0));
    let restored = run("majordomo build", story().done_with(Outcome::Success, 2));
    assert_eq!(restored.talk, "built in 1.3 s: 1 step, 0 ran, 1 reused, 2 outputs written\n");
}

/// The first failure is followed by other lines.
fn broken() -> Story {
    Story::new(4)
        .starts("compile:src/a.c", "src/a.c changed")
        .starts("compile:src/b.c", "src/b.c changed")
        .prints("compile:src/a.c", "src/a.c: In function `main`:")
        .prints("compile:src/b.c", "src/b.c:1: warning")
        .prints("compile:src/a.c", "src/a.c:3: error: expected `;`")
        .ends("compile:src/a.c", How::Failed, Some("exit code 1"))
        .ends("compile:src/b.c", How::Ran, None)
        .ends("link", How::Skipped, Some("it needs compile:src/a.c"))
}

#[test]
fn failures_are_shown_again_at_the_end() {
    insta::assert_snapshot!(run("majordomo build -k", broken().done(Outcome::Failure)).shown(), @r"
    --- stderr
    [compile:src/a.c]
    src/a.c: In function `main`:
    src/a.c:3: error: expected `;`
    error: compile:src/a.c failed: exit code 1 (0.21 s)
      command: gcc -c src/a.c
    [compile:src/b.c]
    src/b.c:1: warning
    compile:src/b.c ran: src/b.c changed (0.21 s)

    1 failure in this build:
    [compile:src/a.c]
    src/a.c: In function `main`:
    src/a.c:3: error: expected `;`
    error: compile:src/a.c failed: exit code 1 (0.21 s)
      command: gcc -c src/a.c
    failed after 1.3 s: 4 steps, 1 ran, 0 reused, 1 failed, 1 skipped
    --- exit code 1
    ");
}

#[test]
fn a_failure_that_is_in_sight_is_not_repeated() {
    let story = Story::new(1).starts("a", "never ran").prints("a", "no").ends(
        "a",
        How::Failed,
        Some("the promised output `x` was not made"),
    );
    insta::assert_snapshot!(run("majordomo build", story.done(Outcome::Failure)).shown(), @r"
    --- stderr
    [a]
    no
    error: a failed: the promised output `x` was not made (0.21 s)
      command: gcc -c a
    failed after 1.3 s: 1 step, 0 ran, 0 reused, 1 failed
    --- exit code 1
    ");
}

#[test]
fn a_failure_without_words_says_its_exit_code() {
    let story = Story::new(1).starts("a", "never ran").ends("a", How::Failed, None);
    let ran = run("majordomo build", story.done(Outcome::Failure));
    assert!(ran.talk.starts_with("error: a failed: exit code 1 (0.21 s)\n"), "{}", ran.talk);
}

#[test]
fn quiet_says_failures_and_what_failed_steps_printed() {
    insta::assert_snapshot!(run("majordomo build -q", broken().done(Outcome::Failure)).shown(), @r"
    --- stderr
    [compile:src/a.c]
    src/a.c: In function `main`:
    src/a.c:3: error: expected `;`
    error: compile:src/a.c failed: exit code 1 (0.21 s)
      command: gcc -c src/a.c
    --- exit code 1
    ");
    assert_eq!(run("majordomo build -q", edited().done(Outcome::Success)).shown(), "--- exit code 0");
}

#[test]
fn a_cancelled_build_ends_with_the_signals_code() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let mut fake = Story::new(2)
            .starts("a", "never ran")
            .prints("a", "half of it")
            .ends("a", How::Cancelled, None)
            .done(Outcome::Cancelled);
        fake.interrupted_before = Some((4, Cause::Signal(signal)));
        let ran = run("majordomo build", fake);
        assert_eq!(ran.code, code);
        // The ticker may or may not have said that it is stopping.
        let talk = ran.talk.replace("stopping (once more to leave at once)\n", "");
        insta::allow_duplicates! {
            insta::assert_snapshot!(talk, @r"
            [a]
            half of it
            cancelled after 1.3 s: 2 steps, 0 ran, 0 reused
            ");
        }
    }
}

#[test]
fn a_build_that_the_pod_cancelled_is_the_machines_failure() {
    let ran = run("majordomo build", Story::new(1).done(Outcome::Cancelled));
    assert_eq!(ran.code, 3);
    assert!(ran.talk.ends_with("error: the build was cancelled by the pod that ran it\n"), "{}", ran.talk);
}

#[test]
fn what_cannot_be_done_is_said_with_its_hint() {
    let failure = border::mistake("`majordomo.toml` line 3: unknown key `rum`").hint("did you mean `run`?");
    let fake = Fake { fails: Some(failure.clone()), ..Fake::default() };
    insta::assert_snapshot!(run("majordomo build", fake).shown(), @r"
    --- stderr
    error: `majordomo.toml` line 3: unknown key `rum`

    hint: did you mean `run`?
    --- exit code 2
    ");
    let as_reply = Fake { replies: vec![Reply::Failed(failure)], ..Fake::default() };
    assert_eq!(run("majordomo build", as_reply).code, 2);
}

#[test]
fn notes_and_waiting_are_talk() {
    let mut fake = Story::new(0)
        .then(Event::Note { warning: true, text: "a.o was made twice with different bytes".into() })
        .then(Event::Note { warning: false, text: "the index was built again".into() })
        .done(Outcome::Success);
    fake.replies.insert(0, Reply::Waiting("another build of this project is running".into()));
    insta::assert_snapshot!(run("majordomo build", fake).shown(), @r"
    --- stderr
    waiting: another build of this project is running
    warning: a.o was made twice with different bytes
    note: the index was built again
    nothing to do
    --- exit code 0
    ");
}

#[test]
fn a_dry_run_lists_what_would_run_on_stdout() {
    let state = |step: &str, reason: &str| StepState {
        step: StepId::new(step),
        up_to_date: reason.is_empty(),
        reason: reason.to_owned(),
        failed: None,
    };
    let plan = StatusReport {
        project: "lua".into(),
        sources: 3,
        steps: vec![
            state("compile:a.c", ""),
            state("compile:b.c", "b.c changed"),
            state("link", "maybe: after compile:b.c"),
        ],
        edited: vec![],
        missing: vec![],
    };
    let mut fake = Story::new(3).done(Outcome::Success);
    fake.replies.insert(2, Reply::Report(Report::Status(plan)));
    let ran = run("majordomo build --dry-run", fake);
    insta::assert_snapshot!(ran.shown(), @r"
    --- stdout
    compile:b.c would run: b.c changed
    link would run: maybe: after compile:b.c
    --- stderr
    dry run: 3 steps: 2 would run, 1 up to date
    --- exit code 0
    ");
}

#[test]
fn on_a_terminal_lines_stand_above_a_board() {
    let capture = Capture::default();
    let style = Style { width: Some(40), rows: Some(24), live: true, color: false };
    let mut view = BuildView::new(Detail::Normal, style, Talk::new(capture.clone()));
    let story = Story::new(2)
        .starts("compile:main.c", "main.c changed")
        .prints("compile:main.c", "main.c:1: warning")
        .ends("compile:main.c", How::Ran, None);
    for reply in story.done(Outcome::Success).replies {
        if let Reply::Event(event) = reply {
            view.event(event);
        }
    }
    view.end();
    insta::assert_snapshot!(capture.text().replace('\x1b', "^").replace('\r', "<"), @r"
    [compile:main.c]
    main.c:1: warning
    ^[?7l[0/2] 0.30 s
        0.10 s  compile:main.c^[?7h<^[1A^[Jcompile:main.c ran: main.c changed (0.21 s)
    ^[?7l[1/2] 1 ran, 0.40 s^[?7h<^[Jbuilt in 1.3 s: 2 steps, 1 ran, 0 reused
    ");
}

#[test]
fn what_was_typed_is_what_is_asked() {
    let (_scratch, project) = a_project();
    let fake = Story::new(0).done(Outcome::Success);
    let line =
        "majordomo build . bin/lua link -j3 -k --cold --sandbox native --take-back --explain --dry-run";
    let (_, _, asked) = run_in(&project, line, fake, Capture::default());
    let options = BuildOptions {
        jobs: Some(3),
        dry_run: true,
        cold: true,
        keep_going: true,
        explain: true,
        sandbox: Some(Sandbox::Native),
        take_back: true,
        verify: false,
    };
    let environment = [("CC", "gcc"), ("HOME", "/home/me")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(
        asked,
        Some(Request::Build {
            project,
            targets: vec!["bin/lua".into(), "link".into()],
            options,
            environment: environment.into(),
        })
    );
}

#[test]
fn events_go_to_their_file_and_a_full_one_ends_the_build() {
    let (_scratch, project) = a_project();
    let line = format!("majordomo build -q --events {}", project.join("events").display());
    let (code, _, _) = run_in(&project, &line, edited().done(Outcome::Success), Capture::default());
    assert_eq!(code, 0);
    let lines = std::fs::read_to_string(project.join("events")).unwrap();
    assert_eq!(lines.lines().count(), 11);
    assert!(lines.lines().last().unwrap().contains(r#""event":"build-finished""#));

    let ran = run("majordomo build -q --events /dev/full", Story::new(1).done(Outcome::Cancelled));
    insta::assert_snapshot!(ran.shown(), @r"
    --- stderr
    error: could not write events to `/dev/full`
      caused by: No space left on device (os error 28)

    hint: the build was cancelled, for whoever follows its events would be misled
    --- exit code 3
    ");
    let failure = run("majordomo build --events /nowhere/events", Fake::default());
    assert_eq!((failure.code, failure.asked), (2, None));
}

#[test]
fn failure_kinds_pick_exit_codes() {
    for (kind, code) in [(FailureKind::Step, 1), (FailureKind::User, 2), (FailureKind::Machine, 3)] {
        let fake = Fake { fails: Some(border::failure(kind, "no")), ..Fake::default() };
        assert_eq!(run("majordomo build", fake).code, code);
    }
}
