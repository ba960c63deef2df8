//! Benchmarks against peers: `cargo bench --bench peers [-- ROW…] [--runs N] [--user NAME]`.
//!
//! Peer and we in one run, in turn; medians and ratios pair by pair; CPU seconds of the whole process tree beside wall. It
//! asserts nothing about time: it prints a table in Markdown, which `docs/benchmarks.md` has. Rows: `lua`, `full`, `noop`,
//! `edit`, `configure`, `restore`, `import`, `random`, `read`, `latex`, `functions`, `zlib`, `fmtlib`, `memory`, `watch-noop`, `watch-save`, `podman-full`,
//! `podman-true`, `native-true`, `podman-first` (these four: `kitchen`), `shared`, `elsewhere`, `cancel`, `twentieth`; all of them if none is
//! named. With `--user` the commands of both sides run as that user. Needs ninja, gcc, g++, cmake, ccache, Debian's `googletest`, tup, latexmk with Debian's
//! `texlive-latex-base`, and a network for Debian's sources.

#![allow(missing_docs, clippy::expect_used)]

mod configured;
mod elsewhere;
mod functions;
mod import;
mod latex;
mod measure;
mod projects;
mod random;
mod row;
mod sandboxes;
mod watching;

#[path = "../common/random.rs"]
#[allow(dead_code, reason = "the tests need all of it")]
mod chance;
#[path = "../right/world/mod.rs"]
#[allow(dead_code, reason = "the tests need all of it")]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use measure::{Cost, run};
use row::{Goal, Row};

/// Who runs the commands, and where.
struct Stage {
    scratch: PathBuf,
    user: Option<String>,
    runs: usize,
}

impl Stage {
    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups", "--", program]);
                command
            }
        };
        command.current_dir(folder).env_remove("RUSTUP_HOME");
        if self.user.is_some() {
            command.env("HOME", &self.scratch);
        }
        command
    }

    fn majordomo(&self, folder: &Path, home: &Path, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_majordomo"), folder);
        command.env("COMPUTEPODS_HOME", home).arg("build").args(arguments).arg("--quiet");
        command
    }

    fn ninja(&self, folder: &Path) -> Command {
        let mut command = self.command("ninja", folder);
        command.arg("-j2");
        command
    }

    /// Gives a folder to the user.
    fn give(&self, folder: &Path) {
        if let Some(user) = &self.user {
            run(Command::new("chown").args(["-R", user]).arg(folder));
        }
    }

    fn fresh(&self, name: &str, run: usize) -> PathBuf {
        let folder = self.scratch.join(format!("{name}{run}"));
        fs::create_dir_all(&folder).expect("folders are made");
        folder
    }
}

fn touch_a_comment(file: &Path, run: usize) {
    let text = fs::read_to_string(file).expect("the source is there");
    fs::write(file, format!("{text}/* {run} */\n")).expect("the source is written");
}

