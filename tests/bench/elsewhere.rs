//! What steps on other pods cost, and gain: all pods are on this machine, each with two slots.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backplane::server::{Server, ServerOptions};
use serde_json::Value;

use crate::Stage;
use crate::measure::{Cost, median, run};
use crate::row::{Goal, Row};

/// Names of the rows.
pub const ROWS: [&str; 4] = ["shared", "elsewhere", "cancel", "twentieth"];
/// Slots of each pod.
const SLOTS: usize = 2;
/// Steps that sleep, and for how long.
const SLEEPS: (usize, f64) = (300, 0.2);
/// Steps that do next to nothing, of which the median is taken.
const TRIVIAL: usize = 200;
/// Files of the large project, and the bytes of each; a twentieth of them is read.
const LARGE: (usize, usize) = (200, 1 << 20);
/// How long pods may take to find each other.
const TOGETHER: Duration = Duration::from_secs(60);

/// Pods of one federation; they end when this is dropped.
struct Pods<'s> {
    stage: &'s Stage,
    homes: Vec<PathBuf>,
    children: Vec<Child>,
    /// The network namespaces of the pods, if they have some.
    spaces: Vec<String>,
    _server: Option<Server>,
    nats: Option<Child>,
}

impl<'s> Pods<'s> {
    fn begin(stage: &'s Stage, name: &str, count: usize) -> Self {
        let server = ServerOptions::installed(&stage.fresh(&format!("{name}-nats"), 0))
            .expect("a NATS server is installed");
        let server = Server::start(&server).expect("the NATS server starts");
        let url = server.url().to_owned();
        let mut pods = Self {
            stage,
            homes: Vec::new(),
            children: Vec::new(),
            spaces: Vec::new(),
            _server: Some(server),
            nats: None,
        };
        pods.join_all(name, count, &url);
        pods
    }

    fn join_all(&mut self, name: &str, count: usize, url: &str) {
        let mut invitation = None;
        for n in 0..count {
            let home = self.stage.fresh(&format!("{name}-home"), n);
            self.stage.give(&home);
            self.homes.push(home);
            let slots = SLOTS.to_string();
            let pod = n.to_string();
            let mut arguments = vec!["join", url, "--name", &pod, "--slots", &slots];
            arguments.extend(invitation.iter().flat_map(|text: &String| ["--invite", text]));
            let mut join = self.pod(n, &arguments);
            let child = join.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            self.children.push(child.expect("a pod starts"));
            self.wait(n, 0);
            if invitation.is_none() {
                let invited = self.pod(0, &["invite", "--uses", "16"]).output().expect("a pod invites");
                invitation = Some(String::from_utf8_lossy(&invited.stdout).trim().to_owned());
            }
        }
        (0..count).for_each(|n| self.wait(n, count - 1));
    }

    /// A command in the namespace of a pod.
    fn at(&self, n: usize, program: &str, folder: &Path) -> Command {
        let mut command = match self.spaces.get(n) {
            None => self.stage.command(program, folder),
            Some(space) => {
                let mut command = self.stage.command("ip", folder);
                command.args(["netns", "exec", space, program]);
                command
            }
        };
        command.env("COMPUTEPODS_HOME", &self.homes[n]);
        command
    }

    fn pod(&self, n: usize, arguments: &[&str]) -> Command {
        let mut command = self.at(n, env!("CARGO_BIN_EXE_pod"), &self.homes[n]);
        command.args(arguments);
        command
    }

