//! The engines: one build in each comes to the same, and nothing of podman's is left.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::engine::{self, assert_no_container, containers};
use crate::common::running::LIMIT;
use crate::common::{Place, Project, left};

/// Whether podman can start a container here; where it cannot, it says why.
pub fn has_podman() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| {
        let place = Place::new();
        let project = place.project("probe", "[step.s]\nrun = 'true'\n");
        let built = project.build(&["--sandbox", "podman"]);
        (built.ended.code != Some(0)).then(|| built.said().to_owned())
    });
    if let Some(why) = why_not {
        println!("skipped: {why}");
    }
    why_not.is_none()
}

/// All that the traces of a build say, step by step.
fn traces(project: &Project<'_>) -> Vec<String> {
    let steps = ["compile:src/greet.c", "compile:src/main.c", "link"];
    // How long it took is part of a trace, and so of its digest.
    let same = |line: &&str| !line.contains("\"millis\"") && !line.contains("\"trace\":");
    let trace = |step| {
        let told = project.ask("trace", &[step, "--json"]).ok().stdout;
        told.lines().filter(same).map(|line| format!("{line}\n")).collect()
    };
    steps.map(trace).to_vec()
}

fn both_engines_come_to_the_same(make: fn() -> Place) {
    if !has_podman() {
        return;
    }
    let (one, other) = (make(), make());
    let (native, podman) = (one.example("hello"), other.example("hello"));
    native.build(&["--sandbox", "native"]).ok();
    podman.build(&["--sandbox", "podman"]).ok();
    for output in native.files("bin").into_iter().chain(native.files("obj")) {
        assert!(fs::read(native.at(&output)).unwrap() == fs::read(podman.at(&output)).unwrap(), "{output}");
    }
    for (native, podman) in traces(&native).iter().zip(&traces(&podman)) {
        let differs = native.lines().zip(podman.lines()).find(|(native, podman)| native != podman);
        assert_eq!((differs, native.len()), (None, podman.len()));
    }
    // What one has made the other takes, and what it would make itself is no other.
    let again = native.build(&["--sandbox", "podman"]).ok();
    assert_eq!(again.ran(), [""; 0]);
    let cold = native.build(&["--sandbox", "podman", "--cold"]).ok();
    assert_eq!((cold.ran().len(), cold.notes()), (3, vec![]));
    assert_no_container(|| other.podman(), other.home());
}

#[test]
fn both_engines_come_to_the_same_as_root() {
    both_engines_come_to_the_same(Place::new);
}

#[test]
fn both_engines_come_to_the_same_for_an_ordinary_user() {
    both_engines_come_to_the_same(Place::ordinary);
}