/// Full builds of the thousand files, then nothing, then an edit, then all outputs restored.
fn thousand(stage: &Stage, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let place = |run: usize| stage.scratch.join(format!("thousand{run}"));
    let home = |run: usize| stage.scratch.join(format!("thousand{run}-home"));
    let runs = if wanted("full") { stage.runs } else { 1 };
    for run in 0..runs {
        projects::thousand(&stage.fresh("thousand", run));
        stage.fresh(&format!("thousand{run}-home"), 0);
        fs::create_dir_all(home(run)).expect("folders are made");
        stage.give(&place(run));
        stage.give(&home(run));
    }
    let full = Row::measure(
        "1000 C files and 1000 headers, full build, -j2",
        "ninja",
        Goal { wall: 1.25, cpu: Some(1.2) },
        runs,
        |n| run(&mut stage.ninja(&place(n))),
        |n| run(&mut stage.majordomo(&place(n), &home(n), &["-j2"])),
    );
    if wanted("full") {
        rows.push(full);
    }
    let (folder, home) = (place(0), home(0));
    if wanted("noop") {
        // The first one after a build may look closer.
        run(&mut stage.majordomo(&folder, &home, &[]));
        rows.push(Row::measure(
            "the same, nothing to do",
            "ninja",
            Goal { wall: 1.0, cpu: None },
            stage.runs * 7,
            |_| run(&mut stage.ninja(&folder)),
            |_| run(&mut stage.majordomo(&folder, &home, &[])),
        ));
    }
    if wanted("noop") {
        let (planned, home) = (stage.fresh("planned", 0), stage.fresh("planned-home", 0));
        projects::thousand(&planned);
        fs::remove_file(planned.join("majordomo.toml")).expect("it was just written");
        stage.give(&planned);
        stage.give(&home);
        // The first one builds, and the second may look closer.
        run(&mut stage.majordomo(&planned, &home, &["-j2"]));
        run(&mut stage.majordomo(&planned, &home, &[]));
        rows.push(Row::measure(
            "the same, nothing to do, planned by a chef from its `build.ninja`",
            "ninja",
            Goal { wall: 1.5, cpu: None },
            stage.runs * 7,
            |_| run(&mut stage.ninja(&folder)),
            |_| run(&mut stage.majordomo(&planned, &home, &[])),
        ));
    }
    if wanted("edit") {
        let file = folder.join("d3/c300.c");
        let mut edits = 0;
        let mut edit = |ours: bool| {
            edits += 1;
            touch_a_comment(&file, edits);
            match ours {
                true => run(&mut stage.majordomo(&folder, &home, &["-j2"])),
                false => run(&mut stage.ninja(&folder)),
            }
        };
        let edit = std::cell::RefCell::new(&mut edit);
        let row = Row::measure(
            "the same, one comment edited",
            "ninja",
            Goal { wall: 1.0, cpu: None },
            stage.runs * 3,
            |_| (edit.borrow_mut())(false),
            |_| (edit.borrow_mut())(true),
        );
        rows.push(row.note("ninja compiles and links, we compile".to_owned()));
    }
    if wanted("restore") {
        let outputs = ["obj", "prog"];
        let copy = stage.fresh("restored", 0);
        stage.give(&copy);
        let theirs = |_| {
            for output in outputs {
                run(Command::new("rm").arg("-rf").arg(copy.join(output)));
            }
            let mut command = stage.command("cp", &folder);
            run(command.arg("-r").args(outputs).arg(&copy))
        };
        let ours = |_| {
            for output in outputs {
                run(Command::new("rm").arg("-rf").arg(folder.join(output)));
            }
            run(&mut stage.majordomo(&folder, &home, &[]))
        };
        run(&mut stage.majordomo(&folder, &home, &[]));
        let goal = Goal { wall: 2.0, cpu: None };
        rows.push(Row::measure("all outputs deleted, restored", "`cp -r`", goal, stage.runs, theirs, ours));
    }
    rows
}

fn lua(stage: &Stage) -> Option<Row> {
    let source = projects::debian("lua5.4", &stage.fresh("lua-source", 0))?;
    projects::lua(&source);
    let copy = |name: &str, n: usize| {
        let to = stage.scratch.join(format!("{name}{n}"));
        run(Command::new("cp").arg("-r").arg(&source).arg(&to));
        stage.give(&to);
        to
    };
    let home = |n: usize| {
        let home = stage.fresh("lua-home", n);
        stage.give(&home);
        home
    };
    let goal = Goal { wall: 1.1, cpu: Some(1.1) };
    let theirs = |n| run(&mut stage.ninja(&copy("lua-ninja", n)));
    let ours = |n| run(&mut stage.majordomo(&copy("lua", n), &home(n), &["-j2"]));
    Some(Row::measure("Lua 5.4, full build, -j2", "ninja", goal, stage.runs, theirs, ours))
}