    /// Waits until a pod is connected with so many others.
    fn wait(&self, n: usize, others: usize) {
        let begun = Instant::now();
        loop {
            let told = self.pod(n, &["pods", "--json"]).output().expect("a pod is asked");
            let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
            let connected = |pod: &&Value| {
                pod["is_me"] == false && pod["connected"] == true && !pod["heard_seconds_ago"].is_null()
            };
            let count = told["pods"].as_array().map(|pods| pods.iter().filter(connected).count());
            if count.is_some_and(|count| count >= others) {
                return;
            }
            assert!(begun.elapsed() < TOGETHER, "the pods never find each other: {told}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Builds on the first pod; the events.
    fn build(&self, folder: &Path, arguments: &[&str]) -> (Cost, Vec<Value>) {
        let events = folder.with_extension("events");
        let mut build = self.at(0, env!("CARGO_BIN_EXE_majordomo"), folder);
        build.arg("build").args(arguments).arg("--quiet").arg("--events").arg(&events);
        let cost = run(&mut build);
        let text = fs::read_to_string(events).expect("there are events");
        (cost, text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

/// A build that takes all slots of the first pod for a while. Of a build beside it the first step waits for one, and all others go elsewhere.
struct Hold(Child);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Pods<'_> {
    fn hold(&self, name: &str, n: usize, seconds: u32) -> Hold {
        let slots = std::thread::available_parallelism().map_or(1, |slots| slots.get());
        let steps: String = (0..slots)
            .map(|step| format!("[step.s{step}]\nrun = 'sleep {seconds}; : {name} {n}'\n"))
            .collect();
        let folder = project(self.stage, &format!("{name}-hold"), n, &steps);
        let events = folder.with_extension("events");
        let mut build = self.at(0, env!("CARGO_BIN_EXE_majordomo"), &folder);
        build.args(["build", "--quiet", "--events"]).arg(&events).stdin(Stdio::null());
        let hold = Hold(build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a build starts"));
        let begun = Instant::now();
        let is_held =
            || fs::read_to_string(&events).unwrap_or_default().matches("step-started").count() >= slots;
        while !is_held() {
            assert!(begun.elapsed() < TOGETHER, "the slots are never taken");
            std::thread::sleep(Duration::from_millis(50));
        }
        hold
    }
}

impl Drop for Pods<'_> {
    fn drop(&mut self) {
        for n in 0..self.children.len() {
            self.pod(n, &["stop"]).output().ok();
            self.children[n].wait().ok();
        }
        if let Some(nats) = &mut self.nats {
            nats.kill().ok();
            nats.wait().ok();
        }
        for space in &self.spaces {
            Command::new("ip").args(["netns", "delete", space]).output().ok();
        }
    }
}

fn project(stage: &Stage, name: &str, n: usize, steps: &str) -> PathBuf {
    let folder = stage.fresh(name, n);
    fs::write(folder.join("majordomo.toml"), steps).expect("files are written");
    stage.give(&folder);
    folder
}

/// How long each step took that ran on one of these pods, in seconds from its start to its end.
fn took(events: &[Value], on: impl Fn(&str) -> bool, named: &str) -> Vec<f64> {
    let of = |event: &&Value, what: &str| {
        event["event"] == what && event["step"].as_str().is_some_and(|step| step.starts_with(named))
    };
    let started = events
        .iter()
        .filter(|event| of(event, "step-started") && on(event["pod"].as_str().unwrap_or_default()));
    let ended =
        |step: &Value| events.iter().find(|event| of(event, "step-finished") && event["step"] == *step);
    started.filter_map(|event| Some(ended(&event["step"])?["at"].as_f64()? - event["at"].as_f64()?)).collect()
}

/// The rows.
pub fn rows(stage: &Stage, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    if wanted("shared") {
        rows.extend([1, 2, 4].map(|count| shared(stage, count)));
    }
    if wanted("elsewhere") {
        rows.push(trivial(stage));
    }
    if wanted("cancel") {
        rows.push(cancel(stage));
    }
    if wanted("twentieth") {
        rows.extend(twentieth(stage));
    }
    rows
}

fn shared(stage: &Stage, count: usize) -> Row {
    let (steps, seconds) = SLEEPS;
    let ideal = steps as f64 * seconds / (count * SLOTS) as f64;
    Row::measure(
        &format!("{steps} steps of {seconds} s sleep on {count} pods with {SLOTS} slots each"),
        "ideal",
        Goal { wall: 1.0 / 0.9, cpu: None },
        stage.runs,
        |_| Cost { wall: ideal, cpu: 0.0 },
        |n| {
            let pods = Pods::begin(stage, &format!("shared{count}-{n}"), count);
            let text: String = (0..steps)
                .map(|step| format!("[step.s{step}]\nrun = 'sleep {seconds}; : {n} {count} {step}'\n"))
                .collect();
            let folder = project(stage, &format!("shared{count}"), n, &text);
            pods.build(&folder, &["--jobs", &SLOTS.to_string()]).0
        },
    )
}

fn trivial(stage: &Stage) -> Row {
    let one = |name: &str, n: usize, count: usize, jobs: &str| {
        let pods = Pods::begin(stage, &format!("{name}{n}"), count);
        let _hold = (count > 1).then(|| pods.hold(name, n, 20));
        let text: String = (0..TRIVIAL)
            .map(|step| format!("[step.t{step}]\nrun = ['true', '{name}{n}', '{step}']\n"))
            .collect();
        let folder = project(stage, name, n, &text);
        let (_, events) = pods.build(&folder, &["--jobs", jobs]);
        let took = took(&events, |pod| (pod == "here") == (count == 1), "t");
        assert!(took.len() >= TRIVIAL / 2, "only {} steps ran where they should", took.len());
        Cost { wall: median(took), cpu: 0.0 }
    };
    Row::measure(
        "a step of `true` on the other pod, p50 (must be at most 5 ms more)",
        "on this pod",
        Goal { wall: 2.0, cpu: None },
        stage.runs,
        |n| one("trivial-here", n, 1, "2"),
        |n| one("trivial-there", n, 2, "1"),
    )
}

/// Processes of this machine that sleep for just so long.
fn sleeping(seconds: &str) -> usize {
    let all = fs::read_dir("/proc").expect("there are processes").flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| *line == format!("sleep\0{seconds}\0").as_bytes()).count()
}

/// From Ctrl-C until no step of the build runs any more, on any of three pods.
fn cancel(stage: &Stage) -> Row {
    const PODS: usize = 3;
    Row::measure(
        "Ctrl-C, until the steps of a build have ended on all of three pods",
        "one second",
        Goal { wall: 1.0, cpu: None },
        stage.runs,
        |_| Cost { wall: 1.0, cpu: 0.0 },
        |n| {
            let pods = Pods::begin(stage, &format!("cancel{n}"), PODS);
            // No other step of this machine sleeps for just so long.
            let seconds = format!("{}.25", 4000 + std::process::id() % 1000);
            let steps: String = (0..PODS * SLOTS)
                .map(|step| format!("[step.s{step}]\nrun = ['sleep', '{seconds}']\n"))
                .collect();
            let folder = project(stage, "cancel", n, &steps);
            let mut build = pods.at(0, env!("CARGO_BIN_EXE_majordomo"), &folder);
            build.args(["build", "--quiet", "--jobs", &SLOTS.to_string()]);
            build.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut build = build.spawn().expect("a build starts");
            let begun = Instant::now();
            while sleeping(&seconds) < PODS * SLOTS {
                assert!(begun.elapsed() < TOGETHER, "the steps never run on all pods");
                std::thread::sleep(Duration::from_millis(5));
            }
            let begun = Instant::now();
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&build),
                rustix::process::Signal::INT,
            )
            .expect("the build is there");
            while sleeping(&seconds) > 0 {
                assert!(begun.elapsed() < TOGETHER, "the steps never end");
                std::thread::sleep(Duration::from_millis(1));
            }
            let wall = begun.elapsed().as_secs_f64();
            build.wait().expect("the build ends");
            Cost { wall, cpu: 0.0 }
        },
    )
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|ended| ended.status.success())
}

/// Two namespaces with a line of 100 Mbit/s between them, and a NATS server in the first; `None` where that cannot be made.
fn apart<'s>(stage: &'s Stage, name: &str) -> Option<Pods<'s>> {
    let spaces: Vec<String> = (0..2).map(|n| format!("cp-{}-{name}-{n}", std::process::id())).collect();
    let options = ServerOptions::installed(&stage.fresh(&format!("{name}-nats"), 0)).ok()?;
    let mut pods = Pods {
        stage,
        homes: Vec::new(),
        children: Vec::new(),
        spaces: spaces.clone(),
        _server: None,
        nats: None,
    };
    let made = spaces.iter().all(|space| ip(&["netns", "add", space]))
        && ip(&[
            "link", "add", "v0", "netns", &spaces[0], "type", "veth", "peer", "name", "v0", "netns",
            &spaces[1],
        ])
        && spaces.iter().enumerate().all(|(n, space)| {
            let address = format!("10.77.0.{}/24", n + 1);
            ip(&["-n", space, "addr", "add", &address, "dev", "v0"])
                && ip(&["-n", space, "link", "set", "v0", "up"])
                && ip(&["-n", space, "link", "set", "lo", "up"])
                && Command::new("tc")
                    .args([
                        "-n", space, "qdisc", "add", "dev", "v0", "root", "tbf", "rate", "100mbit", "burst",
                        "64kb", "latency", "50ms",
                    ])
                    .output()
                    .is_ok_and(|ended| ended.status.success())
        });
    if !made {
        eprintln!("no network namespaces can be made here: the row is left out");
        return None;
    }
    let store = stage.fresh(&format!("{name}-nats-store"), 0);
    let nats = Command::new("ip")
        .args(["netns", "exec", &spaces[0]])
        .arg(&options.program)
        .args(["-js", "-a", "10.77.0.1", "-p", "4222", "-sd"])
        .arg(store)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    pods.nats = Some(nats.expect("the NATS server starts"));
    std::thread::sleep(Duration::from_secs(1));
    pods.join_all(name, 2, "nats://10.77.0.1:4222");
    Some(pods)
}

