//! Python functions: a fresh process for each call, theirs by `multiprocessing`, ours in the kitchen.

use std::fs;

use crate::Stage;
use crate::measure::run;
use crate::row::{Goal, Row};

/// Calls of one run.
const CALLS: usize = 200;

const THEIRS: &str = "
import multiprocessing, os
def trivial(x): return x + 1
if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        assert list(pool.imap(trivial, range(CALLS))) == list(range(1, CALLS + 1))
";

const OURS: &str = "
import computepods
app = computepods.App()
@app.function()
def trivial(x): return x + 1
@app.local_entrypoint()
def main():
    assert list(trivial.map(range(CALLS))) == list(range(1, CALLS + 1))
";

pub fn row(stage: &Stage) -> Row {
    let folder = stage.fresh("functions", 0);
    for (name, text) in [("theirs.py", THEIRS), ("ours.py", OURS)] {
        fs::write(folder.join(name), text.replace("CALLS", &CALLS.to_string())).expect("files are written");
    }
    let home = stage.fresh("functions-home", 0);
    stage.give(&folder);
    stage.give(&home);
    let python = "/usr/bin/python3";
    let theirs = |_| run(stage.command(python, &folder).arg("theirs.py"));
    let ours = |_| {
        let mut command = stage.command(env!("CARGO_BIN_EXE_majordomo"), &folder);
        run(command.env("COMPUTEPODS_HOME", &home).args(["launch", "-q", "--python", python, "ours.py"]))
    };
    let goal = Goal { wall: 1.0, cpu: None };
    let work = format!("{CALLS} × `.map()` of a trivial Python function");
    Row::measure(&work, "`multiprocessing`, spawn per call", goal, stage.runs, theirs, ours)
}
