//! A report of 58 pages with contents, index and bibliography, against latexmk: cold, a word edited, the PDF deleted.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Stage;
use crate::measure::{Cost, run};
use crate::row::{Goal, Row};

const PAGES: usize = 58;
/// As many as make so many pages.
const CHAPTERS: usize = 10;
const SECTIONS: usize = 4;
const ENTRIES: usize = 30;

/// Written in no order, with nothing declared but the goal.
const FILE: &str = r#"[project]
name = "report"

[step.bib]
run = "bibtex -terse report"
project."*.aux" = "bibtex-aux"

[step.index]
run = "makeindex -q report"

[step.tex]
run  = "pdflatex -interaction=batchmode report"
keep = ["*.aux", "*.toc", "*.lof", "*.out"]
out  = "report.pdf"
"#;

/// Words without a meaning, always the same ones.
fn paragraph(out: &mut String, seed: usize) {
    const WORDS: [&str; 12] = [
        "finch",
        "measured",
        "the",
        "harbour",
        "with",
        "great",
        "precision",
        "and",
        "returned",
        "every",
        "evening",
        "late",
    ];
    for word in 0..110 {
        let at = (seed * 7 + word * 5 + word * word) % WORDS.len();
        out.push_str(WORDS[at]);
        out.push(if word % 12 == 11 { '\n' } else { ' ' });
    }
}

fn write_report(folder: &Path) {
    let mut text = String::from(
        "\\documentclass{report}\n\\usepackage{makeidx}\n\\usepackage{hyperref}\n\\makeindex\n\
         \\begin{document}\n\\tableofcontents\n\\listoffigures\n",
    );
    let mut push = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes it");
    for chapter in 0..CHAPTERS {
        push(format_args!("\\chapter{{Chapter {chapter}}}\\label{{c{chapter}}}"));
        for section in 0..SECTIONS {
            let number = chapter * SECTIONS + section;
            push(format_args!("\\section{{Section {number}}}\\label{{s{number}}}\\index{{topic {number}}}"));
            for part in 0..3 {
                let mut words = String::new();
                paragraph(&mut words, number * 3 + part);
                push(format_args!("{words}"));
                push(format_args!("as was said~\\cite{{e{}}}.\n", (number * 3 + part) % ENTRIES));
            }
            push(format_args!("See page~\\pageref{{s{}}}.", (number * 5 + 3) % (CHAPTERS * SECTIONS)));
            push(format_args!(
                "\\begin{{figure}}[ht]\\rule{{3cm}}{{2cm}}\\caption{{Figure {number}}}\\end{{figure}}\\index{{figure!{number}}}"
            ));
        }
    }
    push(format_args!(
        "\\bibliographystyle{{plain}}\n\\bibliography{{report}}\n\\printindex\n\\end{{document}}"
    ));
    let mut entries = String::new();
    for entry in 0..ENTRIES {
        writeln!(
            entries,
            "@book{{e{entry}, author = {{Author {entry}}}, title = {{Title {entry}}}, publisher = {{House}}, year = {}}}",
            1900 + entry
        )
        .expect("a string takes it");
    }
    for (name, text) in [("report.tex", text.as_str()), ("report.bib", &entries), ("majordomo.toml", FILE)] {
        fs::write(folder.join(name), text).expect("files are written");
    }
}

/// One side: where it builds, and how often pdflatex ran there.
struct Side<'s> {
    stage: &'s Stage,
    passes: Cell<usize>,
}

