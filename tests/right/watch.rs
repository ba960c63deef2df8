//! Watching: a change is built, however it comes, and nothing else is; what is shown stays right; nothing is left behind.

mod program;

use std::cell::RefCell;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use crate::common::left;
use crate::common::private_mounts::{small_disk, unshare_mounts};
use crate::common::{Gate, Place, Project, Running};

/// A `majordomo watch` at work.
struct Watch(Running);

/// One of its builds.
struct Build {
    events: Vec<Value>,
}

impl Build {
    fn named(&self, event: &str) -> Vec<&str> {
        let named = self.events.iter().filter(|found| found["event"] == event);
        let mut steps: Vec<&str> = named.filter_map(|found| found["step"].as_str()).collect();
        steps.sort_unstable();
        steps
    }

    fn ran(&self) -> Vec<&str> {
        self.named("step-started")
    }

    fn outcome(&self) -> &str {
        self.events.last().unwrap()["outcome"].as_str().unwrap()
    }
}

impl Watch {
    fn start(place: &Place, project: &Project<'_>, arguments: &[&str]) -> Self {
        let mut command = place.command("majordomo", &["watch", "--events", "-"]);
        command.arg("-p").arg(project.path()).args(arguments);
        Self(Running::start(command))
    }

    /// The next build that comes to its end.
    #[track_caller]
    fn build(&mut self) -> Build {
        let events = RefCell::new(Vec::new());
        self.0.wait_for(|event| {
            if !event.is_null() {
                events.borrow_mut().push(event.clone());
            }
            event["event"] == "build-finished"
        });
        Build { events: events.into_inner() }
    }

    /// Builds until something is as it should be; how many there were.
    #[track_caller]
    fn until(&mut self, is_right: impl Fn() -> bool) -> usize {
        (1..).find(|_| self.build().outcome() == "success" && is_right()).unwrap()
    }

    /// Waits until it waits.
    #[track_caller]
    fn waits(&mut self) -> String {
        self.0.wait_for_talk("watching")
    }

    #[track_caller]
    fn interrupt(mut self) -> String {
        self.0.signal(Signal::INT);
        assert!(self.0.ends_within(Duration::from_secs(20)), "it does not end");
        let ended = self.0.end();
        assert_eq!(ended.code, Some(130), "{}", ended.shown());
        ended.stderr
    }
}

const COPY: &str = "[step.copy]\nrun = 'cp source out'\nout = 'out'\n";
const GATHER: &str = "[step.gather]\nrun = 'cat $(find src -type f | sort) > out'\nout = 'out'\n";

#[test]
fn a_save_is_built() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &[]);
    assert_eq!(watch.build().ran(), ["copy"]);
    let said = watch.waits();
    assert!(said.contains("copy ran: it was never built here"), "{said}");
    project.write("source", "2");
    let build = watch.build();
    assert_eq!((build.ran(), build.outcome()), (vec!["copy"], "success"));
    assert_eq!(project.read("out"), "2");
    let said = watch.waits();
    assert!(said.contains("changed: source\n") && said.contains("copy ran: source changed"), "{said}");
    // Replaced, as most editors do it.
    project.write("beside", "3");
    fs::rename(project.at("beside"), project.at("source")).unwrap();
    watch.until(|| project.read("out") == "3");
    // An older file with its old time.
    project.write("source", "4");
    watch.until(|| project.read("out") == "4");
    watch.interrupt();
    place.assert_nothing_left();
    project.builds(&[]);
}

#[test]
fn a_burst_of_edits_is_a_few_builds() {
    let place = Place::new();
    let project = place.project("p", GATHER);
    (0..100).for_each(|i| project.write(format!("src/{i:03}"), "old\n"));
    let mut watch = Watch::start(&place, &project, &["--settle", "100"]);
    watch.build();
    watch.waits();
    (0..100).for_each(|i| project.write(format!("src/{i:03}"), "new\n"));
    let builds = watch.until(|| project.read("out") == "new\n".repeat(100));
    assert!(builds < 20, "{builds} builds for 100 edits");
    watch.interrupt();
}

