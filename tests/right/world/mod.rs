//! A random project: sources in folders, and steps in layers that look at sources and at what lower layers make.
//!
//! Everything that a step may do is an [`Op`], whose shell text is here and whose meaning is in `model.rs`. The steps of layer n make
//! declared files in `on/`, undeclared ones in `un/` and declared trees in `tn_name/`, and look only at lower layers: so there is
//! one right result, whatever the order in which steps are begun.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::chance::Random;

pub mod edits;
pub mod model;

/// Folders of sources.
pub const FOLDERS: [&str; 5] = ["s0", "s1", "s2", "s3", "s4"];
/// Layers of steps, counted from 1.
pub const LAYERS: usize = 4;
/// Numbers of includable names, `h0` …; a file includes only names with higher numbers.
pub const NAMES: u64 = 40;
/// A source in every folder, so that no folder comes or goes.
const ANCHOR: &str = "anchor";

/// A source or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File {
        /// Its bytes.
        text: String,
        /// Whether it may be executed.
        exec: bool,
    },
    /// A link, to a name beside it.
    Link(String),
}

impl Entry {
    /// A file that may not be executed.
    pub fn text(text: impl Into<String>) -> Self {
        Self::File { text: text.into(), exec: false }
    }
}

/// By path, sorted.
pub type Files = BTreeMap<String, Entry>;

/// One thing that a step does. What is not there is said, and is no failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a file's text.
    Read(String),
    /// Writes a file's first line.
    Head(String),
    /// Writes whether a file is there and not empty.
    Filled(String),
    /// Writes whether a file may be executed.
    Executable(String),
    /// Writes where a link leads to.
    Link(String),
    /// Writes the names in a folder.
    List(String),
    /// Writes the texts of the files in a folder whose names begin so.
    Glob(String, String),
    /// Writes a file that is searched for in folders, with what it includes, without comments.
    Include(String, Vec<String>),
}

/// What a step promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// A file.
    File(String),
    /// A folder with a file `all`, and one for each word in a file.
    Tree {
        /// The folder.
        folder: String,
        /// The file with the words.
        words: String,
    },
}

/// A step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its layer, from 1.
    pub layer: usize,
    /// What it does.
    pub ops: Vec<Op>,
    /// What it promises.
    pub promise: Promise,
    /// What it makes without a promise: the first line of what it promised.
    pub extra: Option<String>,
    /// Changes its command and its text.
    pub salt: u64,
}

/// How much of the order a project file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each step is after all of the lower layers.
    Declared,
    /// One in four steps is after one of a lower layer; all else has to be found out.
    Hardly,
}

/// The project.
pub struct World {
    /// Its sources, without `majordomo.toml`.
    pub sources: Files,
    /// Its steps, in the order of the project file.
    pub steps: Vec<Step>,
    next: u64,
}

impl World {
    /// A project of about so many sources and outputs.
    pub fn new(random: &mut Random, files: usize) -> Self {
        let mut world = Self { sources: Files::new(), steps: Vec::new(), next: 0 };
        for folder in FOLDERS {
            world.sources.insert(format!("{folder}/{ANCHOR}"), Entry::text("anchor\n"));
        }
        for layer in 1..=LAYERS {
            for kind in ["o", "u"] {
                world.sources.insert(format!("{kind}{layer}/{ANCHOR}"), Entry::text("anchor\n"));
            }
        }
        while world.sources.len() < files * 6 / 10 {
            world.add_source(random);
        }
        for _ in 0..files * 3 / 10 {
            world.add_step(random);
        }
        world
    }

    /// Adds a source, maybe one that shadows another one; or writes one anew. Its path.
    pub fn add_source(&mut self, random: &mut Random) -> String {
        let folder = *random.pick(&FOLDERS);
        let number = random.below(NAMES);
        let (name, entry) = match random.below(10) {
            0 => (format!("l{number}"), Entry::Link(format!("h{}", random.below(NAMES)))),
            1 => {
                let words =
                    (0..random.below(5)).map(|_| format!("w{}\n", random.below(8))).collect::<String>();
                (format!("w{number}"), Entry::text(words))
            }
            _ => (format!("h{number}"), Entry::File { text: text(random, number), exec: random.one_in(5) }),
        };
        let path = format!("{folder}/{name}");
        self.sources.insert(path.clone(), entry);
        path
    }

