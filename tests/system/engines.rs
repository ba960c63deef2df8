//! The engines: one build in each comes to the same, and nothing of podman's is left.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::engine::{self, assert_no_container, containers};
use crate::common::running::LIMIT;
use crate::common::subject::{Random, number};
use crate::common::{Gate, Place, Project, Running, left};
use crate::security::{Subject, for_each_subject};

/// How often a pod is killed, if nobody says so.
const KILLS: u64 = 4;

/// Whether podman can start a container here; where it cannot, it says why. With `CI` set it has to.
pub fn has_podman() -> bool {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let why_not = WHY_NOT.get_or_init(|| {
        let place = Place::new();
        let project = place.project("probe", "[step.s]\nrun = 'true'\n");
        let built = project.build(&["--sandbox", "podman"]);
        (built.ended.code != Some(0)).then(|| built.said().to_owned())
    });
    if let Some(why) = why_not {
        assert!(std::env::var_os("CI").is_none(), "podman starts no container here: {why}");
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

/// Where steps follow each other their roots are made before they are known; a build of one step has none of these.
#[test]
fn steps_in_roots_made_ahead_see_and_make_the_same() {
    let (one, other) = (Place::new(), Place::new());
    let (together, apart) = (one.example("hello"), other.example("hello"));
    together.build(&["-j1"]).ok();
    for target in ["obj/greet.o", "obj/main.o", "link"] {
        assert_eq!(apart.build(&[target]).ok().ran().len(), 1);
    }
    assert_eq!(traces(&together), traces(&apart));
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
        Running::start(command).end()
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
fn where_podman_starts_auto_is_podman() {
    if !has_podman() {
        return;
    }
    for place in [Place::new(), Place::ordinary()] {
        let gate = Gate::new();
        let project = place.project("p", &gate.step("made"));
        project.write("source", "1");
        let running = project.start(&["--sandbox", "auto"]);
        let stands = gate.arrival();
        the_only_container(&place);
        stands.go();
        running.built().ok();
    }
}

#[test]
fn an_engine_that_is_none_is_a_mistake() {
    let place = Place::new();
    let project = place.example("hello");
    let mut command = place.command("majordomo", &["build", "-p"]);
    command.arg(project.path()).env("COMPUTEPODS_SANDBOX", "docker");
    let refused = Running::start(command).end();
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @r"
    error: `docker` in `COMPUTEPODS_SANDBOX` is no engine

    hint: use one of `native`, `podman`, `auto`
    ");
}

#[test]
fn the_owner_of_a_pod_says_which_engine_it_is() {
    if engine::is_podman() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.home()).unwrap();
    fs::write(place.home().join("pod.toml"), "sandbox = 'podman'\n").unwrap();
    let project = place.project("p", "[step.s]\nrun = 'true'\n");
    let mut command = place.command("majordomo", &["build", "-p"]);
    command.arg(project.path()).env("PATH", "/nowhere");
    assert!(Running::start(command).end().code(3).stderr.contains("podman is not installed"));
    project.build(&["--sandbox", "native"]).ok();
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

/// Ends what a build's steps run in while one of them runs: it runs again, in another one.
fn a_kitchen_that_is_killed(subject: Subject) {
    let place = subject.place();
    // Longer than it takes to end what it runs in.
    let project = place.project("p", "[step.s]\nrun = 'echo up; sleep 8; cp source made'\nout = 'made'\n");
    project.write("source", "precious");
    let mut running = project.start(&["--sandbox", subject.engine]);
    running.wait_for_output("up");
    match subject.engine {
        "podman" => {
            let container = the_only_container(&place);
            assert!(place.podman().args(["kill", &container]).output().unwrap().status.success());
        }
        _ => kill_process(zygote(&place), Signal::KILL).unwrap(),
    }
    let built = running.built().ok();
    assert_eq!((built.ran(), project.read("made")), (vec!["s"], "precious".to_owned()));
    let again: Vec<_> = built.events.iter().filter(|event| event["event"] == "step-restarted").collect();
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0]["why"].as_str().unwrap().contains("was ended from outside"), "{again:?}");
    place.assert_nothing_left();
}

#[test]
fn a_step_with_network_does_not_run_twice_where_its_kitchen_is_killed() {
    let place = Place::new();
    let gate = Gate::new();
    let project = place.project("p", &gate.step("made"));
    project.write("source", "precious");
    let running = project.start(&[]);
    let _first = gate.arrival();
    kill_process(zygote(&place), Signal::KILL).unwrap();
    let built = running.built().code(3);
    assert!(built.events.iter().all(|event| event["event"] != "step-restarted"), "{}", built.said());
    place.assert_nothing_left();
}

/// The zygote of a pod in bare namespaces.
pub fn zygote(place: &Place) -> Pid {
    let is_zygote = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "kitchen-zygote\n")
    };
    let zygotes = left::pids(place.path()).into_iter().filter(is_zygote);
    let leads = zygotes.min().unwrap_or_else(|| panic!("no zygote"));
    Pid::from_raw(leads).unwrap()
}