#[test]
fn an_edit_ends_the_build_that_runs() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project(
        "p",
        &format!(
            "[step.quick]\nrun = 'cp other quick'\nout = 'quick'\n\
             [step.slow]\nafter = 'quick'\nnetwork = true\nrun = '''\n{}\ncp source out\n'''\nout = 'out'\n",
            gate.command()
        ),
    );
    project.write("source", "1");
    project.write("other", "1");
    let mut watch = Watch::start(&place, &project, &[]);
    gate.arrival().go();
    watch.build();
    watch.waits();
    project.write("other", "2");
    project.write("source", "2");
    let visitor = gate.arrival();
    project.write("source", "3");
    let said = watch.0.wait_for_talk("starting again");
    assert!(said.contains("changed: "), "{said}");
    let build = watch.build();
    assert_eq!(build.outcome(), "cancelled");
    drop(visitor);
    gate.arrival().go();
    let build = watch.build();
    assert_eq!(
        (build.outcome(), build.ran()),
        ("success", vec!["slow"]),
        "what was finished is not run again"
    );
    assert_eq!((project.read("quick"), project.read("out")), ("2".into(), "3".into()));
    watch.interrupt();
    place.assert_nothing_left();
}

#[test]
fn folders_come_move_and_go() {
    let place = Place::new();
    let project = place.project("p", GATHER);
    project.write("src/a", "a\n");
    let mut watch = Watch::start(&place, &project, &[]);
    watch.build();
    watch.waits();
    let mut becomes = |text: &str| {
        watch.until(|| project.read("out") == text);
    };
    project.write("src/new/deep/b", "b\n");
    becomes("a\nb\n");
    project.write("src/new/deep/c", "c\n");
    becomes("a\nb\nc\n");
    fs::rename(project.at("src/new"), project.at("src/moved")).unwrap();
    project.write("src/moved/deep/c", "C\n");
    becomes("a\nb\nC\n");
    project.write("src/moved/deep/b", "B\n");
    becomes("a\nB\nC\n");
    project.remove("src/moved");
    becomes("a\n");
    // Whole trees that come at once, from elsewhere.
    let elsewhere = place.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("x/y")).unwrap();
    fs::write(elsewhere.join("x/y/z"), "z\n").unwrap();
    fs::rename(&elsewhere, project.at("src/tree")).unwrap();
    becomes("a\nz\n");
    project.write("src/tree/x/y/z", "Z\n");
    becomes("a\nZ\n");
    watch.interrupt();
}

#[test]
fn a_folder_that_may_not_be_looked_into_any_more_and_then_may_again() {
    let place = Place::ordinary();
    let project = place.project("p", GATHER);
    project.write("src/a", "a\n");
    project.write("src/inner/b", "b\n");
    project.chmod("src/inner", 0o000);
    let mut watch = Watch::start(&place, &project, &[]);
    watch.build();
    watch.waits();
    assert_eq!(project.read("out"), "a\n");
    let mut becomes = |text: &str| {
        watch.until(|| project.read("out") == text);
    };
    project.chmod("src/inner", 0o755);
    becomes("a\nb\n");
    project.chmod("src/inner", 0o000);
    becomes("a\n");
    project.write("src/a", "A\n");
    becomes("A\n");
    project.chmod("src/inner", 0o755);
    becomes("A\nb\n");
    project.write("src/inner/b", "B\n");
    becomes("A\nB\n");
    watch.interrupt();
}

#[test]
fn an_output_that_is_deleted_is_restored_and_one_that_is_edited_is_left() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &[]);
    watch.build();
    watch.waits();
    project.remove("out");
    let build = watch.build();
    assert_eq!((build.outcome(), build.ran()), ("success", vec![]));
    assert_eq!(project.read("out"), "1");
    let said = watch.waits();
    assert!(said.contains("changed: out is gone"), "{said}");
    project.write("out", "mine");
    assert_eq!(watch.build().outcome(), "failure");
    let said = watch.waits();
    assert!(said.contains("changed: out was edited by hand"), "{said}");
    assert!(said.contains("error: the outputs would overwrite what is yours: `out` was edited"), "{said}");
    assert_eq!(project.read("out"), "mine");
    project.remove("out");
    watch.until(|| project.has("out") && project.read("out") == "1");
    watch.interrupt();
}

