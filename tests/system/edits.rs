//! Bad input, what happens to files meanwhile: sources that cannot be read or change under a step, outputs edited by hand,
//! names that are no text.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::private_mounts::{small_disk, unshare_mounts};
use crate::common::{Gate, Place};

/// A step that reads `first`, stands before a gate, and then reads `second`.
fn gated(gate: &Gate) -> String {
    let gate = gate.command();
    format!(
        "[step.s]\nnetwork = true\nrun = '''\ncat first > one\n{gate}\ncat second > two\n'''\nout = ['one', 'two']\n"
    )
}

/// Tells a thread to stop, also where the test fails.
struct StopAtLast<'a>(&'a AtomicBool);

impl Drop for StopAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_source_that_may_not_be_read() {
    let place = Place::ordinary();
    let project = place.project("p", "[step.s]\nrun = 'cat source > made'\nout = 'made'\n");
    project.write("source", "1");
    project.write("unused", "1");
    project.chmod("source", 0o000);
    project.chmod("unused", 0o000);
    let built = project.build(&[]).failed();
    insta::assert_snapshot!(built.said(), @r"
    [s]
    cat: source: Input/output error
    error: s failed: a file that it needs cannot be read: `source`: cannot read `source`: Permission denied (os error 13) ([TIME])
      command: cat source > made
    failed after [TIME]: 1 step, 0 ran, 0 reused, 1 failed
    ");
    project.chmod("source", 0o644);
    project.builds(&["s"]);
    project.chmod("unused", 0o644);
}

#[test]
fn a_folder_that_may_not_be_read_concerns_who_looks_into_it() {
    let place = Place::ordinary();
    let project = place.project(
        "p",
        "[step.s]\nrun = 'ls > made'\nout = 'made'\n[step.find]\nrun = 'find closed -type f > found || true'\nout = 'found'\n\
         [step.read]\nrun = 'cat closed/source > read'\nout = 'read'\n",
    );
    project.write("closed/source", "1");
    project.chmod("closed", 0o000);
    project.build(&["made", "found"]).ok();
    assert_eq!(project.read("found"), "");
    assert!(project.build(&["made", "found"]).ok().ran().is_empty());
    let failed = project.build(&["read"]).failed();
    assert!(failed.said().contains("cat: closed/source: Permission denied"), "{}", failed.said());
    // Names that can be listed, of which nothing more can be known.
    project.chmod("closed", 0o444);
    assert!(project.build(&["made"]).ok().ran().is_empty());
    project.build(&["read"]).failed();
    // Whoever saw nothing in it looks again.
    project.chmod("closed", 0o755);
    project.builds(&["find", "read"]);
    assert_eq!((project.read("found").as_str(), project.read("read").as_str()), ("closed/source\n", "1"));
}

#[test]
fn chefs_leave_alone_what_they_may_not_look_into() {
    let place = Place::ordinary();
    let project = place.bare("p");
    project.write("Makefile", "out: a\n\tcat a > out\n");
    project.write("a", "1");
    project.write("pgdata/base", "1");
    project.chmod("pgdata", 0o000);
    let first = project.build(&[]).ok();
    assert_eq!((first.ran_without_chefs(), first.notes()), (vec!["make"], vec![]));
    project.builds(&[]);
    project.chmod("pgdata", 0o755);
}

#[test]
fn a_source_edited_before_its_step_reads_it_starts_the_build_again() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gated(&gate));
    project.write("first", "old");
    project.write("second", "old");
    let running = project.start(&[]);
    let before_the_gate = gate.arrival();
    project.write("second", "newer");
    before_the_gate.go();
    // The second attempt.
    gate.arrival().go();
    let built = running.built().ok();
    insta::assert_snapshot!(built.notes().join("\n"), @"`second` changed while `s` ran: starting again on what is there now");
    assert_eq!((project.read("one"), project.read("two")), ("old".into(), "newer".into()));
    project.builds(&[]);
}

