//! One row: peer and we in turn, and what is said of it.

use crate::measure::{Cost, median};

/// What must be reached: wall and CPU, as a ratio to the peer.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Highest (or lowest, see `at_least`) good ratio of wall times.
    pub wall: f64,
    /// The same for CPU, where asked for.
    pub cpu: Option<f64>,
}

/// A finished row.
pub struct Row {
    /// What was done.
    pub work: String,
    /// Against what.
    pub peer: String,
    goal: Goal,
    runs: Vec<(Cost, Cost)>,
    note: String,
}

impl Row {
    /// Runs both in turn, `runs` times.
    pub fn measure(
        work: &str,
        peer: &str,
        goal: Goal,
        runs: usize,
        mut theirs: impl FnMut(usize) -> Cost,
        mut ours: impl FnMut(usize) -> Cost,
    ) -> Self {
        let mut measured = Vec::with_capacity(runs);
        for run in 0..runs {
            // Whoever is first in a pair gains or loses by it, so they take turns.
            let pair = if run % 2 == 0 {
                let theirs = theirs(run);
                (theirs, ours(run))
            } else {
                let ours = ours(run);
                (theirs(run), ours)
            };
            eprintln!(
                "{work}: peer {:.3} s ({:.3} CPU), we {:.3} s ({:.3} CPU)",
                pair.0.wall, pair.0.cpu, pair.1.wall, pair.1.cpu
            );
            measured.push(pair);
        }
        Self { work: work.to_owned(), peer: peer.to_owned(), goal, runs: measured, note: String::new() }
    }

    /// With words behind it.
    pub fn note(mut self, note: String) -> Self {
        self.note = note;
        self
    }

    /// The head of the table.
    pub fn head() -> &'static str {
        "| work | reference | reference wall / CPU | we wall / CPU | ratio wall / CPU | must reach | |\n\
         |---|---|---|---|---|---|---|"
    }

    /// The row as Markdown: medians, and medians of the ratios pair by pair.
    pub fn markdown(&self) -> String {
        let of = |f: fn(&(Cost, Cost)) -> f64| median(self.runs.iter().map(f));
        let (wall, cpu) = (of(|(a, b)| b.wall / a.wall), of(|(a, b)| b.cpu / a.cpu));
        let goal = match self.goal.cpu {
            Some(cpu) => format!("≤ {} / ≤ {cpu}", self.goal.wall),
            None => format!("≤ {}", self.goal.wall),
        };
        let is_met = wall <= self.goal.wall && self.goal.cpu.is_none_or(|goal| cpu <= goal);
        let first = self.runs.first().map_or(0.0, |pair| pair.0.wall);
        let last = self.runs.last().map_or(0.0, |pair| pair.0.wall);
        let drift = (last / first - 1.0).abs();
        let mut note = if is_met { "reached".to_owned() } else { "**short**".to_owned() };
        if drift > 0.25 {
            note.push_str(&format!(", reference drifted {:.0} %", drift * 100.0));
        }
        if !self.note.is_empty() {
            note.push_str(", ");
            note.push_str(&self.note);
        }
        format!(
            "| {} | {} | {:.3} / {:.3} s | {:.3} / {:.3} s | {wall:.2} / {cpu:.2} | {goal} | {note} |",
            self.work,
            self.peer,
            of(|(a, _)| a.wall),
            of(|(a, _)| a.cpu),
            of(|(_, b)| b.wall),
            of(|(_, b)| b.cpu),
        )
    }
}
