//! `majordomo launch`: Python functions in the kitchen, well and badly behaved.

mod cached;
mod calls;
mod ends;
mod mistakes;
mod secrets;
mod together;

use std::fs;

use crate::common::running::Ended;
use crate::common::{Place, Running};

/// What every program here begins with.
const HEAD: &str = "import computepods\napp = computepods.App('test')\n";

/// A program in a folder of its own.
struct Program<'p> {
    place: &'p Place,
    name: &'static str,
}

impl<'p> Program<'p> {
    fn new(place: &'p Place, text: &str) -> Self {
        let program = Self { place, name: "program" };
        program.write("program.py", &format!("{HEAD}{text}"));
        program
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.place.path().join("projects").join(self.name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        self.place.give(&self.place.path().join("projects").join(self.name));
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let all = [&["launch", "-q", "program/program.py"], arguments].concat();
        Running::start(self.place.command("majordomo", &all))
    }

    #[track_caller]
    fn launch(&self, arguments: &[&str]) -> Ended {
        self.start(arguments).end()
    }

    /// Starts it, and shows what functions print.
    fn start_aloud(&self, arguments: &[&str]) -> Running {
        let all = [&["launch", "-j2", "program/program.py"], arguments].concat();
        Running::start(self.place.command("majordomo", &all))
    }

    #[track_caller]
    fn launch_aloud(&self, arguments: &[&str]) -> Ended {
        self.start_aloud(arguments).end()
    }
}

/// The counts that the last line tells: ran, reused, failed.
#[track_caller]
fn counts(ended: &Ended) -> [u64; 3] {
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains(" reused, "))
        .unwrap_or_else(|| panic!("{}", ended.shown()));
    let (_, counts) = line.split_once(": ").unwrap();
    let numbers: Vec<u64> =
        counts.split(", ").map(|part| part.split(' ').next().unwrap().parse().unwrap()).collect();
    numbers.try_into().unwrap()
}
