//! Projects that CMake configures, by the chef: Debian's zlib and fmtlib, against ninja on the same `build.ninja`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::{Cost, run};
use crate::row::{Goal, Row};
use crate::{Stage, projects, touch_a_comment};

/// The options of both sides.
const TOOLS: [&str; 6] = ["-G", "Ninja", "-S", ".", "-B", "build"];

struct Project<'a> {
    stage: &'a Stage,
    name: &'static str,
    source: PathBuf,
    /// What is built; nothing: all.
    targets: &'static [&'static str],
}

impl Project<'_> {
    /// A copy at a place of its own; what is there goes.
    fn copy(&self, to: &str) -> PathBuf {
        let to = self.stage.scratch.join(format!("{}-{to}", self.name));
        run(Command::new("rm").arg("-rf").arg(&to));
        run(Command::new("cp").arg("-r").arg(&self.source).arg(&to));
        self.stage.give(&to);
        to
    }

    fn home(&self, name: &str) -> PathBuf {
        let home = self.stage.fresh(&format!("{}-home-{name}", self.name), 0);
        self.stage.give(&home);
        home
    }

    fn cmake(&self, folder: &Path, more: &[&str]) -> Command {
        let mut command = self.stage.command("cmake", folder);
        command.args(TOOLS).args(more);
        command
    }

    fn ninja(&self, folder: &Path) -> Command {
        let mut command = self.stage.ninja(&folder.join("build"));
        command.args(self.targets);
        command
    }

    fn ours(&self, folder: &Path, home: &Path) -> Command {
        let mut command = self.stage.majordomo(folder, home, &["-j2"]);
        command.args(self.targets);
        command
    }

    /// A full build behind a configuration that is there.
    fn full(&self, runs: usize) -> Row {
        let theirs = |_| {
            let folder = self.copy("ninja");
            run(&mut self.cmake(&folder, &[]));
            run(&mut self.ninja(&folder))
        };
        let ours = |n: usize| {
            let (folder, home) = (self.copy("ours"), self.home(&format!("full{n}")));
            run(&mut self.stage.majordomo(&folder, &home, &["build/build.ninja"]));
            run(&mut self.ours(&folder, &home))
        };
        let work = format!("{}, full build after configuring, -j2", self.name);
        Row::measure(&work, "ninja, same build.ninja", Goal { wall: 1.1, cpu: None }, runs, theirs, ours)
    }

    /// A fresh clone, and everything known.
    fn warm(&self) -> Row {
        let cache = self.stage.fresh(&format!("{}-ccache", self.name), 0);
        self.stage.give(&cache);
        let launchers = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"];
        // At one place, since ccache knows objects by it.
        let theirs = |_: usize| -> Cost {
            let folder = self.copy("ccache");
            let mut cmake = self.cmake(&folder, &launchers);
            let mut ninja = self.ninja(&folder);
            let costs = [run(cmake.env("CCACHE_DIR", &cache)), run(ninja.env("CCACHE_DIR", &cache))];
            Cost {
                wall: costs.iter().map(|cost| cost.wall).sum(),
                cpu: costs.iter().map(|cost| cost.cpu).sum(),
            }
        };
        let home = self.home("warm");
        let ours = |n: usize| run(&mut self.ours(&self.copy(&format!("clone{n}")), &home));
        theirs(0);
        ours(usize::MAX);
        let work = format!("{}, fresh clone, all known, configuring included", self.name);
        let goal = Goal { wall: 0.5, cpu: None };
        Row::measure(&work, "ccache + ninja, warm", goal, self.stage.runs, theirs, ours)
    }

    /// Nothing to do, and an edit of a header, if one is named; both sides have built before.
    fn again(&self, header: Option<&str>) -> Vec<Row> {
        let (theirs, ours, home) = (self.copy("ninja"), self.copy("ours"), self.home("again"));
        run(&mut self.cmake(&theirs, &[]));
        run(&mut self.ninja(&theirs));
        for _ in 0..2 {
            run(&mut self.ours(&ours, &home));
        }
        let goal = Goal { wall: 1.5, cpu: None };
        let work = format!("{}, nothing to do", self.name);
        let noop = Row::measure(
            &work,
            "ninja",
            goal,
            self.stage.runs * 7,
            |_| run(&mut self.ninja(&theirs)),
            |_| run(&mut self.ours(&ours, &home)),
        );
        let Some(header) = header else { return vec![noop] };
        let work = format!("{}, a comment in `{header}`, -j2", self.name);
        let goal = Goal { wall: 1.1, cpu: None };
        let edit = Row::measure(
            &work,
            "ninja",
            goal,
            self.stage.runs,
            |n| {
                touch_a_comment(&theirs.join(header), n);
                run(&mut self.ninja(&theirs))
            },
            |n| {
                touch_a_comment(&ours.join(header), n);
                run(&mut self.ours(&ours, &home))
            },
        );
        vec![noop, edit.note("the same compiles; ninja links, too".to_owned())]
    }
}

/// The rows of `zlib` and `fmtlib`.
pub fn rows(stage: &Stage, wanted: &dyn Fn(&str) -> bool) -> Vec<Row> {
    let mut rows = Vec::new();
    if wanted("zlib")
        && let Some(source) = projects::debian("zlib", &stage.fresh("zlib-source", 0))
    {
        // Debian's archive has no `win32/`, of which CMake wants a file to be there that it does not use here.
        fs::create_dir_all(source.join("win32")).expect("folders are made");
        fs::write(source.join("win32/zlib1.rc"), "").expect("files are written");
        let zlib = Project { stage, name: "zlib", source, targets: &[] };
        rows.push(zlib.full(stage.runs));
        rows.push(zlib.warm());
        rows.extend(zlib.again(Some("zutil.h")));
    }
    if wanted("fmtlib")
        && let Some(source) = projects::debian("fmtlib", &stage.fresh("fmtlib-source", 0))
    {
        // Four of its tests: all take minutes.
        let targets = &["fmt", "args-test", "assert-test", "os-test", "scan-test"];
        let fmtlib = Project { stage, name: "fmtlib", source, targets };
        rows.push(fmtlib.full(stage.runs.min(2)));
        rows.push(fmtlib.warm());
        rows.extend(fmtlib.again(None));
    }
    rows
}