#[test]
fn without_podman_auto_is_native_and_podman_says_what_is_missing() {
    let place = Place::new();
    let project = place.example("hello");
    let build = |engine: &str| {
        let mut command = place.command("majordomo", &["build", "--sandbox", engine, "-p"]);
        // The programs of steps come from the view, whatever the pod's own path says.
        command.arg(project.path()).env("PATH", "/nowhere");
        crate::common::Running::start(command).end()
    };
    let refused = build("podman");
    assert_eq!(refused.code, Some(3));
    insta::assert_snapshot!(refused.stderr, @r"
    error: the kitchen failed
      caused by: podman is not installed

    hint: the engine `podman` runs steps in a container that podman starts
    hint: sudo apt-get install podman runc, or use `--sandbox native`
    ");
    build("auto").ok();
    assert!(project.has("bin/hello"));
}

#[test]
fn an_engine_that_is_none_is_a_mistake() {
    let place = Place::new();
    let project = place.example("hello");
    let mut command = place.command("majordomo", &["build", "-p"]);
    command.arg(project.path()).env("COMPUTEPODS_SANDBOX", "docker");
    let refused = crate::common::Running::start(command).end();
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @r"
    error: `docker` in `COMPUTEPODS_SANDBOX` is no engine

    hint: use one of `native`, `podman`, `auto`
    ");
}

/// The processes around a container: its monitor, and whatever shows a place's folders in its mounts.
fn around(place: &Place, container: &str) -> Vec<i32> {
    let of = |format: &str| {
        let told = place.podman().args(["inspect", "--format", format, container]).output().unwrap();
        String::from_utf8_lossy(&told.stdout).trim().parse::<i32>().unwrap()
    };
    let monitor = fs::read_to_string(format!("/proc/{}/stat", of("{{.State.Pid}}"))).unwrap();
    let monitor = monitor.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap();
    vec![monitor, of("{{.State.Pid}}")]
}

/// The running pod's container, once it has removed what the last one left.
fn the_only_container(place: &Place) -> String {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut there = containers(&mut place.podman(), place.home());
        if there.len() == 1 {
            return there.remove(0);
        }
        assert!(Instant::now() < deadline, "what the last pod left was not removed: {there:?}");
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// A container that nobody of ours made, labelled as a home's.
struct Foreign<'p>(&'p Place, String);

impl<'p> Foreign<'p> {
    fn of(place: &'p Place, home: &Path) -> Self {
        let root = place.path().join("foreign");
        fs::create_dir_all(&root).unwrap();
        place.give(&root);
        let created = place
            .podman()
            .args(["create", "--label", &engine::label(home), "--rootfs"])
            .args([root.to_str().unwrap(), "/nothing"])
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        Self(place, String::from_utf8_lossy(&created.stdout).trim().to_owned())
    }

    fn is_there(&self) -> bool {
        self.0.podman().args(["container", "exists", &self.1]).status().unwrap().success()
    }
}

impl Drop for Foreign<'_> {
    fn drop(&mut self) {
        self.0.podman().args(["rm", "--force", "--ignore", &self.1]).output().ok();
    }
}

#[test]
fn a_pod_that_goes_has_removed_what_a_dead_one_left() {
    if !has_podman() {
        return;
    }
    let place = Place::new();
    let project = place.project("p", "[step.s]\nrun = 'true'\n");
    let left: Vec<_> = (0..3).map(|_| Foreign::of(&place, place.home())).collect();
    project.build(&["--sandbox", "podman"]).ok();
    let still: Vec<_> = left.iter().map(Foreign::is_there).collect();
    assert_eq!(still, [false; 3]);
}

/// kill -9 of the pod, and in every second round of all that podman has running for it too.
fn kills(place: &Place, rounds: u64) {
    let foreign = Foreign::of(place, Path::new("/another/home"));
    let project =
        place.project("p", "[step.s]\nrun = 'echo up; cat source; exec sleep 5142'\nout = 'made'\n");
    for round in 0..rounds {
        project.write("source", round.to_string());
        let mut running = project.start(&["--sandbox", "podman"]);
        running.wait_for_output("up");
        let victims = around(place, &the_only_container(place));
        running.signal(Signal::KILL);
        if round % 2 == 1 {
            victims.into_iter().for_each(kill);
        }
        drop(running);
        left::assert_nothing(place.path());
        if round % 2 == 0 {
            assert_no_container(|| place.podman(), place.home());
        }
    }
    project.write("majordomo.toml", "[step.s]\nrun = 'echo x > made'\nout = 'made'\n");
    project.build(&["--sandbox", "podman"]).ok();
    assert_no_container(|| place.podman(), place.home());
    assert!(foreign.is_there(), "another home's container was removed");
}

fn rounds() -> u64 {
    std::env::var("COMPUTEPODS_PODMAN_KILLS").map_or(3, |rounds| rounds.parse().unwrap())
}

#[test]
fn a_pod_that_is_killed_leaves_nothing() {
    if has_podman() {
        kills(&Place::new(), rounds());
    }
}

#[test]
fn a_pod_of_an_ordinary_user_that_is_killed_leaves_nothing() {
    if has_podman() {
        kills(&Place::ordinary(), rounds());
    }
}
