//! The naive oracle: what a clean build of a [`World`] makes, and what each of its steps sees of the project, in Rust and without
//! anything of ours.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Entry, Files, Op, Promise, Step, World};

/// What a step sees and makes.
pub struct Outcome {
    /// Its command and its observations: while they are the same, it must not run again.
    pub seen: String,
}

/// What a clean build makes.
pub struct Model {
    /// All outputs.
    pub outputs: Files,
    /// By the steps' names.
    pub steps: BTreeMap<String, Outcome>,
}

impl Model {
    /// Evaluates all steps, layer by layer.
    pub fn of(world: &World) -> Self {
        let mut state = world.sources.clone();
        let mut outputs = Files::new();
        let mut steps = BTreeMap::new();
        let mut in_order: Vec<&Step> = world.steps.iter().collect();
        in_order.sort_by_key(|step| step.layer);
        for step in in_order {
            let mut eyes = Eyes { state: &state, seen: step.script() };
            let made = eyes.step(step);
            steps.insert(step.name.clone(), Outcome { seen: eyes.seen });
            outputs.extend(made.clone());
            state.extend(made);
        }
        Self { outputs, steps }
    }
}

/// A step's look at the files.
struct Eyes<'a> {
    state: &'a Files,
    seen: String,
}

/// What stands at a path.
enum Found<'a> {
    File { text: &'a str, exec: bool },
    Folder,
    Nothing,
}

impl<'a> Eyes<'a> {
    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.seen, "{what}").expect("a string takes it");
    }

    fn is_folder(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.state.range(inside.clone()..).next().is_some_and(|(first, _)| first.starts_with(&inside))
    }

    /// Walks to a path; each link on the way, and where nothing is, is seen.
    fn walk(&mut self, path: &str) -> Found<'a> {
        for (at, _) in path.match_indices('/') {
            if !self.is_folder(&path[..at]) {
                self.note(format_args!("absent {}", &path[..at]));
                return Found::Nothing;
            }
        }
        match self.state.get(path) {
            Some(Entry::File { text, exec }) => Found::File { text, exec: *exec },
            Some(Entry::Link(target)) => {
                self.note(format_args!("link {path} {target}"));
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                self.walk(&format!("{folder}/{target}"))
            }
            None if self.is_folder(path) => Found::Folder,
            None => {
                self.note(format_args!("absent {path}"));
                Found::Nothing
            }
        }
    }

    /// Reads a file.
    fn read(&mut self, path: &str) -> Option<&'a str> {
        match self.walk(path) {
            Found::File { text, exec } => {
                self.note(format_args!("content {path} {exec} {text:?}"));
                Some(text)
            }
            _ => None,
        }
    }

    /// Looks at a file: its size and whether it may be executed.
    fn probe(&mut self, path: &str) -> Option<(usize, bool)> {
        match self.walk(path) {
            Found::File { text, exec } => {
                self.note(format_args!("probe {path} {} {exec}", text.len()));
                Some((text.len(), exec))
            }
            _ => None,
        }
    }

    /// The names in a folder, with their kinds, sorted.
    fn list(&mut self, folder: &str) -> Option<Vec<String>> {
        if !matches!(self.walk(folder), Found::Folder) {
            return None;
        }
        let inside = format!("{folder}/");
        let below = self.state.range(inside.clone()..).take_while(|(path, _)| path.starts_with(&inside));
        let entries: Vec<_> = below.map(|(path, entry)| (&path[inside.len()..], entry)).collect();
        let kinds: Vec<_> =
            entries.iter().map(|(name, entry)| (name, matches!(entry, Entry::Link(_)))).collect();
        self.note(format_args!("listing {folder} {kinds:?}"));
        Some(entries.into_iter().map(|(name, _)| name.to_owned()).collect())
    }

    fn include(&mut self, name: &str, search: &[String], out: &mut String) {
        for folder in search {
            let Some(text) = self.read(&format!("{folder}/{name}")) else { continue };
            for line in text.lines() {
                match line.strip_prefix("include ") {
                    Some(included) if folder.starts_with('s') => self.include(included, search, out),
                    _ if line.starts_with('#') => {}
                    _ => say(out, format_args!("{line}")),
                }
            }
            return;
        }
        say(out, format_args!("no {name}"));
    }

    fn op(&mut self, op: &Op, out: &mut String) {
        match op {
            Op::Read(path) => match self.read(path) {
                Some(text) => out.push_str(text),
                None => say(out, format_args!("no {path}")),
            },
            Op::Head(path) => match self.read(path) {
                Some(text) => out.push_str(text.split_inclusive('\n').next().unwrap_or_default()),
                None => say(out, format_args!("no {path}")),
            },
            Op::Filled(path) => {
                let is_filled = self.probe(path).is_some_and(|(size, _)| size > 0);
                say(out, format_args!("{} {path}", if is_filled { "has" } else { "no" }));
            }
            Op::Executable(path) => {
                let is_executable = self.probe(path).is_some_and(|(_, exec)| exec);
                say(out, format_args!("{} {path}", if is_executable { "runs" } else { "no" }));
            }
            Op::Link(path) => match self.state.get(path) {
                Some(Entry::Link(target)) => {
                    self.note(format_args!("link {path} {target}"));
                    say(out, format_args!("{target}"));
                }
                _ => {
                    self.probe(path);
                    say(out, format_args!("no {path}"));
                }
            },
            Op::List(folder) => match self.list(folder) {
                Some(names) => names.iter().for_each(|name| say(out, format_args!("{name}"))),
                None => say(out, format_args!("no {folder}")),
            },
            Op::Glob(folder, start) => {
                let names = self.list(folder).unwrap_or_default();
                let matching: Vec<_> = names.iter().filter(|name| name.starts_with(start.as_str())).collect();
                if matching.is_empty() {
                    self.walk(&format!("{folder}/{start}*"));
                }
                // `cat` goes on after one that leads nowhere, and has failed in the end.
                let mut failed = matching.is_empty();
                for name in matching {
                    match self.read(&format!("{folder}/{name}")) {
                        Some(text) => out.push_str(text),
                        None => failed = true,
                    }
                }
                if failed {
                    say(out, format_args!("none in {folder}"));
                }
            }
            Op::Include(name, search) => self.include(name, search, out),
        }
    }

    fn step(&mut self, step: &Step) -> Files {
        let mut made = Files::new();
        if let Promise::Tree { folder, words } = &step.promise {
            let words = self.read(words).unwrap_or_default();
            for word in words.split_whitespace() {
                made.insert(format!("{folder}/{word}"), Entry::text(format!("{word}\n")));
            }
        }
        let mut out = format!("salt {}\n", step.salt);
        for op in &step.ops {
            self.op(op, &mut out);
        }
        if let Some(extra) = &step.extra {
            let mut lines = out.split_inclusive('\n');
            let first = lines.next().unwrap_or_default();
            let second = lines.next().unwrap_or(first);
            made.insert(extra.clone(), Entry::text(second));
        }
        made.insert(step.target(), Entry::text(out));
        made
    }
}

fn say(out: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(out, "{what}").expect("a string takes it");
}