impl Side<'_> {
    fn place(&self, name: &str, number: usize) -> PathBuf {
        let folder = self.stage.fresh(name, number);
        write_report(&folder);
        self.stage.give(&folder);
        folder
    }

    /// Counts the lines of a log that begin a pass.
    fn count(&self, log: &Path, begins: impl Fn(&str) -> bool) {
        let text = fs::read_to_string(log).expect("there is a log");
        self.passes.set(self.passes.get().max(text.lines().filter(|line| begins(line)).count()));
    }

    fn latexmk(&self, folder: &Path) -> Cost {
        let mut command = self.stage.command("sh", folder);
        let log = folder.join("latexmk.out");
        command.arg("-c").arg("latexmk -pdf -interaction=batchmode report > latexmk.out 2>&1");
        let cost = run(&mut command);
        self.count(&log, |line| line.starts_with("Run number") && line.contains("'pdflatex'"));
        cost
    }

    fn majordomo(&self, folder: &Path, home: &Path) -> Cost {
        let log = home.with_extension("events");
        let cost = run(&mut self.stage.majordomo(folder, home, &["--events", &log.to_string_lossy()]));
        self.count(&log, |line| {
            let is_start = line.contains(r#""step-started""#) || line.contains(r#""step-restarted""#);
            is_start && line.contains(r#""step":"tex""#)
        });
        cost
    }
}

/// The three rows.
pub fn rows(stage: &Stage) -> Vec<Row> {
    let side = || Side { stage, passes: Cell::new(0) };
    let home = |number: usize| {
        let home = stage.fresh("latex-home", number);
        stage.give(&home);
        home
    };
    let goal = |wall| Goal { wall, cpu: None };
    let with_passes = |row: Row, theirs: &Side<'_>, ours: &Side<'_>, most: usize| {
        let (we, they) = (ours.passes.get(), theirs.passes.get());
        let is_met = if we <= most { "reached" } else { "**short**" };
        row.note(format!("most passes of pdflatex: {we}, latexmk {they}; must be ≤ {most}: {is_met}"))
    };

    let (theirs, ours) = (side(), side());
    let row = Row::measure(
        "LaTeX, 58 pages with contents, index and bibliography, cold",
        "latexmk",
        goal(1.0),
        stage.runs,
        |n| theirs.latexmk(&theirs.place("latexmk", n)),
        |n| ours.majordomo(&ours.place("latex", n), &home(n)),
    );
    let mut rows = vec![with_passes(row, &theirs, &ours, 3)];
    for folder in ["latexmk0", "latex0"] {
        let log =
            fs::read_to_string(stage.scratch.join(folder).join("report.log")).expect("TeX leaves a log");
        assert!(log.contains(&format!("({PAGES} pages")), "not {PAGES} pages: {log}");
    }

    // Both go on from what they built first.
    let (their_folder, our_folder) = (stage.scratch.join("latexmk0"), stage.scratch.join("latex0"));
    let home = stage.scratch.join("latex-home0");
    let edit = |folder: &Path, number: usize| {
        let path = folder.join("report.tex");
        let text = fs::read_to_string(&path).expect("the source is there");
        let (head, rest) = text.split_once("\\section{Section 9}").expect("it has that section");
        let (_, behind) = rest.split_once('\n').expect("it has lines");
        // Words of one length, so that no line breaks elsewhere.
        let line = format!("\\label{{s9}}\\index{{topic 9}} Edition {:04}.", number);
        fs::write(&path, format!("{head}\\section{{Section 9}}{line}\n{behind}"))
            .expect("the source is written");
    };
    edit(&their_folder, 9000);
    edit(&our_folder, 9000);
    let (theirs, ours) = (side(), side());
    theirs.latexmk(&their_folder);
    ours.majordomo(&our_folder, &home);
    theirs.passes.set(0);
    ours.passes.set(0);
    let row = Row::measure(
        "the same, a word edited",
        "latexmk",
        goal(1.0),
        stage.runs,
        |n| {
            edit(&their_folder, n);
            theirs.latexmk(&their_folder)
        },
        |n| {
            edit(&our_folder, n);
            ours.majordomo(&our_folder, &home)
        },
    );
    rows.push(with_passes(row, &theirs, &ours, 1));

    let delete = |folder: &Path| fs::remove_file(folder.join("report.pdf")).expect("there is a PDF");
    let (theirs, ours) = (side(), side());
    let row = Row::measure(
        "the same, the PDF deleted",
        "latexmk",
        goal(0.1),
        stage.runs,
        |_| {
            delete(&their_folder);
            theirs.latexmk(&their_folder)
        },
        |_| {
            delete(&our_folder);
            ours.majordomo(&our_folder, &home)
        },
    );
    rows.push(with_passes(row, &theirs, &ours, 0));
    rows
}
