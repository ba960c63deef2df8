//! While a project is watched: nothing to do, against `tup` with its monitor; and from a save to what it makes.
//!
//! What runs beside the measured commands – our pod, tup's monitor – is started and ended here, and its CPU is not counted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::measure::{Cost, children_cpu, median};
use crate::row::{Goal, Row};
use crate::{Stage, projects, touch_a_comment};

/// Saves that are measured for each run of a row.
const SAVES: usize = 10;

/// Runs a command beside others that go on.
fn beside(command: &mut Command) -> Cost {
    let (begun, cpu) = (Instant::now(), children_cpu());
    let output = command.stdin(Stdio::null()).output().expect("the command starts");
    let wall = begun.elapsed().as_secs_f64();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    Cost { wall, cpu: children_cpu() - cpu }
}

/// A `majordomo watch` at work. Dropped, it ends.
struct Watch {
    child: Child,
    /// Until it is ended.
    events: Option<BufReader<ChildStdout>>,
}

impl Watch {
    /// Starts it, and waits for its first build.
    fn start(stage: &Stage, folder: &Path, home: &Path) -> Self {
        let mut command = stage.command(env!("CARGO_BIN_EXE_majordomo"), folder);
        command.env("COMPUTEPODS_HOME", home).args(["watch", "--quiet", "-j2", "--events", "-"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts");
        let events = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut watch = Self { child, events: Some(events) };
        watch.built();
        watch
    }

    /// Waits for the end of the next build.
    fn built(&mut self) {
        let events = self.events.as_mut().expect("it has not been ended");
        let mut line = String::new();
        while !line.contains(r#""event":"build-finished""#) {
            line.clear();
            assert!(events.read_line(&mut line).expect("it speaks UTF-8") > 0, "it ended");
        }
        assert!(line.contains(r#""outcome":"success""#), "{line}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may be writing to a pipe that nobody reads any more.
        drop(self.events.take());
        // SAFETY: a signal to a child that was not waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        self.child.wait().expect("it is a child of ours");
    }
}

/// tup's monitor of a project that tup has built; `None` without tup. Dropped, it ends.
struct Monitor(PathBuf);

impl Monitor {
    fn start(folder: &Path) -> Option<Self> {
        Command::new("tup").arg("--version").output().ok()?;
        let rule = ": foreach *.c |> gcc -O1 -c %f -o %o |> %B.o\n";
        for part in 0..10 {
            fs::write(folder.join(format!("d{part}/Tupfile")), rule).expect("files are written");
        }
        fs::write(folder.join("Tupfile"), rule).expect("files are written");
        for arguments in [&["init"][..], &["-j2"]] {
            beside(Command::new("tup").args(arguments).current_dir(folder));
        }
        // It stays, and would hold a pipe open.
        let mut monitor = Command::new("tup");
        monitor.arg("monitor").current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(monitor.status().expect("tup starts").success(), "the monitor does not start");
        Some(Self(folder.to_owned()))
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        beside(Command::new("tup").arg("stop").current_dir(&self.0));
    }
}

/// A project of a hundred thousand files and a hundred steps.
fn hundred_thousand(folder: &Path) {
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
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// Rows of the project of 1000 files, and of one of 100 000.
pub fn rows(stage: &Stage, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut lines = Vec::new();
    let (folder, home) = (stage.fresh("watched", 0), stage.fresh("watched-home", 0));
    projects::thousand(&folder);
    stage.give(&folder);
    stage.give(&home);
    let mut watch = Watch::start(stage, &folder, &home);
    if wanted("watch-noop") {
        let ours = || beside(&mut stage.majordomo(&folder, &home, &[]));
        ours();
        let theirs = stage.fresh("monitored", 0);
        projects::thousand(&theirs);
        if let Some(_monitor) = Monitor::start(&theirs) {
            let row = Row::measure(
                "nothing to do, 1000 files, watched",
                "tup with its monitor",
                Goal { wall: 1.5, cpu: None },
                stage.runs * 7,
                |_| beside(Command::new("tup").current_dir(&theirs)),
                |_| ours(),
            );
            lines.push(row.markdown());
        } else {
            eprintln!("tup is not there: `watch-noop` is left out");
        }
        let (big, big_home) = (stage.fresh("big", 0), stage.fresh("big-home", 0));
        hundred_thousand(&big);
        stage.give(&big);
        stage.give(&big_home);
        let _big_watch = Watch::start(stage, &big, &big_home);
        let of_big = || beside(&mut stage.majordomo(&big, &big_home, &[]));
        of_big();
        let row = Row::measure(
            "nothing to do, 100 000 files, watched",
            "we, 1000 files",
            Goal { wall: 3.0, cpu: None },
            stage.runs * 7,
            |_| ours(),
            |_| of_big(),
        );
        lines.push(row.markdown());
    }
    if wanted("watch-save") {
        lines.push(saves(stage, &folder, &mut watch));
    }
    lines
}

/// From a save to the end of the build that it makes, beyond what the compiler takes by itself.
fn saves(stage: &Stage, folder: &Path, watch: &mut Watch) -> String {
    let file = folder.join("d3/c300.c");
    let object = stage.scratch.join("plain.o");
    let (mut beyond, mut all, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for save in 0..stage.runs * SAVES {
        let mut compiler = stage.command("gcc", folder);
        let compiled = beside(compiler.args(["-O1", "-c", "d3/c300.c", "-o"]).arg(&object)).wall;
        let begun = Instant::now();
        touch_a_comment(&file, save);
        watch.built();
        let took = begun.elapsed().as_secs_f64();
        eprintln!("save to built: {took:.3} s, the compiler by itself {compiled:.3} s");
        all.push(took);
        plain.push(compiled);
        beyond.push((took - compiled) * 1000.0);
    }
    beyond.sort_by(f64::total_cmp);
    let (p50, p95) = (percentile(&beyond, 0.5), percentile(&beyond, 0.95));
    let is_met = if p50 <= 60.0 { "reached" } else { "**short**" };
    format!(
        "| save to built, one of 1000 C files, watched | the compiler by itself | {:.3} s | {:.3} s | beyond it p50 {p50:.0} ms, \
         p95 {p95:.0} ms | p50 ≤ 60 ms | {is_met} |",
        median(plain),
        median(all)
    )
}