for_each_subject! { a_kitchen_that_is_killed }

/// What a pod has started: its container and the monitor of it, or the zygote and its steps.
fn victims(place: &Place, engine: &str, pod: Pid) -> Vec<i32> {
    if engine == "podman" {
        return around(place, &the_only_container(place));
    }
    left::pids(place.path()).into_iter().filter(|pid| Pid::from_raw(*pid) != Some(pod)).collect()
}

/// A build whose step has a folder, a control group and what its engine gives it; then kill -9 of the pod, with `all` of everything that it
/// has started too. Gives the containers that there were.
fn kill_a_build(place: &Place, project: &Project<'_>, engine: &str, all: bool) -> Vec<String> {
    project.write(
        "majordomo.toml",
        "[step.s]\nlimits = { processes = 1000 }\nrun = 'echo x > made; echo up; cat source; exec sleep 5142'\nout = 'made'\n",
    );
    let mut running = project.start(&["--sandbox", engine]);
    running.wait_for_output("up");
    let victims = victims(place, engine, running.pid());
    let containers = match engine {
        "podman" => containers(&mut place.podman(), place.home()),
        _ => vec![],
    };
    running.signal(Signal::KILL);
    if all {
        // Some end by themselves when others are killed.
        for pid in victims {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
        }
    }
    drop(running);
    left::assert_nothing(place.path());
    containers
}

/// A build that goes in order, and so removes what others left.
fn build_in_order(project: &Project<'_>, engine: &str) {
    project.write("majordomo.toml", "[step.s]\nrun = 'echo x > made'\nout = 'made'\n");
    project.build(&["--sandbox", engine, "--cold"]).ok();
}

/// kill -9 of the pod, and in every second round of all that it has started; now and then a build in between.
fn kills(place: &Place, engine: &str) {
    let foreign = (engine == "podman").then(|| Foreign::of(place, Path::new("/another/home")));
    let project = place.project("p", "");
    let mut random = Random(number("COMPUTEPODS_SEED", 1));
    let mut containers = Vec::new();
    for round in 0..number("COMPUTEPODS_KILLS", KILLS) {
        project.write("source", round.to_string());
        let all = random.below(2) == 1;
        containers.extend(kill_a_build(place, &project, engine, all));
        // Podman's monitor removes the container of a pod that was killed alone.
        if engine == "podman" && !all {
            assert_no_container(|| place.podman(), place.home());
        }
        if random.below(8) == 0 {
            build_in_order(&project, engine);
            place.assert_nothing_left();
        }
    }
    build_in_order(&project, engine);
    assert_no_container(|| place.podman(), place.home());
    place.assert_nothing_left();
    left::assert_nothing_named(&containers);
    assert!(foreign.is_none_or(|foreign| foreign.is_there()), "another home's container was removed");
}

#[test]
fn a_pod_that_is_killed_leaves_nothing() {
    kills(&Place::new(), "native");
}

#[test]
fn a_pod_of_an_ordinary_user_that_is_killed_leaves_nothing() {
    kills(&Place::ordinary(), "native");
}

#[test]
fn a_pod_with_containers_that_is_killed_leaves_nothing() {
    if has_podman() {
        kills(&Place::new(), "podman");
    }
}

#[test]
fn a_pod_with_containers_of_an_ordinary_user_that_is_killed_leaves_nothing() {
    if has_podman() {
        kills(&Place::ordinary(), "podman");
    }
}

#[test]
fn the_doctor_counts_what_a_pod_left_that_was_killed() {
    let place = Place::new();
    let project = place.project("p", "");
    let left = || {
        let report = Running::start(place.command("pod", &["doctor", "--json"])).end().ok().json();
        let findings = report["findings"].as_array().unwrap().clone();
        let found = findings.into_iter().find(|finding| finding["name"] == "leftovers").unwrap();
        (found["state"] == "fine", found["found"].as_str().unwrap().to_owned())
    };
    let has_groups = Subject { engine: "native", ordinary: false }.has_groups();
    for engine in ["native", "podman"] {
        if engine == "podman" && !has_podman() {
            continue;
        }
        project.write("source", engine);
        kill_a_build(&place, &project, engine, true);
        let (is_fine, found) = left();
        assert!(
            !is_fine && found.contains("folders that steps wrote: 1, ") && found.ends_with(", a socket"),
            "{found}"
        );
        assert_eq!(found.contains(", containers: 1, "), engine == "podman", "{found}");
        assert_eq!(found.contains("control groups: "), has_groups, "{found}");
        build_in_order(&project, engine);
        assert_eq!(left(), (true, "none".to_owned()));
    }
}