#[test]
fn a_source_edited_after_its_step_has_read_it_belongs_to_the_next_build() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gated(&gate));
    project.write("first", "old");
    project.write("second", "old");
    let running = project.start(&[]);
    let before_the_gate = gate.arrival();
    project.write("first", "newer");
    before_the_gate.go();
    let passer = std::thread::spawn(move || {
        gate.arrival().go();
        gate
    });
    running.built().ok();
    assert_eq!((project.read("one"), project.read("two")), ("old".into(), "old".into()));
    let built = project.build(&[]).ok();
    assert_eq!((built.ran(), built.reason("s")), (vec!["s"], "first changed"));
    assert_eq!((project.read("one"), project.read("two")), ("newer".into(), "old".into()));
    passer.join().unwrap();
}

#[test]
fn a_source_that_changes_in_every_attempt_is_named() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gated(&gate));
    project.write("first", "old");
    project.write("second", "old");
    let running = project.start(&[]);
    for attempt in 1..=3 {
        let before_the_gate = gate.arrival();
        project.write("second", "x".repeat(10 + attempt));
        before_the_gate.go();
    }
    let built = running.built().code(2);
    insta::assert_snapshot!(built.said(), @r"
    [s]
    cat: second: Input/output error
    note: `second` changed while `s` ran: starting again on what is there now
    s starts again: it was never built here
    [s]
    cat: second: Input/output error
    note: `second` changed while `s` ran: starting again on what is there now
    s starts again: it was never built here
    [s]
    cat: second: Input/output error
    error: `second` changed while `s` ran, in each of 3 attempts

    hint: build again when nothing writes to it any more
    ");
    let running = project.start(&[]);
    gate.arrival().go();
    running.built().ok();
    assert_eq!(project.read("two"), "x".repeat(13));
}

#[test]
fn a_tool_that_changes_in_every_attempt_is_the_machines_failure() {
    // Tools have to be where a step has nothing of its own, and everybody may read.
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let gate = Gate::new();
    let tools = Path::new("/mnt/tools");
    std::fs::create_dir(tools).unwrap();
    let use_tool = |text: &str| std::fs::write(tools.join("tool"), text).unwrap();
    use_tool("0");
    let (folder, gate_) = (tools.display(), gate.command());
    let project = place.project(
        "p",
        &format!(
            "[tools]\nroots = ['{folder}']\n[step.s]\nnetwork = true\nrun = \"\"\"\ncat {folder}/tool > made\n{gate_}\"\"\"\nout = 'made'\n"
        ),
    );
    let running = project.start(&[]);
    for attempt in 1..=3 {
        let before_the_gate = gate.arrival();
        use_tool(&"x".repeat(10 + attempt));
        before_the_gate.go();
    }
    let built = running.built().code(3);
    let (_, end) = built.said().split_once("error: ").unwrap();
    insta::assert_snapshot!(end, @r"
    `/mnt/tools/tool` changed while `s` ran, in each of 3 attempts

    hint: something on this machine goes on changing what steps use, such as an upgrade: build again when it is done
    ");
}

#[test]
fn a_source_that_is_rewritten_all_the_time_is_never_torn() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat source > made; cmp source made'\nout = 'made'\n");
    project.write("source", vec![b'0'; 1 << 20]);
    let (source, stop) = (project.at("source"), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut turn = 0u8;
            while !stop.load(Ordering::Relaxed) {
                turn = (turn + 1) % 10;
                let file = std::fs::File::options().write(true).open(&source).unwrap();
                for part in 0..16 {
                    file.write_all_at(&[b'0' + turn; 1 << 16], part << 16).unwrap();
                }
                std::thread::sleep(Duration::from_millis(u64::from(turn)));
            }
        });
        let stop_at_last = StopAtLast(&stop);
        let mut good = 0;
        for _ in 0..30 {
            let built = project.build(&[]);
            match built.ended.code {
                Some(0) => {
                    let made = std::fs::read(project.at("made")).unwrap();
                    assert!(made.iter().all(|byte| *byte == made[0]), "a torn source was built");
                    good += 1;
                }
                Some(2) => assert!(built.said().contains("`source` changed"), "{}", built.said()),
                _ => panic!("{}", built.ended.shown()),
            }
        }
        println!("{good} of 30 builds found a quiet moment");
        drop(stop_at_last);
        writer.join().unwrap();
    });
    project.build(&[]).ok();
    assert_eq!(std::fs::read(project.at("made")).unwrap(), std::fs::read(&source).unwrap());
}

