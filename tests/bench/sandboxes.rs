//! What a sandbox costs: podman's containers kept warm against bare namespaces, `podman run` and `bwrap`.
//!
//! A pod stands beside each measurement that is said to be warm; what it uses is not seen before it ends, so only wall times mean something.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Stage;
use crate::measure::{Cost, run};
use crate::projects;
use crate::row::{Goal, Row};

/// Steps of `true` in one build.
const STEPS: usize = 500;
/// Calls of `podman run` of which one is a mean.
const CALLS: usize = 20;
/// The runtimes of podman, as far as they are tried here.
const RUNTIMES: [&str; 2] = ["crun", "runc"];

/// A pod that stands in a home until this is dropped.
struct Pod<'s> {
    stage: &'s Stage,
    home: PathBuf,
    child: Child,
}

impl<'s> Pod<'s> {
    /// Starts it, and has it run one step.
    fn warm(stage: &'s Stage, name: &str, n: usize, engine: &str) -> Self {
        let home = stage.fresh(&format!("{name}-{engine}-home"), n);
        stage.give(&home);
        let mut command = stage.command(env!("CARGO_BIN_EXE_pod"), &home);
        command.env("COMPUTEPODS_HOME", &home).env("COMPUTEPODS_SANDBOX", engine);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the pod starts");
        let pod = Self { stage, home, child };
        let first = stage.fresh(&format!("{name}-{engine}-first"), n);
        write(&first.join("majordomo.toml"), "[step.first]\nrun = 'true'\n");
        stage.give(&first);
        while !pod.home.join("pod.sock").exists() {
            std::thread::yield_now();
        }
        run(&mut stage.majordomo(&first, &pod.home, &[]));
        pod
    }
}

impl Drop for Pod<'_> {
    fn drop(&mut self) {
        let mut stop = self.stage.command(env!("CARGO_BIN_EXE_pod"), &self.home);
        stop.env("COMPUTEPODS_HOME", &self.home).arg("stop").output().ok();
        self.child.wait().ok();
    }
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("files are written");
}

/// A root folder with a program `/true`, for podman alone.
fn root(stage: &Stage) -> PathBuf {
    let root = stage.fresh("podman-root", 0);
    write(&root.join("true.c"), "int main(void) { return 0; }\n");
    run(Command::new("gcc").current_dir(&root).args(["-static", "-o", "true", "true.c"]));
    stage.give(&root);
    root
}

/// `podman run` with the limits that this user may give; `None` if no runtime starts a container.
fn podman_run<'s>(stage: &'s Stage, root: &'s Path) -> Option<impl Fn() -> Command + 's> {
    let of = move |runtime: &'static str| {
        let mut command = stage.command("podman", root);
        command.args(["--runtime", runtime, "run", "--rm", "--network", "none"]);
        command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--rootfs"]);
        command.arg(root).arg("/true");
        command
    };
    let works = |runtime: &&'static str| of(runtime).output().is_ok_and(|ended| ended.status.success());
    let runtime = RUNTIMES.into_iter().find(works)?;
    Some(move || of(runtime))
}

/// The names of the rows, and one for all of them.
pub const ROWS: [&str; 5] = ["kitchen", "podman-full", "podman-true", "native-true", "podman-first"];

/// The rows; none where podman starts no container.
pub fn rows(stage: &Stage, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let root = root(stage);
    let Some(podman) = podman_run(stage, &root) else {
        eprintln!("podman starts no container here: its rows are left out");
        return Vec::new();
    };
    let wanted = |row: &str| wanted("kitchen") || wanted(row);
    let mut rows = Vec::new();
    if wanted("podman-full") {
        rows.push(full(stage));
    }
    if wanted("podman-true") {
        rows.push(Row::measure(
            &format!("a step of `true`, podman warm, mean of {STEPS} (must be 20 times faster)"),
            &format!("`podman run --rm … true`, mean of {CALLS}"),
            Goal { wall: 0.05, cpu: None },
            stage.runs,
            |_| mean(CALLS, &podman),
            |n| trues(stage, n, "podman"),
        ));
    }
    if wanted("native-true") {
        let bwrap = || {
            let mut command = stage.command("bwrap", &root);
            command.args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]);
            command.args(["--unshare-all", "--die-with-parent", "true"]);
            command
        };
        rows.push(Row::measure(
            &format!("a step of `true`, native, mean of {STEPS}"),
            &format!("`bwrap --unshare-all … true`, mean of {STEPS}"),
            Goal { wall: 1.0, cpu: None },
            stage.runs,
            |_| mean(STEPS, &bwrap),
            |n| trues(stage, n, "native"),
        ));
    }
    if wanted("podman-first") {
        rows.push(Row::measure(
            "the first step of a fresh pod, podman",
            "one `podman run`",
            Goal { wall: 1.5, cpu: None },
            stage.runs * 3,
            |_| run(&mut podman()),
            |n| {
                let (folder, home) = (stage.fresh("first", n), stage.fresh("first-home", n));
                write(&folder.join("majordomo.toml"), "[step.first]\nrun = 'true'\n");
                stage.give(&folder);
                stage.give(&home);
                run(&mut stage.majordomo(&folder, &home, &["--sandbox", "podman"]))
            },
        ));
    }
    rows
}

fn full(stage: &Stage) -> Row {
    let build = |n: usize, engine: &str| {
        let folder = stage.fresh(&format!("thousand-{engine}"), n);
        projects::thousand(&folder);
        stage.give(&folder);
        let pod = Pod::warm(stage, "thousand", n, engine);
        let cost = run(&mut stage.majordomo(&folder, &pod.home, &["-j2"]));
        drop(pod);
        fs::remove_dir_all(folder).ok();
        cost
    };
    Row::measure(
        "1000 C files and 1000 headers, full build, -j2, podman warm",
        "the same, native",
        Goal { wall: 1.05, cpu: None },
        stage.runs,
        |n| build(n, "native"),
        |n| build(n, "podman"),
    )
}

/// One of many builds of steps that do nothing, one after the other, in a pod that is warm.
fn trues(stage: &Stage, n: usize, engine: &str) -> Cost {
    let folder = stage.fresh(&format!("trues-{engine}"), n);
    // Each is another one: what runs the same is run once.
    let steps: String =
        (0..STEPS).map(|step| format!("[step.t{step}]\nrun = ['true', '{step}']\n")).collect();
    write(&folder.join("majordomo.toml"), &steps);
    stage.give(&folder);
    let pod = Pod::warm(stage, "trues", n, engine);
    let cost = run(&mut stage.majordomo(&folder, &pod.home, &["-j1"]));
    per(cost, STEPS)
}

fn mean(calls: usize, command: &dyn Fn() -> Command) -> Cost {
    let costs = (0..calls).map(|_| run(&mut command()));
    per(
        costs.fold(Cost::default(), |sum, one| Cost { wall: sum.wall + one.wall, cpu: sum.cpu + one.cpu }),
        calls,
    )
}

fn per(cost: Cost, count: usize) -> Cost {
    Cost { wall: cost.wall / count as f64, cpu: cost.cpu / count as f64 }
}
