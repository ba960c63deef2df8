//! T20. Random projects whose steps feed each other in circles, against a naive oracle: what comes out is known beforehand, is what
//! a clean build in a fresh home makes, and is there again without a step.
//!
//! Each step passes on the words of its source, and those that it finds with others, a generation older, until they
//! are [`OLDEST`]. So a word is with a step in a generation if, and only if, a way of that many steps leads there from
//! its source: there is one state that settles, whatever a build starts from.

use std::collections::{BTreeMap, BTreeSet};

use crate::chance::{Random, number};
use crate::common::{Built, Place, Project};

/// How many random edits each project lives through; 6 without it.
const EDITS: &str = "COMPUTEPODS_TANGLE_EDITS";
/// How many random projects; 4 without it.
const PROJECTS: &str = "COMPUTEPODS_TANGLES";
/// Words of this generation are not passed on.
const OLDEST: usize = 2;

/// How a step of the tangle asks for the words of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Only if they are there.
    IfThere,
    /// By a pattern in its command.
    ByPattern,
}

/// One step.
#[derive(Debug, Clone)]
struct Step {
    /// Whether its output is declared.
    declared: bool,
    /// Whose words it takes, by number; its own need `keep`.
    takes: BTreeMap<usize, Ask>,
}

/// The project as it ought to be.
struct Tangle {
    steps: Vec<Step>,
    /// The source of each step; a step can do without one.
    words: BTreeMap<usize, BTreeSet<String>>,
    fresh: u64,
}

fn name(step: usize) -> String {
    format!("s{step:02}")
}

impl Tangle {
    fn new(random: &mut Random) -> Self {
        let count = 3 + random.below(6) as usize;
        let mut tangle = Self { steps: Vec::new(), words: BTreeMap::new(), fresh: 0 };
        for _ in 0..count {
            let takes = (0..1 + random.below(2)).map(|_| tangle.question(count, random)).collect();
            tangle.steps.push(Step { declared: random.below(2) == 0, takes });
        }
        for step in 0..count {
            tangle.add_word(step);
        }
        tangle
    }

    /// Whose words a step takes, and how.
    fn question(&self, count: usize, random: &mut Random) -> (usize, Ask) {
        let ask = [Ask::IfThere, Ask::IfThere, Ask::ByPattern][random.below(3) as usize];
        (random.below(count as u64) as usize, ask)
    }

    fn add_word(&mut self, step: usize) {
        self.fresh += 1;
        self.words.entry(step).or_default().insert(format!("w{}", self.fresh));
    }

    /// The project file.
    fn file(&self) -> String {
        let step = |(at, step): (usize, &Step)| {
            let own = name(at);
            let mut text = format!("[step.{own}]\n");
            if step.declared {
                text += &format!("out = 'made/{own}/words'\n");
            }
            if step.takes.contains_key(&at) {
                text += &format!("keep = ['made/{own}/words']\n");
            }
            let older: String = (0..OLDEST).rev().map(|age| format!("s/ {age}$/ {}/p;", age + 1)).collect();
            let mut run =
                format!("mkdir -p made/{own}\n{{ if [ -e in/{own} ]; then sed 's/$/ 0/' in/{own}; fi\n");
            for (other, ask) in &step.takes {
                let other = name(*other);
                let path = match ask {
                    Ask::IfThere => format!("made/{other}/words"),
                    Ask::ByPattern => format!("made/{other}/*"),
                };
                run += &format!("for f in {path}; do if [ -e $f ]; then sed -n '{older}' $f; fi; done\n");
            }
            // It opens its output when it has read all.
            run += &format!("}} | sort -u -o made/{own}/words\n");
            text + &format!("run = '''\n{run}'''\n")
        };
        self.steps.iter().enumerate().map(step).collect()
    }

    /// What each step has to make.
    fn oracle(&self) -> BTreeMap<String, String> {
        let nothing = BTreeSet::new();
        let mut all: Vec<BTreeSet<(String, usize)>> = vec![BTreeSet::new(); self.steps.len()];
        for _ in 0..=OLDEST {
            let before = all.clone();
            for (at, step) in self.steps.iter().enumerate() {
                let own = self.words.get(&at).unwrap_or(&nothing);
                all[at] = own.iter().map(|word| (word.clone(), 0)).collect();
                for other in step.takes.keys() {
                    let older = before[*other].iter().filter(|(_, age)| *age < OLDEST);
                    all[at].extend(older.map(|(word, age)| (word.clone(), age + 1)));
                }
            }
        }
        let text = |words: &BTreeSet<(String, usize)>| {
            let mut lines: Vec<String> = words.iter().map(|(word, age)| format!("{word} {age}\n")).collect();
            lines.sort();
            lines.concat()
        };
        all.iter().enumerate().map(|(at, words)| (format!("made/{}/words", name(at)), text(words))).collect()
    }

