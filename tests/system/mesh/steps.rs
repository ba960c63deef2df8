//! Steps on other pods: they run where there is room, and what comes of them is what comes of them at home.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::mesh::run::MAX_LISTED;
use rustix::process::{Signal, kill_process};
use serde_json::Value;

use super::{Member, POLL, POLLS, is_announced, joins, server};
use crate::common::gate::Visitor;
use crate::common::private_mounts::{put_file, small_disk, unshare_mounts};
use crate::common::{Gate, Nats, Place, Project, Running};
use crate::engines::zygote;

/// A project of so many steps that each take some tenths of a second.
pub fn wide(count: usize, seconds: &str) -> String {
    (0..count)
        .map(|n| format!("[step.s{n}]\nrun = 'sleep {seconds}; cat words > out/{n}; echo {n} >> out/{n}'\nout = 'out/{n}'\n"))
        .collect()
}

/// How many objects are in a pod's larder.
fn objects(member: &Member) -> u64 {
    member.place.pod(&["status", "--json"]).ok().json()["objects"].as_u64().unwrap()
}

/// All that a project has, with its bytes.
pub fn contents(project: &Project<'_>, folder: &str) -> Vec<(String, String)> {
    project.files(folder).into_iter().map(|path| (path.clone(), project.read(&path))).collect()
}

/// The same project, built by a pod that is alone.
pub fn alone(file: &str, sources: &[(&str, &str)], folder: &str) -> Vec<(String, String)> {
    let place = Place::new();
    let project = place.project("p", file);
    sources.iter().for_each(|(path, text)| project.write(path, text));
    project.build(&[]).ok();
    contents(&project, folder)
}

/// What a pod says of its own load.
fn load(member: &Member, what: &str) -> u64 {
    let pods = member.pods();
    super::me(&pods)["load"][what].as_u64().unwrap()
}

/// How many slots a pod has that was not told how many.
fn slots(member: &Member) -> usize {
    load(member, "slots") as usize
}

/// A pod whose slots are all taken. Of a build of it the first step that waits goes on waiting, and all others go elsewhere.
pub struct Full {
    steps: Vec<Visitor>,
    build: Running,
}

impl Full {
    /// Takes all slots.
    pub fn new(member: &Member) -> Self {
        let (gate, slots) = (Gate::new(), slots(member));
        let step = |n| format!("[step.s{n}]\nnetwork = true\nrun = '''\n{}\necho {n}\n'''\n", gate.command());
        let project = member.place.project("full", &(0..slots).map(step).collect::<String>());
        let build = project.start(&["--jobs", &slots.to_string()]);
        Self { steps: (0..slots).map(|_| gate.arrival()).collect(), build }
    }

    /// Gives them back.
    pub fn ends(self) {
        drop(self.steps);
        self.build.built().ok();
    }
}

/// A build of which a step runs on b, since all slots of its own pod are taken.
pub fn begun_elsewhere(a: &Member, project: &Project<'_>) -> (Full, Running) {
    let full = Full::new(a);
    let mut build = project.start(&["--jobs", "1"]);
    starts_at(&mut build, "b");
    (full, build)
}

/// Two pods that see each other.
pub fn two() -> (Place, Nats, Member, Member) {
    let (ground, server, a, b) = super::two();
    a.sees(&["b"]);
    b.sees(&["a"]);
    a.hears_all();
    (ground, server, a, b)
}

#[test]
fn steps_run_where_there_is_room() {
    let (_ground, _server, a, b) = two();
    let file = wide(12, "0.3");
    let project = a.place.project("p", &file);
    project.write("words", "shared\n");
    let before = objects(&b);
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1"]);
    (0..4).for_each(|_| drop(starts_at(&mut build, "b")));
    full.ends();
    let built = build.built().ok();
    let pods = built.started_on();
    assert_eq!(built.ran().len(), 12);
    assert!(pods["b"] >= 4 && pods["here"] >= 1, "{pods:?}\n{}", built.said());
    // What b made is in its own larder: a blob and a tree of each step, and their traces.
    assert!(objects(&b) >= before + 3 * pods["b"] as u64);
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "shared\n")], "out"));
    // Which pod it was is remembered. One that found no room after all has run elsewhere.
    let came_back = |step: &Value| {
        built.events.iter().any(|event| event["event"] == "step-restarted" && event["step"] == *step)
    };
    let on = |pod: &str| {
        let mut events = built.events.iter();
        let found = events.find(|event| {
            event["event"] == "step-started" && event["pod"] == pod && !came_back(&event["step"])
        });
        found.unwrap()["step"].as_str().unwrap().to_owned()
    };
    let why = |step: &str| project.ask("why", &[step, "--json"]).ok().json()["made_by_name"].clone();
    assert_eq!((why(&on("b")), why(&on("here"))), ("b".into(), Value::Null));
    // Nothing of it runs again, here or there.
    is_announced(&b, &a);
    assert_eq!(project.build(&[]).ok().ran(), [""; 0]);
    let there = b.place.project("q", &file);
    there.write("words", "shared\n");
    assert_eq!(there.build(&[]).ok().ran(), [""; 0]);
    b.leaves();
    a.leaves();
}