    /// Adds a step. Its name.
    pub fn add_step(&mut self, random: &mut Random) -> String {
        self.next += 1;
        let (number, layer) = (self.next, 1 + random.index(LAYERS));
        let name = format!("step{number}");
        let ops = (0..=random.below(4)).map(|_| self.op(random, layer)).collect();
        let promise = match random.one_in(6) {
            // Names that others include, too.
            false => match random.one_in(3) {
                true => Promise::File(format!("o{layer}/h{}", 100 + number)),
                false => Promise::File(format!("o{layer}/x{number}")),
            },
            true => Promise::Tree { folder: format!("t{layer}_{number}"), words: self.words(random) },
        };
        let extra = random.one_in(4).then(|| format!("u{layer}/e{number}"));
        let at = random.index(self.steps.len() + 1);
        self.steps.insert(at, Step { name: name.clone(), layer, ops, promise, extra, salt: 0 });
        name
    }

    fn words(&self, random: &mut Random) -> String {
        let all: Vec<&String> = self.sources.keys().filter(|path| path.contains("/w")).collect();
        match all.is_empty() {
            true => "s0/w0".to_owned(),
            false => (*random.pick(&all)).clone(),
        }
    }

    /// A random thing to do in a layer.
    pub fn op(&self, random: &mut Random, layer: usize) -> Op {
        match random.below(12) {
            0..=2 => Op::Read(self.path(random, layer)),
            3 => Op::Head(self.path(random, layer)),
            4 => Op::Filled(self.path(random, layer)),
            5 => Op::Executable(self.path(random, layer)),
            6 => Op::Link(format!("{}/l{}", random.pick(&FOLDERS), random.below(NAMES))),
            7 => Op::List(self.folder(random, layer)),
            8 => {
                let start = *random.pick(&["h1", "x", "e", "w", "h"]);
                Op::Glob(self.folder(random, layer), start.to_owned())
            }
            _ => {
                let mut search: Vec<String> =
                    (0..=random.below(3)).map(|_| self.searched(random, layer)).collect();
                search.dedup();
                Op::Include(format!("h{}", random.below(NAMES)), search)
            }
        }
    }

    fn searched(&self, random: &mut Random, layer: usize) -> String {
        match layer > 1 && random.one_in(3) {
            true => format!("{}{}", random.pick(&["o", "u"]), 1 + random.index(layer - 1)),
            false => (*random.pick(&FOLDERS)).to_owned(),
        }
    }

    /// A folder that a layer may look into: of sources, or of a lower layer.
    fn folder(&self, random: &mut Random, layer: usize) -> String {
        let trees: Vec<&str> = self.steps.iter().filter(|step| step.layer < layer).filter_map(tree).collect();
        match random.below(3) {
            0 if !trees.is_empty() => (*random.pick(&trees)).to_owned(),
            _ => self.searched(random, layer),
        }
    }

    /// A file that a layer may look at, whether it is there or not.
    fn path(&self, random: &mut Random, layer: usize) -> String {
        let lower: Vec<&Step> = self.steps.iter().filter(|step| step.layer < layer).collect();
        if lower.is_empty() || random.one_in(3) {
            let sources: Vec<&String> = self.sources.keys().collect();
            return match random.one_in(5) {
                true => format!("{}/h{}", random.pick(&FOLDERS), random.below(NAMES)),
                false => (*random.pick(&sources)).clone(),
            };
        }
        let step = random.pick(&lower);
        match (&step.promise, &step.extra) {
            (_, Some(extra)) if random.one_in(2) => extra.clone(),
            (Promise::File(path), _) => path.clone(),
            (Promise::Tree { folder, .. }, _) => match random.one_in(2) {
                true => format!("{folder}/all"),
                false => format!("{folder}/w{}", random.below(8)),
            },
        }
    }