#[test]
fn a_chef_plans_again_while_it_is_watched() {
    let place = Place::new();
    let project = place.example("cmake");
    project.write("src/more.c", "int more(void) { return 1; }\n");
    let mut watch = Watch::start(&place, &project, &[]);
    assert_eq!(watch.build().outcome(), "success");
    watch.waits();
    project.append("src/words.c", "/* edited */\n");
    let edited = watch.build();
    assert_eq!(
        (edited.ran(), edited.outcome()),
        (vec!["build/CMakeFiles/words.dir/src/words.c.o"], "success")
    );
    watch.waits();

    project.replace("CMakeLists.txt", "(words src/words.c)", "(words src/words.c src/more.c)");
    let more = watch.build();
    let planned = [
        "build/CMakeFiles/words.dir/src/more.c.o",
        "build/words",
        "chef:cmake",
        "chef:cmake:2:configure",
        "configure",
    ];
    assert_eq!((more.ran(), more.outcome()), (planned.to_vec(), "success"));
    watch.waits();
    // What it planned then is watched, too.
    project.replace("src/more.c", "return 1", "return 2");
    let edited = watch.build();
    let again = vec!["build/CMakeFiles/words.dir/src/more.c.o", "build/words"];
    assert_eq!((edited.ran(), edited.outcome()), (again, "success"));
    watch.interrupt();
    place.assert_nothing_left();
    project.builds(&[]);
}

#[test]
fn a_failure_waits_for_its_mending() {
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'grep good source > out'\nout = 'out'\n");
    project.write("source", "bad");
    let mut watch = Watch::start(&place, &project, &["--run", "echo it runs >&2"]);
    assert_eq!(watch.build().outcome(), "failure");
    let said = watch.waits();
    assert!(said.contains("s failed") && !said.contains("it runs"), "{said}");
    project.write("source", "good");
    assert_eq!(watch.build().outcome(), "success");
    watch.0.wait_for_talk("it runs");
    // The project file, too.
    project.write("majordomo.toml", "[step.s\n");
    assert_eq!(watch.build().outcome(), "failure");
    watch.0.wait_for_talk("majordomo.toml:1:");
    project.write("majordomo.toml", COPY);
    watch.until(|| project.read("out") == "good");
    watch.interrupt();
}

#[test]
fn a_tool_that_changes_is_used_anew() {
    // Tools have to be where a step has nothing of its own, and everybody may read.
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    let place = Place::new();
    let tools = Path::new("/mnt/tools");
    fs::create_dir_all(tools.join("bin")).unwrap();
    let tool = |text: &str| {
        fs::write(tools.join("new"), format!("#!/bin/sh\necho {text}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(tools.join("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(tools.join("new"), tools.join("bin/tool")).unwrap();
    };
    tool("one");
    let file =
        format!("[tools]\nroots = ['{}']\n[step.s]\nrun = 'tool > out'\nout = 'out'\n", tools.display());
    let project = place.project("p", &file);
    let mut watch = Watch::start(&place, &project, &[]);
    watch.build();
    let said = watch.waits();
    assert!(said.contains("of tools and headers"), "{said}");
    tool("two");
    let build = watch.build();
    assert_eq!(build.ran(), ["s"]);
    assert_eq!(project.read("out"), "two\n");
    let said = watch.waits();
    assert!(said.contains("tools/bin/tool"), "{said}");
    watch.interrupt();
}

#[test]
fn a_project_that_is_removed_is_not_made_again() {
    let place = Place::new();
    let ends = |removed: &dyn Fn(&Project<'_>)| {
        let project = place.project("p", COPY);
        project.write("source", "1");
        let mut watch = Watch::start(&place, &project, &[]);
        watch.build();
        watch.waits();
        removed(&project);
        assert!(watch.0.ends_within(Duration::from_secs(60)), "it watches what is gone");
        let ended = watch.0.end().code(2);
        assert!(!project.has(".majordomo"));
        fs::remove_dir_all(project.path()).ok();
        ended.stderr
    };
    let said = ends(&|project| fs::remove_dir_all(project.path()).unwrap());
    assert!(said.contains("is gone") && said.contains("/projects/p` "), "{said}");
    // As it is seen when it takes long.
    let said = ends(&|project| {
        project.remove(".majordomo");
        project.remove("source");
    });
    assert!(said.contains("/projects/p` is being removed: its `.majordomo` is gone"), "{said}");
}

#[test]
fn an_interrupt_in_the_middle_of_a_build_leaves_nothing() {
    let place = Place::new();
    let project = place.project(
        "p",
        "[step.s]\nrun = \"trap '' INT TERM HUP; (setsid sleep 3600 &) ; echo ready; sleep 3600\"\n",
    );
    let mut watch = Watch::start(&place, &project, &[]);
    watch.0.wait_for_output("ready");
    watch.interrupt();
    place.assert_nothing_left();
}

#[test]
fn without_events_changes_are_found_all_the_same() {
    let place = Place::new();
    let project = place.project("p", GATHER);
    project.write("src/a", "a\n");
    let mut watch = Watch::start(&place, &project, &["--poll", "20"]);
    watch.build();
    let said = watch.waits();
    assert!(said.contains("every 20 ms"), "{said}");
    project.write("src/new/b", "b\n");
    watch.until(|| project.read("out") == "a\nb\n");
    project.remove("out");
    watch.until(|| project.has("out"));
    watch.interrupt();
}

#[test]
fn two_watch_one_project() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut first = Watch::start(&place, &project, &[]);
    first.build();
    first.waits();
    let mut second = Watch::start(&place, &project, &[]);
    second.build();
    second.waits();
    project.write("source", "2");
    first.until(|| project.read("out") == "2");
    second.until(|| project.read("out") == "2");
    // The first one holds the pod; the second one becomes its successor.
    first.interrupt();
    second.build();
    project.write("source", "3");
    second.until(|| project.read("out") == "3");
    second.interrupt();
    place.assert_nothing_left();
}

#[test]
fn two_watch_one_project_from_homes_of_their_own() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut first = Watch::start(&place, &project, &[]);
    first.build();
    let other = place.path().join("other-home");
    let mut second = Watch::start(&place, &project, &["--home", other.to_str().unwrap()]);
    second.build();
    for text in ["2", "3", "4"] {
        project.write("source", text);
        first.until(|| project.read("out") == text);
        second.until(|| project.read("out") == text);
    }
    first.interrupt();
    second.interrupt();
    place.assert_nothing_left();
}