#[test]
fn what_is_promised_is_made_before_it_is_seen_elsewhere() {
    let (_ground, _server, a, b) = two();
    let mut file = wide(6, "0.3");
    file.push_str("[step.head]\nrun = 'sleep 0.5; tr a-z A-Z < words > gen.h'\nout = 'gen.h'\n");
    for n in 0..4 {
        file.push_str(&format!(
            "[step.r{n}]\nrun = 'cat gen.h words > out/r{n}; echo read {n}'\nout = 'out/r{n}'\n"
        ));
    }
    let project = a.place.project("p", &file);
    project.write("words", "promised\n");
    let (full, build) = begun_elsewhere(&a, &project);
    full.ends();
    let built = build.built().ok();
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "promised\n")], "out"));
    assert_eq!(built.output("r2"), ["read 2"]);
    b.leaves();
    a.leaves();
}

#[test]
fn a_pod_with_another_tool_is_not_believed() {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let invitation = a.invitation();
    let place = Place::new();
    let command = place.command("pod", &["join", server.url(), "--name", "b", "--invite", &invitation]);
    // A program of the machine is another one, for this pod alone.
    let pod = std::thread::spawn(|| {
        let tool = Path::new("/usr/bin/tr");
        let mut bytes = std::fs::read(tool).unwrap();
        bytes.extend(b"another one");
        unshare_mounts().then(|| {
            put_file(tool, &bytes);
            Running::start(command)
        })
    });
    let Some(mut pod) = pod.join().unwrap() else { return a.leaves() };
    pod.wait_for_talk("the pod stands");
    let b = Member { place, pod };
    a.sees(&["b"]);
    let file: String = (0..8)
        .map(|n| format!("[step.s{n}]\nrun = 'sleep 0.3; tr a-z A-Z < words > out/{n}'\nout = 'out/{n}'\n"))
        .collect();
    let project = a.place.project("p", &file);
    project.write("words", "compiled\n");
    let built = project.build(&["--jobs", "1"]).ok();
    let said: Vec<&str> =
        built.notes().into_iter().filter(|note| note.contains("another `/usr/bin/tr`")).collect();
    assert_eq!(
        said,
        ["b has another `/usr/bin/tr`: its results are not used where that matters"],
        "{}",
        built.said()
    );
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "compiled\n")], "out"));
    // What it knows by now keeps further ones at home.
    project.write("words", "once more\n");
    let again = project.build(&["--jobs", "1"]).ok();
    assert_eq!(again.started_on().into_iter().collect::<Vec<_>>(), [("here".to_owned(), 8)]);
    b.leaves();
    a.leaves();
}

/// Builds steps of which one at least begins at `b`, whose `pod.toml` says something: how many did not begin again after that.
fn end_at_b(pod_file: &str, file: &str) -> usize {
    let ground = Place::new();
    let server = server(&ground);
    let a = joins(Place::new(), &server, "a", None);
    let place = Place::new();
    std::fs::create_dir_all(place.home()).unwrap();
    std::fs::write(place.home().join("pod.toml"), pod_file).unwrap();
    let b = joins(place, &server, "b", Some(&a.invitation()));
    a.sees(&["b"]);
    a.hears_all();
    let project = a.place.project("p", file);
    let (full, build) = begun_elsewhere(&a, &project);
    full.ends();
    let built = build.built().ok();
    let steps = |fits: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        let events = built.events.iter().filter(|event| fits(event));
        events.map(|event| event["step"].as_str().unwrap().to_owned()).collect()
    };
    let begun = steps(&|event| event["event"] == "step-started" && event["pod"] == "b");
    let again = steps(&|event| event["event"] == "step-restarted");
    [b, a].into_iter().for_each(Member::leaves);
    begun.difference(&again).count()
}