    /// Changes something; what, in words.
    fn edit(&mut self, random: &mut Random) -> String {
        let step = random.below(self.steps.len() as u64) as usize;
        match random.below(6) {
            0 => {
                self.words.remove(&step);
                format!("no words for {}", name(step))
            }
            1 => {
                if let Some(words) = self.words.get_mut(&step) {
                    words.pop_first();
                }
                format!("a word less for {}", name(step))
            }
            2 => {
                let (other, ask) = self.question(self.steps.len(), random);
                self.steps[step].takes.insert(other, ask);
                format!("{} takes of {}: {ask:?}", name(step), name(other))
            }
            3 => {
                let gone = self.steps[step].takes.pop_first();
                format!("{} takes no more of {gone:?}", name(step))
            }
            _ => {
                self.add_word(step);
                format!("a word more for {}", name(step))
            }
        }
    }

    /// Writes it all.
    fn write(&self, project: &Project<'_>) {
        project.write("majordomo.toml", self.file());
        for step in 0..self.steps.len() {
            let path = format!("in/{}", name(step));
            match self.words.get(&step) {
                Some(words) => {
                    let text: String = words.iter().map(|word| format!("{word}\n")).collect();
                    if !project.has(&path) || project.read(&path) != text {
                        project.write(&path, text);
                    }
                }
                None if project.has(&path) => project.remove(&path),
                None => {}
            }
        }
    }
}

/// Builds, and holds what came out against the oracle.
#[track_caller]
fn is_right(project: &Project<'_>, tangle: &Tangle, what: &str, options: &[&str]) -> Built {
    let built = project.build(options);
    assert_eq!(built.ended.code, Some(0), "{what}\n{}\n{}", built.said(), tangle.file());
    for (path, text) in tangle.oracle() {
        let made = if project.has(&path) { project.read(&path) } else { "nothing".to_owned() };
        assert_eq!(made, text, "`{path}` after: {what}\n{}\n{}", built.said(), tangle.file());
    }
    built
}

/// A tangle, by whether each step declares its output, and whose words it takes.
fn tangle(steps: &[(bool, &[(usize, Ask)])]) -> Tangle {
    let step = |(declared, takes): &(bool, &[(usize, Ask)])| Step {
        declared: *declared,
        takes: takes.iter().copied().collect(),
    };
    let mut tangle = Tangle { steps: steps.iter().map(step).collect(), words: BTreeMap::new(), fresh: 0 };
    (0..steps.len()).for_each(|step| tangle.add_word(step));
    tangle
}

#[test]
fn passes_are_counted_from_the_last_change_outside_of_the_circle() {
    // The first one sees its own output, and what a circle makes that goes round beside it.
    let tangle = tangle(&[
        (false, &[(0, Ask::ByPattern), (1, Ask::IfThere)]),
        (true, &[(1, Ask::IfThere), (2, Ask::IfThere)]),
        (true, &[(3, Ask::IfThere)]),
        (false, &[(1, Ask::IfThere), (3, Ask::IfThere)]),
        (false, &[(4, Ask::ByPattern)]),
    ]);
    for jobs in ["-j1", "-j2", "-j3"] {
        let place = Place::new();
        let project = place.project("p", &tangle.file());
        tangle.write(&project);
        let built = is_right(&project, &tangle, jobs, &[jobs]);
        assert!(built.passes("s00") <= 8, "{}", built.said());
        project.builds(&[]);
    }
}

#[test]
fn random_circles_are_right_after_every_edit() {
    let (projects, edits, seed) = (number(PROJECTS, 4), number(EDITS, 6), number("COMPUTEPODS_SEED", 1));
    for seed in seed..seed + projects {
        let mut random = Random(seed);
        let mut tangle = Tangle::new(&mut random);
        let place = Place::new();
        let project = place.project("p", &tangle.file());
        tangle.write(&project);
        let mut what = format!("seed {seed}");
        is_right(&project, &tangle, &what, &[]);
        for _ in 0..edits {
            let edit = tangle.edit(&mut random);
            what = format!("{what}; {edit}");
            tangle.write(&project);
            is_right(&project, &tangle, &what, &[]);
            let again = project.build(&[]).ok();
            assert_eq!(again.ran(), Vec::<&str>::new(), "{what}\n{}\n{}", again.said(), tangle.file());
        }
        let fresh = Place::new();
        let clean = fresh.project("p", &tangle.file());
        tangle.write(&clean);
        is_right(&clean, &tangle, &format!("{what}; a clean build"), &[]);
        let files = project.files("");
        assert_eq!(clean.files(""), files, "{what}");
        files
            .iter()
            .for_each(|file| assert_eq!(clean.read(file), project.read(file), "`{file}` after: {what}"));
    }
}