    /// The project file.
    pub fn file(&self, order: Order) -> String {
        let mut file = String::from("[project]\nname = \"random\"\n");
        for step in &self.steps {
            let lower = || self.steps.iter().filter(|other| other.layer < step.layer);
            let after: Vec<String> = match order {
                Order::Declared => lower().map(|other| format!("\"{}\"", other.name)).collect(),
                // By the name, so that it stays when others come and go.
                Order::Hardly if step.name.ends_with(['3', '7']) => {
                    lower().take(1).map(|other| format!("\"{}\"", other.name)).collect()
                }
                Order::Hardly => Vec::new(),
            };
            let out = match &step.promise {
                Promise::File(path) => path.clone(),
                Promise::Tree { folder, .. } => format!("{folder}/"),
            };
            write!(
                file,
                "\n[step.{}]\nrun = '''\n{}'''\nout = \"{out}\"\nafter = [{}]\n",
                step.name,
                step.script(),
                after.join(", ")
            )
            .expect("a string takes it");
        }
        file
    }
}

/// The tree that a step promises.
pub fn tree(step: &Step) -> Option<&str> {
    match &step.promise {
        Promise::File(_) => None,
        Promise::Tree { folder, .. } => Some(folder),
    }
}

/// A text with includes and comments, of few different lines, so that edits often change nothing that matters.
pub fn text(random: &mut Random, number: u64) -> String {
    let mut text = String::new();
    for _ in 0..random.below(6) {
        match random.below(4) {
            0 if number + 1 < NAMES => {
                let included = number + 1 + random.below(NAMES - number - 1);
                writeln!(text, "include h{included}").expect("a string takes it");
            }
            // What only a step makes.
            1 if random.one_in(3) => {
                writeln!(text, "include h{}", 100 + random.below(60)).expect("a string takes it");
            }
            1 => writeln!(text, "# comment {}", random.below(1000)).expect("a string takes it"),
            _ => writeln!(text, "line {}", random.below(10)).expect("a string takes it"),
        }
    }
    text
}

/// Writes a file that is searched for, with what it includes, without comments. What a step made is taken as it is, so that there
/// are no circles.
const INCLUDE: &str = "awk -v s=\"FOLDERS\" 'function inc(n, i,c,p,l,r) { c = split(s, d, \" \"); \
for (i = 1; i <= c; i++) { p = d[i] \"/\" n; r = (getline l < p); if (r >= 0) { \
while (r > 0) { if (l ~ /^include / && p ~ /^s/) inc(substr(l, 9)); else if (l !~ /^#/) print l; r = (getline l < p) } \
close(p); return } } print \"no \" n } BEGIN { inc(\"NAME\") }'";

impl Op {
    fn script(&self) -> String {
        match self {
            Self::Read(path) => format!("cat {path} 2>/dev/null || echo no {path}"),
            Self::Head(path) => format!("head -n 1 {path} 2>/dev/null || echo no {path}"),
            Self::Filled(path) => format!("if [ -s {path} ]; then echo has {path}; else echo no {path}; fi"),
            Self::Executable(path) => {
                format!("if [ -x {path} ]; then echo runs {path}; else echo no {path}; fi")
            }
            Self::Link(path) => format!("readlink {path} || echo no {path}"),
            Self::List(folder) => format!("ls {folder} 2>/dev/null || echo no {folder}"),
            Self::Glob(folder, start) => {
                format!("cat {folder}/{start}* 2>/dev/null || echo none in {folder}")
            }
            Self::Include(name, search) => {
                INCLUDE.replace("FOLDERS", &search.join(" ")).replace("NAME", name)
            }
        }
    }
}

impl Step {
    /// The file that its text goes to.
    pub fn target(&self) -> String {
        match &self.promise {
            Promise::File(path) => path.clone(),
            Promise::Tree { folder, .. } => format!("{folder}/all"),
        }
    }

    /// Its command.
    pub fn script(&self) -> String {
        let mut script = String::new();
        if let Promise::Tree { folder, words } = &self.promise {
            writeln!(script, "mkdir -p {folder}").expect("a string takes it");
            writeln!(
                script,
                "for word in $(cat {words} 2>/dev/null || true); do echo $word > {folder}/$word; done"
            )
            .expect("a string takes it");
        }
        writeln!(script, "{{\necho salt {}", self.salt).expect("a string takes it");
        for op in &self.ops {
            writeln!(script, "{}", op.script()).expect("a string takes it");
        }
        let target = self.target();
        writeln!(script, "}} > {target}").expect("a string takes it");
        if let Some(extra) = &self.extra {
            writeln!(script, "head -n 2 {target} | tail -n 1 > {extra}").expect("a string takes it");
        }
        script
    }
}