#[test]
fn whoever_owns_the_machine_says_what_steps_of_others_may_use() {
    let step = |n| {
        format!(
            "[step.s{n}]\nlimits = {{ disk = '4M' }}\nrun = 'head -c 3M /dev/zero > out/{n}'\nout = 'out/{n}'\n"
        )
    };
    let file: String = (0..4).map(step).collect();
    assert_eq!(end_at_b("[limits]\ndisk = '1M'\n", &file), 0, "what failed there for its limits ran again");
    assert!(end_at_b("[limits]\ndisk = '5M'\n", &file) > 0);
}

#[test]
fn whoever_owns_the_machine_says_which_folders_steps_of_others_see() {
    if !unshare_mounts() {
        return;
    }
    small_disk(Path::new("/mnt"), 1024);
    std::fs::create_dir_all("/mnt/tools/sub").unwrap();
    std::fs::write("/mnt/tools/sub/word", "word").unwrap();
    let step = |n| format!("[step.s{n}]\nrun = 'cat /mnt/tools/sub/word > out/{n}'\nout = 'out/{n}'\n");
    let file = (0..4).fold("[tools]\nroots = ['/mnt/tools/sub']\n".to_owned(), |all, n| all + &step(n));
    assert_eq!(end_at_b("", &file), 0, "what it does not show ran again");
    assert!(end_at_b("[tools]\nroots = ['/mnt/tools']\n", &file) > 0);
}

#[test]
fn a_step_elsewhere_may_print_more_than_a_message_has_room_for() {
    let (_ground, _server, a, b) = two();
    let step = |n| {
        format!(
            "[step.s{n}]\nrun = \"head -c 4M /dev/zero | tr '\\\\0' '\\\\33' | fold -b -w 16000; echo; echo {n} > out/{n}\"\nout = 'out/{n}'\n"
        )
    };
    let project = a.place.project("p", &(0..2).map(step).collect::<String>());
    let (full, mut build) = begun_elsewhere(&a, &project);
    // It ends there, though nothing of it can begin here.
    build.wait_for(|event| event["event"] == "step-finished");
    full.ends();
    let built = build.built().ok();
    assert_eq!(built.started_on().values().sum::<usize>(), 2, "{:?}", built.started_on());
    b.leaves();
    a.leaves();
}

#[test]
fn a_step_elsewhere_may_be_given_more_than_an_order_lists() {
    let (_ground, _server, a, b) = two();
    let step = |n| format!("[step.s{n}]\nrun = 'cat words/* > out/{n}'\nout = 'out/{n}'\n");
    let project = a.place.project("p", &(0..3).map(step).collect::<String>());
    (0..=MAX_LISTED).for_each(|n| project.write(format!("words/{n}"), format!("{n}\n")));
    project.build(&[]).ok();
    // What it is known to read now is more than that.
    project.write("words/1", "another\n");
    let (full, mut build) = begun_elsewhere(&a, &project);
    build.wait_for(|event| event["event"] == "step-finished");
    full.ends();
    let built = build.built().ok();
    assert_eq!(built.started_on().values().sum::<usize>(), 3, "{:?}", built.started_on());
    assert_eq!(project.read("out/0"), project.read("out/2"));
    b.leaves();
    a.leaves();
}

/// Waits until a step of a build starts on a pod.
#[track_caller]
pub fn starts_at(build: &mut Running, pod: &str) -> Value {
    build.wait_for(|event| event["event"] == "step-started" && event["pod"] == pod)
}

#[test]
fn a_kitchen_that_dies_there_is_told_as_one_here() {
    let (_ground, _server, a, b) = two();
    // Longer than it takes to end what it runs in.
    let steps =
        "[step.first]\nrun = 'true'\n[step.s]\nrun = 'echo up; sleep 4; cat words > made'\nout = 'made'\n";
    let project = a.place.project("p", steps);
    project.write("words", "precious\n");
    let (full, mut build) = begun_elsewhere(&a, &project);
    // What it prints comes while it runs.
    build.wait_for_output("up");
    kill_process(zygote(&b.place), Signal::KILL).unwrap();
    let again = build.wait_for(|event| event["event"] == "step-restarted");
    assert!(again["why"].as_str().unwrap().contains("was ended from outside"), "{again}");
    full.ends();
    let built = build.built().ok();
    assert_eq!((built.started_on()["b"], project.read("made")), (1, "precious\n".to_owned()));
    b.leaves();
    a.leaves();
}