fn configure(stage: &Stage) -> Option<Row> {
    let source = projects::debian("hello", &stage.fresh("hello-source", 0))?;
    let file = "[project]\nname = \"hello\"\n\n[step.configure]\nrun = \"./configure -q\"\n";
    fs::write(source.join("majordomo.toml"), file).expect("files are written");
    let copy = |name: &str, n: usize| {
        let to = stage.scratch.join(format!("{name}{n}"));
        run(Command::new("cp").arg("-r").arg(&source).arg(&to));
        stage.give(&to);
        to
    };
    let home = |n: usize| {
        let home = stage.fresh("hello-home", n);
        stage.give(&home);
        home
    };
    let goal = Goal { wall: 1.4, cpu: None };
    let theirs = |n| run(stage.command("./configure", &copy("hello-plain", n)).arg("-q"));
    let ours = |n| run(&mut stage.majordomo(&copy("hello", n), &home(n), &[]));
    Some(Row::measure("GNU hello, `./configure`", "no sandbox", goal, stage.runs.min(3), theirs, ours))
}

/// Seconds that `dd` says each reading took.
/// What each reading took, by what dd and the shell said.
fn dd_costs(text: &str) -> Vec<Cost> {
    let seconds =
        text.lines().filter_map(|line| line.split(" copied, ").nth(1)?.split(' ').next()?.parse().ok());
    let used = text.lines().filter_map(|line| {
        let (user, system) = line.split_once("cpu:")?.1.split_once(':')?;
        Some(user.parse::<f64>().ok()? + system.trim().parse::<f64>().ok()?)
    });
    seconds.zip(used).map(|(wall, cpu)| Cost { wall, cpu }).collect()
}

fn read(stage: &Stage) -> Vec<Row> {
    let folder = stage.fresh("read", 0);
    let home = stage.fresh("read-home", 0);
    run(Command::new("dd").current_dir(&folder).args(["if=/dev/urandom", "of=big", "bs=1M", "count=512"]));
    let project = |steps: &str| {
        let text = format!("[project]\nname = \"read\"\n\n{steps}");
        fs::write(folder.join("majordomo.toml"), text).expect("files are written");
    };
    // Its bytes are taken into the larder.
    project("[step.take]\nrun = \"head -c 1 big > byte\"\n");
    stage.give(&folder);
    stage.give(&home);
    run(&mut stage.majordomo(&folder, &home, &[]));
    let (mut first, mut warm) = (Vec::new(), Vec::new());
    for n in 0..stage.runs {
        // The shell's own clock says what CPU a reading took: where others work too, its wall time says little.
        let script = "bash -c 'TIMEFORMAT=cpu:%U:%S; time dd if=big of=/dev/null bs=1M; \
                      time dd if=big of=/dev/null bs=1M' 2>&1";
        let plain = Command::new("sh").current_dir(&folder).args(["-c", script]).output().expect("sh runs");
        let theirs = dd_costs(&String::from_utf8_lossy(&plain.stdout));
        project(&format!("[step.read{n}]\nrun = \"{script}\"\n"));
        let mut command = stage.command(env!("CARGO_BIN_EXE_majordomo"), &folder);
        let output = command.env("COMPUTEPODS_HOME", &home).arg("build").output().expect("majordomo runs");
        let ours = dd_costs(&String::from_utf8_lossy(&output.stderr));
        if let ([their_first, their_warm], [our_first, our_warm]) = (&theirs[..], &ours[..]) {
            first.push((*their_first, *our_first));
            warm.push((*their_warm, *our_warm));
        }
    }
    let row = |work: &str, goal: f64, pairs: Vec<(Cost, Cost)>| {
        let goal = Goal { wall: goal, cpu: None };
        let (theirs, ours) = (|n: usize| pairs[n].0, |n: usize| pairs[n].1);
        Row::measure(work, "page cache of the disk", goal, pairs.len(), theirs, ours)
    };
    vec![
        row("512 MiB read through the view, first (must be ≥ 0.8 of the speed)", 1.25, first),
        row("the same, warm (must be ≥ 0.9 of the speed)", 1.11, warm),
    ]
}