#[test]
fn a_source_that_goes_while_its_step_runs_starts_the_build_again() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gated(&gate));
    project.write("first", "old");
    project.write("second", "old");
    let running = project.start(&[]);
    let before_the_gate = gate.arrival();
    project.remove("second");
    before_the_gate.go();
    gate.arrival().go();
    let built = running.built().failed();
    assert_eq!(built.output("s").last(), Some(&"cat: second: No such file or directory"));
    assert!(built.has_restarted(), "{}", built.said());
}

#[test]
fn an_output_edited_by_hand_is_not_overwritten() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat source > made'\nout = 'made'\n");
    project.write("source", "1");
    project.builds(&["s"]);
    project.write("made", "mine");
    project.write("source", "2");
    insta::assert_snapshot!(project.build(&[]).code(2).said(), @r"
    error: the outputs would overwrite what is yours: `made` was edited

    hint: `--take-back` moves them aside (`NAME.mine`) and hands over; or move them yourself
    ");
    assert_eq!(project.read("made"), "mine");
    let taken = project.build(&["--take-back"]).ok();
    insta::assert_snapshot!(taken.notes().join("\n"), @"`made` was edited by hand: moved to `made.mine`");
    assert_eq!((project.read("made"), project.read("made.mine")), ("2".into(), "mine".into()));
    // What was moved aside is a source now, and stays.
    project.builds(&[]);
    assert_eq!(project.read("made.mine"), "mine");
}

#[test]
fn a_file_of_the_users_where_an_undeclared_output_belongs() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'cat source > made'\n");
    project.write("source", "1");
    project.builds(&["s"]);
    project.replace("majordomo.toml", "made", "other");
    project.write("other", "mine");
    let built = project.build(&[]).failed();
    assert_eq!(
        built.failure("s"),
        "it changed the source `other`: a step may not change what it is made from"
    );
    assert_eq!(project.read("other"), "mine");
}

#[test]
fn an_edited_output_that_no_step_makes_any_more_stays() {
    let place = Place::new();
    let project = place
        .project("p", "[step.a]\nrun = 'echo a > a'\nout = 'a'\n[step.b]\nrun = 'echo b > b'\nout = 'b'\n");
    project.builds(&["a", "b"]);
    project.write("b", "mine");
    project.write("majordomo.toml", "[step.a]\nrun = 'echo a > a'\nout = 'a'\n");
    let built = project.build(&[]).ok();
    assert_eq!(project.read("b"), "mine");
    insta::assert_snapshot!(built.notes().join("\n"), @"`b` is made by no step any more, and was edited: it is yours now");
}

#[test]
fn names_that_are_no_text() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.copy]\neach = 'in/*'\nrun = 'cp {in} {out}'\nout = 'out/{stem}.x'\n\
         [step.list]\nrun = 'ls out > names; touch \"$(printf \"un\\\\377declared\")\"'\nout = 'names'\nafter = 'copy'\n",
    );
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    project.write(name(b"in/caf\xe9 \n'\"$x\\.txt"), "strange");
    project.write(name("in/ü.txt".as_bytes()), "plain");
    let built = project.build(&[]).ok();
    insta::assert_snapshot!(built.ran().join("\n"), @r#"
    copy:in/caf\xe9 \x0a'"$x\\.txt
    copy:in/ü.txt
    list
    "#);
    let copied = std::fs::read(project.at(name(b"out/caf\xe9 \n'\"$x\\.x"))).unwrap();
    assert_eq!(copied, b"strange");
    assert!(project.has(name(b"un\xffdeclared")));
    project.builds(&[]);
    project.remove("out");
    assert_eq!(project.builds(&[]).count("written"), 2);
    let target = project.build(&[r"out/caf\xe9*"]).ok();
    assert_eq!(target.ran(), Vec::<&str>::new());
}