#[test]
fn a_pod_that_is_killed_costs_time_and_no_result() {
    let (_ground, _server, a, b) = two();
    let file = wide(10, "0.5");
    let project = a.place.project("p", &file);
    project.write("words", "killed\n");
    let (full, build) = begun_elsewhere(&a, &project);
    b.pod.signal(Signal::KILL);
    full.ends();
    let built = build.built().ok();
    assert_eq!(built.ran().len(), 10);
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "killed\n")], "out"));
    b.pod.end();
    a.leaves();
}

/// The processes whose command line has this in it.
fn processes_with(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).replace('\0', " ").contains(text)).count()
}

#[track_caller]
pub fn wait_for_processes(text: &str, fits: impl Fn(usize) -> bool) {
    for _ in 0..POLLS {
        if fits(processes_with(text)) {
            return;
        }
        std::thread::sleep(POLL);
    }
    panic!("{} processes have `{text}`", processes_with(text));
}

/// A pod that runs a step for another one ends it after so long without a word; whoever is told ends it at once.
const SILENT: Duration = Duration::from_secs(10);

#[test]
fn an_interrupt_ends_steps_elsewhere() {
    let (_ground, _server, a, b) = two();
    // No other step of this machine sleeps for just so long.
    let seconds = format!("{}.25", 4000 + std::process::id() % 1000);
    let file = wide(2, &seconds);
    let project = a.place.project("p", &file);
    project.write("words", "interrupted\n");
    let mut build = project.start(&["--jobs", "1"]);
    starts_at(&mut build, "b");
    let sleeps = format!("sleep {seconds}");
    wait_for_processes(&sleeps, |count| count >= 2);
    build.signal(Signal::INT);
    let interrupted = Instant::now();
    build.end().code(130);
    wait_for_processes(&sleeps, |count| count == 0);
    let took = interrupted.elapsed();
    println!("no step ran any more after {took:?}");
    assert!(took < SILENT, "nobody told the other pod, which found out: {took:?}");
    b.leaves();
    a.leaves();
}

#[test]
fn a_step_that_fails_elsewhere_fails_once() {
    let (_ground, _server, a, b) = two();
    let mut file = wide(1, "0");
    file.push_str("[step.z]\nrun = 'cat words; echo broken >&2; exit 3'\nout = 'never'\n");
    let project = a.place.project("p", &file);
    project.write("words", "to be read\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1", "--keep-going"]);
    starts_at(&mut build, "b");
    full.ends();
    let built = build.built().failed();
    assert_eq!(built.started_on()["b"], 1, "{}", built.said());
    assert!(!built.has_restarted(), "{}", built.said());
    // They come through two pipes, and in no order.
    let printed: BTreeSet<&str> = built.output("z").into_iter().collect();
    assert_eq!(printed, BTreeSet::from(["to be read", "broken"]));
    assert_eq!(built.failure("z"), "exit code 3");
    b.leaves();
    a.leaves();
}

/// Whether these bytes are in any file of a folder.
fn is_in_any_file(folder: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_in_any_file(&entry.path(), bytes),
        Ok(kind) if kind.is_file() => std::fs::read(entry.path())
            .is_ok_and(|content| content.windows(bytes.len()).any(|window| window == bytes)),
        _ => false,
    })
}

#[test]
fn what_a_step_is_passed_that_stays_home_stays_there() {
    let (_ground, _server, a, b) = two();
    let steps = "[step.home]\nrun = 'true'\nnetwork = true\nenv = { TOKEN = 'known to a alone' }\n\
                 [step.y]\nrun = 'echo y > y'\nout = 'y'\n\
                 [step.z]\nrun = 'echo $WORD > z'\nout = 'z'\nenv = { WORD = 'known to whoever runs it' }\n";
    let project = a.place.project("p", steps);
    let (full, build) = begun_elsewhere(&a, &project);
    full.ends();
    build.built().ok();
    // What a pod is given is on its disk at the latest when it ends.
    let there = b.stops();
    assert!(is_in_any_file(&there.home().join("larder"), b"known to whoever runs it"));
    assert!(!is_in_any_file(there.home(), b"known to a alone"));
    there.assert_nothing_left();
    a.leaves();
}