fn twentieth(stage: &Stage) -> Option<Row> {
    let read = |what: &str, files: usize, n: usize| {
        let pods = apart(stage, &format!("{what}{n}"))?;
        let (count, size) = LARGE;
        let _hold = pods.hold(what, n, 60);
        let step = format!(
            "[step.a]\nrun = 'true; : {n}'\n[step.t]\nrun = 'for n in $(seq 0 {}); do cat data/$n; done | wc -c; : {n}'\n",
            files - 1
        );
        let folder = project(stage, &format!("tree-{what}"), n, &step);
        fs::create_dir_all(folder.join("data")).expect("folders are made");
        for file in 0..count {
            let mut bytes = vec![0; size];
            getrandom::fill(&mut bytes).expect("there are random numbers");
            fs::write(folder.join(format!("data/{file}")), bytes).expect("files are written");
        }
        let (_, events) = pods.build(&folder, &["--jobs", "1"]);
        let took = took(&events, |pod| pod == "1", "t");
        Some(Cost { wall: *took.first().expect("the step ran on the other pod"), cpu: 0.0 })
    };
    // Whether it can be measured at all.
    drop(apart(stage, "probe")?);
    Some(Row::measure(
        "a step that reads 5 % of 200 MB of sources, cold larder, 100 Mbit/s",
        "one that reads all of it",
        Goal { wall: 0.2, cpu: None },
        stage.runs,
        |n| read("all", LARGE.0, n).expect("it worked before"),
        |n| read("some", LARGE.0 / 20, n).expect("it worked before"),
    ))
}