#[test]
fn a_build_that_holds_the_pod_does_not_stay_for_one_who_watches() {
    let place = Place::new();
    let gate = Gate::new();
    let slow = place.project(
        "slow",
        &format!("[step.s]\nnetwork = true\nrun = '''\n{}\necho s > s\n'''\nout = 's'\n", gate.command()),
    );
    let project = place.project("p", COPY);
    project.write("source", "1");
    let holding = slow.start(&[]);
    let visitor = gate.arrival();
    let mut watch = Watch::start(&place, &project, &[]);
    watch.build();
    watch.waits();
    visitor.go();
    holding.built().ok();
    // The one who watches is the pod now.
    project.write("source", "2");
    watch.until(|| project.read("out") == "2");
    watch.interrupt();
    place.assert_nothing_left();
}

#[test]
fn a_build_right_after_a_save_is_never_stale() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "0");
    let mut watch = Watch::start(&place, &project, &["--settle", "60000"]);
    watch.build();
    watch.waits();
    for round in 0..40 {
        let text = round.to_string();
        match round % 4 {
            0 => project.remove("out"),
            1 => {
                project.write("beside", &text);
                fs::rename(project.at("beside"), project.at("source")).unwrap();
            }
            2 => project.write(format!("new{round}"), &text),
            _ => project.write("source", &text),
        }
        let built = project.build(&[]).ok();
        assert_eq!(project.read("out"), project.read("source"), "{}", built.said());
        let again = project.build(&[]).ok();
        assert_eq!((again.ran(), again.count("written")), (vec![], 0), "{}", again.said());
    }
    watch.interrupt();
}

#[test]
fn an_edited_output_stops_builds_through_the_watching_pod_too() {
    let place = Place::new();
    let project = place.project("p", COPY);
    project.write("source", "1");
    let mut watch = Watch::start(&place, &project, &["--settle", "60000"]);
    watch.build();
    watch.waits();
    project.builds(&[]);
    project.write("out", "mine");
    project.build(&[]).code(2);
    assert_eq!(project.read("out"), "mine");
    project.build(&["--take-back"]).ok();
    assert_eq!((project.read("out"), project.read("out.mine")), ("1".into(), "mine".into()));
    watch.interrupt();
}