/// Bytes of content that a pod has had from another one.
fn received(member: &Member, from: &str) -> u64 {
    super::of(&member.pods(), from)["received"].as_u64().unwrap()
}

#[test]
fn what_came_of_a_step_elsewhere_comes_with_its_end() {
    let (_ground, _server, a, b) = two();
    let mut file: String =
        (0..4).map(|n| format!("[step.s{n}]\nrun = 'cat words; echo said {n}'\n")).collect();
    file.push_str("[step.z]\nrun = 'cat words; echo broken; exit 3'\n");
    let project = a.place.project("p", &file);
    project.write("words", "to be read\n");
    let before = received(&a, "b");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1", "--keep-going"]);
    build.wait_for(|event| event["event"] == "step-finished" && event["step"] == "z");
    full.ends();
    let built = build.built().failed();
    let started = built.started_on();
    assert!(started["b"] >= 4, "{started:?}\n{}", built.said());
    assert_eq!(built.output("s2"), ["to be read", "said 2"]);
    assert_eq!((built.output("z"), built.failure("z")), (vec!["to be read", "broken"], "exit code 3"));
    assert_eq!(received(&a, "b"), before, "nothing had to be fetched");
    b.leaves();
    a.leaves();
}

#[test]
fn the_next_step_is_there_before_a_slot_is_free() {
    let (_ground, _server, a, b) = two();
    let file = wide(60, "0.3");
    let project = a.place.project("p", &file);
    project.write("words", "in line\n");
    let (full, build) = begun_elsewhere(&a, &project);
    let is_next = (0..POLLS).any(|_| {
        std::thread::sleep(POLL);
        load(&b, "queue") > 0
    });
    assert!(is_next, "no step ever waited for a slot of b");
    full.ends();
    let built = build.built().ok();
    assert_eq!(built.ran().len(), 60);
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "in line\n")], "out"));
    assert_eq!(load(&b, "queue"), 0);
    b.leaves();
    a.leaves();
}

#[test]
fn a_step_that_waits_behind_a_long_one_is_taken_back() {
    let (_ground, _server, a, b) = two();
    // No other step of this machine sleeps for just so long.
    let seconds = format!("{}.5", 4000 + std::process::id() % 1000);
    let long = |n| format!("[step.long{n}]\nrun = 'sleep {seconds}; : {n}'\n");
    let short = |n| format!("[step.short{n}]\nrun = 'echo {n}'\n");
    let file: String = (0..=slots(&b)).map(long).chain((0..2).map(short)).collect();
    let project = a.place.project("p", &file);
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "2"]);
    (0..slots(&b)).for_each(|_| drop(starts_at(&mut build, "b")));
    full.ends();
    for _ in 0..2 {
        build.wait_for(|event| {
            let is_short = event["step"].as_str().is_some_and(|step| step.starts_with("short"));
            is_short && event["event"] == "step-started" && event["pod"] == "here"
        });
    }
    build.signal(Signal::INT);
    build.end().code(130);
    wait_for_processes(&format!("sleep {seconds}"), |count| count == 0);
    b.leaves();
    a.leaves();
}

#[test]
fn a_pod_that_goes_ends_nobodys_build() {
    let (_ground, _server, a, b) = two();
    let file = wide(6, "0.5");
    let project = a.place.project("p", &file);
    project.write("words", "stopped\n");
    let (full, build) = begun_elsewhere(&a, &project);
    b.leaves();
    full.ends();
    let built = build.built().ok();
    assert_eq!(built.ran().len(), 6);
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "stopped\n")], "out"));
    a.leaves();
}

#[test]
fn two_majordomos_build_one_project_at_once() {
    let (_ground, _server, a, b) = two();
    let file = wide(10, "0.2");
    let here = a.place.project("p", &file);
    let there = b.place.project("p", &file);
    [&here, &there].iter().for_each(|project| project.write("words", "both\n"));
    let both = [here.start(&["--jobs", "1"]), there.start(&["--jobs", "1"])];
    both.into_iter().for_each(|build| drop(build.built().ok()));
    let right = alone(&file, &[("words", "both\n")], "out");
    assert_eq!([contents(&here, "out"), contents(&there, "out")], [right.clone(), right]);
    b.leaves();
    a.leaves();
}

/// Steps of the build that three pods share.
const SHARED_STEPS: usize = 300;