fn memory(stage: &Stage) -> String {
    let folder = stage.fresh("memory", 0);
    let home = stage.fresh("memory-home", 0);
    for part in 0..1000 {
        let parent = folder.join(format!("s{}/d{part}", part / 100));
        fs::create_dir_all(&parent).expect("folders are made");
        for file in 0..100 {
            fs::write(parent.join(format!("file{file}.txt")), format!("{part} {file}\n")).expect("written");
        }
    }
    let text = "[project]\nname = \"big\"\n\n[step.count]\neach = \"s0/d1/*.txt\"\nrun = \"wc -c {in} > {out}\"\n\
                out = \"out/{stem}.n\"\n";
    fs::write(folder.join("majordomo.toml"), text).expect("files are written");
    stage.give(&folder);
    stage.give(&home);
    let mut command = stage.command("/usr/bin/env", &folder);
    let majordomo = env!("CARGO_BIN_EXE_majordomo");
    // A shell that says how much the largest of its children needed.
    let script = "import resource,subprocess,sys\nsubprocess.run(sys.argv[1:],check=True)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    command.env("COMPUTEPODS_HOME", &home);
    let output = command.args(["python3", "-c", script, majordomo, "build", "--quiet"]).output();
    let output = output.expect("python3 runs");
    let kib: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    let is_met = if kib > 0 && kib <= 200 * 1024 { "reached" } else { "**short**" };
    format!(
        "| peak memory, project of 100 000 files | – | – | {} MiB | – | ≤ 200 MB | {is_met} |",
        kib / 1024
    )
}

fn main() {
    measure::reap_orphans();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut rows, mut runs, mut user) = (Vec::new(), 5, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => {
                runs = arguments.next().and_then(|n| n.parse().ok()).expect("`--runs` takes a number")
            }
            "--user" => user = Some(arguments.next().expect("`--user` takes a name")),
            row => rows.push(row.to_owned()),
        }
    }
    let wanted = |row: &str| rows.is_empty() || rows.iter().any(|asked| asked == row);
    // Not below /tmp: that may be memory.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let stage = Stage { scratch: scratch.path().to_owned(), user, runs };
    if stage.user.is_some() {
        // The user must be able to come here.
        for folder in scratch.path().ancestors() {
            run(Command::new("chmod").arg("a+x").arg(folder));
        }
        stage.give(scratch.path());
    }
    let mut lines = Vec::new();
    if wanted("lua") {
        lines.extend(lua(&stage).map(|row| row.markdown()));
    }
    if ["full", "noop", "edit", "restore"].iter().any(|row| wanted(row)) {
        lines.extend(thousand(&stage, &wanted).iter().map(Row::markdown));
    }
    if wanted("configure") {
        lines.extend(configure(&stage).map(|row| row.markdown()));
    }
    if wanted("import") {
        let folder = stage.fresh("import", 0);
        lines.extend(import::rows(&folder, stage.runs.min(3)).iter().map(Row::markdown));
    }
    if wanted("random") {
        lines.push(random::row(&stage).markdown());
    }
    if wanted("read") {
        lines.extend(read(&stage).iter().map(Row::markdown));
    }
    if ["watch-noop", "watch-save"].iter().any(|row| wanted(row)) {
        lines.extend(watching::rows(&stage, &wanted));
    }
    if sandboxes::ROWS.iter().any(|row| wanted(row)) {
        lines.extend(sandboxes::rows(&stage, &wanted).iter().map(Row::markdown));
    }
    if elsewhere::ROWS.iter().any(|row| wanted(row)) {
        lines.extend(elsewhere::rows(&stage, &wanted).iter().map(Row::markdown));
    }
    if wanted("latex") {
        lines.extend(latex::rows(&stage).iter().map(Row::markdown));
    }
    if wanted("functions") {
        lines.push(functions::row(&stage).markdown());
    }
    if ["zlib", "fmtlib"].iter().any(|row| wanted(row)) {
        lines.extend(configured::rows(&stage, &wanted).iter().map(Row::markdown));
    }
    if wanted("memory") {
        lines.push(memory(&stage));
    }
    println!("{}", Row::head());
    for line in lines {
        println!("{line}");
    }
}