#[test]
fn three_pods_share_a_build() {
    let (_ground, server, mut a, mut b) = two();
    let mut c = joins(Place::new(), &server, "c", Some(&a.invitation()));
    a.sees(&["b", "c"]);
    a.hears_all();
    // As many steps as there are slots: each slot gets one, and nobody waits for the end of another.
    let (there, seconds) = (slots(&b), format!("{}.75", 4000 + std::process::id() % 1000));
    let long = a.place.project("long", &wide(2 * there + 2, &seconds));
    long.write("words", "by all\n");
    let mut build = long.start(&["--jobs", "2"]);
    let mut pods: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..2 * there + 2 {
        let started = build.wait_for(|event| event["event"] == "step-started");
        *pods.entry(started["pod"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let all = [("b", there), ("c", there), ("here", 2)].map(|(pod, steps)| (pod.to_owned(), steps));
    assert_eq!(pods.into_iter().collect::<Vec<_>>(), all);
    build.signal(Signal::INT);
    build.end().code(130);
    wait_for_processes(&format!("sleep {seconds}"), |count| count == 0);
    a.waits_until("all slots are free again", |pods| {
        super::others_of(pods).all(|pod| pod["load"]["free_slots"] == pod["load"]["slots"])
    });
    // Each of them is killed once while they share a build. What was finished is there; what was lost with others is made again.
    let file = wide(SHARED_STEPS, "0.02");
    let project = a.place.project("p", &file);
    project.write("words", "by three\n");
    let (full, mut build) = begun_elsewhere(&a, &project);
    b.pod.signal(Signal::KILL);
    starts_at(&mut build, "c");
    c.pod.signal(Signal::KILL);
    full.ends();
    for _ in 0..SHARED_STEPS / 3 {
        build.wait_for(|event| event["event"] == "step-finished" && event["how"] == "ran");
    }
    a.pod.signal(Signal::KILL);
    let ended = build.end().code(3);
    assert!(ended.stderr.contains("the pod of this home ended in the middle"), "{}", ended.shown());
    [&mut a, &mut b, &mut c].into_iter().for_each(Member::comes_back);
    let project = a.place.project("p", &file);
    let ran = project.build(&[]).ok().ran().len();
    assert!(ran <= SHARED_STEPS - SHARED_STEPS / 3, "{ran} ran again of what was finished");
    assert_eq!(contents(&project, "out"), alone(&file, &[("words", "by three\n")], "out"));
    [c, b].into_iter().for_each(Member::leaves);
    a.leaves();
}

#[test]
fn what_stays_where_it_was_made_belongs_to_the_pod_that_made_it() {
    let (_ground, _server, a, b) = two();
    let step = |n| {
        format!(
            "[step.mid{n}]\nrun = 'tr a-z A-Z < words > mid{n}; echo {n} >> mid{n}'\nout = 'mid{n}'\n\
             [step.end{n}]\nrun = 'cat mid{n} mid{n} > end{n}'\nout = 'end{n}'\n"
        )
    };
    let project = a.place.project("p", &(0..4).map(step).collect::<String>());
    project.write("words", "one\n");
    let full = Full::new(&a);
    let mut build = project.start(&["--jobs", "1", "end0", "end1", "end2", "end3"]);
    let is_end = |event: &Value| event["step"].as_str().is_some_and(|step| step.starts_with("end"));
    // Nothing runs here, so what this one read was made there as well.
    let end = build.wait_for(|event| event["event"] == "step-finished" && is_end(event))["step"].clone();
    let end = end.as_str().unwrap();
    full.ends();
    let built = build.built().ok();
    let used = built.events.iter().filter(|event| event["event"] == "step-used").count();
    assert!(used >= 8, "{}", built.said());
    let owned = |by: &'static str| {
        let paths = [(end.to_owned(), "a"), (end.replace("end", "mid"), by)];
        move |all: &[Value]| {
            paths.iter().all(|(path, owner)| {
                all.iter().any(|one| one["path"] == **path && one["owner_name"] == *owner)
            })
        }
    };
    // What was wanted has come home; the rest nobody else has.
    for pod in [&a, &b] {
        pod.waits_for_artefacts("each has its own", owned("b"));
    }
    // Made anew at home, it is handed over.
    project.write("words", "two\n");
    project.build(&[end]).ok();
    for pod in [&a, &b] {
        pod.waits_for_artefacts("it was handed over", owned("a"));
    }
    assert!(project.read(end).starts_with("TWO\n"));
    b.leaves();
    a.leaves();
}
